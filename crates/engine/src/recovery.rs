//! Rebuilding the durable state from the records of earlier terms, and beginning to serve.
//!
//! Records are replayed in their order into the ledger; only what is left at the end becomes queues.
//! A record that does not fit what came before is an error: the journal is damaged or not ours, and
//! serving what is left would lose messages silently.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use core_protocol::DecodeError;
use core_protocol::message::Message;
use thiserror::Error;

use crate::address::split_name;
use crate::config::{AddressConfig, QueueConfig};
use crate::duplicates::{Source, duplicate_id};
use crate::effect::{Effect, Effects, Notice};
use crate::engine::Engine;
use crate::filter::Filter;
use crate::ids::QueueId;
use crate::ledger::AddressEntry;
use crate::queue::{Lifetime, Queue, Scheduled};
use crate::record::{
    Change, DuplicatesRestated, MessageRestated, QueueRecord, RecordBody, RecordError,
};
use crate::stored::{Position, Queued, Stored};

/// Messages that may be gone again before it is worth looking.
const MIN_DECODED: usize = 100_000;

/// Why a record cannot be replayed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum RecoverError {
    #[error("record cannot be read: {0}")]
    Record(#[from] RecordError),
    #[error("message {id} in a record cannot be read: {source}")]
    Message { id: i64, source: DecodeError },
    #[error("queue {queue} in a record has the invalid filter {filter:?}: {reason}")]
    Filter {
        queue: String,
        filter: String,
        reason: String,
    },
    #[error("record mentions address {name}, which no earlier record created")]
    UnknownAddress { name: String },
    #[error("record mentions queue {queue}, which no earlier record created")]
    UnknownQueue { queue: QueueId },
    #[error("record creates queue {queue}, which exists")]
    QueueExists { queue: String },
    #[error("record mentions message {id}, which is not in queue {queue}")]
    UnknownMessage { queue: QueueId, id: i64 },
    #[error("record adds message {id} to queue {queue}, which has it")]
    MessageExists { queue: QueueId, id: i64 },
    #[error("record comes after the engine began to serve")]
    Serving,
}

/// How far an engine is on its way to serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes records of earlier terms.
    Replaying,
    /// Has made its queues of them.
    Replayed,
    Serving,
}

impl Engine {
    /// Replays one record of an earlier term, all of them in their order, before
    /// [`Engine::finish_replay`].
    pub fn recover(&mut self, kind: u8, payload: Bytes) -> Result<(), RecoverError> {
        if self.phase != Phase::Replaying {
            return Err(RecoverError::Serving);
        }
        let mut body = RecordBody::decode(kind, payload)?;
        // Each message is decoded once. What is kept is its own memory, never the record's.
        let known = self.decoded.len();
        match &mut body {
            RecordBody::Change(change) => self.decode(change)?,
            RecordBody::Transaction(changes) => {
                changes
                    .iter_mut()
                    .try_for_each(|change| self.decode(change))?;
            }
            RecordBody::MessageRestated(message) => {
                let MessageRestated { id, block, .. } = message.as_mut();
                if !self.ledger.messages.contains_key(id) {
                    self.decode_block(*id, block)?;
                }
            }
            RecordBody::AddressCreated { .. }
            | RecordBody::AddressDeleted { .. }
            | RecordBody::QueueCreated(_)
            | RecordBody::QueueDeleted { .. }
            | RecordBody::DeliveryCounts { .. }
            | RecordBody::Restating
            | RecordBody::QueueRestated(_)
            | RecordBody::DuplicatesRestated(_)
            | RecordBody::Restated => {}
        }
        self.ledger.apply(&body)?;
        match body {
            RecordBody::AddressDeleted { name } => {
                self.duplicates.remove(&name);
            }
            RecordBody::QueueCreated(attributes) | RecordBody::QueueRestated(attributes) => {
                self.ids.skip(attributes.queue.0);
            }
            RecordBody::Change(_) | RecordBody::Transaction(_) => self.replay_duplicates_of(known),
            RecordBody::DuplicatesRestated(DuplicatesRestated { address, entries }) => {
                self.replay_duplicates(&address, entries);
            }
            RecordBody::AddressCreated { .. }
            | RecordBody::QueueDeleted { .. }
            | RecordBody::DeliveryCounts { .. }
            | RecordBody::MessageRestated(_)
            | RecordBody::Restating
            | RecordBody::Restated => {}
        }
        self.forget_dead();
        Ok(())
    }

    fn decode(&mut self, change: &mut Change) -> Result<(), RecoverError> {
        match change {
            Change::Added { id, block, .. } => self.decode_block(*id, block),
            Change::Removed { .. } => Ok(()),
        }
    }

