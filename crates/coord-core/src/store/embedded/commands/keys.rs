//! Commands on keys of any type: existence, expiry, names.

use super::{
    super::{
        db::Db,
        resp::{CommandError, CommandResult, Resp, integer},
    },
    Args,
};

pub(super) fn type_of(db: &mut Db, args: Args<'_>) -> CommandResult {
    let name = db
        .entry(args[1])
        .map_or("none", |entry| entry.value.type_name());
    Ok(Resp::Status(name))
}

pub(super) fn exists(db: &mut Db, args: Args<'_>) -> CommandResult {
    let found = args[1..].iter().filter(|key| db.entry(key).is_some());
    Ok(Resp::count(found.count()))
}

pub(super) fn del(db: &mut Db, args: Args<'_>) -> CommandResult {
    let removed = args[1..].iter().filter(|key| db.take(key).is_some());
    Ok(Resp::count(removed.count()))
}

pub(super) fn expire(db: &mut Db, args: Args<'_>) -> CommandResult {
    set_expiry(db, args, "expire", 1_000, db.now_ms())
}

pub(super) fn pexpire(db: &mut Db, args: Args<'_>) -> CommandResult {
    set_expiry(db, args, "pexpire", 1, db.now_ms())
}

pub(super) fn expireat(db: &mut Db, args: Args<'_>) -> CommandResult {
    set_expiry(db, args, "expireat", 1_000, 0)
}

pub(super) fn pexpireat(db: &mut Db, args: Args<'_>) -> CommandResult {
    set_expiry(db, args, "pexpireat", 1, 0)
}

fn set_expiry(
    db: &mut Db,
    args: Args<'_>,
    command: &str,
    unit_ms: i64,
    base_ms: i64,
) -> CommandResult {
    let condition = Condition::parse(&args[3..])?;
    let at_ms = integer(args[2])?
        .checked_mul(unit_ms)
        .and_then(|ms| ms.checked_add(base_ms))
        .ok_or_else(|| invalid_expire_time(command))?;
    let now_ms = db.now_ms();
    let Some(entry) = db.entry(args[1]) else {
        return Ok(Resp::Int(0));
    };
    if !condition.allows(entry.expires_at_ms, at_ms) {
        return Ok(Resp::Int(0));
    }
    if at_ms <= now_ms {
        db.take(args[1]);
    } else {
        entry.expires_at_ms = Some(at_ms);
    }
    Ok(Resp::Int(1))
}

pub(super) fn invalid_expire_time(command: &str) -> CommandError {
    CommandError::owned(format!("ERR invalid expire time in '{command}' command"))
}

/// The options of the EXPIRE family.
#[derive(Default)]
struct Condition {
    without: bool,
    with: bool,
    later: bool,
    earlier: bool,
}

