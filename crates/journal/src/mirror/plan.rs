//! What a standby lacks, what it has too much: a look at its directory, beside the active's list.

use std::collections::BTreeSet;

use super::aside::{self, AsideLimits, Moves};
use super::commit::temporary;
use super::follower::FollowError;
use super::verify::Verifier;
use super::{Listed, Manifest, Place};
use crate::error::{Operation, ReadError, WriteError};
use crate::format::{BLOCK_BYTES, block_end};
use crate::names::{SegmentName, seal_epoch, seal_name};
use crate::seal;
use crate::storage::{Storage, StoredFile, open_if_there, path_of, read_full, write_whole};

const CHUNK_BYTES: usize = 256 * 1024;

/// A file to be had from the active, and what of it is here already under its temporary name.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) file: Box<dyn StoredFile>,
    pub(super) verifier: Verifier,
    /// Where it ends, if it does not grow.
    pub(super) sealed_bytes: Option<u64>,
    /// Bytes still to come, as far as is known.
    pub(super) missing_bytes: u64,
}

/// What is to be done until the directory is what the active's is.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fetches: Vec<Fetch>,
    /// Names that get another one, and names that go.
    pub(super) moves: Moves,
    /// Names that stay and get a second one.
    pub(super) also: Vec<(String, String)>,
    /// Whether the active's seal is here already.
    pub(super) has_seal: bool,
}

/// Where a file stands to the common end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Before,
    Contains,
    Behind,
}

pub(super) fn make(
    storage: &dyn Storage,
    manifest: &Manifest,
    cut: Option<Place>,
    limits: AsideLimits,
) -> Result<Plan, FollowError> {
    let there = list(storage)?;
    let wanted: BTreeSet<SegmentName> = manifest.files.iter().map(|it| it.file.file).collect();
    let mut fetches = Vec::new();
    let mut kept_aside: Vec<String> = Vec::new();
    let mut removed = Vec::new();
    let mut stays = BTreeSet::new();
    for (index, listed) in manifest.files.iter().enumerate() {
        let next = manifest.files.get(index + 1);
        let name = listed.file.file;
        let is_here = there.contains(&name.to_string());
        let is_own = name.term == manifest.term;
        let grows = is_own && next.is_none();
        let needed = if is_own {
            block_end(listed.file.length_bytes)
        } else {
            listed.file.length_bytes
        };
        let relation = relation(cut, listed, next);
        let here_bytes = if is_here {
            aside::length(storage, &name.to_string())?
        } else {
            0
        };
        if relation == Relation::Before && !grows && here_bytes >= needed {
            continue;
        }
        let prefix = match (relation, cut) {
            (Relation::Before | Relation::Contains, Some(cut)) if is_here => {
                let limit = (name.term == cut.term).then_some(cut.offset);
                let prefix = Prefix::read(storage, name, limit)?;
                if prefix.is_diverged && !is_own {
                    kept_aside.push(name.to_string());
                }
                prefix.whole
            }
            (Relation::Behind, _) | (_, None) if is_here && !is_own => {
                kept_aside.push(name.to_string());
                None
            }
            _ => None,
        };
        let verifier = prefix.unwrap_or_else(|| Verifier::new(name));
        if !is_own && verifier.at_byte() >= needed {
            stays.insert(name.to_string());
            continue;
        }
        fetches.push(Fetch {
            file: copy_prefix(storage, name, verifier.at_byte())?,
            missing_bytes: needed.saturating_sub(verifier.at_byte()),
            verifier,
            sealed_bytes: (!grows).then_some(needed),
        });
    }
    let history = own_history(storage, &there)?;
    for name in segments(&there) {
        if wanted.contains(&name) {
            continue;
        }
        if history.contains(name) && is_retired(name, manifest, cut) {
            removed.push(name.to_string());
        } else {
            kept_aside.push(name.to_string());
        }
    }
    let mut has_seal = false;
    for name in &there {
        match seal_epoch(name) {
            Some(epoch) if epoch == manifest.term.epoch => {
                has_seal =
                    seal::read(storage, epoch).ok().flatten() == seal::of_bytes(&manifest.seal);
                if !has_seal {
                    kept_aside.push(name.clone());
                }
            }
            Some(epoch) if epoch > manifest.term.epoch => kept_aside.push(name.clone()),
            _ => {}
        }
    }
    let there: Vec<String> = there.into_iter().collect();
    let mut moves = aside::plan(storage, &there, &kept_aside, limits)?;
    moves.removed.retain(|name| !stays.contains(name));
    moves.removed.extend(removed);
    let also = moves
        .moved
        .extract_if(.., |(name, _)| stays.contains(name))
        .collect();
    Ok(Plan {
        fetches,
        moves,
        also,
        has_seal,
    })
}

fn list(storage: &dyn Storage) -> Result<BTreeSet<String>, FollowError> {
    let names = storage.list().map_err(|source| ReadError::Io {
        operation: Operation::List,
        path: storage.path().to_owned(),
        source,
    })?;
    Ok(names.into_iter().collect())
}

fn segments(there: &BTreeSet<String>) -> impl Iterator<Item = SegmentName> {
    there.iter().filter_map(|name| name.parse().ok())
}

