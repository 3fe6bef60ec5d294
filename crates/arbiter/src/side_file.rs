//! What each side leaves in a folder for the other, the arbiter's or one of the store: where it is, and that it is about to end.
//!
//! Each process also holds the lock of `side.SIDE.lock` for its life, because a killed one leaves its file as it
//! was. All of it is a hint, never evidence: nothing about who is active may be concluded from it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pair::{Draining, Incarnation, PeerInfo, Side};
use serde::{Deserialize, Serialize};

use crate::directory::{DirectoryArbiter, sync_dir};
use crate::lock;

/// Format number of the file.
const FORMAT: u32 = 1;
/// Largest file read.
const MAX_BYTES: u64 = 64 * 1024;

/// The lock of a side, held by one of its processes until this is dropped.
#[derive(Debug)]
pub struct SideLock {
    _locked: File,
}

/// What a side says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideFile {
    format: u32,
    /// This run of its process.
    pub inc: Incarnation,
    /// The broker's name.
    pub name: String,
    /// Host of its client port, as its connector says.
    pub host: String,
    /// Its client port.
    pub port: u16,
    /// Port of the link on the same host.
    pub link_port: Option<u16>,
    /// `host:port` of its HTTP port.
    pub http: String,
    /// Its process on its machine.
    pub pid: u32,
    /// Whether it is about to end.
    pub leaving: bool,
    /// The last work before the newest term it let go of.
    #[serde(default)]
    pub draining: Option<Draining>,
}

impl SideFile {
    /// A side that runs.
    pub fn new(
        inc: Incarnation,
        name: &str,
        (host, port): (&str, u16),
        link_port: Option<u16>,
        http: &str,
        pid: u32,
    ) -> Self {
        Self {
            format: FORMAT,
            inc,
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            link_port,
            http: http.to_owned(),
            pid,
            leaving: false,
            draining: None,
        }
    }

    /// The same, about to end or not.
    #[must_use]
    pub fn leaving(self, leaving: bool) -> Self {
        Self { leaving, ..self }
    }

    /// The same, with the last work before a term it lets go of.
    #[must_use]
    pub fn draining(self, draining: Option<Draining>) -> Self {
        Self { draining, ..self }
    }

    /// `host:port` of its client port.
    pub fn connector(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What the pair's state machine is told of it, with what its lock says.
    pub fn peer_info(&self, alive: bool) -> PeerInfo {
        PeerInfo {
            connector: self.connector(),
            inc: self.inc,
            leaving: self.leaving,
            draining: self.draining,
            alive,
        }
    }
}

/// The folder in which the sides leave something for each other.
#[derive(Debug, Clone)]
pub struct SideFiles {
    dir: PathBuf,
}

impl DirectoryArbiter {
    /// Its folder is also the one in which the sides leave something for each other.
    pub fn sides(&self) -> SideFiles {
        SideFiles::in_folder(self.dir())
    }
}

impl SideFiles {
    /// Those in this folder.
    pub fn in_folder(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// What `side` says of itself; `None` if it left nothing that can be read as such.
    pub fn read(&self, side: Side) -> io::Result<Option<SideFile>> {
        let file = match File::open(self.dir.join(name(side))) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Takes the lock of `side` for this process; `None` if another process has it. The file stays for ever: two
    /// processes that locked two files of one name would not see each other.
    pub fn hold(&self, side: Side) -> io::Result<Option<SideLock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.dir.join(lock_name(side)))?;
        Ok(lock::try_exclusive(&file)?.then_some(SideLock { _locked: file }))
    }

    /// Whether a process of `side` holds its lock.
    pub fn is_alive(&self, side: Side) -> io::Result<bool> {
        let path = self.dir.join(lock_name(side));
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => lock::is_held(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Replaces what `side` says of itself, whole.
    pub fn write(&self, side: Side, file: &SideFile) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(file)?;
        let path = self.dir.join(name(side));
        let temporary = self
            .dir
            .join(format!(".{}.{}.tmp", name(side), std::process::id()));
        let write = || {
            let mut out = File::create(&temporary)?;
            out.write_all(&text)?;
            out.sync_all()?;
            fs::rename(&temporary, &path)?;
            sync_dir(&self.dir)
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }
}

fn lock_name(side: Side) -> String {
    format!("side.{side}.lock")
}

fn name(side: Side) -> String {
    format!("side.{side}")
}
