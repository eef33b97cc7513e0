//! Encodings: round trips, order, strictness.

use std::{
    hash::{BuildHasher, RandomState},
    time::UNIX_EPOCH,
};

use proptest::prelude::*;
use snowflake::{Id, IdText, ParseIdError, SignedIdError};

type Encode = fn(Id) -> IdText;
type Decode = fn(&str) -> Result<Id, ParseIdError>;

/// Each encoding with its width, a byte that is not in its alphabet, and its largest digit.
const FIXED: [(Encode, Decode, usize, char, char); 4] = [
    (Id::to_hex, Id::from_hex, 16, 'A', 'f'),
    (Id::to_base32, Id::from_base32, 13, 'O', 'Z'),
    (Id::to_base58, Id::from_base58, 11, '0', 'z'),
    (Id::to_base62, Id::from_base62, 11, '-', 'z'),
];

proptest! {
    #[test]
    fn every_encoding_comes_back(bits: u64) {
        let id = Id::from_u64(bits);
        prop_assert_eq!(id.to_string().parse::<Id>(), Ok(id));
        prop_assert_eq!(id.to_decimal().to_string(), id.to_string());
        for (encode, decode, width, ..) in FIXED {
            let text = encode(id);
            prop_assert_eq!(text.len(), width);
            prop_assert_eq!(decode(&text), Ok(id));
        }
    }

    #[test]
    fn texts_sort_as_their_ids_do(a: u64, b: u64) {
        let (a, b) = (Id::from_u64(a), Id::from_u64(b));
        for (encode, ..) in FIXED {
            prop_assert_eq!(encode(a).as_str().cmp(encode(b).as_str()), a.cmp(&b));
        }
    }

    #[test]
    fn anything_that_parses_is_the_one_spelling_of_its_id(text in "[0-9A-Za-z]{0,20}") {
        for (encode, decode, ..) in FIXED {
            if let Ok(id) = decode(&text) {
                prop_assert_eq!(encode(id).to_string(), text.clone());
            }
        }
        if let Ok(id) = text.parse::<Id>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC*") {
        for (_, decode, ..) in FIXED {
            let _ = decode(&text);
        }
        let _ = text.parse::<Id>();
    }

    #[test]
    fn bigints_come_back(bits in 0..=i64::MAX) {
        let id = Id::try_from(bits).expect("not negative");
        prop_assert_eq!(i64::try_from(id), Ok(bits));
        prop_assert!(Id::try_from(-bits - 1).is_err());
    }
}

#[test]
fn lengths_alphabets_and_overflow_are_errors() {
    for (encode, decode, width, foreign, largest) in FIXED {
        let good = encode(Id::from_u64(77)).to_string();
        assert!(matches!(
            decode(&good[1..]),
            Err(ParseIdError::Length { expected, .. }) if expected == width
        ));
        assert!(decode(&format!("0{good}")).is_err());
        let bad = format!("{}{foreign}", &good[1..]);
        assert!(matches!(
            decode(&bad),
            Err(ParseIdError::Alphabet { position, .. }) if position == width - 1
        ));
        assert!(decode(&"é".repeat(width)).is_err());
        let large = largest.to_string().repeat(width);
        match decode(&large) {
            Ok(id) => assert_eq!(id.as_u64(), u64::MAX, "sixteen hexadecimal digits just fit"),
            Err(error) => assert!(matches!(error, ParseIdError::Overflow { .. }), "{error}"),
        }
    }
}

/// The last digit overflows twice, by multiplying and by adding.
#[test]
fn a_number_that_overflows_twice_over_is_refused() {
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = (1_u128 << 65) + 20;
    let mut text = Vec::new();
    for _ in 0..11 {
        text.push(digits[usize::try_from(number % 62).expect("small")]);
        number /= 62;
    }
    text.reverse();
    let text = String::from_utf8(text).expect("ASCII");
    assert!(matches!(
        Id::from_base62(&text),
        Err(ParseIdError::Overflow { .. })
    ));
}

