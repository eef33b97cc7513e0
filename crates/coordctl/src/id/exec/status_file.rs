//! The file that says for how long the machine ID is held.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use crate::{failure::Failure, id::status::Status};

/// Written from a thread of its own: a file system may hang, and a lease does not wait for that. What is written says until
/// when it counts, so a file that can no longer be changed misleads nobody for long.
#[derive(Debug)]
pub(super) struct StatusFile {
    shown: Option<Status>,
    newest: Arc<Mutex<Option<Status>>>,
    wake: SyncSender<()>,
    ended: Receiver<()>,
}

impl StatusFile {
    /// Takes away what an earlier process may have left: it says nothing of this one.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let unusable = |error: io::Error| {
            let path = path.display();
            Failure::Usage(format!(
                "--status-file {path}: {error}; name a file in a directory that can be written to"
            ))
        };
        apply(path, None).map_err(unusable)?;
        // Found out now, and not when a probe reports that nothing is there.
        let draft = draft(path);
        fs::write(&draft, "").map_err(unusable)?;
        fs::remove_file(&draft).map_err(unusable)?;
        let newest = Arc::new(Mutex::new(None));
        let (wake, wakes) = sync_channel(1);
        let (done, ended) = sync_channel(1);
        let (path, shared) = (path.to_owned(), Arc::clone(&newest));
        let writer = std::thread::Builder::new().name("status file".to_owned());
        writer
            .spawn(move || {
                for () in wakes {
                    let status = shared
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .clone();
                    // The next renewal writes it again.
                    let _ = apply(&path, status.as_ref());
                }
                let _ = apply(&path, None);
                let _ = done.send(());
            })
            .map_err(unusable)?;
        Ok(Self {
            shown: None,
            newest,
            wake,
            ended,
        })
    }

    /// Shows this, or that no machine ID is held.
    pub(super) fn show(&mut self, status: Option<Status>) {
        if self.shown == status {
            return;
        }
        self.shown.clone_from(&status);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = status;
        // Where it is full, the writer has yet to look, and will see the newest.
        let _ = self.wake.try_send(());
    }

    /// Takes the file away.
    pub(super) fn close(self) {
        drop(self.wake);
        let _ = self.ended.recv_timeout(CLOSING);
    }
}

/// Renamed into place, so that nobody reads half of it.
fn apply(path: &Path, status: Option<&Status>) -> io::Result<()> {
    let Some(status) = status else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
    };
    let draft = draft(path);
    fs::write(&draft, format!("{}\n", status.json()))?;
    fs::rename(draft, path)
}

fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".draft");
    name.into()
}

const CLOSING: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_refused_before_anything_starts() {
        let Err(Failure::Usage(message)) = StatusFile::open(Path::new("/nowhere/at/all")) else {
            panic!("accepted");
        };
        assert!(message.contains("/nowhere/at/all"), "{message}");
    }
}
