//! What the driver remembers of a session: enough to make it again on another connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use core_protocol::packet::SessQueueQueryResponseV3;

use crate::credits::Credits;
use crate::error::{CallError, LossReason};
use crate::establish::{ConsumerPlan, SessionPlan};
use crate::inbox::Inbox;
use crate::options::SessionMode;

use super::command::Reply;
use super::lane::Lane;

/// Sessions of one client; a program that needs more makes another client.
pub(crate) const MAX_SESSIONS: usize = 1000;
/// Consumers, and producers, of one session.
pub(crate) const MAX_PER_SESSION: usize = 1000;

/// What the open transaction of a session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// Nothing.
    Clean,
    /// Sends or acknowledgements on the current connection.
    Work,
    /// Work that was lost with its connection; only a commit or a rollback ends this.
    Lost,
}

#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) name: String,
    pub(crate) mode: SessionMode,
    pub(crate) lane: Lane,
    /// Deliveries were asked for: there is or was a consumer.
    pub(crate) started: bool,
    /// Its close was sent; it only waits for the answer.
    pub(crate) closing: bool,
    pub(crate) transaction: Transaction,
    /// Rollbacks under way; meanwhile nothing joins the transaction.
    pub(crate) rollbacks: u32,
    pub(crate) consumers: BTreeMap<i64, ConsumerState>,
    pub(crate) next_consumer_id: i64,
    /// Producers by id, with their addresses.
    pub(crate) producers: BTreeMap<i32, String>,
    pub(crate) next_producer_id: i32,
    pub(crate) credits: BTreeMap<String, Arc<Credits>>,
}

#[derive(Debug)]
pub(crate) struct ConsumerState {
    pub(crate) queue: String,
    pub(crate) filter: Option<String>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) described: SessQueueQueryResponseV3,
}

impl SessionState {
    pub(crate) fn new(name: String, mode: SessionMode) -> Self {
        Self {
            name,
            mode,
            lane: Lane::default(),
            started: false,
            closing: false,
            transaction: Transaction::Clean,
            rollbacks: 0,
            consumers: BTreeMap::new(),
            next_consumer_id: 0,
            producers: BTreeMap::new(),
            next_producer_id: 1,
            credits: BTreeMap::new(),
        }
    }

    /// What must be made again on the next connection.
    pub(crate) fn plan(&self, channel: i64) -> SessionPlan {
        let consumers = self.consumers.iter().map(|(id, consumer)| ConsumerPlan {
            id: *id,
            queue: consumer.queue.clone(),
            filter: consumer.filter.clone(),
            described: consumer.described.clone(),
        });
        SessionPlan {
            channel,
            name: self.name.clone(),
            mode: self.mode,
            consumers: consumers.collect(),
        }
    }

    /// Lets a send or an acknowledgement join the transaction, unless that is doomed.
    pub(crate) fn join_transaction(&mut self) -> Result<(), CallError> {
        if self.rollbacks > 0 || self.transaction == Transaction::Lost {
            return Err(CallError::TransactionRolledBack);
        }
        self.transaction = Transaction::Work;
        Ok(())
    }

    /// The connection is lost: calls in flight hear of it, deliveries and open work become void.
    pub(crate) fn lost(&mut self, reason: &LossReason) {
        for call in self.lane.take_all() {
            answer(call.reply, call.purpose.lost(call.call, reason));
        }
        for consumer in self.consumers.values() {
            consumer.inbox.void();
        }
        if self.transaction == Transaction::Work {
            self.transaction = Transaction::Lost;
        }
        self.rollbacks = 0;
    }

    /// Ends everything its handles still wait for.
    pub(crate) fn end(&mut self, error: &CallError) {
        for consumer in std::mem::take(&mut self.consumers).into_values() {
            consumer.inbox.end(error.clone());
        }
        for credits in std::mem::take(&mut self.credits).into_values() {
            credits.end(error.clone());
        }
        self.producers.clear();
    }

    /// Forgets a producer, and its address's credits with the last one.
    pub(crate) fn remove_producer(&mut self, producer_id: i32) -> bool {
        let Some(address) = self.producers.remove(&producer_id) else {
            return false;
        };
        if !self.producers.values().any(|other| *other == address) {
            self.credits.remove(&address);
        }
        true
    }
}

/// Answers a call if anyone still waits.
pub(crate) fn answer(reply: Option<Reply>, outcome: Result<super::command::Answer, CallError>) {
    if let Some(reply) = reply {
        // A caller that went away wants no answer; handles in it close themselves.
        let _ = reply.send(outcome);
    }
}
