//! Reads one segment from front to back: whole records only, with bounded memory.
//!
//! It says where the whole part ends and what lies behind; whether that end is fine, a torn tail or
//! damage is judged by those who know the segment's neighbours (`reader`, `history`).

mod resume;

use std::path::PathBuf;

use bytes::Bytes;

use crate::error::{Damage, Operation, ReadError};
use crate::format::{
    self, BATCH_HEADER_BYTES, BLOCK_BYTES, BatchHeader, FORMAT, FileChecksum, RECORD_HEADER_BYTES,
    SegmentHeader, block_end,
};
use crate::names::{Position, SegmentName};
use crate::reader::Entry;
use crate::storage::{Storage, StoredFile, open_if_there, path_of, read_full};

/// How much is read at once; a larger record is read whole, in a buffer of its own size.
const CHUNK_BYTES: usize = 256 * 1024;

/// What lies behind the whole part of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing, or zeros.
    Clean,
    /// The remains of the last write.
    Torn { at_byte: u64, bytes: u64 },
    /// A whole batch that was written later, so the part before it had been synced.
    LaterBatch,
}

/// Bytes beyond this are never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// As far as the file goes, also later.
    Open,
    /// As far as the file went when recovery looked; what comes later is a late write.
    Seen(u64),
    /// The sealed length, which must be the end of a record.
    Sealed(u64),
}

impl Bound {
    fn bytes(self) -> Option<u64> {
        match self {
            Self::Open => None,
            Self::Seen(bytes) | Self::Sealed(bytes) => Some(bytes),
        }
    }
}

#[derive(Debug)]
pub(crate) struct SegmentReader {
    name: SegmentName,
    path: PathBuf,
    file: Box<dyn StoredFile>,
    checksum: FileChecksum,
    bound: Bound,
    chunk: Chunk,
    first_offset: Option<u64>,
    /// What the first offset must be, if its neighbours tell.
    expected_first: Option<u64>,
    batch: Option<Batch>,
    /// Where the next header, batch or record must begin.
    cursor: u64,
    /// End of the last whole record; 0 before the first.
    end_byte: u64,
    next_offset: u64,
}

/// The batch that the cursor is in.
#[derive(Clone, Copy, Debug)]
struct Batch {
    end_byte: u64,
    records_left: u32,
}

/// The part of the file last read.
#[derive(Debug, Default)]
struct Chunk {
    at_byte: u64,
    bytes: Vec<u8>,
}

impl SegmentReader {
    /// Opens a segment; nothing if there is none of this name.
    pub(crate) fn open(
        storage: &dyn Storage,
        name: SegmentName,
        bound: Bound,
    ) -> Result<Option<Self>, ReadError> {
        let Some(file) = open_if_there(storage, &name.to_string())? else {
            return Ok(None);
        };
        Ok(Some(Self {
            name,
            path: path_of(storage, &name),
            file,
            checksum: FileChecksum::of(name),
            bound,
            chunk: Chunk::default(),
            first_offset: None,
            expected_first: None,
            batch: None,
            cursor: 0,
            end_byte: 0,
            next_offset: 0,
        }))
    }

    /// Opens the file anew, at the same place, to see what was written since.
    pub(crate) fn reopen(&mut self, storage: &dyn Storage) -> Result<(), ReadError> {
        let file = open_if_there(storage, &self.name.to_string())?;
        self.file = file.ok_or_else(|| ReadError::Missing {
            path: self.path.clone(),
            needed_by: "its reader".to_owned(),
        })?;
        self.chunk = Chunk::default();
        Ok(())
    }

    /// Reads no further than this from now on.
    pub(crate) fn bind(&mut self, seen_bytes: u64) {
        self.bound = Bound::Seen(seen_bytes);
    }

    /// Demands that the segment begins with this offset.
    pub(crate) fn expecting(mut self, first_offset: Option<u64>) -> Self {
        self.expected_first = first_offset;
        self
    }

