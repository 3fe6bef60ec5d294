//! The few operations on files that the journal needs, as a trait.
//!
//! [`Directory`] is the real one. [`memory`] forgets what was not synced and fails on demand, so
//! that recovery can be proved and the simulator can run on it. Names are plain file names within
//! one directory; nothing here knows what they mean.

mod directory;
pub mod memory;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

pub use directory::Directory;

use crate::error::{Operation, ReadError, WriteError};

/// One directory of files.
pub trait Storage: Debug + Send + Sync {
    /// Where it is, for messages.
    fn path(&self) -> &Path;

    /// Creates a file for reading and writing; fails with `AlreadyExists` if the name is taken.
    fn create_new(&self, name: &str) -> io::Result<Box<dyn StoredFile>>;

    /// Opens a file anew for reading and syncing (a network file system revalidates here).
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>>;

    /// The names in the directory, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file a second name; fails with `AlreadyExists` if that is taken.
    fn link_new(&self, existing: &str, new: &str) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: returns when everything created, linked or removed before is on disk.
    fn sync_directory(&self) -> io::Result<()>;
}

/// An open file.
pub trait StoredFile: Debug + Send {
    /// Writes at a byte; answers how much was written.
    fn write_at(&self, bytes: &[u8], at_byte: u64) -> io::Result<usize>;

    /// Makes written bytes, and the length needed to read them, durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Reads at a byte; answers how much was read, 0 only at the end.
    fn read_at(&self, into: &mut [u8], at_byte: u64) -> io::Result<usize>;

    /// The file's length now.
    fn length_bytes(&self) -> io::Result<u64>;
}

/// Full path of a name, for messages.
pub(crate) fn path_of(storage: &dyn Storage, name: &(impl ToString + ?Sized)) -> PathBuf {
    storage.path().join(name.to_string())
}

/// Opens a file; nothing if there is none.
pub(crate) fn open_if_there(
    storage: &dyn Storage,
    name: &str,
) -> Result<Option<Box<dyn StoredFile>>, ReadError> {
    match storage.open(name) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io {
            operation: Operation::Open,
            path: path_of(storage, name),
            source,
        }),
    }
}

/// Reads until the buffer is full or the file ends; answers how much.
pub(crate) fn read_full(file: &dyn StoredFile, into: &mut [u8], at_byte: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], at_byte + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes everything in one call; a short write is a failure.
///
/// After a short write it asks once more for the rest, only because the system gives the reason
/// (mostly: no space) with that second call.
pub(crate) fn write_whole(
    file: &dyn StoredFile,
    path: &Path,
    bytes: &[u8],
    at_byte: u64,
) -> Result<(), WriteError> {
    let failed = |source| WriteError::io(Operation::Write, path.to_owned(), source);
    let written = file.write_at(bytes, at_byte).map_err(failed)?;
    if written == bytes.len() {
        return Ok(());
    }
    file.write_at(&bytes[written..], at_byte + written as u64)
        .map_err(failed)?;
    Err(WriteError::Short {
        path: path.to_owned(),
        written_bytes: written,
        expected_bytes: bytes.len(),
    })
}
