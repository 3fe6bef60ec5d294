//! The engine's state, and the way of a request through it.
//!
//! ```text
//!   request ──► its step (session, queue_admin, transaction, …) ──► answer
//!                        │ marks queues that may deliver
//!                        ▼
//!                  dispatch of those queues
//! ```
//! Each step lives in a module of its own and changes the state directly; this module only
//! connects them. Every answer says on which record it depends (rule 8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::Address;
use crate::command::{Command, NO_REPLY, Request};
use crate::compaction::Restating;
use crate::config::{AddressConfig, AddressSettings, EngineConfig};
use crate::consumer::Consumer;
use crate::duplicates::DuplicateCache;
use crate::effect::{Effect, Effects, Notice, Reply};
use crate::error::EngineError;
use crate::ids::{ConnectionKey, ConsumerKey, IdSource, QueueId, SessionKey};
use crate::ledger::Ledger;
use crate::queue::Queue;
use crate::record::RecordBody;
use crate::recovery::Phase;
use crate::recovery::RecoverError;
use crate::security::SecurityRepository;
use crate::session::Session;
use crate::settings::SettingsRepository;
use crate::stored::Stored;
use crate::timers::Timers;

/// Everything a broker knows about its addresses, queues, messages and sessions.
#[derive(Debug)]
pub struct Engine {
    pub(crate) ids: IdSource,
    /// Records emitted in this term.
    pub(crate) records: u64,
    pub(crate) settings: SettingsRepository,
    pub(crate) security: SecurityRepository,
    pub(crate) configured: Vec<AddressConfig>,
    pub(crate) management_address: String,
    pub(crate) id_cache_size: usize,
    pub(crate) wildcard_routing: bool,
    pub(crate) message_expiry_scan_period_ms: i64,
    pub(crate) address_queue_scan_period_ms: i64,
    pub(crate) addresses: BTreeMap<String, Address>,
    /// The addresses whose names are patterns.
    pub(crate) wildcard_addresses: BTreeSet<String>,
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    pub(crate) queue_names: BTreeMap<String, QueueId>,
    /// Queues that end with a connection, or might.
    pub(crate) temporary: BTreeMap<ConnectionKey, BTreeSet<QueueId>>,
    pub(crate) sessions: BTreeMap<SessionKey, Session>,
    pub(crate) consumers: BTreeMap<ConsumerKey, Consumer>,
    pub(crate) duplicates: BTreeMap<String, DuplicateCache>,
    pub(crate) timers: Timers,
    /// Queues that may have something to deliver since the current request.
    pub(crate) dirty: BTreeSet<QueueId>,
    /// Queues whose dispatch was interrupted to let other requests through.
    pub(crate) unfinished: BTreeSet<QueueId>,
    /// Messages of records read, some of them gone again, until queues are made of them.
    pub(crate) decoded: Vec<Arc<Stored>>,
    /// What the journal says.
    pub(crate) ledger: Ledger,
    failure: Option<RecoverError>,
    /// A compaction under way.
    pub(crate) restating: Option<Restating>,
    /// How far the engine is on its way to serving.
    pub(crate) phase: Phase,
}

/// A step's success: what is answered, and the record it depends on.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) after: u64,
}

impl Answer {
    pub(crate) fn done(after: u64) -> Self {
        Self {
            reply: Reply::Done,
            after,
        }
    }
}

/// What a step brings.
pub(crate) type Outcome = Result<Answer, EngineError>;

impl Engine {
    /// An engine without any queue. Records of earlier terms are given to [`Engine::recover`] in
    /// their order, [`Engine::finish_replay`] makes queues of them, then
    /// [`Engine::finish_recovery`] makes it serve.
    pub fn new(config: EngineConfig) -> Self {
        Self {
            ids: IdSource::new(config.epoch),
            records: 0,
            settings: SettingsRepository::new(config.address_settings),
            security: SecurityRepository::new(config.security_enabled, config.security),
            configured: config.addresses,
            management_address: config.management_address,
            id_cache_size: config.id_cache_size,
            wildcard_routing: config.wildcard_routing,
            message_expiry_scan_period_ms: config.message_expiry_scan_period_ms,
            address_queue_scan_period_ms: config.address_queue_scan_period_ms,
            addresses: BTreeMap::new(),
            wildcard_addresses: BTreeSet::new(),
            queues: BTreeMap::new(),
            queue_names: BTreeMap::new(),
            temporary: BTreeMap::new(),
            sessions: BTreeMap::new(),
            consumers: BTreeMap::new(),
            duplicates: BTreeMap::new(),
            timers: Timers::default(),
            dirty: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            decoded: Vec::new(),
            ledger: Ledger::default(),
            failure: None,
            restating: None,
            phase: Phase::Replaying,
        }
    }

    /// Carries out one request. Call [`Engine::next_timeout`] again after it.
    ///
    /// Requests of one session are handled in their order; `now_ms` is milliseconds since 1970.
    pub fn handle(&mut self, now_ms: u64, request: Request, effects: &mut Effects) {
        let Request {
            session,
            token,
            command,
        } = request;
        let name = command.name();
        let outcome = self.execute(now_ms, session, command, effects);
        self.answer(session, token, name, outcome, effects);
        self.dispatch_dirty(now_ms, effects);
    }

