//! Which queues get a message, and putting it there.
//!
//! Sending is two steps, so that what a transaction changes can be one record: a plan says where
//! each message goes, then the record is emitted, then the messages are placed.

use std::sync::Arc;

use bytes::Bytes;
use core_protocol::message::{Message, Value};

use crate::address::split_name;
use crate::config::{Permission, RoutingType};
use crate::duplicates::{Source, duplicate_id};
use crate::engine::Engine;
use crate::error::{EngineError, code};
use crate::ids::{QueueId, SessionKey};
use crate::queue::{Queue, Scheduled};
use crate::record::Change;
use crate::settings::matches;
use crate::stored::{Queued, Stored};

/// The property that restricts a message to queues of one routing type.
pub(crate) const ROUTING_TYPE: &str = "_AMQ_ROUTING_TYPE";

/// The property that names the queues a message is for: UTF-8, a NUL between two names.
///
/// An import says by it where each message was. It goes to these queues and no other, whatever their
/// filters say, is stored once, and keeps its address. The property is taken off.
pub const ROUTE_TO: &str = "_TANDEM_ROUTE_TO";

/// The property that says when a message may be delivered first.
const SCHEDULED_DELIVERY: &str = "_AMQ_SCHED_DELIVERY";

/// A message and where it goes.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) id: i64,
    pub(crate) message: Message,
    pub(crate) queues: Vec<QueueId>,
    /// 0: deliverable at once.
    pub(crate) scheduled_ms: u64,
    /// Where its duplicate id is remembered, if it has one.
    pub(crate) duplicate: Option<(String, Bytes)>,
}

impl Engine {
    /// Plans a message for the queues of `address` as they are; there may be none.
    pub(crate) fn plan(&mut self, now_ms: u64, message: Message, address: &str) -> Planned {
        let (queues, message) = match named_queues(&message) {
            Some(names) => (self.present(&names, address), without_route(&message)),
            None => (self.route(address, &message), message),
        };
        let scheduled_ms = scheduled_ms(&message).filter(|due_ms| *due_ms > now_ms);
        let address = split_name(address).0;
        let duplicate = duplicate_id(&message)
            .ok()
            .flatten()
            .filter(|_| self.addresses.contains_key(address))
            .map(|id| (address.to_owned(), id));
        Planned {
            id: self.ids.next(),
            message,
            queues,
            scheduled_ms: scheduled_ms.unwrap_or_default(),
            duplicate,
        }
    }

    /// Refuses a message that names queues which are not there, or not its sender's to fill.
    pub(crate) fn check_named_queues(
        &self,
        session: SessionKey,
        message: &Message,
        address: &str,
    ) -> Result<(), EngineError> {
        for name in named_queues(message).unwrap_or_default() {
            let there = self
                .queue_named(&name)
                .is_some_and(|queue| queue.attributes.address == address);
            if !there {
                let message = format!("there is no queue {name} on address {address}");
                return Err(EngineError::new(code::QUEUE_DOES_NOT_EXIST, message));
            }
            self.check(session, Permission::Send, address, Some(&name))?;
        }
        Ok(())
    }

    /// Those of the named queues that are there. One that was deleted since the message was checked
    /// would have taken the message with it.
    fn present(&self, names: &[String], address: &str) -> Vec<QueueId> {
        let address = split_name(address).0;
        let mut queues: Vec<QueueId> = names
            .iter()
            .filter_map(|name| self.queue_named(name))
            .filter(|queue| queue.attributes.address == address)
            .map(|queue| queue.attributes.queue)
            .collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// What a record must say about a planned message, if anything.
    pub(crate) fn planned_change(&self, planned: &Planned) -> Option<Change> {
        if !planned.message.durable() {
            return None;
        }
        let queues: Vec<QueueId> = planned
            .queues
            .iter()
            .filter(|id| self.queues.get(id).is_some_and(|queue| queue.durable))
            .copied()
            .collect();
        if queues.is_empty() {
            return None;
        }
        Some(Change::Added {
            id: planned.id,
            queues,
            scheduled_ms: planned.scheduled_ms,
            block: planned.message.block().clone(),
        })
    }

    /// Puts a planned message into its queues; `record` is the number of its record, or 0.
    pub(crate) fn place(&mut self, planned: Planned, record: u64) {
        if let Some((address, id)) = planned.duplicate.clone() {
            let place = if record != 0 && self.is_recorded(&planned) {
                self.ledger.place()
            } else {
                0
            };
            let source = Source {
                message: planned.id,
                record,
                place,
            };
            self.remember_duplicate(&address, id, source);
        }
        if planned.queues.is_empty() {
            return;
        }
        let stored = Arc::new(Stored::new(planned.id, planned.message, record));
        for id in planned.queues {
            let Some(queue) = self.queues.get_mut(&id) else {
                continue;
            };
            queue.counters.added += 1;
            let position = stored.position();
            let queued = Queued::new(Arc::clone(&stored));
            if planned.scheduled_ms == 0 {
                self.make_ready(id, position, queued);
            } else {
                self.schedule(id, position, queued, planned.scheduled_ms);
            }
        }
    }

    /// Whether a record tells of a planned message.
    fn is_recorded(&self, planned: &Planned) -> bool {
        let durable = |id| self.queues.get(id).is_some_and(|queue| queue.durable);
        planned.message.durable() && planned.queues.iter().any(durable)
    }

    pub(crate) fn remember_duplicate(&mut self, address: &str, id: Bytes, source: Source) {
        let limit = self
            .settings_of(address)
            .id_cache_size
            .unwrap_or(self.id_cache_size);
        self.duplicates
            .entry(address.to_owned())
            .or_default()
            .remember(id, source, limit);
    }

    /// Keeps a message back until its time.
    pub(crate) fn schedule(
        &mut self,
        id: QueueId,
        position: crate::stored::Position,
        queued: Queued,
        due_ms: u64,
    ) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        if queued.stored.expires_ms != 0 && self.message_expiry_scan_period_ms >= 0 {
            self.timers
                .expiry
                .insert((queued.stored.expires_ms, id, position));
        }
        self.timers.scheduled.insert((due_ms, id, position));
        queue
            .scheduled
            .insert(position, Scheduled { due_ms, queued });
    }

