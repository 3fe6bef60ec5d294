//! One running program: its output in a file, signals by its own pid, waits with a bound.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a condition is looked at while something is waited for: short beside every time that is measured.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How much of a program's output is shown when it fails.
const TAIL_LINES: usize = 15;

/// A program that this one started; killed when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    output: PathBuf,
    /// Length of the output file when this run began: several runs of one broker share a file.
    begin: usize,
}

impl Running {
    /// Starts a program with its output appended to `folder/NAME.out`.
    pub(crate) fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Running> {
        let output = folder.join(format!("{name}.out"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&output)
            .with_context(|| format!("cannot write {}", output.display()))?;
        let begin = usize::try_from(file.metadata()?.len())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Running {
            name: name.to_owned(),
            child,
            output,
            begin,
        })
    }

    /// What this run has printed so far.
    pub(crate) fn text(&self) -> String {
        let bytes = fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.begin..).unwrap_or_default()).into_owned()
    }

    /// How often this run has printed `words`.
    pub(crate) fn times_said(&self, words: &str) -> usize {
        self.text().matches(words).count()
    }

    /// Fails if the program has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "{} has ended with {status}:\n{}",
                self.name,
                tail(&self.text())
            );
        }
        Ok(())
    }

    /// Memory of the process that is in RAM, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .and_then(|number| number.trim().parse().ok())
            .with_context(|| format!("no memory in the status of {}", self.name))
    }

    /// `kill -9`, then waits until the process is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end; ends it if it does not within `limit`.
    pub(crate) fn stop(mut self, limit: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let end = Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                return self.kill();
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `look` finds something, for at most `limit`.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("waited {limit:?} in vain for: {what}");
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Runs a program to its end, for at most `limit`, and returns its standard output.
pub(crate) fn output_of(name: &str, command: &mut Command, limit: Duration) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    // The pipes are emptied by threads, so that a talkative program does not block on them.
    let stdout = drain(child.stdout.take().context("no standard output")?);
    let stderr = drain(child.stderr.take().context("no standard error")?);
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(LOOK_EVERY);
    };
    let stdout = stdout.join().unwrap_or_default();
    let stderr = stderr.join().unwrap_or_default();
    match status {
        Some(status) if status.success() => Ok(stdout),
        Some(status) => bail!(
            "{name} ended with {status}:\n{}\n{}",
            tail(&stdout),
            tail(&stderr)
        ),
        None => bail!(
            "{name} took longer than {limit:?}:\n{}\n{}",
            tail(&stdout),
            tail(&stderr)
        ),
    }
}

fn drain(mut from: impl std::io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        // What could be read before an error is still worth showing.
        let _ = from.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// The end of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