    /// Decodes a message and lets the record share its memory.
    fn decode_block(&mut self, id: i64, block: &mut Bytes) -> Result<(), RecoverError> {
        self.ids.skip(id);
        let message =
            Message::decode(block).map_err(|source| RecoverError::Message { id, source })?;
        *block = message.block().clone();
        self.decoded.push(Arc::new(Stored::new(id, message, 0)));
        Ok(())
    }

    /// Messages that are gone again are dropped when they have become as many as those that are
    /// there.
    fn forget_dead(&mut self) {
        if self.decoded.len() > 2 * self.ledger.messages.len() + MIN_DECODED {
            let messages = &self.ledger.messages;
            self.decoded
                .retain(|stored| messages.contains_key(&stored.id));
        }
    }

    /// A message that is known must be recognised when it is sent again by a client that did not
    /// get its answer, whether or not it is still there.
    fn replay_duplicates_of(&mut self, known: usize) {
        let new: Vec<(String, i64, Bytes)> = self
            .decoded
            .iter()
            .skip(known)
            .filter_map(|stored| {
                let duplicate = duplicate_id(&stored.message).ok().flatten()?;
                let address = split_name(stored.message.address()?).0.to_owned();
                Some((address, stored.id, duplicate))
            })
            .collect();
        for (address, id, duplicate) in new {
            self.replay_duplicates(&address, vec![(id, duplicate)]);
        }
    }

    fn replay_duplicates(&mut self, address: &str, entries: Vec<(i64, Bytes)>) {
        if !self.ledger.addresses.contains_key(address) {
            return;
        }
        for (message, id) in entries {
            self.ids.skip(message);
            let source = Source {
                message,
                record: 0,
                place: self.ledger.place(),
            };
            // In memory of its own: the record may be large.
            self.remember_duplicate(address, Bytes::copy_from_slice(&id), source);
        }
    }

    /// Sets the term that this engine will serve, for one that began to replay before that was known.
    pub fn enter_epoch(&mut self, epoch: u64) {
        self.ids.enter_epoch(epoch);
    }

    /// Ends the replay: makes addresses and queues of what the records add up to.
    pub fn finish_replay(&mut self) -> Result<(), RecoverError> {
        if self.phase != Phase::Replaying {
            return Ok(());
        }
        self.phase = Phase::Replayed;
        let addresses = self.ledger.addresses.clone();
        for (name, address) in addresses {
            let AddressEntry {
                routing_types,
                auto_created,
            } = address;
            self.insert_address(&name, routing_types, auto_created, true);
        }
        let recorded: Vec<QueueRecord> = self
            .ledger
            .queues
            .values()
            .map(|queue| queue.attributes.clone())
            .collect();
        for attributes in recorded {
            self.insert_replayed(attributes)?;
        }
        self.insert_messages()
    }

    fn insert_messages(&mut self) -> Result<(), RecoverError> {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.sort_by_key(|stored| stored.id);
        decoded.dedup_by_key(|stored| stored.id);
        // Made from what is in order already: faster, and tighter in memory, than one by one.
        let mut ready: BTreeMap<QueueId, Vec<(Position, Queued)>> = BTreeMap::new();
        for stored in decoded {
            let Some(entry) = self.ledger.messages.get(&stored.id) else {
                continue;
            };
            for holder in self.ledger.holders(stored.id, entry) {
                let position = stored.position();
                let mut queued = Queued::new(Arc::clone(&stored));
                queued.count = holder.count;
                queued.persisted = holder.count;
                if holder.scheduled_ms == 0 {
                    ready
                        .entry(holder.queue)
                        .or_default()
                        .push((position, queued));
                    continue;
                }
                let Some(queue) = self.queues.get_mut(&holder.queue) else {
                    let queue = holder.queue;
                    return Err(RecoverError::UnknownQueue { queue });
                };
                let scheduled = Scheduled {
                    due_ms: holder.scheduled_ms,
                    queued,
                };
                queue.scheduled.insert(position, scheduled);
            }
        }
        for (id, ready) in ready {
            let Some(queue) = self.queues.get_mut(&id) else {
                return Err(RecoverError::UnknownQueue { queue: id });
            };
            queue.ready = ready.into_iter().collect();
        }
        Ok(())
    }

    fn insert_replayed(&mut self, attributes: QueueRecord) -> Result<(), RecoverError> {
        if self.queue_names.contains_key(&attributes.name) {
            return Err(RecoverError::QueueExists {
                queue: attributes.name,
            });
        }
        if !self.addresses.contains_key(&attributes.address) {
            return Err(RecoverError::UnknownAddress {
                name: attributes.address,
            });
        }
        let filter = Filter::parse_optional(attributes.filter.as_deref()).map_err(|error| {
            RecoverError::Filter {
                queue: attributes.name.clone(),
                filter: attributes.filter.clone().unwrap_or_default(),
                reason: error.to_string(),
            }
        })?;
        self.insert_queue(Queue::new(attributes, filter, true, Lifetime::Permanent));
        Ok(())
    }

