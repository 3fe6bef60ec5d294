//! The connection machine: what a broker and its sockets call.

mod incoming;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use super::confirmation::Confirmation;
use super::topology::{TopologyMember, left_packet, member_packet};
use super::{
    CONFIRM_INTERVAL_MS, ConnectionError, Event, MAX_FRAME_BYTES_BEFORE_SESSION, ServerConfig,
};
use crate::PROTOCOL_VERSION;
use crate::framing::FrameDecoder;
use crate::message::Message;
use crate::packet::{
    CreateSessionResponse, DisconnectReason, DisconnectV3, NullResponse, Packet, PacketsConfirmed,
    Role, encode_receive,
};

/// Liveness and topology.
const CONNECTION_CHANNEL: i64 = 0;
/// Creation of sessions.
const SESSIONS_CHANNEL: i64 = 1;

/// The server side of one connection.
///
/// After each call of a `handle_` or sending method, poll events, output and the timeout again. After
/// an error the events that came before it are still to be polled; then the connection must be closed.
#[derive(Debug)]
pub struct ServerConnection {
    config: ServerConfig,
    decoder: FrameDecoder,
    sessions: BTreeMap<i64, Session>,
    events: VecDeque<Event>,
    output: BytesMut,
    now_ms: u64,
    opened_ms: u64,
    last_input_ms: u64,
    announced_ttl_ms: Option<i64>,
    confirm_at_ms: Option<u64>,
    subscribed_version: Option<i32>,
    failed: Option<ConnectionError>,
}

#[derive(Debug)]
enum Session {
    /// Asked for and not answered; carries the confirmation window.
    Requested(i32),
    Open(Option<Confirmation>),
    /// The client has asked to close it and may send nothing more.
    Closing(Option<Confirmation>),
}

impl Session {
    fn confirmation(&mut self) -> Option<&mut Confirmation> {
        match self {
            Self::Requested(_) => None,
            Self::Open(confirmation) | Self::Closing(confirmation) => confirmation.as_mut(),
        }
    }
}

impl ServerConnection {
    /// A connection that was accepted at this time.
    pub fn new(config: ServerConfig, now_ms: u64) -> Self {
        Self {
            decoder: FrameDecoder::server(
                config.max_frame_bytes.min(MAX_FRAME_BYTES_BEFORE_SESSION),
            ),
            config,
            sessions: BTreeMap::new(),
            events: VecDeque::new(),
            output: BytesMut::new(),
            now_ms,
            opened_ms: now_ms,
            last_input_ms: now_ms,
            announced_ttl_ms: None,
            confirm_at_ms: None,
            subscribed_version: None,
            failed: None,
        }
    }

    /// Takes received bytes.
    pub fn handle_input(&mut self, bytes: Bytes, now_ms: u64) -> Result<(), ConnectionError> {
        self.check_alive()?;
        self.now_ms = now_ms;
        if !bytes.is_empty() {
            self.last_input_ms = now_ms;
        }
        self.decoder.feed(bytes);
        let result = self.handle_frames();
        self.remember_failure(result)
    }

