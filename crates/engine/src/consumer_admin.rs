//! Creating and closing consumers, and what becomes of a queue whose last consumer leaves.

use crate::command::CreateConsumer;
use crate::config::Permission;
use crate::consumer::{Consumer, Mode};
use crate::effect::{Effects, Reply};
use crate::engine::{Answer, Engine, Outcome};
use crate::error::{EngineError, code};
use crate::ids::{ConsumerKey, QueueId, SessionKey};
use crate::queue::Lifetime;
use crate::queue_admin::parse_filter;
use crate::record::{Change, RecordBody};
use crate::redelivery::Returned;
use crate::stored::Taken;

/// Consumers of one session: far more than a client uses, few enough to walk through.
const MAX_CONSUMERS_PER_SESSION: usize = 10_000;

/// Messages one record of an emptied queue names, about a megabyte: records are bounded.
const MAX_PURGED_PER_RECORD: usize = 100_000;

/// Markers that wait in one queue while its consumers' sessions are paused; clients ask for one at a time.
const MAX_MARKERS: usize = 10_000;

/// What a consumer leaves behind.
#[derive(Debug)]
pub(crate) struct Detached {
    pub(crate) queue: QueueId,
    /// What it has not acknowledged, in the order of delivery.
    pub(crate) deliveries: Vec<Taken>,
    /// Browsers leave nothing, and their queue does not notice.
    pub(crate) browser: bool,
}

impl Engine {
    pub(crate) fn create_consumer(
        &mut self,
        session: SessionKey,
        create: &CreateConsumer,
    ) -> Outcome {
        let id = self.resolve_queue(&create.queue)?;
        let permission = if create.browse_only {
            Permission::Browse
        } else {
            Permission::Consume
        };
        let Some(queue) = self.queues.get(&id) else {
            return Err(EngineError::no_queue(&create.queue));
        };
        let attributes = &queue.attributes;
        self.check(
            session,
            permission,
            &attributes.address,
            Some(&attributes.name),
        )?;
        let filter = parse_filter(create.filter.as_deref())?;
        let room = usize::try_from(attributes.max_consumers).unwrap_or(usize::MAX);
        if !create.browse_only && queue.consumers.len() >= room {
            let message = format!(
                "AMQ229200: queue {} has its {room} consumers; no more are allowed",
                attributes.name
            );
            return Err(EngineError::new(code::MAX_CONSUMERS, message));
        }
        let taken = &self.session(session)?.consumers;
        if taken.contains(&create.consumer) || taken.len() >= MAX_CONSUMERS_PER_SESSION {
            let message = format!(
                "consumer {} cannot be created: the id is in use, or the session has its \
                 {MAX_CONSUMERS_PER_SESSION} consumers",
                create.consumer
            );
            return Err(EngineError::new(code::ILLEGAL_STATE, message));
        }
        let key = ConsumerKey {
            session,
            consumer: create.consumer,
        };
        self.add_consumer(key, id, filter, create);
        let Some(info) = self.queue_info(id) else {
            return Err(EngineError::no_queue(&create.queue));
        };
        Ok(Answer {
            reply: Reply::Queue(Box::new(info)),
            after: self.records,
        })
    }

