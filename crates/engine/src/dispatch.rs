//! Handing messages to consumers.
//!
//! Consumers that could take a message wait in a line: higher priorities first, then in turn. The
//! first in the line takes the first message that its filter chooses and goes to the end. One call
//! does a bounded amount of work, so that a long queue cannot keep other requests waiting; what is
//! left continues with the next call of `handle_timeout`.

use std::ops::Bound;

use crate::consumer::{Mode, Search};
use crate::effect::{Effect, Effects};
use crate::engine::Engine;
use crate::ids::{ConsumerKey, QueueId};
use crate::queue::Turn;
use crate::record::{Change, RecordBody};
use crate::stored::{Position, Queued, Taken};

/// Messages looked at or delivered in one go: a few milliseconds of work.
const BUDGET: usize = 4096;

/// A message with a multiple of this costs as much as that many: some MiB are delivered in one go, after which the
/// driver may find that a connection has enough.
const BYTES_PER_STEP: usize = 2048;

impl Engine {
    /// Delivers from every queue that may have something to deliver.
    pub(crate) fn dispatch_dirty(&mut self, now_ms: u64, effects: &mut Effects) {
        while let Some(queue) = self.dirty.pop_first() {
            self.dispatch(now_ms, queue, effects);
        }
    }

    fn dispatch(&mut self, now_ms: u64, id: QueueId, effects: &mut Effects) {
        let mut budget = BUDGET;
        let complete = self.show_to_browsers(now_ms, id, &mut budget, effects)
            && self.serve_consumers(now_ms, id, &mut budget, effects);
        if complete {
            self.unfinished.remove(&id);
            self.send_markers(id, effects);
        } else {
            self.unfinished.insert(id);
        }
    }

    /// Whether everything deliverable was delivered within the budget.
    fn serve_consumers(
        &mut self,
        now_ms: u64,
        id: QueueId,
        budget: &mut usize,
        effects: &mut Effects,
    ) -> bool {
        // Those before it in the line have filters that choose none of the messages.
        let mut passed: Option<Turn> = None;
        loop {
            let Some(queue) = self.queues.get(&id) else {
                return true;
            };
            let start = passed.map_or(Bound::Unbounded, Bound::Excluded);
            let next = queue
                .waiting
                .range((start, Bound::Unbounded))
                .next()
                .copied();
            let (Some(turn), false) = (next, queue.ready.is_empty()) else {
                return true;
            };
            if *budget == 0 {
                return false;
            }
            let Some(consumer) = self.consumers.get_mut(&turn.consumer) else {
                passed = Some(turn);
                continue;
            };
            match consumer.search(&queue.ready, budget) {
                Search::Nothing => passed = Some(turn),
                Search::Unfinished => return false,
                Search::Found(position) => {
                    let bytes = queue
                        .ready
                        .get(&position)
                        .map_or(0, |queued| queued.stored.message.encoded_len());
                    *budget = budget.saturating_sub(1 + bytes / BYTES_PER_STEP);
                    self.deliver(now_ms, id, turn, position, effects);
                    passed = None;
                }
            }
        }
    }

    fn deliver(
        &mut self,
        now_ms: u64,
        id: QueueId,
        turn: Turn,
        position: Position,
        effects: &mut Effects,
    ) {
        let Some(mut queued) = self.take_ready(id, position) else {
            return;
        };
        if queued.stored.is_expired(now_ms) {
            self.expire(now_ms, id, &queued, effects);
            return;
        }
        queued.count = queued.count.saturating_add(1);
        let ConsumerKey { session, consumer } = turn.consumer;
        let pre_acknowledged = self
            .sessions
            .get(&session)
            .is_some_and(|session| session.pre_acknowledge);
        let mut depends = queued.stored.record;
        if pre_acknowledged {
            // The client never acknowledges: once it has the message the broker must not.
            depends = depends.max(self.settle_now(id, &queued, effects));
        }
        let after = self.gate(session, depends);
        effects.effects.push(Effect::Deliver {
            session,
            consumer,
            message: queued.stored.message.clone(),
            id: queued.stored.id,
            delivery_count: i32::try_from(queued.count).unwrap_or(i32::MAX),
            after,
        });
        self.charge(id, turn, Taken { position, queued }, pre_acknowledged);
    }

    /// Removes a message for good at the moment of its delivery; the number of the record, if any.
    fn settle_now(&mut self, id: QueueId, queued: &Queued, effects: &mut Effects) -> u64 {
        let Some(queue) = self.queues.get_mut(&id) else {
            return 0;
        };
        queue.counters.acknowledged += 1;
        if !queue.durable || !queued.stored.message.durable() {
            return 0;
        }
        let change = Change::Removed {
            queue: id,
            ids: vec![queued.stored.id],
        };
        self.emit(&RecordBody::Change(change), effects)
    }

