//! Acknowledgements: deliveries that are settled, at once or with the transaction.

use std::collections::BTreeMap;

use crate::effect::Effects;
use crate::engine::{Answer, Engine, Outcome};
use crate::error::{EngineError, code};
use crate::ids::{ConsumerKey, QueueId, SessionKey};
use crate::record::Change;
use crate::stored::Taken;

impl Engine {
    pub(crate) fn acknowledge(
        &mut self,
        session: SessionKey,
        consumer: i64,
        message_id: i64,
        individual: bool,
        effects: &mut Effects,
    ) -> Outcome {
        let transacted = !self.session(session)?.auto_commit_acks;
        let key = ConsumerKey { session, consumer };
        let (queue, settled) = match self.settle(key, message_id, individual) {
            Ok(settled) => settled,
            Err(error) => {
                if transacted && let Some(session) = self.sessions.get_mut(&session) {
                    session.transaction.fail(&error);
                }
                return Err(error);
            }
        };
        let settled: Vec<(QueueId, Taken)> =
            settled.into_iter().map(|taken| (queue, taken)).collect();
        if transacted {
            if let Some(session) = self.sessions.get_mut(&session) {
                session.transaction.acknowledged.extend(settled);
            }
            return Ok(Answer::done(0));
        }
        let changes = self.removals(&settled);
        let record = self.emit_changes(changes, effects);
        self.settled(&settled);
        Ok(Answer::done(record))
    }

    /// The client found a message expired that it was about to hand to its user.
    pub(crate) fn expired_at_client(
        &mut self,
        now_ms: u64,
        session: SessionKey,
        consumer: i64,
        message_id: i64,
        effects: &mut Effects,
    ) -> Outcome {
        let key = ConsumerKey { session, consumer };
        let (id, settled) = self.settle(key, message_id, true)?;
        for taken in settled {
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.delivering -= 1;
            }
            self.expire(now_ms, id, &taken.queued, effects);
        }
        Ok(Answer::done(0))
    }

    fn settle(
        &mut self,
        key: ConsumerKey,
        message_id: i64,
        individual: bool,
    ) -> Result<(QueueId, Vec<Taken>), EngineError> {
        let Some(consumer) = self.consumers.get_mut(&key) else {
            let message = format!("consumer {} does not exist", key.consumer);
            return Err(EngineError::new(code::ILLEGAL_STATE, message));
        };
        let Some(settled) = consumer.settle(message_id, individual) else {
            let message = format!(
                "AMQ229014: consumer {} has no unacknowledged message {message_id}",
                key.consumer
            );
            return Err(EngineError::new(code::ILLEGAL_STATE, message));
        };
        Ok((consumer.queue, settled))
    }

    /// What a record must say about messages that leave their queues, one change per queue.
    pub(crate) fn removals(&self, settled: &[(QueueId, Taken)]) -> Vec<Change> {
        let mut removals: BTreeMap<QueueId, Vec<i64>> = BTreeMap::new();
        for (id, taken) in settled {
            let stored = &taken.queued.stored;
            let durable = self.queues.get(id).is_some_and(|queue| queue.durable);
            if durable && stored.message.durable() {
                removals.entry(*id).or_default().push(stored.id);
            }
        }
        removals
            .into_iter()
            .map(|(queue, ids)| Change::Removed { queue, ids })
            .collect()
    }

    /// Forgets messages that were delivered and acknowledged.
    pub(crate) fn settled(&mut self, settled: &[(QueueId, Taken)]) {
        for (id, _) in settled {
            let Some(queue) = self.queues.get_mut(id) else {
                continue;
            };
            queue.delivering -= 1;
            queue.counters.acknowledged += 1;
            if queue.unused_since_ms.is_some() {
                self.consider_auto_delete(*id);
            }
        }
    }
}
