//! What each side leaves in the arbiter's folder for the other: where it is, and that it is about to end.
//!
//! A hint, never evidence: nothing about who is active may be concluded from it.

use std::fs::{self, File};
use std::io::{self, Read, Write};

use pair::{Incarnation, PeerInfo, Side};
use serde::{Deserialize, Serialize};

use crate::directory::{DirectoryArbiter, sync_dir};

/// Format number of the file.
const FORMAT: u32 = 1;
/// Largest file read.
const MAX_BYTES: u64 = 64 * 1024;

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
        }
    }

    /// The same, about to end or not.
    #[must_use]
    pub fn leaving(self, leaving: bool) -> Self {
        Self { leaving, ..self }
    }

    /// `host:port` of its client port.
    pub fn connector(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What the pair's state machine is told of it.
    pub fn peer_info(&self) -> PeerInfo {
        PeerInfo {
            connector: self.connector(),
            inc: self.inc,
            leaving: self.leaving,
        }
    }
}

impl DirectoryArbiter {
    /// What `side` says of itself; `None` if it left nothing that can be read as such.
    pub fn read_side(&self, side: Side) -> io::Result<Option<SideFile>> {
        let file = match File::open(self.dir().join(name(side))) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Replaces what `side` says of itself, whole.
    pub fn write_side(&self, side: Side, file: &SideFile) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(file)?;
        let path = self.dir().join(name(side));
        let temporary = self
            .dir()
            .join(format!(".{}.{}.tmp", name(side), std::process::id()));
        let write = || {
            let mut out = File::create(&temporary)?;
            out.write_all(&text)?;
            out.sync_all()?;
            fs::rename(&temporary, &path)?;
            sync_dir(self.dir())
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }
}

fn name(side: Side) -> String {
    format!("side.{side}")
}
