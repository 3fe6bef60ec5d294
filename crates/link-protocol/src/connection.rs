//! One end of a connection, from the first byte to the last.
//!
//! After each call that takes time or bytes, take everything from [`Connection::poll_event`] and
//! [`Connection::poll_output`], and call [`Connection::handle_timeout`] at the time that
//! [`Connection::poll_timeout`] names. What is kept is bounded: one frame that comes in, the events
//! of the bytes just handed in, and few frames to go out.

use std::collections::VecDeque;

use bytes::Bytes;
use pair::Message;

use crate::auth::{Key, Nonce, Proofs, Sealer, Transcript};
use crate::data::{DataReceiver, DataSender};
use crate::frame::{
    Decoder, Frame, FrameError, Kind, MAX_FRAME_BYTES, MAX_HANDSHAKE_FRAME_BYTES, encode,
};
use crate::hello::{Identity, Local, PREAMBLE_BYTES, Versions, decode_hello, encode_hello};
use crate::refusal::{Reason, Refusal};

/// How long a handshake may take: two round trips, and a process that is busy reading a journal.
pub const HANDSHAKE_LIMIT_MS: u64 = 2_000;
/// Messages that wait to be sent; the oldest goes when there is one more. Each is a statement about
/// the present, so that a late one is worth less than none; at one per beat that is 2 s.
pub const MAX_QUEUED_MESSAGES: usize = 8;

/// Which end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that opened it.
    Dialler,
    /// The one that was listening.
    Acceptor,
}

/// What a connection needs to know from the start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This process.
    pub local: Local,
    /// What both sides know.
    pub key: Key,
    /// Versions to offer: [`VERSIONS`](crate::VERSIONS), other ones in tests.
    pub versions: Versions,
    /// A sign of life is sent when nothing else was for so long.
    pub beat_ms: u64,
    /// The connection ends when nothing was heard for so long.
    pub lost_after_ms: u64,
}

/// Something that happened on the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The other end is that process, and of this pair's other side. To be answered with
    /// [`Connection::admit`] or [`Connection::refuse`] before more is handed in.
    Proven(Identity),
    /// Both ends have admitted the connection: messages may be sent, and come in from here on.
    Up,
    /// The other process says something.
    Message(Message),
    /// It says something that this version of the program does not know. Like a message that was lost.
    Unreadable,
    /// It is over. What `poll_output` still has is to be sent, then the socket closed.
    Closed(Why),
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// This end refuses it.
    #[error("{0}")]
    Refused(Refusal),
    /// The other end does, and says why.
    #[error("the other side refuses: {0}")]
    RefusedBy(Refusal),
    /// The other end closed it, and said nothing.
    #[error("the other side closed the connection")]
    Ended,
}

/// How far the connection has come; each holds what is true from there on.
enum State {
    /// Magic and versions of the other end are not there yet, or only these bytes of them.
    Preamble(Vec<u8>),
    /// The other end is to say who it is.
    Hello(Transcript),
    /// It is to prove it.
    Proof(Identity, Proofs),
    /// It has, and the caller is to decide.
    Deciding(Proofs),
    /// The dialler is to decide.
    Ready(Proofs),
    /// It is the link.
    Up {
        outward: Sealer,
        inward: Sealer,
    },
    Over,
}

/// One end of a connection between the two sides of a pair.
pub struct Connection {
    end: End,
    settings: Settings,
    nonce: Nonce,
    state: State,
    is_over: bool,
    said_preamble: bool,
    decoder: Decoder,
    frames: VecDeque<Bytes>,
    messages: VecDeque<(Kind, Vec<u8>)>,
    events: VecDeque<Event>,
    started_ms: u64,
    heard_ms: u64,
    said_ms: u64,
}

impl Connection {
    /// This end of a connection that was opened just now. `nonce` is random, and of no other one.
    pub fn new(end: End, settings: Settings, nonce: Nonce, now_ms: u64) -> Self {
        let mut connection = Self {
            end,
            settings,
            nonce,
            state: State::Preamble(Vec::new()),
            is_over: false,
            said_preamble: false,
            decoder: Decoder::default(),
            frames: VecDeque::new(),
            messages: VecDeque::new(),
            events: VecDeque::new(),
            started_ms: now_ms,
            heard_ms: now_ms,
            said_ms: now_ms,
        };
        if end == End::Dialler {
            if connection.settings.local.pair.is_some() {
                connection.say_preamble();
            } else {
                connection.refuse(Refusal::pair_unknown());
            }
        }
        connection
    }

