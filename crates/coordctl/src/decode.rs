//! Takes IDs apart.

use std::process::ExitCode;

use serde_json::{Value, json};
use snowflake::{Id, Layout};

use crate::{
    cli::{DecodeOptions, Global},
    failure::Failure,
    output::{self, Cell},
    time,
    values::Encoding,
};

pub(crate) fn run(global: &Global, options: &DecodeOptions) -> Result<ExitCode, Failure> {
    let layout = options.layout.layout()?;
    let read = |text: &String| match options.format {
        Some(encoding) => encoding
            .read(text)
            .map_err(|error| Failure::Usage(format!("{text:?}: {error}"))),
        None => recognise(text).map_err(Failure::Usage),
    };
    let ids: Vec<Id> = options.ids.iter().map(read).collect::<Result<_, _>>()?;
    if global.json {
        let ids: Vec<Value> = ids.iter().map(|&id| describe(&layout, id)).collect();
        output::json(&Value::Array(ids))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<Cell>> = ids.iter().map(|&id| row(&layout, id)).collect();
    output::table(
        &[
            "ID",
            "TIME (UTC)",
            "MACHINE",
            "SEQUENCE",
            "HEX",
            "BASE 32",
            "BASE 58",
            "BASE 62",
        ],
        &rows,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// An ID whose encoding nobody named. Digits are decimal; else the length decides, and of base 58 and 62, which have the
/// same, whichever has all characters.
fn recognise(text: &str) -> Result<Id, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Encoding::Decimal
            .read(text)
            .map_err(|error| format!("{text:?}: {error}"));
    }
    match text.len() {
        16 => Encoding::Hex
            .read(text)
            .map_err(|error| format!("{text:?}: {error}")),
        13 => Encoding::Base32
            .read(text)
            .map_err(|error| format!("{text:?}: {error}")),
        11 => match (Encoding::Base58.read(text), Encoding::Base62.read(text)) {
            (Ok(_), Ok(_)) => Err(format!(
                "{text:?} may be base 58 or base 62; say which with --format base58 or --format base62"
            )),
            (Ok(id), Err(_)) | (Err(_), Ok(id)) => Ok(id),
            (Err(_), Err(error)) => Err(format!("{text:?}: {error}")),
        },
        length => Err(format!(
            "{text:?} has {length} characters and is no ID; IDs are decimal numbers, or have 16 (hex), 13 (base 32) or 11 \
             (base 58, base 62) characters"
        )),
    }
}

fn row(layout: &Layout, id: Id) -> Vec<Cell> {
    let parts = layout.decode(id);
    let mut cells = vec![
        Cell::new(id.to_string()),
        Cell::styled(moment(layout, id), output::HEADING),
        Cell::new(parts.machine_id.to_string()),
        Cell::new(parts.sequence.to_string()),
    ];
    let others = Encoding::ALL.iter().skip(1);
    cells.extend(others.map(|encoding| Cell::styled(encoding.write(id).as_str(), output::DIM)));
    cells
}

fn describe(layout: &Layout, id: Id) -> Value {
    let parts = layout.decode(id);
    let mut value = json!({
        "id": id.to_string(),
        "time": moment(layout, id),
        "unix_ms": parts.unix_ms,
        "timestamp": parts.timestamp,
        "machine_id": parts.machine_id,
        "sequence": parts.sequence,
        "layout": layout.to_string(),
    });
    for encoding in Encoding::ALL {
        value[encoding.to_string()] = encoding.write(id).as_str().into();
    }
    value
}

fn moment(layout: &Layout, id: Id) -> String {
    id.to_jiff(layout).map_or_else(
        || time::utc(id.unix_ms(layout)),
        |time| format!("{time:.3}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_recognised() {
        let id = Id::from_u64(1_541_815_603_606_036_480);
        for encoding in [Encoding::Decimal, Encoding::Hex, Encoding::Base32] {
            assert_eq!(recognise(&encoding.write(id)), Ok(id), "{encoding}");
        }
        // A zero is not in base 58's alphabet.
        assert_eq!(
            recognise("00000000A00"),
            Ok(Id::from_base62("00000000A00").expect("valid"))
        );
        let largest = Id::from_u64(u64::MAX);
        assert_eq!(
            recognise("jpXCZedGfVQ"),
            Ok(largest),
            "too large for base 62"
        );
    }

    #[test]
    fn what_may_be_two_things_is_asked_about() {
        let error = recognise("1abcdefghij").expect_err("ambiguous");
        assert!(error.contains("--format base58"), "{error}");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for wrong in [
            "",
            "-1",
            "1.5",
            "18446744073709551616",
            "00",
            "1565A11F6217A000",
            "xyz",
        ] {
            assert!(recognise(wrong).is_err(), "{wrong}");
        }
    }
}
