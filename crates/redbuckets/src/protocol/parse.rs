//! What the scripts answered.

use std::time::Duration;

use coord_core::{
    history::Terms,
    lease::Timing,
    store::{Reply, StoreError},
};

use super::{Beat, BeatReply, ClaimReply, Grant, JoinReply, Outcome, Refusal, Told};
use crate::{assignment::Assignment, glance::Glance};

/// What a list of runs says.
struct Runs {
    grants: Vec<Grant>,
    /// How many runs those are.
    count: u64,
    /// The buckets of those that are marked.
    marked: Vec<u32>,
}

fn parse_runs(text: &str, buckets: u32) -> Option<Runs> {
    let mut words = text.split_ascii_whitespace();
    let (mut grants, mut count, mut marked) = (Vec::new(), 0, Vec::new());
    while let Some(run) = words.next() {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let epoch = words.next()?;
        let unmarked = epoch.strip_suffix('!');
        let epoch = unmarked.unwrap_or(epoch).parse().ok();
        let epoch = epoch.filter(|&epoch| 0 < epoch)?;
        let size = last.checked_sub(first)? as usize + 1;
        if buckets <= last || buckets as usize - grants.len() < size {
            return None;
        }
        grants.extend((first..=last).map(|bucket| Grant { bucket, epoch }));
        marked.extend(unmarked.into_iter().flat_map(|_| first..=last));
        count += 1;
    }
    Some(Runs {
        grants,
        count,
        marked,
    })
}

fn u32_of(reply: &Reply) -> Option<u32> {
    u32::try_from(reply.as_u64()?).ok()
}

fn ms_of(reply: &Reply) -> Option<Duration> {
    Some(Duration::from_millis(reply.as_u64()?))
}

fn refusal(kind: &str, rest: &[Reply]) -> Option<Refusal> {
    Some(match (kind, rest) {
        ("buckets", [theirs]) => Refusal::Buckets {
            theirs: u32_of(theirs)?,
        },
        ("assignment", [theirs]) => Refusal::Assignment {
            theirs: Assignment::of_letter(theirs.as_str()?)?,
        },
        ("weights", [most]) => Refusal::Weights {
            most: u32_of(most)?,
        },
        ("full", []) => Refusal::Full,
        ("unverified", []) => Refusal::Unverified,
        ("newer", [version]) => Refusal::NewerVersion {
            version: version.as_u64()?,
        },
        ("wrongtype", [key, found]) => Refusal::WrongType {
            key: key.as_str()?.to_owned(),
            found: found.as_str()?.to_owned(),
        },
        _ => return None,
    })
}

fn told(longest: &Reply, server_ms: &Reply) -> Option<Told> {
    Some(Told {
        longest: Terms::parse(longest.as_str()?)?,
        server_ms: server_ms.as_u64()?,
    })
}

fn split(reply: &Reply) -> Option<(&str, &[Reply])> {
    let items = reply.as_array()?;
    Some((items.first()?.as_str()?, &items[1..]))
}

pub(crate) fn parse_join(reply: &Reply) -> Result<JoinReply, StoreError> {
    let parsed = || -> Option<JoinReply> {
        Some(match split(reply)? {
            ("joined", [number, generation, token, longest, server_ms]) => JoinReply::Joined {
                number: u32_of(number)?,
                generation: generation.as_str()?.to_owned(),
                token: token.as_str()?.to_owned(),
                told: told(longest, server_ms)?,
            },
            ("occupied", [left, over]) => JoinReply::Occupied {
                left: ms_of(left)?.min(Timing::MAX_TTL),
                over_ms: over.as_u64()?,
            },
            (kind, rest) => JoinReply::Refused(refusal(kind, rest)?),
        })
    };
    parsed().ok_or_else(|| StoreError::unexpected("join", reply))
}

/// Reads what `beat` answered to a request with `releases` releases, in a group of `buckets` buckets.
pub(crate) fn parse_beat(
    reply: &Reply,
    releases: usize,
    buckets: u32,
) -> Result<BeatReply, StoreError> {
    let parsed = || -> Option<BeatReply> {
        Some(match split(reply)? {
            ("ok", rest) => BeatReply::Beaten(Box::new(parse_beaten(rest, releases, buckets)?)),
            ("same", [again]) => BeatReply::Same(ms_of(again)?),
            ("resync", []) => BeatReply::Resync,
            ("fenced", [by]) => BeatReply::Fenced(by.as_str()?.to_owned()),
            ("stale", []) => BeatReply::Stale,
            _ => return None,
        })
    };
    parsed().ok_or_else(|| StoreError::unexpected("beat", reply))
}

fn parse_beaten(items: &[Reply], releases: usize, buckets: u32) -> Option<Beat> {
    let [
        version,
        members,
        quota,
        surplus,
        again,
        more,
        low,
        high,
        grants,
        outcomes,
        free,
        doubt,
        owned,
        state,
        record,
        longest,
        server_ms,
    ] = items
    else {
        return None;
    };
    let outcome = |letter| match letter {
        'm' | 'f' | 'g' => Some(Outcome::Gone),
        'k' => Some(Outcome::Keep),
        _ => None,
    };
    let runs = parse_runs(grants.as_str()?, buckets)?;
    let beat = Beat {
        version: version.as_u64()?,
        members: u32_of(members)?,
        quota: u32_of(quota)?,
        surplus: u32_of(surplus)?,
        again: ms_of(again)?,
        more: more.as_str()? == "1",
        range: u32_of(low)?..u32_of(high)?,
        grants: runs.grants,
        received: runs.count,
        staying: runs.marked,
        outcomes: outcomes
            .as_str()?
            .chars()
            .map(outcome)
            .collect::<Option<_>>()?,
        free: u32_of(free)?,
        doubt: ms_of(doubt)?,
        owned: u32_of(owned)?,
        glance: Some(Glance {
            state: state.as_str()?.to_owned(),
            record: record.as_str()?.to_owned(),
        })
        .filter(|glance| !glance.state.is_empty()),
        told: told(longest, server_ms)?,
    };
    (beat.outcomes.len() == releases).then_some(beat)
}

pub(crate) fn parse_claim(reply: &Reply) -> Result<ClaimReply, StoreError> {
    let parsed = || -> Option<ClaimReply> {
        Some(match split(reply)? {
            ("claimed", [number, generation, rejected, longest, server_ms]) => {
                ClaimReply::Claimed {
                    number: u32_of(number)?,
                    generation: generation.as_str()?.to_owned(),
                    rejected: rejected
                        .as_str()?
                        .split_ascii_whitespace()
                        .map(str::parse)
                        .collect::<Result<_, _>>()
                        .ok()?,
                    told: told(longest, server_ms)?,
                }
            }
            ("piecemeal", []) => ClaimReply::Piecemeal,
            ("restart", []) => ClaimReply::Restart,
            ("fenced", [by]) => ClaimReply::Fenced(by.as_str()?.to_owned()),
            ("stale", []) => ClaimReply::Stale,
            (kind, rest) => ClaimReply::Refused(refusal(kind, rest)?),
        })
    };
    parsed().ok_or_else(|| StoreError::unexpected("claim", reply))
}

/// Whether there still was a membership to end.
pub(crate) fn parse_leave(reply: &Reply) -> Result<bool, StoreError> {
    match split(reply) {
        Some(("left", [])) => Ok(true),
        Some(("not_member", [])) => Ok(false),
        _ => Err(StoreError::unexpected("leave", reply)),
    }
}

#[cfg(test)]
mod tests;
