//! Programs that run to their end, for a bounded time.

use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Enough for programs that only set something.
const SHORT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How a program ended and what it said.
#[derive(Debug, Clone)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// Runs a program to its end with `input` on its standard input.
pub fn said(command: &mut Command, input: &str, limit: Duration) -> Result<Said> {
    let shown = describe(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    // Pipes are served by threads, so that neither side waits for the other.
    let output = drain(child.stdout.take().context("piped")?);
    let errors = drain(child.stderr.take().context("piped")?);
    let mut stdin = child.stdin.take().context("piped")?;
    let input = input.to_owned();
    // A program that ends without reading all is judged by its exit status.
    thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("{shown} took longer than {limit:?}");
        }
        thread::sleep(LOOK_EVERY);
    };
    Ok(Said {
        status,
        output: text(output)?,
        errors: text(errors)?,
    })
}

/// Runs a program that must end well; returns its standard output.
pub(crate) fn output(command: &mut Command, input: &str, limit: Duration) -> Result<String> {
    let said = said(command, input, limit)?;
    if !said.status.success() {
        bail!(
            "{} ended with {}:\n{}{}",
            describe(command),
            said.status,
            said.errors,
            said.output
        );
    }
    Ok(said.output)
}

/// Runs a program with these words, which must end well and soon.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    output(Command::new(program).args(arguments), "", SHORT).map(drop)
}

fn drain(mut from: impl Read + Send + 'static) -> JoinHandle<std::io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).map(|_| all)
    })
}

fn text(drained: JoinHandle<std::io::Result<Vec<u8>>>) -> Result<String> {
    let Ok(bytes) = drained.join() else {
        bail!("a thread that reads a pipe panicked");
    };
    Ok(String::from_utf8_lossy(&bytes?).into_owned())
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|word| word.to_string_lossy()));
    words.join(" ")
}
