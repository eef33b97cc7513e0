//! Programs as real processes, with everything they print.

use std::{
    collections::VecDeque,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::{ChildStdout, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use coord_core::clock::{Clock, Instant, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

use crate::{clock::FakeClock, examples, ids, process::Process, wait};

/// How whoever runs the tests says that he wants colours, or none. No program under test hears of it.
const COLOUR_WISHES: [&str; 4] = ["CI", "CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR"];

/// A program to start, with its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    name: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    clock: Option<FakeClock>,
}

impl Program {
    /// The program at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().unwrap_or_default();
        Self {
            name: name.to_string_lossy().into_owned(),
            path,
            arguments: Vec::new(),
            environment: Vec::new(),
            clock: None,
        }
    }

    /// The example `name` of one of the workspace's crates, such as `mint` or `lease`.
    ///
    /// The first call of a test run builds all examples, in the profile of the tests.
    ///
    /// # Errors
    ///
    /// When the examples do not build, or none has this name.
    pub fn example(name: &str) -> Result<Self> {
        let directory = examples::built()?.join("examples");
        let path = directory.join(format!("{name}{}", env::consts::EXE_SUFFIX));
        if !path.is_file() {
            bail!(
                "no example {name} in {}; it belongs into a crate's examples/",
                directory.display()
            );
        }
        Ok(Self::at(path))
    }

    /// The command line tool.
    ///
    /// # Errors
    ///
    /// When it does not build.
    pub fn coordctl() -> Result<Self> {
        let name = format!("coordctl{}", env::consts::EXE_SUFFIX);
        Ok(Self::at(examples::built()?.join(name)))
    }

    /// The project's own commands, which `cargo xtask` calls.
    ///
    /// # Errors
    ///
    /// When they do not build.
    pub fn xtask() -> Result<Self> {
        let name = format!("xtask{}", env::consts::EXE_SUFFIX);
        Ok(Self::at(examples::built()?.join(name)))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What errors and checkers call the process.
    ///
    /// Defaults to the file name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds arguments.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    ///
    /// Defaults to those of the test.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push(variable);
        self
    }

    /// Runs it under `clock`.
    ///
    /// Defaults to the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: &FakeClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(self) -> Result<Running> {
        let dir = tempfile::tempdir().context("creating a program's directory")?;
        let mut command = Process::command(&self.path);
        for wish in COLOUR_WISHES {
            command.env_remove(wish);
        }
        command
            .args(&self.arguments)
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(dir.path().join(STDERR))?);
        if let Some(clock) = &self.clock {
            clock.apply(&mut command);
        }
        let mut child =
            Process::spawn(command).with_context(|| format!("starting {}", self.path.display()))?;
        let stdout = child.stdout.take().expect("it was asked for just above");
        let process = Process::new(self.name, child);
        let file = File::create(dir.path().join(STDOUT))?;
        let output = Arc::new(Mutex::new(Output::default()));
        let lines = Arc::clone(&output);
        let reader = std::thread::Builder::new()
            .name(format!("{} output", process.name()))
            .spawn(move || read(stdout, file, &lines))?;
        Ok(Running {
            process,
            output,
            reader: Some(reader),
            dir,
        })
    }
}

/// A line that a program printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it arrived here, on the machine's boot-time clock.
    pub at: Instant,
    /// The line, without its end.
    pub text: String,
}

/// A started [`Program`]; killed when dropped.
#[derive(Debug)]
pub struct Running {
    // Before `dir`: the process must be gone when its files are deleted.
    process: Process,
    output: Arc<Mutex<Output>>,
    reader: Option<JoinHandle<()>>,
    dir: TempDir,
}

impl Running {
    /// The process, for signals.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// What it was [named](Program::named).
    #[must_use]
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// The file that its standard output goes to, as it comes; deleted when this is dropped.
    #[must_use]
    pub fn stdout_path(&self) -> PathBuf {
        self.dir.path().join(STDOUT)
    }

