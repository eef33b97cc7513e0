//! Sets. What is picked at random is picked by the engine's seed.

use std::sync::Arc;

use super::{
    super::{
        db::{Db, Value},
        resp::{CommandError, CommandResult, Resp, integer},
        sets::MemberSet,
    },
    Args,
    lists::positive_count,
};

pub(super) fn sadd(db: &mut Db, args: Args<'_>) -> CommandResult {
    let set = db.find_or_create::<MemberSet>(args[1])?;
    let added = args[2..].iter().filter(|member| set.insert(member));
    Ok(Resp::count(added.count()))
}

pub(super) fn srem(db: &mut Db, args: Args<'_>) -> CommandResult {
    let Some(set) = db.find::<MemberSet>(args[1])? else {
        return Ok(Resp::Int(0));
    };
    let removed = args[2..].iter().filter(|member| set.remove(member)).count();
    db.drop_if_empty(args[1]);
    Ok(Resp::count(removed))
}

pub(super) fn sismember(db: &mut Db, args: Args<'_>) -> CommandResult {
    let set = db.find::<MemberSet>(args[1])?;
    Ok(Resp::flag(set.is_some_and(|set| set.contains(args[2]))))
}

pub(super) fn scard(db: &mut Db, args: Args<'_>) -> CommandResult {
    let count = db.find::<MemberSet>(args[1])?.map_or(0, |set| set.len());
    Ok(Resp::count(count))
}

pub(super) fn smembers(db: &mut Db, args: Args<'_>) -> CommandResult {
    let set = db.find::<MemberSet>(args[1])?;
    Ok(bulks(set.map_or(&[], |set| set.members())))
}

fn bulks(members: &[Arc<[u8]>]) -> Resp {
    Resp::Array(
        members
            .iter()
            .map(|member| Resp::bulk(&member[..]))
            .collect(),
    )
}

pub(super) fn spop(db: &mut Db, args: Args<'_>) -> CommandResult {
    let count = match &args[2..] {
        [] => None,
        [count] => Some(positive_count(count)?),
        _ => return Err(CommandError::SYNTAX),
    };
    let mut rng = db.rng.fork();
    let Some(set) = db.find::<MemberSet>(args[1])? else {
        return Ok(count.map_or(Resp::Nil, |_| Resp::Array(Vec::new())));
    };
    let mut popped = Vec::new();
    while popped.len() < count.unwrap_or(1) && !set.is_empty() {
        let member = set.members()[rng.usize(..set.len())].clone();
        set.remove(&member);
        popped.push(member);
    }
    db.drop_if_empty(args[1]);
    Ok(match count {
        None => Resp::optional(popped.pop().map(|member| member.to_vec())),
        Some(_) => bulks(&popped),
    })
}

pub(super) fn srandmember(db: &mut Db, args: Args<'_>) -> CommandResult {
    let count = match &args[2..] {
        [] => None,
        [count] => Some(integer(count)?),
        _ => return Err(CommandError::SYNTAX),
    };
    let mut rng = db.rng.fork();
    let Some(set) = db.find::<MemberSet>(args[1])? else {
        return Ok(count.map_or(Resp::Nil, |_| Resp::Array(Vec::new())));
    };
    let members = set.members();
    let Some(count) = count else {
        return Ok(Resp::bulk(&members[rng.usize(..members.len())][..]));
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        if MAX_REPEATED_PICKS < wanted {
            return Err(CommandError::new("ERR value is out of range"));
        }
        let picks = (0..wanted).map(|_| Resp::bulk(&members[rng.usize(..members.len())][..]));
        return Ok(Resp::Array(picks.collect()));
    }
    Ok(bulks(&rng.choose_multiple(members.iter().cloned(), wanted)))
}

/// How many members one SRANDMEMBER with a negative count answers: a bound on its memory.
const MAX_REPEATED_PICKS: usize = 1_048_576;

pub(super) fn sunionstore(db: &mut Db, args: Args<'_>) -> CommandResult {
    let mut union = MemberSet::default();
    for key in &args[2..] {
        if let Some(set) = db.find::<MemberSet>(key)? {
            for member in set.members() {
                union.insert(member);
            }
        }
    }
    let count = union.len();
    if union.is_empty() {
        db.take(args[1]);
    } else {
        db.put(args[1], Value::Set(union));
    }
    Ok(Resp::count(count))
}

pub(super) fn smove(db: &mut Db, args: Args<'_>) -> CommandResult {
    let [_, source, destination, member] = args else {
        return Err(CommandError::arity("smove"));
    };
    // Absence of the source is answered before the type of the destination is looked at.
    if db.find::<MemberSet>(source)?.is_none() {
        return Ok(Resp::Int(0));
    }
    db.find::<MemberSet>(destination)?;
    let held = db
        .find::<MemberSet>(source)?
        .is_some_and(|set| set.contains(member));
    if held && source != destination {
        if let Some(set) = db.find::<MemberSet>(source)? {
            set.remove(member);
        }
        db.drop_if_empty(source);
        db.find_or_create::<MemberSet>(destination)?.insert(member);
    }
    Ok(Resp::flag(held))
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;

    #[test]
    fn members_come_and_go() {
        check(&[
            ("SADD s a b a", "2"),
            ("SISMEMBER s a", "1"),
            ("SMOVE s t a", "1"),
            ("SMOVE s t x", "0"),
            ("SMOVE none t x", "0"),
            ("SMEMBERS t", "[\"a\"]"),
            ("SUNIONSTORE u s t none", "2"),
            ("SCARD u", "2"),
            ("SRANDMEMBER s", "\"b\""),
            ("SRANDMEMBER s -3", "[\"b\" \"b\" \"b\"]"),
            ("SRANDMEMBER s 3", "[\"b\"]"),
            ("SPOP s", "\"b\""),
            ("EXISTS s", "0"),
            ("SPOP s", "nil"),
            ("SPOP s 2", "[]"),
            ("SPOP u -1", "!ERR value is out of range, must be positive"),
            ("SREM u a b c", "2"),
            ("EXISTS u", "0"),
            ("SUNIONSTORE t none", "0"),
            ("EXISTS t", "0"),
        ]);
    }
}
