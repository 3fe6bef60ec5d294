//! Acknowledgements, commits and rollbacks: what takes effect together, or not at all.
//!
//! A transaction that held anything when its connection was lost is undone by the broker. Nothing
//! joins it any more, and its commit is never sent: it rolls back instead and says so.

use core_protocol::packet::{
    Packet, SessAcknowledge, SessCommit, SessIndividualAcknowledge, SessRollback,
};

use crate::error::CallError;

use super::actions::{Call, too_many};
use super::command::{Answer, Reply};
use super::lane::MAX_IN_FLIGHT;
use super::pending::{AfterRollback, Expects, Purpose};
use super::state::{Transaction, answer};
use super::{Driver, Link};

/// Which delivery is acknowledged, and how.
pub(super) struct Acknowledge {
    pub(super) consumer_id: i64,
    pub(super) message_id: i64,
    pub(super) epoch: u64,
    pub(super) individual: bool,
}

impl Acknowledge {
    fn packet(&self, requires_response: bool) -> Packet {
        let (consumer_id, message_id) = (self.consumer_id, self.message_id);
        if self.individual {
            Packet::from(SessIndividualAcknowledge {
                consumer_id,
                message_id,
                requires_response,
            })
        } else {
            Packet::from(SessAcknowledge {
                consumer_id,
                message_id,
                requires_response,
            })
        }
    }
}

impl Driver {
    pub(super) fn acknowledge(
        &mut self,
        link: &mut Link,
        channel: i64,
        what: &Acknowledge,
        reply: Reply,
    ) {
        let waits = match self.may_acknowledge(channel, what) {
            Ok(waits) => waits,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        let packet = what.packet(waits);
        if waits {
            let call = Call::plain("SESS_ACKNOWLEDGE", packet, Expects::Null);
            self.call(link, channel, call, Some(reply));
        } else {
            // Its transaction's commit tells whether it worked.
            link.wire.push(channel, packet);
            answer(Some(reply), Ok(Answer::Done));
        }
    }

    /// Whether an acknowledgement waits for its answer; an error if it must not be sent.
    fn may_acknowledge(&mut self, channel: i64, what: &Acknowledge) -> Result<bool, CallError> {
        let session = self.session(channel)?;
        let message_id = what.message_id;
        let Some(consumer) = session.consumers.get(&what.consumer_id) else {
            return Err(CallError::StaleDelivery { message_id });
        };
        if consumer.inbox.epoch() != what.epoch || session.rollbacks > 0 {
            return Err(CallError::StaleDelivery { message_id });
        }
        if session.mode.auto_commit_acks() {
            return Ok(true);
        }
        session.join_transaction().map(|()| false)
    }

    pub(super) fn commit(&mut self, link: &mut Link, channel: i64, reply: Reply) {
        let session = match self.session(channel) {
            Ok(session) => session,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        match session.transaction {
            Transaction::Lost => {
                self.roll_back(link, channel, AfterRollback::RolledBack, reply);
            }
            Transaction::Clean | Transaction::Work => {
                // What is sent from here on belongs to the next transaction.
                session.transaction = Transaction::Clean;
                let correlation = Some(session.lane.next_correlation());
                let mut call =
                    Call::plain("SESS_COMMIT", SessCommit { correlation }, Expects::Null);
                call.correlation = correlation;
                self.call(link, channel, call, Some(reply));
            }
        }
    }

    /// Pauses deliveries; the rest follows with the answer.
    pub(super) fn roll_back(
        &mut self,
        link: &mut Link,
        channel: i64,
        then: AfterRollback,
        reply: Reply,
    ) {
        let session = match self.session(channel) {
            Ok(session) => session,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        if session.lane.is_full() {
            let error = too_many("calls in flight on one session", MAX_IN_FLIGHT);
            return answer(Some(reply), Err(error));
        }
        session.transaction = Transaction::Clean;
        session.rollbacks += 1;
        let call = Call::plain("SESS_STOP", Packet::SessStop, Expects::Null);
        self.call(
            link,
            channel,
            call.with_purpose(Purpose::Stop { then }),
            Some(reply),
        );
    }

    /// Second step of a rollback: no delivery is under way.
    pub(super) fn roll_back_stopped(
        &mut self,
        link: &mut Link,
        channel: i64,
        then: AfterRollback,
        reply: Option<Reply>,
    ) {
        let rollback = SessRollback {
            consider_last_message_as_delivered: false,
        };
        let call = Call::plain("SESS_ROLLBACK", rollback, Expects::Null);
        self.call(
            link,
            channel,
            call.with_purpose(Purpose::Rollback { then }),
            reply,
        );
    }
}
