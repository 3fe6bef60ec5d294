//! Every packet between a client and a broker at version 136, one file per family.
//!
//! ```text
//! int32 length   bytes after this field
//! int8  type
//! int64 channel  0 connection, 1 sessions, 10 and above one per session
//! …     fields
//! ```
//!
//! "Packet size" in credits and confirmation windows is the whole of that, with the length field.

mod connection;
mod connector;
mod consumer;
mod frame;
mod query;
mod queue;
mod role;
mod secret;
mod send;
mod session;
mod topology;
mod transaction;
mod xa;

pub use connection::{
    Disconnect, DisconnectReason, DisconnectV2, DisconnectV3, Exception, NullResponse,
    PacketsConfirmed, Ping,
};
pub(crate) use connector::Transport;
pub use connector::{Connector, NETTY_CONNECTOR_FACTORY, ParamValue};
pub use consumer::{
    DisconnectConsumer, DisconnectConsumerKill, SessAcknowledge, SessConsumerClose,
    SessCreateConsumer, SessExpired, SessFlowToken, SessForceConsumerDelivery,
    SessIndividualAcknowledge, SessReceiveContinuation, SessReceiveLargeMessage,
    SessReceiveMessage,
};
pub(crate) use frame::is_from_broker;
pub use frame::{Frame, encode_receive, receive_len};
pub use query::{
    SessBindingQuery, SessBindingQueryResponseV5, SessQueueQuery, SessQueueQueryResponseV3,
};
pub use queue::{
    CreateAddress, CreateQueue, CreateQueueV2, CreateSharedQueue, CreateSharedQueueV2, DeleteQueue,
    QueueTail,
};
pub use role::Role;
pub use secret::Secret;
pub use send::{
    CreateProducer, RemoveProducer, SendTail, SessProducerCredits, SessProducerFailCredits,
    SessProducerRequestCredits, SessSend, SessSendContinuation, SessSendLarge,
};
pub use session::{
    CheckForFailover, CheckForFailoverReply, CreateSession, CreateSessionResponse, CreateSessionV2,
    ReattachSession, ReattachSessionResponse, SessAddMetadata, SessAddMetadata2,
    SessUniqueAddMetadata,
};
pub use topology::{
    ClusterTopology, ClusterTopologyV2, ClusterTopologyV3, ClusterTopologyV4, SubscribeTopology,
    SubscribeTopologyV2, TopologyPair,
};
pub use transaction::{SessCommit, SessRollback};
pub use xa::{
    SessXaCommit, SessXaEnd, SessXaFailed, SessXaForget, SessXaGetTimeoutResponse,
    SessXaInDoubtXidsResponse, SessXaJoin, SessXaPrepare, SessXaResponse, SessXaResume,
    SessXaRollback, SessXaSetTimeout, SessXaSetTimeoutResponse, SessXaStart, XID_PART_MAX_BYTES,
    Xid,
};

use crate::DecodeError;
use crate::wire::{Reader, Sink, Wire};