    /// Takes bytes that came from the other end.
    pub fn handle_input(&mut self, bytes: &[u8], now_ms: u64) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_over {
            if let Err(refusal) = self.take(&mut rest, now_ms) {
                self.refuse(refusal);
            }
        }
    }

    /// The other end has closed the connection, or it broke.
    pub fn handle_end(&mut self) {
        self.end_with(Why::Ended);
    }

    /// The time that `poll_timeout` named has come, or any other.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        if self.is_over {
            return;
        }
        if !self.is_up() {
            if now_ms >= self.started_ms.saturating_add(HANDSHAKE_LIMIT_MS) {
                self.refuse(Refusal::slow(HANDSHAKE_LIMIT_MS));
            }
        } else if now_ms >= self.silent_at_ms() {
            self.refuse(Refusal::silent(now_ms.saturating_sub(self.heard_ms)));
        } else if now_ms >= self.said_ms.saturating_add(self.settings.beat_ms) {
            self.said_ms = now_ms;
            if self.messages.is_empty() {
                self.messages.push_back((Kind::Alive, Vec::new()));
            }
        }
    }

    /// When `handle_timeout` is to be called; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.is_over {
            None
        } else if self.is_up() {
            let say_ms = self.said_ms.saturating_add(self.settings.beat_ms);
            Some(say_ms.min(self.silent_at_ms()))
        } else {
            Some(self.started_ms.saturating_add(HANDSHAKE_LIMIT_MS))
        }
    }

    /// The next bytes to send. Not to be asked for before the ones before are on their way: what
    /// waits here can still be dropped.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.frames.pop_front().or_else(|| self.next_sealed())
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Answers [`Event::Proven`]: this process may be the peer.
    pub fn admit(&mut self, now_ms: u64) {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Deciding(proofs) = state else {
            self.state = state;
            return;
        };
        match self.end {
            End::Acceptor => {
                let proof = encode(Kind::Proof, &[&proofs.of_acceptor.bytes()]);
                self.frames.push_back(proof);
                self.state = State::Ready(proofs);
            }
            End::Dialler => {
                let (mut outward, inward) = (proofs.from_dialler, proofs.from_acceptor);
                self.frames.push_back(seal(&mut outward, Kind::Ready, &[]));
                self.up(outward, inward, now_ms);
            }
        }
    }

    /// Ends the connection and tells the other end why; messages that wait are sent before.
    pub fn refuse(&mut self, refusal: Refusal) {
        if self.is_over {
            return;
        }
        while let Some(bytes) = self.next_sealed() {
            self.frames.push_back(bytes);
        }
        // To a server of another kind, a refusal is as good as noise.
        let is_of_use = self.end == End::Acceptor || refusal.reason != Reason::NotALink;
        if is_of_use {
            self.say_preamble();
            let refuse = encode(Kind::Refuse, &[&refusal.body()]);
            self.frames.push_back(refuse);
        }
        self.end_with(Why::Refused(refusal));
    }

    /// Queues a message; `false` if the connection is not up.
    pub fn send(&mut self, message: &Message, now_ms: u64) -> bool {
        // What cannot be written as JSON, no message can contain.
        let Some(json) = serde_json::to_vec(message).ok().filter(|_| self.is_up()) else {
            return false;
        };
        self.said_ms = now_ms;
        if self.messages.len() >= MAX_QUEUED_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back((Kind::Message, json));
        true
    }

    /// Whether it is the link now.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Makes it a connection for data, once it is up and everything from `poll_output` is sent; nothing if it
    /// is not up. Its peer must not have said anything since.
    pub fn into_data(self) -> Option<(DataSender, DataReceiver)> {
        match self.state {
            State::Up { outward, inward } => {
                Some((DataSender::new(outward), DataReceiver::new(inward)))
            }
            State::Preamble(_)
            | State::Hello(_)
            | State::Proof(..)
            | State::Deciding(_)
            | State::Ready(_)
            | State::Over => None,
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// When the other process was last heard, once it is up.
    pub fn heard_ms(&self) -> u64 {
        self.heard_ms
    }

    fn silent_at_ms(&self) -> u64 {
        self.heard_ms.saturating_add(self.settings.lost_after_ms)
    }

    fn say_preamble(&mut self) {
        if !std::mem::replace(&mut self.said_preamble, true) {
            let preamble = self.settings.versions.preamble();
            self.frames.push_back(Bytes::copy_from_slice(&preamble));
        }
    }

    /// The oldest message that waits, tagged: numbers are given only to what is really sent.
    fn next_sealed(&mut self) -> Option<Bytes> {
        let State::Up { outward, .. } = &mut self.state else {
            return None;
        };
        let (kind, body) = self.messages.pop_front()?;
        Some(seal(outward, kind, &body))
    }

    fn end_with(&mut self, why: Why) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.state = State::Over;
            self.messages.clear();
            self.events.push_back(Event::Closed(why));
        }
    }

    /// Takes the next piece: the preamble or one frame, or the part of it that is there.
    fn take(&mut self, bytes: &mut &[u8], now_ms: u64) -> Result<(), Refusal> {
        if let State::Preamble(partial) = &mut self.state {
            let missing = PREAMBLE_BYTES - partial.len();
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            partial.extend_from_slice(taken);
            *bytes = rest;
            let versions = Versions::read(partial).map_err(|_| Refusal::not_a_link())?;
            return versions.map_or(Ok(()), |versions| self.take_preamble(versions));
        }
        let limit = if self.is_up() {
            MAX_FRAME_BYTES
        } else {
            MAX_HANDSHAKE_FRAME_BYTES
        };
        let frame = self.decoder.next(bytes, limit).map_err(|error| {
            let reason = match error {
                FrameError::TooLarge { .. } => Reason::TooLarge,
                FrameError::UnknownKind(_) => Reason::Malformed,
            };
            Refusal::new(reason, &format!("{error}"))
        })?;
        match frame {
            None => Ok(()),
            Some(frame) if frame.kind == Kind::Refuse => {
                self.end_with(Why::RefusedBy(Refusal::read(frame.body())));
                Ok(())
            }
            Some(frame) => self.take_frame(&frame, now_ms),
        }
    }

    fn take_preamble(&mut self, theirs: Versions) -> Result<(), Refusal> {
        let ours = self.settings.versions;
        self.say_preamble();
        if ours.common(theirs).is_none() {
            return Err(Refusal::version(ours, theirs));
        }
        let mut transcript = Transcript::new();
        match self.end {
            End::Dialler => {
                transcript.add(&ours.preamble());
                transcript.add(&theirs.preamble());
            }
            End::Acceptor => {
                transcript.add(&theirs.preamble());
                transcript.add(&ours.preamble());
                self.say_hello(&mut transcript)?;
            }
        }
        self.state = State::Hello(transcript);
        Ok(())
    }

    fn say_hello(&mut self, transcript: &mut Transcript) -> Result<Identity, Refusal> {
        let identity = self.settings.local.identity();
        let identity = identity.ok_or_else(Refusal::pair_unknown)?;
        let hello = encode_hello(&self.nonce, &identity)?;
        transcript.add(&hello);
        self.frames.push_back(hello);
        Ok(identity)
    }

    fn take_frame(&mut self, frame: &Frame, now_ms: u64) -> Result<(), Refusal> {
        // Whoever fails on the way leaves the state that has no way back.
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, frame.kind) {
            (State::Hello(transcript), Kind::Hello) => self.take_hello(transcript, frame),
            (State::Proof(peer, proofs), Kind::Proof) => self.take_proof(peer, proofs, frame),
            (State::Ready(proofs), Kind::Ready) => {
                let (outward, mut inward) = (proofs.from_acceptor, proofs.from_dialler);
                open(&mut inward, frame)?;
                self.up(outward, inward, now_ms);
                Ok(())
            }
            (
                State::Up {
                    outward,
                    mut inward,
                },
                Kind::Alive | Kind::Message,
            ) => {
                let body = open(&mut inward, frame)?;
                if frame.kind == Kind::Message {
                    let message = serde_json::from_slice(body);
                    self.events
                        .push_back(message.map_or(Event::Unreadable, Event::Message));
                }
                self.heard_ms = now_ms;
                self.state = State::Up { outward, inward };
                Ok(())
            }
            _ => Err(Refusal::malformed("a frame out of turn")),
        }
    }

    fn take_hello(&mut self, mut transcript: Transcript, frame: &Frame) -> Result<(), Refusal> {
        let peer = decode_hello(frame.body())?;
        transcript.add(&frame.bytes);
        let proofs = match self.end {
            End::Dialler => {
                let identity = self.settings.local.identity();
                identity.ok_or_else(Refusal::pair_unknown)?.check(&peer)?;
                self.say_hello(&mut transcript)?;
                let proofs = transcript.finish(&self.settings.key);
                let proof = encode(Kind::Proof, &[&proofs.of_dialler.bytes()]);
                self.frames.push_back(proof);
                proofs
            }
            End::Acceptor => transcript.finish(&self.settings.key),
        };
        self.state = State::Proof(peer, proofs);
        Ok(())
    }

    fn take_proof(&mut self, peer: Identity, proofs: Proofs, frame: &Frame) -> Result<(), Refusal> {
        let expected = match self.end {
            End::Dialler => &proofs.of_acceptor,
            End::Acceptor => &proofs.of_dialler,
        };
        if !expected.is(frame.body()) {
            return Err(Refusal::credentials());
        }
        // The dialler has checked it before it said anything; again costs nothing.
        let identity = self.settings.local.identity();
        identity.ok_or_else(Refusal::pair_unknown)?.check(&peer)?;
        self.events.push_back(Event::Proven(peer));
        self.state = State::Deciding(proofs);
        Ok(())
    }

    fn up(&mut self, outward: Sealer, inward: Sealer, now_ms: u64) {
        self.heard_ms = now_ms;
        self.said_ms = now_ms;
        self.state = State::Up { outward, inward };
        self.events.push_back(Event::Up);
    }
}

fn seal(sealer: &mut Sealer, kind: Kind, body: &[u8]) -> Bytes {
    let tag = sealer.tag(kind as u8, body);
    encode(kind, &[body, &tag])
}

fn open<'a>(sealer: &mut Sealer, frame: &'a Frame) -> Result<&'a [u8], Refusal> {
    sealer
        .open(frame.kind as u8, frame.body())
        .ok_or_else(|| Refusal::malformed("a frame with a wrong tag"))
}
