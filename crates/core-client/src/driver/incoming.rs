//! What the broker sends: answers to their calls, deliveries to their inboxes, the rest to nobody.

use std::sync::Arc;

use core_protocol::Frame;
use core_protocol::packet::{Packet, SessReceiveMessage, receive_len};

use crate::error::{CallError, LossReason};
use crate::establish::check_version;
use crate::handles::{ConsumerHandle, SessionHandle};
use crate::requests::{CONNECTION_CHANNEL, LOBBY_CHANNEL, member_update, refusal, sent_away};

use super::actions::grant;
use super::command::Answer;
use super::lane::Pending;
use super::pending::Purpose;
use super::state::{ConsumerState, SessionState, answer};
use super::{Driver, Link, Loss};

impl Driver {
    /// Takes one packet; an error ends the connection.
    pub(super) fn take_frame(&mut self, link: &mut Link, frame: Frame) -> Result<(), Loss> {
        let Frame { channel, packet } = frame;
        match channel {
            CONNECTION_CHANNEL => take_connection_packet(link, &packet),
            LOBBY_CHANNEL => {
                if let Some(call) = self.lobby.take_answered(&packet) {
                    self.complete(link, LOBBY_CHANNEL, call, packet)?;
                } else {
                    unasked(channel, &packet);
                }
                Ok(())
            }
            _ => self.take_session_packet(link, channel, packet),
        }
    }

    fn take_session_packet(
        &mut self,
        link: &mut Link,
        channel: i64,
        packet: Packet,
    ) -> Result<(), Loss> {
        let Some(session) = self.sessions.get_mut(&channel) else {
            // Answers to the close of a session that was forgotten.
            return Ok(());
        };
        if let Packet::SessReceiveMessage(delivery) = packet {
            return deliver(session, delivery);
        }
        if let Some(call) = session.lane.take_answered(&packet) {
            return self.complete(link, channel, call, packet);
        }
        if let Packet::SessProducerCredits(grant) = &packet {
            if let Some(credits) = session.credits.get(&grant.address) {
                credits.grant(grant.credits);
            }
        } else if let Packet::SessProducerFailCredits(refused) = &packet {
            if let Some(credits) = session.credits.get(&refused.address) {
                credits.refuse(refused.credits);
            }
        } else if let Packet::DisconnectConsumer(gone) = &packet {
            self.end_consumer(link, channel, gone.consumer_id, "its queue was deleted");
        } else if let Packet::SessReceiveLargeMessage(large) = &packet {
            let why = "the next message is a large one, which this client does not receive";
            self.end_consumer(link, channel, large.consumer_id, why);
        } else if !matches!(packet, Packet::SessReceiveContinuation(_)) {
            unasked(channel, &packet);
        }
        Ok(())
    }

    /// Closes a consumer that cannot go on; its application hears why.
    fn end_consumer(&mut self, link: &mut Link, channel: i64, id: i64, why: &'static str) {
        let session = self.sessions.get_mut(&channel);
        let consumer = session.and_then(|session| session.consumers.remove(&id));
        if let Some(ConsumerState { queue, inbox, .. }) = consumer {
            inbox.end(CallError::ConsumerClosed { queue, why });
            self.send_consumer_close(link, channel, id, None);
        }
    }

    /// Ends a call with its answer, and does what it was for.
    fn complete(
        &mut self,
        link: &mut Link,
        channel: i64,
        pending: Pending,
        packet: Packet,
    ) -> Result<(), Loss> {
        let Pending {
            call,
            purpose,
            reply,
            ..
        } = pending;
        if let Packet::Exception(exception) = &packet {
            let error = CallError::Refused(refusal(call, exception));
            self.refused(link, channel, &purpose);
            answer(reply, Err(error));
            return Ok(());
        }
        let outcome = match purpose {
            Purpose::Plain | Purpose::CloseConsumer => Ok(plain_answer(packet)),
            Purpose::OpenSession {
                channel,
                name,
                mode,
            } => {
                if let Packet::CreateSessionResponse(response) = &packet
                    && let Err(reason) = check_version(response.server_version)
                {
                    let error = CallError::OutcomeUnknown {
                        call,
                        reason: reason.clone(),
                    };
                    answer(reply, Err(error));
                    return Err(reason.into());
                }
                self.sessions.insert(channel, SessionState::new(name, mode));
                let shared = Arc::clone(&self.shared);
                Ok(Answer::Session(SessionHandle { shared, channel }))
            }
            Purpose::CloseSession => {
                self.sessions.remove(&channel);
                Ok(Answer::Done)
            }
            Purpose::OpenConsumer {
                consumer_id,
                queue,
                filter,
                inbox,
            } => {
                let Packet::SessQueueQueryResponseV3(described) = packet else {
                    return Ok(());
                };
                let consumer = ConsumerState {
                    queue,
                    filter,
                    inbox,
                    described,
                };
                Ok(self.add_consumer(link, channel, consumer_id, consumer))
            }
            Purpose::Stop { then } => {
                self.roll_back_stopped(link, channel, then, reply);
                return Ok(());
            }
            Purpose::Rollback { then } => {
                self.rolled_back(link, channel);
                then.outcome()
            }
        };
        answer(reply, outcome);
        Ok(())
    }

