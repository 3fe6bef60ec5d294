//! `cargo xtask demo`: what a newcomer types first.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Result, anyhow, bail};

use crate::run::{cargo, root};

/// Builds both programs, then becomes the demo, so that Ctrl-C reaches it alone.
pub(crate) fn demo(arguments: &[String]) -> Result<ExitCode> {
    // Messages of the compiler go to standard error: standard output is the demo's alone.
    let mut build = cargo();
    build.args([
        "build",
        "--locked",
        "--package",
        "tandem",
        "--package",
        "tandem-broker",
        "--bins",
    ]);
    if !build.status()?.success() {
        bail!("the programs do not build: see above");
    }
    let programs = target_folder().join("debug");
    let error = Command::new(programs.join("tandem"))
        .args(["local", "demo", "examples/shared-store.yaml"])
        .args(arguments)
        .env("TANDEM_BROKER", programs.join("tandem-broker"))
        .current_dir(root())
        .exec();
    Err(anyhow!(error).context(format!(
        "cannot start {}",
        programs.join("tandem").display()
    )))
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> PathBuf {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        return root().join(folder);
    }
    root().join("target")
}
