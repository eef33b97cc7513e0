//! Connection URLs and the names in them.

use coord_core::{endpoint::Endpoint, namespace::Namespace};

const SECRET: &str = "hunter2-correct-horse";

/// Whatever is written, it is understood or refused, and what was a password is shown nowhere.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check(text);
    let _ = Namespace::new(text);
    // As a URL with a password in it, right or with a mistake somewhere.
    let (before, after) = text.split_once('\u{1}').unwrap_or((text, ""));
    for scheme in [
        "redis",
        "rediss",
        "redis+unix",
        "rediscluster",
        "redis+sentinel",
    ] {
        conceals(&format!("{scheme}://:{SECRET}{before}@{after}"));
        // A socket's path has no user before it, and may have an @ of its own.
        if !before.starts_with('/') {
            conceals(&format!("{scheme}://{before}:{SECRET}@{after}"));
        }
        conceals(&format!(
            "{scheme}://h/m?sentinel_password={SECRET}{before}&{after}"
        ));
    }
}

fn check(text: &str) {
    let Ok(endpoint) = Endpoint::parse(text) else {
        return;
    };
    assert!(text.len() <= Endpoint::MAX_LEN);
    let shown = endpoint.to_string();
    // What is shown leads to the same place, where it can be read as a URL at all: a name may have any character.
    if let Ok(again) = Endpoint::parse(&shown) {
        assert_eq!(again.is_cluster(), endpoint.is_cluster(), "{text:?}");
        assert_eq!(again.is_tls(), endpoint.is_tls(), "{text:?}");
        if !shown.contains(['%', '?']) {
            assert_eq!(again.to_string(), shown, "{text:?}");
        }
    }
}

fn conceals(url: &str) {
    let shown = match Endpoint::parse(url) {
        Ok(endpoint) => format!("{endpoint} {endpoint:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains(SECRET), "{url:?} is shown as {shown}");
}
