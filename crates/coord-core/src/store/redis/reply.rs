//! From the client's values and errors to ours.

use std::{error::Error as StdError, sync::Arc};

use redis::{RedisConnectionInfo, RedisError, Value};

use crate::store::{Reply, StoreError};

/// Codes that say: not executed, and not because of what was asked.
const UNAVAILABLE: [&str; 12] = [
    "LOADING",
    "READONLY",
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "MISCONF",
    "BUSY",
    "NOSCRIPT",
    "UNBLOCKED",
];

/// Codes after which another server may be the one to talk to.
const CONDEMNING: [&str; 6] = [
    "READONLY",
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "MOVED",
    "ASK",
];

const CREDENTIALS: [&str; 2] = ["WRONGPASS", "NOAUTH"];

pub(super) fn convert(
    operation: &'static str,
    address: &str,
    value: Value,
) -> Result<Reply, StoreError> {
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Int(number),
        Value::Boolean(value) => Reply::Int(i64::from(value)),
        Value::BulkString(bytes) => Reply::Bytes(bytes),
        Value::SimpleString(text) => Reply::Bytes(text.into_bytes()),
        Value::VerbatimString { text, .. } => Reply::Bytes(text.into_bytes()),
        Value::Okay => Reply::Bytes(b"OK".to_vec()),
        Value::Array(items) | Value::Set(items) => Reply::Array(
            items
                .into_iter()
                .map(|item| convert(operation, address, item))
                .collect::<Result<_, _>>()?,
        ),
        Value::ServerError(error) => return Err(classify(operation, address, error.into())),
        other => {
            return Err(StoreError::Unexpected {
                operation,
                reply: kind_of(&other).to_owned(),
            });
        }
    })
}

pub(super) fn classify(operation: &'static str, address: &str, error: RedisError) -> StoreError {
    let address = address.to_owned();
    if error.is_timeout()
        || error.is_io_error()
        || error.is_connection_dropped()
        || error.code().is_none()
    {
        return StoreError::Broken {
            operation,
            address,
            source: source(error),
        };
    }
    let (code, detail) = code_and_detail(&error);
    if CREDENTIALS.contains(&code.as_str()) {
        StoreError::Credentials {
            operation,
            address,
            code,
        }
    } else if UNAVAILABLE.contains(&code.as_str()) {
        StoreError::Unavailable {
            operation,
            address,
            code,
            detail,
        }
    } else {
        StoreError::Refused {
            operation,
            address,
            code,
            detail,
        }
    }
}

/// The code that matters. Redis 6.2 wraps what a script ran into: `ERR Error running script … -READONLY You can't …`.
fn code_and_detail(error: &RedisError) -> (String, String) {
    let code = shortened(error.code().unwrap_or("ERR"));
    let detail = shortened(error.detail().unwrap_or_default());
    // What a server that wants a password says to a command of many arguments, instead of NOAUTH.
    if code == "ERR" && detail.contains("unauthenticated") {
        return ("NOAUTH".to_owned(), detail);
    }
    // What a script was not allowed has no code of its own: 7.2 and later, then before.
    if detail.contains("ACL failure in script")
        || detail.contains("user executing the script can't")
    {
        return ("NOPERM".to_owned(), detail);
    }
    if code == "ERR" {
        let inner = UNAVAILABLE
            .iter()
            .chain(["OOM", "NOPERM", "WRONGTYPE"].iter())
            .find(|inner| detail.contains(&format!("-{inner} ")));
        if let Some(inner) = inner {
            return ((*inner).to_owned(), detail);
        }
    }
    (code, detail)
}

/// As much of a server's words as fits a log line, without what a terminal would obey.
fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    let mut shown = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if MOST < shown.len() + c.len_utf8() {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}

pub(super) fn is_unknown_script(reply: &Result<Reply, StoreError>) -> bool {
    matches!(reply, Err(StoreError::Unavailable { code, .. }) if code == "NOSCRIPT")
}

/// Whether this reply suggests that the connection leads to the wrong server.
pub(super) fn condemns_connection(reply: &Result<Reply, StoreError>) -> bool {
    matches!(reply, Err(StoreError::Unavailable { code, .. }) if CONDEMNING.contains(&code.as_str()))
}

