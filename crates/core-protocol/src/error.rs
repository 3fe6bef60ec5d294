//! Why bytes are not a packet. One variant per kind of damage; the text names the field.

/// Bytes from a peer that are not a valid packet or message.
///
/// A connection that produced one is closed: the position of the next packet may be unknown, and the
/// peer that sent it is broken or is not a CORE peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field needs more bytes than its frame has left.
    #[error("{field}: needs {needed} bytes, the packet has {left} left")]
    Truncated {
        /// The field being read.
        field: &'static str,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length or count that is negative, odd where it must be even, or over its limit.
    #[error("{field}: {length} is not a valid length")]
    InvalidLength {
        /// The field being read.
        field: &'static str,
        /// The length that was sent.
        length: i64,
    },
    /// Text that is not valid UTF-16 or modified UTF-8.
    #[error("{field}: the text is not valid")]
    InvalidText {
        /// The field being read.
        field: &'static str,
    },
    /// A kind byte (of a property, a connector parameter, a reason) that does not exist.
    #[error("{field}: kind {kind} does not exist")]
    UnknownKind {
        /// The field being read.
        field: &'static str,
        /// The kind that was sent.
        kind: i8,
    },
    /// All fields were read and bytes remain.
    #[error("{packet}: {bytes} bytes are left over after the last field")]
    LeftOver {
        /// The packet, or `message`.
        packet: &'static str,
        /// How many bytes remain.
        bytes: usize,
    },
    /// A packet type that is not part of version 136 between a client and a broker.
    #[error("packet type {packet_type} on channel {channel} is unknown")]
    UnknownPacket {
        /// The type byte.
        packet_type: i8,
        /// The channel it came on.
        channel: i64,
    },
    /// A frame whose length field does not match its bytes, or is too short for a header.
    #[error("the frame says {length} bytes follow, {actual} do")]
    FrameLength {
        /// The length field.
        length: i32,
        /// Bytes after the length field.
        actual: usize,
    },
}
