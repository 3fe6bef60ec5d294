//! The server side of one connection: everything that is the same for every broker.
//!
//! ```text
//! socket ─▶ handle_input ─▶ poll_event ─▶ broker
//! socket ◀─ poll_output  ◀─ send, accept_session, send_topology … ◀─┘
//! ```
//!
//! It owns the handshake, liveness, version negotiation, the refusal of reattachment, the map from
//! channels to sessions and the confirmation of received packets. It never waits, never touches a
//! socket and never decides what a session may do.

mod confirmation;
mod connection;
mod event;
mod topology;

pub use connection::ServerConnection;
pub use event::{ConnectionError, Event, SessionRequest};
pub use topology::TopologyMember;

use crate::framing::DEFAULT_MAX_FRAME_BYTES;

/// Frames above this are refused until a session was accepted: whoever has not shown who it is gets no
/// more of the broker's memory than a session's names and password need.
pub const MAX_FRAME_BYTES_BEFORE_SESSION: usize = 64 * 1024;

/// How long a client may take for its handshake; Artemis' default.
pub const DEFAULT_HANDSHAKE_TIMEOUT_MS: u64 = 10_000;

/// How long a connection lives without any byte until its first PING says so; Artemis' default.
pub const DEFAULT_TTL_MS: i64 = 60_000;

/// Sessions per connection. JMS applications use tens, pools some hundreds; each costs memory here and
/// in the engine.
pub const DEFAULT_MAX_SESSIONS: usize = 4_096;

/// How often received packets are confirmed that have not filled their window.
pub const CONFIRM_INTERVAL_MS: u64 = 2_000;

/// The limits of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Frames above this end the connection, and those above [`MAX_FRAME_BYTES_BEFORE_SESSION`] until
    /// a session was accepted.
    pub max_frame_bytes: usize,
    /// How long a client may take for its handshake.
    pub handshake_timeout_ms: u64,
    /// How long a connection lives without any byte, whatever its client says; -1 for ever.
    pub ttl_override_ms: Option<i64>,
    /// How long a connection lives without any byte until its client says.
    pub default_ttl_ms: i64,
    /// Sessions above this are refused.
    pub max_sessions: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_frame_bytes: DEFAULT_MAX_FRAME_BYTES,
            handshake_timeout_ms: DEFAULT_HANDSHAKE_TIMEOUT_MS,
            ttl_override_ms: None,
            default_ttl_ms: DEFAULT_TTL_MS,
            max_sessions: DEFAULT_MAX_SESSIONS,
        }
    }
}