/// The code of an error that says the credentials are wrong.
fn credentials_code(error: &RedisError) -> Option<String> {
    if error.kind() == redis::ErrorKind::AuthenticationFailed {
        return Some(error.code().unwrap_or("WRONGPASS").to_owned());
    }
    error
        .code()
        .filter(|code| CREDENTIALS.contains(code))
        .map(str::to_owned)
}

/// Whether another server may not have this failure. Codes in `harmless` say nothing against the one that answered.
#[cfg(any(feature = "cluster", feature = "sentinel"))]
pub(super) fn is_suspicious(error: &StoreError, harmless: &[&str]) -> bool {
    match error {
        StoreError::Unavailable { code, .. } => !harmless.contains(&code.as_str()),
        error => error.is_transient(),
    }
}

/// Why no connection was made; `sent` is what the server was told of us, where that is known.
pub(super) fn connect_error(
    operation: &'static str,
    address: &str,
    sent: Option<&RedisConnectionInfo>,
    error: RedisError,
) -> StoreError {
    match credentials_code(&error) {
        Some(code) => StoreError::Credentials {
            operation,
            address: address.to_owned(),
            code,
        },
        None => StoreError::Connect {
            operation,
            address: address.to_owned(),
            source: if repeats(&error, sent) {
                Arc::new(Withheld)
            } else {
                source(error)
            },
        },
    }
}

/// A server that does not know AUTH or HELLO, or means harm, says in its refusal what it was sent.
fn repeats(error: &RedisError, sent: Option<&RedisConnectionInfo>) -> bool {
    let text = error.to_string();
    let password = sent.and_then(RedisConnectionInfo::password);
    text.contains("with args beginning with")
        || password.is_some_and(|password| !password.is_empty() && text.contains(password))
}

/// Stands in for a refusal that repeats the credentials.
#[derive(Debug, thiserror::Error)]
#[error(
    "the server refuses the handshake and repeats what it was sent, so its words are not shown"
)]
struct Withheld;

