//! Messages that come back: to their place in the queue, after a delay, or to the dead letter
//! address.

use std::collections::BTreeMap;

use core_protocol::message::{Message, Value};

use crate::config::{AddressSettings, RoutingType, RoutingTypes};
use crate::duplicates::DUPLICATE_ID;
use crate::effect::{Effect, Effects, Notice};
use crate::engine::Engine;
use crate::filter::Filter;
use crate::ids::QueueId;
use crate::queue::{Lifetime, Queue};
use crate::record::{Change, DeliveryCount, QueueRecord, RecordBody};
use crate::routing::{Planned, ROUTING_TYPE};
use crate::stored::{Queued, Taken};

const ORIGINAL_ADDRESS: &str = "_AMQ_ORIG_ADDRESS";
const ORIGINAL_QUEUE: &str = "_AMQ_ORIG_QUEUE";
const ORIGINAL_MESSAGE_ID: &str = "_AMQ_ORIG_MESSAGE_ID";
const ORIGINAL_ROUTING_TYPE: &str = "_AMQ_ORIG_ROUTING_TYPE";

/// The delay grows at most to this many times itself, unless the settings say otherwise.
const DEFAULT_MAX_DELAY_FACTOR: i64 = 10;

/// A delivery that was not acknowledged for good.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) taken: Taken,
    /// Whether the delivery counts: the client's program may have seen the message.
    pub(crate) counts: bool,
}

/// Why a message is moved to another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Undeliverable,
    Expired,
}

impl Engine {
    /// Gives deliveries back to their queues.
    pub(crate) fn give_back(
        &mut self,
        now_ms: u64,
        returned: BTreeMap<QueueId, Vec<Returned>>,
        effects: &mut Effects,
    ) {
        for (id, returned) in returned {
            self.give_back_to(now_ms, id, returned, effects);
        }
    }

    fn give_back_to(
        &mut self,
        now_ms: u64,
        id: QueueId,
        returned: Vec<Returned>,
        effects: &mut Effects,
    ) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        queue.delivering -= returned.len();
        let durable = queue.durable;
        let address = queue.attributes.address.clone();
        let settings = self.settings_of(&address);
        let limit = u32::try_from(settings.max_delivery_attempts)
            .ok()
            .filter(|limit| *limit > 0);
        let has_elsewhere = settings.dead_letter_address.as_deref() != Some(address.as_str());
        let mut counts = Vec::new();
        for Returned {
            taken: Taken {
                position,
                mut queued,
            },
            counts: counted,
        } in returned
        {
            if !counted {
                queued.count = queued.count.saturating_sub(1);
                self.make_ready(id, position, queued);
                continue;
            }
            if has_elsewhere && limit.is_some_and(|limit| queued.count >= limit) {
                self.dead_letter(now_ms, id, &queued, &settings, effects);
                continue;
            }
            let scheduled_ms = redelivery_time(now_ms, queued.count, &settings);
            if durable && queued.stored.message.durable() && queued.count > queued.persisted {
                queued.persisted = queued.count;
                let id = queued.stored.id;
                counts.push(DeliveryCount {
                    id,
                    count: queued.count,
                    scheduled_ms,
                });
            }
            if scheduled_ms == 0 {
                self.make_ready(id, position, queued);
            } else {
                self.schedule(id, position, queued, scheduled_ms);
            }
        }
        if !counts.is_empty() {
            self.emit(
                &RecordBody::DeliveryCounts {
                    queue: id,
                    entries: counts,
                },
                effects,
            );
        }
    }

    fn dead_letter(
        &mut self,
        now_ms: u64,
        id: QueueId,
        queued: &Queued,
        settings: &AddressSettings,
        effects: &mut Effects,
    ) {
        let target = settings.dead_letter_address.as_deref();
        if let (Some(target), true) = (target, settings.auto_create_dead_letter_resources) {
            let prefix = &settings.dead_letter_queue_prefix;
            let suffix = &settings.dead_letter_queue_suffix;
            self.create_resources(id, target, prefix, suffix, effects);
        }
        let moved = target.is_some_and(|target| {
            self.move_away(now_ms, id, queued, target, Reason::Undeliverable, effects)
        });
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        queue.counters.killed += 1;
        let name = queue.attributes.name.clone();
        let (message_id, attempts) = (queued.stored.id, queued.count);
        let address = target.map(str::to_owned);
        let notice = if let (true, Some(address)) = (moved, address.clone()) {
            Notice::DeadLettered {
                queue: name,
                message_id,
                attempts,
                address,
            }
        } else {
            self.drop_message(id, queued, effects);
            Notice::DroppedAfterAttempts {
                queue: name,
                message_id,
                attempts,
                address,
            }
        };
        effects.effects.push(Effect::Notice(notice));
    }

    /// Moves a message to another address, in one record; `false` if no queue there takes it.
    pub(crate) fn move_away(
        &mut self,
        now_ms: u64,
        id: QueueId,
        queued: &Queued,
        target: &str,
        reason: Reason,
        effects: &mut Effects,
    ) -> bool {
        let Some(queue) = self.queues.get(&id) else {
            return false;
        };
        let copy = moved_copy(now_ms, queue, queued, target, reason);
        let planned = self.plan(now_ms, copy, target);
        if planned.queues.is_empty() {
            return false;
        }
        let mut changes: Vec<Change> = self.planned_change(&planned).into_iter().collect();
        changes.extend(self.removal(id, queued));
        let record = self.emit_changes(changes, effects);
        self.place(planned, record);
        true
    }

    /// Removes a message for good that goes nowhere.
    pub(crate) fn drop_message(&mut self, id: QueueId, queued: &Queued, effects: &mut Effects) {
        if let Some(change) = self.removal(id, queued) {
            self.emit(&RecordBody::Change(change), effects);
        }
    }

    fn removal(&self, id: QueueId, queued: &Queued) -> Option<Change> {
        let durable = self.queues.get(&id).is_some_and(|queue| queue.durable);
        (durable && queued.stored.message.durable()).then(|| Change::Removed {
            queue: id,
            ids: vec![queued.stored.id],
        })
    }

    /// Creates the queue that collects what comes from one address, unless it exists.
    pub(crate) fn create_resources(
        &mut self,
        from: QueueId,
        target: &str,
        prefix: &str,
        suffix: &str,
        effects: &mut Effects,
    ) {
        let Some(queue) = self.queues.get(&from) else {
            return;
        };
        let origin = queue.attributes.address.clone();
        let name = format!("{prefix}{origin}{suffix}");
        if self.queue_names.contains_key(&name) {
            return;
        }
        let text = format!("{ORIGINAL_ADDRESS} = '{}'", origin.replace('\'', "''"));
        let Ok(filter) = Filter::parse(&text) else {
            // Only a name beyond the length of filters; its messages have no place then.
            return;
        };
        let settings = self.settings_of(target);
        let routing_type = RoutingType::Multicast;
        self.ensure_address(
            target,
            RoutingTypes::only(routing_type),
            true,
            true,
            effects,
        );
        let attributes = QueueRecord {
            queue: QueueId(self.ids.next()),
            name,
            address: target.to_owned(),
            routing_type,
            filter: Some(text),
            max_consumers: settings.default_max_consumers,
            purge_on_no_consumers: false,
            exclusive: false,
            enabled: true,
            auto_created: true,
            auto_delete: settings.auto_delete_queues,
            auto_delete_delay_ms: settings.auto_delete_queues_delay_ms,
            auto_delete_message_count: settings.auto_delete_queues_message_count,
        };
        self.install_queue(attributes, Some(filter), true, Lifetime::Permanent, effects);
    }
}

