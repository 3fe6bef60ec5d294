//! `cargo xtask sim`: random worlds of a pair, on every processor, as fast as they can be made.

use std::process::ExitCode;

use anyhow::Result;

use crate::run::cargo;

/// Builds the simulator for speed and passes the arguments on.
pub(crate) fn sim(arguments: &[String]) -> Result<ExitCode> {
    let status = cargo()
        .args([
            "run",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "simulator",
            "--",
        ])
        .args(arguments)
        .status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
