//! Frames: a length, a kind, a body.
//!
//! ```text
//!   ┌───────────────┬────────┬─────────────┐
//!   │ length of the │  kind  │    body     │
//!   │ body, 4 bytes │ 1 byte │             │
//!   └───────────────┴────────┴─────────────┘
//! ```
//! Kinds from 32 on are kept for the data of replication, whose bodies will be binary. A claimed
//! length is checked before anything is kept for it, and memory grows only with bytes that came.

use bytes::{BufMut, Bytes, BytesMut};

/// Largest body once both ends are proved. A message has some hundred bytes; this leaves room for
/// versions to come, and bounds what a faulty peer can make us keep.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Largest body before that, when anybody may send one: a hello has three names, each at most
/// [`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES) long and up to six times that as JSON.
pub const MAX_HANDSHAKE_FRAME_BYTES: usize = 8 * 1024;
/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 5;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A nonce and who the sender is.
    Hello = 1,
    /// The sender knows the key.
    Proof = 2,
    /// The dialler takes the connection as the link. Tagged.
    Ready = 3,
    /// Why the sender closes the connection.
    Refuse = 4,
    /// The sender lives; nothing else was to be said. Tagged.
    Alive = 5,
    /// A `pair::Message` as JSON. Tagged.
    Message = 6,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [
            Self::Hello,
            Self::Proof,
            Self::Ready,
            Self::Refuse,
            Self::Alive,
            Self::Message,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A whole frame as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Header and body.
    pub(crate) bytes: Bytes,
}

impl Frame {
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }
}

/// A frame to send; the parts of the body come one after the other.
pub(crate) fn encode(kind: Kind, body: &[&[u8]]) -> Bytes {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::with_capacity(HEADER_BYTES + length);
    // No body of ours comes near the limit of the number.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    out.put_u8(kind as u8);
    for part in body {
        out.put_slice(part);
    }
    out.freeze()
}

/// What cannot be a frame of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// Its length is beyond the limit.
    #[error("a frame of {bytes} bytes, more than the {limit} allowed")]
    TooLarge { bytes: usize, limit: usize },
    /// Its kind is none of ours.
    #[error("a frame of the unknown kind {0}")]
    UnknownKind(u8),
}

/// Puts frames together from whatever pieces come in.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    partial: BytesMut,
}

impl Decoder {
    /// Takes bytes from the front of `input`, up to the end of the next frame and not beyond; that
    /// frame, once it is whole.
    pub(crate) fn next(
        &mut self,
        input: &mut &[u8],
        limit: usize,
    ) -> Result<Option<Frame>, FrameError> {
        if !self.fill(input, HEADER_BYTES) {
            return Ok(None);
        }
        let [a, b, c, d, kind, ..] = self.partial[..] else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > limit {
            return Err(FrameError::TooLarge {
                bytes: length,
                limit,
            });
        }
        let kind = Kind::of(kind).ok_or(FrameError::UnknownKind(kind))?;
        if !self.fill(input, HEADER_BYTES + length) {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.partial).freeze();
        Ok(Some(Frame { kind, bytes }))
    }

    /// Whether there are `wanted` bytes now.
    fn fill(&mut self, input: &mut &[u8], wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial.extend_from_slice(taken);
        *input = rest;
        self.partial.len() >= wanted
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.partial.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn kind() -> impl Strategy<Value = Kind> {
        (1..=6_u8).prop_map(|byte| Kind::of(byte).unwrap())
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            frames in vec((kind(), vec(any::<u8>(), 0..300)), 0..8),
            cuts in vec(1..64_usize, 1..64),
        ) {
            let wire: Vec<u8> = frames
                .iter()
                .flat_map(|(kind, body)| encode(*kind, &[body]))
                .collect();
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            let mut rest = &wire[..];
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (mut piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                rest = after;
                while !piece.is_empty() {
                    if let Some(frame) = decoder.next(&mut piece, 300).unwrap() {
                        read.push((frame.kind, frame.body().to_vec()));
                    }
                }
            }
            prop_assert_eq!(read, frames);
        }

        #[test]
        fn garbage_neither_panics_nor_takes_memory(
            pieces in vec(vec(any::<u8>(), 0..200), 0..50),
            limit in 0..5000_usize,
        ) {
            let mut decoder = Decoder::default();
            'all: for piece in &pieces {
                let mut piece = &piece[..];
                while !piece.is_empty() {
                    if decoder.next(&mut piece, limit).is_err() {
                        break 'all;
                    }
                    // A buffer that grows doubles.
                    prop_assert!(decoder.capacity() <= 2 * (HEADER_BYTES + limit).max(64));
                }
            }
        }
    }

    #[test]
    fn a_claimed_length_takes_no_memory_and_too_much_is_refused_at_once() {
        let mut decoder = Decoder::default();
        let mut header = &[0, 0, 0xff, 0xff, 6][..];
        assert_eq!(decoder.next(&mut header, MAX_FRAME_BYTES), Ok(None));
        assert!(decoder.capacity() < 1024);
        let mut header = &[0, 1, 0, 1, 6][..];
        assert_eq!(
            Decoder::default().next(&mut header, MAX_FRAME_BYTES),
            Err(FrameError::TooLarge {
                bytes: 65_537,
                limit: 65_536
            })
        );
        let mut header = &[0, 0, 0, 0, 0][..];
        assert_eq!(
            Decoder::default().next(&mut header, 0),
            Err(FrameError::UnknownKind(0))
        );
    }
}
