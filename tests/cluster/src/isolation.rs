//! The namespaces that a cluster lives in: network, processes and mounts. They end with their first process, and everything in
//! them does too, however that process ended.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program::run;

/// Folders of ours that lie over places where the programs write whatever they are told.
const PLACES: [(&str, &str); 3] = [
    (POD_LOGS, "/var/log"),
    ("network-results", "/var/lib/cni"),
    ("device-plugins", "/var/lib/kubelet"),
];
/// In the run's folder: what pods print.
pub(crate) const POD_LOGS: &str = "pod-logs";

/// A command that runs `program` as the first process of new namespaces, and ends with the thread that starts it.
pub fn isolated(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    command.args(unshare()).arg(program);
    command
}

/// The same for one that outlives its starter.
pub(crate) fn isolated_for_long(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setsid");
    command.args(unshare()).arg(program);
    command
}

fn unshare() -> [&'static str; 7] {
    [
        "unshare",
        "--net",
        "--pid",
        "--mount",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
}

/// What the first process does before it starts a cluster: private places for what its programs write beside their own folders.
pub fn settle(folder: &Path) -> Result<()> {
    if std::process::id() != 1 {
        bail!("a cluster may only be started by the first process of its namespaces");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the tests' Kubernetes needs root: containerd and kubelet mount and make control groups"
        );
    }
    run("ip", &["link", "set", "lo", "up"])?;
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
    fs::create_dir_all("/run/netns")?;
    for (ours, place) in PLACES {
        bind(&folder.join(ours), place)?;
    }
    // The kubelet wants to see in its mounts what containers mount, and the other way round.
    run("mount", &["--make-rshared", "/"])
}

fn bind(from: &Path, to: &str) -> Result<()> {
    for folder in [from, Path::new(to)] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    run("mount", &["--bind", &from.to_string_lossy(), to])
}