#[test]
fn decimals_of_every_length_are_exact() {
    let powers = (0..20).map(|exponent| 10_u64.pow(exponent));
    for bits in powers.flat_map(|power| [power - 1, power, power + 1, power / 7 * 3]) {
        let text = Id::from_u64(bits).to_decimal();
        assert_eq!(text.as_str(), bits.to_string());
    }
}

#[test]
fn texts_compare_and_hash_as_strings_do() {
    let (text, other) = (Id::from_u64(42).to_hex(), Id::from_u64(43).to_hex());
    let plain = "000000000000002a";
    assert!(text == Id::from_u64(42).to_hex() && text != other);
    assert!(text == *plain && other != *plain);
    assert!(text == plain && other != plain);
    assert_eq!(AsRef::<str>::as_ref(&text), plain);
    assert_eq!(AsRef::<[u8]>::as_ref(&text), plain.as_bytes());
    let hasher = RandomState::new();
    assert_eq!(hasher.hash_one(text), hasher.hash_one(plain));
}

#[test]
fn an_id_is_a_number_and_a_time() {
    let id = Id::from_u64(1_541_815_603_606_036_480);
    assert_eq!(u64::from(id), 1_541_815_603_606_036_480);
    let time = id.time(&snowflake::Layout::TWITTER).expect("this century");
    let since_1970 = time.duration_since(UNIX_EPOCH).expect("later");
    assert_eq!(since_1970.as_millis(), 1_656_432_460_105);
}

#[test]
fn decimals_are_strict() {
    for bad in [
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "01",
        "1_000",
        "0x1",
        "18446744073709551616",
        "１",
    ] {
        assert_eq!(bad.parse::<Id>(), Err(ParseIdError::Decimal), "{bad:?}");
    }
    assert_eq!("0".parse(), Ok(Id::from_u64(0)));
    assert_eq!(u64::MAX.to_string().parse(), Ok(Id::from_u64(u64::MAX)));
}

#[test]
fn an_id_too_large_for_a_bigint_is_an_error() {
    let error = i64::try_from(Id::from_u64(u64::MAX));
    assert_eq!(error, Err(SignedIdError::TooLarge { value: u64::MAX }));
}

#[test]
fn texts_pad_as_strings_do() {
    assert_eq!(format!("{:>8}", Id::from_u64(42).to_decimal()), "      42");
    assert_eq!(format!("{:?}", Id::from_u64(42).to_decimal()), "\"42\"");
}

#[cfg(feature = "serde")]
#[test]
fn serde_writes_integers_and_refuses_strings() {
    let id = Id::from_u64(1_541_815_603_606_036_480);
    let json = serde_json::to_string(&id).expect("a number");
    assert_eq!(json, "1541815603606036480");
    assert_eq!(serde_json::from_str::<Id>(&json).expect("its own"), id);
    assert!(serde_json::from_str::<Id>("\"1\"").is_err());
    assert!(serde_json::from_str::<Id>("-1").is_err());
}

#[cfg(feature = "serde")]
#[test]
fn serde_says_what_an_id_as_a_string_is() {
    let mut json = serde_json::Deserializer::from_str("42");
    let error = snowflake::string::deserialize(&mut json).expect_err("a number");
    assert!(error.to_string().contains("an ID as a decimal string"));
}

#[cfg(feature = "jiff")]
#[test]
fn jiff_has_the_time() {
    let id = Id::from_u64(1_541_815_603_606_036_480);
    let time = id
        .to_jiff(&snowflake::Layout::TWITTER)
        .expect("this century");
    assert_eq!(time.to_string(), "2022-06-28T16:07:40.105Z");
}

#[cfg(feature = "chrono")]
#[test]
fn chrono_has_the_time() {
    let id = Id::from_u64(1_541_815_603_606_036_480);
    let time = id
        .to_chrono(&snowflake::Layout::TWITTER)
        .expect("this century");
    assert_eq!(time.timestamp_millis(), 1_656_432_460_105);
}