    /// Takes a delivery off the credits and sends the consumer to the end of the line.
    fn charge(&mut self, id: QueueId, turn: Turn, taken: Taken, settled: bool) {
        let (Some(queue), Some(consumer)) = (
            self.queues.get_mut(&id),
            self.consumers.get_mut(&turn.consumer),
        ) else {
            return;
        };
        consumer.spend(&taken.queued.stored);
        queue.waiting.remove(&turn);
        consumer.turn = consumer.credits.available().then(|| {
            let turn = queue.next_turn(turn.consumer, consumer.priority);
            queue.waiting.insert(turn);
            turn
        });
        if !settled {
            queue.delivering += 1;
            consumer.deliver(taken);
        }
    }

    /// Whether every browser has seen all it may see.
    fn show_to_browsers(
        &mut self,
        now_ms: u64,
        id: QueueId,
        budget: &mut usize,
        effects: &mut Effects,
    ) -> bool {
        let Some(queue) = self.queues.get(&id) else {
            return true;
        };
        for key in queue.browsers.clone() {
            if !self.show_to_browser(now_ms, key, id, budget, effects) {
                return false;
            }
        }
        true
    }

    fn show_to_browser(
        &mut self,
        now_ms: u64,
        key: ConsumerKey,
        id: QueueId,
        budget: &mut usize,
        effects: &mut Effects,
    ) -> bool {
        loop {
            let (Some(queue), Some(browser)) = (self.queues.get(&id), self.consumers.get_mut(&key))
            else {
                return true;
            };
            let Mode::Browse { end_id } = browser.mode else {
                return true;
            };
            let paused = self.sessions.get(&key.session).is_some_and(|it| it.paused);
            if paused || !browser.credits.available() {
                return true;
            }
            let position = match browser.browse(&queue.ready, end_id, budget) {
                Search::Nothing => return true,
                Search::Unfinished => return false,
                Search::Found(position) => position,
            };
            let Some(queued) = queue.ready.get(&position) else {
                continue;
            };
            if queued.stored.is_expired(now_ms) {
                continue;
            }
            browser.spend(&queued.stored);
            let (message, message_id) = (queued.stored.message.clone(), queued.stored.id);
            *budget = budget.saturating_sub(message.encoded_len() / BYTES_PER_STEP);
            let depends = queued.stored.record;
            let after = self.gate(key.session, depends);
            effects.effects.push(Effect::Deliver {
                session: key.session,
                consumer: key.consumer,
                message,
                id: message_id,
                delivery_count: 0,
                after,
            });
        }
    }

    fn send_markers(&mut self, id: QueueId, effects: &mut Effects) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        if queue.markers.is_empty() {
            return;
        }
        let sessions = &self.sessions;
        // What is deliverable to a paused session has not been delivered yet.
        let (later, markers): (Vec<_>, Vec<_>) = std::mem::take(&mut queue.markers)
            .into_iter()
            .partition(|(key, _)| sessions.get(&key.session).is_some_and(|it| it.paused));
        queue.markers = later;
        let name = queue.attributes.name.clone();
        for (key, sequence) in markers {
            let marker = self.ids.next();
            let after = self.gate(key.session, 0);
            effects.effects.push(Effect::ForcedDelivery {
                session: key.session,
                consumer: key.consumer,
                sequence,
                id: marker,
                queue: name.clone(),
                after,
            });
        }
    }

    /// Puts a consumer into the line, or takes it out, as its state demands.
    pub(crate) fn refresh_turn(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.consumers.get_mut(&key) else {
            return;
        };
        let Some(queue) = self.queues.get_mut(&consumer.queue) else {
            return;
        };
        if consumer.is_browser() {
            self.dirty.insert(consumer.queue);
            return;
        }
        let started = self
            .sessions
            .get(&key.session)
            .is_some_and(|session| session.started && !session.paused);
        let able = started && consumer.credits.available() && queue.admits(key);
        match (able, consumer.turn) {
            (true, None) => {
                let turn = queue.next_turn(key, consumer.priority);
                queue.waiting.insert(turn);
                consumer.turn = Some(turn);
                self.dirty.insert(consumer.queue);
            }
            (false, Some(turn)) => {
                queue.waiting.remove(&turn);
                consumer.turn = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Takes a message out of the ready ones.
    pub(crate) fn take_ready(&mut self, id: QueueId, position: Position) -> Option<Queued> {
        let queued = self.queues.get_mut(&id)?.ready.remove(&position)?;
        self.timers
            .expiry
            .remove(&(queued.stored.expires_ms, id, position));
        Some(queued)
    }

    /// Makes a message ready at its position.
    pub(crate) fn make_ready(&mut self, id: QueueId, position: Position, queued: Queued) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        for key in &queue.filtering {
            if let Some(consumer) = self.consumers.get_mut(key) {
                consumer.notice(position, &queued.stored);
            }
        }
        if queued.stored.expires_ms != 0 && self.message_expiry_scan_period_ms >= 0 {
            self.timers
                .expiry
                .insert((queued.stored.expires_ms, id, position));
        }
        let anyone = !queue.waiting.is_empty();
        queue.ready.insert(position, queued);
        if anyone {
            self.dirty.insert(id);
        }
    }
}
