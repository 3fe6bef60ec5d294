//! Where encoded bytes go: into a buffer, or only counted.

use bytes::BytesMut;

/// Takes encoded bytes. Encoding cannot fail.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_i8(&mut self, value: i8) {
        self.put(&value.to_be_bytes());
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    fn put_i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }

    /// Packets write 0xFF for true.
    fn put_bool(&mut self, value: bool) {
        self.put_u8(if value { 0xFF } else { 0 });
    }
}

impl Sink for BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what an encoding would take.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) bytes: usize,
}

impl Sink for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }
}

/// A length as the wire carries it.
///
/// Saturates: nothing that came through a frame is longer than an `i32` can say, and what a caller
/// builds beyond 2 GiB makes a packet that the receiver refuses, not one it misreads.
pub(crate) fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
