//! Running cargo, and saying how to run it again.

use std::{
    borrow::Cow,
    env,
    fmt::{self, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// One call of a program, `cargo` unless said otherwise; shown as what a user would type.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    program: Cow<'static, str>,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Call {
    pub(crate) fn cargo(line: &str) -> Self {
        Self::program("cargo", line)
    }

    /// `program` with the arguments in `line`, separated by spaces.
    pub(crate) fn program(program: impl Into<Cow<'static, str>>, line: &str) -> Self {
        Self {
            program: program.into(),
            arguments: line.split_whitespace().map(str::to_owned).collect(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl ToString) -> Self {
        self.environment.push((name, value.to_string()));
        self
    }

    /// Runs it with this terminal.
    pub(crate) fn run(&self) -> Result<()> {
        let status = self
            .command()
            .status()
            .with_context(|| format!("starting {}", self.program))?;
        if !status.success() {
            bail!("{} ended with {status}", self.program);
        }
        Ok(())
    }

    /// Runs it with this terminal, and says how it ended: its code, or `None` where a signal ended it.
    pub(crate) fn code(&self) -> Result<Option<i32>> {
        let status = self.command().status();
        Ok(status
            .with_context(|| format!("starting {}", self.program))?
            .code())
    }

    /// Runs it and returns what it prints; its messages go to this terminal.
    pub(crate) fn output(&self) -> Result<String> {
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting {}", self.program))?;
        if !output.status.success() {
            bail!("`{self}` ended with {}", output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("output of `{self}`"))
    }

    fn command(&self) -> Command {
        let program = match &*self.program {
            "cargo" => env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            other => other.into(),
        };
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(root());
        command
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}=\"{value}\" ")?;
        }
        f.write_str(&self.program)?;
        for argument in &self.arguments {
            f.write_char(' ')?;
            f.write_str(argument)?;
        }
        Ok(())
    }
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The workspace's directory.
pub(crate) fn root() -> PathBuf {
    // Cargo names the package's directory to what it runs; the fallback serves a copied binary.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.join("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_as_one_would_type_it() {
        let call = Call::cargo("doc --no-deps").env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            call.to_string(),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps"
        );
    }
}
