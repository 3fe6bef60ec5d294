//! One client connection: a socket, the CORE machine, and its sessions.
//!
//! The task reads, writes and waits for the engine at the same time, so that a client that does not read cannot
//! stop its own pings, and a client that floods is slowed down by its own socket. Protocol decisions are the
//! machine's, message decisions the engine's.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
use tracing::{debug, info, warn};

use super::auth::Auth;
use super::engine_task::{Outbox, ToEngine};
use super::session::{Answered, Session, Step};
use super::topology::Topology;

/// What one read may bring; the machine assembles frames from such pieces.
const READ_BYTES: usize = 64 * 1024;
/// Bytes waiting for a client that does not read, above which nothing more is taken for it.
const MAX_UNSENT_BYTES: usize = 4 * 1024 * 1024;
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
    let (outbox, effects) = mpsc::unbounded_channel();
    let connection = Connection {
        key,
        remote,
        machine: ServerConnection::new(shared.protocol.clone(), shared.now_ms()),
        sessions: BTreeMap::new(),
        channels: BTreeMap::new(),
        outbox,
        shared: Arc::clone(&shared),
    };
    let ended = connection.run(stream, effects).await;
    match ended {
        Ok(()) => debug!(%remote, "connection ended"),
        Err(Ended::Protocol(error)) => {
            warn!(%remote, "AMQ222216: connection closed: {error}");
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

struct Connection {
    key: ConnectionKey,
    remote: SocketAddr,
    machine: ServerConnection,
    /// By channel.
    sessions: BTreeMap<i64, Session>,
    channels: BTreeMap<SessionKey, i64>,
    outbox: Outbox,
    shared: Arc<Shared>,
}

impl Connection {
    async fn run(
        mut self,
        mut stream: TcpStream,
        mut effects: mpsc::UnboundedReceiver<(SessionKey, Effect)>,
    ) -> Result<(), Ended> {
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
        while let Ok((session, effect)) = effects.try_recv() {
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
        effects: &mut mpsc::UnboundedReceiver<(SessionKey, Effect)>,
    ) -> Result<Over, Ended> {
        let shared = Arc::clone(&self.shared);
        let mut topology = shared.topology.clone();
        topology.mark_unchanged();
        let mut input = BytesMut::with_capacity(READ_BYTES);
        loop {
            self.collect_output(unsent);
            let room = unsent.len() < MAX_UNSENT_BYTES;
            let wake = self.wake();
            tokio::select! {
                biased;
                () = shared.abandon.cancelled() => return Ok(Over::Closed),
                () = shared.closing.cancelled() => return Ok(Over::SendAway),
                written = writer.write_buf(unsent), if !unsent.is_empty() => {
                    if written.map_err(Ended::Socket)? == 0 {
                        return Ok(Over::Closed);
                    }
                }
                effect = effects.recv(), if room => match effect {
                    Some((session, effect)) => {
                        self.carry_out(session, effect);
                        // What else is there goes out with the same write.
                        while self.machine.output_len() < MAX_UNSENT_BYTES {
                            let Ok((session, effect)) = effects.try_recv() else { break };
                            self.carry_out(session, effect);
                        }
                    }
                    None => return Err(Ended::EngineGone),
                },
                read = reader.read_buf(&mut input), if room => {
                    if read.map_err(Ended::Socket)? == 0 {
                        return Ok(Over::Closed);
                    }
                    self.machine.handle_input(input.split().freeze(), shared.now_ms())?;
                    input.reserve(READ_BYTES);
                    self.handle_events().await?;
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
                () = tokio::time::sleep(wake) => self.machine.handle_timeout(shared.now_ms())?,
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
                Event::SessionRequested(request) => self.open_session(*request).await?,
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

    async fn open_session(&mut self, request: SessionRequest) -> Result<(), Ended> {
        let request = request.session;
        let channel = request.channel;
        if request.xa {
            self.machine.refuse_session(
                channel,
                core_protocol::exception::NOT_IMPLEMENTED,
                "XA sessions are not served by this broker: use a local transaction",
            );
            return Ok(());
        }
        let password = request
            .password
            .as_ref()
            .map(|secret| secret.expose().to_owned());
        let identity = match self.shared.auth.check(request.user.clone(), password).await {
            Ok(identity) => identity,
            Err(error) => {
                info!(remote = %self.remote, "AMQ222216: session refused: {error}");
                self.machine.refuse_session(
                    channel,
                    core_protocol::exception::SECURITY,
                    &format!("AMQ229031: {error}"),
                );
                return Ok(());
            }
        };
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
