//! Whether a program has its machine ID, for whoever asks beside it: without a server, by a file and the clock.

use std::{fs, io::ErrorKind, process::ExitCode, time::Duration};

use coord_core::clock::{Clock, Instant, SystemClock};
use serde_json::{Value, json};

use crate::{
    cli::{Global, StatusOptions},
    failure::Failure,
    output, time,
};

/// What `id exec --status-file` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) id: u32,
    pub(crate) fence: u64,
    pub(crate) namespace: String,
    pub(crate) pid: i32,
    /// The local deadline, on the boot-time clock, which all processes of a machine share.
    pub(crate) held_until: Instant,
}

impl Status {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "fence": self.fence.to_string(),
            "namespace": self.namespace,
            "pid": self.pid,
            "held_until_boot_ms": time::ms(self.held_until.since_boot()),
        })
    }

    /// `None` where `text` is nothing that [`Status::json`] wrote.
    fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| value[name].as_u64();
        Some(Self {
            id: u32::try_from(number("id")?).ok()?,
            fence: value["fence"].as_str()?.parse().ok()?,
            namespace: value["namespace"].as_str()?.to_owned(),
            pid: i32::try_from(number("pid")?).ok()?,
            held_until: Instant::from_boot(Duration::from_millis(number("held_until_boot_ms")?)),
        })
    }

    /// For how long the machine ID is held at least, or that it is not.
    fn left(&self, now: Instant) -> Result<Duration, Failure> {
        if now < self.held_until {
            return Ok(self.held_until.saturating_since(now));
        }
        Err(Failure::Lost(format!(
            "the lease of machine ID {} has been over for {}: no renewal was acknowledged, and coordctl did not end its \
             program",
            self.id,
            time::span(now.saturating_since(self.held_until))
        )))
    }
}

pub(crate) fn run(global: &Global, options: &StatusOptions) -> Result<ExitCode, Failure> {
    let shown = options.file.display();
    let text = fs::read_to_string(&options.file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::Unavailable(format!(
            "there is no {shown}: no machine ID is held yet, or none any more; `coordctl id exec --status-file {shown}` \
             keeps it while one is"
        )),
        _ => Failure::Failed(format!("{shown}: {error}")),
    })?;
    let status = Status::parse(&text).ok_or_else(|| {
        Failure::Failed(format!(
            "{shown} was not written by `id exec --status-file`"
        ))
    })?;
    let left = status.left(SystemClock.now())?;
    if global.json {
        let mut value = status.json();
        value["left_ms"] = time::ms(left).into();
        output::json(&value)?;
    } else {
        output::line(&output::plain(&format!(
            "machine ID {} of namespace {} (fence {}) is process {}'s for {} at least",
            status.id,
            status.namespace,
            status.fence,
            status.pid,
            time::span(left)
        )))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            id: 7,
            fence: u64::MAX,
            namespace: "orders".to_owned(),
            pid: 12,
            held_until: Instant::from_boot(Duration::from_millis(59_398)),
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let text = status().json().to_string();
        assert_eq!(Status::parse(&text), Some(status()));
        for text in ["", "7", "{}", &text.replace("fence", "fences")] {
            assert_eq!(Status::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_machine_id_is_held_until_its_deadline_and_no_longer() {
        let at = |ms| Instant::from_boot(Duration::from_millis(ms));
        let left = status().left(at(59_397)).expect("held");
        assert_eq!(left, Duration::from_millis(1));
        let Err(Failure::Lost(message)) = status().left(at(60_398)) else {
            panic!("held past its deadline");
        };
        assert!(message.contains("1.0s"), "{message}");
    }
}
