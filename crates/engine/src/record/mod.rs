//! What the engine writes to the journal: one kind of record per durable change.
//!
//! ```text
//!   record  = kind (outside), payload
//!   payload = version of the layout of this kind, fields
//! ```
//! Replayed in order they rebuild the durable queues and messages; what is not durable never gets
//! here. A change that must happen as a whole is one record. A kind or version that is not known
//! is an error: guessing would lose messages.

mod primitives;
mod restated;

use bytes::Bytes;
use thiserror::Error;

use crate::config::{RoutingType, RoutingTypes};
use crate::effect::Record;
use crate::ids::QueueId;
use primitives::{Reader, Writer};
pub(crate) use restated::{DuplicatesRestated, Holder, MessageRestated};

const ADDRESS_CREATED: u8 = 1;
const ADDRESS_DELETED: u8 = 2;
const QUEUE_CREATED: u8 = 3;
const QUEUE_DELETED: u8 = 4;
const MESSAGE_ADDED: u8 = 5;
const MESSAGES_REMOVED: u8 = 6;
const TRANSACTION: u8 = 7;
const DELIVERY_COUNTS: u8 = 8;
const RESTATING: u8 = 9;
const QUEUE_RESTATED: u8 = 10;
const MESSAGE_RESTATED: u8 = 11;
const DUPLICATES_RESTATED: u8 = 12;
const RESTATED: u8 = 13;

/// The version of every layout; each kind may get a higher one of its own.
const VERSION: u8 = 1;

/// What a kind of record is called; nothing if there is none of this number.
pub fn record_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        ADDRESS_CREATED => "address-created",
        ADDRESS_DELETED => "address-deleted",
        QUEUE_CREATED => "queue-created",
        QUEUE_DELETED => "queue-deleted",
        MESSAGE_ADDED => "message-added",
        MESSAGES_REMOVED => "messages-removed",
        TRANSACTION => "transaction",
        DELIVERY_COUNTS => "delivery-counts",
        RESTATING => "restating",
        QUEUE_RESTATED => "queue-restated",
        MESSAGE_RESTATED => "message-restated",
        DUPLICATES_RESTATED => "duplicates-restated",
        RESTATED => "restated",
        _ => return None,
    })
}

/// Why a payload is not the record it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum RecordError {
    #[error("record kind {kind} is unknown; it was written by a newer version")]
    UnknownKind { kind: u8 },
    #[error("version {version} of record kind {kind} is unknown; a newer version wrote it")]
    UnknownVersion { kind: u8, version: u8 },
    #[error("the record ends in the middle of a field")]
    UnexpectedEnd,
    #[error("the record has {count} bytes too many")]
    TrailingBytes { count: usize },
    #[error("the record contains a number that does not fit its field")]
    BadNumber,
    #[error("the record contains a text that is not UTF-8")]
    BadText,
    #[error("the record contains {value} where only 0 and 1 make sense")]
    BadFlag { value: u8 },
}

/// A record, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordBody {
    /// An address exists from now on, or has these routing types from now on.
    AddressCreated {
        name: String,
        routing_types: RoutingTypes,
        auto_created: bool,
    },
    AddressDeleted {
        name: String,
    },
    QueueCreated(Box<QueueRecord>),
    /// The queue is gone with all its messages.
    QueueDeleted {
        queue: QueueId,
    },
    /// One change to messages.
    Change(Change),
    /// Several, all or none.
    Transaction(Vec<Change>),
    /// Messages came back to their queue.
    DeliveryCounts {
        queue: QueueId,
        entries: Vec<DeliveryCount>,
    },
    /// From here on what is still true is said again; addresses and queues follow at once. A journal
    /// whose older files were deleted begins with this.
    Restating,
    /// A queue that exists already, unless its older record is gone.
    QueueRestated(Box<QueueRecord>),
    /// A message that is there already, unless its older record is gone.
    MessageRestated(Box<MessageRestated>),
    /// Ids that are remembered already, unless their older records are gone.
    DuplicatesRestated(DuplicatesRestated),
    /// Everything older than the last mark has been said again.
    Restated,
}

/// A durable queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "attributes of the queue, set one by one"
)]
pub(crate) struct QueueRecord {
    pub(crate) queue: QueueId,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) routing_type: RoutingType,
    pub(crate) filter: Option<String>,
    pub(crate) max_consumers: i32,
    pub(crate) purge_on_no_consumers: bool,
    pub(crate) exclusive: bool,
    pub(crate) enabled: bool,
    pub(crate) auto_created: bool,
    pub(crate) auto_delete: bool,
    pub(crate) auto_delete_delay_ms: i64,
    pub(crate) auto_delete_message_count: i64,
}

