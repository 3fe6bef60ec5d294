//! Sessions: made on channel 1, run and described on a channel of their own.

use super::secret::{Hidden, Secret};
use crate::wire::codecs::{Bool, Int, Long, Nested, Optional, Str};
use crate::wire::wire_struct;

wire_struct! {
    /// CREATESESSION: sent while the client does not know the broker's version yet, and after a failover.
    pub struct CreateSession {
        /// Unique text, by which the client would reattach.
        pub name: String as Str,
        /// The channel that the client has chosen for the session, 10 or greater.
        pub channel: i64 as Long,
        /// The version that the client wants to speak.
        pub version: i32 as Int,
        /// The user's name; absent for an anonymous user.
        pub user: Option<String> as Optional<Str>,
        /// The user's password.
        pub password: Option<Secret> as Optional<Hidden>,
        /// From this body size on the client sends large messages, and wants pieces of this size.
        pub min_large_message_size: i32 as Int,
        /// Whether the session takes part in XA transactions.
        pub xa: bool as Bool,
        /// Whether a sent message counts at once, without a commit.
        pub auto_commit_sends: bool as Bool,
        /// Whether an acknowledgement counts at once, without a commit.
        pub auto_commit_acks: bool as Bool,
        /// Bytes after which received packets are confirmed; -1 for never.
        pub confirmation_window: i32 as Int,
        /// Whether delivery alone acknowledges.
        pub pre_acknowledge: bool as Bool,
        /// The address for messages that name none.
        pub default_address: Option<String> as Optional<Str>,
    }

    /// `CREATESESSION_V2`: the same with the client id, from clients that know the broker's version.
    pub struct CreateSessionV2 {
        /// What CREATESESSION says.
        pub session: CreateSession as Nested,
        /// The JMS client id, once it is known.
        pub client_id: Option<String> as Optional<Str>,
    }

    /// `CREATESESSION_RESP`: the session exists.
    pub struct CreateSessionResponse {
        /// The connection version that the broker speaks.
        pub server_version: i32 as Int,
    }

    /// `REATTACH_SESSION`: the client wants to go on with a session of a lost connection.
    pub struct ReattachSession {
        /// The session's name.
        pub name: String as Str,
        /// The last packet that the client has received, -1 for none.
        pub last_confirmed: i32 as Int,
    }

    /// `REATTACH_SESSION_RESP`.
    pub struct ReattachSessionResponse {
        /// The last packet that the broker has received, -1 if not reattached.
        pub last_confirmed: i32 as Int,
        /// If not, the client makes its sessions anew.
        pub reattached: bool as Bool,
    }

    /// `CHECK_FOR_FAILOVER`: may a client of this node fail over to the receiver?
    pub struct CheckForFailover {
        /// The node that the client has lost.
        pub node_id: Option<String> as Optional<Str>,
    }

    /// `CHECK_FOR_FAILOVER_REPLY`.
    pub struct CheckForFailoverReply {
        /// If not, the client closes the connection and tries again later.
        pub ok: bool as Bool,
    }

    /// `SESS_ADD_METADATA`.
    pub struct SessAddMetadata {
        /// Its name.
        pub key: String as Str,
        /// Its value.
        pub data: String as Str,
    }

    /// `SESS_ADD_METADATA2`.
    pub struct SessAddMetadata2 {
        /// Its name.
        pub key: String as Str,
        /// Its value.
        pub data: String as Str,
        /// Whether an answer is awaited.
        pub requires_confirmation: bool as Bool,
    }

    /// `SESS_UNIQUE_ADD_METADATA`: refused if another session has the same key and value.
    pub struct SessUniqueAddMetadata {
        /// Its name.
        pub key: String as Str,
        /// Its value.
        pub data: String as Str,
        /// Whether an answer is awaited.
        pub requires_confirmation: bool as Bool,
    }
}