impl Condition {
    fn parse(options: Args<'_>) -> Result<Self, CommandError> {
        let mut condition = Self::default();
        for option in options {
            match option.to_ascii_lowercase().as_slice() {
                b"nx" => condition.without = true,
                b"xx" => condition.with = true,
                b"gt" => condition.later = true,
                b"lt" => condition.earlier = true,
                _ => {
                    let option = String::from_utf8_lossy(option);
                    return Err(CommandError::owned(format!(
                        "ERR Unsupported option {option}"
                    )));
                }
            }
        }
        if condition.without && (condition.with || condition.later || condition.earlier) {
            return Err(CommandError::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if condition.later && condition.earlier {
            return Err(CommandError::new(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(condition)
    }

    /// A key without an expiry counts as one that expires after all others.
    fn allows(&self, current: Option<i64>, new: i64) -> bool {
        let refused = self.without && current.is_some()
            || self.with && current.is_none()
            || self.later && current.is_none_or(|current| new <= current)
            || self.earlier && current.is_some_and(|current| current <= new);
        !refused
    }
}

pub(super) fn ttl(db: &mut Db, args: Args<'_>) -> CommandResult {
    Ok(match remaining(db, args[1]) {
        ms @ ..0 => Resp::Int(ms),
        ms => Resp::Int((ms + 500) / 1_000),
    })
}

pub(super) fn pttl(db: &mut Db, args: Args<'_>) -> CommandResult {
    Ok(Resp::Int(remaining(db, args[1])))
}

/// Milliseconds until a key expires; -1 where it does not, -2 where there is none.
fn remaining(db: &mut Db, key: &[u8]) -> i64 {
    let now_ms = db.now_ms();
    db.entry(key)
        .map_or(-2, |entry| entry.expires_at_ms.map_or(-1, |at| at - now_ms))
}

pub(super) fn persist(db: &mut Db, args: Args<'_>) -> CommandResult {
    let had_expiry = db
        .entry(args[1])
        .is_some_and(|entry| entry.expires_at_ms.take().is_some());
    Ok(Resp::flag(had_expiry))
}

pub(super) fn rename(db: &mut Db, args: Args<'_>) -> CommandResult {
    let entry = db.take(args[1]).ok_or(NO_SUCH_KEY)?;
    db.put_entry(args[2], entry);
    Ok(Resp::OK)
}

pub(super) fn renamenx(db: &mut Db, args: Args<'_>) -> CommandResult {
    if db.entry(args[1]).is_none() {
        return Err(NO_SUCH_KEY);
    }
    if db.entry(args[2]).is_some() {
        return Ok(Resp::Int(0));
    }
    rename(db, args)?;
    Ok(Resp::Int(1))
}

const NO_SUCH_KEY: CommandError = CommandError::new("ERR no such key");

#[cfg(test)]
mod tests {
    use super::super::testing::{check, run};
    use super::*;

    #[test]
    fn names_and_types() {
        check(&[
            ("TYPE a", "none"),
            ("RENAME a b", "!ERR no such key"),
            ("SET a 1 PX 5000", "OK"),
            ("HSET h f v", "1"),
            ("TYPE h", "hash"),
            ("EXISTS a h a x", "3"),
            ("RENAMENX a h", "0"),
            ("RENAMENX a a", "0"),
            ("RENAME a a", "OK"),
            ("RENAME a h", "OK"),
            ("PTTL h", "5000"),
            ("GET h", "\"1\""),
            ("DEL h h nothing", "1"),
        ]);
    }

    #[test]
    fn conditions_on_expiry() {
        check(&[
            ("PEXPIRE a 10", "0"),
            ("SET a 1", "OK"),
            ("PTTL b", "-2"),
            ("TTL a", "-1"),
            ("PEXPIRE a 5000 GT", "0"),
            ("PEXPIRE a 5000 XX", "0"),
            ("PEXPIRE a 5000 LT", "1"),
            ("PEXPIRE a 6000 NX", "0"),
            ("PEXPIRE a 6000 LT", "0"),
            ("PEXPIRE a 6499 GT", "1"),
            ("TTL a", "6"),
            ("PERSIST a", "1"),
            ("PERSIST a", "0"),
            ("PEXPIREAT a 1000001", "1"),
            ("PTTL a", "1"),
            (
                "PEXPIRE a 9223372036854775807",
                "!ERR invalid expire time in 'pexpire' command",
            ),
            ("EXPIRE a x", "!ERR value is not an integer or out of range"),
            ("EXPIRE a -1", "1"),
            ("EXISTS a", "0"),
        ]);
    }

    #[test]
    fn an_expired_key_is_absent() {
        let ms = std::time::Duration::from_millis;
        let mut db = Db::new(1);
        db.begin(ms(1_000));
        run(&mut db, "SET a 1 PX 10").unwrap();
        db.begin(ms(1_009));
        assert_eq!(run(&mut db, "PTTL a"), Ok(Resp::Int(1)));
        assert_eq!(db.keys(), [b"a"]);
        db.begin(ms(1_010));
        assert!(db.keys().is_empty());
        assert_eq!(run(&mut db, "DEL a"), Ok(Resp::Int(0)));
    }
}
