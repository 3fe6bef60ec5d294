//! The one task of a client: it owns the connection, and everything that outlives a connection.
//!
//! Alternates between serving a connection and reconnecting until the client is dropped, closed,
//! or out of attempts. Handles reach it by commands and notes only. It must never wait for a
//! handle, and while it waits for the network it keeps answering handles.

mod actions;
pub(crate) mod command;
mod incoming;
mod lane;
mod notes;
mod pending;
mod pieces;
mod state;
mod transactions;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use core_protocol::packet::{Packet, Ping, SessProducerRequestCredits};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::error::{AttemptError, CallError, LossReason};
use crate::establish::{Established, Plan, establish};
use crate::events::Event;
use crate::lock;
use crate::options::Endpoint;
use crate::requests::{CONNECTION_CHANNEL, FIRST_SESSION_CHANNEL};
use crate::shared::Shared;
use crate::topology::{Lost, Topology, dial_order};
use crate::wire::Wire;

use command::{Action, Answer, Command, Reply};
use lane::Lane;
use state::{SessionState, answer};

/// Commands on their way to the driver; more callers than that wait for room.
pub(crate) const COMMANDS: usize = 256;

/// Commands kept while there is no connection; beyond, they stay on their way.
const MAX_WAITING: usize = 1024;

/// Unwritten bytes above which no new command is begun: enough to keep the socket busy.
const MAX_OUTGOING_BYTES: usize = 1024 * 1024;

/// Commands begun before the socket is looked at again; they then share its writes.
const BATCH: usize = 64;

/// A wake-up when there is nothing to wait for; any time will do.
const IDLE: Duration = Duration::from_hours(1);

/// The connection being served.
pub(crate) struct Link {
    wire: Wire,
    endpoint: Endpoint,
    topology: Topology,
    next_ping: Instant,
}

/// A connection that ended.
struct Loss {
    reason: LossReason,
    redirect: Option<Endpoint>,
}

impl From<LossReason> for Loss {
    fn from(reason: LossReason) -> Self {
        let redirect = None;
        Self { reason, redirect }
    }
}

/// Why serving ended.
enum End {
    Lost(Loss),
    /// For good, with the reason that later calls are told.
    Finished(String),
}

