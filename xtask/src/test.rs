//! `cargo xtask test`: what CI runs, and what a newcomer runs to believe the rest.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, describe, seconds};
use crate::tally::Tally;
use crate::{check, cluster, downloads, end_to_end, preflight};

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    depth: Depth,
    /// Whether the tests on Kubernetes are among it.
    cluster: bool,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Rust alone.
    Quick,
    /// With real clients, real brokers and one round of each fault.
    Usual,
    /// With the long fault loops.
    Full,
}

impl Wanted {
    /// Reads the command line after `test`.
    pub(crate) fn from_arguments(arguments: &[String]) -> Result<Wanted> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (depth, cluster) = match words.as_slice() {
            [] => (Depth::Usual, true),
            ["--quick"] => (Depth::Quick, false),
            ["--full"] => (Depth::Full, true),
            ["--without-cluster"] => (Depth::Usual, false),
            ["--full", "--without-cluster"] | ["--without-cluster", "--full"] => {
                (Depth::Full, false)
            }
            other => bail!(
                "test takes --quick, or --full and --without-cluster, not {}",
                other.join(" ")
            ),
        };
        Ok(Wanted { depth, cluster })
    }
}

/// Runs the wanted tests and prints the closing line.
pub(crate) fn test(wanted: Wanted) -> ExitCode {
    let Wanted { depth, cluster } = wanted;
    let mut tally = Tally::default();
    if depth != Depth::Quick && !tally.step("this machine", || preflight::preflight(cluster)) {
        return tally.finish();
    }
    check::lints(&mut tally);
    rust_tests(&mut tally);
    if depth != Depth::Quick {
        if tally.step("downloads", downloads::download) {
            let kubernetes = kubernetes(&mut tally, cluster);
            end_to_end::run_all(&mut tally, depth == Depth::Full, kubernetes.as_deref());
        } else {
            println!("the end-to-end tests cannot run without the downloads");
        }
    }
    tally.finish()
}

/// The folder of Kubernetes' programs; without them the tests that need them are not run, and that is said or has failed.
fn kubernetes(tally: &mut Tally, wanted: bool) -> Option<PathBuf> {
    if !wanted {
        tally.not_checked("anything on Kubernetes, as wished (--without-cluster)".to_owned());
        return None;
    }
    let mut programs = None;
    tally.step("Kubernetes", || {
        programs = Some(cluster::programs()?);
        Ok(())
    });
    programs
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
    fn what_is_wanted_is_read_from_the_command_line() {
        let wanted = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let wanted = Wanted::from_arguments(&words).ok()?;
            Some((wanted.depth, wanted.cluster))
        };
        assert_eq!(wanted(&[]), Some((Depth::Usual, true)));
        assert_eq!(wanted(&["--quick"]), Some((Depth::Quick, false)));
        assert_eq!(wanted(&["--full"]), Some((Depth::Full, true)));
        assert_eq!(wanted(&["--without-cluster"]), Some((Depth::Usual, false)));
        assert_eq!(
            wanted(&["--full", "--without-cluster"]),
            Some((Depth::Full, false))
        );
        assert_eq!(wanted(&["--quick", "--full"]), None);
    }
}