    /// Everything that it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        let text = fs::read(self.dir.path().join(STDERR)).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// How many lines it printed so far.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.output().count()
    }

    /// The lines that it printed so far, the newest 65,536 at most; the file has all of them.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.output().newest.iter().cloned().collect()
    }

    /// The newest line that `wanted` accepts.
    #[must_use]
    pub fn last_line(&self, wanted: impl Fn(&str) -> bool) -> Option<Line> {
        let output = self.output();
        let newest_first = output.newest.iter().rev();
        newest_first
            .into_iter()
            .find(|line| wanted(&line.text))
            .cloned()
    }

    /// Waits until it has printed `count` lines in all.
    ///
    /// # Errors
    ///
    /// When it has not within `within`, or has ended with fewer.
    pub fn wait_for_lines(&self, count: usize, within: Duration) -> Result<()> {
        self.wait_for(within, &format!("{count} lines"), |output| {
            (count <= output.count()).then_some(())
        })
    }

    /// Waits for a line that `wanted` accepts, among those already printed too, and returns the first.
    ///
    /// # Errors
    ///
    /// When there is none within `within`, or it has ended without one.
    pub fn wait_for_line(&self, within: Duration, wanted: impl Fn(&str) -> bool) -> Result<Line> {
        self.wait_for(within, "the wanted line", |output| {
            output
                .newest
                .iter()
                .find(|line| wanted(&line.text))
                .cloned()
        })
    }

    /// Waits for a JSON line with this `"event"`, among those already printed too, and returns the first.
    ///
    /// # Errors
    ///
    /// When there is none within `within`, or it has ended without one.
    pub fn wait_for_event(&self, within: Duration, event: &str) -> Result<Value> {
        self.wait_for(within, &format!("event {event:?}"), |output| {
            let values = output.newest.iter().filter_map(parsed);
            values.into_iter().find(|value| value["event"] == event)
        })
    }

    /// Every line that it printed so far as JSON; a last line without a line end is left out.
    ///
    /// # Errors
    ///
    /// When a line is not JSON; the message shows it.
    pub fn events(&self) -> Result<Vec<Value>> {
        let text = self.stdout()?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let value =
            |line| serde_json::from_str(line).with_context(|| format!("{}: {line:?}", self.name()));
        whole.lines().map(value).collect()
    }

    /// Every line that it printed so far as a decimal ID; a last line without a line end is left out.
    ///
    /// # Errors
    ///
    /// When a line is not an ID; the message shows it.
    pub fn ids(&self) -> Result<ids::Source> {
        let ids =
            ids::parse(&self.stdout()?).with_context(|| format!("output of {}", self.name()))?;
        Ok(ids::Source::new(self.name(), ids))
    }

    /// Waits until it has ended by itself and all its output has arrived.
    ///
    /// # Errors
    ///
    /// When it still runs after `within`; with the end of what it wrote to standard error.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let status = self.process.wait(within);
        let status = status.with_context(|| self.stderr_end())?;
        self.drain()?;
        Ok(status)
    }

    /// Kills it (`SIGKILL`) and waits until all that it had printed has arrived.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.drain()
    }

    fn drain(&mut self) -> Result<()> {
        let Some(reader) = self.reader.take() else {
            return Ok(());
        };
        // Something that the program itself started may still hold the pipe open.
        wait::until(DRAIN_LIMIT, || reader.is_finished().then_some(()))
            .with_context(|| format!("the output of {} does not end", self.name()))?;
        reader
            .join()
            .map_err(|_| anyhow!("reading the output of {} panicked", self.name()))
    }

    fn wait_for<T>(
        &self,
        within: Duration,
        what: &str,
        mut probe: impl FnMut(&Output) -> Option<T>,
    ) -> Result<T> {
        let found = wait::until(within, || {
            // Asked before the output: what it printed last must not be missed.
            let is_over = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            let found = probe(&self.output());
            (found.is_some() || is_over).then_some(found)
        });
        found.flatten().with_context(|| {
            let count = self.line_count();
            format!(
                "{}: no {what} within {within:?} among {count} lines; {}",
                self.name(),
                self.stderr_end()
            )
        })
    }

    fn stdout(&self) -> Result<String> {
        fs::read_to_string(self.stdout_path())
            .with_context(|| format!("reading the output of {}", self.name()))
    }

    fn stderr_end(&self) -> String {
        let text = self.stderr();
        let lines: Vec<&str> = text.lines().collect();
        let end = &lines[lines.len().saturating_sub(STDERR_END_LINES)..];
        format!("end of its standard error:\n{}", end.join("\n"))
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().expect("no holder of this lock panics")
    }
}

/// The newest lines, and how many older ones only the file has.
#[derive(Debug, Default)]
struct Output {
    newest: VecDeque<Line>,
    dropped: usize,
}

impl Output {
    fn push(&mut self, line: Line) {
        if self.newest.len() == LINES_KEPT {
            self.newest.pop_front();
            self.dropped += 1;
        }
        self.newest.push_back(line);
    }

    fn count(&self) -> usize {
        self.dropped + self.newest.len()
    }
}

fn read(stdout: ChildStdout, file: File, output: &Mutex<Output>) {
    let mut stdout = BufReader::new(stdout);
    let mut file = BufWriter::new(file);
    let mut text = Vec::new();
    // Ends with the pipe; a program that prints for ever is ended by whoever started it.
    while stdout
        .read_until(b'\n', &mut text)
        .is_ok_and(|length| length > 0)
    {
        let at = SystemClock.now();
        // A full disk shows as lines that are missing from the file, which every checker counts.
        let _ = file.write_all(&text);
        if stdout.buffer().is_empty() {
            let _ = file.flush();
        }
        let line = String::from_utf8_lossy(&text).trim_end().to_owned();
        let mut output = output.lock().expect("no holder of this lock panics");
        output.push(Line { at, text: line });
        text.clear();
    }
}

fn parsed(line: &Line) -> Option<Value> {
    serde_json::from_str(&line.text).ok()
}

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
const LINES_KEPT: usize = 65_536;
const STDERR_END_LINES: usize = 15;
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
