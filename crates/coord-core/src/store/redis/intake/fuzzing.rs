//! The door for the fuzz target `frames`.

use redis::Value;

use super::{
    Refusal,
    frames::{Frame, Frames},
};

/// Follows what a server sends in `bytes`, as large as `limit` allows.
///
/// # Panics
///
/// Where messages end elsewhere than for the client, depend on how the bytes come in, or cost less than they hold.
pub fn frames(bytes: &[u8], limit: u64) {
    let whole = follow(bytes, bytes.len().max(1), limit);
    for step in [1, 2, 7] {
        let parts = follow(bytes, step, limit);
        assert_eq!(whole, parts, "in steps of {step}");
    }
    let (found, refusal) = whole;
    let values = values(bytes);
    // What the client takes is refused for its size alone, or for a length that is filled up with blanks.
    let may_be_padded = String::from_utf8_lossy(bytes)
        .split("\r\n")
        .any(|line| 30 < line.len());
    match refusal {
        Some(Refusal::NotResp) if may_be_padded => {}
        None | Some(Refusal::NotResp) => assert!(values.len() <= found.len(), "{values:?}"),
        Some(Refusal::TooLarge { .. } | Refusal::TooLong | Refusal::TooDeep) => {}
    }
    let mut start = 0;
    for (end, frame) in found {
        let message = &bytes[start..end];
        assert!(frame.cost <= limit, "{frame:?}");
        // The client may refuse what this follows, but it must not wait for more, or for less.
        match redis::parse_redis_value(message) {
            Ok(value) => {
                let held = held(&value);
                assert!(held <= frame.cost, "{held} bytes for {frame:?}: {value:?}");
                assert!(
                    !is_confirmation(&value) || frame.is_confirmation,
                    "{value:?}"
                );
                let shorter = redis::parse_redis_value(&message[..message.len() - 1]);
                assert!(shorter.is_err(), "{value:?} ends before");
            }
            Err(error) => assert!(!error.is_io_error(), "{error}"),
        }
        start = end;
    }
}

/// Where each message ends, and what it costs; and why it goes no further.
type Followed = (Vec<(usize, Frame)>, Option<Refusal>);

fn follow(bytes: &[u8], step: usize, limit: u64) -> Followed {
    let mut frames = Frames::new(limit);
    let (mut found, mut taken) = (Vec::new(), 0);
    for mut part in bytes.chunks(step) {
        let end = taken + part.len();
        loop {
            match frames.next(&mut part) {
                Ok(Some(frame)) => found.push((end - part.len(), frame)),
                Ok(None) => break,
                Err(refusal) => return (found, Some(refusal)),
            }
        }
        taken = end;
    }
    (found, None)
}

/// What the client reads, up to the first that it refuses.
fn values(mut bytes: &[u8]) -> Vec<Value> {
    let mut parser = redis::Parser::new();
    std::iter::from_fn(|| parser.parse_value(&mut bytes).ok()).collect()
}

/// What `value` takes, in bytes.
fn held(value: &Value) -> u64 {
    let own = size_of::<Value>();
    let all = |values: &Vec<Value>| {
        let spare = (values.capacity() - values.len()) * own;
        spare as u64 + values.iter().map(held).sum::<u64>()
    };
    let pairs = |pairs: &Vec<(Value, Value)>| {
        let spare = (pairs.capacity() - pairs.len()) * 2 * own;
        let both = pairs.iter().map(|(key, value)| held(key) + held(value));
        spare as u64 + both.sum::<u64>()
    };
    own as u64
        + match value {
            Value::BulkString(bytes) => bytes.len() as u64,
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.len() as u64,
            Value::Array(values) | Value::Set(values) => all(values),
            Value::Push { data, .. } => all(data),
            Value::Map(map) => pairs(map),
            Value::Attribute { data, attributes } => held(data) + pairs(attributes),
            _ => 0,
        }
}

/// Whether the client adds `value` to its list of subscriptions.
fn is_confirmation(value: &Value) -> bool {
    use redis::PushKind::{
        PSubscribe, PUnsubscribe, SSubscribe, SUnsubscribe, Subscribe, Unsubscribe,
    };
    match value {
        Value::Push { kind, .. } => matches!(
            kind,
            Subscribe | PSubscribe | SSubscribe | Unsubscribe | PUnsubscribe | SUnsubscribe
        ),
        Value::Array(values) => matches!(
            values.first(),
            Some(Value::BulkString(word)) if word.ends_with(b"subscribe") && word.len() <= 12
        ),
        _ => false,
    }
}