    /// Does what is due. To be called when [`Self::poll_timeout`] has come; harmless before.
    pub fn handle_timeout(&mut self, now_ms: u64) -> Result<(), ConnectionError> {
        self.check_alive()?;
        self.now_ms = now_ms;
        if self.handshake_at_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            let timeout_ms = self.config.handshake_timeout_ms;
            return self.remember_failure(Err(ConnectionError::HandshakeTimeout { timeout_ms }));
        }
        if let Some(ttl_ms) = self.ttl_ms()
            && self.last_input_ms.saturating_add(ttl_ms) <= now_ms
        {
            return self.remember_failure(Err(ConnectionError::TtlExpired { ttl_ms }));
        }
        if self.confirm_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            self.confirm_at_ms = None;
            for (channel, session) in &mut self.sessions {
                confirm(*channel, session.confirmation(), &mut self.output);
            }
        }
        Ok(())
    }

    /// When [`Self::handle_timeout`] must be called, if nothing changes until then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.failed.is_some() {
            return None;
        }
        let ttl_at_ms = self
            .ttl_ms()
            .map(|ttl_ms| self.last_input_ms.saturating_add(ttl_ms));
        [self.handshake_at_ms(), ttl_at_ms, self.confirm_at_ms]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next thing for the broker to do.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes to write to the socket, all there are.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Bytes> {
        if self.output.is_empty() {
            None
        } else {
            Some(self.output.split().freeze())
        }
    }

    /// Bytes waiting to be polled: a broker stops delivering while its socket does not take them.
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// How long the connection lives without any byte; absent for ever.
    pub fn ttl_ms(&self) -> Option<u64> {
        let announced = self.announced_ttl_ms.unwrap_or(self.config.default_ttl_ms);
        let ttl_ms = self.config.ttl_override_ms.unwrap_or(announced);
        u64::try_from(ttl_ms).ok().filter(|ttl_ms| *ttl_ms > 0)
    }

    /// Whether the client wants to be told of changes of the topology.
    pub fn is_subscribed(&self) -> bool {
        self.subscribed_version.is_some()
    }

    /// How many sessions there are, with those that are only requested.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Tells the client about a member: `last` on the last one of the answer to a subscription, not on
    /// later changes.
    pub fn send_topology(&mut self, member: &TopologyMember, last: bool) {
        let packet = member_packet(self.topology_version(), member, last);
        packet.encode(CONNECTION_CHANNEL, &mut self.output);
    }

    /// Tells the client that a node has left.
    pub fn send_node_left(&mut self, node_id: &str, event_id: i64) {
        let packet = left_packet(self.topology_version(), node_id, event_id);
        packet.encode(CONNECTION_CHANNEL, &mut self.output);
    }

    /// Tells the client to fail over. To be sent after the listening socket was closed (rule 5).
    pub fn disconnect(&mut self, node_id: &str, reason: DisconnectReason) {
        let packet = Packet::from(DisconnectV3 {
            node_id: Some(node_id.to_owned()),
            reason,
            target_node_id: None,
            target: None,
        });
        packet.encode(CONNECTION_CHANNEL, &mut self.output);
    }

    /// Answers a requested session: it exists from here on.
    pub fn accept_session(&mut self, channel: i64) {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        if let Session::Requested(window) = session {
            *session = Session::Open(Confirmation::new(*window));
            self.decoder
                .set_max_frame_bytes(self.config.max_frame_bytes);
            let response = CreateSessionResponse {
                server_version: PROTOCOL_VERSION,
            };
            Packet::from(response).encode(SESSIONS_CHANNEL, &mut self.output);
        }
    }

    /// Answers a requested session: there is none.
    pub fn refuse_session(&mut self, channel: i64, code: i32, text: &str) {
        if matches!(self.sessions.get(&channel), Some(Session::Requested(_))) {
            self.sessions.remove(&channel);
            self.send_refusal(code, text.to_owned());
        }
    }

    /// Sends a packet on a session's channel; returns its size, 0 if the channel is gone.
    ///
    /// An answer goes to the oldest request that still waits for one. The answer to a `SESS_CLOSE` is
    /// [`Self::close_session`].
    pub fn send(&mut self, channel: i64, packet: &Packet) -> usize {
        if !self.is_open(channel) {
            return 0;
        }
        if packet.role() == Role::Answer {
            let failed = matches!(packet, Packet::Exception(_));
            self.count(channel, |confirmation| confirmation.answered(failed));
        }
        packet.encode(channel, &mut self.output)
    }

    /// Delivers a message with one copy of its block; returns the packet's size, 0 if the channel is gone.
    pub fn send_receive(
        &mut self,
        channel: i64,
        message: &Message,
        message_id: i64,
        consumer_id: i64,
        delivery_count: i32,
    ) -> usize {
        if !self.is_open(channel) {
            return 0;
        }
        encode_receive(
            channel,
            message,
            message_id,
            consumer_id,
            delivery_count,
            &mut self.output,
        )
    }

    /// Answers `SESS_CLOSE`: the channel is gone from here on.
    pub fn close_session(&mut self, channel: i64) {
        let Some(mut session) = self.sessions.remove(&channel) else {
            return;
        };
        if let Some(confirmation) = session.confirmation() {
            confirmation.answered(false);
        }
        confirm(channel, session.confirmation(), &mut self.output);
        Packet::from(NullResponse::to(None)).encode(channel, &mut self.output);
    }

    fn check_alive(&self) -> Result<(), ConnectionError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn remember_failure(
        &mut self,
        result: Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        self.failed = result.clone().err();
        result
    }

    fn handshake_at_ms(&self) -> Option<u64> {
        let at_ms = self
            .opened_ms
            .saturating_add(self.config.handshake_timeout_ms);
        (!self.decoder.handshake_done()).then_some(at_ms)
    }

    fn topology_version(&self) -> i32 {
        self.subscribed_version.unwrap_or(PROTOCOL_VERSION)
    }

    fn is_open(&self, channel: i64) -> bool {
        matches!(
            self.sessions.get(&channel),
            Some(Session::Open(_) | Session::Closing(_))
        )
    }

    /// Changes a session's count, confirms when its window is full, and otherwise sees to it that it
    /// will be confirmed.
    fn count(&mut self, channel: i64, change: impl FnOnce(&mut Confirmation)) {
        let Some(confirmation) = self
            .sessions
            .get_mut(&channel)
            .and_then(Session::confirmation)
        else {
            return;
        };
        change(confirmation);
        if confirmation.is_due() {
            confirm(channel, Some(confirmation), &mut self.output);
        } else if confirmation.is_open() && self.confirm_at_ms.is_none() {
            self.confirm_at_ms = Some(self.now_ms.saturating_add(CONFIRM_INTERVAL_MS));
        }
    }
}

fn confirm(channel: i64, confirmation: Option<&mut Confirmation>, output: &mut BytesMut) {
    if let Some(command_id) = confirmation.and_then(Confirmation::take) {
        Packet::from(PacketsConfirmed { command_id }).encode(channel, output);
    }
}
