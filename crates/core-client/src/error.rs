//! What can go wrong, told apart by what the caller can do about it.
//!
//! The distinction that matters most to a sender is whether a message may have been stored:
//! [`SendError::OutcomeUnknown`] says "perhaps", every other variant says "no".

use thiserror::Error;

use crate::options::Endpoint;

/// Why [`crate::Client::connect`] failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// An option is outside its documented range.
    #[error("{field} is {value}: {rule}")]
    BadOption {
        /// Field of [`crate::ClientOptions`].
        field: &'static str,
        /// The refused value.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// A text does not name an endpoint.
    #[error("`{text}` is not an endpoint: {why}; write host:port")]
    BadEndpoint {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No endpoint became a connection; the last failure of each is told.
    #[error("no broker could be reached in {rounds} round(s): {}", list(.failures))]
    Unreachable {
        /// Rounds over all endpoints that were made.
        rounds: u32,
        /// The last failure at each endpoint, in the order they were tried.
        failures: Vec<AttemptError>,
    },
}

/// Why one endpoint did not become a connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{endpoint}: {reason}")]
pub struct AttemptError {
    /// The endpoint that was dialled.
    pub endpoint: Endpoint,
    /// What happened there.
    pub reason: LossReason,
}

/// Why a connection ended or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LossReason {
    /// The host name does not resolve, or TCP refused or failed.
    #[error("{doing}: {error}")]
    Io {
        /// What the client was doing.
        doing: &'static str,
        /// The operating system's words.
        error: String,
    },
    /// TCP gave no answer in time.
    #[error("no TCP connection within {waited_ms} ms")]
    ConnectTimeout {
        /// `connect_timeout_ms`.
        waited_ms: u64,
    },
    /// The broker closed the connection.
    #[error("the broker closed the connection")]
    ClosedByBroker,
    /// The client itself ended, with calls in flight.
    #[error("the client was closed")]
    ClosedHere,
    /// The broker announced that it goes away.
    #[error("the broker sent its clients away (reason {code})")]
    SentAway {
        /// Reason byte of the packet, -1 if it carried none.
        code: i8,
    },
    /// Nothing at all arrived for the whole time to live.
    #[error("no byte from the broker for {silent_ms} ms")]
    Silent {
        /// `connection_ttl_ms`.
        silent_ms: u64,
    },
    /// A call was not answered in time.
    #[error("no answer to {call} within {waited_ms} ms")]
    CallTimeout {
        /// The call, by its packet name.
        call: &'static str,
        /// `call_timeout_ms`.
        waited_ms: u64,
    },
    /// What arrived does not decode, or makes no sense where it arrived.
    #[error("what arrived is not a CORE broker's answer: {what}")]
    NotCore {
        /// The decoder's words, or what was unexpected.
        what: String,
    },
    /// The broker said that it is not ready to take over.
    #[error("the broker says that it is not ready to serve")]
    NotReady,
    /// The broker answered a call of connecting with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The broker speaks an older protocol than this client.
    #[error("the broker speaks CORE version {version}, this client needs {needed} or later")]
    Version {
        /// What the broker said.
        version: i32,
        /// The lowest version this client speaks.
        needed: i32,
    },
}

/// An error answer of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the broker refused {call}: {message} (code {code}: {})", meaning(*.code))]
pub struct Refusal {
    /// The call, by its packet name.
    pub call: &'static str,
    /// The broker's error code.
    pub code: i32,
    /// The broker's words.
    pub message: String,
}

