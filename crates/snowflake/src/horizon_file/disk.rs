//! The file as the operating system sees it: made whole, locked, and told from another one of the same name.

use std::{
    fs::{File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::HorizonFileError;

/// A file that is open, locked and in its place.
pub(super) struct Opened {
    pub(super) file: File,
    /// What it is told by from another file of its name.
    pub(super) identity: Identity,
    /// Whether it was made just now, with the first record in it.
    pub(super) is_new: bool,
}

/// Opens the file, or makes it with `first_record` in it.
///
/// A new file gets its name only once its content is on the disk: a crash leaves either no file or a whole one, and an
/// empty file is one that was damaged.
pub(super) fn open(path: &Path, first_record: &str) -> Result<Opened, HorizonFileError> {
    let io = |source| HorizonFileError::Io {
        path: path.to_owned(),
        source,
    };
    // A link may point to where the file is to be made.
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let target =
        std::fs::read_link(path).map_or_else(|_| path.to_owned(), |link| directory.join(link));
    for _ in 0..ATTEMPTS {
        let existing = OpenOptions::new().read(true).write(true).open(path);
        let (file, is_new) = match existing {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match create(&target, first_record).map_err(io)? {
                    Some(file) => (file, true),
                    None => continue,
                }
            }
            Err(error) => return Err(io(error)),
        };
        // A new file is locked already, under its first name.
        lock(&file, path)?;
        let identity = Identity::of_open(&file).map_err(io)?;
        // Another file may have got the name between the two calls above.
        match Identity::of_name(path) {
            Ok(found) if found == identity => {
                sync_directory(&target).map_err(io)?;
                return Ok(Opened {
                    file,
                    identity,
                    is_new,
                });
            }
            Err(error) if !is_gone(&error) => return Err(io(error)),
            _ => {}
        }
    }
    Err(io(io::Error::other(
        "other processes keep making and removing the file",
    )))
}

/// Says whether the file of that name is still the one that was opened.
pub(super) fn look(path: &Path, identity: Identity) -> Result<(), HorizonFileError> {
    let found = match Identity::of_name(path) {
        Ok(found) if found == identity => return Ok(()),
        Ok(_) => "was replaced by another file",
        Err(error) if is_gone(&error) => "was removed",
        Err(source) => {
            return Err(HorizonFileError::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    Err(HorizonFileError::Replaced {
        path: path.to_owned(),
        found,
    })
}

/// Makes the file under another name, locks it, and gives it its name; `None` if another process was faster.
fn create(path: &Path, first_record: &str) -> io::Result<Option<File>> {
    let new = new_name(path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&new)?;
    let named = lock(&file, &new)
        .map_err(io::Error::other)
        .and_then(|()| file.write_all(first_record.as_bytes()))
        .and_then(|()| file.sync_all())
        .and_then(|()| give_name(&new, path));
    // Gone already if it was renamed.
    let _ = std::fs::remove_file(&new);
    match named {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Never replaces a file: a link cannot.
fn give_name(new: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(new, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // Some file systems have no links. A process that makes the file at the same moment is found out by its identity.
            if path.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(new, path)
        }
        linked => linked,
    }
}

/// In the same directory, for only there it can be given the other's name.
fn new_name(path: &Path) -> PathBuf {
    let random = RandomState::new().hash_one(std::process::id());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{random:016x}.new"));
    path.with_file_name(name)
}

/// A file that was just created is there after a power failure only if its directory was synced.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory(path).unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn directory(path: &Path) -> Option<&Path> {
    path.parent().filter(|it| !it.as_os_str().is_empty())
}

/// Whether the name leads nowhere: no file, no directory, or links in a circle.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Device and inode: no other file has them while this one is open. Links are followed.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

#[cfg(unix)]
impl Identity {
    fn of_name(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|found| Self::of(&found))
    }

    fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| Self::of(&found))
    }

    fn of(found: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;

        Self(found.dev(), found.ino())
    }
}

/// Nothing is known here but whether there is a file.
#[cfg(not(unix))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity;

#[cfg(not(unix))]
impl Identity {
    fn of_name(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|_| Self)
    }

    fn of_open(_file: &File) -> io::Result<Self> {
        Ok(Self)
    }
}

#[cfg(unix)]
fn lock(file: &File, path: &Path) -> Result<(), HorizonFileError> {
    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };

    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| {
        if errno == Errno::WOULDBLOCK {
            HorizonFileError::Locked {
                path: path.to_owned(),
            }
        } else {
            HorizonFileError::Io {
                path: path.to_owned(),
                source: errno.into(),
            }
        }
    })
}

#[cfg(not(unix))]
fn lock(_file: &File, _path: &Path) -> Result<(), HorizonFileError> {
    Ok(())
}

/// Each attempt fails only if another process made, removed or replaced the file meanwhile.
const ATTEMPTS: u32 = 16;
