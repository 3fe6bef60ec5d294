//! What sessions ask of the engine, one variant per request of a client.
//!
//! The driver translates packets into these and answers back; nothing here knows the wire. Every
//! request carries a token: the answer repeats it. [`NO_REPLY`] says that nobody waits: success is
//! then silent and a failure becomes a [`crate::Effect::Notice`].

use core_protocol::message::Message;

use crate::config::{RoutingType, RoutingTypes};
use crate::ids::{ConnectionKey, SessionKey};

/// The token of a request that nobody waits for.
pub const NO_REPLY: u64 = 0;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The session that asks. Not looked at for [`Command::ConnectionClosed`].
    pub session: SessionKey,
    /// Repeated in the answer; [`NO_REPLY`] if nobody waits.
    pub token: u64,
    /// What is asked.
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// A session begins. It is stopped until [`Command::Start`].
    OpenSession(OpenSession),
    /// A session ends; what it has not committed is rolled back.
    CloseSession {
        /// Whether its connection was lost: the client may have seen every message that was
        /// delivered to it, so delivery counts stay as they are.
        failed: bool,
    },
    /// A connection ended: sessions it still has are closed as failed, and the temporary queues
    /// created through it are deleted.
    ConnectionClosed {
        /// Which one.
        connection: ConnectionKey,
    },
    /// Creates an address, or adds routing types to one that exists.
    CreateAddress {
        /// Its name.
        address: String,
        /// Empty: the address settings decide.
        routing_types: RoutingTypes,
        /// Whether the client does so on its own, not the user.
        auto_created: bool,
    },
    /// Deletes an address that has no queues.
    DeleteAddress {
        /// Its name.
        address: String,
    },
    /// Creates a queue, and its address if need be. A queue of that name must not exist.
    CreateQueue(Box<CreateQueue>),
    /// Creates a queue shared by the consumers of a subscription, unless it exists. Not durable:
    /// it goes away with its last consumer.
    CreateSharedQueue(Box<CreateQueue>),
    /// Deletes a queue without consumers, and all its messages.
    DeleteQueue {
        /// Its name, or `address::name`.
        queue: String,
    },
    /// Asks about a queue; answered by [`crate::Reply::Queue`].
    QueueQuery {
        /// Its name, or `address::name`.
        queue: String,
    },
    /// Asks about an address; answered by [`crate::Reply::Binding`].
    BindingQuery {
        /// Its name, or `name::queue`.
        address: String,
    },
    /// Begins to consume or browse; answered by [`crate::Reply::Queue`].
    CreateConsumer(CreateConsumer),
    /// Ends a consumer; what it has not acknowledged goes back. Unknown ids are fine.
    CloseConsumer {
        /// Which one of the session's.
        consumer: i64,
    },
    /// Gives a consumer credits in bytes. Unknown ids are ignored.
    Credits {
        /// Which one of the session's.
        consumer: i64,
        /// -1: unlimited from now on; 0: takes away what is left.
        credits: i32,
    },
    /// Asks for a marker after everything deliverable. Unknown ids are ignored.
    ForceDelivery {
        /// Which one of the session's.
        consumer: i64,
        /// Repeated in the marker.
        sequence: i64,
    },
    /// Acknowledges a delivered message, or all up to it.
    Acknowledge {
        /// Which one of the session's.
        consumer: i64,
        /// The message delivered to it.
        message_id: i64,
        /// Only this one; otherwise all delivered to the consumer up to and with it.
        individual: bool,
    },
    /// The client found a delivered message expired.
    Expired {
        /// Which one of the session's.
        consumer: i64,
        /// The message delivered to it.
        message_id: i64,
    },
    /// Deliveries may begin.
    Start,
    /// Deliveries pause.
    Stop,
    /// The driver has enough deliveries for the session's connection: no more until
    /// [`Command::Resume`]. Independent of what the client asks with start and stop.
    Pause,
    /// Ends [`Command::Pause`].
    Resume,
    /// Sends a message, at once or with the transaction.
    Send {
        /// What is sent.
        message: Message,
        /// Where to; absent: where the message says.
        address: Option<String>,
    },
    /// Commits the session's transaction.
    Commit,
    /// Rolls the session's transaction back; deliveries not acknowledged come back too.
    Rollback {
        /// Whether the first message each consumer has not acknowledged counts as delivered.
        consider_last_delivered: bool,
    },
    /// Asks for permission to send so many bytes; answered by
    /// [`crate::Effect::ProducerCredits`].
    ProducerCredits {
        /// Where the bytes will be sent, repeated as it is.
        address: String,
        /// How many.
        credits: i32,
    },
    /// Notes a fact about the session.
    AddMetadata {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
        /// Whether no other session may have the same value.
        unique: bool,
    },
}

