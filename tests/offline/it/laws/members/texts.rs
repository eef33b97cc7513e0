//! What members and the store write to each other.

/// The member's record as it was told, with the number of this request.
pub(super) fn next_record(record: &str, seq: u64) -> String {
    let (mut fields, seq): (Vec<&str>, _) = (record.split(' ').collect(), seq.to_string());
    if let Some(number) = fields.get_mut(2) {
        *number = &seq;
    }
    fields.join(" ")
}

/// The buckets and epochs in a list of runs.
pub(super) fn parsed(text: &str) -> Vec<(u32, u64)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |text: &str| text.parse().expect("a bucket");
    let run = |words: &[&str]| {
        let (first, last) = words[0].split_once('-').unwrap_or((words[0], words[0]));
        let epoch = words[1].trim_end_matches('!');
        let epoch: u64 = epoch.parse().expect("an epoch");
        (number(first)..=number(last)).map(move |bucket: u32| (bucket, epoch))
    };
    words.chunks_exact(2).flat_map(run).collect()
}
