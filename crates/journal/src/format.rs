//! The bytes of a segment: encoding and decoding, without any file.
//!
//! All numbers are little endian. A segment is a row of blocks of 4096 bytes. The first block is the
//! header; then come batches, each the records of one group commit, each beginning on a block and
//! padded with zeros to the end of its last one. A written block is never written again.
//!
//! ```text
//! segment   | header block | batch ........ 0 0 | batch .. 0 0 0 0 | ...
//!           0              4096                 block              block
//!
//! header    0 magic "TNDMJRNL"   8 format u32   12 block size u32   16 epoch u64
//!          24 incarnation [16]  40 number u64   48 first offset u64 56 checksum u32
//!  format 2 adds: 60 number of the term's segment that history begins with u64  68 checksum u32
//!
//! batch     0 magic "TBAT"   4 checksum u32   8 bytes of records u32  12 records u32
//!          16 first offset u64                24 record, record, ...
//!
//! record    0 bytes of payload u32   4 checksum u32   8 kind u8   9 flags u8  10 zero u16
//!          12 epoch u64             20 offset u64    28 payload
//! ```
//!
//! Checksums are CRC-32 over the structure without its checksum field (a record's with its
//! payload), begun with the identity of the file: epoch, incarnation, number. A batch header's also
//! covers the number of its block. So bytes that belong to another file or another place never pass.
//!
//! A header has format 2 only if it must say that history begins later than with the first file;
//! so a store of which nothing was ever deleted can be read by versions that know format 1 alone. The
//! fields of format 1, with their checksum, stand at their place in every format, so that a version
//! tells a newer format from damage.
//!
//! A batch's header exists to tell a torn tail from damage: it shows how far the one unfinished
//! write may reach, and a valid one further on proves that everything before it was synced.

use bytes::{Buf, BufMut};
use crc32fast::Hasher;

use crate::names::SegmentName;

/// Size of a block, the unit of writing; no disk in use has larger sectors.
pub const BLOCK_BYTES: u64 = 4096;
/// The highest format that this version reads.
pub const FORMAT: u32 = 2;
/// Format of what says nothing of deleted files.
const FORMAT_WHOLE: u32 = 1;
/// Largest payload of a record: a message of 100 MiB, or a large transaction, with room to spare. The
/// bound keeps a damaged length from taking a reader's memory.
pub const MAX_PAYLOAD_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of a record before its payload.
pub const RECORD_HEADER_BYTES: usize = 28;
/// Largest record: what a reader allocates at most.
pub const MAX_RECORD_BYTES: usize = RECORD_HEADER_BYTES + MAX_PAYLOAD_BYTES;
/// Most bytes of records in one batch: room for one largest record, and a bound for how far the
/// tear of one write can reach.
pub const MAX_BATCH_BYTES: usize = 160 * 1024 * 1024;

/// Bytes of a batch before its first record.
pub const BATCH_HEADER_BYTES: usize = 24;
const SEGMENT_HEADER_BYTES: usize = 60;
const START_BYTES: usize = 12;
/// Bytes of a segment's header that mean something, in any format.
pub(crate) const HEADER_BYTES: usize = SEGMENT_HEADER_BYTES + START_BYTES;
const SEGMENT_MAGIC: &[u8; 8] = b"TNDMJRNL";
const BATCH_MAGIC: &[u8; 4] = b"TBAT";
/// [`BLOCK_BYTES`] as it stands in a header.
const BLOCK_BYTES_FIELD: u32 = 4096;

