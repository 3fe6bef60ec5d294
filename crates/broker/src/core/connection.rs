//! One client connection: a socket, the CORE machine, and its sessions.
//!
//! The task reads, writes and waits for the engine at the same time, so that a client that does not read cannot
//! stop its own pings, and a client that floods is slowed down by its own socket. Protocol decisions are the
//! machine's, message decisions the engine's.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker_config::{AuthError, Identity};
use bytes::BytesMut;
use core_protocol::packet::{
    DisconnectConsumer, DisconnectReason, Packet, SessProducerCredits, SessProducerFailCredits,
};
use core_protocol::server::{ConnectionError, Event, ServerConnection, SessionRequest};
use engine::{Command, ConnectionKey, Effect, OpenSession, Request, SessionKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::auth::Auth;
use super::engine_task::ToEngine;
use super::flow::{self, Inbox, MAX_ANSWERS, Outbox};
use super::hints::hint;
use super::log_limit::LogLimit;
use super::session::{Answered, Session, Step};
use super::topology::Topology;

/// What one read may bring; the machine assembles frames from such pieces.
const READ_BYTES: usize = 64 * 1024;
/// Bytes waiting for a client that does not read, above which nothing more is taken for it.
const MAX_UNSENT_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of answers to what was just read, above which a client that does not read them is not read either. Answers
/// to pings of many years.
const MAX_OWN_ANSWER_BYTES: usize = 1024 * 1024;
/// Sessions that one connection may ask for before the first is answered; clients ask for one at a time.
const MAX_SESSIONS_ASKED: usize = 16;
/// How long a connection that is sent away may take to read its farewell.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the connections of one term share.
pub(crate) struct Shared {
    /// The engine.
    pub requests: mpsc::Sender<ToEngine>,
    /// Who may open a session.
    pub auth: Auth,
    /// Where the pair's brokers are.
    pub topology: watch::Receiver<Topology>,
    /// How the machine is set up.
    pub protocol: core_protocol::server::ServerConfig,
    /// Cancelled when clients are to be sent away.
    pub closing: CancellationToken,
    /// Cancelled when nothing further may leave, not even what waits to be written.
    pub abandon: CancellationToken,
    /// Lines about connections that were closed for what they sent.
    pub closed_lines: LogLimit,
    /// Names for sessions and connections; 0 is the broker's own.
    pub next_key: AtomicU64,
    /// Zero of the machines' clock.
    pub started: Instant,
}

impl Shared {
    fn key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Serves one accepted connection until either side ends it.
pub(crate) async fn serve(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>) {
    let key = ConnectionKey(shared.key());
    let (outbox, effects) = flow::channel(key);
    let connection = Connection {
        key,
        remote,
        machine: ServerConnection::new(shared.protocol.clone(), shared.now_ms()),
        sessions: BTreeMap::new(),
        channels: BTreeMap::new(),
        asked: VecDeque::new(),
        checking: None,
        gone: Vec::new(),
        outbox,
        shared: Arc::clone(&shared),
    };
    let ended = connection.run(stream, effects).await;
    match ended {
        Ok(()) => debug!(%remote, "connection ended"),
        Err(Ended::Protocol(error)) => {
            if let Some(more) = shared.closed_lines.admit(Instant::now()) {
                let hint = hint(&error);
                warn!(%remote, "AMQ222216: connection closed: {error}{hint}{more}");
            }
        }
        Err(Ended::Socket(error)) => {
            debug!(%remote, "AMQ222061: connection lost: {error}");
        }
        Err(Ended::EngineGone) => debug!(%remote, "connection closed with the term"),
    }
    // The engine may be gone with its term; then there is nothing to clean up.
    let _ = shared.requests.send(ToEngine::ConnectionClosed(key)).await;
}

/// How a conversation ended without a mistake.
#[derive(Debug)]
enum Over {
    /// The client went, or nothing may leave any more.
    Closed,
    /// The client is to be told to go.
    SendAway,
}

#[derive(Debug)]
enum Ended {
    Protocol(ConnectionError),
    Socket(io::Error),
    EngineGone,
}

impl From<ConnectionError> for Ended {
    fn from(error: ConnectionError) -> Self {
        Ended::Protocol(error)
    }
}

/// A check of user and password under way; ends with the connection.
type Check = AbortOnDropHandle<Result<Identity, AuthError>>;

struct Connection {
    key: ConnectionKey,
    remote: SocketAddr,
    machine: ServerConnection,
    /// By channel.
    sessions: BTreeMap<i64, Session>,
    channels: BTreeMap<SessionKey, i64>,
    /// Sessions asked for, in their order; the answer to each names none.
    asked: VecDeque<SessionRequest>,
    /// The first of them, while its user is checked.
    checking: Option<(SessionRequest, Check)>,
    /// Sessions that have ended, to be told to the engine.
    gone: Vec<SessionKey>,
    outbox: Outbox,
    shared: Arc<Shared>,
}

impl Connection {
    async fn run(mut self, mut stream: TcpStream, mut effects: Inbox) -> Result<(), Ended> {
        let shared = Arc::clone(&self.shared);
        let (mut reader, mut writer) = stream.split();
        let mut unsent = BytesMut::new();
        match self
            .converse(&mut reader, &mut writer, &mut unsent, &mut effects)
            .await
        {
            Ok(Over::Closed) => return Ok(()),
            Ok(Over::SendAway) => {}
            // The term ends, and one of these two says how. Answers that the gate let pass must not be lost in an
            // orderly end: their clients would send again.
            Err(Ended::EngineGone) => tokio::select! {
                biased;
                () = shared.abandon.cancelled() => return Ok(()),
                () = shared.closing.cancelled() => {}
            },
            Err(ended @ (Ended::Protocol(_) | Ended::Socket(_))) => return Err(ended),
        }
        while let Some((session, effect)) = effects.try_recv() {
            self.carry_out(session, effect);
        }
        let node_id = shared.topology.borrow().node_id.clone();
        self.machine
            .disconnect(&node_id, DisconnectReason::ScaleDown);
        self.collect_output(&mut unsent);
        // A client that does not read its farewell notices by the closed socket.
        let _ = tokio::time::timeout(FAREWELL, farewell(&mut reader, &mut writer, &unsent)).await;
        Ok(())
    }

    /// Reads, writes and waits for the engine, until one of them ends.
    async fn converse(
        &mut self,
        reader: &mut ReadHalf<'_>,
        writer: &mut WriteHalf<'_>,
        unsent: &mut BytesMut,
        effects: &mut Inbox,
    ) -> Result<Over, Ended> {
        let shared = Arc::clone(&self.shared);
        let mut topology = shared.topology.clone();
        topology.mark_unchanged();
        let mut input = BytesMut::with_capacity(READ_BYTES);
        let mut own_answers = 0_usize;
        loop {
            self.collect_output(unsent);
            let room = unsent.len() < MAX_UNSENT_BYTES;
            // Read on while deliveries cannot be written: a client that is slow to take them lives all the same.
            let readable = own_answers < MAX_OWN_ANSWER_BYTES && effects.answers() < MAX_ANSWERS;
            // Then its silence is ours: it waits for answers that the engine holds back.
            let held_back = !readable && unsent.is_empty();
            let wake = self.wake();
            tokio::select! {
                biased;
                () = shared.abandon.cancelled() => return Ok(Over::Closed),
                () = shared.closing.cancelled() => return Ok(Over::SendAway),
                written = writer.write_buf(unsent), if !unsent.is_empty() => {
                    let written = written.map_err(Ended::Socket)?;
                    if written == 0 {
                        return Ok(Over::Closed);
                    }
                    own_answers = own_answers.saturating_sub(written);
                }
                effect = effects.recv(), if room => match effect {
                    Some((session, effect)) => {
                        self.carry_out(session, effect);
                        // What else is there goes out with the same write.
                        while self.machine.output_len() < MAX_UNSENT_BYTES {
                            let Some((session, effect)) = effects.try_recv() else { break };
                            self.carry_out(session, effect);
                        }
                        self.report(effects).await?;
                    }
                    None => return Err(Ended::EngineGone),
                },
                checked = checked(&mut self.checking) => self.session_checked(checked).await?,
                read = reader.read_buf(&mut input), if readable => {
                    if read.map_err(Ended::Socket)? == 0 {
                        return Ok(Over::Closed);
                    }
                    self.machine.handle_input(input.split().freeze(), shared.now_ms())?;
                    input.reserve(READ_BYTES);
                    self.handle_events().await?;
                    own_answers += self.machine.output_len();
                }
                changed = topology.changed() => {
                    if changed.is_err() {
                        return Err(Ended::EngineGone);
                    }
                    let now = topology.borrow_and_update().clone();
                    if self.machine.is_subscribed() {
                        self.machine.send_topology(&now.member(), false);
                    }
                }
                () = tokio::time::sleep(wake), if !held_back => self.machine.handle_timeout(shared.now_ms())?,
            }
        }
    }

    fn collect_output(&mut self, unsent: &mut BytesMut) {
        if let Some(output) = self.machine.poll_output() {
            // Without a copy in the usual case that everything before it was written.
            if unsent.is_empty() {
                *unsent = BytesMut::from(output);
            } else {
                unsent.extend_from_slice(&output);
            }
        }
    }

    fn wake(&self) -> Duration {
        let now = self.shared.now_ms();
        self.machine
            .poll_timeout()
            .map_or(Duration::from_hours(1), |at| {
                Duration::from_millis(at.saturating_sub(now))
            })
    }

    async fn handle_events(&mut self) -> Result<(), Ended> {
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::TopologyRequested { .. } => {
                    let topology = self.shared.topology.borrow().clone();
                    self.machine.send_topology(&topology.member(), true);
                }
                Event::SessionRequested(request) => self.ask_for_session(*request),
                Event::Session { channel, packet } => {
                    if let Some(session) = self.sessions.get_mut(&channel) {
                        let step = session.take(*packet);
                        let key = session.key();
                        self.step(channel, key, step).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn ask_for_session(&mut self, request: SessionRequest) {
        let channel = request.session.channel;
        if request.session.xa {
            self.machine.refuse_session(
                channel,
                core_protocol::exception::NOT_IMPLEMENTED,
                "XA sessions are not served by this broker: use a local transaction",
            );
        } else if self.asked.len() >= MAX_SESSIONS_ASKED {
            self.machine.refuse_session(
                channel,
                core_protocol::exception::ILLEGAL_STATE,
                &format!(
                    "{MAX_SESSIONS_ASKED} sessions of this connection wait to be opened: ask for more when they are"
                ),
            );
        } else {
            self.asked.push_back(request);
            self.check_next();
        }
    }

    /// Checks who asks beside everything else: a check is slow, and its answer may be delayed on purpose.
    fn check_next(&mut self) {
        if self.checking.is_some() {
            return;
        }
        let Some(request) = self.asked.pop_front() else {
            return;
        };
        let user = request.session.user.clone();
        let password = request.session.password.as_ref();
        let password = password.map(|secret| secret.expose().to_owned());
        let (auth, remote) = (self.shared.auth.clone(), self.remote);
        let check = tokio::spawn(async move { auth.check(remote, user, password).await });
        self.checking = Some((request, AbortOnDropHandle::new(check)));
    }

    async fn session_checked(&mut self, checked: Result<Identity, AuthError>) -> Result<(), Ended> {
        let Some((request, _)) = self.checking.take() else {
            return Ok(());
        };
        match checked {
            Ok(identity) => self.open_session(request, identity).await?,
            Err(error) => self.machine.refuse_session(
                request.session.channel,
                core_protocol::exception::SECURITY,
                &format!("AMQ229031: {error}"),
            ),
        }
        self.check_next();
        Ok(())
    }

    async fn open_session(
        &mut self,
        request: SessionRequest,
        identity: Identity,
    ) -> Result<(), Ended> {
        let request = request.session;
        let channel = request.channel;
        let key = SessionKey(self.shared.key());
        let open = Request {
            session: key,
            token: engine::NO_REPLY,
            command: Command::OpenSession(OpenSession {
                connection: self.key,
                user: Some(identity.user),
                roles: identity.roles.into_iter().collect(),
                bypass_security: false,
                auto_commit_sends: request.auto_commit_sends,
                auto_commit_acks: request.auto_commit_acks,
                pre_acknowledge: request.pre_acknowledge,
            }),
        };
        let outbox = self.outbox.clone();
        self.tell(ToEngine::Open {
            request: Box::new(open),
            outbox,
        })
        .await?;
        self.sessions.insert(channel, Session::new(key));
        self.channels.insert(key, channel);
        self.machine.accept_session(channel);
        Ok(())
    }

    /// Tells the engine what it must know of what was just taken.
    async fn report(&mut self, effects: &Inbox) -> Result<(), Ended> {
        for session in std::mem::take(&mut self.gone) {
            self.tell(ToEngine::SessionGone(session)).await?;
        }
        if effects.pause_is_over() {
            self.tell(ToEngine::Resume(self.key)).await?;
        }
        Ok(())
    }

    async fn step(&mut self, channel: i64, key: SessionKey, step: Step) -> Result<(), Ended> {
        match step {
            Step::Nothing => Ok(()),
            Step::Answer(packet) => {
                self.machine.send(channel, &packet);
                Ok(())
            }
            Step::Request { token, command } => {
                let request = Request {
                    session: key,
                    token,
                    command,
                };
                self.tell(ToEngine::Request(Box::new(request))).await
            }
        }
    }

    async fn tell(&self, message: ToEngine) -> Result<(), Ended> {
        self.shared
            .requests
            .send(message)
            .await
            .map_err(|_| Ended::EngineGone)
    }

    fn carry_out(&mut self, key: SessionKey, effect: Effect) {
        let Some(channel) = self.channels.get(&key).copied() else {
            return;
        };
        match effect {
            Effect::Reply { token, result, .. } => {
                let Some(session) = self.sessions.get_mut(&channel) else {
                    return;
                };
                match session.answer(token, result) {
                    Answered::Packet(packet) => {
                        self.machine.send(channel, &packet);
                    }
                    Answered::Closed => {
                        self.machine.close_session(channel);
                        self.sessions.remove(&channel);
                        self.channels.remove(&key);
                        self.gone.push(key);
                    }
                    Answered::Nothing => {}
                }
            }
            Effect::Deliver {
                consumer,
                message,
                id,
                delivery_count,
                ..
            } => {
                self.machine
                    .send_receive(channel, &message, id, consumer, delivery_count);
            }
            Effect::ForcedDelivery {
                consumer,
                sequence,
                id,
                queue,
                ..
            } => {
                let marker = forced_delivery_marker(&queue, sequence);
                self.machine.send_receive(channel, &marker, id, consumer, 0);
            }
            Effect::ConsumerClosed { consumer, .. } => {
                let packet = Packet::from(DisconnectConsumer {
                    consumer_id: consumer,
                });
                self.machine.send(channel, &packet);
            }
            Effect::ProducerCredits {
                address,
                credits,
                fail,
                ..
            } => {
                let packet = if fail {
                    Packet::from(SessProducerFailCredits { credits, address })
                } else {
                    Packet::from(SessProducerCredits { credits, address })
                };
                self.machine.send(channel, &packet);
            }
            // The engine's task keeps these two to itself.
            Effect::ManagementRequest { .. } | Effect::Notice(_) => {}
        }
    }
}

/// What the check under way finds; never, if there is none.
async fn checked(checking: &mut Option<(SessionRequest, Check)>) -> Result<Identity, AuthError> {
    match checking {
        // Only a panic of the check ends it without an answer; that is no reason to let anyone in.
        Some((_, check)) => check.await.unwrap_or(Err(AuthError::WrongCredentials)),
        None => std::future::pending().await,
    }
}

/// Writes what is left and closes. What the client still sends is read and thrown away: closing a socket with unread
/// input resets the connection, and the reset can overtake the answers.
async fn farewell(
    reader: &mut ReadHalf<'_>,
    writer: &mut WriteHalf<'_>,
    unsent: &[u8],
) -> io::Result<()> {
    writer.write_all(unsent).await?;
    writer.shutdown().await?;
    let mut ignored = [0; 4096];
    while reader.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// The message that tells a client that everything deliverable was delivered.
fn forced_delivery_marker(queue: &str, sequence: i64) -> core_protocol::message::Message {
    let mut marker = core_protocol::message::MessageBuilder::to(queue);
    marker.priority = 0;
    marker.body = bytes::Bytes::from_static(&[0; 4]);
    marker.set_property(
        "_hornetq.forced.delivery.seq",
        core_protocol::message::Value::Long(sequence),
    );
    marker.build()
}