    pub(crate) fn name(&self) -> SegmentName {
        self.name
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Where a seal says that the last record ends.
    pub(crate) fn sealed_bytes(&self) -> Option<u64> {
        match self.bound {
            Bound::Sealed(bytes) => Some(bytes),
            Bound::Open | Bound::Seen(_) => None,
        }
    }

    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(crate) fn end_byte(&self) -> u64 {
        self.end_byte
    }

    /// Offset that the next record must have; meaningful once the header is read.
    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    pub(crate) fn damaged(&self, at_byte: u64, damage: Damage) -> ReadError {
        ReadError::Damaged {
            path: self.path(),
            at_byte,
            damage,
        }
    }

    /// The file's length, or its bound if that is smaller.
    pub(crate) fn length_bytes(&self) -> Result<u64, ReadError> {
        let length = self
            .file
            .length_bytes()
            .map_err(|source| self.failed(source))?;
        Ok(self.bound.bytes().map_or(length, |limit| limit.min(length)))
    }

    /// The first offset that the header tells; nothing if the header is not whole (yet).
    pub(crate) fn first_offset(&mut self) -> Result<Option<u64>, ReadError> {
        if self.first_offset.is_some() {
            return Ok(self.first_offset);
        }
        let header = format::segment_header(self.fetch(0, BLOCK_BYTES)?);
        match header {
            None => Ok(None),
            Some(SegmentHeader::Unsupported { format }) => Err(ReadError::Unsupported {
                path: self.path(),
                found: format,
                supported: FORMAT,
            }),
            Some(SegmentHeader::Known { name, .. }) if name != self.name => {
                Err(self.damaged(0, Damage::Identity))
            }
            Some(SegmentHeader::Known {
                start: Some(start), ..
            }) if start > self.name.number => Err(self.damaged(0, Damage::Start(start))),
            Some(SegmentHeader::Known { first_offset, .. }) => {
                let expected = self.expected_first.unwrap_or(first_offset);
                if expected != first_offset {
                    let damage = Damage::Order {
                        expected,
                        found: first_offset,
                    };
                    return Err(self.damaged(0, damage));
                }
                self.first_offset = Some(first_offset);
                self.next_offset = first_offset;
                self.cursor = BLOCK_BYTES;
                Ok(self.first_offset)
            }
        }
    }

    /// The segment of its term that its header says history begins with, read by itself.
    ///
    /// Nothing if the header says no such thing or is not one; what is wrong with it is told by those
    /// who read the segment.
    pub(crate) fn start(&self) -> Result<Option<u64>, ReadError> {
        let mut bytes = [0; format::HEADER_BYTES];
        let read = read_full(self.file.as_ref(), &mut bytes, 0);
        let read = read.map_err(|source| self.failed(source))?;
        Ok(match format::segment_header(&bytes[..read]) {
            Some(SegmentHeader::Known { name, start, .. }) if name == self.name => {
                start.filter(|start| *start <= name.number)
            }
            Some(SegmentHeader::Known { .. } | SegmentHeader::Unsupported { .. }) | None => None,
        })
    }

    /// The next whole record; nothing if there is none at the cursor, which then stays.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        if self.first_offset()?.is_none() {
            return Ok(None);
        }
        let batch = match self.batch {
            Some(batch) => batch,
            None => match self.begin_batch()? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let Some((entry, record_bytes)) = self.record(batch)? else {
            return Ok(None);
        };
        self.step_over(batch, record_bytes)?;
        Ok(Some(entry))
    }

    /// Looks behind the whole part, to the end of the file.
    pub(crate) fn rest(&self) -> Result<Rest, ReadError> {
        let length = self.length_bytes()?;
        if self.later_batch(length)? {
            return Ok(Rest::LaterBatch);
        }
        // Inside a batch whose header is whole something was meant to be here, zeros or not.
        if self.batch.is_some() || self.first_nonzero(length)?.is_some() {
            let bytes = length.saturating_sub(self.cursor);
            return Ok(Rest::Torn {
                at_byte: self.cursor,
                bytes,
            });
        }
        Ok(Rest::Clean)
    }