    /// What an error answer means beyond being passed on.
    fn refused(&mut self, link: &mut Link, channel: i64, purpose: &Purpose) {
        match purpose {
            Purpose::Stop { .. } | Purpose::Rollback { .. } => self.rolled_back(link, channel),
            Purpose::CloseSession => {
                self.sessions.remove(&channel);
            }
            Purpose::Plain
            | Purpose::OpenSession { .. }
            | Purpose::OpenConsumer { .. }
            | Purpose::CloseConsumer => {}
        }
    }

    /// Last step of a rollback: everything comes again, so deliveries so far are void.
    fn rolled_back(&mut self, link: &mut Link, channel: i64) {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        session.rollbacks = session.rollbacks.saturating_sub(1);
        for (id, consumer) in &session.consumers {
            grant(link, channel, *id, consumer.inbox.void());
        }
        if session.started {
            link.wire.push(channel, Packet::SessStart);
        }
    }

    fn add_consumer(
        &mut self,
        link: &mut Link,
        channel: i64,
        id: i64,
        consumer: ConsumerState,
    ) -> Answer {
        let inbox = Arc::clone(&consumer.inbox);
        if let Some(session) = self.sessions.get_mut(&channel) {
            session.consumers.insert(id, consumer);
            let window = i32::try_from(inbox.window_bytes).unwrap_or(i32::MAX);
            grant(link, channel, id, window);
            if !session.started {
                session.started = true;
                link.wire.push(channel, Packet::SessStart);
            }
        }
        let shared = Arc::clone(&self.shared);
        Answer::Consumer(ConsumerHandle {
            shared,
            channel,
            id,
            inbox,
        })
    }
}

fn take_connection_packet(link: &mut Link, packet: &Packet) -> Result<(), Loss> {
    if let Some((reason, redirect)) = sent_away(packet) {
        return Err(Loss { reason, redirect });
    }
    if let Some((update, _)) = member_update(packet) {
        link.topology.apply(update);
    } else if !matches!(packet, Packet::Ping(_)) {
        unasked(CONNECTION_CHANNEL, packet);
    }
    Ok(())
}

fn deliver(session: &SessionState, delivery: SessReceiveMessage) -> Result<(), Loss> {
    let SessReceiveMessage {
        message,
        consumer_id,
        delivery_count,
    } = delivery;
    let Some(consumer) = session.consumers.get(&consumer_id) else {
        // On its way when the consumer was closed; the broker takes it back.
        return Ok(());
    };
    let packet_bytes = receive_len(&message);
    let id = message.id();
    let put = consumer
        .inbox
        .put(message, id, delivery_count, packet_bytes);
    put.map_err(|overrun| {
        let what = format!(
            "{} bytes for a consumer of queue {} whose window is {} bytes",
            overrun.buffered_bytes, consumer.queue, consumer.inbox.window_bytes
        );
        LossReason::NotCore { what }.into()
    })
}

fn plain_answer(packet: Packet) -> Answer {
    if let Packet::SessQueueQueryResponseV3(queue) = packet {
        Answer::Queue(Box::new(queue))
    } else if let Packet::SessBindingQueryResponseV5(address) = packet {
        Answer::Address(Box::new(address))
    } else {
        Answer::Done
    }
}

fn unasked(channel: i64, packet: &Packet) {
    tracing::debug!(
        channel,
        packet = packet.name(),
        "packet that nobody waits for"
    );
}
