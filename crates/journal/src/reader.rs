//! One reader for recovery, followers and catch-up: entries in order, over many segments.
//!
//! It reads sealed files exactly to their sealed lengths, then follows the segments of one term as
//! far as they are whole. It never returns part of a record and never reads beyond a sealed length.
//! What it returns of a growing term is *written*, not necessarily *durable*: a follower that acts
//! on entries must hold them back until the writer has reported them durable.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Damage, ReadError};
use crate::names::{FileLength, Position, SegmentName, TermId};
use crate::segment::{Bound, Rest, SegmentReader};
use crate::storage::{Storage, path_of};

/// One record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub position: Position,
    /// What it is, in the caller's numbering.
    pub kind: u8,
    /// Its content.
    pub payload: Bytes,
}

/// Reads entries in order; at the end of a growing term it says "nothing yet" and goes on later.
#[derive(Debug)]
pub struct Reader {
    storage: Arc<dyn Storage>,
    /// Sealed files not yet begun.
    sealed: VecDeque<FileLength>,
    /// The term whose segments are followed once the sealed files are read.
    follow: Option<TermId>,
    /// Number of the followed term's first segment: those before it were retired.
    first_number: u64,
    /// Recovery reads the followed segments only as far as it saw them, by number from the first.
    seen_bytes: Option<Vec<u64>>,
    /// Entries up to here are not returned.
    after: Option<Position>,
    current: Option<SegmentReader>,
    /// The segment read last, and the offset that must follow it.
    previous: Option<(SegmentName, u64)>,
    /// Files read to their end that hold records.
    finished: Vec<FileLength>,
    last: Option<Position>,
    /// The current segment had nothing more when last asked: open it anew.
    stalled: bool,
}

impl Reader {
    /// Opens a reader over `sealed` files and then the segments of the term `follow`.
    ///
    /// With `after`, it begins with the first entry behind that position, and opens only the
    /// segments that it needs for this. Followed segments may come into being later; they are
    /// followed from the term's first, which must not have been retired.
    pub fn open(
        storage: Arc<dyn Storage>,
        sealed: Vec<FileLength>,
        follow: Option<TermId>,
        after: Option<Position>,
    ) -> Result<Self, ReadError> {
        let mut reader = Self {
            storage,
            sealed: sealed.into(),
            follow,
            first_number: 1,
            seen_bytes: None,
            after,
            current: None,
            previous: None,
            finished: Vec::new(),
            last: None,
            stalled: false,
        };
        if let Some(after) = after {
            reader.skip_sealed(after)?;
            reader.skip_followed(after)?;
        }
        Ok(reader)
    }

    /// Opens a reader over `sealed` files and then the segments of a term from `first` on, as far as
    /// `seen_bytes` tells, one length for each.
    pub(crate) fn recover(
        storage: Arc<dyn Storage>,
        sealed: Vec<FileLength>,
        first: SegmentName,
        seen_bytes: Vec<u64>,
    ) -> Result<Self, ReadError> {
        let reader = Self::open(storage, sealed, Some(first.term), None)?;
        Ok(Self {
            first_number: first.number,
            seen_bytes: Some(seen_bytes),
            ..reader
        })
    }

    /// Opens a reader over `sealed` files and then the growing segments of a term from `first` on.
    pub(crate) fn follow(
        storage: Arc<dyn Storage>,
        sealed: Vec<FileLength>,
        first: SegmentName,
    ) -> Result<Self, ReadError> {
        let reader = Self::open(storage, sealed, Some(first.term), None)?;
        Ok(Self {
            first_number: first.number,
            ..reader
        })
    }

