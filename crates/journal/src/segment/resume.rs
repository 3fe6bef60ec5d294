//! Going on behind damage, for those who save what is left.

use crate::error::ReadError;
use crate::format::{self, BATCH_HEADER_BYTES, BLOCK_BYTES, RECORD_HEADER_BYTES, block_end};

use super::{Batch, SegmentReader, block_bytes};

impl SegmentReader {
    /// Moves the cursor behind what is not whole, to the next record of this batch or the next batch whose
    /// checksum holds. Where that is; nothing if there is none.
    pub(crate) fn resume(&mut self) -> Result<Option<u64>, ReadError> {
        if let Some(batch) = self.batch
            && self.resume_in_batch(batch)?
        {
            return Ok(Some(self.cursor));
        }
        let mut from = match self.batch {
            // A header that is whole but out of order is tried again, as the beginning of something new.
            None if self.first_offset.is_some() => self.cursor,
            None => BLOCK_BYTES,
            Some(_) => block_end(self.cursor + 1),
        };
        let length = self.length_bytes()?;
        while let Some(at_byte) = self.batch_from(from, length)? {
            let Some(header) = self.batch_header(at_byte)? else {
                return Ok(None);
            };
            if self.first_offset.is_none() || header.first_offset >= self.next_offset {
                self.first_offset.get_or_insert(header.first_offset);
                self.next_offset = header.first_offset;
                self.batch = Some(Batch {
                    end_byte: header.end_byte(at_byte),
                    records_left: header.records,
                });
                self.cursor = at_byte + BATCH_HEADER_BYTES as u64;
                return Ok(Some(at_byte));
            }
            from = at_byte + BLOCK_BYTES;
        }
        Ok(None)
    }

    /// Steps from record to record by their lengths, as far as these can be believed, to one that is whole.
    fn resume_in_batch(&mut self, batch: Batch) -> Result<bool, ReadError> {
        let mut at_byte = self.cursor;
        for passed in 1..batch.records_left {
            let front = self.fetch(at_byte, RECORD_HEADER_BYTES as u64)?;
            let Some(header) = format::record_header(front) else {
                return Ok(false);
            };
            at_byte += RECORD_HEADER_BYTES as u64 + u64::from(header.payload_bytes);
            if at_byte >= batch.end_byte {
                return Ok(false);
            }
            let moved = Batch {
                records_left: batch.records_left - passed,
                ..batch
            };
            if self.is_whole(at_byte, moved, self.next_offset + u64::from(passed))? {
                self.cursor = at_byte;
                self.next_offset += u64::from(passed);
                self.batch = Some(moved);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the record at this byte is whole and has this offset.
    fn is_whole(&mut self, at_byte: u64, batch: Batch, offset: u64) -> Result<bool, ReadError> {
        let before = (self.cursor, self.next_offset);
        (self.cursor, self.next_offset) = (at_byte, offset);
        let record = self.record(batch);
        (self.cursor, self.next_offset) = before;
        match record {
            Ok(found) => Ok(found.is_some()),
            Err(ReadError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The first block from here on that begins with the header of a batch.
    fn batch_from(&self, from: u64, length: u64) -> Result<Option<u64>, ReadError> {
        self.scan(from, length, |at_byte, bytes| {
            bytes
                .chunks(block_bytes())
                .zip((at_byte..).step_by(block_bytes()))
                .find(|(block, at)| format::batch_header(block, *at, &self.checksum).is_some())
                .map(|(_, at)| at)
        })
    }
}
