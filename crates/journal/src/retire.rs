//! Removing files that recovery no longer reads.
//!
//! Which files those are is decided elsewhere: those before the start of history (see
//! [`crate::Writer::append_start`]), once the record of that start has passed the gate. A crash in the
//! middle, or a removal that was not durable, leaves some of them; [`crate::History::retired`] names
//! them.

use std::io;

use crate::error::{Operation, WriteError};
use crate::names::SegmentName;
use crate::storage::{Storage, path_of};

/// Removes segments and makes that durable. Those that are gone already are no error.
pub fn remove(storage: &dyn Storage, files: &[SegmentName]) -> Result<(), WriteError> {
    for file in files {
        match storage.remove(&file.to_string()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = path_of(storage, file);
                return Err(WriteError::io(Operation::Remove, path, error));
            }
            _ => {}
        }
    }
    storage.sync_directory().map_err(|source| {
        let path = storage.path().to_owned();
        WriteError::io(Operation::SyncDirectory, path, source)
    })
}
