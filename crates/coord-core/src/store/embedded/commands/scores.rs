//! Sorted sets.

use super::{
    super::{
        db::Db,
        resp::{CommandError, CommandResult, Resp, clamp_range, integer, parse_f64},
        zset::{Ranked, ScoreRange, SortedSet},
    },
    Args,
    lists::positive_count,
};

pub(super) fn zadd(db: &mut Db, args: Args<'_>) -> CommandResult {
    let (options, rest) = AddOptions::parse(&args[2..]);
    let (pairs, []) = rest.as_chunks::<2>() else {
        return Err(CommandError::SYNTAX);
    };
    options.check(pairs.len())?;
    let pairs: Vec<(f64, &[u8])> = pairs
        .iter()
        .map(|[score, member]| Ok((float(score)?, *member)))
        .collect::<Result<_, CommandError>>()?;
    if options.only_present && db.find::<SortedSet>(args[1])?.is_none() {
        return Ok(if options.incr {
            Resp::Nil
        } else {
            Resp::Int(0)
        });
    }
    let set = db.find_or_create::<SortedSet>(args[1])?;
    let (mut added, mut updated, mut score) = (0, 0, None);
    let mut outcome = Ok(());
    for (given, member) in pairs {
        match options.apply(set, given, member) {
            Ok(Change::Added(new)) => (added, score) = (added + 1, Some(new)),
            Ok(Change::Updated(new)) => (updated, score) = (updated + 1, Some(new)),
            Ok(Change::Same(new)) => score = Some(new),
            Ok(Change::Refused) => {}
            Err(error) => outcome = Err(error),
        }
    }
    db.drop_if_empty(args[1]);
    outcome?;
    Ok(if options.incr {
        score.map_or(Resp::Nil, Resp::score)
    } else {
        Resp::count(added + if options.changed { updated } else { 0 })
    })
}

pub(super) fn zincrby(db: &mut Db, args: Args<'_>) -> CommandResult {
    zadd(db, &[args[0], args[1], b"INCR", args[2], args[3]])
}

fn float(text: &[u8]) -> Result<f64, CommandError> {
    parse_f64(text).ok_or(CommandError::NOT_A_FLOAT)
}

#[derive(Default)]
struct AddOptions {
    only_absent: bool,
    only_present: bool,
    greater: bool,
    less: bool,
    changed: bool,
    incr: bool,
}

enum Change {
    Added(f64),
    Updated(f64),
    Same(f64),
    Refused,
}

