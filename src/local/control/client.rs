//! The second terminal's end of the control socket: finds the pair that is meant, asks, waits.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Order, Reply};
use crate::local::state_dir::{StateDir, StateDirError};

/// A supervisor answers in milliseconds; one that is frozen does not.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A status has about two kilobytes, a switchover of an hour less than a hundred.
const MAX_REPLY_BYTES: u64 = 1024 * 1024;

/// Why a pair could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The folder of pairs cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The pair that was named does not run.
    #[error(
        "no pair runs in {dir}; start it with `tandem local run MANIFEST`, with the same --dir if \
             it was named there"
    )]
    NotRunning {
        /// Its folder.
        dir: String,
    },
    /// None runs.
    #[error(
        "no pair of yours runs; start one with `tandem local run MANIFEST`, or name the folder of one \
         that was started with --dir"
    )]
    NoneRuns,
    /// Several run.
    #[error("several pairs run: {}; choose one with --name", names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// The supervisor did not answer.
    #[error("the supervisor of the pair in {dir} does not answer: {source}")]
    NoAnswer {
        /// The pair's folder.
        dir: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The pair that is meant: the one named, else the only one that runs.
pub(crate) fn find(dir: Option<&Path>, name: Option<&str>) -> Result<StateDir, ControlError> {
    if dir.is_some() || name.is_some() {
        let state = StateDir::locate(dir, name.unwrap_or_default())?;
        return match connect(&state) {
            Ok(_) => Ok(state),
            Err(_) => Err(ControlError::NotRunning {
                dir: state.root().display().to_string(),
            }),
        };
    }
    let mut running: Vec<(String, StateDir)> = StateDir::list()?
        .into_iter()
        .filter(|(_, state)| connect(state).is_ok())
        .collect();
    match (running.pop(), running.is_empty()) {
        (None, _) => Err(ControlError::NoneRuns),
        (Some((_, only)), true) => Ok(only),
        (Some((last, _)), false) => {
            let names = running
                .into_iter()
                .map(|(name, _)| name)
                .chain([last])
                .collect();
            Err(ControlError::Several { names })
        }
    }
}

/// Asks a pair's supervisor; `happened` is told each line that comes before the answer.
pub(crate) fn ask(
    state: &StateDir,
    order: &Order,
    happened: impl FnMut(&str),
) -> Result<Reply, ControlError> {
    exchange(state, order, happened).map_err(|source| ControlError::NoAnswer {
        dir: state.root().display().to_string(),
        source,
    })
}

fn exchange(state: &StateDir, order: &Order, mut happened: impl FnMut(&str)) -> io::Result<Reply> {
    let mut stream = connect(state)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT + order.limit()))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_string(order).map_err(io::Error::other)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    for answer in BufReader::new(stream.take(MAX_REPLY_BYTES)).lines() {
        match serde_json::from_str(&answer?).map_err(io::Error::other)? {
            Reply::Happened(text) => happened(&text),
            answer @ (Reply::Done(_) | Reply::Refused(_) | Reply::Late(_) | Reply::Status(_)) => {
                return Ok(answer);
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up"))
}

fn connect(state: &StateDir) -> io::Result<UnixStream> {
    // As the server binds it: the path may be longer than a socket's may be.
    let folder = File::open(state.root())?;
    let socket = state.socket();
    let name = socket.file_name().unwrap_or_default().to_string_lossy();
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}
