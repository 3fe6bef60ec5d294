//! Checks the bytes of one segment as they come in, in pieces of any size, with bounded memory.

use bytes::Buf;
use crc32fast::Hasher;

use crate::error::Damage;
use crate::format::{
    self, BATCH_HEADER_BYTES, BLOCK_BYTES, FileChecksum, RECORD_HEADER_BYTES, SegmentHeader,
    block_end,
};
use crate::names::{Position, SegmentName};

/// A segment's first block.
const HEADER_BLOCK_BYTES: usize = 4096;
const _: () = assert!(HEADER_BLOCK_BYTES as u64 == BLOCK_BYTES);

/// Reads along in one segment. Everything fed to it was right so far.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    name: SegmentName,
    checksum: FileChecksum,
    at_byte: u64,
    stage: Stage,
    /// The part of a header that has come.
    held: Vec<u8>,
    first_offset: Option<u64>,
    next_offset: u64,
    start: Option<u64>,
}

#[derive(Clone, Debug)]
enum Stage {
    Header,
    BatchHeader,
    RecordHeader(Batch),
    Payload {
        batch: Batch,
        left: u64,
        hasher: Hasher,
        checksum: u32,
    },
    Padding {
        until: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    end_byte: u64,
    records_left: u32,
}

impl Verifier {
    /// At the beginning of a segment.
    pub(super) fn new(name: SegmentName) -> Self {
        Self {
            name,
            checksum: FileChecksum::of(name),
            at_byte: 0,
            stage: Stage::Header,
            held: Vec::new(),
            first_offset: None,
            next_offset: 0,
            start: None,
        }
    }

    /// The segment.
    pub(super) fn name(&self) -> SegmentName {
        self.name
    }

    /// Where the next byte belongs.
    pub(super) fn at_byte(&self) -> u64 {
        self.at_byte
    }

    /// The first offset, once the header is read.
    pub(super) fn first_offset(&self) -> Option<u64> {
        self.first_offset
    }

    /// The segment of its term that its header says history begins with.
    pub(super) fn start(&self) -> Option<SegmentName> {
        self.start.map(|number| SegmentName {
            number,
            ..self.name
        })
    }

    /// The last whole record; nothing before the first one of the segment.
    pub(super) fn end(&self) -> Option<Position> {
        let first = self.first_offset?;
        (self.next_offset > first).then(|| Position {
            epoch: self.name.term.epoch,
            offset: self.next_offset - 1,
        })
    }

    /// Whether a batch has just ended, padding included.
    pub(super) fn is_at_batch_end(&self) -> bool {
        matches!(self.stage, Stage::BatchHeader) && self.held.is_empty() && self.end().is_some()
    }

    /// Whether a record has just ended.
    pub(super) fn is_at_record_end(&self) -> bool {
        let between = match self.stage {
            Stage::BatchHeader | Stage::RecordHeader(_) => self.held.is_empty(),
            Stage::Padding { .. } => true,
            Stage::Header | Stage::Payload { .. } => false,
        };
        between && self.end().is_some()
    }

    /// Takes bytes up to the end of the next batch and not beyond; answers how many.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, (u64, Damage)> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let ended = self
                .step(&mut rest)
                .map_err(|damage| (self.at_byte, damage))?;
            if ended {
                break;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// One stage further, or as far as the bytes go; true at the end of a batch.
    fn step(&mut self, rest: &mut &[u8]) -> Result<bool, Damage> {
        match self.stage.clone() {
            Stage::Header => {
                if self.hold(rest, HEADER_BLOCK_BYTES) {
                    self.take_header()?;
                }
                Ok(false)
            }
            Stage::BatchHeader => {
                let began = self.at_byte - self.held.len() as u64;
                if self.hold(rest, BATCH_HEADER_BYTES) {
                    self.take_batch_header(began)?;
                }
                Ok(false)
            }
            Stage::RecordHeader(batch) => {
                if self.hold(rest, RECORD_HEADER_BYTES) {
                    self.take_record_header(batch)?;
                }
                Ok(false)
            }
            Stage::Payload {
                batch,
                left,
                mut hasher,
                checksum,
            } => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                hasher.update(&rest[..taken]);
                self.skip(rest, taken);
                let left = left - taken as u64;
                self.stage = Stage::Payload {
                    batch,
                    left,
                    hasher,
                    checksum,
                };
                self.end_record()?;
                Ok(self.ends_batch())
            }
            Stage::Padding { until } => {
                let left = usize::try_from(until - self.at_byte).unwrap_or(usize::MAX);
                let taken = left.min(rest.len());
                if rest[..taken].iter().any(|byte| *byte != 0) {
                    return Err(Damage::Record);
                }
                self.skip(rest, taken);
                Ok(self.ends_batch())
            }
        }
    }