/// The first whole block boundary at or behind a byte.
pub(crate) const fn block_end(at_byte: u64) -> u64 {
    at_byte.div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

/// Begins every checksum of one file with that file's identity.
#[derive(Clone, Debug)]
pub(crate) struct FileChecksum(Hasher);

impl FileChecksum {
    pub(crate) fn of(name: SegmentName) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&name.term.epoch.to_le_bytes());
        hasher.update(&name.term.incarnation);
        hasher.update(&name.number.to_le_bytes());
        Self(hasher)
    }

    /// Begins the checksum of one structure of the file.
    pub(crate) fn begin(&self) -> Hasher {
        self.0.clone()
    }

    fn over(&self, parts: [&[u8]; 2]) -> u32 {
        let mut hasher = self.begin();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentHeader {
    /// Readable.
    Known {
        name: SegmentName,
        first_offset: u64,
        /// The segment of this term that history begins with, if it does not begin with the oldest
        /// file there is.
        start: Option<u64>,
    },
    /// Whole, but of a format (or block size) this version does not read.
    Unsupported { format: u32 },
}

/// Appends the header block of a segment.
pub(crate) fn put_segment_header(
    out: &mut Vec<u8>,
    name: SegmentName,
    first_offset: u64,
    start: Option<u64>,
) {
    let header_at = out.len();
    out.put_slice(SEGMENT_MAGIC);
    out.put_u32_le(start.map_or(FORMAT_WHOLE, |_| FORMAT));
    out.put_u32_le(BLOCK_BYTES_FIELD);
    out.put_u64_le(name.term.epoch);
    out.put_slice(&name.term.incarnation);
    out.put_u64_le(name.number);
    out.put_u64_le(first_offset);
    let checksum = crc32fast::hash(&out[header_at..]);
    out.put_u32_le(checksum);
    if let Some(start) = start {
        out.put_u64_le(start);
        let checksum = start_checksum(&out[header_at..]);
        out.put_u32_le(checksum);
    }
    pad_to_block(out);
}

/// Reads a segment's header; nothing if it is not whole.
///
/// Its checksum is not begun with the file's identity, so that a copy under another name is told
/// from a torn header.
pub(crate) fn segment_header(bytes: &[u8]) -> Option<SegmentHeader> {
    let header = bytes.first_chunk::<SEGMENT_HEADER_BYTES>()?;
    let (covered, mut checksum) = header.split_at(SEGMENT_HEADER_BYTES - 4);
    let mut fields = covered.strip_prefix(SEGMENT_MAGIC)?;
    if checksum.get_u32_le() != crc32fast::hash(covered) {
        return None;
    }
    let format = fields.get_u32_le();
    let block_bytes = fields.get_u32_le();
    if !(FORMAT_WHOLE..=FORMAT).contains(&format) || block_bytes != BLOCK_BYTES_FIELD {
        return Some(SegmentHeader::Unsupported { format });
    }
    let start = if format == FORMAT_WHOLE {
        None
    } else {
        Some(header_start(bytes)?)
    };
    let epoch = fields.get_u64_le();
    let mut incarnation = [0; 16];
    fields.copy_to_slice(&mut incarnation);
    let term = crate::TermId { epoch, incarnation };
    let name = SegmentName {
        term,
        number: fields.get_u64_le(),
    };
    Some(SegmentHeader::Known {
        name,
        first_offset: fields.get_u64_le(),
        start,
    })
}

/// What format 2 adds; nothing if it is not whole.
fn header_start(bytes: &[u8]) -> Option<u64> {
    let whole = bytes.get(..HEADER_BYTES)?;
    let mut fields = whole.get(SEGMENT_HEADER_BYTES..)?;
    let start = fields.get_u64_le();
    let covered = whole.get(..HEADER_BYTES - 4)?;
    (fields.get_u32_le() == start_checksum(covered)).then_some(start)
}

/// Covers the header up to the checksum's own field.
fn start_checksum(covered: &[u8]) -> u32 {
    crc32fast::hash(covered)
}

/// What a batch's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) record_bytes: u32,
    pub(crate) records: u32,
    pub(crate) first_offset: u64,
}

impl BatchHeader {
    /// End of the batch's last record, for a batch that begins at this byte.
    pub(crate) fn end_byte(self, at_byte: u64) -> u64 {
        at_byte + BATCH_HEADER_BYTES as u64 + u64::from(self.record_bytes)
    }

    fn is_plausible(self) -> bool {
        let bytes = u64::from(self.record_bytes);
        self.records > 0
            && bytes >= u64::from(self.records) * RECORD_HEADER_BYTES as u64
            && bytes <= MAX_BATCH_BYTES as u64
    }
}

/// Fills in the header of a batch whose room was left at the front of `batch`.
pub(crate) fn set_batch_header(
    batch: &mut [u8],
    header: BatchHeader,
    at_byte: u64,
    file: &FileChecksum,
) {
    let mut fields = Vec::with_capacity(BATCH_HEADER_BYTES - 8);
    fields.put_u32_le(header.record_bytes);
    fields.put_u32_le(header.records);
    fields.put_u64_le(header.first_offset);
    let checksum = file.over([&(at_byte / BLOCK_BYTES).to_le_bytes(), &fields]);
    batch[..4].copy_from_slice(BATCH_MAGIC);
    batch[4..8].copy_from_slice(&checksum.to_le_bytes());
    batch[8..BATCH_HEADER_BYTES].copy_from_slice(&fields);
}

