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

/// Understands the answer of the sentinel at `sentinel` to `SENTINEL MASTER <name>`.
pub(super) fn parse(
    sentinel: &str,
    name: &str,
    answer: Result<Value, StoreError>,
) -> Result<Master, StoreError> {
    let value = match answer {
        // The sentinel's own word for it is "No such master with that name".
        Err(StoreError::Refused { code, detail, .. })
            if detail.contains("No such master") || code == "IDONTKNOW" =>
        {
            return Err(unknown(sentinel, name));
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
    let parsed = || {
        Some(Master {
            address: Address {
                host: field("ip")?.to_owned(),
                port: field("port")?.parse().ok().filter(|&port| port != 0)?,
            },
            epoch: field("config-epoch")?.parse().ok()?,
            failover: failover(),
        })
    };
    parsed().ok_or_else(|| StoreError::Unexpected {
        operation: "find master",
        reply: format!(
            "from {sentinel}: {} fields without an address",
            fields.len()
        ),
    })
}

fn unknown(sentinel: &str, name: &str) -> StoreError {
    StoreError::Misconfigured {
        problem: format!(
            "{sentinel} watches no master named {name:?}; correct the name in the URL, or see SENTINEL MASTERS"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[&str]) -> Value {
        let text = |field: &&str| Value::BulkString(field.as_bytes().to_vec());
        Value::Array(fields.iter().map(text).collect())
    }

    #[test]
    fn the_address_and_its_epoch_are_found() {
        let fields = [
            "name",
            "m",
            "ip",
            "10.0.0.1",
            "port",
            "6379",
            "config-epoch",
            "7",
            "num-other-sentinels",
            "2",
            "quorum",
            "2",
            "down-after-milliseconds",
            "30000",
        ];
        let master = parse("s", "m", Ok(answer(&fields))).expect("a master");
        assert_eq!(
            (master.address.to_string().as_str(), master.epoch),
            ("10.0.0.1:6379", 7)
        );
        let expected = Failover::Sentinel {
            down_after: Duration::from_secs(30),
            sentinels: 3,
            quorum: 2,
        };
        assert_eq!(master.failover, Some(expected));
    }

    #[test]
    fn an_unknown_master_is_named() {
        let refused = StoreError::Refused {
            operation: "find master",
            address: "s".into(),
            code: "ERR".into(),
            detail: "No such master with that name".into(),
        };
        let error = parse("redis+sentinel://h:1/m/0", "m", Err(refused)).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "connection options: redis+sentinel://h:1/m/0 watches no master named \"m\"; correct the name in the URL, or \
             see SENTINEL MASTERS"
        );
    }

    #[test]
    fn garbage_is_an_error() {
        for value in [
            Value::Nil,
            Value::Int(1),
            answer(&["ip"]),
            answer(&["ip", "h", "port", "0"]),
        ] {
            assert!(matches!(
                parse("s", "m", Ok(value)),
                Err(StoreError::Unexpected { .. })
            ));
        }
    }
}
