//! The `struct` library: binary packing with `> < = !` byte order, `b B h H i I l L T` integers of a given or
//! natural size, `f d` floats, `s` zero-terminated and `c` counted strings, `x` padding.

use mlua::{Lua, LuaString, MultiValue, Table, Value};

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.set("pack", lua.create_function(pack)?)?;
    library.set("unpack", lua.create_function(unpack)?)?;
    library.set(
        "size",
        lua.create_function(|_, format: LuaString| size(&format.as_bytes()))?,
    )?;
    Ok(library)
}

/// One item of a format.
#[derive(Clone, Copy)]
enum Item {
    Integer { size: usize, signed: bool },
    Float { size: usize },
    Terminated,
    Counted { size: Option<usize> },
    Padding,
}

/// Reads a format item by item, together with the byte order and alignment in force.
struct Format<'a> {
    rest: &'a [u8],
    big_endian: bool,
    max_align: usize,
}

impl<'a> Format<'a> {
    const fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            big_endian: cfg!(target_endian = "big"),
            max_align: 1,
        }
    }

    fn next(&mut self) -> mlua::Result<Option<Item>> {
        while let [letter, rest @ ..] = self.rest {
            self.rest = rest;
            let integer = |size, signed| Ok(Some(Item::Integer { size, signed }));
            match letter {
                b' ' => {}
                b'>' => self.big_endian = true,
                b'<' => self.big_endian = false,
                b'=' => self.big_endian = cfg!(target_endian = "big"),
                b'!' => {
                    let align = self.number().unwrap_or(8);
                    if !align.is_power_of_two() {
                        return Err(mlua::Error::runtime("alignment is not a power of 2"));
                    }
                    self.max_align = align;
                }
                b'b' => return integer(1, true),
                b'B' => return integer(1, false),
                b'h' => return integer(2, true),
                b'H' => return integer(2, false),
                b'l' => return integer(8, true),
                b'L' | b'T' => return integer(8, false),
                b'i' => return integer(self.integer_size()?, true),
                b'I' => return integer(self.integer_size()?, false),
                b'f' => return Ok(Some(Item::Float { size: 4 })),
                b'd' => return Ok(Some(Item::Float { size: 8 })),
                b's' => return Ok(Some(Item::Terminated)),
                b'x' => return Ok(Some(Item::Padding)),
                b'c' => {
                    let size = match self.number().unwrap_or(1) {
                        0 => None,
                        size => Some(size),
                    };
                    return Ok(Some(Item::Counted { size }));
                }
                other => {
                    let option = char::from(*other);
                    return Err(mlua::Error::runtime(format!(
                        "invalid format option '{option}'"
                    )));
                }
            }
        }
        Ok(None)
    }

    fn integer_size(&mut self) -> mlua::Result<usize> {
        match self.number().unwrap_or(4) {
            size @ 1..=8 => Ok(size),
            size => Err(mlua::Error::runtime(format!(
                "integral size {size} is larger than limit of 8"
            ))),
        }
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit());
        let (number, rest) = self.rest.split_at(digits.count());
        self.rest = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// How many bytes of padding an item of this size needs at this place.
    const fn padding(&self, item: Item, at: usize) -> usize {
        let (Item::Integer { size, .. } | Item::Float { size }) = item else {
            return 0;
        };
        if size == 0 || !size.is_power_of_two() {
            return 0;
        }
        let align = if size < self.max_align {
            size
        } else {
            self.max_align
        };
        at.wrapping_neg() & (align - 1)
    }
}

fn pack(lua: &Lua, args: MultiValue) -> mlua::Result<LuaString> {
    let mut args = args.into_iter();
    let format = argument(&mut args)?;
    let format = format.as_bytes();
    let mut format = Format::new(&format);
    let mut out = Vec::new();
    while let Some(item) = format.next()? {
        out.resize(out.len() + format.padding(item, out.len()), 0);
        match item {
            Item::Padding => out.push(0),
            Item::Integer { size, .. } => {
                let bytes = wrap(number(&mut args)?).to_be_bytes();
                push_ordered(&mut out, &bytes[8 - size..], format.big_endian);
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the format asks for 32 bits"
            )]
            Item::Float { size: 4 } => {
                let bytes = (number(&mut args)? as f32).to_be_bytes();
                push_ordered(&mut out, &bytes, format.big_endian);
            }
            Item::Float { .. } => {
                let bytes = number(&mut args)?.to_be_bytes();
                push_ordered(&mut out, &bytes, format.big_endian);
            }
            Item::Terminated => {
                out.extend_from_slice(&argument(&mut args)?.as_bytes());
                out.push(0);
            }
            Item::Counted { size } => {
                let text = argument(&mut args)?;
                let text = text.as_bytes();
                let taken = text.get(..size.unwrap_or(text.len()));
                out.extend_from_slice(
                    taken.ok_or_else(|| mlua::Error::runtime("string too short"))?,
                );
            }
        }
    }
    lua.create_string(out)
}

