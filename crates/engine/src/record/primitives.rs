//! The few encodings records are made of.
//!
//! Numbers are little-endian base 128 (seven bits a byte, the high bit set while more follow);
//! texts and blocks are a length and bytes. Every length is checked against what is left before
//! anything is allocated.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::RecordError;

/// A `u64` needs at most ten groups of seven bits.
const MAX_NUMBER_BYTES: usize = 10;

pub(super) struct Writer {
    out: BytesMut,
}

impl Writer {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            out: BytesMut::with_capacity(capacity),
        }
    }

    pub(super) fn finish(self) -> Bytes {
        self.out.freeze()
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.put_u8(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.out.put_u8(low_bits(value));
    }

    /// Small numbers of either sign stay short.
    pub(super) fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(super) fn block(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.out.put_slice(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.block(value.as_bytes());
    }

    pub(super) fn optional_text(&mut self, value: Option<&str>) {
        match value {
            Some(value) => {
                self.byte(1);
                self.text(value);
            }
            None => self.byte(0),
        }
    }
}

fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(payload: Bytes) -> Self {
        Self { rest: payload }
    }

    pub(super) fn finish(self) -> Result<(), RecordError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(RecordError::TrailingBytes {
            count: self.rest.len(),
        })
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordError> {
        if self.rest.is_empty() {
            return Err(RecordError::UnexpectedEnd);
        }
        Ok(self.rest.get_u8())
    }

    pub(super) fn number(&mut self) -> Result<u64, RecordError> {
        let mut value = 0_u64;
        for group in 0..MAX_NUMBER_BYTES {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if group == MAX_NUMBER_BYTES - 1 && bits > 1 {
                return Err(RecordError::BadNumber);
            }
            value |= bits << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::BadNumber)
    }

    pub(super) fn signed(&mut self) -> Result<i64, RecordError> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The length of a list of things of at least one byte each.
    pub(super) fn count(&mut self) -> Result<usize, RecordError> {
        let count = usize::try_from(self.number()?).map_err(|_| RecordError::BadNumber)?;
        if count > self.rest.len() {
            return Err(RecordError::UnexpectedEnd);
        }
        Ok(count)
    }

    pub(super) fn block(&mut self) -> Result<Bytes, RecordError> {
        let length = self.count()?;
        Ok(self.rest.split_to(length))
    }

    pub(super) fn text(&mut self) -> Result<String, RecordError> {
        let block = self.block()?;
        String::from_utf8(block.to_vec()).map_err(|_| RecordError::BadText)
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, RecordError> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            value => Err(RecordError::BadFlag { value }),
        }
    }
}
