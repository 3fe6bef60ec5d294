//! Begins what handles ask for: each action becomes packets, and a call that waits for its answer.

use std::sync::Arc;

use core_protocol::packet::{
    CreateProducer, Packet, SendTail, SessBindingQuery, SessConsumerClose, SessCreateConsumer,
    SessFlowToken, SessQueueQuery, SessSend,
};
use tokio::time::Instant;

use crate::credits::{Credits, REQUEST_BYTES};
use crate::error::CallError;
use crate::establish::SessionPlan;
use crate::handles::ProducerHandle;
use crate::identity::random_name;
use crate::inbox::Inbox;
use crate::options::SessionMode;
use crate::requests::{LOBBY_CHANNEL, create_session};

use super::command::{Action, Answer, Command, Reply};
use super::lane::{MAX_IN_FLIGHT, Pending};
use super::pending::{AfterRollback, Expects, Purpose};
use super::state::{MAX_PER_SESSION, MAX_SESSIONS, SessionState, answer};
use super::transactions::Acknowledge;
use super::{Driver, Link, request_credits};

/// A request on its way into a lane.
pub(super) struct Call {
    name: &'static str,
    packet: Packet,
    expects: Expects,
    pub(super) correlation: Option<i64>,
    purpose: Purpose,
}

impl Call {
    /// A request whose answer is passed on as it is.
    pub(super) fn plain(name: &'static str, packet: impl Into<Packet>, expects: Expects) -> Self {
        Self {
            name,
            packet: packet.into(),
            expects,
            correlation: None,
            purpose: Purpose::Plain,
        }
    }

    pub(super) fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }
}

impl Driver {
    /// Begins an action; its answer may come at once or with a packet.
    pub(super) fn begin(&mut self, link: &mut Link, command: Command) {
        let Command { action, reply, .. } = command;
        if reply.is_closed() {
            return;
        }
        if self.shutdown.is_some() {
            let why = "it was closed".to_owned();
            answer(Some(reply), Err(CallError::Closed { why }));
            return;
        }
        match action {
            Action::OpenSession { mode } => self.open_session(link, mode, reply),
            Action::CloseSession { channel } => self.close_session(link, channel, Some(reply)),
            Action::QueryQueue { channel, queue } => {
                let query = SessQueueQuery { queue };
                let call = Call::plain("SESS_QUEUEQUERY", query, Expects::Queue);
                self.call(link, channel, call, Some(reply));
            }
            Action::QueryAddress { channel, address } => {
                let query = SessBindingQuery { address };
                let call = Call::plain("SESS_BINDINGQUERY", query, Expects::Address);
                self.call(link, channel, call, Some(reply));
            }
            Action::CreateAddress { channel, address } => {
                let call = Call::plain("CREATE_ADDRESS", address, Expects::Null);
                self.call(link, channel, call, Some(reply));
            }
            Action::CreateQueue { channel, queue } => {
                let call = Call::plain("CREATE_QUEUE_V2", *queue, Expects::Null);
                self.call(link, channel, call, Some(reply));
            }
            Action::OpenProducer { channel, address } => {
                let outcome = self.open_producer(link, channel, address);
                answer(Some(reply), outcome);
            }
            Action::Send {
                channel,
                producer_id,
                message,
            } => {
                let tail = |requires_response, correlation| SendTail {
                    requires_response,
                    correlation,
                    sender_id: producer_id,
                };
                self.send(link, channel, message, tail, reply);
            }
            Action::SendInPieces {
                channel,
                producer_id,
                message,
            } => self.send_in_pieces(link, channel, producer_id, &message, reply),
            Action::OpenConsumer {
                channel,
                queue,
                filter,
                window_bytes,
            } => self.open_consumer(link, channel, queue, filter, window_bytes, reply),
            Action::CloseConsumer {
                channel,
                consumer_id,
            } => self.close_consumer(link, channel, consumer_id, Some(reply)),
            Action::Acknowledge {
                channel,
                consumer_id,
                message_id,
                epoch,
                individual,
            } => {
                let acknowledge = Acknowledge {
                    consumer_id,
                    message_id,
                    epoch,
                    individual,
                };
                self.acknowledge(link, channel, &acknowledge, reply);
            }
            Action::Commit { channel } => self.commit(link, channel, reply),
            Action::Rollback { channel } => {
                self.roll_back(link, channel, AfterRollback::Done, reply);
            }
            Action::Shutdown => {
                let channels: Vec<i64> = self.sessions.keys().copied().collect();
                for channel in channels {
                    self.close_session(link, channel, None);
                }
                self.shutdown = Some(reply);
            }
        }
    }

