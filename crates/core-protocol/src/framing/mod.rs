//! From a stream of bytes to frames. No I/O; takes memory only for bytes that have come, never for what
//! a length field promises.

mod sniff;

use bytes::{Bytes, BytesMut};

pub use sniff::SniffedProtocol;

use crate::HEADER_BYTES;

/// What a CORE client sends before its first frame.
pub const HANDSHAKE: &[u8; 7] = b"ARTEMIS";

/// Frames above this are refused unless configured otherwise. Clients cut bodies above 100 KiB into
/// pieces; one that raised its limit to some tens of MiB still fits.
pub const DEFAULT_MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// The length field, which does not count itself.
const LENGTH_BYTES: usize = 4;

/// Why a stream of bytes is not a stream of frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// The peer speaks something else.
    #[error("{} client on a CORE port", protocol.with_article())]
    NotCore {
        /// What its first bytes look like.
        protocol: SniffedProtocol,
    },
    /// A frame larger than the limit.
    #[error("a frame of {frame_bytes} bytes is above the limit of {limit_bytes} bytes")]
    TooLarge {
        /// Size of the whole frame.
        frame_bytes: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// A frame without room for type and channel.
    #[error("a frame says {length} bytes follow, fewer than a header has")]
    TooShort {
        /// The length field.
        length: i32,
    },
}

/// Cuts a stream into frames.
///
/// Frames that come whole share the memory of the input; only one that comes in parts is copied
/// together. After an error the position in the stream is lost: the connection must be closed.
#[derive(Debug)]
pub struct FrameDecoder {
    handshake_pending: bool,
    /// The start of a frame, or of the handshake, whose rest has not come yet.
    partial: BytesMut,
    input: Bytes,
    max_frame_bytes: usize,
}

impl FrameDecoder {
    /// For the side that accepts connections: the handshake comes first.
    pub fn server(max_frame_bytes: usize) -> Self {
        Self {
            handshake_pending: true,
            ..Self::client(max_frame_bytes)
        }
    }

    /// For the side that connects: frames from the first byte on.
    pub fn client(max_frame_bytes: usize) -> Self {
        Self {
            handshake_pending: false,
            partial: BytesMut::new(),
            input: Bytes::new(),
            max_frame_bytes,
        }
    }

    /// Whether the handshake has come (or none is expected).
    pub fn handshake_done(&self) -> bool {
        !self.handshake_pending
    }

    /// Changes the limit, from the next frame on whose length has not been read.
    pub fn set_max_frame_bytes(&mut self, max_frame_bytes: usize) {
        self.max_frame_bytes = max_frame_bytes;
    }

    /// Takes received bytes. Call [`Self::next_frame`] until it has no more.
    pub fn feed(&mut self, bytes: Bytes) {
        if self.input.is_empty() {
            self.input = bytes;
        } else {
            let mut joined = BytesMut::with_capacity(self.input.len() + bytes.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&bytes);
            self.input = joined.freeze();
        }
    }