/// Why a call of a session or consumer failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The connection failed, or the answer stayed away, after the request had left.
    #[error("the outcome of {call} is unknown: {reason}")]
    OutcomeUnknown {
        /// The call, by its packet name.
        call: &'static str,
        /// What happened to the connection.
        reason: LossReason,
    },
    /// The request never left: there was no connection for as long as a call may wait.
    #[error("{call} was not sent: no connection for {waited_ms} ms ({reason}{})", last(.last_attempt.as_deref()))]
    NotConnected {
        /// The call, by its packet name.
        call: &'static str,
        /// `call_failover_timeout_ms`.
        waited_ms: u64,
        /// Why the connection was lost.
        reason: LossReason,
        /// The last failed attempt to reconnect, if one has failed.
        last_attempt: Option<Box<AttemptError>>,
    },
    /// The broker answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The connection was lost since the transaction began, so the broker has undone it.
    #[error("the transaction was rolled back when the connection was lost; start it again")]
    TransactionRolledBack,
    /// The delivery belongs to a lost connection or a rolled back transaction; it comes again.
    #[error("message {message_id} is no longer delivered to this consumer; it will come again")]
    StaleDelivery {
        /// The message's id.
        message_id: i64,
    },
    /// The consumer is gone: its queue was deleted, or the broker ended it.
    #[error("the consumer of queue {queue} was closed: {why}")]
    ConsumerClosed {
        /// The queue.
        queue: String,
        /// Who closed it and why.
        why: &'static str,
    },
    /// An argument is outside what this client can send.
    #[error("{what} is {value}: {rule}")]
    BadArgument {
        /// The argument.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// The client was dropped or closed, or has given up reconnecting.
    #[error("the client is closed: {why}")]
    Closed {
        /// Why.
        why: String,
    },
}

/// Why a message was not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The connection failed in flight: the message may or may not be stored. Send it again with
    /// the same duplicate id to have it exactly once.
    #[error("the outcome of sending to {address} is unknown: {reason}")]
    OutcomeUnknown {
        /// Where the message was going.
        address: String,
        /// What happened to the connection.
        reason: LossReason,
    },
    /// The message is not stored: the broker refused it.
    #[error("{address}: {refusal}")]
    Refused {
        /// Where the message was going.
        address: String,
        /// The broker's answer.
        refusal: Refusal,
    },
    /// The message was not sent: the broker gave no credits, its address is full.
    #[error("{address} is full: no credits from the broker for {waited_ms} ms")]
    AddressFull {
        /// Where the message was going.
        address: String,
        /// How long the send waited; 0 when the broker refused outright.
        waited_ms: u64,
    },
    /// The message was not sent: it exceeds what fits into one packet.
    #[error("a message of {size_bytes} bytes to {address} is too large: at most {max_bytes} bytes")]
    TooLarge {
        /// Where the message was going.
        address: String,
        /// Its encoded size.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The message was not sent; the reason is inside.
    #[error("not sent to {address}: {source}")]
    NotSent {
        /// Where the message was going.
        address: String,
        /// Why.
        source: CallError,
    },
}

impl SendError {
    pub(crate) fn from_call(address: &str, error: CallError) -> Self {
        let address = address.to_owned();
        match error {
            CallError::OutcomeUnknown { reason, .. } => Self::OutcomeUnknown { address, reason },
            CallError::Refused(refusal) if refusal.code == ADDRESS_FULL => Self::AddressFull {
                address,
                waited_ms: 0,
            },
            CallError::Refused(refusal) => Self::Refused { address, refusal },
            source @ (CallError::NotConnected { .. }
            | CallError::TransactionRolledBack
            | CallError::StaleDelivery { .. }
            | CallError::ConsumerClosed { .. }
            | CallError::BadArgument { .. }
            | CallError::Closed { .. }) => Self::NotSent { address, source },
        }
    }
}

/// The broker's code for an address that takes no more.
const ADDRESS_FULL: i32 = 210;
/// The broker's code for a queue that is there already.
pub(crate) const QUEUE_EXISTS: i32 = 101;

/// What the broker's error codes mean, and for the common ones what to look at.
fn meaning(code: i32) -> &'static str {
    match code {
        0 => "internal error",
        1 => "unsupported packet",
        3 => "timed out",
        100 => "queue does not exist",
        QUEUE_EXISTS => "queue exists",
        102 => "closed",
        103 => "invalid filter",
        104 => "illegal state",
        105 => "security; check user, password and permissions",
        106 => "address does not exist",
        107 => "address exists",
        108 => "incompatible versions",
        111 => "transaction rolled back",
        112 => "the broker is not started",
        113 => "duplicate id",
        114 => "duplicate metadata",
        115 => "transaction outcome unknown",
        ADDRESS_FULL => "address full",
        213 => "not implemented",
        214 => "queue has all the consumers it allows",
        215 => "routing type does not fit",
        216 => "invalid queue configuration",
        _ => "unnamed error",
    }
}

fn last(attempt: Option<&AttemptError>) -> String {
    match attempt {
        Some(attempt) => format!("; last attempt: {attempt}"),
        None => String::new(),
    }
}

fn list(failures: &[AttemptError]) -> String {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