    /// Collects a header; true once it is whole.
    fn hold(&mut self, rest: &mut &[u8], wanted: usize) -> bool {
        let taken = (wanted - self.held.len()).min(rest.len());
        self.held.extend_from_slice(&rest[..taken]);
        self.skip(rest, taken);
        self.held.len() == wanted
    }

    fn skip(&mut self, rest: &mut &[u8], bytes: usize) {
        *rest = &rest[bytes..];
        self.at_byte += bytes as u64;
    }

    fn take_header(&mut self) -> Result<(), Damage> {
        match format::segment_header(&self.held) {
            Some(SegmentHeader::Known {
                name,
                first_offset,
                start,
            }) if name == self.name => {
                if let Some(start) = start.filter(|start| *start > name.number) {
                    return Err(Damage::Start(start));
                }
                self.first_offset = Some(first_offset);
                self.next_offset = first_offset;
                self.start = start;
                self.held.clear();
                self.stage = Stage::BatchHeader;
                Ok(())
            }
            Some(SegmentHeader::Known { .. }) => Err(Damage::Identity),
            Some(SegmentHeader::Unsupported { .. }) | None => Err(Damage::Header),
        }
    }

    fn take_batch_header(&mut self, began: u64) -> Result<(), Damage> {
        let Some(header) = format::batch_header(&self.held, began, &self.checksum) else {
            return Err(Damage::Record);
        };
        if header.first_offset != self.next_offset {
            return Err(Damage::Order {
                expected: self.next_offset,
                found: header.first_offset,
            });
        }
        self.held.clear();
        self.stage = Stage::RecordHeader(Batch {
            end_byte: header.end_byte(began),
            records_left: header.records,
        });
        Ok(())
    }

    fn take_record_header(&mut self, batch: Batch) -> Result<(), Damage> {
        let Some(header) = format::record_header(&self.held) else {
            return Err(Damage::Record);
        };
        let left = u64::from(header.payload_bytes);
        if self.at_byte + left > batch.end_byte || header.epoch != self.name.term.epoch {
            return Err(Damage::Record);
        }
        if header.flags != 0 {
            return Err(Damage::Flags(header.flags));
        }
        if header.offset != self.next_offset {
            return Err(Damage::Order {
                expected: self.next_offset,
                found: header.offset,
            });
        }
        let checksum = self
            .held
            .get(4..8)
            .map_or(0, |mut field| field.get_u32_le());
        let mut hasher = self.checksum.begin();
        hasher.update(&self.held[..4]);
        hasher.update(&self.held[8..]);
        self.held.clear();
        self.stage = Stage::Payload {
            batch,
            left,
            hasher,
            checksum,
        };
        self.end_record()
    }

    /// Ends the record if all of its payload has come.
    fn end_record(&mut self) -> Result<(), Damage> {
        let Stage::Payload {
            batch,
            left: 0,
            hasher,
            checksum,
        } = &self.stage
        else {
            return Ok(());
        };
        let (mut batch, whole) = (*batch, hasher.clone().finalize() == *checksum);
        if !whole {
            return Err(Damage::Record);
        }
        self.next_offset += 1;
        batch.records_left -= 1;
        self.stage = if batch.records_left > 0 {
            Stage::RecordHeader(batch)
        } else if self.at_byte == batch.end_byte {
            Stage::Padding {
                until: block_end(self.at_byte),
            }
        } else {
            return Err(Damage::BatchLength);
        };
        Ok(())
    }

    /// Goes on to the next batch if this one has ended, padding included.
    fn ends_batch(&mut self) -> bool {
        let has_ended = matches!(self.stage, Stage::Padding { until } if until == self.at_byte);
        if has_ended {
            self.stage = Stage::BatchHeader;
        }
        has_ended
    }
}
