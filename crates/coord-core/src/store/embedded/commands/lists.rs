//! Lists.

use super::{
    super::{
        db::{Db, List},
        resp::{CommandError, CommandResult, Resp, clamp_range, integer, parse_i64},
    },
    Args,
};

pub(super) fn lpush(db: &mut Db, args: Args<'_>) -> CommandResult {
    push(db, args, List::push_front)
}

pub(super) fn rpush(db: &mut Db, args: Args<'_>) -> CommandResult {
    push(db, args, List::push_back)
}

fn push(db: &mut Db, args: Args<'_>, place: fn(&mut List, Vec<u8>)) -> CommandResult {
    let list = db.find_or_create::<List>(args[1])?;
    for element in &args[2..] {
        place(list, element.to_vec());
    }
    Ok(Resp::count(list.len()))
}

pub(super) fn lpop(db: &mut Db, args: Args<'_>) -> CommandResult {
    pop(db, args, "lpop", List::pop_front)
}

pub(super) fn rpop(db: &mut Db, args: Args<'_>) -> CommandResult {
    pop(db, args, "rpop", List::pop_back)
}

fn pop(
    db: &mut Db,
    args: Args<'_>,
    command: &str,
    take: fn(&mut List) -> Option<Vec<u8>>,
) -> CommandResult {
    let count = match &args[2..] {
        [] => None,
        [count] => Some(positive_count(count)?),
        _ => return Err(CommandError::arity(command)),
    };
    let Some(list) = db.find::<List>(args[1])? else {
        return Ok(Resp::Nil);
    };
    let popped = match count {
        None => Resp::optional(take(list)),
        Some(count) => {
            let elements = std::iter::from_fn(|| take(list)).take(count);
            Resp::Array(elements.map(Resp::Bulk).collect())
        }
    };
    db.drop_if_empty(args[1]);
    Ok(popped)
}

/// The optional count of a command that pops.
pub(super) fn positive_count(text: &[u8]) -> Result<usize, CommandError> {
    parse_i64(text)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or(CommandError::NOT_POSITIVE)
}

pub(super) fn llen(db: &mut Db, args: Args<'_>) -> CommandResult {
    let length = db.find::<List>(args[1])?.map_or(0, |list| list.len());
    Ok(Resp::count(length))
}

pub(super) fn lrange(db: &mut Db, args: Args<'_>) -> CommandResult {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let Some(list) = db.find::<List>(args[1])? else {
        return Ok(Resp::Array(Vec::new()));
    };
    let range = clamp_range(start, stop, list.len());
    Ok(Resp::Array(
        list.range(range)
            .map(|element| Resp::bulk(&element[..]))
            .collect(),
    ))
}

pub(super) fn lindex(db: &mut Db, args: Args<'_>) -> CommandResult {
    let Some(list) = db.find::<List>(args[1])? else {
        return Ok(Resp::Nil);
    };
    let index = integer(args[2])?;
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let from_start = if index < 0 {
        index.saturating_add(length)
    } else {
        index
    };
    let element = usize::try_from(from_start)
        .ok()
        .and_then(|index| list.get(index));
    Ok(Resp::optional(element.cloned()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;

    #[test]
    fn both_ends_work() {
        check(&[
            ("RPUSH l a b c", "3"),
            ("LPUSH l x y", "5"),
            ("LRANGE l 0 -1", "[\"y\" \"x\" \"a\" \"b\" \"c\"]"),
            ("LRANGE l 1 2", "[\"x\" \"a\"]"),
            ("LINDEX l -1", "\"c\""),
            ("LINDEX l 9", "nil"),
            ("LPOP l", "\"y\""),
            ("RPOP l 2", "[\"c\" \"b\"]"),
            ("LPOP l -1", "!ERR value is out of range, must be positive"),
            ("LPOP l 0", "[]"),
            ("LPOP l 9", "[\"x\" \"a\"]"),
            ("LLEN l", "0"),
            ("EXISTS l", "0"),
            ("LPOP l", "nil"),
        ]);
    }
}
