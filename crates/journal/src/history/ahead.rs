//! Reading a history ahead, while its last term still grows, so that a takeover reads only the tail.
//!
//! It is the same reader over the same files. Until [`ReadAhead::finish`] it takes no entry that the
//! term's writer has not reported durable: an entry that is only written may be lost with its
//! machine, and must then be in nobody's history. `finish` does what [`super::replay`] does, from
//! where the reader stands; where that cannot be (another term has sealed, the reader has fallen
//! behind files that are retired) it says so, and the history is read anew.

use std::sync::Arc;

use super::{History, Listing, OwnSegments, make_durable, next, torn_tail};
use crate::error::ReadError;
use crate::names::TermId;
use crate::reader::{Entry, Reader};
use crate::storage::Storage;

/// A history that is read while its last term still grows.
#[derive(Debug)]
pub struct ReadAhead {
    storage: Arc<dyn Storage>,
    term: TermId,
    reader: Reader,
    /// It took an entry that was not reported durable, and is of no use any more.
    is_spoiled: bool,
}

impl ReadAhead {
    /// Begins with the newest seal; nothing if there is none, or if it is not this term's.
    pub fn begin(storage: &Arc<dyn Storage>, term: TermId) -> Result<Option<Self>, ReadError> {
        let listing = Listing::take(storage.as_ref())?;
        let Some(seal) = listing.newest_seal(storage.as_ref())? else {
            return Ok(None);
        };
        if seal.term != term {
            return Ok(None);
        }
        let own = OwnSegments::look(storage.as_ref(), &listing, term)?;
        let sealed = if own.is_start { Vec::new() } else { seal.files };
        Ok(Some(Self {
            storage: Arc::clone(storage),
            term,
            reader: Reader::follow(Arc::clone(storage), sealed, own.first)?,
            is_spoiled: false,
        }))
    }

    /// The term whose growing segments it reads.
    pub fn term(&self) -> TermId {
        self.term
    }

    /// Reads on, as far as the term's entry `durable`, at most so many entries; returns how many were
    /// handed to `visit`. Fewer than `most` means that there is nothing more now.
    ///
    /// After an error it is of no use any more.
    pub fn advance(
        &mut self,
        durable: u64,
        most: usize,
        mut visit: impl FnMut(Entry),
    ) -> Result<usize, ReadError> {
        let mut taken = 0;
        while taken < most && !self.is_spoiled {
            let position = self.reader.position();
            let is_at_end = durable == 0
                || position.is_some_and(|at| at.epoch == self.term.epoch && at.offset >= durable);
            if is_at_end {
                break;
            }
            let Some(entry) = self.reader.next_entry()? else {
                break;
            };
            // Where the term's first segment that counts begins behind what is reported.
            self.is_spoiled =
                entry.position.epoch == self.term.epoch && entry.position.offset > durable;
            taken += 1;
            visit(entry);
        }
        Ok(taken)
    }

    /// Reads the rest, as [`super::replay`] would. Call it only after the fence mark of the term is set
    /// and durable. Nothing if what was read ahead is of no use.
    pub fn finish(mut self, mut visit: impl FnMut(Entry)) -> Result<Option<History>, ReadError> {
        let storage = Arc::clone(&self.storage);
        let listing = Listing::take(storage.as_ref())?;
        let Some(seal) = listing.newest_seal(storage.as_ref())? else {
            return Ok(None);
        };
        if seal.term != self.term || self.is_spoiled {
            return Ok(None);
        }
        let own = OwnSegments::look(storage.as_ref(), &listing, self.term)?;
        if !self
            .reader
            .bind(own.first.number, own.is_start, &own.seen_bytes)
        {
            return Ok(None);
        }
        while let Some(entry) = next(&mut self.reader, &seal)? {
            visit(entry);
        }
        let torn = torn_tail(storage.as_ref(), &self.reader, &own)?;
        let mut files = self.reader.files();
        if own.is_start {
            files.retain(|file| file.file.term == self.term && file.file >= own.first);
        }
        if let Some(last) = files.last() {
            make_durable(storage.as_ref(), last.file)?;
        }
        Ok(Some(History {
            files,
            sealed_term: Some(self.term),
            end: self.reader.position(),
            torn,
            retired: listing.retired(&seal, &own),
            leftovers: listing.leftovers(&seal),
        }))
    }
}
