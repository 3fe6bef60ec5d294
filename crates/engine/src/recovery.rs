//! Rebuilding the durable state from the records of earlier terms, and beginning to serve.
//!
//! Records are replayed in their order. One that does not fit what came before is an error: the
//! journal is damaged or not ours, and serving what is left would lose messages silently.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use core_protocol::DecodeError;
use core_protocol::message::Message;
use thiserror::Error;

use crate::config::{AddressConfig, QueueConfig};
use crate::duplicates::duplicate_id;
use crate::effect::{Effect, Effects, Notice};
use crate::engine::Engine;
use crate::filter::Filter;
use crate::ids::QueueId;
use crate::queue::{Lifetime, Queue, Scheduled};
use crate::record::{Change, DeliveryCount, QueueRecord, RecordBody, RecordError};
use crate::stored::{Position, Queued, Stored};

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

/// Where messages are while records are replayed.
#[derive(Debug, Default)]
pub(crate) struct RecoveryIndex {
    positions: BTreeMap<(QueueId, i64), Position>,
}

impl Engine {
    /// Replays one record of an earlier term, all of them in their order, before
    /// [`Engine::finish_recovery`].
    pub fn recover(&mut self, kind: u8, payload: Bytes) -> Result<(), RecoverError> {
        let Some(mut index) = self.recovery.take() else {
            return Err(RecoverError::Serving);
        };
        let result = RecordBody::decode(kind, payload)
            .map_err(RecoverError::from)
            .and_then(|body| self.replay(body, &mut index));
        self.recovery = Some(index);
        result
    }

    fn replay(&mut self, body: RecordBody, index: &mut RecoveryIndex) -> Result<(), RecoverError> {
        match body {
            RecordBody::AddressCreated {
                name,
                routing_types,
                auto_created,
            } => {
                match self.addresses.get_mut(&name) {
                    Some(address) => address.routing_types = routing_types,
                    None => self.insert_address(&name, routing_types, auto_created, true),
                }
                Ok(())
            }
            RecordBody::AddressDeleted { name } => {
                self.wildcard_addresses.remove(&name);
                self.duplicates.remove(&name);
                match self.addresses.remove(&name) {
                    Some(_) => Ok(()),
                    None => Err(RecoverError::UnknownAddress { name }),
                }
            }
            RecordBody::QueueCreated(attributes) => self.replay_queue(*attributes),
            RecordBody::QueueDeleted { queue } => self.replay_queue_deleted(queue, index),
            RecordBody::Change(change) => self.replay_change(change, index),
            RecordBody::Transaction(changes) => changes
                .into_iter()
                .try_for_each(|change| self.replay_change(change, index)),
            RecordBody::DeliveryCounts { queue, entries } => entries
                .into_iter()
                .try_for_each(|entry| self.replay_delivery_count(queue, entry, index)),
        }
    }

