//! The active's end: what the standby asked for, then everything that is written, without end.
//!
//! It reads files, and takes from memory only the batch that is being written and the few before it. So
//! a standby that is far behind costs no memory, and one that keeps up gets each batch before it is
//! synced here. It holds no writer: a term that is dropped ends, whoever still reads it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::tap::Tap;
use super::{Listed, Manifest, Piece, Want};
use crate::error::{Operation, ReadError};
use crate::format::block_end;
use crate::names::{FileLength, SegmentName, TermId, seal_name};
use crate::segment::{Bound, SegmentReader};
use crate::storage::{Storage, StoredFile, open_if_there, path_of, read_full};
use crate::writer::WriterView;

/// How much of a file is shipped at once.
const PIECE_BYTES: u64 = 256 * 1024;
/// Files may be retired between the look at the list and at them.
const LOOKS: usize = 8;

/// What is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shipment {
    /// Bytes of a file.
    Piece(Piece),
    /// The standby has, with what was sent, all that was durable here a moment ago.
    Live,
    /// The files before this one were retired and are gone.
    Front(SegmentName),
    /// Nothing, for as long as was to be waited.
    Nothing,
}

/// Ships one term's history and log to one standby.
#[derive(Debug)]
pub struct Shipper {
    storage: Arc<dyn Storage>,
    view: WriterView,
    tap: Tap,
    /// The files of the manifest: they can be read to their end, retired or not.
    opened: BTreeMap<SegmentName, Opened>,
    wants: VecDeque<Want>,
    /// Up to where the own term was shipped; nothing before its first segment.
    place: Option<(SegmentName, u64)>,
    reading: Option<(SegmentName, Box<dyn StoredFile>)>,
    is_live: bool,
    front: Option<SegmentName>,
}

#[derive(Debug)]
struct Opened {
    file: Box<dyn StoredFile>,
    /// Where it ends; nothing if it grows.
    end_byte: Option<u64>,
}

impl Shipper {
    /// Looks what the history is made of now. `view` is of the term's writer.
    pub fn begin(
        storage: Arc<dyn Storage>,
        view: WriterView,
    ) -> Result<(Manifest, Self), ReadError> {
        let term = view.term();
        let seal = read_seal(storage.as_ref(), term)?;
        // Open before anything is looked at, so that nothing is missed.
        let tap = view.tap().clone();
        tap.open();
        let mut shipper = Self {
            storage,
            view,
            tap,
            opened: BTreeMap::new(),
            wants: VecDeque::new(),
            place: None,
            reading: None,
            is_live: false,
            front: None,
        };
        let mut looks = 0;
        let files = loop {
            looks += 1;
            match shipper.open_all(term) {
                Err(ReadError::Missing { .. }) if looks < LOOKS => {}
                listed => break listed?,
            }
        };
        Ok((Manifest { term, seal, files }, shipper))
    }

