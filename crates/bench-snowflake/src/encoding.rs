//! What one encoding costs.

use std::{fmt::Write as _, hint::black_box};

use ferroid::{base32::Base32SnowExt as _, id::SnowflakeTwitterId};
use snowflake::Id;

use crate::measure::{Effort, Table, median, now, pin};

/// IDs in a row, as a generator mints them.
const IDS: u64 = 4_096;

pub(crate) fn run(effort: Effort) -> anyhow::Result<Table> {
    let title = "Encoding: nanoseconds an ID, into a buffer where the crate can";
    let mut table = Table::new(title, "ns", "snowflake, decimal");
    pin(0)?;
    for _ in 0..effort.repetitions {
        ours(effort, &mut table);
        as_bytes(effort, &mut table);
        theirs(effort, &mut table);
    }
    Ok(table)
}

fn ours(effort: Effort, table: &mut Table) {
    table.add(
        "snowflake, decimal",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_decimal().as_str());
        }),
    );
    table.add(
        "snowflake, hex",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_hex().as_str());
        }),
    );
    table.add(
        "snowflake, base 32",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_base32().as_str());
        }),
    );
    table.add(
        "snowflake, base 58",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_base58().as_str());
        }),
    );
    table.add(
        "snowflake, base 62",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_base62().as_str());
        }),
    );
}

/// What those are to be compared with that hand out bytes and not checked text.
fn as_bytes(effort: Effort, table: &mut Table) {
    table.add(
        "snowflake, decimal, as bytes",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_decimal().as_bytes());
        }),
    );
    table.add(
        "snowflake, base 32, as bytes",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_base32().as_bytes());
        }),
    );
    table.add(
        "snowflake, base 62, as bytes",
        each(effort, |bits| {
            black_box(Id::from_u64(bits).to_base62().as_bytes());
        }),
    );
}

fn theirs(effort: Effort, table: &mut Table) {
    table.add(
        "itoa, decimal",
        each(effort, |bits| {
            black_box(itoa::Buffer::new().format(bits));
        }),
    );
    table.add(
        "snowflake_me, decimal",
        each(effort, |bits| {
            black_box(snowflake_me::SnowflakeId::new(bits).string());
        }),
    );
    let mut text = String::with_capacity(20);
    table.add(
        "core::fmt, decimal",
        each(effort, |bits| {
            text.clear();
            let written = write!(text, "{bits}");
            black_box((&text, written.is_ok()));
        }),
    );
    table.add(
        "ferroid, base 32",
        each(effort, |bits| {
            black_box(SnowflakeTwitterId::from_raw(bits).encode().as_str());
        }),
    );
    table.add(
        "ferroid, base 32, as bytes",
        each(effort, |bits| {
            black_box(SnowflakeTwitterId::from_raw(bits).encode().as_bytes());
        }),
    );
    table.add(
        "snowflake_me, base 32",
        each(effort, |bits| {
            black_box(snowflake_me::SnowflakeId::new(bits).base32());
        }),
    );
    table.add(
        "snowflake_me, base 58",
        each(effort, |bits| {
            black_box(snowflake_me::SnowflakeId::new(bits).base58());
        }),
    );
    let mut buffer = [0_u8; 12];
    table.add(
        "bs58, base 58",
        each(effort, |bits| {
            let length = bs58::encode(bits.to_be_bytes()).onto(&mut buffer[..]);
            black_box((&buffer, length.is_ok()));
        }),
    );
    let mut buffer = [0_u8; snowid::base62::MAX_LEN];
    table.add(
        "snowid, base 62",
        each(effort, |bits| {
            black_box(snowid::base62::encode_into(bits, &mut buffer));
        }),
    );
    let mut buffer = [0_u8; 12];
    table.add(
        "base62, base 62",
        each(effort, |bits| {
            let length = base62::encode_bytes(bits, &mut buffer);
            black_box((&buffer, length.is_ok()));
        }),
    );
}

#[inline(never)]
fn each(effort: Effort, mut encode: impl FnMut(u64)) -> f64 {
    let first = 1_541_815_603_606_036_480;
    let times: Vec<_> = (0..effort.bursts)
        .map(|_| {
            let start = now();
            for bits in first..first + IDS {
                encode(black_box(bits));
            }
            start.elapsed().as_secs_f64() * 1e9 / IDS as f64
        })
        .collect();
    median(&times)
}
