//! A cursor over one frame. Never reads past its end and never takes memory for a length it has not
//! compared with the bytes that are left.

use bytes::Bytes;

use crate::DecodeError;

/// Reads forward over the bytes of one frame.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    frame: &'a Bytes,
    position: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(frame: &'a Bytes) -> Self {
        Self {
            frame,
            position: 0,
            end: frame.len(),
        }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// Where the next byte is read, as an offset into [`Self::frame`].
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The bytes that this reader or the one it came from was made for.
    pub(crate) fn frame(&self) -> &'a Bytes {
        self.frame
    }

    pub(crate) fn take(
        &mut self,
        needed: usize,
        field: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        let left = self.remaining();
        if needed > left {
            return Err(DecodeError::Truncated {
                field,
                needed,
                left,
            });
        }
        let start = self.position;
        self.position += needed;
        Ok(&self.frame[start..self.position])
    }

    /// A slice that shares the frame's memory.
    pub(crate) fn take_shared(
        &mut self,
        needed: usize,
        field: &'static str,
    ) -> Result<Bytes, DecodeError> {
        let start = self.position;
        self.take(needed, field)?;
        Ok(self.frame.slice(start..self.position))
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N, field)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i8(&mut self, field: &'static str) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// Any byte but zero is true: writers use 0x01 and 0xFF.
    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.u8(field)? != 0)
    }

    /// A length in bytes, not negative and within what is left.
    pub(crate) fn length(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        self.count(1, field)
    }

    /// A count of items of at least `item_bytes` each, which must fit into what is left.
    pub(crate) fn count(
        &mut self,
        item_bytes: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        let sent = self.i32(field)?;
        let Ok(count) = usize::try_from(sent) else {
            return Err(DecodeError::InvalidLength {
                field,
                length: i64::from(sent),
            });
        };
        let needed = count.saturating_mul(item_bytes);
        let left = self.remaining();
        if needed > left {
            return Err(DecodeError::Truncated {
                field,
                needed,
                left,
            });
        }
        Ok(count)
    }

    /// Reads the next `length` bytes with a reader of their own, which must use them all.
    pub(crate) fn within<T>(
        &mut self,
        length: usize,
        field: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let start = self.position;
        self.take(length, field)?;
        let mut inner = Reader {
            frame: self.frame,
            position: start,
            end: self.position,
        };
        let value = read(&mut inner)?;
        inner.finish(field)?;
        Ok(value)
    }

    /// Every byte must have been used.
    pub(crate) fn finish(&self, packet: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            bytes => Err(DecodeError::LeftOver { packet, bytes }),
        }
    }
}
