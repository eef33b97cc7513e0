//! What a chapter shows as output, compared with what came.

/// Whether `actual` is what `shown` shows. `…` within a line stands for anything, a line that is only `…` for any number of
/// lines. Blanks at the ends of lines do not count, nor does how many blanks stand in a row: columns shift with what they
/// hold.
pub(super) fn matches(shown: &[&str], actual: &[&str]) -> bool {
    let Some((first, rest)) = shown.split_first() else {
        return actual.is_empty();
    };
    if first.trim() == "…" {
        return (0..=actual.len()).any(|skipped| matches(rest, &actual[skipped..]));
    }
    let Some((line, others)) = actual.split_first() else {
        return false;
    };
    line_matches(&squeezed(first), &squeezed(line)) && matches(rest, others)
}

fn line_matches(shown: &str, actual: &str) -> bool {
    let mut parts = shown.split('…');
    let start = parts.next().unwrap_or_default();
    let Some(mut left) = actual.strip_prefix(start) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return left.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    true
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn placeholders_stand_for_anything_and_nothing_else_does() {
    let check = |shown: &[&str], actual: &[&str], expected: bool| {
        assert_eq!(matches(shown, actual), expected, "{shown:?} {actual:?}");
    };
    check(&["a … c"], &["a b c"], true);
    check(&["a … c"], &["a b d"], false);
    check(&["a  b"], &["a b  "], true);
    check(&["ab"], &["abc"], false);
    check(&["…b…"], &["abc"], true);
    check(&["…", "c"], &["a", "b", "c"], true);
    check(&["…"], &[], true);
    check(&["a"], &["a", "b"], false);
    check(&[], &["a"], false);
    check(&["a…a"], &["a"], false);
}