/// A change to the messages of queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A message entered queues.
    Added {
        id: i64,
        queues: Vec<QueueId>,
        /// 0: deliverable at once.
        scheduled_ms: u64,
        block: Bytes,
    },
    /// Messages left a queue.
    Removed { queue: QueueId, ids: Vec<i64> },
}

/// How often a message was delivered, and when it may be delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeliveryCount {
    pub(crate) id: i64,
    pub(crate) count: u32,
    /// 0: at once.
    pub(crate) scheduled_ms: u64,
}

impl RecordBody {
    pub(crate) fn encode(&self) -> Record {
        let (kind, mut out) = match self {
            Self::AddressCreated { .. } => (ADDRESS_CREATED, Writer::with_capacity(64)),
            Self::AddressDeleted { .. } => (ADDRESS_DELETED, Writer::with_capacity(64)),
            Self::QueueCreated(_) => (QUEUE_CREATED, Writer::with_capacity(128)),
            Self::QueueDeleted { .. } => (QUEUE_DELETED, Writer::with_capacity(16)),
            Self::Change(change @ Change::Added { .. }) => {
                (MESSAGE_ADDED, Writer::with_capacity(change.size_hint()))
            }
            Self::Change(change @ Change::Removed { .. }) => {
                (MESSAGES_REMOVED, Writer::with_capacity(change.size_hint()))
            }
            Self::Transaction(changes) => {
                let size = changes.iter().map(Change::size_hint).sum::<usize>();
                (TRANSACTION, Writer::with_capacity(size + 16))
            }
            Self::DeliveryCounts { entries, .. } => (
                DELIVERY_COUNTS,
                Writer::with_capacity(16 + entries.len() * 20),
            ),
            Self::Restating => (RESTATING, Writer::with_capacity(1)),
            Self::QueueRestated(_) => (QUEUE_RESTATED, Writer::with_capacity(128)),
            Self::MessageRestated(message) => {
                (MESSAGE_RESTATED, Writer::with_capacity(message.size_hint()))
            }
            Self::DuplicatesRestated(ids) => {
                (DUPLICATES_RESTATED, Writer::with_capacity(ids.size_hint()))
            }
            Self::Restated => (RESTATED, Writer::with_capacity(1)),
        };
        out.byte(VERSION);
        self.write(&mut out);
        Record {
            kind,
            payload: out.finish(),
        }
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Self::AddressCreated {
                name,
                routing_types,
                auto_created,
            } => {
                out.text(name);
                out.byte(
                    flag(routing_types.anycast, 1)
                        | flag(routing_types.multicast, 2)
                        | flag(*auto_created, 4),
                );
            }
            Self::AddressDeleted { name } => out.text(name),
            Self::QueueCreated(queue) | Self::QueueRestated(queue) => queue.write(out),
            Self::QueueDeleted { queue } => out.signed(queue.0),
            Self::Change(change) => change.write(out),
            Self::Transaction(changes) => {
                out.number(changes.len() as u64);
                for change in changes {
                    out.byte(match change {
                        Change::Added { .. } => MESSAGE_ADDED,
                        Change::Removed { .. } => MESSAGES_REMOVED,
                    });
                    change.write(out);
                }
            }
            Self::DeliveryCounts { queue, entries } => {
                out.signed(queue.0);
                out.number(entries.len() as u64);
                for entry in entries {
                    out.signed(entry.id);
                    out.number(u64::from(entry.count));
                    out.number(entry.scheduled_ms);
                }
            }
            Self::Restating | Self::Restated => {}
            Self::MessageRestated(message) => message.write(out),
            Self::DuplicatesRestated(ids) => ids.write(out),
        }
    }

    pub(crate) fn decode(kind: u8, payload: Bytes) -> Result<Self, RecordError> {
        if !(ADDRESS_CREATED..=RESTATED).contains(&kind) {
            return Err(RecordError::UnknownKind { kind });
        }
        let mut input = Reader::new(payload);
        let version = input.byte()?;
        if version != VERSION {
            return Err(RecordError::UnknownVersion { kind, version });
        }
        let body = Self::read(kind, &mut input)?;
        input.finish()?;
        Ok(body)
    }

    fn read(kind: u8, input: &mut Reader) -> Result<Self, RecordError> {
        Ok(match kind {
            ADDRESS_CREATED => {
                let name = input.text()?;
                let flags = flags(input, 0b111)?;
                let routing_types = RoutingTypes {
                    anycast: flags & 1 != 0,
                    multicast: flags & 2 != 0,
                };
                Self::AddressCreated {
                    name,
                    routing_types,
                    auto_created: flags & 4 != 0,
                }
            }
            ADDRESS_DELETED => Self::AddressDeleted {
                name: input.text()?,
            },
            QUEUE_CREATED => Self::QueueCreated(Box::new(QueueRecord::read(input)?)),
            QUEUE_DELETED => Self::QueueDeleted {
                queue: QueueId(input.signed()?),
            },
            MESSAGE_ADDED | MESSAGES_REMOVED => Self::Change(Change::read(kind, input)?),
            TRANSACTION => {
                let count = input.count()?;
                let mut changes = Vec::with_capacity(count);
                for _ in 0..count {
                    let kind = input.byte()?;
                    changes.push(Change::read(kind, input)?);
                }
                Self::Transaction(changes)
            }
            DELIVERY_COUNTS => {
                let queue = QueueId(input.signed()?);
                let count = input.count()?;
                let mut entries = Vec::with_capacity(count);
                for _ in 0..count {
                    entries.push(DeliveryCount {
                        id: input.signed()?,
                        count: narrow(input.number()?)?,
                        scheduled_ms: input.number()?,
                    });
                }
                Self::DeliveryCounts { queue, entries }
            }
            RESTATING => Self::Restating,
            QUEUE_RESTATED => Self::QueueRestated(Box::new(QueueRecord::read(input)?)),
            MESSAGE_RESTATED => Self::MessageRestated(Box::new(MessageRestated::read(input)?)),
            DUPLICATES_RESTATED => Self::DuplicatesRestated(DuplicatesRestated::read(input)?),
            RESTATED => Self::Restated,
            kind => return Err(RecordError::UnknownKind { kind }),
        })
    }
}