    /// Sets timers and creates what the configuration demands, after [`Engine::finish_replay`],
    /// which it calls unless that was done. The engine serves from now on; its effects still wait
    /// for their records.
    pub fn finish_recovery(
        &mut self,
        now_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), RecoverError> {
        if self.phase == Phase::Serving {
            return Ok(());
        }
        self.finish_replay()?;
        self.phase = Phase::Serving;
        self.set_timers();
        for address in std::mem::take(&mut self.configured) {
            self.configure_address(&address, effects);
        }
        self.handle_timeout(now_ms, effects);
        Ok(())
    }

    fn set_timers(&mut self) {
        let expires = self.message_expiry_scan_period_ms >= 0;
        for (id, queue) in &self.queues {
            let ready = queue.ready.iter();
            let scheduled = queue
                .scheduled
                .iter()
                .map(|(position, scheduled)| (position, &scheduled.queued));
            for (position, queued) in ready.chain(scheduled) {
                if expires && queued.stored.expires_ms != 0 {
                    self.timers
                        .expiry
                        .insert((queued.stored.expires_ms, *id, *position));
                }
            }
            for (position, scheduled) in &queue.scheduled {
                self.timers
                    .scheduled
                    .insert((scheduled.due_ms, *id, *position));
            }
        }
    }

    fn configure_address(&mut self, address: &AddressConfig, effects: &mut Effects) {
        self.ensure_address(&address.name, address.routing_types, false, true, effects);
        if let Some(found) = self.addresses.get_mut(&address.name) {
            found.auto_created = false;
        }
        for queue in &address.queues {
            self.configure_queue(&address.name, queue, effects);
        }
    }

    fn configure_queue(&mut self, address: &str, config: &QueueConfig, effects: &mut Effects) {
        let settings = self.settings_of(address);
        let max_consumers = config
            .max_consumers
            .unwrap_or(settings.default_max_consumers);
        let purge_on_no_consumers = config
            .purge_on_no_consumers
            .unwrap_or(settings.default_purge_on_no_consumers);
        let exclusive = config.exclusive.unwrap_or(settings.default_exclusive);
        if let Some(id) = self.queue_names.get(&config.name).copied() {
            if let Some(queue) = self.queues.get_mut(&id) {
                if let Some(what) = difference(queue, address, config) {
                    let queue = config.name.clone();
                    effects
                        .effects
                        .push(Effect::Notice(Notice::ConfigurationIgnored { queue, what }));
                }
                queue.configuration_managed = true;
                queue.attributes.max_consumers = max_consumers;
                queue.attributes.purge_on_no_consumers = purge_on_no_consumers;
                queue.attributes.exclusive = exclusive;
                queue.attributes.enabled = config.enabled;
                queue.attributes.auto_delete = false;
            }
            return;
        }
        let filter = match Filter::parse_optional(config.filter.as_deref()) {
            Ok(filter) => filter,
            Err(error) => {
                let queue = config.name.clone();
                let reason = error.to_string();
                let notice = Notice::ConfiguredFilterInvalid { queue, reason };
                effects.effects.push(Effect::Notice(notice));
                return;
            }
        };
        let attributes = QueueRecord {
            queue: QueueId(self.ids.next()),
            name: config.name.clone(),
            address: address.to_owned(),
            routing_type: config.routing_type,
            filter: filter.as_ref().map(|filter| filter.text().to_owned()),
            max_consumers,
            purge_on_no_consumers,
            exclusive,
            enabled: config.enabled,
            auto_created: false,
            auto_delete: false,
            auto_delete_delay_ms: 0,
            auto_delete_message_count: 0,
        };
        let id = self.install_queue(
            attributes,
            filter,
            config.durable,
            Lifetime::Permanent,
            effects,
        );
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.configuration_managed = true;
        }
    }
}

fn difference(queue: &Queue, address: &str, config: &QueueConfig) -> Option<&'static str> {
    let filter = config
        .filter
        .as_deref()
        .filter(|filter| !filter.trim().is_empty());
    if queue.attributes.address != address {
        Some("address")
    } else if queue.attributes.routing_type != config.routing_type {
        Some("routing type")
    } else if queue.attributes.filter.as_deref() != filter {
        Some("filter")
    } else if queue.durable != config.durable {
        Some("durability")
    } else {
        None
    }
}
