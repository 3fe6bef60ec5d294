//! The one task that owns the queues of a term: requests in, records to the journal, effects out.
//!
//! ```text
//! connections ──requests──► engine ──records──► journal ──fsync──► pair's state machine
//!      ▲                       │                                            │
//!      └──────effects──────────┴── held back until the gate opens ◄─────────┘
//! ```
//! A batch is whatever arrived while the previous one was handled, so a busy broker makes few large appends.
//! The task never waits for the disk: effects wait in [`HeldBack`], requests go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use core_protocol::message::Message;
use engine::{Command, ConnectionKey, Effect, Effects, Engine, Notice, Request, SessionKey};
use journal::Writer;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::compaction::Compaction;
use super::flow::Outbox;
use super::management;
use super::release::{Gate, HeldBack, address_of};
use super::wall_clock::WallClock;

/// Requests handled between two looks at the gate; bounds the time in which no effect is released.
const MAX_BATCH: usize = 512;
/// Requests that wait for the engine before the sockets that bring them are no longer read.
pub(crate) const MAX_QUEUED_REQUESTS: usize = 4096;
/// How often the number of messages is counted for the status page.
const COUNT_PERIOD: Duration = Duration::from_secs(1);
/// Effects of one batch above which they are offered before the batch is finished; then too many for one connection
/// are noticed.
const MAX_EFFECTS: usize = 4096;
/// The session by which the broker itself sends; clients get keys from 1.
const OWN_SESSION: SessionKey = SessionKey(0);

/// What connections send to the engine.
#[derive(Debug)]
pub(crate) enum ToEngine {
    /// A session begins; its effects go to the outbox from here on.
    Open {
        /// The session's first request.
        request: Box<Request>,
        /// Where its effects go.
        outbox: Outbox,
    },
    /// A request of a session that is open.
    Request(Box<Request>),
    /// A session ended and its answer has left.
    SessionGone(SessionKey),
    /// A connection that had too many deliveries waiting has few again.
    Resume(ConnectionKey),
    /// A connection ended: its sessions are closed as failed.
    ConnectionClosed(ConnectionKey),
}

/// What the task is given when a term begins to serve.
pub(crate) struct EngineTask {
    /// The queues, recovered as far as the journal goes.
    pub engine: Engine,
    /// The journal of this term.
    pub writer: Arc<Writer>,
    /// Entries of the term that precede the engine's first record.
    pub base: u64,
    /// What connections ask.
    pub requests: mpsc::Receiver<ToEngine>,
    /// How far the pair's gate is open.
    pub gate: watch::Receiver<Gate>,
    /// Take nothing more, let what was taken finish.
    pub drain: CancellationToken,
    /// End at once: nothing further leaves.
    pub abandon: CancellationToken,
    /// Messages in all queues.
    pub messages: watch::Sender<Option<u64>>,
}

impl EngineTask {
    /// Runs until it is drained or abandoned; an error says why it could do neither.
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self {
            engine,
            writer,
            base,
            requests,
            gate,
            drain,
            abandon,
            messages,
        } = self;
        let compaction = Compaction::new(&writer);
        let mut task = Running {
            engine,
            writer,
            base,
            appended: 0,
            compaction,
            outboxes: BTreeMap::new(),
            connections: BTreeMap::new(),
            held: HeldBack::default(),
            open: *gate.borrow(),
            effects: Effects::new(),
            own_token: 0,
        };
        task.engine
            .finish_recovery(unix_ms(), &mut task.effects)
            .map_err(|error| error.to_string())?;
        task.open_own_session();
        task.carry_out()?;
        tokio::select! {
            biased;
            () = abandon.cancelled() => Ok(()),
            ended = task.serve(requests, gate, drain, messages) => ended,
        }
    }
}

struct Running {
    engine: Engine,
    writer: Arc<Writer>,
    base: u64,
    /// Records of the engine that were handed to the journal.
    appended: u64,
    compaction: Compaction,
    outboxes: BTreeMap<SessionKey, Outbox>,
    connections: BTreeMap<ConnectionKey, Vec<SessionKey>>,
    held: HeldBack,
    /// The gate as it was looked at last.
    open: Gate,
    effects: Effects,
    own_token: u64,
}

