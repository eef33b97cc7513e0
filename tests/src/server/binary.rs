//! Where the server program is.

use std::{ffi::OsStr, path::PathBuf};

use anyhow::{Context, Result, bail};

/// The server program: `COORD_REDIS_SERVER` where it is set, else `redis-server` on the `PATH`.
///
/// # Errors
///
/// When there is none; the message says what to do.
pub fn find_redis_server() -> Result<PathBuf> {
    find_program(
        "redis-server",
        std::env::var_os("COORD_REDIS_SERVER").map(PathBuf::from),
        std::env::var_os("PATH").as_deref(),
    )
}

fn find_program(name: &str, chosen: Option<PathBuf>, path: Option<&OsStr>) -> Result<PathBuf> {
    if let Some(chosen) = chosen {
        if chosen.is_file() {
            return Ok(chosen);
        }
        bail!(
            "COORD_REDIS_SERVER names {}, which is no file; correct or unset it",
            chosen.display()
        );
    }
    std::env::split_paths(path.unwrap_or_default())
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .with_context(|| {
            format!("no {name} on the PATH; run `cargo xtask setup` or set COORD_REDIS_SERVER")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_program_is_an_error_that_says_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let error = find_program("redis-server", None, Some(empty.path().as_os_str()));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("cargo xtask setup"), "{message}");
        let error = find_program("redis-server", None, None).unwrap_err();
        assert!(error.to_string().contains("PATH"), "{error}");
    }

    #[test]
    fn a_chosen_server_program_that_does_not_exist_is_never_replaced() {
        let path = std::env::var_os("PATH");
        let chosen = Some(PathBuf::from("/nowhere/redis-server"));
        let error = find_program("redis-server", chosen, path.as_deref()).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
    }
}