/// The copy of a message without any queue for the dead letter address.
pub(crate) fn unroutable_copy(planned: &Planned, from: &str, target: &str) -> Message {
    let mut builder = planned.message.to_builder();
    builder.address = Some(target.to_owned());
    builder.remove_property(ROUTING_TYPE);
    builder.remove_property(DUPLICATE_ID);
    builder.set_property(ORIGINAL_ADDRESS, Value::String(from.to_owned()));
    builder.set_property(ORIGINAL_MESSAGE_ID, Value::Long(planned.id));
    builder.build()
}

/// The copy of a message for another address. What it says of its origin replaces what an earlier
/// move said; it can be sent again although it has been here, and goes to queues of either type.
fn moved_copy(
    now_ms: u64,
    queue: &Queue,
    queued: &Queued,
    target: &str,
    reason: Reason,
) -> Message {
    let message = &queued.stored.message;
    let routing_type = message
        .property(ROUTING_TYPE)
        .and_then(|value| value.as_i64())
        .and_then(|code| i8::try_from(code).ok())
        .unwrap_or_else(|| queue.attributes.routing_type.code());
    let mut builder = message.to_builder();
    builder.address = Some(target.to_owned());
    builder.expiration_ms = 0;
    builder.remove_property(ROUTING_TYPE);
    builder.remove_property(DUPLICATE_ID);
    builder.remove_property("_AMQ_SCHED_DELIVERY");
    let address = message.address().unwrap_or(&queue.attributes.address);
    builder.set_property(ORIGINAL_ADDRESS, Value::String(address.to_owned()));
    builder.set_property(ORIGINAL_QUEUE, Value::String(queue.attributes.name.clone()));
    builder.set_property(ORIGINAL_MESSAGE_ID, Value::Long(queued.stored.id));
    builder.set_property(ORIGINAL_ROUTING_TYPE, Value::Byte(routing_type));
    match reason {
        Reason::Undeliverable => {}
        Reason::Expired => {
            let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
            builder.set_property("_AMQ_ACTUAL_EXPIRY", Value::Long(now_ms));
        }
    }
    builder.build()
}

/// When a message that was delivered `count` times may be delivered again; 0: at once.
fn redelivery_time(now_ms: u64, count: u32, settings: &AddressSettings) -> u64 {
    let delay_ms = settings.redelivery_delay_ms;
    if delay_ms <= 0 {
        return 0;
    }
    let limit_ms = settings
        .max_redelivery_delay_ms
        .filter(|limit_ms| *limit_ms > 0)
        .unwrap_or_else(|| delay_ms.saturating_mul(DEFAULT_MAX_DELAY_FACTOR));
    let exponent = i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX);
    let factor = settings.redelivery_delay_multiplier.powi(exponent);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a delay beyond 2^53 ms is cut to the limit anyway"
    )]
    let grown_ms = (delay_ms as f64 * factor) as i64;
    let delay_ms = grown_ms.clamp(0, limit_ms);
    now_ms.saturating_add(u64::try_from(delay_ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_up_to_its_limit() {
        let mut settings = AddressSettings::default();
        assert_eq!(redelivery_time(1_000, 1, &settings), 0);
        settings.redelivery_delay_ms = 100;
        assert_eq!(redelivery_time(1_000, 5, &settings), 1_100);
        settings.redelivery_delay_multiplier = 2.0;
        assert_eq!(redelivery_time(1_000, 1, &settings), 1_100);
        assert_eq!(redelivery_time(1_000, 3, &settings), 1_400);
        assert_eq!(redelivery_time(1_000, 40, &settings), 2_000);
        settings.max_redelivery_delay_ms = Some(300);
        assert_eq!(redelivery_time(1_000, u32::MAX, &settings), 1_300);
    }
}