    /// The next whole frame with its length field; none until more bytes are fed.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FramingError> {
        if self.handshake_pending && !self.take_handshake()? {
            return Ok(None);
        }
        if self.partial.is_empty() {
            let Some(frame_bytes) = self.frame_bytes(&self.input)? else {
                self.keep(LENGTH_BYTES);
                return Ok(None);
            };
            if frame_bytes <= self.input.len() {
                return Ok(Some(self.input.split_to(frame_bytes)));
            }
            self.keep(frame_bytes);
            return Ok(None);
        }
        self.keep(LENGTH_BYTES);
        let Some(frame_bytes) = self.frame_bytes(&self.partial)? else {
            return Ok(None);
        };
        self.keep(frame_bytes);
        if self.partial.len() < frame_bytes {
            return Ok(None);
        }
        Ok(Some(std::mem::take(&mut self.partial).freeze()))
    }

    fn take_handshake(&mut self) -> Result<bool, FramingError> {
        self.keep(HANDSHAKE.len());
        if HANDSHAKE.starts_with(&self.partial) {
            self.handshake_pending = self.partial.len() < HANDSHAKE.len();
            if !self.handshake_pending {
                self.partial.clear();
            }
            return Ok(!self.handshake_pending);
        }
        self.keep(sniff::SNIFF_BYTES);
        match self.partial.first_chunk() {
            Some(first) => Err(FramingError::NotCore {
                protocol: sniff::sniff(*first),
            }),
            None => Ok(false),
        }
    }

    /// Size of the frame that begins here, once its length field is there.
    fn frame_bytes(&self, start: &[u8]) -> Result<Option<usize>, FramingError> {
        let Some(field) = start.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*field);
        let Ok(following) = usize::try_from(length) else {
            return Err(FramingError::TooShort { length });
        };
        if following < HEADER_BYTES - LENGTH_BYTES {
            return Err(FramingError::TooShort { length });
        }
        let frame_bytes = following + LENGTH_BYTES;
        if frame_bytes > self.max_frame_bytes {
            return Err(FramingError::TooLarge {
                frame_bytes: frame_bytes as u64,
                limit_bytes: self.max_frame_bytes,
            });
        }
        Ok(Some(frame_bytes))
    }

    /// Moves input to the partial frame until that has `bytes`.
    fn keep(&mut self, bytes: usize) {
        let missing = bytes
            .saturating_sub(self.partial.len())
            .min(self.input.len());
        self.partial
            .extend_from_slice(&self.input.split_to(missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = b"\0\0\0\x11\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xea\x60";

    fn frames(decoder: &mut FrameDecoder, bytes: &[u8]) -> Result<Vec<Bytes>, FramingError> {
        decoder.feed(Bytes::copy_from_slice(bytes));
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_whole_however_the_stream_is_cut() {
        let mut stream = HANDSHAKE.to_vec();
        for _ in 0..3 {
            stream.extend_from_slice(PING);
        }
        for chunk in 1..stream.len() {
            let mut decoder = FrameDecoder::server(1024);
            let mut seen = Vec::new();
            for part in stream.chunks(chunk) {
                seen.extend(frames(&mut decoder, part).unwrap());
            }
            assert_eq!(seen, [PING; 3], "cut every {chunk} bytes");
            assert!(decoder.handshake_done());
        }
    }

    #[test]
    fn input_fed_twice_is_not_lost() {
        let mut decoder = FrameDecoder::client(1024);
        decoder.feed(Bytes::copy_from_slice(&PING[..5]));
        assert_eq!(frames(&mut decoder, &PING[5..]).unwrap(), [PING]);
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_by_its_length_alone() {
        let mut decoder = FrameDecoder::client(PING.len());
        assert_eq!(frames(&mut decoder, PING).unwrap(), [PING]);
        let error = frames(&mut decoder, b"\x7f\xff\xff\xff").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a frame of 2147483651 bytes is above the limit of 21 bytes"
        );
        let mut decoder = FrameDecoder::client(PING.len() - 1);
        assert!(matches!(
            frames(&mut decoder, PING),
            Err(FramingError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_large_promise_takes_no_memory() {
        let mut decoder = FrameDecoder::client(1 << 30);
        assert_eq!(
            frames(&mut decoder, b"\x3f\0\0\0abc").unwrap(),
            Vec::<Bytes>::new()
        );
        assert!(
            decoder.partial.capacity() < 1024,
            "{}",
            decoder.partial.capacity()
        );
    }

    #[test]
    fn a_frame_without_a_header_is_refused() {
        for length in [-1_i32, i32::MIN, 0, 8] {
            let mut decoder = FrameDecoder::client(1024);
            let error = frames(&mut decoder, &length.to_be_bytes()).unwrap_err();
            assert_eq!(error, FramingError::TooShort { length });
        }
    }

    #[test]
    fn another_protocol_is_named() {
        let first_bytes: [(&[u8], &str); 9] = [
            (b"AMQP\0\x01\0\0", "an AMQP client on a CORE port"),
            (b"\x10\x1a\0\x04MQTT", "an MQTT client on a CORE port"),
            (b"CONNECT\n", "a STOMP client on a CORE port"),
            (b"STOMP\nac", "a STOMP client on a CORE port"),
            (b"\0\0\x01\x0a\x01Act", "an OpenWire client on a CORE port"),
            (b"HORNETQ\0", "a HornetQ client on a CORE port"),
            (b"GET / HT", "an HTTP client on a CORE port"),
            (
                b"\x16\x03\x01\x02\0\x01\0\x01",
                "a TLS client on a CORE port",
            ),
            (b"ARTEMIX!", "an unknown client on a CORE port"),
        ];
        for (bytes, text) in first_bytes {
            let mut decoder = FrameDecoder::server(1024);
            assert_eq!(
                frames(&mut decoder, &bytes[..7]).unwrap(),
                Vec::<Bytes>::new()
            );
            assert_eq!(
                frames(&mut decoder, &bytes[7..]).unwrap_err().to_string(),
                text
            );
        }
    }
}
