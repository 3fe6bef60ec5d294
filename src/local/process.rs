//! One broker process: started so that it cannot outlive its supervisor, and ended in bounded time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid, gettid};
use tokio::process::{Child, Command};

use super::time::now;
use crate::policy::Timestamp;

/// An orderly stop drains and syncs; a broker that needs longer has a store that does not answer.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// A log above this is put aside at the next start, so a folder holds two of that size at most.
const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;
/// What is read back of a log to show why a broker ended.
const TAIL_BYTES: u64 = 8 * 1024;

/// Why a broker was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// The program could not be run.
    #[error("cannot start {}: {source}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its log could not be opened.
    #[error("cannot write the log {}: {source}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The parent-death signal follows the thread that starts the process.
    #[error("brokers must be started from the main thread; this is a mistake in tandem")]
    WrongThread,
}

/// A broker that was started and whose end was not seen yet.
#[derive(Debug)]
pub(crate) struct BrokerProcess {
    child: Child,
    pid: u32,
    started: Timestamp,
    /// Length of its log before it wrote to it.
    log_start: u64,
}

/// How a broker ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Its exit status; `None` if the system did not tell.
    pub(crate) status: Option<ExitStatus>,
    /// When.
    pub(crate) at: Timestamp,
    /// How long it had run.
    pub(crate) ran_ms: u64,
}

impl BrokerProcess {
    /// Starts the broker of an instance.
    ///
    /// It gets a process group of its own, so that Ctrl-C in the terminal reaches the supervisor
    /// alone, and dies with the thread that calls this: only the main thread may, since it lives as
    /// long as the supervisor.
    pub(crate) fn spawn(program: &Path, instance: &Path, log: &Path) -> Result<Self, SpawnError> {
        if gettid() != getpid() {
            return Err(SpawnError::WrongThread);
        }
        let failed = |source| SpawnError::Log {
            path: log.to_owned(),
            source,
        };
        let (output, log_start) = open_log(log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .arg("run")
            .arg("--instance")
            .arg(instance)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true);
        end_with_parent(&mut command);
        let child = command.spawn().map_err(|source| SpawnError::Program {
            program: program.to_owned(),
            source,
        })?;
        let pid = child.id().unwrap_or_default();
        Ok(Self {
            child,
            pid,
            started: now(),
            log_start,
        })
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Length of its log before it wrote to it.
    pub(crate) fn log_start(&self) -> u64 {
        self.log_start
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// Waits for its end. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> Ended {
        let status = self.child.wait().await.ok();
        let at = now();
        Ended {
            status,
            at,
            ran_ms: at.ms_since(self.started),
        }
    }

    /// Sends it a signal, unless its end was seen: then the number may be another's.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) else {
            return;
        };
        // It may have ended this very moment, which is what was wanted.
        let _ = kill(Pid::from_raw(pid), signal);
    }

    /// Ends it in order, and by force if that takes too long. Answers whether force was needed.
    pub(crate) async fn stop(&mut self) -> (Ended, bool) {
        self.signal(Signal::SIGTERM);
        if let Ok(ended) = tokio::time::timeout(STOP_TIMEOUT, self.wait()).await {
            return (ended, false);
        }
        self.signal(Signal::SIGKILL);
        (self.wait().await, true)
    }
}

impl Ended {
    /// How it ended, in words: `exited with status 2`, `killed by SIGKILL`.
    pub(crate) fn how(&self) -> String {
        use std::os::unix::process::ExitStatusExt;
        let Some(status) = self.status else {
            return "ended".to_owned();
        };
        match (status.code(), status.signal()) {
            (Some(0), _) => "stopped".to_owned(),
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => format!("killed by {signal}"),
                Err(_) => format!("killed by signal {number}"),
            },
            (None, None) => "ended".to_owned(),
        }
    }
}

/// Has the kernel kill the process when the thread that starts it ends.
#[allow(unsafe_code)]
fn end_with_parent(command: &mut Command) {
    let supervisor = getpid();
    let before_exec = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The supervisor may have died between fork and prctl: then nobody would send that signal.
        if getppid() != supervisor {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(())
    };
    // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe
    // calls are allowed. It makes two system calls, `prctl` and `getppid`, and allocates nothing:
    // both errors are plain numbers.
    unsafe {
        command.pre_exec(before_exec);
    }
}

/// Opens a log for appending, and tells its length; a large one is put aside first.
fn open_log(path: &Path) -> io::Result<(File, u64)> {
    if path.metadata().is_ok_and(|meta| meta.len() > MAX_LOG_BYTES) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// The last lines of a log from a position on, `None` if there are none.
pub(crate) fn last_lines(path: &Path, from: u64, lines: usize) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let from = from.max(length.saturating_sub(TAIL_BYTES));
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let kept = &all[all.len().saturating_sub(lines)..];
    (!kept.is_empty()).then(|| kept.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_log_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        assert_eq!(last_lines(&path, 0, 2), None);
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(last_lines(&path, 0, 2).as_deref(), Some("two\nthree"));
        assert_eq!(last_lines(&path, 8, 2).as_deref(), Some("three"));
        assert_eq!(
            last_lines(&path, 14, 2),
            None,
            "this process has written nothing"
        );
    }

    #[test]
    fn a_large_log_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        File::create(&path)
            .unwrap()
            .set_len(MAX_LOG_BYTES + 1)
            .unwrap();
        drop(open_log(&path).unwrap());
        assert_eq!(path.metadata().unwrap().len(), 0);
        assert!(dir.path().join("a.log.1").exists());
    }
}
