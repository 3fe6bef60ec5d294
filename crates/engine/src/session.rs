//! Sessions and connections: how they begin and end, and what is noted about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::split_name;
use crate::command::OpenSession;
use crate::consumer_admin::Detached;
use crate::effect::{Effect, Effects};
use crate::engine::{Answer, Engine, Outcome};
use crate::error::{EngineError, code};
use crate::ids::{ConnectionKey, ConsumerKey, QueueId, SessionKey};
use crate::queue::Lifetime;
use crate::redelivery::Returned;
use crate::security::Identity;
use crate::transaction::Transaction;

/// Facts one session may note about itself; clients use two or three.
const MAX_METADATA: usize = 64;

/// Addresses remembered per session as sent to. A session that sends to more may find that an
/// auto-created one was deleted meanwhile, as it would with Artemis.
const MAX_PRODUCING: usize = 1_000;

/// Longest name or value of such a fact.
const MAX_METADATA_BYTES: usize = 4096;

/// A session.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent properties of a session"
)]
pub(crate) struct Session {
    pub(crate) connection: ConnectionKey,
    pub(crate) identity: Identity,
    pub(crate) auto_commit_sends: bool,
    pub(crate) auto_commit_acks: bool,
    pub(crate) pre_acknowledge: bool,
    pub(crate) started: bool,
    /// Its connection has enough deliveries for now.
    pub(crate) paused: bool,
    pub(crate) consumers: BTreeSet<i64>,
    pub(crate) transaction: Transaction,
    metadata: BTreeMap<String, String>,
    /// Addresses it sends to, as far as it asked for credits.
    pub(crate) producing: BTreeSet<String>,
    /// The highest `after` of an effect for it.
    pub(crate) last_after: u64,
}

impl Engine {
    pub(crate) fn open_session(&mut self, key: SessionKey, open: OpenSession) -> Outcome {
        if self.sessions.contains_key(&key) {
            let message = format!("session {key} is open already");
            return Err(EngineError::new(code::ILLEGAL_STATE, message));
        }
        let session = Session {
            connection: open.connection,
            identity: Identity {
                user: open.user,
                roles: open.roles,
                bypass: open.bypass_security,
            },
            auto_commit_sends: open.auto_commit_sends,
            auto_commit_acks: open.auto_commit_acks,
            pre_acknowledge: open.pre_acknowledge,
            started: false,
            paused: false,
            consumers: BTreeSet::new(),
            transaction: Transaction::default(),
            metadata: BTreeMap::new(),
            producing: BTreeSet::new(),
            last_after: 0,
        };
        self.sessions.insert(key, session);
        Ok(Answer::done(0))
    }

    /// Ends a session: its transaction is rolled back, what it was delivered goes back.
    pub(crate) fn close_session(
        &mut self,
        now_ms: u64,
        key: SessionKey,
        failed: bool,
        effects: &mut Effects,
    ) -> Answer {
        let mut returned = self.take_transaction(key);
        let consumers: Vec<ConsumerKey> = self.consumers_of(key);
        let mut left = BTreeSet::new();
        for consumer in consumers {
            let Some(Detached {
                queue,
                deliveries,
                browser: false,
            }) = self.detach_consumer(consumer)
            else {
                continue;
            };
            let deliveries = deliveries.into_iter().map(|taken| Returned {
                taken,
                counts: failed,
            });
            returned.entry(queue).or_default().extend(deliveries);
            left.insert(queue);
        }
        let last_after = self
            .sessions
            .remove(&key)
            .map_or(0, |session| session.last_after);
        self.give_back(now_ms, returned, effects);
        for queue in left {
            self.consumer_left(now_ms, queue, effects);
        }
        Answer::done(last_after)
    }

