//! Gives each worker a network and a process tree of its own, so that both products use the same ports at the same time, see
//! nothing of each other or of the machine's network, and end with this program.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The command that runs `program` as the first process of its own namespaces; killed if this process ends.
pub(crate) fn enter(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(program);
    command
}

/// Brings up the loopback interface in there, with multicast, by which a pair of Artemis finds each other.
pub(crate) fn set_up() -> Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "set", "lo", "multicast", "on"])?;
    ip(&["route", "add", "224.0.0.0/4", "dev", "lo"])
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("cannot start ip (Debian package iproute2)")?;
    if !output.status.success() {
        bail!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
