//! `cargo xtask test`: what CI runs, and what a newcomer runs to believe the rest.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, describe, seconds};
use crate::tally::Tally;
use crate::{check, downloads, end_to_end, preflight};

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Rust alone.
    Quick,
    /// With real clients, real brokers and one round of each fault.
    Usual,
    /// With the long fault loops.
    Full,
}

impl Depth {
    /// Reads the command line after `test`.
    pub(crate) fn from_arguments(arguments: &[String]) -> Result<Depth> {
        match arguments {
            [] => Ok(Depth::Usual),
            [flag] if flag == "--quick" => Ok(Depth::Quick),
            [flag] if flag == "--full" => Ok(Depth::Full),
            other => bail!("test takes --quick or --full, not {}", other.join(" ")),
        }
    }
}

/// Runs the tests of the wanted depth and prints the closing line.
pub(crate) fn test(depth: Depth) -> ExitCode {
    let mut tally = Tally::default();
    if depth != Depth::Quick && !tally.step("this machine", preflight::preflight) {
        return tally.finish();
    }
    check::lints(&mut tally);
    rust_tests(&mut tally);
    if depth != Depth::Quick {
        if tally.step("downloads", downloads::download) {
            end_to_end::run_all(&mut tally, depth == Depth::Full);
        } else {
            println!("the end-to-end tests cannot run without the downloads");
        }
    }
    tally.finish()
}

fn rust_tests(tally: &mut Tally) {
    println!("\n== Rust tests");
    let start = Instant::now();
    match cargo_test() {
        Ok(results) => {
            println!(
                "== Rust tests: {} passed, {} failed, {}",
                results.passed,
                results.failed.len(),
                seconds(start.elapsed())
            );
            tally.add(results.passed, results.failed);
        }
        Err(error) => {
            println!("{error:#}");
            tally.fail("Rust tests".to_owned());
        }
    }
}

/// What `cargo test` reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    passed: usize,
    failed: Vec<String>,
}

fn cargo_test() -> Result<Results> {
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .stdout(Stdio::piped());
    println!("$ {}", describe(&command));
    let mut child = command.spawn().context("cannot start cargo")?;
    let mut results = Results::default();
    let stdout = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read the output of cargo")?;
        results.read(&line);
        println!("{line}");
    }
    let status = child.wait()?;
    if !status.success() && results.failed.is_empty() {
        bail!("cargo test ended with {status} before it ran every test: see above");
    }
    Ok(results)
}

impl Results {
    /// Takes in one line of the test programs' output. An ignored test proves nothing, so it counts as failed.
    fn read(&mut self, line: &str) {
        if let Some((name, outcome)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        {
            if outcome == "FAILED" || outcome.starts_with("ignored") {
                self.failed
                    .push(format!("{name} ({})", outcome.to_lowercase()));
            }
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, " passed");
        }
    }
}

/// The number before a word in `ok. 3 passed; 0 failed; …`.
fn count(text: &str, word: &str) -> usize {
    text.split(word)
        .next()
        .and_then(|before| before.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_the_test_programs_output() {
        let mut results = Results::default();
        for line in [
            "running 3 tests",
            "test codec::ping ... ok",
            "test codec::pong ... FAILED",
            "test codec::later ... ignored, not yet",
            "test result: FAILED. 12 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: ok. 30 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            results.read(line);
        }
        assert_eq!(results.passed, 42);
        assert_eq!(
            results.failed,
            ["codec::pong (failed)", "codec::later (ignored, not yet)"]
        );
    }

    #[test]
    fn the_depth_is_read_from_the_command_line() {
        let depth = |words: &[&str]| {
            Depth::from_arguments(
                &words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(depth(&[]).expect("usual"), Depth::Usual);
        assert_eq!(depth(&["--quick"]).expect("quick"), Depth::Quick);
        assert_eq!(depth(&["--full"]).expect("full"), Depth::Full);
        assert!(depth(&["--quick", "--full"]).is_err());
    }
}
