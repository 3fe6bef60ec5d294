//! The one moment at which a standby's directory becomes what it was told: a file that says what is to be
//! done, made visible whole or not at all, then done, as often as it takes.
//!
//! ```text
//! {"format":1,"place":["journal.…","seal.8"],"aside":[["seal.9","aside.1.seal.9"]],"also":[],"remove":["…"]}
//! crc32 0a1b2c3d
//! ```
//!
//! Each step may have been done before, in any order that a crash leaves: a file is placed by a second
//! name for the same content, and the first name goes only when the second is durable.

use std::io;

use serde::{Deserialize, Serialize};

use crate::error::{Damage, Operation, ReadError, WriteError};
use crate::storage::{Storage, open_if_there, path_of, read_full, write_whole};

const NAME: &str = "follow.commit";
const TEMPORARY: &str = "follow.commit.tmp";
/// Start of the name of a file that is not in its place yet.
const PREFIX: &str = "sync.";
const FORMAT: u32 = 1;
/// Some hundred bytes for each of very many files.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commit {
    pub(super) format: u32,
    /// Files whose content is there under a temporary name.
    pub(super) place: Vec<String>,
    /// Files that get another name, done before anything is placed.
    pub(super) aside: Vec<(String, String)>,
    /// Files that stay and get a second name, because of what they hold beyond what counts.
    pub(super) also: Vec<(String, String)>,
    /// Files that go.
    pub(super) remove: Vec<String>,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            format: FORMAT,
            place: Vec::new(),
            aside: Vec::new(),
            also: Vec::new(),
            remove: Vec::new(),
        }
    }
}

/// The name a file has until the commit.
pub(super) fn temporary(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Brings to its end what a crash has interrupted: to be called, in replication, before anything of a
/// directory is read. True if there was a commit to carry out.
pub fn recover(storage: &dyn Storage) -> Result<bool, WriteError> {
    let commit = read(storage).map_err(|error| WriteError::Seal(Box::new(error)))?;
    let found = commit.is_some();
    if let Some(commit) = commit {
        carry_out(storage, &commit)?;
    }
    discard(storage)?;
    Ok(found)
}

/// Removes what no commit names.
pub(super) fn discard(storage: &dyn Storage) -> Result<(), WriteError> {
    let names = storage
        .list()
        .map_err(|source| WriteError::io(Operation::List, storage.path().to_owned(), source))?;
    for name in names {
        if name.starts_with(PREFIX) || name == TEMPORARY {
            remove(storage, &name)?;
        }
    }
    Ok(())
}

/// Makes the commit visible and durable, and carries it out. Everything it places is synced.
pub(super) fn run(storage: &dyn Storage, commit: &Commit) -> Result<(), WriteError> {
    remove(storage, TEMPORARY)?;
    let failed = |operation, name: &str| {
        let path = path_of(storage, name);
        move |source| WriteError::io(operation, path, source)
    };
    let file = storage
        .create_new(TEMPORARY)
        .map_err(failed(Operation::Create, TEMPORARY))?;
    let text = encode(commit);
    write_whole(
        file.as_ref(),
        &path_of(storage, TEMPORARY),
        text.as_bytes(),
        0,
    )?;
    file.sync_data()
        .map_err(failed(Operation::Sync, TEMPORARY))?;
    // First what it names, or it could be all that a crash leaves.
    sync_directory(storage)?;
    storage
        .link_new(TEMPORARY, NAME)
        .map_err(failed(Operation::Link, NAME))?;
    sync_directory(storage)?;
    carry_out(storage, commit)
}

fn carry_out(storage: &dyn Storage, commit: &Commit) -> Result<(), WriteError> {
    for (name, second) in &commit.also {
        link(storage, name, second)?;
    }
    for (name, aside) in &commit.aside {
        // Placed already: then it is not the old one that has this name.
        let is_placed = commit.place.contains(name) && !is_there(storage, &temporary(name))?;
        if !is_placed {
            link(storage, name, aside)?;
            remove(storage, name)?;
        }
    }
    for name in &commit.remove {
        remove(storage, name)?;
    }
    for name in &commit.place {
        let from = temporary(name);
        if is_there(storage, &from)? {
            remove(storage, name)?;
            link(storage, &from, name)?;
        }
    }
    sync_directory(storage)?;
    for name in &commit.place {
        remove(storage, &temporary(name))?;
    }
    remove(storage, NAME)?;
    remove(storage, TEMPORARY)?;
    sync_directory(storage)
}

/// Gives a file a second name; neither a missing file nor one that has it already is an error.
fn link(storage: &dyn Storage, name: &str, new: &str) -> Result<(), WriteError> {
    match storage.link_new(name, new) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
            ) =>
        {
            Err(WriteError::io(
                Operation::Link,
                path_of(storage, new),
                error,
            ))
        }
        _ => Ok(()),
    }
}

fn remove(storage: &dyn Storage, name: &str) -> Result<(), WriteError> {
    match storage.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(WriteError::io(
            Operation::Remove,
            path_of(storage, name),
            error,
        )),
        _ => Ok(()),
    }
}

fn sync_directory(storage: &dyn Storage) -> Result<(), WriteError> {
    storage.sync_directory().map_err(|source| {
        WriteError::io(Operation::SyncDirectory, storage.path().to_owned(), source)
    })
}

fn is_there(storage: &dyn Storage, name: &str) -> Result<bool, WriteError> {
    let opened = open_if_there(storage, name);
    let opened = opened.map_err(|error| WriteError::Seal(Box::new(error)))?;
    Ok(opened.is_some())
}

fn encode(commit: &Commit) -> String {
    // Names alone: nothing that cannot be written as JSON.
    let mut text = serde_json::to_string(commit).unwrap_or_default();
    text.push('\n');
    let checksum = crc32fast::hash(text.as_bytes());
    text + &format!("crc32 {checksum:08x}\n")
}

fn read(storage: &dyn Storage) -> Result<Option<Commit>, ReadError> {
    let Some(file) = open_if_there(storage, NAME)? else {
        return Ok(None);
    };
    let path = path_of(storage, NAME);
    let failed = |source| ReadError::Io {
        operation: Operation::Read,
        path: path.clone(),
        source,
    };
    let length = file.length_bytes().map_err(failed)?.min(MAX_BYTES);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    let read = read_full(file.as_ref(), &mut bytes, 0).map_err(failed)?;
    bytes.truncate(read);
    let damaged = |damage| ReadError::Damaged {
        path: path.clone(),
        at_byte: 0,
        damage,
    };
    let json = crate::seal::checked(&bytes).ok_or_else(|| damaged(Damage::SealChecksum))?;
    let commit: Commit =
        serde_json::from_str(json).map_err(|error| damaged(Damage::SealText(error.to_string())))?;
    if commit.format > FORMAT {
        return Err(ReadError::Unsupported {
            path,
            found: commit.format,
            supported: FORMAT,
        });
    }
    Ok(Some(commit))
}
