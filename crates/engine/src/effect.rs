//! What the engine wants done: records to append, answers and deliveries to release.
//!
//! ```text
//!   records ──► journal ──► durable up to N ──┐
//!                                             ▼
//!   effects (after ≤ N) ────────────────────► client
//! ```
//! Every effect names in `after` the record it depends on. The driver must not let it out before
//! the gate says that this record is safe (rule 8), and lets effects of one session out in their
//! order: `after` never falls within a session.

use std::fmt;

use bytes::Bytes;
use core_protocol::message::Message;

use crate::config::{RoutingType, RoutingTypes};
use crate::error::EngineError;
use crate::ids::SessionKey;

/// What one or more calls of the engine brought. The driver empties and reuses it.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be appended to the journal in this order.
    pub records: Vec<Record>,
    /// To be carried out in this order, each after its gate.
    pub effects: Vec<Effect>,
}

impl Effects {
    /// No effects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was carried out, keeping the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.effects.clear();
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.effects.is_empty()
    }
}

/// One record of the journal. What is in it concerns only the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which kind of record.
    pub kind: u8,
    /// Its content, beginning with the version of its layout.
    pub payload: Bytes,
}

/// Something that leaves the engine.
///
/// `after` is the number of records emitted in this term up to and with the one the effect depends
/// on, those of [`crate::Engine::finish_recovery`] included; 0 if it depends on none.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The answer to a request.
    Reply {
        /// Who asked.
        session: SessionKey,
        /// The token of the request.
        token: u64,
        /// The answer.
        result: Result<Reply, EngineError>,
        /// The record it depends on.
        after: u64,
    },
    /// A message for a consumer.
    Deliver {
        /// Whose.
        session: SessionKey,
        /// Which consumer of the session.
        consumer: i64,
        /// The message as it was sent; its id is the one below.
        message: Message,
        /// The id to deliver it with and by which it is acknowledged.
        id: i64,
        /// 1 for the first delivery, 0 for browsers.
        delivery_count: i32,
        /// The record it depends on.
        after: u64,
    },
    /// The marker that follows everything deliverable.
    ForcedDelivery {
        /// Whose.
        session: SessionKey,
        /// Which consumer of the session.
        consumer: i64,
        /// As in the request.
        sequence: i64,
        /// A message id of its own.
        id: i64,
        /// The queue's name, which is the marker's address.
        queue: String,
        /// The record it depends on.
        after: u64,
    },
    /// A consumer ended because its queue went away.
    ConsumerClosed {
        /// Whose.
        session: SessionKey,
        /// Which consumer of the session.
        consumer: i64,
        /// The record it depends on.
        after: u64,
    },
    /// Permission to send.
    ProducerCredits {
        /// Who asked.
        session: SessionKey,
        /// The address as in the request.
        address: String,
        /// How many bytes.
        credits: i32,
        /// Whether this says that the address is full and will stay so.
        fail: bool,
        /// The record it depends on.
        after: u64,
    },
    /// A message sent to the management address by someone who may do so. Answers are sent by the
    /// driver like any other message, from a session of its own.
    ManagementRequest {
        /// Who asks.
        session: SessionKey,
        /// What.
        message: Message,
        /// The record it depends on.
        after: u64,
    },
    /// Something a person should find in the log.
    Notice(Notice),
}

/// Answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It is done.
    Done,
    /// The state of a queue.
    Queue(Box<QueueInfo>),
    /// The state of an address.
    Binding(Box<BindingInfo>),
}

/// All a client can learn about a queue, also when there is none of that name.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of the wire's packet"
)]
#[expect(
    missing_docs,
    reason = "the fields are those of the wire's packet, in its order"
)]
pub struct QueueInfo {
    pub exists: bool,
    pub durable: bool,
    pub temporary: bool,
    pub consumer_count: i32,
    pub message_count: i64,
    pub filter: Option<String>,
    pub address: String,
    pub name: String,
    pub auto_create_queues: bool,
    pub auto_created: bool,
    pub purge_on_no_consumers: bool,
    pub routing_type: RoutingType,
    pub max_consumers: i32,
    pub exclusive: Option<bool>,
    pub last_value: Option<bool>,
    pub default_consumer_window_size: Option<i32>,
    pub last_value_key: Option<String>,
    pub non_destructive: Option<bool>,
    pub consumers_before_dispatch: Option<i32>,
    pub delay_before_dispatch_ms: Option<i64>,
    pub group_rebalance: Option<bool>,
    pub group_buckets: Option<i32>,
    pub auto_delete: Option<bool>,
    pub auto_delete_delay_ms: Option<i64>,
    pub auto_delete_message_count: Option<i64>,
    pub group_first_key: Option<String>,
    pub ring_size: Option<i64>,
    pub enabled: Option<bool>,
    pub group_rebalance_pause_dispatch: Option<bool>,
    pub configuration_managed: Option<bool>,
}

