//! What `id exec` says on the standard error.

use std::{
    io::Write,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use serde_json::Value;

use crate::output;

/// Writes from a thread of its own: whoever reads the standard error may be slow or stuck, and a lease does not wait for
/// that. Lines beyond a bound are dropped then.
#[derive(Debug)]
pub(super) struct Journal {
    json: bool,
    lines: SyncSender<String>,
    written: Receiver<()>,
}

impl Journal {
    pub(super) fn new(json: bool) -> Self {
        let (lines, inbox) = sync_channel::<String>(LINES);
        let (done, written) = sync_channel(1);
        let writer = std::thread::Builder::new().name("journal".to_owned());
        // Where no thread can be started the inbox is dropped, and so is all that is said.
        let _ = writer.spawn(move || {
            for line in inbox {
                // Nobody is left to tell where this fails.
                let _ = writeln!(anstream::stderr(), "{line}");
            }
            let _ = done.send(());
        });
        Self {
            json,
            lines,
            written,
        }
    }

    pub(super) fn say(&self, event: &str, mut fields: Value, text: &str) {
        let line = if self.json {
            fields["event"] = event.into();
            fields["text"] = text.into();
            fields.to_string()
        } else {
            format!("coordctl: {}", output::plain(text))
        };
        let _ = self.lines.try_send(line);
    }

    /// Waits a moment until all is written.
    pub(super) fn close(self) {
        drop(self.lines);
        let _ = self.written.recv_timeout(CLOSING);
    }
}

const LINES: usize = 256;
const CLOSING: Duration = Duration::from_millis(500);