impl From<LossReason> for End {
    fn from(reason: LossReason) -> Self {
        Self::Lost(reason.into())
    }
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    /// Ends when the client is dropped.
    alive: oneshot::Receiver<Infallible>,
    sessions: BTreeMap<i64, SessionState>,
    next_channel: i64,
    /// Calls on the channel where sessions are made.
    lobby: Lane,
    /// Commands that came while there was no connection, oldest first.
    waiting: VecDeque<Command>,
    previous: Option<Endpoint>,
    /// Whom to tell when every session is closed.
    shutdown: Option<Reply>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        alive: oneshot::Receiver<Infallible>,
    ) -> Self {
        Self {
            shared,
            commands,
            alive,
            sessions: BTreeMap::new(),
            next_channel: FIRST_SESSION_CHANNEL,
            lobby: Lane::default(),
            waiting: VecDeque::new(),
            previous: None,
            shutdown: None,
        }
    }

    /// Runs until the client is closed.
    pub(crate) async fn run(mut self, first: Established) {
        let mut established = first;
        let mut reconnected = false;
        let why = loop {
            let attempts = established.attempts;
            let mut link = self.take_over(established);
            if reconnected {
                self.announce(&link, attempts);
            }
            let loss = match self.serve(&mut link).await {
                End::Lost(loss) => loss,
                End::Finished(why) => break why,
            };
            self.lose(&link, &loss);
            if self.shutdown.is_some() {
                break "it was closed".to_owned();
            }
            match self.reconnect(link, loss).await {
                Ok(next) => (established, reconnected) = (next, true),
                Err(why) => break why,
            }
        };
        self.finish(why);
    }

    /// Begins to use a connection: deliveries, credits and waiting commands flow from here on.
    fn take_over(&mut self, established: Established) -> Link {
        let Established {
            endpoint,
            wire,
            topology,
            sessions,
            attempts: _,
        } = established;
        let next_ping = Instant::now() + self.shared.options.failure_check_period();
        *lock(&self.shared.endpoint) = Some(endpoint.clone());
        *lock(&self.shared.last_attempt) = None;
        let mut link = Link {
            wire,
            endpoint,
            topology,
            next_ping,
        };
        for recreated in sessions {
            self.resume_session(&mut link, recreated);
        }
        link
    }

    fn announce(&self, link: &Link, attempts: u32) {
        let endpoint = link.endpoint.clone();
        tracing::info!(%endpoint, attempts, "connected again");
        self.emit(Event::Connected {
            endpoint,
            at: StdInstant::now(),
            attempts,
        });
    }

    async fn serve(&mut self, link: &mut Link) -> End {
        loop {
            if let Err(loss) = self.take_frames(link) {
                return End::Lost(loss);
            }
            while link.wire.outgoing_bytes() < MAX_OUTGOING_BYTES
                && let Some(command) = self.waiting.pop_front()
            {
                self.begin(link, command);
            }
            self.heed_notes(link);
            let unwritten = link.wire.outgoing_bytes();
            if self.shutdown.is_some() && self.is_quiet() && unwritten == 0 {
                return End::Finished("it was closed".to_owned());
            }
            let room = unwritten < MAX_OUTGOING_BYTES && self.waiting.is_empty();
            let wake = self.next_wake(link);
            tokio::select! {
                _ = &mut self.alive => return End::Finished("it was dropped".to_owned()),
                progress = link.wire.progress() => if let Err(reason) = progress {
                    return reason.into();
                },
                Some(command) = self.commands.recv(), if room => {
                    self.begin(link, command);
                    for _ in 1..BATCH {
                        let Ok(command) = self.commands.try_recv() else { break };
                        self.begin(link, command);
                    }
                }
                () = self.shared.bell.notified() => {}
                () = sleep_until(wake) => if let Err(reason) = self.check_time(link) {
                    return reason.into();
                },
            }
        }
    }

    fn take_frames(&mut self, link: &mut Link) -> Result<(), Loss> {
        while let Some(frame) = link.wire.next_frame()? {
            self.take_frame(link, frame)?;
        }
        Ok(())
    }

    /// Nothing waits for an answer of the broker.
    fn is_quiet(&self) -> bool {
        self.sessions.is_empty() && self.lobby.is_empty()
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.sessions
            .values()
            .map(|session| &session.lane)
            .chain([&self.lobby])
    }

    fn next_wake(&self, link: &Link) -> Instant {
        let silent_at = link.wire.last_read + self.shared.options.connection_ttl();
        let calls = self
            .lanes()
            .filter_map(Lane::front)
            .map(|call| call.deadline);
        calls
            .chain([silent_at, link.next_ping])
            .min()
            .unwrap_or(silent_at)
    }

    /// Sends a due ping; fails when the broker is silent or a call is overdue.
    fn check_time(&self, link: &mut Link) -> Result<(), LossReason> {
        let options = &self.shared.options;
        let now = Instant::now();
        let overdue = self
            .lanes()
            .filter_map(Lane::front)
            .find(|call| call.deadline <= now);
        if let Some(call) = overdue {
            return Err(LossReason::CallTimeout {
                call: call.call,
                waited_ms: options.call_timeout_ms,
            });
        }
        if link.wire.last_read + options.connection_ttl() <= now {
            let silent_ms = options.connection_ttl_ms;
            return Err(LossReason::Silent { silent_ms });
        }
        if link.next_ping <= now {
            let ttl_ms = i64::try_from(options.connection_ttl_ms).unwrap_or(i64::MAX);
            link.wire.push(CONNECTION_CHANNEL, Ping { ttl_ms });
            link.next_ping = now + options.failure_check_period();
        }
        Ok(())
    }

    /// The connection is gone: everything in flight hears of it.
    fn lose(&mut self, link: &Link, loss: &Loss) {
        let (endpoint, reason) = (&link.endpoint, &loss.reason);
        tracing::info!(%endpoint, %reason, "connection lost");
        *lock(&self.shared.endpoint) = None;
        self.emit(Event::Disconnected {
            endpoint: endpoint.clone(),
            at: StdInstant::now(),
            reason: reason.clone(),
        });
        self.fail_calls(reason);
    }

    fn fail_calls(&mut self, reason: &LossReason) {
        for call in self.lobby.take_all() {
            answer(call.reply, call.purpose.lost(call.call, reason));
        }
        for session in self.sessions.values_mut() {
            session.lost(reason);
        }
        self.sessions.retain(|_, session| !session.closing);
    }

    /// Dials until a connection stands again; an error is the reason to end for good.
    async fn reconnect(&mut self, link: Link, loss: Loss) -> Result<Established, String> {
        let peer = link.wire.peer;
        let current = link.endpoint;
        let order = dial_order(Lost {
            current: &current,
            reason: &loss.reason,
            redirect: loss.redirect,
            learnt: link.topology.others(&current, peer),
            previous: self.previous.take(),
            given: &self.shared.options.endpoints,
        });
        let plan = Plan {
            node_id: link.topology.node_of(&current, peer).map(str::to_owned),
            sessions: self
                .sessions
                .iter()
                .map(|(id, session)| session.plan(*id))
                .collect(),
        };
        // The old socket is closed before the first attempt, so that the broker is done with it.
        drop(link.wire);
        let shared = Arc::clone(&self.shared);
        let dialling = async move {
            let rounds = shared.options.reconnect_attempts;
            establish(&shared.options, &order, &plan, rounds, &shared.last_attempt).await
        };
        let mut dialling = Box::pin(dialling);
        let outcome = loop {
            self.expire_waiting(&loss.reason);
            self.heed_notes_unconnected();
            let now = Instant::now();
            let wake = self
                .waiting
                .front()
                .map_or(now + IDLE, |command| command.expires);
            let room = self.waiting.len() < MAX_WAITING;
            tokio::select! {
                _ = &mut self.alive => return Err("it was dropped".to_owned()),
                outcome = &mut dialling => break outcome,
                Some(command) = self.commands.recv(), if room => self.keep(command),
                () = self.shared.bell.notified() => {}
                () = sleep_until(wake) => {}
            }
            if self.shutdown.is_some() {
                return Err("it was closed".to_owned());
            }
        };
        match outcome {
            Ok(established) => {
                if established.endpoint != current {
                    self.previous = Some(current);
                }
                Ok(established)
            }
            Err(gave_up) => {
                let rounds = gave_up.rounds;
                let last = gave_up.failures.into_iter().next_back();
                let reason = last
                    .as_ref()
                    .map_or(loss.reason, |last| last.reason.clone());
                self.emit(Event::GaveUp {
                    at: StdInstant::now(),
                    attempts: gave_up.attempts,
                    reason,
                });
                let last = last
                    .as_ref()
                    .map(AttemptError::to_string)
                    .unwrap_or_default();
                Err(format!(
                    "it gave up reconnecting after {rounds} round(s): {last}"
                ))
            }
        }
    }

    /// A command arrived while there is no connection.
    fn keep(&mut self, command: Command) {
        match command.action {
            Action::CloseSession { channel } => {
                self.forget_session(channel);
                answer(Some(command.reply), Ok(Answer::Done));
            }
            Action::CloseConsumer {
                channel,
                consumer_id,
            } => {
                self.forget_consumer(channel, consumer_id);
                answer(Some(command.reply), Ok(Answer::Done));
            }
            Action::Shutdown => self.shutdown = Some(command.reply),
            Action::OpenSession { .. }
            | Action::QueryQueue { .. }
            | Action::QueryAddress { .. }
            | Action::CreateAddress { .. }
            | Action::CreateQueue { .. }
            | Action::OpenProducer { .. }
            | Action::Send { .. }
            | Action::SendInPieces { .. }
            | Action::OpenConsumer { .. }
            | Action::Acknowledge { .. }
            | Action::Commit { .. }
            | Action::Rollback { .. } => self.waiting.push_back(command),
        }
    }

    /// Tells commands that waited long enough that they were not sent.
    fn expire_waiting(&mut self, reason: &LossReason) {
        let now = Instant::now();
        while let Some(command) = self.waiting.pop_front_if(|command| command.expires <= now) {
            let last_attempt = lock(&self.shared.last_attempt).clone().map(Box::new);
            let error = CallError::NotConnected {
                call: command.action.call(),
                waited_ms: self.shared.options.call_failover_timeout_ms,
                reason: reason.clone(),
                last_attempt,
            };
            answer(Some(command.reply), Err(error));
        }
    }

    /// The end: whatever is in flight or waiting is told, and later calls fail at once.
    fn finish(mut self, why: String) {
        tracing::debug!(why, "client ends");
        *lock(&self.shared.endpoint) = None;
        self.shared.set_closed(why);
        self.fail_calls(&LossReason::ClosedHere);
        let closed = self.shared.closed_error();
        for session in self.sessions.values_mut() {
            session.end(&closed);
        }
        self.commands.close();
        let rest = std::iter::from_fn(|| self.commands.try_recv().ok());
        for command in self.waiting.drain(..).chain(rest) {
            answer(Some(command.reply), Err(closed.clone()));
        }
        answer(self.shutdown.take(), Ok(Answer::Done));
    }

    fn emit(&self, event: Event) {
        // Nobody has to listen.
        let _ = self.shared.events.send(event);
    }
}

/// Asks the broker for credits of an address.
fn request_credits(link: &mut Link, channel: i64, address: &str, credits: i32) {
    let address = address.to_owned();
    let request = SessProducerRequestCredits { credits, address };
    link.wire.push(channel, Packet::from(request));
}
