//! The folder of one pair on this machine, and the lock that gives it one supervisor.
//!
//! ```text
//!   DIR/primary/  DIR/backup/   the two instances, written anew at every start
//!   DIR/store/                  the shared data and the pair record
//!   DIR/logs/                   what the brokers print
//!   DIR/control.sock            where `tandem local status|kill|start|stop|switchover` ask
//!   DIR/supervisor.lock         held while a supervisor runs; names its process
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pair::{Mode, Side};

use crate::by_side::SIDES;

/// The control socket's name.
const SOCKET: &str = "control.sock";
/// The lock's name.
const LOCK: &str = "supervisor.lock";
/// A process number has a few digits; a longer lock file is not ours.
const MAX_PID_BYTES: u64 = 32;

/// Why a pair's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// Neither an option nor the environment says where.
    #[error(
        "there is no folder for the pair's data: neither XDG_STATE_HOME nor HOME is set; name one \
         with --dir"
    )]
    NoHome,
    /// The file system refused.
    #[error("cannot {action} {}: {source}; name another folder with --dir", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another supervisor runs this pair.
    #[error(
        "the pair in {} runs already, under process {pid}: `tandem local status --dir {}` shows \
         it, Ctrl-C in its terminal or `tandem local stop pair --dir {}` stops it",
        dir.display(), dir.display(), dir.display()
    )]
    Running {
        /// The folder.
        dir: PathBuf,
        /// Its supervisor.
        pid: String,
    },
}

/// The folder of one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateDir {
    root: PathBuf,
}

/// Keeps other supervisors out while it lives.
#[derive(Debug)]
pub(crate) struct SupervisorLock {
    _file: File,
}

impl StateDir {
    /// The folder `dir`, or the one of this name below the user's state folder.
    pub(crate) fn locate(dir: Option<&Path>, name: &str) -> Result<Self, StateDirError> {
        let root = match dir {
            Some(dir) => dir.to_owned(),
            None => base()?.join(name),
        };
        // Relative folders would mean another place to the brokers.
        let absolute = std::path::absolute(&root).map_err(|source| StateDirError::Io {
            action: "find",
            path: root,
            source,
        })?;
        Ok(Self { root: absolute })
    }

    /// Every pair's folder below the user's state folder, by name.
    pub(crate) fn list() -> Result<Vec<(String, Self)>, StateDirError> {
        let base = base()?;
        let entries = match fs::read_dir(&base) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(StateDirError::Io {
                    action: "list",
                    path: base,
                    source,
                });
            }
        };
        let mut found: Vec<(String, Self)> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .map(|entry| {
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    Self { root: entry.path() },
                )
            })
            .collect();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(found)
    }

    /// Makes the folder and takes its lock.
    pub(crate) fn lock(&self) -> Result<SupervisorLock, StateDirError> {
        for folder in [self.root.clone(), self.logs()] {
            // Passwords are below it.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(|source| StateDirError::Io {
                    action: "create the folder",
                    path: folder,
                    source,
                })?;
        }
        let path = self.root.join(LOCK);
        let failed = |action| {
            let path = path.clone();
            move |source| StateDirError::Io {
                action,
                path,
                source,
            }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open"))?;
        if !arbiter::lock::try_exclusive(&file).map_err(failed("lock"))? {
            let mut pid = String::new();
            // What cannot be read is not known; the refusal stands all the same.
            let _ = (&mut file).take(MAX_PID_BYTES).read_to_string(&mut pid);
            return Err(StateDirError::Running {
                dir: self.root.clone(),
                pid: pid.trim().into(),
            });
        }
        file.set_len(0).map_err(failed("write"))?;
        writeln!(file, "{}", std::process::id()).map_err(failed("write"))?;
        // A socket of a supervisor that was killed answers nobody.
        match fs::remove_file(self.socket()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateDirError::Io {
                action: "remove",
                path: self.socket(),
                source: error,
            }),
            Ok(()) | Err(_) => Ok(SupervisorLock { _file: file }),
        }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A side's instance.
    pub(crate) fn instance(&self, side: Side) -> PathBuf {
        self.root.join(side.as_str())
    }

    /// The data of both.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The data, in one folder or in one for each side.
    pub(crate) fn stores(&self, mode: Mode) -> Vec<PathBuf> {
        match mode {
            Mode::SharedStore => vec![self.store()],
            Mode::Replication => SIDES
                .into_iter()
                .map(|side| self.store().join(side.as_str()))
                .collect(),
        }
    }

    /// The pair record.
    pub(crate) fn arbiter(&self) -> PathBuf {
        self.root.join("store/pair")
    }

    fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// What a side's broker prints.
    pub(crate) fn log(&self, side: Side) -> PathBuf {
        self.logs().join(format!("{side}.log"))
    }

    /// Passwords that were generated for this pair.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.root.join("credentials.json")
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join(SOCKET)
    }
}

/// The folder of all pairs of this user.
fn base() -> Result<PathBuf, StateDirError> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("tandem"))
        .ok_or(StateDirError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_supervisor_and_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("orders");
        let state = StateDir::locate(Some(&root), "orders").unwrap();
        let lock = state.lock().unwrap();
        let error = state.lock().unwrap_err().to_string();
        let expected = format!(
            "the pair in {} runs already, under process {}: ",
            root.display(),
            std::process::id()
        );
        assert!(error.starts_with(&expected), "{error}");
        drop(lock);
        state.lock().unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let state = StateDir::locate(Some(&file.join("x")), "orders").unwrap();
        let error = state.lock().unwrap_err().to_string();
        assert!(error.contains("cannot create the folder"), "{error}");
        assert!(error.ends_with("name another folder with --dir"), "{error}");
    }
}
