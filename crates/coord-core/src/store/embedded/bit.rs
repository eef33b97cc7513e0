//! The `bit` library: operations on 32-bit integers, as LuaBitOp has them.

use mlua::{Function, Lua, Table, Variadic};

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let bit = lua.create_table()?;
    bit.set(
        "tobit",
        lua.create_function(|_, x: f64| Ok(signed(word(x))))?,
    )?;
    bit.set(
        "bnot",
        lua.create_function(|_, x: f64| Ok(signed(!word(x))))?,
    )?;
    bit.set(
        "bswap",
        lua.create_function(|_, x: f64| Ok(signed(word(x).swap_bytes())))?,
    )?;
    bit.set("band", folding(lua, |a, b| a & b)?)?;
    bit.set("bor", folding(lua, |a, b| a | b)?)?;
    bit.set("bxor", folding(lua, |a, b| a ^ b)?)?;
    bit.set("lshift", shifting(lua, |x, n| x << n)?)?;
    bit.set("rshift", shifting(lua, |x, n| x >> n)?)?;
    bit.set(
        "arshift",
        shifting(lua, |x, n| (x.cast_signed() >> n).cast_unsigned())?,
    )?;
    bit.set("rol", shifting(lua, u32::rotate_left)?)?;
    bit.set("ror", shifting(lua, u32::rotate_right)?)?;
    bit.set(
        "tohex",
        lua.create_function(|_, (x, digits): (f64, Option<f64>)| Ok(hexadecimal(word(x), digits)))?,
    )?;
    Ok(bit)
}

fn folding(lua: &Lua, op: fn(u32, u32) -> u32) -> mlua::Result<Function> {
    lua.create_function(move |_, (first, rest): (f64, Variadic<f64>)| {
        Ok(signed(
            rest.iter().fold(word(first), |acc, &x| op(acc, word(x))),
        ))
    })
}

fn shifting(lua: &Lua, op: fn(u32, u32) -> u32) -> mlua::Result<Function> {
    lua.create_function(move |_, (x, by): (f64, f64)| Ok(signed(op(word(x), word(by) & 31))))
}

/// The low 32 bits of a number rounded to the nearest even integer.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "wrapping to 32 bits is what the library does; the remainder is in range"
)]
fn word(x: f64) -> u32 {
    x.round_ties_even().rem_euclid(4_294_967_296.0) as u32
}

fn signed(word: u32) -> f64 {
    f64::from(word.cast_signed())
}

fn hexadecimal(word: u32, digits: Option<f64>) -> String {
    let digits = digits.unwrap_or(8.0).clamp(-8.0, 8.0);
    let lowercase = format!("{word:08x}");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=8"
    )]
    let kept = &lowercase[8 - digits.abs() as usize..];
    if digits < 0.0 {
        kept.to_ascii_uppercase()
    } else {
        kept.to_owned()
    }
}
