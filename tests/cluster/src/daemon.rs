//! Programs that run as long as the cluster, each with its output in a file.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// How much of a log is shown.
const TAIL_LINES: usize = 25;

/// One running program, which can be ended and started again with the same words.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    words: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Starts a program in the network namespace of this name, or in our own.
    pub(crate) fn start(
        name: &str,
        network: Option<&str>,
        program: &Path,
        arguments: &[String],
        logs: &Path,
    ) -> Result<Daemon> {
        // `ip netns exec` would mount another /sys, without the control groups.
        let mut words: Vec<OsString> = Vec::new();
        if let Some(network) = network {
            words.push("nsenter".into());
            words.push(format!("--net=/run/netns/{network}").into());
        }
        words.push(program.into());
        words.extend(arguments.iter().map(OsString::from));
        let mut daemon = Daemon {
            name: name.to_owned(),
            words,
            log: logs.join(format!("{name}.log")),
            child: None,
        };
        daemon.start_again()?;
        Ok(daemon)
    }

    /// Starts it again after [`Daemon::kill`].
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let (program, arguments) = self.words.split_first().context("no program")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Fails if the program has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        if let Some(status) = child.try_wait()? {
            bail!(
                "{} has ended with {status}; {}",
                self.name,
                tail_of(&self.log)
            );
        }
        Ok(())
    }

    /// Ends it as a crash does. (The API server would let its watches run on for a minute.)
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The program's process; none while it is stopped.
    pub(crate) fn pid(&self) -> Option<i32> {
        let id = self.child.as_ref()?.id();
        i32::try_from(id).ok()
    }

    /// The end of what it said.
    pub(crate) fn tail(&self) -> String {
        tail_of(&self.log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The end of a log, under a line that names it.
pub(crate) fn tail_of(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    format!("the end of {}:\n{end}", log.display())
}
