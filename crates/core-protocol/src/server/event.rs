//! What a connection tells its broker.

use crate::framing::FramingError;
use crate::packet::{CreateSession, Packet};
use crate::{DecodeError, packet};

/// Something that the broker must act on.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The client waits for the topology: send every member, the last one marked, and from then on
    /// every change.
    TopologyRequested {
        /// Whether the subscriber is a broker.
        is_cluster_connection: bool,
        /// The version that the client would like to speak, if it says.
        client_version: Option<i32>,
    },
    /// The client wants a session: accept or refuse it.
    SessionRequested(Box<SessionRequest>),
    /// A request on the channel of an accepted session.
    ///
    /// Requests that want an answer get exactly one, in the order in which they came.
    Session {
        /// The session's channel.
        channel: i64,
        /// The request.
        packet: Box<Packet>,
    },
}

/// What a client says about a session that it wants.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRequest {
    /// The session and its credentials.
    pub session: CreateSession,
    /// The JMS client id, if it is known already.
    pub client_id: Option<String>,
}

impl From<packet::CreateSessionV2> for SessionRequest {
    fn from(packet: packet::CreateSessionV2) -> Self {
        Self {
            session: packet.session,
            client_id: packet.client_id,
        }
    }
}

/// Why a connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The bytes are not frames.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// A frame is not a packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The client did not finish its handshake.
    #[error("no handshake within {timeout_ms} ms")]
    HandshakeTimeout {
        /// How long it had.
        timeout_ms: u64,
    },
    /// The client was silent for too long.
    #[error("nothing received for {ttl_ms} ms, the connection's time to live")]
    TtlExpired {
        /// How long it may be silent.
        ttl_ms: u64,
    },
}