    pub(crate) fn connection_closed(
        &mut self,
        now_ms: u64,
        connection: ConnectionKey,
        effects: &mut Effects,
    ) -> Answer {
        let sessions: Vec<SessionKey> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.connection == connection)
            .map(|(key, _)| *key)
            .collect();
        for session in sessions {
            self.close_session(now_ms, session, true, effects);
        }
        for queue in self.temporary.remove(&connection).unwrap_or_default() {
            if self.ends_with_connection(queue) {
                self.remove_queue(now_ms, queue, effects);
            }
        }
        Answer::done(self.records)
    }

    /// The session, which exists while one of its requests is handled.
    pub(crate) fn session(&self, key: SessionKey) -> Result<&Session, EngineError> {
        self.sessions.get(&key).ok_or_else(EngineError::no_session)
    }

    /// A shared queue that others still consume from outlives the connection that created it.
    fn ends_with_connection(&self, queue: QueueId) -> bool {
        self.queues
            .get(&queue)
            .is_some_and(|queue| match queue.lifetime {
                Lifetime::Permanent => false,
                Lifetime::Connection(_) => true,
                Lifetime::Consumers(_) => queue.consumers.is_empty(),
            })
    }

    pub(crate) fn start(&mut self, key: SessionKey) -> Answer {
        self.set_started(key, true)
    }

    pub(crate) fn stop(&mut self, key: SessionKey) -> Answer {
        self.set_started(key, false)
    }

    fn set_started(&mut self, key: SessionKey, started: bool) -> Answer {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.started = started;
        }
        for consumer in self.consumers_of(key) {
            self.refresh_turn(consumer);
        }
        Answer::done(0)
    }

    pub(crate) fn set_paused(&mut self, key: SessionKey, paused: bool) -> Answer {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.paused = paused;
        }
        for consumer in self.consumers_of(key) {
            self.refresh_turn(consumer);
            // A marker may wait for a consumer that cannot take a message.
            if let Some(consumer) = self.consumers.get(&consumer) {
                self.dirty.insert(consumer.queue);
            }
        }
        Answer::done(0)
    }

    /// The consumers of a session.
    pub(crate) fn consumers_of(&self, session: SessionKey) -> Vec<ConsumerKey> {
        self.sessions.get(&session).map_or_else(Vec::new, |found| {
            found
                .consumers
                .iter()
                .map(|consumer| ConsumerKey {
                    session,
                    consumer: *consumer,
                })
                .collect()
        })
    }

    pub(crate) fn producer_credits(
        &mut self,
        session: SessionKey,
        address: String,
        credits: i32,
        effects: &mut Effects,
    ) -> Answer {
        if let Some(session) = self.sessions.get_mut(&session)
            && session.producing.len() < MAX_PRODUCING
        {
            session.producing.insert(split_name(&address).0.to_owned());
        }
        let after = self.gate(session, 0);
        effects.effects.push(Effect::ProducerCredits {
            session,
            address,
            credits,
            fail: false,
            after,
        });
        Answer::done(0)
    }

    pub(crate) fn add_metadata(
        &mut self,
        key: SessionKey,
        name: String,
        value: String,
        unique: bool,
    ) -> Outcome {
        if name.len() > MAX_METADATA_BYTES || value.len() > MAX_METADATA_BYTES {
            let message = format!("metadata is longer than {MAX_METADATA_BYTES} bytes");
            return Err(EngineError::new(code::ILLEGAL_STATE, message));
        }
        if unique
            && self.sessions.iter().any(|(other, session)| {
                *other != key && session.metadata.get(&name) == Some(&value)
            })
        {
            let message = format!("AMQ229036: another session has metadata {name}={value}");
            return Err(EngineError::new(code::DUPLICATE_METADATA, message));
        }
        let Some(session) = self.sessions.get_mut(&key) else {
            return Err(EngineError::no_session());
        };
        if session.metadata.len() >= MAX_METADATA && !session.metadata.contains_key(&name) {
            let message = format!("a session has at most {MAX_METADATA} metadata entries");
            return Err(EngineError::new(code::ILLEGAL_STATE, message));
        }
        session.metadata.insert(name, value);
        Ok(Answer::done(0))
    }
}
