//! Serializes an [`Id`] as a decimal string, for JavaScript, whose numbers end at 53 bits.
//!
//! ```
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Order {
//!     #[serde(with = "snowflake::string")]
//!     id: snowflake::Id,
//! }
//! let order: Order = serde_json::from_str(r#"{"id":"1541815603606036480"}"#)?;
//! assert_eq!(serde_json::to_string(&order)?, r#"{"id":"1541815603606036480"}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```

use core::fmt;

use serde::{Deserializer, Serializer, de};

use crate::Id;

/// Writes `id` as a string.
///
/// # Errors
///
/// Those of `serializer`.
pub fn serialize<S: Serializer>(id: &Id, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.to_decimal().as_str())
}

/// Reads an ID from a string, strictly: a number is an error.
///
/// # Errors
///
/// Those of `deserializer`, and what [`Id`]'s `FromStr` refuses.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
    deserializer.deserialize_str(Visitor)
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ID as a decimal string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        text.parse().map_err(E::custom)
    }
}