    fn replay_queue(&mut self, attributes: QueueRecord) -> Result<(), RecoverError> {
        if self.queue_names.contains_key(&attributes.name)
            || self.queues.contains_key(&attributes.queue)
        {
            return Err(RecoverError::QueueExists {
                queue: attributes.name,
            });
        }
        if !self.addresses.contains_key(&attributes.address) {
            return Err(RecoverError::UnknownAddress {
                name: attributes.address,
            });
        }
        self.ids.skip(attributes.queue.0);
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

    fn replay_queue_deleted(
        &mut self,
        id: QueueId,
        index: &mut RecoveryIndex,
    ) -> Result<(), RecoverError> {
        let Some(queue) = self.queues.remove(&id) else {
            return Err(RecoverError::UnknownQueue { queue: id });
        };
        self.queue_names.remove(&queue.attributes.name);
        if let Some(address) = self.addresses.get_mut(&queue.attributes.address) {
            address
                .queues_mut(queue.attributes.routing_type)
                .retain(|other| *other != id);
        }
        let scheduled = queue.scheduled.values().map(|scheduled| &scheduled.queued);
        for queued in queue.ready.values().chain(scheduled) {
            index.positions.remove(&(id, queued.stored.id));
        }
        Ok(())
    }

    fn replay_change(
        &mut self,
        change: Change,
        index: &mut RecoveryIndex,
    ) -> Result<(), RecoverError> {
        match change {
            Change::Added {
                id,
                queues,
                scheduled_ms,
                block,
            } => {
                let message = Message::decode(&block)
                    .map_err(|source| RecoverError::Message { id, source })?;
                self.ids.skip(id);
                self.replay_duplicate(&message);
                let stored = Arc::new(Stored::new(id, message, 0));
                for queue_id in queues {
                    let Some(queue) = self.queues.get_mut(&queue_id) else {
                        return Err(RecoverError::UnknownQueue { queue: queue_id });
                    };
                    let position = queue.next_position(stored.message.priority());
                    if index.positions.insert((queue_id, id), position).is_some() {
                        return Err(RecoverError::MessageExists {
                            queue: queue_id,
                            id,
                        });
                    }
                    let queued = Queued::new(Arc::clone(&stored));
                    if scheduled_ms == 0 {
                        queue.ready.insert(position, queued);
                    } else {
                        let scheduled = Scheduled {
                            due_ms: scheduled_ms,
                            queued,
                        };
                        queue.scheduled.insert(position, scheduled);
                    }
                }
                Ok(())
            }
            Change::Removed { queue, ids } => {
                for id in ids {
                    let unknown = RecoverError::UnknownMessage { queue, id };
                    let position = index.positions.remove(&(queue, id)).ok_or(unknown)?;
                    if let Some(queue) = self.queues.get_mut(&queue) {
                        queue.ready.remove(&position);
                        queue.scheduled.remove(&position);
                    }
                }
                Ok(())
            }
        }
    }

    /// A message that is known must be recognised when it is sent again by a client that did not
    /// get its answer.
    fn replay_duplicate(&mut self, message: &Message) {
        let Some(address) = message.address() else {
            return;
        };
        let address = crate::address::split_name(address).0.to_owned();
        if let (true, Ok(Some(id))) = (self.addresses.contains_key(&address), duplicate_id(message))
        {
            self.remember_duplicate(&address, id, 0);
        }
    }

    fn replay_delivery_count(
        &mut self,
        id: QueueId,
        entry: DeliveryCount,
        index: &mut RecoveryIndex,
    ) -> Result<(), RecoverError> {
        let unknown = RecoverError::UnknownMessage {
            queue: id,
            id: entry.id,
        };
        let position = *index.positions.get(&(id, entry.id)).ok_or(unknown)?;
        let Some(queue) = self.queues.get_mut(&id) else {
            return Err(RecoverError::UnknownQueue { queue: id });
        };
        let queued = match queue.ready.remove(&position) {
            Some(queued) => Some(queued),
            None => queue
                .scheduled
                .remove(&position)
                .map(|scheduled| scheduled.queued),
        };
        let Some(mut queued) = queued else {
            return Err(RecoverError::UnknownMessage {
                queue: id,
                id: entry.id,
            });
        };
        queued.count = entry.count;
        queued.persisted = entry.count;
        if entry.scheduled_ms == 0 {
            queue.ready.insert(position, queued);
        } else {
            let scheduled = Scheduled {
                due_ms: entry.scheduled_ms,
                queued,
            };
            queue.scheduled.insert(position, scheduled);
        }
        Ok(())
    }

    /// Ends the replay: timers are set, and what the configuration demands is created. The engine
    /// serves from now on; its effects still wait for their records.
    pub fn finish_recovery(&mut self, now_ms: u64, effects: &mut Effects) {
        if self.recovery.take().is_none() {
            return;
        }
        self.set_timers();
        for address in std::mem::take(&mut self.configured) {
            self.configure_address(&address, effects);
        }
        self.handle_timeout(now_ms, effects);
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
