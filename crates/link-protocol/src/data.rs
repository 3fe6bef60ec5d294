//! A connection for data: the same handshake, then frames of another protocol, each with its tag.
//!
//! It never shares a connection with signs of life: those must not queue behind data. What the frames
//! say is their users' business; kinds begin with [`FIRST_DATA_KIND`].

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::auth::{Sealer, TAG_BYTES};
use crate::frame::HEADER_BYTES;

/// The lowest kind of a data frame.
pub const FIRST_DATA_KIND: u8 = 32;
/// Largest body of a data frame, its tag included: some hundred KiB of a journal, or the list of very
/// many files.
pub const MAX_DATA_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Bytes before the body of a data frame.
pub const DATA_HEADER_BYTES: usize = HEADER_BYTES;

/// What a connection is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Messages and signs of life: the link.
    #[default]
    Link,
    /// The data of that session of the dialler.
    Data {
        /// Its number.
        session: u64,
    },
}

impl Purpose {
    /// Whether it is for the link.
    pub(crate) fn is_link(&self) -> bool {
        *self == Self::Link
    }
}

/// Makes the frames that go out.
pub struct DataSender {
    sealer: Sealer,
}

/// Checks the frames that come in.
pub struct DataReceiver {
    sealer: Sealer,
}

/// What came is no data frame of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Its length is beyond the limit.
    #[error("a frame of {0} bytes, more than the {MAX_DATA_FRAME_BYTES} allowed")]
    TooLarge(usize),
    /// Its kind is none of data.
    #[error("a frame of kind {0}, which is none of data")]
    Kind(u8),
    /// Its tag is wrong: it was changed, left out, doubled or moved.
    #[error("a frame with a wrong tag")]
    Tag,
}

impl DataSender {
    pub(crate) fn new(sealer: Sealer) -> Self {
        Self { sealer }
    }

    /// The next frame.
    pub fn frame(&mut self, kind: u8, body: &[u8]) -> Bytes {
        let tag = self.sealer.tag(kind, body);
        let length = body.len() + tag.len();
        let mut out = BytesMut::with_capacity(HEADER_BYTES + length);
        // No body of ours comes near the limit of the number.
        out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        out.put_u8(kind);
        out.put_slice(body);
        out.put_slice(&tag);
        out.freeze()
    }
}

impl DataReceiver {
    pub(crate) fn new(sealer: Sealer) -> Self {
        Self { sealer }
    }

    /// Kind and length of the next frame: so many bytes are to be read, and then opened.
    pub fn header(&self, header: [u8; DATA_HEADER_BYTES]) -> Result<(u8, usize), DataError> {
        let [a, b, c, d, kind] = header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if kind < FIRST_DATA_KIND {
            return Err(DataError::Kind(kind));
        }
        if !(TAG_BYTES..=MAX_DATA_FRAME_BYTES).contains(&length) {
            return Err(DataError::TooLarge(length));
        }
        Ok((kind, length))
    }

    /// The body of the next frame.
    pub fn open<'a>(&mut self, kind: u8, sealed: &'a [u8]) -> Result<&'a [u8], DataError> {
        self.sealer.open(kind, sealed).ok_or(DataError::Tag)
    }
}
