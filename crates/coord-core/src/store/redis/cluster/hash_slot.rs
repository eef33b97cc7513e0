//! Which of the 16,384 hash slots a key lies in.

/// The hash slot of `key`: of what stands in its first pair of braces, where that is not empty, else of all of it
/// (Redis Cluster Specification, "Hash tags").
pub(crate) fn hash_slot(key: &str) -> u16 {
    let tagged = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let hashed = match tagged {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    };
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // Answers of CLUSTER KEYSLOT on Redis 7.0.15.
        assert_eq!(hash_slot("123456789"), 12_739);
        assert_eq!(hash_slot("{user1000}.following"), hash_slot("user1000"));
        assert_eq!(hash_slot("foo{bar}{zap}"), hash_slot("bar"));
        assert_eq!(hash_slot("foo{{bar}}zap"), hash_slot("{bar"));
        assert_ne!(hash_slot("foo{}{bar}"), hash_slot("bar"));
        assert_ne!(hash_slot("{}foo"), hash_slot("{}bar"));
    }
}