/// Reads the header of the batch that begins at this byte of the file; nothing if it is not whole.
pub(crate) fn batch_header(bytes: &[u8], at_byte: u64, file: &FileChecksum) -> Option<BatchHeader> {
    let header = bytes.first_chunk::<BATCH_HEADER_BYTES>()?;
    let mut rest = header.strip_prefix(BATCH_MAGIC)?;
    let checksum = rest.get_u32_le();
    if checksum != file.over([&(at_byte / BLOCK_BYTES).to_le_bytes(), rest]) {
        return None;
    }
    let header = BatchHeader {
        record_bytes: rest.get_u32_le(),
        records: rest.get_u32_le(),
        first_offset: rest.get_u64_le(),
    };
    header.is_plausible().then_some(header)
}

/// The front of a record, not yet known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
}

/// Appends a record.
///
/// Panics if the payload is above [`MAX_PAYLOAD_BYTES`], which the queue has refused before.
pub(crate) fn put_record(
    out: &mut Vec<u8>,
    (kind, payload): (u8, &[u8]),
    (epoch, offset): (u64, u64),
    file: &FileChecksum,
) {
    assert!(
        payload.len() <= MAX_PAYLOAD_BYTES,
        "the queue bounds the payload"
    );
    let start = out.len();
    out.put_u32_le(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    out.put_u32_le(0);
    out.put_u8(kind);
    out.put_u8(0);
    out.put_u16_le(0);
    out.put_u64_le(epoch);
    out.put_u64_le(offset);
    out.put_slice(payload);
    let checksum = record_checksum(&out[start..], file);
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the front of a record to learn its length, without trusting it.
///
/// Nothing if there are too few bytes or the length is above the bound.
pub(crate) fn record_header(bytes: &[u8]) -> Option<RecordHeader> {
    let mut fields: &[u8] = bytes.first_chunk::<RECORD_HEADER_BYTES>()?;
    let payload_bytes = fields.get_u32_le();
    fields.advance(4);
    let kind = fields.get_u8();
    let flags = fields.get_u8();
    fields.advance(2);
    let header = RecordHeader {
        payload_bytes,
        kind,
        flags,
        epoch: fields.get_u64_le(),
        offset: fields.get_u64_le(),
    };
    (payload_bytes as usize <= MAX_PAYLOAD_BYTES).then_some(header)
}

/// The payload of a record that has exactly these bytes, if its checksum holds.
pub(crate) fn record_payload<'a>(bytes: &'a [u8], file: &FileChecksum) -> Option<&'a [u8]> {
    let header = bytes.first_chunk::<RECORD_HEADER_BYTES>()?;
    let stored = (&header[4..]).get_u32_le();
    (stored == record_checksum(bytes, file)).then(|| &bytes[RECORD_HEADER_BYTES..])
}

/// Fills up the last block with zeros.
pub(crate) fn pad_to_block(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(BLOCK_BYTES_FIELD as usize), 0);
}

