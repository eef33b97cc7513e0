//! Strings as bitmaps; bit 0 is the highest of the first byte.

use super::{
    super::{
        db::Db,
        resp::{CommandError, CommandResult, MAX_STRING, Resp, clamp_range, integer, parse_i64},
    },
    Args,
};

pub(super) fn setbit(db: &mut Db, args: Args<'_>) -> CommandResult {
    let offset = bit_offset(args[2])?;
    let on = match args[3] {
        b"0" => false,
        b"1" => true,
        _ => {
            return Err(CommandError::new(
                "ERR bit is not an integer or out of range",
            ));
        }
    };
    let value = db.find_or_create::<Vec<u8>>(args[1])?;
    let byte = offset / 8;
    if value.len() <= byte {
        value.resize(byte + 1, 0);
    }
    let mask = 0x80 >> (offset % 8);
    let before = value[byte] & mask != 0;
    if on {
        value[byte] |= mask;
    } else {
        value[byte] &= !mask;
    }
    Ok(Resp::flag(before))
}

pub(super) fn getbit(db: &mut Db, args: Args<'_>) -> CommandResult {
    let offset = bit_offset(args[2])?;
    let value = db.find::<Vec<u8>>(args[1])?;
    let byte = value.and_then(|value| value.get(offset / 8).copied());
    Ok(Resp::flag(
        byte.is_some_and(|byte| byte & (0x80 >> (offset % 8)) != 0),
    ))
}

fn bit_offset(text: &[u8]) -> Result<usize, CommandError> {
    parse_i64(text)
        .and_then(|offset| usize::try_from(offset).ok())
        .filter(|offset| offset / 8 < MAX_STRING)
        .ok_or(CommandError::new(
            "ERR bit offset is not an integer or out of range",
        ))
}

pub(super) fn bitcount(db: &mut Db, args: Args<'_>) -> CommandResult {
    let Some(value) = db.find::<Vec<u8>>(args[1])? else {
        return Ok(Resp::Int(0));
    };
    let range = match &args[2..] {
        [] => BitRange::whole(value.len()),
        [_] => return Err(CommandError::SYNTAX),
        bounds @ [start, stop] | bounds @ [start, stop, _] => {
            let (start, stop) = (integer(start)?, integer(stop)?);
            // BITCOUNT looks at this first of all, BITPOS does not.
            if stop < start && start < 0 {
                return Ok(Resp::Int(0));
            }
            BitRange::parse(bounds, value.len())?
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let count: u64 = range
        .bytes(value)
        .map(|(_, byte, mask)| u64::from((byte & mask).count_ones()))
        .sum();
    Ok(Resp::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

pub(super) fn bitpos(db: &mut Db, args: Args<'_>) -> CommandResult {
    let wanted = match integer(args[2])? {
        0 => false,
        1 => true,
        _ => {
            return Err(CommandError::new("ERR The bit argument must be 1 or 0."));
        }
    };
    let Some(value) = db.find::<Vec<u8>>(args[1])? else {
        return Ok(Resp::Int(if wanted { -1 } else { 0 }));
    };
    let bounds = &args[3..];
    let range = match bounds {
        [] => BitRange::whole(value.len()),
        [start] => BitRange::parse(&[start, b"-1"], value.len())?,
        bounds => BitRange::parse(bounds, value.len())?,
    };
    let found = range.bytes(value).find_map(|(index, byte, mask)| {
        let hits = if wanted { byte } else { !byte } & mask;
        (hits != 0).then(|| index * 8 + hits.leading_zeros() as usize)
    });
    Ok(match found {
        Some(position) => Resp::count(position),
        // Beyond the string there are only zeros, unless the caller set an end.
        None if !wanted && bounds.len() < 2 && range.start < range.end => {
            Resp::count(value.len() * 8)
        }
        None => Resp::Int(-1),
    })
}

/// A range of bits, its end excluded.
#[derive(Clone, Copy)]
struct BitRange {
    start: usize,
    end: usize,
}

impl BitRange {
    const fn whole(bytes: usize) -> Self {
        Self {
            start: 0,
            end: bytes * 8,
        }
    }

    /// Reads `start stop [BYTE|BIT]`.
    fn parse(bounds: Args<'_>, bytes: usize) -> Result<Self, CommandError> {
        let (start, stop) = (integer(bounds[0])?, integer(bounds[1])?);
        let unit = match &bounds[2..] {
            [] => 8,
            [unit] if unit.eq_ignore_ascii_case(b"byte") => 8,
            [unit] if unit.eq_ignore_ascii_case(b"bit") => 1,
            _ => return Err(CommandError::SYNTAX),
        };
        // Unlike with a list, a stop before the first element is moved to it.
        let length = i64::try_from(bytes * 8 / unit).unwrap_or(i64::MAX);
        let range = clamp_range(start, stop.max(-length), bytes * 8 / unit);
        Ok(Self {
            start: range.start * unit,
            end: range.end * unit,
        })
    }

    /// Index, value and mask of every byte in the range.
    fn bytes(self, value: &[u8]) -> impl Iterator<Item = (usize, u8, u8)> {
        let (first, last) = (self.start / 8, self.end.saturating_sub(1) / 8);
        let count = if self.start < self.end {
            last - first + 1
        } else {
            0
        };
        value
            .iter()
            .enumerate()
            .skip(first)
            .take(count)
            .map(move |(index, &byte)| {
                let mut mask = 0xff_u8;
                if index == first {
                    mask &= 0xff >> (self.start % 8);
                }
                if index == last && !self.end.is_multiple_of(8) {
                    mask &= !(0xff >> (self.end % 8));
                }
                (index, byte, mask)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;

    #[test]
    fn bits_are_set_counted_and_found() {
        check(&[
            ("SETBIT b 7 1", "0"),
            ("SETBIT b 7 1", "1"),
            ("SETBIT b 20 1", "0"),
            ("STRLEN b", "3"),
            ("GETBIT b 20", "1"),
            ("GETBIT b 999", "0"),
            (
                "SETBIT b -1 1",
                "!ERR bit offset is not an integer or out of range",
            ),
            ("SETBIT b 1 2", "!ERR bit is not an integer or out of range"),
            ("BITCOUNT b", "2"),
            ("BITCOUNT b 1 -1", "1"),
            ("BITCOUNT b 7 20 BIT", "2"),
            ("BITCOUNT b 8 19 BIT", "0"),
            ("BITCOUNT b 1", "!ERR syntax error"),
            ("BITPOS b 1", "7"),
            ("BITPOS b 1 1", "20"),
            ("BITPOS b 1 1 1", "-1"),
            ("BITPOS b 0", "0"),
            ("BITPOS none 1", "-1"),
            ("BITPOS none 0", "0"),
            ("SET f \u{7f}", "OK"),
            ("BITPOS f 0 0 0", "0"),
            ("BITPOS f 0 1", "-1"),
            ("BITPOS f 1 2 7 BIT", "2"),
        ]);
    }
}