    /// Goes on as [`Reader::recover`] would from here, with what recovery saw of the followed term.
    /// False if it cannot: what it stands in counts no more, or is shorter than what it has read.
    pub(crate) fn bind(&mut self, first_number: u64, is_start: bool, seen_bytes: &[u64]) -> bool {
        let follow = self.follow;
        let has_begun = self.has_begun(first_number);
        let current = self.current.as_mut();
        match current.filter(|current| Some(current.name().term) == follow) {
            Some(current) => {
                let index = current.name().number.checked_sub(first_number);
                let index = index.and_then(|index| usize::try_from(index).ok());
                let Some(bytes) = index.and_then(|index| seen_bytes.get(index)) else {
                    return false;
                };
                if *bytes < current.cursor() {
                    return false;
                }
                current.bind(*bytes);
            }
            // In the sealed files, which a start has retired.
            None if is_start && !has_begun => return false,
            None => {}
        }
        self.first_number = first_number;
        self.seen_bytes = Some(seen_bytes.to_vec());
        // What lies in memory may have been read before it was whole.
        self.stalled = self.current.is_some();
        true
    }

    /// Whether nothing was read yet, and the first segment to come is this one.
    fn has_begun(&self, first_number: u64) -> bool {
        self.last.is_none() && self.sealed.is_empty() && self.first_number == first_number
    }

