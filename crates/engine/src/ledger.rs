//! What the journal says: the state that its records add up to, and nothing else.
//!
//! Every record goes through here, when it is emitted and when it is replayed, so a term knows at
//! every moment what its successor will find. Two things are made of that: the queues with which a
//! term begins, and the records that say again what is still true, so that the old ones can go.
//!
//! # Why old records may be deleted
//! Each record has a *place*, its ordinal in everything replayed and emitted. Compaction is this:
//!
//! 1. A `Restating` record is emitted, the *mark*; its driver makes it the first of a file. In the
//!    same go all addresses and queues are said again.
//! 2. Then, in slices between which other records are emitted, every message and remembered
//!    duplicate whose place is before the mark is said again and gets its new place by that.
//! 3. When none is left, `Restated` is emitted. Once that record has passed the gate, the driver
//!    deletes the files before the mark. It never deletes any other file, so what is left of a
//!    journal is always a suffix that begins with a mark.
//!
//! Claim: reading the suffix gives what reading everything gives.
//! - *Nothing is lost.* What is true at the end and was recorded behind the mark is in the suffix.
//!   What was recorded before it was either said again in step 2, or had ceased to be true before
//!   its turn came, and things do not become true again: ids are never used twice. Names of
//!   addresses are, but creating one again is a record behind the mark.
//! - *Nothing comes back.* The record that makes something untrue (a removal, a deletion) always
//!   stands behind the one that made it true, and behind each that said it again, because only what
//!   is true is said again. As only prefixes are deleted, it is still there as long as any of
//!   those is. In the suffix it may find nothing to remove; then it is ignored.
//! - *The order stays.* A message's place in its queue follows from its priority and id, a
//!   duplicate's from its message's id, not from the order of the records.
//! - *A crash anywhere* leaves either all files (the mark and what follows it say what is known
//!   already and change nothing) or, once the `Restated` record is durable, any part of those
//!   before the mark, of which none is read any more.
//!
//! A journal that begins with a mark is told by its first record; only in such a one is the removal
//! of something unknown no error.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::config::{RoutingType, RoutingTypes};
use crate::ids::QueueId;
use crate::record::{Change, DeliveryCount, Holder, MessageRestated, QueueRecord, RecordBody};
use crate::recovery::RecoverError;

/// Bytes a message takes in the journal beside its block, about.
const MESSAGE_OVERHEAD_BYTES: u64 = 64;
/// Bytes each queue that has a message takes in its record, about.
const HOLDER_BYTES: u64 = 9;
/// Bytes an address or a queue takes in the journal, about.
const RESOURCE_BYTES: u64 = 256;

/// The sum of all records.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Records so far, those of earlier terms that were read included.
    place: u64,
    /// Whether the first record was a mark: what stood before it is gone.
    begins_with_mark: bool,
    /// Whether records may be missing anywhere, so that what is left of a damaged journal can be read.
    tolerant: bool,
    pub(crate) addresses: BTreeMap<String, AddressEntry>,
    pub(crate) queues: BTreeMap<QueueId, QueueEntry>,
    pub(crate) messages: BTreeMap<i64, MessageEntry>,
    /// Those of which more is recorded than that they are there.
    returned: BTreeMap<(i64, QueueId), Returned>,
    message_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressEntry {
    pub(crate) routing_types: RoutingTypes,
    pub(crate) auto_created: bool,
}

#[derive(Debug)]
pub(crate) struct QueueEntry {
    pub(crate) attributes: QueueRecord,
    messages: BTreeSet<i64>,
}

#[derive(Debug)]
pub(crate) struct MessageEntry {
    /// Of the newest record that says that it is there.
    place: u64,
    queues: Queues,
    pub(crate) block: Bytes,
}