impl QueueRecord {
    fn write(&self, out: &mut Writer) {
        out.signed(self.queue.0);
        out.text(&self.name);
        out.text(&self.address);
        out.byte(
            flag(self.routing_type == RoutingType::Anycast, 1)
                | flag(self.purge_on_no_consumers, 2)
                | flag(self.exclusive, 4)
                | flag(self.enabled, 8)
                | flag(self.auto_created, 16)
                | flag(self.auto_delete, 32),
        );
        out.optional_text(self.filter.as_deref());
        out.signed(i64::from(self.max_consumers));
        out.signed(self.auto_delete_delay_ms);
        out.signed(self.auto_delete_message_count);
    }

    fn read(input: &mut Reader) -> Result<Self, RecordError> {
        let queue = QueueId(input.signed()?);
        let name = input.text()?;
        let address = input.text()?;
        let flags = flags(input, 0b11_1111)?;
        Ok(Self {
            queue,
            name,
            address,
            routing_type: if flags & 1 == 0 {
                RoutingType::Multicast
            } else {
                RoutingType::Anycast
            },
            purge_on_no_consumers: flags & 2 != 0,
            exclusive: flags & 4 != 0,
            enabled: flags & 8 != 0,
            auto_created: flags & 16 != 0,
            auto_delete: flags & 32 != 0,
            filter: input.optional_text()?,
            max_consumers: narrow(input.signed()?)?,
            auto_delete_delay_ms: input.signed()?,
            auto_delete_message_count: input.signed()?,
        })
    }
}

impl Change {
    /// Enough room for the fixed fields, so that encoding allocates once.
    fn size_hint(&self) -> usize {
        match self {
            Self::Added { queues, block, .. } => 48 + queues.len() * 10 + block.len(),
            Self::Removed { ids, .. } => 24 + ids.len() * 10,
        }
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Self::Added {
                id,
                queues,
                scheduled_ms,
                block,
            } => {
                out.signed(*id);
                out.number(queues.len() as u64);
                for queue in queues {
                    out.signed(queue.0);
                }
                out.number(*scheduled_ms);
                out.block(block);
            }
            Self::Removed { queue, ids } => {
                out.signed(queue.0);
                out.number(ids.len() as u64);
                for id in ids {
                    out.signed(*id);
                }
            }
        }
    }

    fn read(kind: u8, input: &mut Reader) -> Result<Self, RecordError> {
        match kind {
            MESSAGE_ADDED => {
                let id = input.signed()?;
                let count = input.count()?;
                let mut queues = Vec::with_capacity(count);
                for _ in 0..count {
                    queues.push(QueueId(input.signed()?));
                }
                Ok(Self::Added {
                    id,
                    queues,
                    scheduled_ms: input.number()?,
                    block: input.block()?,
                })
            }
            MESSAGES_REMOVED => {
                let queue = QueueId(input.signed()?);
                let count = input.count()?;
                let mut ids = Vec::with_capacity(count);
                for _ in 0..count {
                    ids.push(input.signed()?);
                }
                Ok(Self::Removed { queue, ids })
            }
            kind => Err(RecordError::UnknownKind { kind }),
        }
    }
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

fn flags(input: &mut Reader, known: u8) -> Result<u8, RecordError> {
    let value = input.byte()?;
    if value & !known != 0 {
        return Err(RecordError::BadFlag { value });
    }
    Ok(value)
}

fn narrow<From, To: TryFrom<From>>(value: From) -> Result<To, RecordError> {
    To::try_from(value).map_err(|_| RecordError::BadNumber)
}

#[cfg(test)]
mod tests;
