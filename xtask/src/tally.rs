//! Counts what passed and what failed, and ends with the one line that says so.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::run::seconds;

/// What passed and what failed so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
    unchecked: Vec<String>,
}

impl Tally {
    /// Carries out one step under its heading and counts it as one.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        match step() {
            Ok(()) => {
                println!("== {name}: ok, {}", seconds(start.elapsed()));
                self.passed += 1;
                true
            }
            Err(error) => {
                println!("== {name}: FAILED, {}\n{error:#}", seconds(start.elapsed()));
                self.fail(name.to_owned());
                false
            }
        }
    }

    /// Counts tests that another program ran.
    pub(crate) fn add(&mut self, passed: usize, failed: impl IntoIterator<Item = String>) {
        self.passed += passed;
        for name in failed {
            self.fail(name);
        }
    }

    /// Counts one failure.
    pub(crate) fn fail(&mut self, name: String) {
        self.failed += 1;
        self.failures.push(name);
    }

    /// Notes what could not be looked at on this machine; it is said again at the end, where it is seen.
    pub(crate) fn not_checked(&mut self, what: String) {
        println!("NOT CHECKED: {what}");
        self.unchecked.push(what);
    }

    /// Lists the failures and prints the closing line.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        for what in &self.unchecked {
            println!("NOT CHECKED: {what}");
        }
        for name in &self.failures {
            println!("failed: {name}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
