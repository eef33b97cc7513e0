//! What a user lacks who was refused.
//!
//! Servers before 7.2 do not say which command a script was not allowed, and none says which key or channel: what is asked
//! for is known here, so it is added to the error.

use std::collections::BTreeSet;

use crate::store::{Command, StoreError};

/// How many keys an error names.
const SHOWN_KEYS: usize = 3;

/// Adds to a refusal what `command` needs.
pub(super) fn explain(command: &Command, error: StoreError) -> StoreError {
    match command {
        Command::Eval { script, keys, .. } => explain_with(error, || {
            let commands: Vec<String> = called(script.source())
                .iter()
                .map(|name| format!("+{}", name.to_lowercase()))
                .collect();
            let more = if SHOWN_KEYS < keys.len() { ", …" } else { "" };
            let shown: Vec<&str> = keys.iter().take(SHOWN_KEYS).map(String::as_str).collect();
            format!(
                "+evalsha +eval {} and the keys of {}{more}",
                commands.join(" "),
                shown.join(", ")
            )
        }),
        Command::Publish { channel, .. } => {
            explain_with(error, || format!("+publish and the channel {channel}"))
        }
    }
}

/// As [`explain`], for a subscription.
pub(super) fn explain_subscription(channel: &str, error: StoreError) -> StoreError {
    explain_with(error, || {
        format!("+subscribe +ping and the channel {channel}")
    })
}

/// Adds to a refusal of WAIT what wanted it.
pub(super) fn explain_acknowledge(error: StoreError) -> StoreError {
    match error {
        StoreError::Refused {
            operation,
            address,
            code,
            detail,
        } => StoreError::Refused {
            operation,
            address,
            code,
            detail: format!(
                "{}; acknowledge(n) needs the command WAIT: allow it (+wait), or remove the option acknowledge",
                detail.trim_end()
            ),
        },
        other => other,
    }
}

fn explain_with(error: StoreError, needs: impl FnOnce() -> String) -> StoreError {
    match error {
        StoreError::Refused {
            operation,
            address,
            code,
            detail,
        } if code == "NOPERM" => StoreError::Refused {
            operation,
            address,
            code,
            detail: format!("{}; this needs {}", detail.trim_end(), needs()),
        },
        other => other,
    }
}

/// The commands that a script calls.
fn called(source: &str) -> BTreeSet<&str> {
    source
        .split("call('")
        .skip(1)
        .filter_map(|rest| rest.split_once('\''))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Script;

    static COPY: Script = Script::new(
        "copy",
        &["redis.call('SET', KEYS[2], redis.pcall('GET', KEYS[1]))"],
    );

    fn refused(code: &str) -> StoreError {
        StoreError::Refused {
            operation: "copy",
            address: "redis://h:6379/0".to_owned(),
            code: code.to_owned(),
            detail: "no permissions ".to_owned(),
        }
    }

    #[test]
    fn what_is_missing_is_among_what_is_named() {
        let copy = |count: usize| Command::Eval {
            script: &COPY,
            keys: (0..count).map(|number| format!("k{number}")).collect(),
            args: Vec::new(),
        };
        let check = |error: StoreError, expected: &str| assert_eq!(error.to_string(), expected);
        check(
            explain(&copy(2), refused("NOPERM")),
            "copy: redis://h:6379/0 refused: NOPERM no permissions; this needs +evalsha +eval +get +set and the keys of \
             k0, k1",
        );
        check(
            explain(&copy(3), refused("NOPERM")),
            "copy: redis://h:6379/0 refused: NOPERM no permissions; this needs +evalsha +eval +get +set and the keys of \
             k0, k1, k2",
        );
        check(
            explain(&copy(9), refused("NOPERM")),
            "copy: redis://h:6379/0 refused: NOPERM no permissions; this needs +evalsha +eval +get +set and the keys of \
             k0, k1, k2, …",
        );
        check(
            explain_subscription("news", refused("NOPERM")),
            "copy: redis://h:6379/0 refused: NOPERM no permissions; this needs +subscribe +ping and the channel news",
        );
        check(
            explain_acknowledge(refused("NOPERM")),
            "copy: redis://h:6379/0 refused: NOPERM no permissions; acknowledge(n) needs the command WAIT: allow it \
             (+wait), or remove the option acknowledge",
        );
        check(
            explain(&copy(2), refused("OOM")),
            "copy: redis://h:6379/0 refused: OOM no permissions ",
        );
    }
}
