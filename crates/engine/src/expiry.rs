//! What happens by time alone: expiry, scheduled and delayed delivery, deletion of the unused.

use crate::effect::{Effect, Effects, Notice};
use crate::engine::Engine;
use crate::ids::QueueId;
use crate::redelivery::Reason;
use crate::stored::{Position, Queued};
use crate::timers::pop_due;

/// Timers that fire in one call: a few milliseconds of work. The rest follows with the next call.
const BUDGET: usize = 1024;

impl Engine {
    /// The time at which [`Engine::handle_timeout`] must be called, in milliseconds since 1970. A
    /// time that has passed (0 among them) means at once, after what else is waiting.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        if self.unfinished.is_empty() {
            self.timers.next()
        } else {
            Some(0)
        }
    }

    /// Does what time demands, and goes on with deliveries that were interrupted.
    pub fn handle_timeout(&mut self, now_ms: u64, effects: &mut Effects) {
        let mut budget = BUDGET;
        while budget > 0 && self.fire_one(now_ms, effects) {
            budget -= 1;
        }
        let unfinished = std::mem::take(&mut self.unfinished);
        self.dirty.extend(unfinished);
        self.dispatch_dirty(now_ms, effects);
    }

    fn fire_one(&mut self, now_ms: u64, effects: &mut Effects) -> bool {
        if let Some((_, id, position)) =
            pop_due(&mut self.timers.scheduled, now_ms, |entry| entry.0)
        {
            if let Some(queued) = self.take_scheduled(id, position) {
                self.make_ready(id, position, queued);
            }
            return true;
        }
        if let Some((_, id, position)) = pop_due(&mut self.timers.expiry, now_ms, |entry| entry.0) {
            let queued = self
                .take_ready(id, position)
                .or_else(|| self.take_scheduled(id, position));
            if let Some(queued) = queued {
                self.expire(now_ms, id, &queued, effects);
            }
            return true;
        }
        if let Some((_, id)) = pop_due(&mut self.timers.queue_deletes, now_ms, |entry| entry.0) {
            match self.auto_delete_due(id) {
                Some(due_ms) if due_ms <= now_ms => self.remove_queue(now_ms, id, effects),
                Some(due_ms) => {
                    self.timers.queue_deletes.insert((due_ms, id));
                }
                None => {}
            }
            return true;
        }
        if let Some((_, name)) = pop_due(&mut self.timers.address_deletes, now_ms, |entry| entry.0)
        {
            self.delete_unused_address(now_ms, &name, effects);
            return true;
        }
        false
    }

    fn take_scheduled(&mut self, id: QueueId, position: Position) -> Option<Queued> {
        let scheduled = self.queues.get_mut(&id)?.scheduled.remove(&position)?;
        let expires_ms = scheduled.queued.stored.expires_ms;
        self.timers
            .scheduled
            .remove(&(scheduled.due_ms, id, position));
        self.timers.expiry.remove(&(expires_ms, id, position));
        Some(scheduled.queued)
    }

    /// Lets a message expire that was taken out of its queue.
    pub(crate) fn expire(
        &mut self,
        now_ms: u64,
        id: QueueId,
        queued: &Queued,
        effects: &mut Effects,
    ) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        queue.counters.expired += 1;
        let name = queue.attributes.name.clone();
        let address = queue.attributes.address.clone();
        let settings = self.settings_of(&address);
        let target = settings.expiry_address.as_deref();
        if let (Some(target), true) = (target, settings.auto_create_expiry_resources) {
            let (prefix, suffix) = (&settings.expiry_queue_prefix, &settings.expiry_queue_suffix);
            self.create_resources(id, target, prefix, suffix, effects);
        }
        let moved = target.is_some_and(|target| {
            self.move_away(now_ms, id, queued, target, Reason::Expired, effects)
        });
        if !moved {
            self.drop_message(id, queued, effects);
            let address = target.map(str::to_owned);
            let message_id = queued.stored.id;
            let notice = Notice::Expired {
                queue: name,
                message_id,
                address,
            };
            effects.effects.push(Effect::Notice(notice));
        }
        self.consider_auto_delete(id);
    }
}