impl Running {
    async fn serve(
        &mut self,
        mut requests: mpsc::Receiver<ToEngine>,
        mut gate: watch::Receiver<Gate>,
        drain: CancellationToken,
        messages: watch::Sender<Option<u64>>,
    ) -> Result<(), String> {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut count = tokio::time::interval(COUNT_PERIOD);
        let mut clock = WallClock::new(Instant::now(), unix_ms());
        let mut draining = false;
        self.open_gate(*gate.borrow_and_update());
        loop {
            if draining {
                let open = *gate.borrow_and_update();
                self.open_gate(open);
                if self.is_released(open.offset) && self.held.is_empty() {
                    return Ok(());
                }
            }
            let released = self.open.offset.saturating_sub(self.base);
            if !draining && self.compaction.is_ready(released) {
                self.compaction
                    .step(&mut self.engine, &self.writer, &mut self.appended)?;
            }
            let compacting = self.compaction.is_ready(released);
            // What the disk cannot take now stays in the sockets.
            let room = !self.writer.is_full();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                changed = gate.changed() => match changed {
                    Ok(()) => self.open_gate(*gate.borrow_and_update()),
                    // The pair's driver is gone: nothing may leave any more.
                    Err(_) => return Ok(()),
                },
                () = drain.cancelled(), if !draining => draining = true,
                taken = requests.recv_many(&mut batch, MAX_BATCH), if room && !draining => {
                    if taken == 0 {
                        draining = true;
                    }
                    self.handle(&mut batch)?;
                }
                () = tokio::time::sleep(wake), if !draining => {
                    self.engine.handle_timeout(unix_ms(), &mut self.effects);
                    self.carry_out()?;
                }
                _ = count.tick() => {
                    if let Some(by_ms) = clock.set_back(Instant::now(), unix_ms()) {
                        info!("the wall clock was set back by {by_ms} ms: delays go on as before");
                        self.engine.clock_set_back(by_ms);
                    }
                    let total = Some(messages_in(&self.engine));
                    messages.send_if_modified(|seen| std::mem::replace(seen, total) != total);
                    if !draining {
                        self.compaction
                            .consider(&mut self.engine, &self.writer, &mut self.appended)?;
                    }
                }
                () = tokio::task::yield_now(), if compacting && !draining => {}
            }
        }
    }

    fn is_released(&self, gate: u64) -> bool {
        gate.saturating_sub(self.base) >= self.appended
    }

    fn open_gate(&mut self, gate: Gate) {
        self.open = gate;
        if !gate.is_fresh() {
            return;
        }
        let outboxes = &self.outboxes;
        let records = gate.offset.saturating_sub(self.base);
        self.held.release(records, &mut |session, effect| {
            hand_over(outboxes, session, effect);
        });
    }

    fn next_wake(&self) -> Duration {
        let now = unix_ms();
        self.engine.next_timeout().map_or(COUNT_PERIOD, |at| {
            Duration::from_millis(at.saturating_sub(now).max(1))
        })
    }

    fn handle(&mut self, batch: &mut Vec<ToEngine>) -> Result<(), String> {
        let now = unix_ms();
        for message in batch.drain(..) {
            match message {
                ToEngine::Open { request, outbox } => {
                    if let Command::OpenSession(open) = &request.command {
                        self.connections
                            .entry(open.connection)
                            .or_default()
                            .push(request.session);
                    }
                    let session = request.session;
                    let paused = outbox.is_paused();
                    self.outboxes.insert(session, outbox);
                    self.engine.handle(now, *request, &mut self.effects);
                    if paused {
                        self.tell_engine(session, Command::Pause);
                    }
                }
                ToEngine::Request(request) => {
                    self.engine.handle(now, *request, &mut self.effects);
                }
                ToEngine::SessionGone(session) => {
                    if let Some(outbox) = self.outboxes.remove(&session)
                        && let Some(sessions) = self.connections.get_mut(&outbox.connection())
                    {
                        sessions.retain(|other| *other != session);
                    }
                }
                ToEngine::Resume(connection) => self.resume(connection),
                ToEngine::ConnectionClosed(connection) => {
                    for session in self.connections.remove(&connection).unwrap_or_default() {
                        self.outboxes.remove(&session);
                        self.held.forget(session);
                    }
                    let request = Request {
                        session: OWN_SESSION,
                        token: engine::NO_REPLY,
                        command: Command::ConnectionClosed { connection },
                    };
                    self.engine.handle(now, request, &mut self.effects);
                }
            }
            if self.effects.effects.len() >= MAX_EFFECTS {
                self.carry_out()?;
            }
        }
        self.carry_out()
    }

    fn pause(&mut self, connection: ConnectionKey) {
        for session in self
            .connections
            .get(&connection)
            .cloned()
            .unwrap_or_default()
        {
            self.tell_engine(session, Command::Pause);
        }
    }

    fn resume(&mut self, connection: ConnectionKey) {
        for session in self
            .connections
            .get(&connection)
            .cloned()
            .unwrap_or_default()
        {
            // It may have paused again since.
            let paused = self.outboxes.get(&session).is_some_and(Outbox::is_paused);
            if !paused {
                self.tell_engine(session, Command::Resume);
            }
        }
    }

    fn tell_engine(&mut self, session: SessionKey, command: Command) {
        let request = Request {
            session,
            token: engine::NO_REPLY,
            command,
        };
        self.engine.handle(unix_ms(), request, &mut self.effects);
    }

    /// Appends the records, then offers the effects to the gate.
    fn carry_out(&mut self) -> Result<(), String> {
        // A management answer is a send of its own, which has effects of its own; so has a pause of deliveries,
        // which lets others have them.
        loop {
            self.append()?;
            let asked = self.offer();
            // Records must not wait for the next turn: the compaction appends on its own, and what it says again
            // stands behind what the engine said first.
            if asked.is_empty() && self.effects.is_empty() {
                return Ok(());
            }
            for answer in asked {
                self.send_own(answer);
            }
        }
    }

    fn append(&mut self) -> Result<(), String> {
        if let Some(error) = self.engine.failure() {
            return Err(format!("a record that no successor could replay: {error}"));
        }
        if self.effects.records.is_empty() {
            return Ok(());
        }
        self.appended += self.effects.records.len() as u64;
        let bytes = self
            .effects
            .records
            .iter()
            .map(|record| record.payload.len())
            .sum();
        self.compaction.note_traffic(bytes);
        let records = self
            .effects
            .records
            .drain(..)
            .map(|record| journal::Record {
                kind: record.kind,
                payload: record.payload,
            })
            .collect();
        // The queues have changed already: without these records this term cannot go on.
        self.writer
            .append(records)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    /// Offers the effects to the gate; returns the answers to management requests.
    fn offer(&mut self) -> Vec<Message> {
        let mut answers = Vec::new();
        let mut full = Vec::new();
        let mut effects = std::mem::take(&mut self.effects.effects);
        let is_fresh = self.open.is_fresh();
        for effect in effects.drain(..) {
            match effect {
                // Clients that reconnect create again what is there, and wait for no answer.
                Effect::Notice(notice @ Notice::Refused { .. }) => debug!("{notice}"),
                Effect::Notice(notice) => info!("{notice}"),
                Effect::ManagementRequest { message, .. } => {
                    answers.extend(management::answer(&message));
                }
                Effect::Reply {
                    session: OWN_SESSION,
                    result: Err(error),
                    ..
                } => {
                    debug!("a management answer was not delivered: {error}");
                }
                effect @ (Effect::Reply { .. }
                | Effect::Deliver { .. }
                | Effect::ForcedDelivery { .. }
                | Effect::ConsumerClosed { .. }
                | Effect::ProducerCredits { .. }) => {
                    let outboxes = &self.outboxes;
                    let outbox =
                        address_of(&effect).and_then(|(session, _)| outboxes.get(&session));
                    if let Some(outbox) = outbox
                        && outbox.count(&effect)
                    {
                        full.push(outbox.connection());
                    }
                    self.held.offer(effect, is_fresh, &mut |session, effect| {
                        hand_over(outboxes, session, effect);
                    });
                }
            }
        }
        // The emptied vector keeps its memory for the next batch.
        self.effects.effects = effects;
        for connection in full {
            self.pause(connection);
        }
        answers
    }

    fn open_own_session(&mut self) {
        let request = Request {
            session: OWN_SESSION,
            token: engine::NO_REPLY,
            command: Command::OpenSession(engine::OpenSession {
                connection: ConnectionKey(0),
                user: None,
                roles: Vec::new(),
                bypass_security: true,
                auto_commit_sends: true,
                auto_commit_acks: true,
                pre_acknowledge: false,
            }),
        };
        self.engine.handle(unix_ms(), request, &mut self.effects);
    }

    fn send_own(&mut self, message: Message) {
        self.own_token += 1;
        let request = Request {
            session: OWN_SESSION,
            token: self.own_token,
            command: Command::Send {
                message,
                address: None,
            },
        };
        self.engine.handle(unix_ms(), request, &mut self.effects);
    }
}

fn hand_over(outboxes: &BTreeMap<SessionKey, Outbox>, session: SessionKey, effect: Effect) {
    if let Some(outbox) = outboxes.get(&session) {
        outbox.send(session, effect);
    }
}

/// Messages in all queues.
pub(crate) fn messages_in(engine: &Engine) -> u64 {
    engine
        .stats()
        .queues
        .iter()
        .map(|queue| queue.message_count as u64)
        .sum()
}

/// The wall clock in Unix milliseconds, which expiration times of messages are given in.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