impl AddOptions {
    fn parse<'a>(mut rest: Args<'a>) -> (Self, Args<'a>) {
        let mut options = Self::default();
        while let [option, after @ ..] = rest {
            let flag = match option.to_ascii_lowercase().as_slice() {
                b"nx" => &mut options.only_absent,
                b"xx" => &mut options.only_present,
                b"gt" => &mut options.greater,
                b"lt" => &mut options.less,
                b"ch" => &mut options.changed,
                b"incr" => &mut options.incr,
                _ => break,
            };
            *flag = true;
            rest = after;
        }
        (options, rest)
    }

    fn check(&self, pairs: usize) -> Result<(), CommandError> {
        if pairs == 0 {
            return Err(CommandError::SYNTAX);
        }
        if self.only_absent && self.only_present {
            return Err(CommandError::new(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if self.greater && self.less || (self.greater || self.less) && self.only_absent {
            return Err(CommandError::new(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.incr && 1 < pairs {
            return Err(CommandError::new(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    fn apply(
        &self,
        set: &mut SortedSet,
        given: f64,
        member: &[u8],
    ) -> Result<Change, CommandError> {
        let Some(before) = set.score(member) else {
            if self.only_present {
                return Ok(Change::Refused);
            }
            set.insert(member, given);
            return Ok(Change::Added(given));
        };
        if self.only_absent {
            return Ok(Change::Refused);
        }
        let score = if self.incr { before + given } else { given };
        if score.is_nan() {
            return Err(CommandError::new(
                "ERR resulting score is not a number (NaN)",
            ));
        }
        if self.greater && score <= before || self.less && before <= score {
            return Ok(Change::Refused);
        }
        set.insert(member, score);
        #[expect(clippy::float_cmp, reason = "an equal score is not an update")]
        Ok(if score == before {
            Change::Same(score)
        } else {
            Change::Updated(score)
        })
    }
}

pub(super) fn zrem(db: &mut Db, args: Args<'_>) -> CommandResult {
    let Some(set) = db.find::<SortedSet>(args[1])? else {
        return Ok(Resp::Int(0));
    };
    let removed = args[2..].iter().filter(|member| set.remove(member)).count();
    db.drop_if_empty(args[1]);
    Ok(Resp::count(removed))
}

pub(super) fn zscore(db: &mut Db, args: Args<'_>) -> CommandResult {
    let set = db.find::<SortedSet>(args[1])?;
    Ok(set
        .and_then(|set| set.score(args[2]))
        .map_or(Resp::Nil, Resp::score))
}

pub(super) fn zcard(db: &mut Db, args: Args<'_>) -> CommandResult {
    let count = db.find::<SortedSet>(args[1])?.map_or(0, |set| set.len());
    Ok(Resp::count(count))
}

pub(super) fn zcount(db: &mut Db, args: Args<'_>) -> CommandResult {
    let range = score_range(args[2], args[3])?;
    let count = db
        .find::<SortedSet>(args[1])?
        .map_or(0, |set| set.within(range).count());
    Ok(Resp::count(count))
}

pub(super) fn zrank(db: &mut Db, args: Args<'_>) -> CommandResult {
    let set = db.find::<SortedSet>(args[1])?;
    let rank = set.and_then(|set| set.rank(args[2]));
    Ok(rank.map_or(Resp::Nil, Resp::count))
}

pub(super) fn zrevrank(db: &mut Db, args: Args<'_>) -> CommandResult {
    let set = db.find::<SortedSet>(args[1])?;
    let rank = set.and_then(|set| Some(set.len() - 1 - set.rank(args[2])?));
    Ok(rank.map_or(Resp::Nil, Resp::count))
}

pub(super) fn zpopmin(db: &mut Db, args: Args<'_>) -> CommandResult {
    pop(db, args, false)
}

pub(super) fn zpopmax(db: &mut Db, args: Args<'_>) -> CommandResult {
    pop(db, args, true)
}

fn pop(db: &mut Db, args: Args<'_>, reverse: bool) -> CommandResult {
    let count = match &args[2..] {
        [] => 1,
        [count] => positive_count(count)?,
        _ => return Err(CommandError::SYNTAX),
    };
    let Some(set) = db.find::<SortedSet>(args[1])? else {
        return Ok(Resp::Array(Vec::new()));
    };
    let popped: Vec<Ranked> = if reverse {
        set.iter().rev().take(count).cloned().collect()
    } else {
        set.iter().take(count).cloned().collect()
    };
    for ranked in &popped {
        set.remove(&ranked.member);
    }
    db.drop_if_empty(args[1]);
    Ok(answer(popped.iter(), true))
}

pub(super) fn zrange(db: &mut Db, args: Args<'_>) -> CommandResult {
    RangeQuery::parse(args, By::Any, false)?.run(db)
}

pub(super) fn zrevrange(db: &mut Db, args: Args<'_>) -> CommandResult {
    RangeQuery::parse(args, By::Rank, true)?.run(db)
}

pub(super) fn zrangebyscore(db: &mut Db, args: Args<'_>) -> CommandResult {
    RangeQuery::parse(args, By::Score, false)?.run(db)
}

pub(super) fn zrevrangebyscore(db: &mut Db, args: Args<'_>) -> CommandResult {
    RangeQuery::parse(args, By::Score, true)?.run(db)
}

/// Whether a range counts members or scores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Any,
    Rank,
    Score,
}

struct RangeQuery<'a> {
    key: &'a [u8],
    start: &'a [u8],
    stop: &'a [u8],
    by_score: bool,
    reverse: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

impl<'a> RangeQuery<'a> {
    fn parse(args: Args<'a>, mut by: By, mut reverse: bool) -> Result<Self, CommandError> {
        let options_allowed = by == By::Any;
        let (mut with_scores, mut limit) = (false, None);
        let mut rest = &args[4..];
        while let [option, after @ ..] = rest {
            rest = after;
            match (option.to_ascii_lowercase().as_slice(), after) {
                (b"withscores", _) => with_scores = true,
                (b"limit", [offset, count, after @ ..]) => {
                    limit = Some((integer(offset)?, integer(count)?));
                    rest = after;
                }
                (b"rev", _) if options_allowed && !reverse => reverse = true,
                (b"byscore", _) if by == By::Any => by = By::Score,
                (b"bylex", _) if by == By::Any => {
                    return Err(CommandError::new(
                        "ERR BYLEX is not among what the embedded store implements",
                    ));
                }
                _ => return Err(CommandError::SYNTAX),
            }
        }
        let by_score = by == By::Score;
        // Redis takes a count of -1 for no limit at all.
        if limit.is_some_and(|(_, count)| count != -1) && !by_score {
            return Err(CommandError::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        Ok(Self {
            key: args[1],
            start: args[2],
            stop: args[3],
            by_score,
            reverse,
            with_scores,
            limit,
        })
    }

    fn run(self, db: &mut Db) -> CommandResult {
        if self.by_score {
            self.run_by_score(db)
        } else {
            self.run_by_rank(db)
        }
    }

    fn run_by_score(self, db: &mut Db) -> CommandResult {
        let range = if self.reverse {
            score_range(self.stop, self.start)?
        } else {
            score_range(self.start, self.stop)?
        };
        let Some(set) = db.find::<SortedSet>(self.key)? else {
            return Ok(Resp::Array(Vec::new()));
        };
        // A negative offset skips everything, a negative count takes everything.
        let (offset, count) = self.limit.unwrap_or((0, -1));
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let members = set.within(range);
        Ok(if self.reverse {
            answer(members.rev().skip(offset).take(count), self.with_scores)
        } else {
            answer(members.skip(offset).take(count), self.with_scores)
        })
    }

    fn run_by_rank(self, db: &mut Db) -> CommandResult {
        let (start, stop) = (integer(self.start)?, integer(self.stop)?);
        let Some(set) = db.find::<SortedSet>(self.key)? else {
            return Ok(Resp::Array(Vec::new()));
        };
        let range = clamp_range(start, stop, set.len());
        let (skip, take) = (range.start, range.len());
        Ok(if self.reverse {
            answer(set.iter().rev().skip(skip).take(take), self.with_scores)
        } else {
            answer(set.iter().skip(skip).take(take), self.with_scores)
        })
    }
}

fn score_range(min: &[u8], max: &[u8]) -> Result<ScoreRange, CommandError> {
    let end = |text: &[u8]| {
        let excluded = text.first() == Some(&b'(');
        let number = if excluded { &text[1..] } else { text };
        // C reads a zero from an empty text.
        let score = if number.is_empty() {
            Some(0.0)
        } else {
            parse_f64(number)
        };
        score
            .map(|score| (score, excluded))
            .ok_or(CommandError::new("ERR min or max is not a float"))
    };
    let ((min, min_excluded), (max, max_excluded)) = (end(min)?, end(max)?);
    Ok(ScoreRange {
        min,
        min_excluded,
        max,
        max_excluded,
    })
}

fn answer<'a>(members: impl Iterator<Item = &'a Ranked>, with_scores: bool) -> Resp {
    let mut out = Vec::new();
    for ranked in members {
        out.push(Resp::bulk(&ranked.member[..]));
        if with_scores {
            out.push(Resp::score(ranked.score));
        }
    }
    Resp::Array(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;

    #[test]
    fn zadd_honours_its_options() {
        check(&[
            ("ZADD z 1 a 2 b", "2"),
            ("ZADD z NX 5 a 3 c", "1"),
            ("ZADD z XX CH 5 a 3 d", "1"),
            ("ZADD z GT CH 4 a 9 b", "1"),
            ("ZADD z LT CH 9 a 1 e", "1"),
            ("ZADD none XX 1 a", "0"),
            (
                "ZADD z NX XX 1 a",
                "!ERR XX and NX options at the same time are not compatible",
            ),
            ("ZADD z x a", "!ERR value is not a valid float"),
            ("ZADD z 1 a 2", "!ERR syntax error"),
            ("ZINCRBY z 0.1 n", "\"0.10000000000000001\""),
            ("ZINCRBY z inf n", "\"inf\""),
            (
                "ZINCRBY z -inf n",
                "!ERR resulting score is not a number (NaN)",
            ),
            ("ZSCORE z a", "\"5\""),
            ("ZSCORE z none", "nil"),
            ("ZCARD z", "5"),
        ]);
    }

    #[test]
    fn ranges_by_rank_and_score() {
        check(&[
            ("ZADD z 1 a 2 b 3 c 4 d", "4"),
            ("ZRANGE z 1 2", "[\"b\" \"c\"]"),
            ("ZRANGE z 0 0 REV WITHSCORES", "[\"d\" \"4\"]"),
            ("ZREVRANGE z 0 1", "[\"d\" \"c\"]"),
            ("ZRANGEBYSCORE z (1 3", "[\"b\" \"c\"]"),
            ("ZRANGE z -inf +inf BYSCORE LIMIT 1 2", "[\"b\" \"c\"]"),
            ("ZRANGE z 3 (1 BYSCORE REV", "[\"c\" \"b\"]"),
            (
                "ZRANGE z 0 1 LIMIT 0 1",
                "!ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ),
            ("ZRANGE z a b BYSCORE", "!ERR min or max is not a float"),
            ("ZCOUNT z (1 +inf", "3"),
            ("ZRANK z c", "2"),
            ("ZREVRANK z c", "1"),
            ("ZRANK z x", "nil"),
            ("ZPOPMIN z", "[\"a\" \"1\"]"),
            ("ZPOPMAX z 2", "[\"d\" \"4\" \"c\" \"3\"]"),
            ("ZREM z b b", "1"),
            ("EXISTS z", "0"),
        ]);
    }
}