/// All a client can learn about an address, also when there is none of that name.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of the wire's packet"
)]
#[expect(
    missing_docs,
    reason = "the fields are those of the wire's packet, in its order"
)]
pub struct BindingInfo {
    pub exists: bool,
    pub queues: Vec<String>,
    pub auto_create_queues: bool,
    pub auto_create_addresses: bool,
    pub default_purge_on_no_consumers: bool,
    pub default_max_consumers: i32,
    pub default_exclusive: Option<bool>,
    pub default_last_value: Option<bool>,
    pub default_last_value_key: Option<String>,
    pub default_non_destructive: Option<bool>,
    pub default_consumers_before_dispatch: Option<i32>,
    pub default_delay_before_dispatch_ms: Option<i64>,
    pub routing_types: RoutingTypes,
}

/// What a person should know. The text is its `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are explained by the text of each")]
pub enum Notice {
    /// A request that nobody waits for was refused.
    Refused {
        session: SessionKey,
        request: &'static str,
        error: EngineError,
    },
    /// A message was delivered as often as it may be and there is no place for it.
    DroppedAfterAttempts {
        queue: String,
        message_id: i64,
        attempts: u32,
        address: Option<String>,
    },
    /// A message was delivered as often as it may be and went to the dead letter address.
    DeadLettered {
        queue: String,
        message_id: i64,
        attempts: u32,
        address: String,
    },
    /// A message expired and there is no place for it.
    Expired {
        queue: String,
        message_id: i64,
        address: Option<String>,
    },
    /// A configured queue exists with another address, routing type or filter, which stays.
    ConfigurationIgnored { queue: String, what: &'static str },
    /// A configured queue cannot be created.
    ConfiguredFilterInvalid { queue: String, reason: String },
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                session,
                request,
                error,
            } => {
                write!(formatter, "session {session}: {request} refused: {error}")
            }
            Self::DroppedAfterAttempts {
                queue,
                message_id,
                attempts,
                address: None,
            } => write!(
                formatter,
                "AMQ222150: dropped message {message_id} of queue {queue} after {attempts} \
                 deliveries: no dead-letter-address is set"
            ),
            Self::DroppedAfterAttempts {
                queue,
                message_id,
                attempts,
                address: Some(address),
            } => {
                write!(
                    formatter,
                    "AMQ222148: dropped message {message_id} of queue {queue} after {attempts} \
                     deliveries: dead letter address {address} has no queue"
                )
            }
            Self::DeadLettered {
                queue,
                message_id,
                attempts,
                address,
            } => write!(
                formatter,
                "AMQ222149: moved message {message_id} of queue {queue} to dead letter address \
                 {address} after {attempts} deliveries"
            ),
            Self::Expired {
                queue,
                message_id,
                address: None,
            } => write!(
                formatter,
                "AMQ222147: dropped expired message {message_id} of queue {queue}: no \
                 expiry-address is set"
            ),
            Self::Expired {
                queue,
                message_id,
                address: Some(address),
            } => write!(
                formatter,
                "AMQ222146: dropped expired message {message_id} of queue {queue}: expiry \
                 address {address} has no queue"
            ),
            Self::ConfigurationIgnored { queue, what } => write!(
                formatter,
                "queue {queue} exists with another {what} than configured; it keeps its own: \
                 delete the queue to apply the configuration"
            ),
            Self::ConfiguredFilterInvalid { queue, reason } => {
                write!(
                    formatter,
                    "configured queue {queue} is not created: invalid filter: {reason}"
                )
            }
        }
    }
}
