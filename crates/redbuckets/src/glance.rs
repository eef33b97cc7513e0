//! What makes an idle heartbeat cheap.

/// The group's state and the member's record as the store last told them, to the letter: where it finds them so, nothing
/// has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glance {
    pub(crate) state: String,
    pub(crate) record: String,
}

impl Glance {
    /// The record as it is after request `seq`, whose number is its third word.
    pub(crate) fn record_after(&self, seq: u64) -> String {
        let mut words: Vec<&str> = self.record.splitn(4, ' ').collect();
        let seq = seq.to_string();
        if let Some(word) = words.get_mut(2) {
            *word = &seq;
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_of_the_request_changes() {
        let glance = Glance {
            state: String::new(),
            record: "17:ab 5 41 3 3 1 0 0 an id with words".to_owned(),
        };
        assert_eq!(
            glance.record_after(42),
            "17:ab 5 42 3 3 1 0 0 an id with words"
        );
    }
}