    /// Goes on with a session that was made again on this connection.
    pub(super) fn resume_session(&mut self, link: &mut Link, recreated: SessionPlan) {
        let channel = recreated.channel;
        let Some(session) = self.sessions.get_mut(&channel) else {
            // Closed while the connection was being made; the answer finds nobody.
            link.wire.push(channel, Packet::SessClose);
            return;
        };
        session.name = recreated.name;
        let mut unwanted = Vec::new();
        for consumer in recreated.consumers {
            match session.consumers.get_mut(&consumer.id) {
                Some(known) => {
                    known.described = consumer.described;
                    let window = i32::try_from(known.inbox.window_bytes).unwrap_or(i32::MAX);
                    grant(link, channel, consumer.id, window);
                }
                None => unwanted.push(consumer.id),
            }
        }
        if session.started {
            link.wire.push(channel, Packet::SessStart);
        }
        for (address, credits) in &session.credits {
            request_credits(link, channel, address, credits.renew());
        }
        for consumer_id in unwanted {
            self.send_consumer_close(link, channel, consumer_id, None);
        }
    }

    /// Sends a request on a session's channel, unless the session is gone.
    pub(super) fn call(&mut self, link: &mut Link, channel: i64, call: Call, reply: Option<Reply>) {
        let Some(session) = self
            .sessions
            .get_mut(&channel)
            .filter(|session| !session.closing)
        else {
            answer(reply, Err(session_closed()));
            return;
        };
        // What nobody waits for is bounded by the handles it cleans up after.
        if session.lane.is_full() && reply.is_some() {
            answer(
                reply,
                Err(too_many("calls in flight on one session", MAX_IN_FLIGHT)),
            );
            return;
        }
        link.wire.push(channel, call.packet);
        session.lane.push(Pending {
            call: call.name,
            expects: call.expects,
            correlation: call.correlation,
            deadline: Instant::now() + self.shared.options.call_timeout(),
            purpose: call.purpose,
            reply,
        });
    }

    pub(super) fn session(&mut self, channel: i64) -> Result<&mut SessionState, CallError> {
        let session = self.sessions.get_mut(&channel);
        session
            .filter(|session| !session.closing)
            .ok_or_else(session_closed)
    }

    fn open_session(&mut self, link: &mut Link, mode: SessionMode, reply: Reply) {
        if self.sessions.len() >= MAX_SESSIONS || self.lobby.is_full() {
            answer(
                Some(reply),
                Err(too_many("sessions of one client", MAX_SESSIONS)),
            );
            return;
        }
        let channel = self.next_channel;
        self.next_channel += 1;
        let name = random_name();
        let options = &self.shared.options;
        link.wire
            .push(LOBBY_CHANNEL, create_session(options, &name, channel, mode));
        self.lobby.push(Pending {
            call: "CREATESESSION",
            expects: Expects::Session,
            correlation: None,
            deadline: Instant::now() + options.call_timeout(),
            purpose: Purpose::OpenSession {
                channel,
                name,
                mode,
            },
            reply: Some(reply),
        });
    }

    pub(super) fn close_session(&mut self, link: &mut Link, channel: i64, reply: Option<Reply>) {
        let Ok(session) = self.session(channel) else {
            answer(reply, Ok(Answer::Done));
            return;
        };
        session.end(&session_closed());
        let call = Call::plain("SESS_CLOSE", Packet::SessClose, Expects::Null);
        self.call(
            link,
            channel,
            call.with_purpose(Purpose::CloseSession),
            reply,
        );
        if let Some(session) = self.sessions.get_mut(&channel) {
            session.closing = true;
        }
    }