/// The checksum of a record given whole: everything but the checksum's own field.
fn record_checksum(record: &[u8], file: &FileChecksum) -> u32 {
    file.over([&record[..4], &record[8..]])
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::names::TermId;

    fn name(number: u64) -> SegmentName {
        SegmentName {
            term: TermId {
                epoch: 3,
                incarnation: [7; 16],
            },
            number,
        }
    }

    fn record(kind: u8, payload: &[u8], offset: u64, file: &FileChecksum) -> Vec<u8> {
        let mut out = Vec::new();
        put_record(&mut out, (kind, payload), (3, offset), file);
        out
    }

    #[test]
    fn segment_header_is_one_block_and_knows_its_name() {
        let mut out = Vec::new();
        put_segment_header(&mut out, name(4), 99, None);
        assert_eq!(out.len() as u64, BLOCK_BYTES);
        let known = SegmentHeader::Known {
            name: name(4),
            first_offset: 99,
            start: None,
        };
        assert_eq!(segment_header(&out), Some(known));
        assert_eq!(out[8], 1, "as any version reads it");
        out[8] = 3;
        assert_eq!(
            segment_header(&out),
            None,
            "a changed byte breaks the checksum"
        );
        let checksum = crc32fast::hash(&out[..56]);
        out[56..60].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(
            segment_header(&out),
            Some(SegmentHeader::Unsupported { format: 3 })
        );
    }

    #[test]
    fn a_header_that_says_where_history_begins_has_a_format_of_its_own() {
        let mut out = Vec::new();
        put_segment_header(&mut out, name(4), 99, Some(3));
        assert_eq!(out.len() as u64, BLOCK_BYTES);
        assert_eq!(out[8], 2);
        let known = SegmentHeader::Known {
            name: name(4),
            first_offset: 99,
            start: Some(3),
        };
        assert_eq!(segment_header(&out), Some(known));
        for at in 0..HEADER_BYTES {
            let mut changed = out.clone();
            changed[at] ^= 1;
            assert_eq!(segment_header(&changed), None, "byte {at}");
        }
        assert_eq!(segment_header(&out[..SEGMENT_HEADER_BYTES]), None);
    }

    #[test]
    fn batch_header_passes_at_its_own_place_only() {
        let file = FileChecksum::of(name(1));
        let header = BatchHeader {
            record_bytes: 60,
            records: 2,
            first_offset: 5,
        };
        let mut out = vec![0; BATCH_HEADER_BYTES];
        set_batch_header(&mut out, header, 8192, &file);
        assert_eq!(batch_header(&out, 8192, &file), Some(header));
        assert_eq!(batch_header(&out, 12288, &file), None, "another block");
        assert_eq!(
            batch_header(&out, 8192, &FileChecksum::of(name(2))),
            None,
            "another file"
        );
    }

    #[test]
    fn implausible_batches_do_not_pass() {
        let file = FileChecksum::of(name(1));
        for header in [
            BatchHeader {
                record_bytes: 60,
                records: 0,
                first_offset: 5,
            },
            BatchHeader {
                record_bytes: 55,
                records: 2,
                first_offset: 5,
            },
            BatchHeader {
                record_bytes: u32::MAX,
                records: 2,
                first_offset: 5,
            },
        ] {
            let mut out = vec![0; BATCH_HEADER_BYTES];
            set_batch_header(&mut out, header, 4096, &file);
            assert_eq!(batch_header(&out, 4096, &file), None, "{header:?}");
        }
    }

    /// The format as bytes: a change here breaks stores that exist.
    #[test]
    fn record_bytes_are_fixed() {
        let file = FileChecksum::of(name(1));
        let out = record(9, b"hi", 258, &file);
        assert_eq!(out[..4], [2, 0, 0, 0]);
        assert_eq!(out[8..12], [9, 0, 0, 0]);
        assert_eq!(out[12..20], [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[20..28], [2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[28..], *b"hi");
        let mut covered = Vec::new();
        covered.extend_from_slice(&3_u64.to_le_bytes());
        covered.extend_from_slice(&[7; 16]);
        covered.extend_from_slice(&1_u64.to_le_bytes());
        covered.extend_from_slice(&out[..4]);
        covered.extend_from_slice(&out[8..]);
        assert_eq!(out[4..8], crc32fast::hash(&covered).to_le_bytes());
    }

    proptest! {
        #[test]
        fn records_round_trip(kind: u8, payload in vec(any::<u8>(), 0..300), offset: u64) {
            let file = FileChecksum::of(name(1));
            let out = record(kind, &payload, offset, &file);
            let header = record_header(&out).unwrap();
            prop_assert_eq!(header.payload_bytes as usize, payload.len());
            prop_assert_eq!((header.kind, header.flags), (kind, 0));
            prop_assert_eq!((header.epoch, header.offset), (3, offset));
            prop_assert_eq!(record_payload(&out, &file), Some(&payload[..]));
            prop_assert_eq!(record_payload(&out, &FileChecksum::of(name(2))), None);
        }

        #[test]
        fn any_changed_bit_is_seen(
            payload in vec(any::<u8>(), 0..100), at: prop::sample::Index, bit in 0..8_u32,
        ) {
            let file = FileChecksum::of(name(1));
            let mut out = record(1, &payload, 1, &file);
            let at = at.index(out.len());
            out[at] ^= 1 << bit;
            prop_assert_eq!(record_payload(&out, &file), None);
        }

        #[test]
        fn random_bytes_never_panic_nor_ask_for_too_much(bytes in vec(any::<u8>(), 0..200)) {
            let file = FileChecksum::of(name(1));
            if let Some(header) = record_header(&bytes) {
                prop_assert!(header.payload_bytes as usize <= MAX_PAYLOAD_BYTES);
            }
            prop_assert_eq!(record_payload(&bytes, &file), None);
            prop_assert_eq!(batch_header(&bytes, 4096, &file), None);
            prop_assert_eq!(segment_header(&bytes), None);
        }
    }
}
