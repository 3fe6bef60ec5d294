//! `kubectl` as the administrator.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::program::{self, Said};
use crate::settings::Settings;

const LIMIT: Duration = Duration::from_mins(1);
/// An API server that does not answer is not waited for.
const REQUEST_LIMIT: &str = "--request-timeout=20s";

fn command(settings: &Settings, arguments: &[&str]) -> Command {
    let mut command = Command::new(settings.program("kubectl"));
    command
        .arg("--kubeconfig")
        .arg(settings.kubeconfig())
        .arg(REQUEST_LIMIT)
        // Below the run's folder: it keeps what the API server offers, and would mistake one cluster for another.
        .arg("--cache-dir")
        .arg(settings.folder.join("kubectl-cache"))
        .args(arguments);
    command
}

/// Runs it, however it ends.
pub(crate) fn said(settings: &Settings, arguments: &[&str], input: &str) -> Result<Said> {
    program::said(&mut command(settings, arguments), input, LIMIT)
}

/// Runs it; it must end well.
pub(crate) fn output(settings: &Settings, arguments: &[&str], input: &str) -> Result<String> {
    program::output(&mut command(settings, arguments), input, LIMIT)
}

/// An object or a list of them; nothing if there is none of that name.
pub(crate) fn get(settings: &Settings, arguments: &[&str]) -> Result<Option<Value>> {
    let all = [&["get", "--output", "json"], arguments].concat();
    let said = said(settings, &all, "")?;
    if said.errors.contains("(NotFound)") {
        return Ok(None);
    }
    if !said.status.success() {
        bail!("kubectl {}: {}", all.join(" "), said.errors);
    }
    let value = serde_json::from_str(&said.output)
        .with_context(|| format!("kubectl {} prints no JSON", all.join(" ")))?;
    Ok(Some(value))
}