    fn execute(
        &mut self,
        now_ms: u64,
        session: SessionKey,
        command: Command,
        effects: &mut Effects,
    ) -> Outcome {
        let begins_or_ends = matches!(
            command,
            Command::OpenSession(_) | Command::ConnectionClosed { .. }
        );
        if !begins_or_ends && !self.sessions.contains_key(&session) {
            return Err(EngineError::no_session());
        }
        match command {
            Command::OpenSession(open) => self.open_session(session, open),
            Command::ConnectionClosed { connection } => {
                Ok(self.connection_closed(now_ms, connection, effects))
            }
            Command::CloseSession { failed } => {
                Ok(self.close_session(now_ms, session, failed, effects))
            }
            Command::CreateAddress {
                address,
                routing_types,
                auto_created,
            } => self.create_address(session, &address, routing_types, auto_created, effects),
            Command::DeleteAddress { address } => self.delete_address(session, &address, effects),
            Command::CreateQueue(create) => self.create_queue(session, *create, effects),
            Command::CreateSharedQueue(create) => {
                self.create_shared_queue(session, *create, effects)
            }
            Command::DeleteQueue { queue } => self.delete_queue(now_ms, session, &queue, effects),
            Command::QueueQuery { queue } => Ok(self.queue_query(&queue)),
            Command::BindingQuery { address } => Ok(self.binding_query(&address)),
            Command::CreateConsumer(create) => self.create_consumer(session, &create),
            Command::CloseConsumer { consumer } => {
                Ok(self.close_consumer(now_ms, session, consumer, effects))
            }
            Command::Credits { consumer, credits } => {
                Ok(self.grant_credits(session, consumer, credits))
            }
            Command::ForceDelivery { consumer, sequence } => {
                Ok(self.force_delivery(session, consumer, sequence))
            }
            Command::Acknowledge {
                consumer,
                message_id,
                individual,
            } => self.acknowledge(session, consumer, message_id, individual, effects),
            Command::Expired {
                consumer,
                message_id,
            } => self.expired_at_client(now_ms, session, consumer, message_id, effects),
            Command::Start => Ok(self.start(session)),
            Command::Stop => Ok(self.stop(session)),
            Command::Pause => Ok(self.set_paused(session, true)),
            Command::Resume => Ok(self.set_paused(session, false)),
            Command::Send { message, address } => {
                self.send(now_ms, session, message, address, effects)
            }
            Command::Commit => self.commit(now_ms, session, effects),
            Command::Rollback {
                consider_last_delivered,
            } => Ok(self.rollback(now_ms, session, consider_last_delivered, effects)),
            Command::ProducerCredits { address, credits } => {
                Ok(self.producer_credits(session, address, credits, effects))
            }
            Command::AddMetadata { key, value, unique } => {
                self.add_metadata(session, key, value, unique)
            }
        }
    }

    fn answer(
        &mut self,
        session: SessionKey,
        token: u64,
        request: &'static str,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        if token == NO_REPLY {
            if let Err(error) = outcome {
                effects.effects.push(Effect::Notice(Notice::Refused {
                    session,
                    request,
                    error,
                }));
            }
            return;
        }
        // A refusal may rest on anything seen so far, such as a queue just created by another
        // session, so it waits for all of it.
        let depends = outcome.as_ref().map_or(self.records, |answer| answer.after);
        let after = self.gate(session, depends);
        let result = outcome.map(|answer| answer.reply);
        effects.effects.push(Effect::Reply {
            session,
            token,
            result,
            after,
        });
    }

    /// The `after` of an effect for a session that depends on record `depends`: effects of one
    /// session leave in their order, so it is never lower than that of an earlier one.
    pub(crate) fn gate(&mut self, session: SessionKey, depends: u64) -> u64 {
        match self.sessions.get_mut(&session) {
            Some(session) => {
                session.last_after = session.last_after.max(depends);
                session.last_after
            }
            None => depends,
        }
    }

    /// Emits a record and returns its number.
    pub(crate) fn emit(&mut self, body: &RecordBody, effects: &mut Effects) -> u64 {
        if let Err(error) = self.ledger.apply(body) {
            debug_assert!(false, "emitted what no one can replay: {error}");
            self.failure.get_or_insert(error);
        }
        effects.records.push(body.encode());
        self.records += 1;
        self.records
    }

    /// Set once the engine has contradicted its own records. Nothing more may be appended then: the
    /// term ends, and its successor recovers from what was appended before.
    pub fn failure(&self) -> Option<&RecoverError> {
        self.failure.as_ref()
    }

    /// The settings of an address, whether it exists or not.
    pub(crate) fn settings_of(&self, address: &str) -> Arc<AddressSettings> {
        match self.addresses.get(address) {
            Some(address) => Arc::clone(&address.settings),
            None => Arc::new(self.settings.resolve(address)),
        }
    }
}

impl Command {
    /// What it is called in the log.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::OpenSession(_) => "open session",
            Self::CloseSession { .. } => "close session",
            Self::ConnectionClosed { .. } => "close connection",
            Self::CreateAddress { .. } => "create address",
            Self::DeleteAddress { .. } => "delete address",
            Self::CreateQueue(_) => "create queue",
            Self::CreateSharedQueue(_) => "create shared queue",
            Self::DeleteQueue { .. } => "delete queue",
            Self::QueueQuery { .. } => "query queue",
            Self::BindingQuery { .. } => "query address",
            Self::CreateConsumer(_) => "create consumer",
            Self::CloseConsumer { .. } => "close consumer",
            Self::Credits { .. } => "credits",
            Self::ForceDelivery { .. } => "force delivery",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Expired { .. } => "expired",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Send { .. } => "send",
            Self::Commit => "commit",
            Self::Rollback { .. } => "rollback",
            Self::ProducerCredits { .. } => "producer credits",
            Self::AddMetadata { .. } => "add metadata",
        }
    }
}
