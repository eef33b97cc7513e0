//! What a sentinel says of a master.

use std::time::Duration;

use redis::Value;

use crate::{
    endpoint::Address,
    store::{Failover, StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) address: Address,
    /// Rises with every failover.
    pub(super) epoch: u64,
    /// What the sentinel says of the next one.
    pub(super) failover: Option<Failover>,
}

/// The configuration epoch, and what is said of the next failover, in the answer of the sentinel at `sentinel` to
/// `SENTINEL MASTER <name>`.
pub(super) fn parse_about(
    sentinel: &str,
    name: &str,
    answer: Result<Value, StoreError>,
) -> Result<(u64, Option<Failover>), StoreError> {
    let value = match answer {
        // The sentinel's own word for it is "No such master with that name".
        Err(StoreError::Refused { code, detail, .. })
            if detail.contains("No such master") || code == "IDONTKNOW" =>
        {
            return Err(unknown(sentinel, name));
        }
        Err(StoreError::Refused { detail, .. }) if detail.contains("unknown command") => {
            return Err(StoreError::Misconfigured {
                problem: format!(
                    "{sentinel} is no sentinel; name sentinels (port 26379), or use redis:// for a server"
                ),
            });
        }
        answer => answer?,
    };
    let fields: Vec<(String, String)> = redis::from_redis_value(value).unwrap_or_default();
    let field = |wanted: &str| {
        let found = fields.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let number = |wanted| field(wanted)?.parse::<u32>().ok();
    let failover = || {
        Some(Failover::Sentinel {
            down_after: Duration::from_millis(number("down-after-milliseconds")?.into()),
            sentinels: number("num-other-sentinels")?.saturating_add(1),
            quorum: number("quorum")?,
        })
    };
    match field("config-epoch").and_then(|epoch| epoch.parse().ok()) {
        Some(epoch) => Ok((epoch, failover())),
        None => {
            let fields = fields.len();
            Err(unexpected(format!(
                "from {sentinel}: {fields} fields without an epoch"
            )))
        }
    }
}

/// The address in its answer to `SENTINEL GET-MASTER-ADDR-BY-NAME <name>`, which names a promoted replica as soon as it
/// acts as a master; the other answer does so only when the last replica follows it.
pub(super) fn parse_address(
    sentinel: &str,
    name: &str,
    answer: Value,
) -> Result<Address, StoreError> {
    if answer == Value::Nil {
        return Err(unknown(sentinel, name));
    }
    let (host, port): (String, String) = redis::from_redis_value(answer).unwrap_or_default();
    let port: Option<u16> = port.parse().ok().filter(|&port| port != 0);
    match port {
        Some(port) if !host.is_empty() => Ok(Address { host, port }),
        _ => Err(unexpected(format!("from {sentinel}: no address"))),
    }
}

fn unexpected(reply: String) -> StoreError {
    StoreError::Unexpected {
        operation: "find master",
        reply,
    }
}

fn unknown(sentinel: &str, name: &str) -> StoreError {
    StoreError::Misconfigured {
        problem: format!(
            "{sentinel} watches no master named {name:?}; correct the name in the URL, or see SENTINEL MASTERS"
        ),
    }
}

/// Whatever a sentinel says, an address has a host and a port.
#[cfg(feature = "fuzzing")]
pub(in crate::store::redis) fn fuzz(value: &Value) {
    let _ = parse_about("s", "m", Ok(value.clone()));
    if let Ok(address) = parse_address("s", "m", value.clone()) {
        assert!(address.port != 0 && !address.host.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[&str]) -> Value {
        let text = |field: &&str| Value::BulkString(field.as_bytes().to_vec());
        Value::Array(fields.iter().map(text).collect())
    }

    fn refused(detail: &str) -> Result<Value, StoreError> {
        Err(StoreError::Refused {
            operation: "find master",
            address: "s".into(),
            code: "ERR".into(),
            detail: detail.into(),
        })
    }

    #[test]
    fn the_address_and_its_epoch_are_found() {
        let fields = answer(&["name", "m", "ip", "10.0.0.1", "config-epoch", "7"]);
        let about = parse_about("s", "m", Ok(fields)).expect("an epoch");
        assert_eq!(about, (7, None));
        let address = parse_address("s", "m", answer(&["10.0.0.2", "6379"]));
        assert_eq!(address.expect("an address").to_string(), "10.0.0.2:6379");
    }

    #[test]
    fn how_long_a_failover_takes_is_said_where_all_of_it_is_known() {
        let fields = [
            "config-epoch",
            "7",
            "num-other-sentinels",
            "2",
            "quorum",
            "2",
            "down-after-milliseconds",
            "30000",
        ];
        let expected = Failover::Sentinel {
            down_after: Duration::from_secs(30),
            sentinels: 3,
            quorum: 2,
        };
        let about = parse_about("s", "m", Ok(answer(&fields))).expect("an epoch");
        assert_eq!(about, (7, Some(expected)));
    }

    #[test]
    fn an_unknown_master_is_named() {
        let expected = "connection options: redis+sentinel://h:1/m/0 watches no master named \"m\"; correct the name in \
                        the URL, or see SENTINEL MASTERS";
        let answer = refused("No such master with that name");
        let error = parse_about("redis+sentinel://h:1/m/0", "m", answer).expect_err("unknown");
        assert_eq!(error.to_string(), expected);
        let error = parse_address("redis+sentinel://h:1/m/0", "m", Value::Nil);
        assert_eq!(error.expect_err("unknown").to_string(), expected);
    }

    #[test]
    fn a_server_that_is_no_sentinel_is_called_so() {
        let answer = refused("unknown command 'SENTINEL', with args beginning with: 'MASTER'");
        let error = parse_about("h:1", "m", answer).expect_err("no sentinel");
        assert!(error.to_string().contains("h:1 is no sentinel"), "{error}");
    }

    #[test]
    fn any_other_refusal_is_passed_on() {
        let error = parse_about("h:1", "m", refused("NOPERM no permissions"));
        assert!(
            matches!(error, Err(StoreError::Refused { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn garbage_is_an_error() {
        for value in [Value::Int(1), answer(&["ip"]), answer(&["ip", "h", "port"])] {
            let epoch = parse_about("s", "m", Ok(value.clone()));
            assert!(matches!(epoch, Err(StoreError::Unexpected { .. })));
            let address = parse_address("s", "m", value);
            assert!(matches!(address, Err(StoreError::Unexpected { .. })));
        }
        for wrong in [["h", "0"], ["", "6379"]] {
            let address = parse_address("s", "m", answer(&wrong));
            assert!(matches!(address, Err(StoreError::Unexpected { .. })));
        }
    }
}
