//! Turns batches into blocks of segments: encoding, the change to a new segment, the syncs.
//!
//! Each call is one write and one `fdatasync`; for the first batch of a segment the header goes with
//! the same write and the directory is synced as well. After an error it must not be called again.

use std::sync::Arc;

use super::Role;
use super::queue::Numbered;
use crate::error::{Operation, WriteError};
use crate::format::{
    BATCH_HEADER_BYTES, BatchHeader, FileChecksum, block_end, pad_to_block, put_record,
    put_segment_header, set_batch_header,
};
use crate::mirror::{self, Tap};
use crate::names::{FileLength, SegmentName, TermId};
use crate::storage::{Storage, StoredFile, path_of, write_whole};

/// A buffer that one large batch has blown up is given back down to this.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Output {
    storage: Arc<dyn Storage>,
    term: TermId,
    segment_bytes: u64,
    segment: Option<Segment>,
    segments: u64,
    /// The segment that history can be made to begin with.
    mark: Option<SegmentName>,
    /// The segment that history begins with, as every header from then on says.
    start: Option<SegmentName>,
    buffer: Vec<u8>,
    /// Who wants each batch before it is written.
    tap: Tap,
    /// Where the last batch ended.
    last: Option<(SegmentName, u64)>,
}

/// The segment being written.
#[derive(Debug)]
struct Segment {
    name: SegmentName,
    file: Box<dyn StoredFile>,
    checksum: FileChecksum,
    /// Where the next batch goes, on a block.
    end_byte: u64,
}

/// What one call has made durable.
pub(super) struct Written {
    pub(super) last_offset: u64,
    pub(super) entries: u32,
    pub(super) bytes: u64,
    pub(super) head: FileLength,
    pub(super) start: Option<SegmentName>,
}

impl Output {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        term: TermId,
        segment_bytes: u64,
        tap: Tap,
    ) -> Self {
        Self {
            storage,
            term,
            segment_bytes,
            segment: None,
            segments: 0,
            mark: None,
            start: None,
            buffer: Vec::new(),
            tap,
            last: None,
        }
    }

    /// Writes a batch, which is not empty, and returns when it is durable.
    pub(super) fn write(&mut self, batch: &[Numbered]) -> Result<Written, WriteError> {
        let record_bytes = batch.iter().map(Numbered::record_bytes).sum::<usize>();
        let batch_bytes = block_end((BATCH_HEADER_BYTES + record_bytes) as u64);
        let role = batch.first().map(|record| record.role).unwrap_or_default();
        let fitting = self.segment.take().filter(|segment| {
            role == Role::Plain && segment.end_byte + batch_bytes <= self.segment_bytes
        });
        let is_new = fitting.is_none();
        let mut segment = match fitting {
            Some(segment) => segment,
            None => self.create_segment()?,
        };
        match role {
            Role::Plain => {}
            Role::Mark => self.mark = Some(segment.name),
            // Everything appended since the mark is durable: the batch before this one was synced.
            Role::Start => self.start = self.mark.take().or(self.start),
        }
        let written = self.put_batch(&mut segment, batch, record_bytes)?;
        let path = path_of(self.storage.as_ref(), &segment.name);
        let synced = segment.file.sync_data();
        synced.map_err(|source| WriteError::io(Operation::Sync, path, source))?;
        if is_new {
            self.storage.sync_directory().map_err(|source| {
                let path = self.storage.path().to_owned();
                WriteError::io(Operation::SyncDirectory, path, source)
            })?;
        }
        self.segment = Some(segment);
        Ok(written)
    }

    fn create_segment(&mut self) -> Result<Segment, WriteError> {
        self.segments += 1;
        let name = SegmentName {
            term: self.term,
            number: self.segments,
        };
        let created = self.storage.create_new(&name.to_string());
        let file = created.map_err(|source| {
            let path = path_of(self.storage.as_ref(), &name);
            WriteError::io(Operation::Create, path, source)
        })?;
        Ok(Segment {
            name,
            file,
            checksum: FileChecksum::of(name),
            end_byte: 0,
        })
    }

    /// Encodes a batch, with the segment's header before the first one, and writes it.
    fn put_batch(
        &mut self,
        segment: &mut Segment,
        batch: &[Numbered],
        record_bytes: usize,
    ) -> Result<Written, WriteError> {
        let first_offset = batch.first().map_or(1, |record| record.offset);
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        if segment.end_byte == 0 {
            let start = self.start.map(|start| start.number);
            put_segment_header(&mut self.buffer, segment.name, first_offset, start);
        }
        let batch_start = self.buffer.len();
        self.buffer.resize(batch_start + BATCH_HEADER_BYTES, 0);
        for Numbered {
            offset,
            kind,
            payload,
            role: _,
        } in batch
        {
            let place = (self.term.epoch, *offset);
            put_record(&mut self.buffer, (*kind, payload), place, &segment.checksum);
        }
        // Both counts are bounded by `MAX_BATCH_BYTES`, so neither conversion can fail.
        let header = BatchHeader {
            record_bytes: u32::try_from(record_bytes).unwrap_or(u32::MAX),
            records: u32::try_from(batch.len()).unwrap_or(u32::MAX),
            first_offset,
        };
        let write_at = segment.end_byte;
        let batch_at = write_at + batch_start as u64;
        set_batch_header(
            &mut self.buffer[batch_start..],
            header,
            batch_at,
            &segment.checksum,
        );
        pad_to_block(&mut self.buffer);
        // Before the own write, so that the other side's runs beside it.
        if self.tap.is_open() {
            let piece = mirror::piece(segment.name, write_at, &self.buffer);
            self.tap.put(self.last, piece);
        }
        let path = path_of(self.storage.as_ref(), &segment.name);
        write_whole(segment.file.as_ref(), &path, &self.buffer, write_at)?;
        segment.end_byte += self.buffer.len() as u64;
        self.last = Some((segment.name, segment.end_byte));
        Ok(Written {
            last_offset: batch.last().map_or(0, |record| record.offset),
            entries: header.records,
            bytes: self.buffer.len() as u64,
            head: FileLength {
                file: segment.name,
                length_bytes: header.end_byte(batch_at),
            },
            start: self.start,
        })
    }
}