    fn add_consumer(
        &mut self,
        key: ConsumerKey,
        id: QueueId,
        filter: Option<crate::filter::Filter>,
        create: &CreateConsumer,
    ) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let mode = if create.browse_only {
            queue.browsers.insert(key);
            Mode::Browse {
                end_id: self.ids.end(),
            }
        } else {
            queue.consumers.push(key);
            queue.unused_since_ms = None;
            if filter.is_some() {
                queue.filtering.insert(key);
            }
            Mode::Consume
        };
        if let Some(session) = self.sessions.get_mut(&key.session) {
            session.consumers.insert(key.consumer);
        }
        self.consumers
            .insert(key, Consumer::new(id, mode, create.priority, filter));
    }

    pub(crate) fn close_consumer(
        &mut self,
        now_ms: u64,
        session: SessionKey,
        consumer: i64,
        effects: &mut Effects,
    ) -> Answer {
        let key = ConsumerKey { session, consumer };
        let Some(Detached {
            queue,
            deliveries,
            browser,
        }) = self.detach_consumer(key)
        else {
            return Answer::done(0);
        };
        if browser {
            return Answer::done(0);
        }
        let returned = deliveries
            .into_iter()
            .map(|taken| Returned {
                taken,
                counts: false,
            })
            .collect();
        self.give_back(now_ms, [(queue, returned)].into(), effects);
        self.consumer_left(now_ms, queue, effects);
        Answer::done(0)
    }

    /// Takes a consumer away from its session and queue. What it has not acknowledged is returned;
    /// the caller gives it back and then calls [`Engine::consumer_left`].
    pub(crate) fn detach_consumer(&mut self, key: ConsumerKey) -> Option<Detached> {
        let mut consumer = self.consumers.remove(&key)?;
        if let Some(session) = self.sessions.get_mut(&key.session) {
            session.consumers.remove(&key.consumer);
        }
        let queue_id = consumer.queue;
        let mut successor = None;
        if let Some(queue) = self.queues.get_mut(&queue_id) {
            queue.consumers.retain(|other| *other != key);
            queue.filtering.remove(&key);
            queue.browsers.remove(&key);
            queue.markers.retain(|(other, _)| *other != key);
            if let Some(turn) = consumer.turn {
                queue.waiting.remove(&turn);
            }
            if queue.attributes.exclusive {
                successor = queue.consumers.first().copied();
            }
        }
        if let Some(successor) = successor {
            self.refresh_turn(successor);
        }
        Some(Detached {
            queue: queue_id,
            deliveries: consumer.settle_all(),
            browser: consumer.is_browser(),
        })
    }

    /// Looks after a queue that a consumer has left.
    pub(crate) fn consumer_left(&mut self, now_ms: u64, id: QueueId, effects: &mut Effects) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        if !queue.consumers.is_empty() {
            return;
        }
        if matches!(queue.lifetime, Lifetime::Consumers(_)) {
            self.remove_queue(now_ms, id, effects);
            return;
        }
        queue.unused_since_ms = Some(now_ms);
        if queue.attributes.purge_on_no_consumers {
            self.purge(id, effects);
        }
        self.consider_auto_delete(id);
    }

    /// Drops every message of a queue that is not under way.
    fn purge(&mut self, id: QueueId, effects: &mut Effects) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        self.timers.forget_queue(queue);
        let ready = std::mem::take(&mut queue.ready).into_values();
        let scheduled = std::mem::take(&mut queue.scheduled).into_values();
        let ids: Vec<i64> = ready
            .chain(scheduled.map(|scheduled| scheduled.queued))
            .filter(|queued| queue.durable && queued.stored.message.durable())
            .map(|queued| queued.stored.id)
            .collect();
        for ids in ids.chunks(MAX_PURGED_PER_RECORD) {
            let ids = ids.to_vec();
            self.emit(
                &RecordBody::Change(Change::Removed { queue: id, ids }),
                effects,
            );
        }
    }

    /// Plans the end of a queue that nobody uses.
    pub(crate) fn consider_auto_delete(&mut self, id: QueueId) {
        if let Some(due_ms) = self.auto_delete_due(id) {
            self.timers.queue_deletes.insert((due_ms, id));
        }
    }

    /// When an unused queue goes away, as things are.
    pub(crate) fn auto_delete_due(&self, id: QueueId) -> Option<u64> {
        let queue = self.queues.get(&id)?;
        let attributes = &queue.attributes;
        let since_ms = queue.unused_since_ms?;
        let limit = attributes.auto_delete_message_count;
        let few = usize::try_from(limit).map_or(true, |limit| queue.message_count() <= limit);
        if !attributes.auto_delete || !few || !queue.consumers.is_empty() {
            return None;
        }
        self.auto_delete_time(since_ms, attributes.auto_delete_delay_ms)
    }

    pub(crate) fn grant_credits(
        &mut self,
        session: SessionKey,
        consumer: i64,
        credits: i32,
    ) -> Answer {
        let key = ConsumerKey { session, consumer };
        if let Some(consumer) = self.consumers.get_mut(&key) {
            consumer.credits = consumer.credits.grant(credits);
            self.refresh_turn(key);
        }
        Answer::done(0)
    }

    pub(crate) fn force_delivery(
        &mut self,
        session: SessionKey,
        consumer: i64,
        sequence: i64,
    ) -> Answer {
        let key = ConsumerKey { session, consumer };
        let queue = self.consumers.get(&key).map(|consumer| consumer.queue);
        if let Some((id, queue)) =
            queue.and_then(|id| self.queues.get_mut(&id).map(|queue| (id, queue)))
        {
            if queue.markers.len() < MAX_MARKERS {
                queue.markers.push((key, sequence));
            }
            self.dirty.insert(id);
        }
        Answer::done(0)
    }
}