pub(super) fn source(error: RedisError) -> Arc<dyn StdError + Send + Sync> {
    Arc::new(error)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Map(_) => "a map",
        Value::Double(_) => "a double",
        Value::Push { .. } => "a push message",
        Value::Attribute { .. } => "an attribute",
        _ => "a value of another kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("parses");
        let error = convert("renew", "redis://h:6379/0", value).expect_err("an error");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn server_errors_are_told_apart_by_code() {
        check(
            "READONLY You can't write against a read only replica.",
            "renew: redis://h:6379/0 cannot serve now: READONLY You can't write against a read only replica.",
        );
        check(
            "ERR Error running script (call to f_1): @user_script:1: -NOREPLICAS Not enough good replicas to write. ",
            "renew: redis://h:6379/0 cannot serve now: NOREPLICAS Error running script (call to f_1): @user_script:1: \
             -NOREPLICAS Not enough good replicas to write. ",
        );
        check(
            "OOM command not allowed when used memory > 'maxmemory'.",
            "renew: redis://h:6379/0 refused: OOM command not allowed when used memory > 'maxmemory'.",
        );
        check(
            "ERR Protocol error: unauthenticated multibulk length",
            "renew: redis://h:6379/0 rejected the credentials (NOAUTH); check user and password in the URL",
        );
        check(
            "ERR The user executing the script can't run this command or subcommand script: 87, on @user_script:1.",
            "renew: redis://h:6379/0 refused: NOPERM The user executing the script can't run this command or subcommand \
             script: 87, on @user_script:1.",
        );
        check(
            "ERR ACL failure in script: No permissions to access a key script: 3b, on @user_script:1.",
            "renew: redis://h:6379/0 refused: NOPERM ACL failure in script: No permissions to access a key script: 3b, \
             on @user_script:1.",
        );
        check(
            "NOAUTH Authentication required.",
            "renew: redis://h:6379/0 rejected the credentials (NOAUTH); check user and password in the URL",
        );
    }

    fn server_error(line: &str) -> RedisError {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .and_then(Value::extract_error)
            .expect_err("an error")
    }

    fn reply(line: &str) -> Result<Reply, StoreError> {
        Err(classify("renew", "h", server_error(line)))
    }

    #[test]
    fn what_the_client_says_itself_tells_nothing_of_the_server() {
        let own = RedisError::from((redis::ErrorKind::UnexpectedReturnType, "no such type"));
        let io = RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        for error in [own, io] {
            let error = classify("renew", "h", error);
            assert!(matches!(error, StoreError::Broken { .. }), "{error:?}");
        }
    }

    #[test]
    fn words_of_a_server_are_cut_where_a_log_line_ends() {
        let long = "x".repeat(400);
        assert_eq!(shortened(&long), long);
        assert_eq!(shortened(&format!("{long}y")), format!("{long}…"));
        let almost = "x".repeat(399);
        assert_eq!(shortened(&format!("{almost}é")), format!("{almost}…"));
        assert_eq!(shortened("a\u{1b}[31m\nb"), "a [31m b");
    }

    #[test]
    fn what_an_error_says_of_the_script_and_the_connection() {
        for (line, unknown, condemns) in [
            ("NOSCRIPT No matching script.", true, false),
            ("READONLY You can't write.", false, true),
            ("LOADING Redis is loading.", false, false),
            ("NOPERM no permissions", false, false),
        ] {
            let reply = reply(line);
            assert_eq!(is_unknown_script(&reply), unknown, "{line}");
            assert_eq!(condemns_connection(&reply), condemns, "{line}");
        }
        assert!(!is_unknown_script(&Ok(Reply::Nil)) && !condemns_connection(&Ok(Reply::Nil)));
    }

    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    #[test]
    fn only_what_another_server_may_not_have_is_suspicious() {
        let suspicious = |line: &str| {
            let error = classify("renew", "h", server_error(line));
            is_suspicious(&error, &["LOADING"])
        };
        assert!(suspicious("READONLY You can't write."));
        assert!(!suspicious("LOADING Redis is loading."));
        assert!(!suspicious("NOPERM no permissions"));
    }

    #[test]
    fn a_connection_that_is_refused_says_why_but_not_what_was_sent() {
        let refused = |error: RedisError, password: Option<&str>| {
            let sent = RedisConnectionInfo::default();
            let sent = match password {
                Some(password) => sent.set_password(password),
                None => sent,
            };
            connect_error("connect", "h", Some(&sent), error)
        };
        let code = |error| match refused(error, Some("secret")) {
            StoreError::Credentials { code, .. } => Some(code),
            _ => None,
        };
        assert_eq!(
            code(server_error("NOAUTH no")).as_deref(),
            Some("NOAUTH"),
            "said by the server"
        );
        let client = RedisError::from((redis::ErrorKind::AuthenticationFailed, "no"));
        assert_eq!(code(client).as_deref(), Some("WRONGPASS"));
        assert_eq!(code(server_error("ERR no")), None);

        let shown = |line: &str, password| {
            let error = refused(server_error(line), password);
            let StoreError::Connect { source, .. } = error else {
                panic!("{error:?}");
            };
            !source.to_string().contains("repeats what it was sent")
        };
        assert!(shown("ERR max number of clients reached", Some("secret")));
        assert!(shown("ERR max number of clients reached", Some("")));
        assert!(shown("ERR max number of clients reached", None));
        assert!(!shown("ERR what is secret?", Some("secret")));
        assert!(shown("ERR what is secret?", Some("hidden")));
        assert!(!shown(
            "ERR unknown command, with args beginning with: x",
            None
        ));
    }

    #[test]
    fn a_value_that_nobody_asked_for_is_named() {
        let push = Value::Push {
            kind: redis::PushKind::Message,
            data: Vec::new(),
        };
        let attribute = Value::Attribute {
            data: Box::new(Value::Nil),
            attributes: Vec::new(),
        };
        for (value, expected) in [
            (Value::Map(Vec::new()), "a map"),
            (Value::Double(1.0), "a double"),
            (push, "a push message"),
            (attribute, "an attribute"),
        ] {
            let error = convert("renew", "h", value).expect_err("not understood");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
