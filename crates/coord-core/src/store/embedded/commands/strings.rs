//! Strings.

use super::{
    super::{
        db::{Db, Entry, Value},
        resp::{CommandError, CommandResult, MAX_STRING, Resp, clamp_range, integer},
    },
    Args,
    keys::invalid_expire_time,
};

pub(super) fn get(db: &mut Db, args: Args<'_>) -> CommandResult {
    let value = db.find::<Vec<u8>>(args[1])?;
    Ok(Resp::optional(value.cloned()))
}

pub(super) fn getset(db: &mut Db, args: Args<'_>) -> CommandResult {
    let before = get(db, args)?;
    db.put(args[1], Value::String(args[2].to_vec()));
    Ok(before)
}

pub(super) fn set(db: &mut Db, args: Args<'_>) -> CommandResult {
    let options = SetOptions::parse(&args[3..])?;
    let expires_at_ms = options.expires_at_ms(db.now_ms())?;
    let before = if options.get {
        Some(get(db, args)?)
    } else {
        None
    };
    let current = db.entry(args[1]);
    let refused = if current.is_some() {
        options.only_absent
    } else {
        options.only_present
    };
    if refused {
        return Ok(before.unwrap_or(Resp::Nil));
    }
    let kept = current
        .filter(|_| options.keep_ttl)
        .and_then(|entry| entry.expires_at_ms);
    let entry = Entry {
        value: Value::String(args[2].to_vec()),
        expires_at_ms: expires_at_ms.or(kept),
    };
    db.put_entry(args[1], entry);
    Ok(before.unwrap_or(Resp::OK))
}

#[derive(Default)]
struct SetOptions<'a> {
    only_absent: bool,
    only_present: bool,
    keep_ttl: bool,
    get: bool,
    expiry: Option<Expiry<'a>>,
}

struct Expiry<'a> {
    time: &'a [u8],
    unit_ms: i64,
    relative: bool,
}

impl<'a> SetOptions<'a> {
    fn parse(mut rest: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        while let [option, after @ ..] = rest {
            rest = after;
            let (unit_ms, relative) = match option.to_ascii_lowercase().as_slice() {
                b"nx" if !options.only_present => {
                    options.only_absent = true;
                    continue;
                }
                b"xx" if !options.only_absent => {
                    options.only_present = true;
                    continue;
                }
                b"get" => {
                    options.get = true;
                    continue;
                }
                b"keepttl" if options.expiry.is_none() => {
                    options.keep_ttl = true;
                    continue;
                }
                b"ex" => (1_000, true),
                b"px" => (1, true),
                b"exat" => (1_000, false),
                b"pxat" => (1, false),
                _ => return Err(CommandError::SYNTAX),
            };
            let [time, after @ ..] = rest else {
                return Err(CommandError::SYNTAX);
            };
            if options.keep_ttl || options.expiry.is_some() {
                return Err(CommandError::SYNTAX);
            }
            rest = after;
            options.expiry = Some(Expiry {
                time,
                unit_ms,
                relative,
            });
        }
        Ok(options)
    }

    fn expires_at_ms(&self, now_ms: i64) -> Result<Option<i64>, CommandError> {
        let Some(expiry) = &self.expiry else {
            return Ok(None);
        };
        let time = integer(expiry.time)?;
        let base_ms = if expiry.relative { now_ms } else { 0 };
        (0 < time)
            .then_some(time)
            .and_then(|time| time.checked_mul(expiry.unit_ms))
            .and_then(|ms| ms.checked_add(base_ms))
            .map(Some)
            .ok_or_else(|| invalid_expire_time("set"))
    }
}

pub(super) fn setnx(db: &mut Db, args: Args<'_>) -> CommandResult {
    let absent = db.entry(args[1]).is_none();
    if absent {
        db.put(args[1], Value::String(args[2].to_vec()));
    }
    Ok(Resp::flag(absent))
}

pub(super) fn mget(db: &mut Db, args: Args<'_>) -> CommandResult {
    let values = args[1..].iter().map(|key| {
        // A key of another type answers like an absent one.
        let value = db.find::<Vec<u8>>(key).unwrap_or_default();
        Resp::optional(value.cloned())
    });
    Ok(Resp::Array(values.collect()))
}

pub(super) fn mset(db: &mut Db, args: Args<'_>) -> CommandResult {
    let (pairs, []) = args[1..].as_chunks::<2>() else {
        return Err(CommandError::arity("mset"));
    };
    for [key, value] in pairs {
        db.put(key, Value::String(value.to_vec()));
    }
    Ok(Resp::OK)
}

pub(super) fn incr(db: &mut Db, args: Args<'_>) -> CommandResult {
    add(db, args[1], 1)
}

pub(super) fn decr(db: &mut Db, args: Args<'_>) -> CommandResult {
    add(db, args[1], -1)
}