    /// The next entry; nothing if there is no further whole record now.
    ///
    /// Call it again when more may have been written. After an error it stays where it was: a
    /// failed read may be tried again, damage stays damage.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            let Some(mut current) = self.take_current()? else {
                return Ok(None);
            };
            let step = self.step(&mut current);
            match step {
                Ok(Step::Leave(next)) => {
                    self.finish(&current);
                    self.current = next;
                }
                Ok(Step::Entry(entry)) => {
                    self.current = Some(current);
                    self.stalled = false;
                    self.last = Some(entry.position);
                    if self.after.is_none_or(|after| entry.position > after) {
                        return Ok(Some(entry));
                    }
                }
                Ok(Step::NotYet) => {
                    self.current = Some(current);
                    self.stalled = true;
                    return Ok(None);
                }
                Err(error) => {
                    self.current = Some(current);
                    self.stalled = true;
                    return Err(error);
                }
            }
        }
    }

    /// Position of the last entry read, also of those skipped.
    pub fn position(&self) -> Option<Position> {
        self.last
    }

    /// The files read so far and how much of each is whole.
    pub(crate) fn files(&self) -> Vec<FileLength> {
        let current = self.current.as_ref().map(length_of);
        self.finished
            .iter()
            .copied()
            .chain(current)
            .filter(|file| file.length_bytes > 0)
            .collect()
    }

    /// The followed segment that has been reached, and what lies behind its whole part.
    pub(crate) fn reached(&self) -> Result<Option<(&SegmentReader, Rest)>, ReadError> {
        let Some(current) = &self.current else {
            return Ok(None);
        };
        Ok(Some((current, current.rest()?)))
    }

    fn take_current(&mut self) -> Result<Option<SegmentReader>, ReadError> {
        if let Some(current) = &mut self.current {
            if self.stalled {
                current.reopen(self.storage.as_ref())?;
            }
            return Ok(self.current.take());
        }
        if let Some(file) = self.sealed.front().copied() {
            let segment = self.open_sealed(file)?;
            self.sealed.pop_front();
            return Ok(Some(segment));
        }
        let Some(term) = self.follow else {
            return Ok(None);
        };
        let name = SegmentName {
            term,
            number: self.first_number,
        };
        let first = self.open_followed(name)?;
        Ok(first.map(|first| first.expecting(self.expected_first(name))))
    }

    /// Opens a segment of the followed term; nothing if there is none (yet).
    pub(crate) fn open_followed(
        &self,
        name: SegmentName,
    ) -> Result<Option<SegmentReader>, ReadError> {
        let bound = match &self.seen_bytes {
            None => Bound::Open,
            Some(seen) => {
                let index = name.number.checked_sub(self.first_number);
                let index = index.and_then(|index| usize::try_from(index).ok());
                match index.and_then(|index| seen.get(index)) {
                    Some(bytes) => Bound::Seen(*bytes),
                    None => return Ok(None),
                }
            }
        };
        SegmentReader::open(self.storage.as_ref(), name, bound)
    }

    fn open_sealed(&self, file: FileLength) -> Result<SegmentReader, ReadError> {
        let storage = self.storage.as_ref();
        let opened = SegmentReader::open(storage, file.file, Bound::Sealed(file.length_bytes))?;
        let segment = opened.ok_or_else(|| ReadError::Missing {
            path: path_of(storage, &file.file),
            needed_by: "a seal".to_owned(),
        })?;
        let there = segment.length_bytes()?;
        if there < file.length_bytes {
            return Err(segment.damaged(
                there,
                Damage::Short {
                    sealed_bytes: file.length_bytes,
                },
            ));
        }
        let mut segment = segment.expecting(self.expected_first(file.file));
        match segment.first_offset()? {
            Some(_) => Ok(segment),
            None => Err(segment.damaged(0, Damage::Header)),
        }
    }

    /// The first offset that a segment must have, as the one before it tells.
    fn expected_first(&self, name: SegmentName) -> Option<u64> {
        match self.previous {
            Some((previous, next_offset)) if previous.successor() == name => Some(next_offset),
            // The first file read after others that were skipped or retired: nothing is known of
            // those.
            _ => (name.number == 1).then_some(1),
        }
    }

    fn step(&self, current: &mut SegmentReader) -> Result<Step, ReadError> {
        if let Some(entry) = current.next_entry()? {
            return Ok(Step::Entry(entry));
        }
        match current.sealed_bytes() {
            None => self.leave_followed(current),
            Some(end) if current.end_byte() == end => Ok(Step::Leave(None)),
            Some(sealed_bytes) => {
                Err(current.damaged(current.cursor(), Damage::Sealed { sealed_bytes }))
            }
        }
    }

    /// Decides what to do where a followed segment has no further whole record.
    fn leave_followed(&self, current: &mut SegmentReader) -> Result<Step, ReadError> {
        let storage = self.storage.as_ref();
        let Some(mut next) = self.open_followed(current.name().successor())? else {
            return Ok(Step::NotYet);
        };
        // The successor is made only when this one is complete, but that may have happened between
        // our two looks: look once more.
        current.reopen(storage)?;
        if let Some(entry) = current.next_entry()? {
            return Ok(Step::Entry(entry));
        }
        match next.first_offset()? {
            None => Ok(Step::NotYet),
            Some(first) if first == current.next_offset() => Ok(Step::Leave(Some(next))),
            Some(_) => Err(current.damaged(current.cursor(), Damage::Record)),
        }
    }

    fn finish(&mut self, segment: &SegmentReader) {
        self.previous = Some((segment.name(), segment.next_offset()));
        self.finished.push(length_of(segment));
        self.stalled = false;
    }

    /// Drops the sealed files that end at or before the position.
    fn skip_sealed(&mut self, after: Position) -> Result<(), ReadError> {
        while let Some(file) = self.sealed.front() {
            let epoch = file.file.term.epoch;
            let next = self
                .sealed
                .get(1)
                .filter(|next| next.file == file.file.successor());
            let done = match next {
                _ if epoch != after.epoch => epoch < after.epoch,
                None => false,
                Some(next) => self
                    .open_sealed(*next)?
                    .first_offset()?
                    .is_some_and(|first| first <= after.offset.saturating_add(1)),
            };
            if !done {
                break;
            }
            self.sealed.pop_front();
        }
        Ok(())
    }

    /// Begins in the followed term at the segment that holds the entry behind the position.
    fn skip_followed(&mut self, after: Position) -> Result<(), ReadError> {
        let Some(term) = self.follow.filter(|term| term.epoch == after.epoch) else {
            return Ok(());
        };
        let mut name = SegmentName { term, number: 1 };
        while let Some(mut segment) = self.open_followed(name)? {
            match segment.first_offset()? {
                Some(first) if first <= after.offset.saturating_add(1) => {
                    self.current = Some(segment);
                    name = name.successor();
                }
                _ => break,
            }
        }
        // Sealed files come first; with any of them left, the term starts from its beginning.
        if !self.sealed.is_empty() {
            self.current = None;
        }
        Ok(())
    }
}

/// What reading at the current place gave.
enum Step {
    Entry(Entry),
    /// The segment is read; go on with this one, or with the next file planned.
    Leave(Option<SegmentReader>),
    NotYet,
}

fn length_of(segment: &SegmentReader) -> FileLength {
    FileLength {
        file: segment.name(),
        length_bytes: segment.end_byte(),
    }
}
