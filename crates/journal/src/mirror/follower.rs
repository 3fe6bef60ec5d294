//! The standby's end: takes what the active ships, and says how far it is on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::aside::AsideLimits;
use super::commit::{self, Commit};
use super::plan::{self, Fetch, Plan};
use super::terms::{self, TermEnd};
use super::verify::Verifier;
use super::{Manifest, Piece, Place, Want};
use crate::error::{Operation, ReadError, WriteError};
use crate::names::{Position, SegmentName, TermId};
use crate::storage::{Storage, StoredFile, path_of, write_whole};
use crate::{retire, seal};

/// Why nothing more can be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The own directory could not be written: the process must end and recover from disk.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The own directory could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What came is not what the active has, or not in its order: the session is over.
    #[error("what came for {file} at byte {at_byte} cannot be taken: {what}")]
    Stream {
        /// The file.
        file: String,
        /// Where in it.
        at_byte: u64,
        /// What is wrong.
        what: String,
    },
}

/// What a session begins with.
#[derive(Debug)]
pub struct Begun {
    /// Takes what comes.
    pub follower: Follower,
    /// What the active is asked for, in order; what it writes from then on follows.
    pub wants: Vec<Want>,
    /// Bytes of these files that are missing.
    pub missing_bytes: u64,
    /// Entries that this side has beyond the common history.
    pub beyond: u64,
}

/// What the commit has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Names that data of this side's own got, which the active's history lacks.
    pub aside: Vec<String>,
    /// Bytes of it.
    pub aside_bytes: u64,
}

/// Follows one session of one active.
#[derive(Debug)]
pub struct Follower {
    storage: Arc<dyn Storage>,
    manifest: Manifest,
    fetches: VecDeque<Fetch>,
    commit: Commit,
    aside_bytes: u64,
    /// Kept open for the commit.
    current: Option<Current>,
    is_live: bool,
    end: Option<Place>,
    ends: Vec<TermEnd>,
    /// The segment that history begins with, as a durable header here says.
    start: Option<SegmentName>,
    /// Before this one the active has removed its files.
    front: Option<SegmentName>,
    files: Vec<SegmentName>,
    taken_bytes: u64,
}

#[derive(Debug)]
struct Current {
    file: Box<dyn StoredFile>,
    verifier: Verifier,
    sealed_bytes: Option<u64>,
    /// Its name is not durable yet.
    is_new: bool,
}

impl Current {
    /// Takes bytes up to the end of a batch; answers how many.
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, FollowError> {
        let name = self.verifier.name();
        let taken = self.verifier.feed(bytes);
        taken.map_err(|(at_byte, damage)| stream(name, at_byte, &damage))
    }
}

impl Follower {
    /// Looks what is here of the active's history, of which everything up to `cut` is right; `ends` are the
    /// terms of this side's own. Changes nothing that a start would read.
    pub fn begin(
        storage: Arc<dyn Storage>,
        manifest: Manifest,
        cut: Option<Place>,
        ends: &[TermEnd],
        limits: AsideLimits,
    ) -> Result<Begun, FollowError> {
        let sealed = seal::of_bytes(&manifest.seal);
        if sealed.is_none_or(|seal| seal.term != manifest.term) {
            return Err(FollowError::Stream {
                file: plan::seal_of(&manifest),
                at_byte: 0,
                what: "it is no seal of the active's term".to_owned(),
            });
        }
        commit::discard(storage.as_ref())?;
        let Plan {
            fetches,
            moves,
            also,
            has_seal,
        } = plan::make(storage.as_ref(), &manifest, cut, limits)?;
        let wants = fetches
            .iter()
            .map(|fetch| Want {
                file: fetch.verifier.name(),
                from_byte: fetch.verifier.at_byte(),
            })
            .collect();
        let missing_bytes = fetches.iter().map(|fetch| fetch.missing_bytes).sum();
        let mut place: Vec<String> = fetches
            .iter()
            .map(|fetch| fetch.verifier.name().to_string())
            .collect();
        if !has_seal {
            let name = plan::seal_of(&manifest);
            write_temporary(storage.as_ref(), &name, &manifest.seal)?;
            place.push(name);
        }
        let common = terms::up_to(ends, cut);
        Ok(Begun {
            wants,
            missing_bytes,
            beyond: terms::beyond(ends, cut),
            follower: Self {
                storage,
                fetches: fetches.into(),
                commit: Commit {
                    place,
                    aside: moves.moved,
                    also,
                    remove: moves.removed,
                    ..Commit::default()
                },
                aside_bytes: moves.bytes,
                current: None,
                is_live: false,
                end: common.last().map(|end| Place {
                    term: end.term,
                    offset: end.last,
                }),
                ends: common,
                start: None,
                front: None,
                files: manifest.files.iter().map(|it| it.file.file).collect(),
                manifest,
                taken_bytes: 0,
            },
        })
    }

