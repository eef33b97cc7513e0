//! Hashes; fields come sorted, where Redis promises no order.

use super::{
    super::{
        db::{Db, Hash},
        resp::{CommandError, CommandResult, Resp, integer},
    },
    Args,
};

pub(super) fn hget(db: &mut Db, args: Args<'_>) -> CommandResult {
    let hash = db.find::<Hash>(args[1])?;
    Ok(Resp::optional(
        hash.and_then(|hash| hash.get(args[2]).cloned()),
    ))
}

pub(super) fn hset(db: &mut Db, args: Args<'_>) -> CommandResult {
    set_fields(db, args, "hset").map(Resp::count)
}

pub(super) fn hmset(db: &mut Db, args: Args<'_>) -> CommandResult {
    set_fields(db, args, "hmset").map(|_| Resp::OK)
}

/// Sets all fields; how many are new.
fn set_fields(db: &mut Db, args: Args<'_>, command: &str) -> Result<usize, CommandError> {
    let (pairs, []) = args[2..].as_chunks::<2>() else {
        return Err(CommandError::arity(command));
    };
    let hash = db.find_or_create::<Hash>(args[1])?;
    let new = pairs
        .iter()
        .filter(|[field, value]| match hash.get_mut(*field) {
            Some(current) => {
                current.clear();
                current.extend_from_slice(value);
                false
            }
            None => hash.insert(field.to_vec(), value.to_vec()).is_none(),
        });
    Ok(new.count())
}

pub(super) fn hsetnx(db: &mut Db, args: Args<'_>) -> CommandResult {
    let hash = db.find_or_create::<Hash>(args[1])?;
    let absent = !hash.contains_key(args[2]);
    if absent {
        hash.insert(args[2].to_vec(), args[3].to_vec());
    }
    Ok(Resp::flag(absent))
}

pub(super) fn hmget(db: &mut Db, args: Args<'_>) -> CommandResult {
    let hash = db.find::<Hash>(args[1])?;
    let values = args[2..].iter().map(|field| {
        let value = hash.as_ref().and_then(|hash| hash.get(*field));
        Resp::optional(value.cloned())
    });
    Ok(Resp::Array(values.collect()))
}

pub(super) fn hgetall(db: &mut Db, args: Args<'_>) -> CommandResult {
    collect(db, args, |field, value, out| {
        out.push(Resp::bulk(field));
        out.push(Resp::bulk(value));
    })
}

pub(super) fn hkeys(db: &mut Db, args: Args<'_>) -> CommandResult {
    collect(db, args, |field, _, out| out.push(Resp::bulk(field)))
}

pub(super) fn hvals(db: &mut Db, args: Args<'_>) -> CommandResult {
    collect(db, args, |_, value, out| out.push(Resp::bulk(value)))
}

fn collect(
    db: &mut Db,
    args: Args<'_>,
    pick: impl Fn(&[u8], &[u8], &mut Vec<Resp>),
) -> CommandResult {
    let mut out = Vec::new();
    if let Some(hash) = db.find::<Hash>(args[1])? {
        for (field, value) in hash {
            pick(field, value, &mut out);
        }
    }
    Ok(Resp::Array(out))
}

pub(super) fn hdel(db: &mut Db, args: Args<'_>) -> CommandResult {
    let Some(hash) = db.find::<Hash>(args[1])? else {
        return Ok(Resp::Int(0));
    };
    let removed = args[2..]
        .iter()
        .filter(|field| hash.remove(**field).is_some())
        .count();
    db.drop_if_empty(args[1]);
    Ok(Resp::count(removed))
}

pub(super) fn hexists(db: &mut Db, args: Args<'_>) -> CommandResult {
    let hash = db.find::<Hash>(args[1])?;
    Ok(Resp::flag(
        hash.is_some_and(|hash| hash.contains_key(args[2])),
    ))
}

pub(super) fn hlen(db: &mut Db, args: Args<'_>) -> CommandResult {
    let length = db.find::<Hash>(args[1])?.map_or(0, |hash| hash.len());
    Ok(Resp::count(length))
}

/// One page holds all, as with every small hash in Redis.
pub(super) fn hscan(db: &mut Db, args: Args<'_>) -> CommandResult {
    integer(args[2])?;
    match &args[3..] {
        [] => {}
        [option, count] if option.eq_ignore_ascii_case(b"count") => {
            if integer(count)? < 1 {
                return Err(CommandError::new("ERR syntax error"));
            }
        }
        _ => return Err(CommandError::new("ERR syntax error")),
    }
    let fields = hgetall(db, args)?;
    Ok(Resp::Array(vec![Resp::bulk(*b"0"), fields]))
}

pub(super) fn hincrby(db: &mut Db, args: Args<'_>) -> CommandResult {
    let by = integer(args[3])?;
    let current = db.find::<Hash>(args[1])?.and_then(|hash| hash.get(args[2]));
    let before = match current {
        Some(text) => {
            integer(text).map_err(|_| CommandError::new("ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let after = before.checked_add(by).ok_or(CommandError::OVERFLOW)?;
    db.find_or_create::<Hash>(args[1])?
        .insert(args[2].to_vec(), after.to_string().into_bytes());
    Ok(Resp::Int(after))
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;

    #[test]
    fn fields_come_and_go() {
        check(&[
            ("HSET h a 1 b 2", "2"),
            ("HSET h a 3 c 4", "1"),
            (
                "HSET h a 3 c",
                "!ERR wrong number of arguments for 'hset' command",
            ),
            ("HMSET h d 5", "OK"),
            ("HSETNX h a 9", "0"),
            ("HGET h a", "\"3\""),
            ("HMGET h a x", "[\"3\" nil]"),
            ("HMGET none a", "[nil]"),
            (
                "HGETALL h",
                "[\"a\" \"3\" \"b\" \"2\" \"c\" \"4\" \"d\" \"5\"]",
            ),
            ("HKEYS none", "[]"),
            ("HSCAN none 0", "[\"0\" []]"),
            (
                "HSCAN h 0 COUNT 1",
                "[\"0\" [\"a\" \"3\" \"b\" \"2\" \"c\" \"4\" \"d\" \"5\"]]",
            ),
            ("HSCAN h x", "!ERR value is not an integer or out of range"),
            ("HSCAN h 0 COUNT 0", "!ERR syntax error"),
            ("HSCAN h 0 MATCH a", "!ERR syntax error"),
            ("HINCRBY h a 4", "7"),
            (
                "HINCRBY h e x",
                "!ERR value is not an integer or out of range",
            ),
            ("HSET h w word", "1"),
            ("HINCRBY h w 1", "!ERR hash value is not an integer"),
            ("HLEN h", "5"),
            ("HEXISTS h w", "1"),
            ("HDEL h a b c d w w", "5"),
            ("EXISTS h", "0"),
            ("SET s 1", "OK"),
            (
                "HGET s a",
                "!WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ]);
    }
}
