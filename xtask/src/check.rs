//! `cargo xtask check`: what must be true before anything is run.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::run::{cargo, output, run};
use crate::tally::Tally;
use crate::{links, sources};

/// Lints cover the end-to-end tests too, which plain `cargo test` leaves out.
const EVERYTHING: [&str; 5] = [
    "--workspace",
    "--all-targets",
    "--locked",
    "--features",
    "tandem/e2e",
];

/// Runs every check, also after one has failed.
pub(crate) fn check() -> ExitCode {
    let mut tally = Tally::default();
    lints(&mut tally);
    tally.step("documentation", || {
        run(cargo()
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--document-private-items",
            ])
            .env("RUSTDOCFLAGS", "-D warnings"))
    });
    // A crate that builds only because its neighbours switch features on is broken for everybody else.
    tally.step("each crate alone", each_crate_alone);
    dependencies(&mut tally);
    tally.step("source files", sources::check);
    tally.step("links", links::check);
    tally.finish()
}

/// Formatting and lints: the part that `test` runs as well.
pub(crate) fn lints(tally: &mut Tally) {
    tally.step("formatting", || {
        run(cargo().args(["fmt", "--all", "--check"]))
    });
    tally.step("lints", || {
        run(cargo()
            .arg("clippy")
            .args(EVERYTHING)
            .args(["--", "-D", "warnings"]))
    });
}

fn each_crate_alone() -> Result<()> {
    for package in packages()? {
        run(cargo().args(["check", "--quiet", "--locked", "--package", &package]))?;
    }
    Ok(())
}

/// The names of the workspace's packages.
fn packages() -> Result<Vec<String>> {
    let text =
        output(cargo().args(["metadata", "--no-deps", "--locked", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    Ok(packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .map(str::to_owned)
        .collect())
}

/// The advisory database is not asked: it needs the network, and a new advisory must not stop unrelated work.
fn dependencies(tally: &mut Tally) {
    if output(cargo().args(["deny", "--version"])).is_err() {
        tally.not_checked(
            "licences, banned crates and sources of the dependencies, because cargo-deny is not here \
             (cargo install --locked cargo-deny)"
                .to_owned(),
        );
        return;
    }
    tally.step("dependencies", || {
        run(cargo().args(["deny", "--locked", "check", "bans", "licenses", "sources"]))
    });
}