    /// The active's term.
    pub fn term(&self) -> TermId {
        self.manifest.term
    }

    /// Everything up to here is on this disk; nothing before the commit, and nothing of an empty history.
    pub fn end(&self) -> Option<Place> {
        self.end.filter(|_| self.is_live)
    }

    /// The terms of the history here, once it is committed.
    pub fn ends(&self) -> Option<&[TermEnd]> {
        self.is_live.then_some(&self.ends)
    }

    /// Whether the commit is done.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Whether no part of a batch was taken that has not ended.
    pub fn is_between_batches(&self) -> bool {
        let current = self.current.as_ref();
        current.is_none_or(|current| current.verifier.is_at_batch_end())
    }

    /// Bytes taken so far.
    pub fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Takes bytes that follow those taken before. Once live, every batch that they end is written and
    /// synced, one after the other; true if there was one.
    pub fn take(&mut self, piece: &Piece) -> Result<bool, FollowError> {
        self.turn_to(piece)?;
        self.taken_bytes += piece.bytes.len() as u64;
        if self.is_live {
            return self.take_live(piece);
        }
        let name = commit::temporary(&piece.file.to_string());
        let path = path_of(self.storage.as_ref(), &name);
        let Some(current) = &mut self.current else {
            return Err(stream(piece.file, piece.at_byte, "nothing is expected"));
        };
        let end = current.sealed_bytes.unwrap_or(u64::MAX);
        if piece.at_byte + piece.bytes.len() as u64 > end {
            return Err(stream(
                piece.file,
                piece.at_byte,
                "it goes on beyond its end",
            ));
        }
        let mut rest = &piece.bytes[..];
        while !rest.is_empty() {
            rest = &rest[current.feed(rest)?..];
        }
        write_whole(current.file.as_ref(), &path, &piece.bytes, piece.at_byte)?;
        Ok(false)
    }

    /// Batch by batch: none is written before the one before it is synced.
    fn take_live(&mut self, piece: &Piece) -> Result<bool, FollowError> {
        let path = path_of(self.storage.as_ref(), &piece.file);
        let mut rest = &piece.bytes[..];
        let mut has_synced = false;
        while !rest.is_empty() {
            let Some(current) = &mut self.current else {
                return Err(stream(piece.file, piece.at_byte, "nothing is expected"));
            };
            let at_byte = current.verifier.at_byte();
            let taken = current.feed(rest)?;
            write_whole(current.file.as_ref(), &path, &rest[..taken], at_byte)?;
            rest = &rest[taken..];
            if current.verifier.is_at_batch_end() {
                self.sync()?;
                has_synced = true;
            }
        }
        Ok(has_synced)
    }

    /// Everything that the active had is here: makes it this side's history.
    pub fn go_live(&mut self) -> Result<Committed, FollowError> {
        while let Some(fetch) = self.fetches.pop_front() {
            if fetch.missing_bytes > 0 {
                let name = fetch.verifier.name();
                return Err(stream(name, fetch.verifier.at_byte(), "it did not come"));
            }
            self.begin_fetch(fetch)?;
        }
        self.finish()?;
        commit::run(self.storage.as_ref(), &self.commit)?;
        self.is_live = true;
        if let Some(current) = &mut self.current {
            current.is_new = false;
        }
        self.remove_retired()?;
        let Commit { aside, also, .. } = std::mem::take(&mut self.commit);
        Ok(Committed {
            aside: aside
                .into_iter()
                .chain(also)
                .map(|(_, name)| name)
                .collect(),
            aside_bytes: self.aside_bytes,
        })
    }

    /// The active has removed its files before this one.
    pub fn front(&mut self, front: SegmentName) -> Result<(), FollowError> {
        self.front = Some(front);
        self.remove_retired()
    }

    /// Makes the piece's file the current one.
    fn turn_to(&mut self, piece: &Piece) -> Result<(), FollowError> {
        let at = |what: &str| stream(piece.file, piece.at_byte, what);
        if let Some(current) = &self.current
            && current.verifier.name() == piece.file
        {
            let expected = current.verifier.at_byte();
            return if piece.at_byte == expected {
                Ok(())
            } else {
                Err(at(&format!("byte {expected} must come first")))
            };
        }
        self.finish()?;
        while let Some(fetch) = self.fetches.pop_front() {
            let (name, from) = (fetch.verifier.name(), fetch.verifier.at_byte());
            let is_whole = fetch.missing_bytes == 0;
            self.begin_fetch(fetch)?;
            if name == piece.file && from == piece.at_byte {
                return Ok(());
            }
            if !is_whole {
                return Err(at(&format!("{name} must come first")));
            }
        }
        let own = self
            .files
            .last()
            .filter(|name| name.term == self.manifest.term);
        let next = own.map_or(
            SegmentName {
                term: self.manifest.term,
                number: 1,
            },
            |own| own.successor(),
        );
        if piece.file != next || piece.at_byte != 0 {
            return Err(at(&format!("{next} must come first")));
        }
        self.create(next)
    }

