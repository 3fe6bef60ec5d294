//! Where data goes that this side had and the active's history lacks: names of their own, few, bounded.

use std::collections::BTreeMap;

use crate::error::ReadError;
use crate::storage::{Storage, open_if_there};

/// How much of what was replaced is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsideLimits {
    /// So many replacements, the newest.
    pub sets: usize,
    /// At most so many bytes, the newest.
    pub bytes: u64,
}

impl Default for AsideLimits {
    /// As many as Artemis keeps, and no more than any disk of a broker has to spare.
    fn default() -> Self {
        Self {
            sets: 2,
            bytes: 1024 * 1024 * 1024,
        }
    }
}

/// What is to be done with the names of one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Names and the ones they get.
    pub(super) moved: Vec<(String, String)>,
    /// Names to be removed: older sets, and what is beyond the bound.
    pub(super) removed: Vec<String>,
    /// Bytes of what gets other names.
    pub(super) bytes: u64,
}

/// `aside.NUMBER.NAME`.
fn name_of(set: u64, name: &str) -> String {
    format!("aside.{set}.{name}")
}

fn set_of(name: &str) -> Option<u64> {
    name.strip_prefix("aside.")?.split_once('.')?.0.parse().ok()
}

/// Plans to keep these names, oldest first, as the newest set.
pub(super) fn plan(
    storage: &dyn Storage,
    there: &[String],
    names: &[String],
    limits: AsideLimits,
) -> Result<Moves, ReadError> {
    let mut moves = Moves::default();
    if names.is_empty() {
        return Ok(moves);
    }
    let mut sets: BTreeMap<u64, Vec<&String>> = BTreeMap::new();
    for name in there {
        if let Some(set) = set_of(name) {
            sets.entry(set).or_default().push(name);
        }
    }
    let set = sets.keys().next_back().map_or(1, |newest| newest + 1);
    // The newest files tell most.
    for name in names.iter().rev() {
        let bytes = length(storage, name)?;
        if moves.bytes + bytes > limits.bytes {
            moves.removed.push(name.clone());
        } else {
            moves.bytes += bytes;
            moves.moved.push((name.clone(), name_of(set, name)));
        }
    }
    let mut total = moves.bytes;
    for (kept, names) in sets.values().rev().enumerate() {
        for name in names {
            total += length(storage, name)?;
            if kept + 2 > limits.sets || total > limits.bytes {
                moves.removed.push((*name).clone());
            }
        }
    }
    Ok(moves)
}

pub(super) fn length(storage: &dyn Storage, name: &str) -> Result<u64, ReadError> {
    let Some(file) = open_if_there(storage, name)? else {
        return Ok(0);
    };
    file.length_bytes().map_err(|source| ReadError::Io {
        operation: crate::error::Operation::Read,
        path: crate::storage::path_of(storage, name),
        source,
    })
}
