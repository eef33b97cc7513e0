//! Is a secret in anything that a run has written?

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Every file under `directory` that contains `secret`.
///
/// # Errors
///
/// When a file cannot be read.
pub fn files_with(directory: &Path, secret: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if contains(&path, secret)? {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn contains(path: &Path, secret: &str) -> Result<bool> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    // By lines, which no secret here spans; and what is no text is looked at as well as it can be.
    let mut lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines.any(|line| String::from_utf8_lossy(line).contains(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        file("clean.log", b"redis://:***@127.0.0.1:1\n");
        file("deep/leak.log", b"first\nredis://:hunter2@127.0.0.1:1");
        file("binary", b"\xff\xfehunter2\x00");
        let found = files_with(dir.path(), "hunter2").unwrap();
        let expected = [dir.path().join("binary"), dir.path().join("deep/leak.log")];
        assert_eq!(found, expected);
        assert!(files_with(dir.path(), "hunter3").unwrap().is_empty());
    }
}
