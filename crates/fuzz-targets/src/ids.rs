//! Layouts, and IDs in all their encodings.

use std::time::Duration;

use coord_core::fuzzing::Input;
use snowflake::{FieldOrder, Id, Layout, ParseIdError};

type Parse = fn(&str) -> Result<Id, ParseIdError>;
type Write = fn(Id) -> String;

const ENCODINGS: [(Parse, Write); 5] = [
    (
        |text| text.parse(),
        |id| id.to_decimal().as_str().to_owned(),
    ),
    (Id::from_hex, |id| id.to_hex().as_str().to_owned()),
    (Id::from_base32, |id| id.to_base32().as_str().to_owned()),
    (Id::from_base58, |id| id.to_base58().as_str().to_owned()),
    (Id::from_base62, |id| id.to_base62().as_str().to_owned()),
];

/// Whatever text or number: one ID has one spelling in each encoding, and what is taken apart goes together again.
pub(crate) fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        for (parse, write) in ENCODINGS {
            if let Ok(id) = parse(text) {
                assert_eq!(write(id), text);
            }
        }
    }
    let mut input = Input::new(data);
    let id = Id::from_u64(input.number());
    for (parse, write) in ENCODINGS {
        assert_eq!(parse(&write(id)), Ok(id));
    }
    for layout in [Layout::TWITTER, Layout::SONYFLAKE, Layout::JAVASCRIPT] {
        check(&layout, id, &mut input.clone());
    }
    if let Some(layout) = layout(&mut input) {
        check(&layout, id, &mut input);
    }
}

fn layout(input: &mut Input<'_>) -> Option<Layout> {
    let mut byte = || input.byte();
    let layout = Layout::new(byte(), byte(), byte()).ok()?;
    let order = match byte() % 2 {
        0 => FieldOrder::TimestampMachineSequence,
        _ => FieldOrder::TimestampSequenceMachine,
    };
    let layout = layout
        .with_order(order)
        .with_epoch_ms(input.number())
        .ok()?;
    layout.with_unit(Duration::from_millis(input.number())).ok()
}

fn check(layout: &Layout, id: Id, input: &mut Input<'_>) {
    let parts = layout.decode(id);
    assert!(parts.machine_id <= layout.max_machine_id());
    assert!(parts.sequence <= layout.max_sequence());
    match layout.encode(parts.timestamp, parts.machine_id, parts.sequence) {
        // A layout narrower than 64 bits has no place for the highest ones.
        Ok(again) => assert_eq!(again, id),
        Err(_) => assert!(layout.max_timestamp() < parts.timestamp),
    }
    let (timestamp, machine, sequence) = (input.number(), input.number(), input.number());
    let machine = u32::try_from(machine).unwrap_or(u32::MAX);
    if let Ok(id) = layout.encode(timestamp, machine, sequence) {
        let parts = layout.decode(id);
        let found = (parts.timestamp, parts.machine_id, parts.sequence);
        assert_eq!(found, (timestamp, machine, sequence));
        assert!(i64::try_from(id).is_ok());
    }
    let (from, until) = (input.number(), input.number());
    if let (Ok(first), Ok(last)) = (layout.min_id_at(from), layout.max_id_at(from)) {
        assert!(first <= last);
    }
    let at = |ms| std::time::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    if let (Some(from), Some(until)) = (at(from), at(until))
        && let Ok(ids) = layout.ids_between(from, until)
    {
        assert!(ids.start() <= ids.end());
    }
    let _ = (layout.expires_at(), id.time(layout));
}