    /// The queues that get a message sent to `name`, an address or `address::queue`.
    pub(crate) fn route(&mut self, name: &str, message: &Message) -> Vec<QueueId> {
        let (address, queue) = split_name(name);
        if let Some(queue) = queue {
            return self
                .queue_named(queue)
                .filter(|queue| queue.attributes.address == address && accepts(queue, message))
                .map(|queue| vec![queue.attributes.queue])
                .unwrap_or_default();
        }
        let only = message
            .property(ROUTING_TYPE)
            .and_then(|value| value.as_i64())
            .and_then(|code| i8::try_from(code).ok())
            .and_then(RoutingType::from_code);
        let mut targets = Vec::new();
        self.route_address(address, only, message, &mut targets);
        if !self.wildcard_addresses.is_empty() {
            let patterns: Vec<String> = self
                .wildcard_addresses
                .iter()
                .filter(|pattern| pattern.as_str() != address && matches(pattern, address))
                .cloned()
                .collect();
            for pattern in patterns {
                self.route_address(&pattern, only, message, &mut targets);
            }
        }
        targets
    }

    fn route_address(
        &mut self,
        address: &str,
        only: Option<RoutingType>,
        message: &Message,
        targets: &mut Vec<QueueId>,
    ) {
        let Some(address) = self.addresses.get_mut(address) else {
            return;
        };
        if only != Some(RoutingType::Anycast) {
            targets.extend(address.multicast.iter().filter(|id| {
                self.queues
                    .get(id)
                    .is_some_and(|queue| accepts(queue, message))
            }));
        }
        if only == Some(RoutingType::Multicast) || address.anycast.is_empty() {
            return;
        }
        // In turn; queues with consumers come before those without.
        let count = address.anycast.len();
        let mut chosen = None;
        for offset in 0..count {
            let index = (address.next_anycast + offset) % count;
            let Some(queue) = self.queues.get(&address.anycast[index]) else {
                continue;
            };
            if !accepts(queue, message) {
                continue;
            }
            if !queue.consumers.is_empty() {
                chosen = Some(index);
                break;
            }
            if chosen.is_none() {
                chosen = Some(index);
            }
        }
        if let Some(index) = chosen {
            address.next_anycast = index + 1;
            targets.push(address.anycast[index]);
        }
    }
}

/// The queues that a message names; none if it leaves that to its address.
fn named_queues(message: &Message) -> Option<Vec<String>> {
    match message.property(ROUTE_TO)? {
        Value::Bytes(names) => Some(
            names
                .split(|byte| *byte == 0)
                .filter(|name| !name.is_empty())
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect(),
        ),
        Value::Null
        | Value::Bool(_)
        | Value::Byte(_)
        | Value::Short(_)
        | Value::Int(_)
        | Value::Long(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::String(_)
        | Value::Char(_) => None,
    }
}

fn without_route(message: &Message) -> Message {
    let mut builder = message.to_builder();
    builder.remove_property(ROUTE_TO);
    builder.build()
}

/// Whether a queue takes this message.
fn accepts(queue: &Queue, message: &Message) -> bool {
    let attributes = &queue.attributes;
    attributes.enabled
        && !(attributes.purge_on_no_consumers && queue.consumers.is_empty())
        && queue
            .filter
            .as_ref()
            .is_none_or(|filter| filter.matches(message))
}

/// When a message asks to be delivered first.
fn scheduled_ms(message: &Message) -> Option<u64> {
    message
        .property(SCHEDULED_DELIVERY)
        .and_then(|value| value.as_i64())
        .and_then(|due_ms| u64::try_from(due_ms).ok())
}
