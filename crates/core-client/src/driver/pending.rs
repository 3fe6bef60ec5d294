//! What a call in flight waits for, and what its answer sets in motion.

use std::sync::Arc;

use core_protocol::packet::Packet;

use crate::error::{CallError, LossReason};
use crate::inbox::Inbox;
use crate::options::SessionMode;

use super::command::Answer;

/// The kind of answer that completes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expects {
    Null,
    Session,
    Queue,
    Address,
}

impl Expects {
    /// The kind that a packet is, if it is an answer other than a plain or an error one.
    pub(crate) fn of(packet: &Packet) -> Option<Self> {
        if matches!(packet, Packet::CreateSessionResponse(_)) {
            Some(Self::Session)
        } else if matches!(packet, Packet::SessQueueQueryResponseV3(_)) {
            Some(Self::Queue)
        } else if matches!(packet, Packet::SessBindingQueryResponseV5(_)) {
            Some(Self::Address)
        } else {
            None
        }
    }
}

/// What the driver does when the answer is there.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// Passes the answer on.
    Plain,
    OpenSession {
        channel: i64,
        name: String,
        mode: SessionMode,
    },
    CloseSession,
    /// The channel is the session's.
    OpenConsumer {
        consumer_id: i64,
        queue: String,
        filter: Option<String>,
        inbox: Arc<Inbox>,
    },
    CloseConsumer,
    /// First step of a rollback: deliveries are paused.
    Stop {
        then: AfterRollback,
    },
    /// Second step: the transaction is undone.
    Rollback {
        then: AfterRollback,
    },
}

/// What the caller of a rollback hears when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterRollback {
    /// It asked for it.
    Done,
    /// It had asked for a commit of a transaction that was lost with its connection.
    RolledBack,
}

impl AfterRollback {
    pub(crate) fn outcome(self) -> Result<Answer, CallError> {
        match self {
            Self::Done => Ok(Answer::Done),
            Self::RolledBack => Err(CallError::TransactionRolledBack),
        }
    }
}

impl Purpose {
    /// What the caller hears when the connection is lost before the answer came.
    ///
    /// A loss closes the session and rolls it back at the broker, so those calls are done.
    pub(crate) fn lost(
        &self,
        call: &'static str,
        reason: &LossReason,
    ) -> Result<Answer, CallError> {
        match self {
            Self::CloseSession | Self::CloseConsumer => Ok(Answer::Done),
            Self::Stop { then } | Self::Rollback { then } => then.outcome(),
            Self::Plain | Self::OpenSession { .. } | Self::OpenConsumer { .. } => {
                let reason = reason.clone();
                Err(CallError::OutcomeUnknown { call, reason })
            }
        }
    }
}