/// Positions are equal only within one history, so a file is right as far as the common end goes.
fn relation(cut: Option<Place>, listed: &Listed, next: Option<&Listed>) -> Relation {
    let Some(cut) = cut else {
        return Relation::Behind;
    };
    let term = listed.file.file.term;
    if term != cut.term {
        return if term.epoch < cut.term.epoch {
            Relation::Before
        } else {
            Relation::Behind
        };
    }
    let next = next.filter(|next| next.file.file.term == term);
    if next.is_some_and(|next| next.first_offset <= cut.offset.saturating_add(1)) {
        Relation::Before
    } else if listed.first_offset <= cut.offset {
        Relation::Contains
    } else {
        Relation::Behind
    }
}

/// The files that this side's own history may be made of.
struct OwnHistory {
    seal: Option<seal::Seal>,
}

impl OwnHistory {
    fn contains(&self, name: SegmentName) -> bool {
        self.seal.as_ref().is_some_and(|seal| {
            seal.term == name.term || seal.files.iter().any(|file| file.file == name)
        })
    }
}

fn own_history(storage: &dyn Storage, there: &BTreeSet<String>) -> Result<OwnHistory, FollowError> {
    let newest = there.iter().filter_map(|name| seal_epoch(name)).max();
    let seal = match newest {
        Some(epoch) => seal::read(storage, epoch)?,
        None => None,
    };
    Ok(OwnHistory { seal })
}

/// Whether a file that the active does not have any more is one that it has retired: common history, and
/// before all that it has.
fn is_retired(name: SegmentName, manifest: &Manifest, cut: Option<Place>) -> bool {
    let Some((cut, front)) = cut.zip(manifest.files.first()) else {
        return false;
    };
    let front = front.file.file;
    let is_common =
        name.term.epoch < cut.term.epoch || (name.term == cut.term && name.term == front.term);
    let is_before = name.term.epoch < front.term.epoch
        || (name.term == front.term && name.number < front.number);
    is_common && is_before
}

/// The part of a file that both sides have, in whole batches.
struct Prefix {
    /// Where it ends; nothing if there is no whole batch.
    whole: Option<Verifier>,
    /// Whether there is a whole entry behind the common end.
    is_diverged: bool,
}

impl Prefix {
    /// Reads as far as batches are whole and no entry is beyond `limit`.
    fn read(
        storage: &dyn Storage,
        name: SegmentName,
        limit: Option<u64>,
    ) -> Result<Self, FollowError> {
        let mut prefix = Self {
            whole: None,
            is_diverged: false,
        };
        let Some(file) = open_if_there(storage, &name.to_string())? else {
            return Ok(prefix);
        };
        let mut verifier = Verifier::new(name);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = read_full(file.as_ref(), &mut chunk, verifier.at_byte());
            let read = read.map_err(|source| read_failed(storage, name, source))?;
            let mut rest = &chunk[..read];
            if rest.is_empty() {
                break;
            }
            while !rest.is_empty() {
                let Ok(taken) = verifier.feed(rest) else {
                    return Ok(prefix);
                };
                rest = &rest[taken..];
                let is_beyond = verifier
                    .end()
                    .zip(limit)
                    .is_some_and(|(end, limit)| end.offset > limit);
                if is_beyond {
                    prefix.is_diverged = true;
                    return Ok(prefix);
                }
                if verifier.is_at_batch_end() {
                    prefix.whole = Some(verifier.clone());
                }
            }
        }
        Ok(prefix)
    }
}

/// Makes the file's temporary name, with so much of what is here.
fn copy_prefix(
    storage: &dyn Storage,
    name: SegmentName,
    bytes: u64,
) -> Result<Box<dyn StoredFile>, FollowError> {
    let temporary = temporary(&name.to_string());
    let path = path_of(storage, &temporary);
    let created = storage.create_new(&temporary);
    let copy = created.map_err(|source| WriteError::io(Operation::Create, path.clone(), source))?;
    if bytes == 0 {
        return Ok(copy);
    }
    debug_assert!(bytes.is_multiple_of(BLOCK_BYTES));
    let from = open_if_there(storage, &name.to_string())?.ok_or_else(|| ReadError::Missing {
        path: path_of(storage, &name),
        needed_by: "the copy of its beginning".to_owned(),
    })?;
    let mut at_byte = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    while at_byte < bytes {
        let wanted = usize::try_from(bytes - at_byte)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        let read = read_full(from.as_ref(), &mut chunk[..wanted], at_byte)
            .map_err(|source| read_failed(storage, name, source))?;
        if read < wanted {
            let source = std::io::ErrorKind::UnexpectedEof.into();
            return Err(read_failed(storage, name, source).into());
        }
        write_whole(copy.as_ref(), &path, &chunk[..read], at_byte)?;
        at_byte += read as u64;
    }
    Ok(copy)
}

fn read_failed(storage: &dyn Storage, name: SegmentName, source: std::io::Error) -> ReadError {
    ReadError::Io {
        operation: Operation::Read,
        path: path_of(storage, &name),
        source,
    }
}

/// The seal's name, for the commit.
pub(super) fn seal_of(manifest: &Manifest) -> String {
    seal_name(manifest.term.epoch)
}
