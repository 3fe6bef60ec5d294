//! Looks at what handles leave behind: credits to move, and handles that are gone.

use core_protocol::packet::RemoveProducer;

use crate::shared::Note;

use super::actions::{closed_by_user, grant, session_closed};
use super::{Driver, Link, request_credits};

impl Driver {
    /// Looks at what handles left behind: credits to move, handles that are gone.
    pub(super) fn heed_notes(&mut self, link: &mut Link) {
        for note in self.shared.take_notes() {
            match note {
                Note::Flow {
                    channel,
                    consumer_id,
                } => {
                    let session = self.sessions.get(&channel);
                    let consumer = session.and_then(|session| session.consumers.get(&consumer_id));
                    if let Some(credits) = consumer.and_then(|consumer| consumer.inbox.give_back())
                    {
                        grant(link, channel, consumer_id, credits);
                    }
                }
                Note::WantCredits { channel, address } => {
                    let session = self.sessions.get(&channel);
                    let credits = session.and_then(|session| session.credits.get(&address));
                    if let Some(bytes) = credits.and_then(|credits| credits.request()) {
                        request_credits(link, channel, &address, bytes);
                    }
                }
                Note::ProducerDropped {
                    channel,
                    producer_id,
                } => {
                    let session = self.sessions.get_mut(&channel);
                    if session.is_some_and(|session| session.remove_producer(producer_id)) {
                        link.wire.push(channel, RemoveProducer { producer_id });
                    }
                }
                Note::ConsumerDropped {
                    channel,
                    consumer_id,
                } => self.close_consumer(link, channel, consumer_id, None),
                Note::SessionDropped { channel } => self.close_session(link, channel, None),
            }
        }
    }

    /// The same without a connection: what is gone is forgotten; credits begin anew anyway.
    pub(super) fn heed_notes_unconnected(&mut self) {
        for note in self.shared.take_notes() {
            match note {
                Note::Flow { .. } | Note::WantCredits { .. } => {}
                Note::ProducerDropped {
                    channel,
                    producer_id,
                } => {
                    if let Some(session) = self.sessions.get_mut(&channel) {
                        session.remove_producer(producer_id);
                    }
                }
                Note::ConsumerDropped {
                    channel,
                    consumer_id,
                } => self.forget_consumer(channel, consumer_id),
                Note::SessionDropped { channel } => self.forget_session(channel),
            }
        }
    }

    pub(super) fn forget_session(&mut self, channel: i64) {
        if let Some(mut session) = self.sessions.remove(&channel) {
            session.end(&session_closed());
        }
    }

    pub(super) fn forget_consumer(&mut self, channel: i64, consumer_id: i64) {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        if let Some(consumer) = session.consumers.remove(&consumer_id) {
            consumer.inbox.end(closed_by_user(consumer.queue));
        }
    }
}
