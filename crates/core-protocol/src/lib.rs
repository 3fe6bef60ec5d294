//! The CORE protocol of Apache ActiveMQ Artemis, connection version 136.
//!
//! ```text
//! bytes ─▶ framing::FrameDecoder ─▶ Frame { channel, packet } ─▶ server::ServerConnection ─▶ Event
//!                                          │      ▲                       │
//!                                          ▼      │                       ▼
//!                                   message::Message (opaque block)     bytes
//! ```
//!
//! Pure: no sockets, no clock, no randomness; time is passed in as milliseconds. Everything read from
//! a peer is bounded by the frame it came in before memory is taken for it, and nothing a peer sends
//! may panic. The crate never interprets queues, acknowledgements or permissions: that is the broker's.

pub mod discovery;
mod error;
pub mod exception;
pub mod framing;
pub mod message;
pub mod packet;
pub mod server;
mod wire;

pub use error::DecodeError;
pub use message::{Message, MessageBuilder, MessageHead, Value};
pub use packet::{Connector, Frame, Packet, ParamValue, Secret, Xid};

/// The one connection version this crate speaks.
pub const PROTOCOL_VERSION: i32 = 136;

/// Bytes of every packet before its fields: length, type, channel.
pub const HEADER_BYTES: usize = 13;