/// The queues that have a message: nearly always one, and there may be millions of messages.
#[derive(Debug)]
enum Queues {
    One(QueueId),
    Many(Vec<QueueId>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Returned {
    count: u32,
    scheduled_ms: u64,
}

impl Ledger {
    /// Takes in one record; an error if it cannot follow the ones before it.
    pub(crate) fn apply(&mut self, body: &RecordBody) -> Result<(), RecoverError> {
        self.place += 1;
        match body {
            RecordBody::AddressCreated {
                name,
                routing_types,
                auto_created,
            } => {
                let entry = self.addresses.entry(name.clone()).or_insert(AddressEntry {
                    routing_types: *routing_types,
                    auto_created: *auto_created,
                });
                entry.routing_types = *routing_types;
                Ok(())
            }
            RecordBody::AddressDeleted { name } => match self.addresses.remove(name) {
                Some(_) => Ok(()),
                None if self.tolerant => Ok(()),
                None => Err(RecoverError::UnknownAddress { name: name.clone() }),
            },
            RecordBody::QueueCreated(attributes) => {
                if let Some(made_up) = self.queues.get_mut(&attributes.queue) {
                    if self.tolerant {
                        made_up.attributes = attributes.as_ref().clone();
                        return Ok(());
                    }
                    return Err(RecoverError::QueueExists {
                        queue: attributes.name.clone(),
                    });
                }
                self.add_queue(attributes)
            }
            RecordBody::QueueRestated(attributes) => {
                if let Some(known) = self.queues.get_mut(&attributes.queue) {
                    if self.tolerant {
                        known.attributes = attributes.as_ref().clone();
                    }
                    return Ok(());
                }
                self.add_queue(attributes)
            }
            RecordBody::QueueDeleted { queue } => self.delete_queue(*queue),
            RecordBody::Change(change) => self.change(change),
            RecordBody::Transaction(changes) => {
                changes.iter().try_for_each(|change| self.change(change))
            }
            RecordBody::DeliveryCounts { queue, entries } => entries
                .iter()
                .try_for_each(|entry| self.deliver(*queue, *entry)),
            RecordBody::MessageRestated(message) => self.restated(message),
            RecordBody::Restating => {
                self.begins_with_mark |= self.place == 1;
                Ok(())
            }
            // Duplicates are remembered beside the ledger, with those of messages without a record.
            RecordBody::DuplicatesRestated(_) | RecordBody::Restated => Ok(()),
        }
    }

    pub(crate) fn tolerate_gaps(&mut self) {
        self.tolerant = true;
        self.begins_with_mark = true;
    }

    /// The place of the newest record.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// What saying everything again would take, about.
    pub(crate) fn live_bytes(&self) -> u64 {
        let resources = self.addresses.len() + self.queues.len();
        self.message_bytes + resources as u64 * RESOURCE_BYTES
    }

    /// What is recorded of a message in each queue that has it.
    pub(crate) fn holders(&self, id: i64, entry: &MessageEntry) -> Vec<Holder> {
        let holder = |queue: &QueueId| {
            let returned = if self.returned.is_empty() {
                Returned::default()
            } else {
                self.returned
                    .get(&(id, *queue))
                    .copied()
                    .unwrap_or_default()
            };
            Holder {
                queue: *queue,
                count: returned.count,
                scheduled_ms: returned.scheduled_ms,
            }
        };
        entry.queues.as_slice().iter().map(holder).collect()
    }

    /// Says addresses and queues again.
    pub(crate) fn restate_resources(&self) -> Vec<RecordBody> {
        let addresses = self
            .addresses
            .iter()
            .map(|(name, address)| RecordBody::AddressCreated {
                name: name.clone(),
                routing_types: address.routing_types,
                auto_created: address.auto_created,
            });
        let queues = self
            .queues
            .values()
            .map(|queue| RecordBody::QueueRestated(Box::new(queue.attributes.clone())));
        addresses.chain(queues).collect()
    }

    /// The highest id of a message that is there.
    pub(crate) fn newest_message(&self) -> i64 {
        self.messages
            .last_key_value()
            .map_or(i64::MIN, |(id, _)| *id)
    }

    /// Says messages again whose place is before `mark`, with ids in `ids`, until `bytes` are used
    /// up or `looks` messages were looked at. Also answers with the id to go on from; nothing
    /// when there is none left.
    pub(crate) fn restate_messages(
        &self,
        mark: u64,
        ids: RangeInclusive<i64>,
        mut bytes: usize,
        looks: usize,
    ) -> (Vec<RecordBody>, Option<i64>) {
        let mut bodies = Vec::new();
        if ids.is_empty() {
            return (bodies, None);
        }
        let mut range = self.messages.range(ids);
        for (id, entry) in range.by_ref().take(looks) {
            if entry.place >= mark {
                continue;
            }
            bodies.push(RecordBody::MessageRestated(Box::new(MessageRestated {
                id: *id,
                holders: self.holders(*id, entry),
                block: entry.block.clone(),
            })));
            bytes = bytes.saturating_sub(usize::try_from(entry.bytes()).unwrap_or(usize::MAX));
            if bytes == 0 {
                break;
            }
        }
        (bodies, range.next().map(|(id, _)| *id))
    }

    fn add_queue(&mut self, attributes: &QueueRecord) -> Result<(), RecoverError> {
        if self.tolerant {
            self.make_up_address(attributes);
        }
        if !self.addresses.contains_key(&attributes.address) {
            return Err(RecoverError::UnknownAddress {
                name: attributes.address.clone(),
            });
        }
        let entry = QueueEntry {
            attributes: attributes.clone(),
            messages: BTreeSet::new(),
        };
        self.queues.insert(attributes.queue, entry);
        Ok(())
    }

    fn delete_queue(&mut self, queue: QueueId) -> Result<(), RecoverError> {
        let Some(entry) = self.queues.remove(&queue) else {
            if self.tolerant {
                return Ok(());
            }
            return Err(RecoverError::UnknownQueue { queue });
        };
        for id in entry.messages {
            self.leave(queue, id);
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), RecoverError> {
        match change {
            Change::Added {
                id,
                queues,
                scheduled_ms,
                block,
            } => {
                let returned = Returned {
                    count: 0,
                    scheduled_ms: *scheduled_ms,
                };
                let holders = queues.iter().map(|queue| (*queue, returned));
                if self.messages.contains_key(id) {
                    if self.tolerant {
                        return Ok(());
                    }
                    let queue = queues.first().copied().unwrap_or(QueueId(0));
                    return Err(RecoverError::MessageExists { queue, id: *id });
                }
                self.insert(*id, holders, block)
            }
            Change::Removed { queue, ids } => {
                for id in ids {
                    let there = self
                        .queues
                        .get_mut(queue)
                        .is_some_and(|entry| entry.messages.remove(id));
                    if there {
                        self.leave(*queue, *id);
                    } else if !self.begins_with_mark {
                        return Err(RecoverError::UnknownMessage {
                            queue: *queue,
                            id: *id,
                        });
                    }
                }
                Ok(())
            }
        }
    }

    fn restated(&mut self, message: &MessageRestated) -> Result<(), RecoverError> {
        if let Some(entry) = self.messages.get_mut(&message.id) {
            // Known, with everything that it says.
            entry.place = self.place;
            return Ok(());
        }
        let holders = message.holders.iter().map(|holder| {
            let returned = Returned {
                count: holder.count,
                scheduled_ms: holder.scheduled_ms,
            };
            (holder.queue, returned)
        });
        self.insert(message.id, holders, &message.block)
    }

    fn insert(
        &mut self,
        id: i64,
        holders: impl ExactSizeIterator<Item = (QueueId, Returned)>,
        block: &Bytes,
    ) -> Result<(), RecoverError> {
        let many = holders.len() > 1;
        let mut all = Vec::new();
        let mut one = None;
        for (queue, returned) in holders {
            if self.tolerant && !self.queues.contains_key(&queue) {
                self.make_up_queue(queue)?;
            }
            let Some(entry) = self.queues.get_mut(&queue) else {
                return Err(RecoverError::UnknownQueue { queue });
            };
            if !entry.messages.insert(id) {
                return Err(RecoverError::MessageExists { queue, id });
            }
            if returned.count != 0 || returned.scheduled_ms != 0 {
                self.returned.insert((id, queue), returned);
            }
            one = Some(queue);
            if many {
                all.push(queue);
            }
        }
        let queues = match one {
            None => return Ok(()),
            Some(_) if many => Queues::Many(all),
            Some(queue) => Queues::One(queue),
        };
        let entry = MessageEntry {
            place: self.place,
            queues,
            block: block.clone(),
        };
        self.message_bytes += entry.bytes();
        self.messages.insert(id, entry);
        Ok(())
    }

    fn make_up_address(&mut self, queue: &QueueRecord) {
        let address = self
            .addresses
            .entry(queue.address.clone())
            .or_insert(AddressEntry {
                routing_types: RoutingTypes {
                    anycast: false,
                    multicast: false,
                },
                auto_created: false,
            });
        match queue.routing_type {
            RoutingType::Anycast => address.routing_types.anycast = true,
            RoutingType::Multicast => address.routing_types.multicast = true,
        }
    }

    /// A queue whose creation cannot be read, so that its messages have a place.
    fn make_up_queue(&mut self, queue: QueueId) -> Result<(), RecoverError> {
        let name = format!("salvaged.{}", queue.0);
        self.add_queue(&QueueRecord {
            queue,
            address: name.clone(),
            name,
            routing_type: RoutingType::Anycast,
            filter: None,
            max_consumers: -1,
            purge_on_no_consumers: false,
            exclusive: false,
            enabled: true,
            auto_created: false,
            auto_delete: false,
            auto_delete_delay_ms: 0,
            auto_delete_message_count: 0,
        })
    }

    /// A message is no longer in a queue, which has forgotten it already.
    fn leave(&mut self, queue: QueueId, id: i64) {
        if !self.returned.is_empty() {
            self.returned.remove(&(id, queue));
        }
        let Some(entry) = self.messages.get_mut(&id) else {
            return;
        };
        let before = entry.bytes();
        if let Queues::Many(queues) = &mut entry.queues {
            queues.retain(|other| *other != queue);
            if !queues.is_empty() {
                self.message_bytes -= before - entry.bytes();
                return;
            }
        }
        self.message_bytes = self.message_bytes.saturating_sub(before);
        self.messages.remove(&id);
    }

    fn deliver(&mut self, queue: QueueId, entry: DeliveryCount) -> Result<(), RecoverError> {
        let DeliveryCount {
            id,
            count,
            scheduled_ms,
        } = entry;
        let there = self
            .queues
            .get(&queue)
            .is_some_and(|entry| entry.messages.contains(&id));
        if there {
            let returned = Returned {
                count,
                scheduled_ms,
            };
            self.returned.insert((id, queue), returned);
            return Ok(());
        }
        if self.begins_with_mark {
            // It is said again, with this count, further on; or it was removed before that.
            return Ok(());
        }
        Err(RecoverError::UnknownMessage { queue, id })
    }
}

impl MessageEntry {
    /// What its record takes, about.
    fn bytes(&self) -> u64 {
        let holders = self.queues.as_slice().len() as u64;
        self.block.len() as u64 + MESSAGE_OVERHEAD_BYTES + holders * HOLDER_BYTES
    }
}

impl Queues {
    fn as_slice(&self) -> &[QueueId] {
        match self {
            Self::One(queue) => std::slice::from_ref(queue),
            Self::Many(queues) => queues,
        }
    }
}