    fn begin_fetch(&mut self, fetch: Fetch) -> Result<(), FollowError> {
        self.finish()?;
        self.current = Some(Current {
            file: fetch.file,
            verifier: fetch.verifier,
            sealed_bytes: fetch.sealed_bytes,
            is_new: true,
        });
        Ok(())
    }

    fn create(&mut self, name: SegmentName) -> Result<(), FollowError> {
        let place = name.to_string();
        let first = if self.is_live {
            place
        } else {
            let temporary = commit::temporary(&place);
            self.commit.place.push(place);
            temporary
        };
        let created = self.storage.create_new(&first);
        let path = path_of(self.storage.as_ref(), &first);
        self.files.push(name);
        self.current = Some(Current {
            file: created.map_err(|source| WriteError::io(Operation::Create, path, source))?,
            verifier: Verifier::new(name),
            sealed_bytes: None,
            is_new: true,
        });
        Ok(())
    }

    /// Ends the current file, or the current part of it before the commit.
    fn finish(&mut self) -> Result<(), FollowError> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let verifier = &current.verifier;
        let is_whole = match current.sealed_bytes {
            Some(sealed) => verifier.at_byte() == sealed && verifier.is_at_record_end(),
            None => verifier.is_at_batch_end(),
        };
        if !is_whole {
            return Err(stream(
                verifier.name(),
                verifier.at_byte(),
                "it is not whole",
            ));
        }
        if !self.is_live {
            self.sync_data()?;
            self.note();
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FollowError> {
        self.sync_data()?;
        if let Some(current) = &mut self.current
            && std::mem::take(&mut current.is_new)
        {
            self.storage.sync_directory().map_err(|source| {
                let path = self.storage.path().to_owned();
                WriteError::io(Operation::SyncDirectory, path, source)
            })?;
        }
        self.note();
        self.remove_retired()
    }

    fn sync_data(&self) -> Result<(), FollowError> {
        if let Some(current) = &self.current {
            current.file.sync_data().map_err(|source| {
                let path = path_of(self.storage.as_ref(), &current.verifier.name());
                WriteError::io(Operation::Sync, path, source)
            })?;
        }
        Ok(())
    }

    /// What is synced of the current file counts from here on.
    fn note(&mut self) {
        let Some(current) = &self.current else {
            return;
        };
        let verifier = &current.verifier;
        let name = verifier.name();
        if let Some((first, last)) = verifier.first_offset().zip(verifier.end()) {
            self.end = Some(Place {
                term: name.term,
                offset: last.offset,
            });
            terms::extend(&mut self.ends, name, first, last.offset);
        }
        self.start = verifier.start().or(self.start);
    }

    /// Removes what the active has removed, as far as a durable header here says that nothing needs it.
    fn remove_retired(&mut self) -> Result<(), FollowError> {
        let Some((start, front)) = self.start.zip(self.front) else {
            return Ok(());
        };
        if !self.is_live || front > start {
            return Ok(());
        }
        let kept = self.files.partition_point(|file| *file < front);
        let retired: Vec<SegmentName> = self.files.drain(..kept).collect();
        if !retired.is_empty() {
            retire::remove(self.storage.as_ref(), &retired)?;
        }
        Ok(())
    }
}

impl Place {
    /// The position that readers of a history know it by; nothing before a term's first entry.
    pub fn position(self) -> Option<Position> {
        (self.offset > 0).then_some(Position {
            epoch: self.term.epoch,
            offset: self.offset,
        })
    }
}

fn write_temporary(storage: &dyn Storage, name: &str, bytes: &[u8]) -> Result<(), FollowError> {
    let temporary = commit::temporary(name);
    let path = path_of(storage, &temporary);
    let created = storage.create_new(&temporary);
    let file = created.map_err(|source| WriteError::io(Operation::Create, path.clone(), source))?;
    write_whole(file.as_ref(), &path, bytes, 0)?;
    file.sync_data()
        .map_err(|source| WriteError::io(Operation::Sync, path, source))?;
    Ok(())
}

fn stream(file: SegmentName, at_byte: u64, what: &(impl ToString + ?Sized)) -> FollowError {
    FollowError::Stream {
        file: file.to_string(),
        at_byte,
        what: what.to_string(),
    }
}