/// How a session begins.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of the wire's packet"
)]
pub struct OpenSession {
    /// The connection it belongs to.
    pub connection: ConnectionKey,
    /// Who it is, already checked; absent: anonymous.
    pub user: Option<String>,
    /// The roles of that user.
    pub roles: Vec<String>,
    /// The broker's own sessions and those of the cluster user skip permission checks.
    pub bypass_security: bool,
    /// Whether sends take effect at once, not with the transaction.
    pub auto_commit_sends: bool,
    /// Whether acknowledgements take effect at once, not with the transaction.
    pub auto_commit_acks: bool,
    /// Whether messages count as acknowledged when they are delivered.
    pub pre_acknowledge: bool,
}

/// A queue to create.
///
/// Attributes that are `None` come from the address settings. Attributes this engine does not have
/// (last value, non-destructive, ring, groups, dispatch delays) are refused when they ask for
/// something else than the default.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateQueue {
    /// Its address, or `address::queue`.
    pub address: String,
    /// Its name, unique in the broker.
    pub queue: String,
    /// Only messages that match this selector enter it.
    pub filter: Option<String>,
    /// Whether it and its durable messages survive a restart.
    pub durable: bool,
    /// Whether it goes away with the connection that created it.
    pub temporary: bool,
    /// Whether the client creates it on its own, not the user.
    pub auto_created: bool,
    /// Absent: the address settings decide.
    pub routing_type: Option<RoutingType>,
    /// -1: unlimited.
    pub max_consumers: Option<i32>,
    /// Whether it is emptied when its last consumer leaves.
    pub purge_on_no_consumers: Option<bool>,
    /// Whether one consumer gets everything.
    pub exclusive: Option<bool>,
    /// Refused if true.
    pub last_value: Option<bool>,
    /// Refused if given.
    pub last_value_key: Option<String>,
    /// Refused if true.
    pub non_destructive: Option<bool>,
    /// Refused if above 0.
    pub consumers_before_dispatch: Option<i32>,
    /// Refused if 0 or above.
    pub delay_before_dispatch_ms: Option<i64>,
    /// Refused if true.
    pub group_rebalance: Option<bool>,
    /// Refused if 0 or above.
    pub group_buckets: Option<i32>,
    /// Refused if given.
    pub group_first_key: Option<String>,
    /// Whether it goes away when nobody uses it.
    pub auto_delete: Option<bool>,
    /// How long it stays unused.
    pub auto_delete_delay_ms: Option<i64>,
    /// With more messages it stays.
    pub auto_delete_message_count: Option<i64>,
    /// Refused if 0 or above.
    pub ring_size: Option<i64>,
    /// A disabled queue receives no messages.
    pub enabled: Option<bool>,
}

impl CreateQueue {
    /// A durable queue with every other attribute left to the address settings.
    pub fn new(address: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            queue: queue.into(),
            filter: None,
            durable: true,
            temporary: false,
            auto_created: false,
            routing_type: None,
            max_consumers: None,
            purge_on_no_consumers: None,
            exclusive: None,
            last_value: None,
            last_value_key: None,
            non_destructive: None,
            consumers_before_dispatch: None,
            delay_before_dispatch_ms: None,
            group_rebalance: None,
            group_buckets: None,
            group_first_key: None,
            auto_delete: None,
            auto_delete_delay_ms: None,
            auto_delete_message_count: None,
            ring_size: None,
            enabled: None,
        }
    }
}

/// A consumer to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateConsumer {
    /// Its id, chosen by the client, unique in the session.
    pub consumer: i64,
    /// The queue's name, or `address::name`.
    pub queue: String,
    /// Only messages that match this selector are delivered.
    pub filter: Option<String>,
    /// Whether it only looks: nothing is removed, delivery counts are 0.
    pub browse_only: bool,
    /// Consumers of higher priority are served first.
    pub priority: i32,
}