    fn open_all(&mut self, term: TermId) -> Result<Vec<Listed>, ReadError> {
        self.opened.clear();
        let files = self.view.files();
        let mut listed = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            let missing = || ReadError::Missing {
                path: path_of(self.storage.as_ref(), &file.file),
                needed_by: "the journal's list of its files".to_owned(),
            };
            let storage = self.storage.as_ref();
            let mut reader =
                SegmentReader::open(storage, file.file, Bound::Open)?.ok_or_else(missing)?;
            let first_offset = reader.first_offset()?.ok_or_else(missing)?;
            let opened = open_if_there(storage, &file.file.to_string())?.ok_or_else(missing)?;
            let end_byte = if file.file.term != term {
                Some(file.length_bytes)
            } else if index + 1 < files.len() {
                Some(block_end(file.length_bytes))
            } else {
                None
            };
            listed.push(Listed {
                file: *file,
                first_offset,
            });
            self.opened.insert(
                file.file,
                Opened {
                    file: opened,
                    end_byte,
                },
            );
        }
        Ok(listed)
    }

    /// What the standby asks for, in the order of the manifest. False if it asks for what there is not.
    #[must_use]
    pub fn want(&mut self, wants: Vec<Want>) -> bool {
        let is_there = |want: &Want| {
            let opened = self.opened.get(&want.file);
            opened.is_some_and(|opened| opened.end_byte.is_none_or(|end| want.from_byte <= end))
        };
        let are_there = wants.iter().all(is_there);
        // Of the file that grows the standby always asks for the rest: there its log goes on.
        let growing = self.opened.iter().find(|(_, it)| it.end_byte.is_none());
        let goes_on = growing.is_none_or(|(name, _)| wants.iter().any(|it| it.file == *name));
        self.wants = wants.into();
        are_there && goes_on
    }

    /// The next thing to send; waits for one at most so long.
    pub fn next(&mut self, limit: Duration) -> Result<Shipment, ReadError> {
        if let Some(piece) = self.wanted()? {
            return Ok(Shipment::Piece(piece));
        }
        let seen = self.tap.changes();
        let ready = self.ready()?;
        if ready != Shipment::Nothing {
            return Ok(ready);
        }
        self.tap.wait(seen, limit);
        self.ready()
    }

    /// What is asked for, as long as there is any.
    fn wanted(&mut self) -> Result<Option<Piece>, ReadError> {
        while let Some(want) = self.wants.front().copied() {
            let Some(opened) = self.opened.get(&want.file) else {
                self.wants.pop_front();
                continue;
            };
            let Some(end) = opened.end_byte else {
                self.place = Some((want.file, want.from_byte));
                self.wants.pop_front();
                continue;
            };
            if want.from_byte >= end {
                self.opened.remove(&want.file);
                self.wants.pop_front();
                continue;
            }
            let bytes = (end - want.from_byte).min(PIECE_BYTES);
            let bytes = self.read(opened.file.as_ref(), want.file, want.from_byte, bytes)?;
            if let Some(front) = self.wants.front_mut() {
                front.from_byte += bytes.len() as u64;
            }
            return Ok(Some(Piece {
                file: want.file,
                at_byte: want.from_byte,
                bytes,
            }));
        }
        Ok(None)
    }

    /// What of the own term can be sent now.
    fn ready(&mut self) -> Result<Shipment, ReadError> {
        if self.is_live {
            if let Some(piece) = self.tap.following(self.place) {
                self.place = Some((piece.file, piece.at_byte + piece.bytes.len() as u64));
                return Ok(Shipment::Piece(piece));
            }
            if let Some(front) = self.view.front().filter(|front| Some(*front) != self.front) {
                self.front = Some(front);
                return Ok(Shipment::Front(front));
            }
        }
        if let Some(piece) = self.durable()? {
            return Ok(Shipment::Piece(piece));
        }
        if !self.is_live {
            self.is_live = true;
            self.opened.clear();
            return Ok(Shipment::Live);
        }
        Ok(Shipment::Nothing)
    }

    /// What is durable in the own term's files and was not sent.
    fn durable(&mut self) -> Result<Option<Piece>, ReadError> {
        let files = self.view.files();
        let own = files.iter().filter(|it| it.file.term == self.view.term());
        let own: Vec<FileLength> = own.copied().collect();
        let (mut name, mut at_byte) = match (self.place, own.first()) {
            (Some(place), _) => place,
            (None, Some(first)) => (first.file, 0),
            (None, None) => return Ok(None),
        };
        let end_of = |name| {
            let file = own.iter().find(|it| it.file == name);
            file.map(|it| block_end(it.length_bytes))
        };
        let is_at_end = end_of(name).is_none_or(|end| at_byte >= end);
        if is_at_end {
            let next = name.successor();
            if end_of(next).is_none() {
                return Ok(None);
            }
            (name, at_byte) = (next, 0);
        }
        let Some(end) = end_of(name).filter(|end| *end > at_byte) else {
            return Ok(None);
        };
        let reading = self.reading.take().filter(|(open, _)| *open == name);
        let file = if let Some((_, file)) = reading {
            file
        } else {
            let opened = open_if_there(self.storage.as_ref(), &name.to_string())?;
            opened.ok_or_else(|| ReadError::Missing {
                path: path_of(self.storage.as_ref(), &name),
                needed_by: "a standby that has fallen behind".to_owned(),
            })?
        };
        let bytes = self.read(
            file.as_ref(),
            name,
            at_byte,
            (end - at_byte).min(PIECE_BYTES),
        )?;
        self.reading = Some((name, file));
        self.place = Some((name, at_byte + bytes.len() as u64));
        Ok(Some(Piece {
            file: name,
            at_byte,
            bytes,
        }))
    }

    fn read(
        &self,
        file: &dyn StoredFile,
        name: SegmentName,
        at_byte: u64,
        bytes: u64,
    ) -> Result<Bytes, ReadError> {
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or_default()];
        let read = read_full(file, &mut buffer, at_byte).and_then(|read| {
            if read == buffer.len() {
                Ok(())
            } else {
                Err(std::io::ErrorKind::UnexpectedEof.into())
            }
        });
        read.map_err(|source| ReadError::Io {
            operation: Operation::Read,
            path: path_of(self.storage.as_ref(), &name),
            source,
        })?;
        Ok(buffer.into())
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.tap.close();
    }
}

fn read_seal(storage: &dyn Storage, term: TermId) -> Result<Vec<u8>, ReadError> {
    let name = seal_name(term.epoch);
    let path = path_of(storage, &name);
    let file = open_if_there(storage, &name)?.ok_or_else(|| ReadError::Missing {
        path: path.clone(),
        needed_by: format!("term {term}"),
    })?;
    let failed = |source| ReadError::Io {
        operation: Operation::Read,
        path: path.clone(),
        source,
    };
    let length = file.length_bytes().map_err(failed)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    let read = read_full(file.as_ref(), &mut bytes, 0).map_err(failed)?;
    bytes.truncate(read);
    Ok(bytes)
}
