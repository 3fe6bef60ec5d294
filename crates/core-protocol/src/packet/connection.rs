//! Packets of the connection as a whole, and the answers any channel may carry.

use super::connector::{Connector, Transport};
use crate::DecodeError;
use crate::wire::codecs::{Byte, Int, Long, Nullable, Optional, Simple, Str, TrailingLong};
use crate::wire::{Codec, Reader, Sink, wire_struct};

wire_struct! {
    /// PING: the sender is alive and expects the same within this time.
    pub struct Ping {
        /// How long the connection lives without any byte; -1 for ever.
        pub ttl_ms: i64 as Long,
    }

    /// DISCONNECT: the node goes away.
    pub struct Disconnect {
        /// The node that goes away.
        pub node_id: Option<String> as Optional<Simple>,
    }

    /// `DISCONNECT_V2`: the node goes away, perhaps into another one.
    pub struct DisconnectV2 {
        /// The node that goes away.
        pub node_id: Option<String> as Optional<Simple>,
        /// The node that takes its messages.
        pub scale_down_node_id: Option<String> as Optional<Simple>,
    }

    /// `DISCONNECT_V3`: the node goes away, and why.
    pub struct DisconnectV3 {
        /// The node that goes away.
        pub node_id: Option<String> as Optional<Simple>,
        /// Why.
        pub reason: DisconnectReason as Reason,
        /// The node to use instead.
        pub target_node_id: Option<String> as Optional<Simple>,
        /// The broker to connect to instead.
        pub target: Option<Connector> as Nullable<Transport>,
    }

    /// EXCEPTION: the request failed.
    pub struct Exception {
        /// One of [`crate::exception`].
        pub code: i32 as Int,
        /// The text that the application sees.
        pub message: Option<String> as Optional<Str>,
        /// The request's correlation id if it carried one.
        pub correlation: Option<i64> as TrailingLong,
    }

    /// `NULL_RESPONSE`: the request succeeded and has no other answer.
    pub struct NullResponse {
        /// The request's correlation id, -1 if it carried none. Absent only before version 130.
        pub correlation: Option<i64> as TrailingLong,
    }

    /// `PACKETS_CONFIRMED`: everything up to this packet was received and processed.
    pub struct PacketsConfirmed {
        /// Number of counted packets received so far, minus one.
        pub command_id: i32 as Int,
    }
}

impl NullResponse {
    /// The answer to a request with this correlation id, or with none.
    pub fn to(correlation: Option<i64>) -> Self {
        Self {
            correlation: Some(correlation.unwrap_or(-1)),
        }
    }
}

/// Why a node disconnects its clients. A client treats everything but a redirect alike: it fails the
/// connection and reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// 0: connect to the given target.
    Redirect,
    /// 1: connect to the given target; the critical analyzer stopped this node.
    RedirectCritical,
    /// 2: what a graceful stop sends.
    ScaleDown,
    /// 3.
    ScaleDownCritical,
    /// 4: what other ways of stopping send.
    Shutdown,
    /// 5.
    ShutdownCritical,
}

pub(crate) struct Reason;

impl Codec<DisconnectReason> for Reason {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<DisconnectReason, DecodeError> {
        Ok(match reader.i8(field)? {
            0 => DisconnectReason::Redirect,
            1 => DisconnectReason::RedirectCritical,
            2 => DisconnectReason::ScaleDown,
            3 => DisconnectReason::ScaleDownCritical,
            4 => DisconnectReason::Shutdown,
            5 => DisconnectReason::ShutdownCritical,
            kind => return Err(DecodeError::UnknownKind { field, kind }),
        })
    }

    fn write<S: Sink>(value: &DisconnectReason, out: &mut S) {
        let reason = match value {
            DisconnectReason::Redirect => 0,
            DisconnectReason::RedirectCritical => 1,
            DisconnectReason::ScaleDown => 2,
            DisconnectReason::ScaleDownCritical => 3,
            DisconnectReason::Shutdown => 4,
            DisconnectReason::ShutdownCritical => 5,
        };
        Byte::write(&reason, out);
    }
}