    fn open_producer(
        &mut self,
        link: &mut Link,
        channel: i64,
        address: String,
    ) -> Result<Answer, CallError> {
        let shared = Arc::clone(&self.shared);
        let session = self.session(channel)?;
        if session.producers.len() >= MAX_PER_SESSION {
            return Err(too_many("producers of one session", MAX_PER_SESSION));
        }
        let id = session.next_producer_id;
        session.next_producer_id += 1;
        session.producers.insert(id, address.clone());
        let fresh = || Arc::new(Credits::new(address.clone()));
        let credits = Arc::clone(session.credits.entry(address.clone()).or_insert_with(fresh));
        credits.want(REQUEST_BYTES);
        if let Some(bytes) = credits.request() {
            request_credits(link, channel, &address, bytes);
        }
        let create = CreateProducer {
            producer_id: id,
            address: Some(address),
        };
        link.wire.push(channel, create);
        Ok(Answer::Producer(ProducerHandle {
            shared,
            channel,
            id,
            credits,
        }))
    }

    fn send(
        &mut self,
        link: &mut Link,
        channel: i64,
        message: core_protocol::Message,
        tail: impl Fn(bool, i64) -> SendTail,
        reply: Reply,
    ) {
        let session = match self.session(channel) {
            Ok(session) => session,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        if !session.mode.auto_commit_sends() {
            // As in the reference client: the commit tells whether the send worked.
            let joined = session.join_transaction();
            if joined.is_ok() {
                let tail = tail(false, 0);
                link.wire.push(channel, SessSend { message, tail });
            }
            return answer(Some(reply), joined.map(|()| Answer::Done));
        }
        let correlation = session.lane.next_correlation();
        let tail = tail(true, correlation);
        let mut call = Call::plain("SESS_SEND", SessSend { message, tail }, Expects::Null);
        call.correlation = Some(correlation);
        self.call(link, channel, call, Some(reply));
    }

    fn open_consumer(
        &mut self,
        link: &mut Link,
        channel: i64,
        queue: String,
        filter: Option<String>,
        window_bytes: u32,
        reply: Reply,
    ) {
        let session = match self.session(channel) {
            Ok(session) => session,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        if session.consumers.len() >= MAX_PER_SESSION {
            let error = too_many("consumers of one session", MAX_PER_SESSION);
            return answer(Some(reply), Err(error));
        }
        let consumer_id = session.next_consumer_id;
        session.next_consumer_id += 1;
        let create = SessCreateConsumer {
            consumer_id,
            queue: queue.clone(),
            filter: filter.clone(),
            browse_only: false,
            requires_response: true,
            priority: 0,
        };
        let purpose = Purpose::OpenConsumer {
            consumer_id,
            queue,
            filter,
            inbox: Arc::new(Inbox::new(window_bytes)),
        };
        let call = Call::plain("SESS_CREATECONSUMER", create, Expects::Queue);
        self.call(link, channel, call.with_purpose(purpose), Some(reply));
    }

    pub(super) fn close_consumer(
        &mut self,
        link: &mut Link,
        channel: i64,
        consumer_id: i64,
        reply: Option<Reply>,
    ) {
        let session = self.session(channel);
        if !session.is_ok_and(|session| session.consumers.contains_key(&consumer_id)) {
            answer(reply, Ok(Answer::Done));
            return;
        }
        self.forget_consumer(channel, consumer_id);
        self.send_consumer_close(link, channel, consumer_id, reply);
    }

    /// Tells the broker that a consumer is no longer there.
    pub(super) fn send_consumer_close(
        &mut self,
        link: &mut Link,
        channel: i64,
        consumer_id: i64,
        reply: Option<Reply>,
    ) {
        let close = SessConsumerClose { consumer_id };
        let call = Call::plain("SESS_CONSUMER_CLOSE", close, Expects::Null);
        self.call(
            link,
            channel,
            call.with_purpose(Purpose::CloseConsumer),
            reply,
        );
    }
}

/// Lets the broker send a consumer this many bytes more.
pub(super) fn grant(link: &mut Link, channel: i64, consumer_id: i64, credits: i32) {
    if credits > 0 {
        let token = SessFlowToken {
            consumer_id,
            credits,
        };
        link.wire.push(channel, token);
    }
}

pub(super) fn session_closed() -> CallError {
    CallError::Closed {
        why: "the session was closed".to_owned(),
    }
}

pub(super) fn closed_by_user(queue: String) -> CallError {
    let why = "its handle was closed";
    CallError::ConsumerClosed { queue, why }
}

pub(super) fn too_many(what: &'static str, limit: usize) -> CallError {
    CallError::BadArgument {
        what,
        value: format!("above {limit}"),
        rule: "use another session or client",
    }
}