    fn begin_batch(&mut self) -> Result<Option<Batch>, ReadError> {
        let Some(header) = self.batch_header(self.cursor)? else {
            return Ok(None);
        };
        if header.first_offset != self.next_offset {
            let damage = Damage::Order {
                expected: self.next_offset,
                found: header.first_offset,
            };
            return Err(self.damaged(self.cursor, damage));
        }
        let batch = Batch {
            end_byte: header.end_byte(self.cursor),
            records_left: header.records,
        };
        self.batch = Some(batch);
        self.cursor += BATCH_HEADER_BYTES as u64;
        Ok(self.batch)
    }

    fn batch_header(&mut self, at_byte: u64) -> Result<Option<BatchHeader>, ReadError> {
        let checksum = self.checksum.clone();
        let bytes = self.fetch(at_byte, BATCH_HEADER_BYTES as u64)?;
        Ok(format::batch_header(bytes, at_byte, &checksum))
    }

    /// The record at the cursor and its length, if it is whole.
    fn record(&mut self, batch: Batch) -> Result<Option<(Entry, u64)>, ReadError> {
        let at_byte = self.cursor;
        let front = self.fetch(at_byte, RECORD_HEADER_BYTES as u64)?;
        let Some(header) = format::record_header(front) else {
            return Ok(None);
        };
        let record_bytes = RECORD_HEADER_BYTES as u64 + u64::from(header.payload_bytes);
        if at_byte + record_bytes > batch.end_byte {
            return Ok(None);
        }
        let checksum = self.checksum.clone();
        let record = self.fetch(at_byte, record_bytes)?;
        if (record.len() as u64) < record_bytes {
            return Ok(None);
        }
        // Copied, so that one live payload does not keep a whole chunk in memory.
        let payload = format::record_payload(record, &checksum).map(Bytes::copy_from_slice);
        let Some(payload) = payload else {
            return Ok(None);
        };
        if header.flags != 0 {
            return Err(self.damaged(at_byte, Damage::Flags(header.flags)));
        }
        if header.epoch != self.name.term.epoch {
            return Err(self.damaged(at_byte, Damage::Identity));
        }
        if header.offset != self.next_offset {
            let damage = Damage::Order {
                expected: self.next_offset,
                found: header.offset,
            };
            return Err(self.damaged(at_byte, damage));
        }
        let position = Position {
            epoch: header.epoch,
            offset: header.offset,
        };
        Ok(Some((
            Entry {
                position,
                kind: header.kind,
                payload,
            },
            record_bytes,
        )))
    }

    fn step_over(&mut self, batch: Batch, record_bytes: u64) -> Result<(), ReadError> {
        self.cursor += record_bytes;
        self.end_byte = self.cursor;
        self.next_offset += 1;
        let records_left = batch.records_left - 1;
        self.batch = Some(Batch {
            records_left,
            ..batch
        });
        if records_left == 0 {
            if self.cursor != batch.end_byte {
                return Err(self.damaged(self.cursor, Damage::BatchLength));
            }
            self.batch = None;
            self.cursor = block_end(self.cursor);
        }
        Ok(())
    }

    /// Up to this many bytes from this place; fewer only where the file or its bound ends.
    fn fetch(&mut self, at_byte: u64, wanted_bytes: u64) -> Result<&[u8], ReadError> {
        if !self.chunk.holds(at_byte, wanted_bytes) {
            self.load(at_byte, wanted_bytes)?;
        }
        Ok(self.chunk.from(at_byte, wanted_bytes))
    }