pub(super) fn incrby(db: &mut Db, args: Args<'_>) -> CommandResult {
    let by = integer(args[2])?;
    add(db, args[1], by)
}

fn add(db: &mut Db, key: &[u8], by: i64) -> CommandResult {
    let before = match db.find::<Vec<u8>>(key)? {
        Some(text) => integer(text)?,
        None => 0,
    };
    let after = before.checked_add(by).ok_or(CommandError::OVERFLOW)?;
    *db.find_or_create::<Vec<u8>>(key)? = after.to_string().into_bytes();
    Ok(Resp::Int(after))
}

pub(super) fn setrange(db: &mut Db, args: Args<'_>) -> CommandResult {
    let (offset, patch) = (integer(args[2])?, args[3]);
    let offset =
        usize::try_from(offset).map_err(|_| CommandError::new("ERR offset is out of range"))?;
    let length = db.find::<Vec<u8>>(args[1])?.map_or(0, |value| value.len());
    if patch.is_empty() {
        return Ok(Resp::count(length));
    }
    let end = offset
        .checked_add(patch.len())
        .filter(|&end| end <= MAX_STRING)
        .ok_or(CommandError::TOO_LONG)?;
    let value = db.find_or_create::<Vec<u8>>(args[1])?;
    if value.len() < end {
        value.resize(end, 0);
    }
    value[offset..end].copy_from_slice(patch);
    Ok(Resp::count(value.len()))
}

pub(super) fn getrange(db: &mut Db, args: Args<'_>) -> CommandResult {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let Some(value) = db.find::<Vec<u8>>(args[1])? else {
        return Ok(Resp::bulk([]));
    };
    if stop < start && start < 0 {
        return Ok(Resp::bulk([]));
    }
    // Unlike with a list, a stop before the first byte is moved to it.
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let range = clamp_range(start, stop.max(-length), value.len());
    Ok(Resp::bulk(&value[range]))
}

pub(super) fn strlen(db: &mut Db, args: Args<'_>) -> CommandResult {
    let length = db.find::<Vec<u8>>(args[1])?.map_or(0, |value| value.len());
    Ok(Resp::count(length))
}

pub(super) fn append(db: &mut Db, args: Args<'_>) -> CommandResult {
    let value = db.find_or_create::<Vec<u8>>(args[1])?;
    if MAX_STRING < value.len() + args[2].len() {
        return Err(CommandError::TOO_LONG);
    }
    value.extend_from_slice(args[2]);
    Ok(Resp::count(value.len()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;

    #[test]
    fn set_honours_its_options() {
        check(&[
            ("SET a 1 NX PX 5000", "OK"),
            ("SET a 2 NX", "nil"),
            ("SET b 2 XX", "nil"),
            ("SET a 3 XX KEEPTTL GET", "\"1\""),
            ("PTTL a", "5000"),
            ("SET a 4", "OK"),
            ("PTTL a", "-1"),
            ("SET a 5 PXAT 1002000", "OK"),
            ("PTTL a", "2000"),
            ("SET a 5 PX 0", "!ERR invalid expire time in 'set' command"),
            (
                "SET a 5 PX x",
                "!ERR value is not an integer or out of range",
            ),
            ("SET a 5 PX", "!ERR syntax error"),
            ("SET a 5 NX XX", "!ERR syntax error"),
            ("SET a 5 PX 1 KEEPTTL", "!ERR syntax error"),
            ("HSET h f v", "1"),
            (
                "GET h",
                "!WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "SET h 1 GET",
                "!WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("MGET a h none", "[\"5\" nil nil]"),
            ("SET h 1", "OK"),
            ("GETSET h 2", "\"1\""),
        ]);
    }

    #[test]
    fn numbers_and_ranges() {
        check(&[
            ("INCR n", "1"),
            ("INCRBY n 41", "42"),
            (
                "INCRBY n 9223372036854775807",
                "!ERR increment or decrement would overflow",
            ),
            ("SET s hello", "OK"),
            ("INCR s", "!ERR value is not an integer or out of range"),
            ("GETRANGE s 1 3", "\"ell\""),
            ("GETRANGE s -3 -1", "\"llo\""),
            ("GETRANGE s 3 1", "\"\""),
            ("GETRANGE s -1 -3", "\"\""),
            ("GETRANGE s 0 -9", "\"h\""),
            ("SETRANGE s 7 x", "8"),
            ("GETRANGE s 4 -1", "\"o\\0\\0x\""),
            ("SETRANGE s -1 x", "!ERR offset is out of range"),
            (
                "SETRANGE t 536870912 x",
                "!ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            ),
            ("EXISTS t", "0"),
            ("APPEND t ab", "2"),
            ("STRLEN t", "2"),
            (
                "MSET a 1 b",
                "!ERR wrong number of arguments for 'mset' command",
            ),
        ]);
    }
}