/// Variant and struct of the same name, type byte and name of each packet.
macro_rules! packets {
    (
        fields { $( $name:ident = $id:literal, $wire_name:literal; )+ }
        bare { $( $(#[$bare_meta:meta])* $bare:ident = $bare_id:literal, $bare_name:literal; )+ }
    ) => {
        /// One packet, without its channel.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Packet {
            $(
                #[doc = concat!("`", $wire_name, "`")]
                $name($name),
            )+
            $( $(#[$bare_meta])* $bare, )+
        }

        impl Packet {
            /// The name in the protocol, for logs.
            pub fn name(&self) -> &'static str {
                match self {
                    $( Self::$name(_) => $wire_name, )+
                    $( Self::$bare => $bare_name, )+
                }
            }

            /// The type byte.
            pub fn packet_type(&self) -> i8 {
                match self {
                    $( Self::$name(_) => $id, )+
                    $( Self::$bare => $bare_id, )+
                }
            }

            /// Reads the fields of a packet of this type; all bytes must be used.
            fn read(
                packet_type: i8,
                channel: i64,
                reader: &mut Reader<'_>,
            ) -> Result<Self, DecodeError> {
                let packet = match packet_type {
                    $( $id => Self::$name(<$name as Wire>::read(reader)?), )+
                    $( $bare_id => Self::$bare, )+
                    _ => return Err(DecodeError::UnknownPacket { packet_type, channel }),
                };
                reader.finish(packet.name())?;
                Ok(packet)
            }

            fn write<S: Sink>(&self, out: &mut S) {
                match self {
                    $( Self::$name(fields) => fields.write(out), )+
                    $( Self::$bare => {} )+
                }
            }
        }

        $(
            impl From<$name> for Packet {
                fn from(fields: $name) -> Self {
                    Self::$name(fields)
                }
            }
        )+
    };
}

packets! {
    fields {
        Ping = 10, "PING";
        Disconnect = 11, "DISCONNECT";
        DisconnectConsumer = 12, "DISCONNECT_CONSUMER";
        DisconnectConsumerKill = 13, "DISCONNECT_CONSUMER_KILL";
        Exception = 20, "EXCEPTION";
        NullResponse = 21, "NULL_RESPONSE";
        PacketsConfirmed = 22, "PACKETS_CONFIRMED";
        CreateSession = 30, "CREATESESSION";
        CreateSessionResponse = 31, "CREATESESSION_RESP";
        ReattachSession = 32, "REATTACH_SESSION";
        ReattachSessionResponse = 33, "REATTACH_SESSION_RESP";
        CreateQueue = 34, "CREATE_QUEUE";
        DeleteQueue = 35, "DELETE_QUEUE";
        CreateSharedQueue = 36, "CREATE_SHARED_QUEUE";
        SessXaFailed = 39, "SESS_XA_FAILED";
        SessCreateConsumer = 40, "SESS_CREATECONSUMER";
        SessAcknowledge = 41, "SESS_ACKNOWLEDGE";
        SessExpired = 42, "SESS_EXPIRED";
        SessCommit = 43, "SESS_COMMIT";
        SessRollback = 44, "SESS_ROLLBACK";
        SessQueueQuery = 45, "SESS_QUEUEQUERY";
        SessBindingQuery = 49, "SESS_BINDINGQUERY";
        SessXaStart = 51, "SESS_XA_START";
        SessXaEnd = 52, "SESS_XA_END";
        SessXaCommit = 53, "SESS_XA_COMMIT";
        SessXaPrepare = 54, "SESS_XA_PREPARE";
        SessXaResponse = 55, "SESS_XA_RESP";
        SessXaRollback = 56, "SESS_XA_ROLLBACK";
        SessXaJoin = 57, "SESS_XA_JOIN";
        SessXaResume = 59, "SESS_XA_RESUME";
        SessXaForget = 60, "SESS_XA_FORGET";
        SessXaInDoubtXidsResponse = 62, "SESS_XA_INDOUBT_XIDS_RESP";
        SessXaSetTimeout = 63, "SESS_XA_SET_TIMEOUT";
        SessXaSetTimeoutResponse = 64, "SESS_XA_SET_TIMEOUT_RESP";
        SessXaGetTimeoutResponse = 66, "SESS_XA_GET_TIMEOUT_RESP";
        SessFlowToken = 70, "SESS_FLOWTOKEN";
        SessSend = 71, "SESS_SEND";
        SessSendLarge = 72, "SESS_SEND_LARGE";
        SessSendContinuation = 73, "SESS_SEND_CONTINUATION";
        SessConsumerClose = 74, "SESS_CONSUMER_CLOSE";
        SessReceiveMessage = 75, "SESS_RECEIVE_MSG";
        SessReceiveLargeMessage = 76, "SESS_RECEIVE_LARGE_MSG";
        SessReceiveContinuation = 77, "SESS_RECEIVE_CONTINUATION";
        SessForceConsumerDelivery = 78, "SESS_FORCE_CONSUMER_DELIVERY";
        SessProducerRequestCredits = 79, "SESS_PRODUCER_REQUEST_CREDITS";
        SessProducerCredits = 80, "SESS_PRODUCER_CREDITS";
        SessIndividualAcknowledge = 81, "SESS_INDIVIDUAL_ACKNOWLEDGE";
        SessProducerFailCredits = 82, "SESS_PRODUCER_FAIL_CREDITS";
        SessAddMetadata = 104, "SESS_ADD_METADATA";
        SessAddMetadata2 = 105, "SESS_ADD_METADATA2";
        SessUniqueAddMetadata = 106, "SESS_UNIQUE_ADD_METADATA";
        ClusterTopology = 110, "CLUSTER_TOPOLOGY";
        SubscribeTopology = 112, "SUBSCRIBE_TOPOLOGY";
        SubscribeTopologyV2 = 113, "SUBSCRIBE_TOPOLOGY_V2";
        ClusterTopologyV2 = 114, "CLUSTER_TOPOLOGY_V2";
        ClusterTopologyV3 = 122, "CLUSTER_TOPOLOGY_V3";
        DisconnectV2 = 124, "DISCONNECT_V2";
        CheckForFailover = -4, "CHECK_FOR_FAILOVER";
        CheckForFailoverReply = -5, "CHECK_FOR_FAILOVER_REPLY";
        CreateAddress = -11, "CREATE_ADDRESS";
        CreateQueueV2 = -12, "CREATE_QUEUE_V2";
        CreateSharedQueueV2 = -13, "CREATE_SHARED_QUEUE_V2";
        SessQueueQueryResponseV3 = -14, "SESS_QUEUEQUERY_RESP_V3";
        ClusterTopologyV4 = -17, "CLUSTER_TOPOLOGY_V4";
        CreateSessionV2 = -18, "CREATESESSION_V2";
        DisconnectV3 = -19, "DISCONNECT_V3";
        CreateProducer = -20, "CREATE_PRODUCER";
        RemoveProducer = -21, "REMOVE_PRODUCER";
        SessBindingQueryResponseV5 = -22, "SESS_BINDINGQUERY_RESP_V5";
    }
    bare {
        /// `SESS_XA_SUSPEND`: the branch that the session works for.
        SessXaSuspend = 58, "SESS_XA_SUSPEND";
        /// `SESS_XA_INDOUBT_XIDS`: answered by `SESS_XA_INDOUBT_XIDS_RESP`.
        SessXaInDoubtXids = 61, "SESS_XA_INDOUBT_XIDS";
        /// `SESS_XA_GET_TIMEOUT`: answered by `SESS_XA_GET_TIMEOUT_RESP`.
        SessXaGetTimeout = 65, "SESS_XA_GET_TIMEOUT";
        /// `SESS_START`: deliveries may begin. Not answered.
        SessStart = 67, "SESS_START";
        /// `SESS_STOP`: deliveries must pause.
        SessStop = 68, "SESS_STOP";
        /// `SESS_CLOSE`: the session ends, and its channel with the answer.
        SessClose = 69, "SESS_CLOSE";
    }
}