fn push_ordered(out: &mut Vec<u8>, big_endian_bytes: &[u8], big_endian: bool) {
    if big_endian {
        out.extend_from_slice(big_endian_bytes);
    } else {
        out.extend(big_endian_bytes.iter().rev());
    }
}

fn unpack(
    lua: &Lua,
    (format, data, start): (LuaString, LuaString, Option<f64>),
) -> mlua::Result<MultiValue> {
    let (format, data) = (format.as_bytes(), data.as_bytes());
    let mut format = Format::new(&format);
    let mut at = match start {
        None => 0,
        Some(start) => usize::try_from(wrap(start).cast_signed() - 1)
            .map_err(|_| mlua::Error::runtime("offset must be 1 or greater"))?,
    };
    let mut out: Vec<Value> = Vec::new();
    while let Some(item) = format.next()? {
        at += format.padding(item, at);
        match item {
            Item::Padding => at += 1,
            Item::Integer { size, signed } => {
                let word = word(take(&data, &mut at, size)?, format.big_endian);
                out.push(Value::Number(integer(word, size, signed)));
            }
            Item::Float { size } => {
                let word = word(take(&data, &mut at, size)?, format.big_endian);
                out.push(Value::Number(if size == 4 {
                    f64::from(f32::from_bits(
                        u32::try_from(word).expect("four bytes were read"),
                    ))
                } else {
                    f64::from_bits(word)
                }));
            }
            Item::Terminated => {
                let rest = data.get(at..).unwrap_or_default();
                let length = rest
                    .iter()
                    .position(|&byte| byte == 0)
                    .ok_or_else(|| mlua::Error::runtime("unfinished string in data"))?;
                out.push(Value::String(lua.create_string(&rest[..length])?));
                at += length + 1;
            }
            Item::Counted { size } => {
                let size = match size {
                    Some(size) => size,
                    None => previous_size(out.pop())?,
                };
                let bytes = take(&data, &mut at, size)?;
                out.push(Value::String(lua.create_string(bytes)?));
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "no string is that long")]
    out.push(Value::Number((at + 1) as f64));
    Ok(out.into_iter().collect())
}

/// `c0` takes its length from the number read just before it.
fn previous_size(value: Option<Value>) -> mlua::Result<usize> {
    match value {
        Some(Value::Number(size)) if 0.0 <= size => {
            Ok(usize::try_from(wrap(size)).unwrap_or(usize::MAX))
        }
        _ => Err(mlua::Error::runtime("format 'c0' needs a previous size")),
    }
}

fn take<'a>(data: &'a [u8], at: &mut usize, size: usize) -> mlua::Result<&'a [u8]> {
    let taken = at
        .checked_add(size)
        .and_then(|end| data.get(*at..end))
        .ok_or_else(|| mlua::Error::runtime("data string too short"))?;
    *at += size;
    Ok(taken)
}

fn word(bytes: &[u8], big_endian: bool) -> u64 {
    let join = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    if big_endian {
        bytes.iter().fold(0, join)
    } else {
        bytes.iter().rev().fold(0, join)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a Lua number holds 53 bits")]
fn integer(word: u64, size: usize, signed: bool) -> f64 {
    if signed {
        let unused = 64 - 8 * size;
        ((word << unused).cast_signed() >> unused) as f64
    } else {
        word as f64
    }
}

fn size(format: &[u8]) -> mlua::Result<usize> {
    let mut format = Format::new(format);
    let mut total = 0_usize;
    while let Some(item) = format.next()? {
        total += format.padding(item, total);
        total = total.saturating_add(match item {
            Item::Padding => 1,
            Item::Integer { size, .. } | Item::Float { size } => size,
            Item::Counted { size: Some(size) } => size,
            Item::Counted { size: None } | Item::Terminated => {
                return Err(mlua::Error::runtime("variable-length format"));
            }
        });
    }
    Ok(total)
}

fn argument(args: &mut impl Iterator<Item = Value>) -> mlua::Result<LuaString> {
    match args.next() {
        Some(Value::String(text)) => Ok(text),
        _ => Err(mlua::Error::runtime("string expected")),
    }
}

fn number(args: &mut impl Iterator<Item = Value>) -> mlua::Result<f64> {
    let parsed = match args.next() {
        #[expect(
            clippy::cast_precision_loss,
            reason = "it was a double before mlua read it"
        )]
        Some(Value::Integer(number)) => Some(number as f64),
        Some(Value::Number(number)) => Some(number),
        Some(Value::String(text)) => text.to_str().ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    parsed.ok_or_else(|| mlua::Error::runtime("number expected"))
}

/// The 64 bits of a number: of a negative one as C converts it through a signed integer.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates where C leaves it undefined"
)]
fn wrap(number: f64) -> u64 {
    if number < 0.0 {
        (number as i64).cast_unsigned()
    } else {
        number as u64
    }
}