    fn load(&mut self, at_byte: u64, wanted_bytes: u64) -> Result<(), ReadError> {
        let mut load_bytes = wanted_bytes.max(CHUNK_BYTES as u64);
        if wanted_bytes > CHUNK_BYTES as u64 {
            // Only as much memory as there is file: the length comes from a record not yet checked.
            load_bytes = load_bytes.min(self.length_bytes()?.saturating_sub(at_byte));
        }
        if let Some(limit) = self.bound.bytes() {
            load_bytes = load_bytes.min(limit.saturating_sub(at_byte));
        }
        let mut bytes = std::mem::take(&mut self.chunk.bytes);
        bytes.resize(usize::try_from(load_bytes).unwrap_or(CHUNK_BYTES), 0);
        bytes.shrink_to(CHUNK_BYTES);
        let read = read_full(self.file.as_ref(), &mut bytes, at_byte);
        bytes.truncate(read.map_err(|source| self.failed(source))?);
        self.chunk = Chunk { at_byte, bytes };
        Ok(())
    }

    /// Whether a whole batch lies behind the one write that may have been torn.
    fn later_batch(&self, length: u64) -> Result<bool, ReadError> {
        let from = match self.batch {
            Some(batch) => block_end(batch.end_byte),
            // The segment's header and its first batch are one write.
            None if self.first_offset.is_none() => self.extent_of_batch(BLOCK_BYTES)?,
            None => self.cursor + BLOCK_BYTES,
        };
        let found = self.scan(from, length, |at_byte, bytes| {
            bytes
                .chunks(block_bytes())
                .zip((at_byte..).step_by(block_bytes()))
                .any(|(block, at)| format::batch_header(block, at, &self.checksum).is_some())
                .then_some(at_byte)
        })?;
        Ok(found.is_some())
    }

    /// Where the first write of a segment ends at least: behind the batch at this byte, if its
    /// header is whole, else behind that block.
    fn extent_of_batch(&self, at_byte: u64) -> Result<u64, ReadError> {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        let read = read_full(self.file.as_ref(), &mut bytes, at_byte);
        let read = read.map_err(|source| self.failed(source))?;
        let header = format::batch_header(&bytes[..read], at_byte, &self.checksum);
        Ok(header.map_or(at_byte + BLOCK_BYTES, |header| {
            block_end(header.end_byte(at_byte))
        }))
    }

    fn first_nonzero(&self, length: u64) -> Result<Option<u64>, ReadError> {
        self.scan(self.cursor, length, |at_byte, bytes| {
            bytes
                .iter()
                .zip(at_byte..)
                .find(|(byte, _)| **byte != 0)
                .map(|(_, at)| at)
        })
    }

    /// Reads a stretch of the file chunk by chunk until `find` finds something.
    fn scan(
        &self,
        from: u64,
        to: u64,
        find: impl Fn(u64, &[u8]) -> Option<u64>,
    ) -> Result<Option<u64>, ReadError> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut at_byte = from;
        while at_byte < to {
            let wanted = usize::try_from(to - at_byte)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            let read = read_full(self.file.as_ref(), &mut buffer[..wanted], at_byte);
            let read = read.map_err(|source| self.failed(source))?;
            if let Some(found) = find(at_byte, &buffer[..read]) {
                return Ok(Some(found));
            }
            if read < wanted {
                break;
            }
            at_byte += read as u64;
        }
        Ok(None)
    }

    fn failed(&self, source: std::io::Error) -> ReadError {
        ReadError::Io {
            operation: Operation::Read,
            path: self.path(),
            source,
        }
    }
}

impl Chunk {
    fn holds(&self, at_byte: u64, wanted_bytes: u64) -> bool {
        at_byte >= self.at_byte && at_byte + wanted_bytes <= self.at_byte + self.bytes.len() as u64
    }

    fn from(&self, at_byte: u64, wanted_bytes: u64) -> &[u8] {
        let place = |byte: u64| {
            let behind_start = byte.saturating_sub(self.at_byte);
            usize::try_from(behind_start)
                .unwrap_or(usize::MAX)
                .min(self.bytes.len())
        };
        &self.bytes[place(at_byte)..place(at_byte + wanted_bytes)]
    }
}

/// [`BLOCK_BYTES`] as a length in memory.
fn block_bytes() -> usize {
    usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX)
}
