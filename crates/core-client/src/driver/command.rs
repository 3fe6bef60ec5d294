//! What handles ask the driver to do, and what it answers.

use core_protocol::Message;
use core_protocol::packet::{
    CreateAddress, CreateQueueV2, SessBindingQueryResponseV5, SessQueueQueryResponseV3,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::CallError;
use crate::handles::{ConsumerHandle, ProducerHandle, SessionHandle};
use crate::options::SessionMode;

pub(crate) type Reply = oneshot::Sender<Result<Answer, CallError>>;

/// One action, how long it may wait for a connection, and where its outcome goes.
///
/// Waiting is judged by the driver alone: an action whose caller was told "not sent" can then
/// never leave afterwards.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) action: Action,
    pub(crate) expires: Instant,
    pub(crate) reply: Reply,
}

#[derive(Debug)]
pub(crate) enum Action {
    OpenSession {
        mode: SessionMode,
    },
    CloseSession {
        channel: i64,
    },
    QueryQueue {
        channel: i64,
        queue: String,
    },
    QueryAddress {
        channel: i64,
        address: String,
    },
    CreateAddress {
        channel: i64,
        address: CreateAddress,
    },
    CreateQueue {
        channel: i64,
        queue: Box<CreateQueueV2>,
    },
    OpenProducer {
        channel: i64,
        address: String,
    },
    Send {
        channel: i64,
        producer_id: i32,
        message: Message,
    },
    /// Sends the head, then the body piece by piece.
    SendInPieces {
        channel: i64,
        producer_id: i32,
        message: Message,
    },
    OpenConsumer {
        channel: i64,
        queue: String,
        filter: Option<String>,
        window_bytes: u32,
    },
    CloseConsumer {
        channel: i64,
        consumer_id: i64,
    },
    Acknowledge {
        channel: i64,
        consumer_id: i64,
        message_id: i64,
        epoch: u64,
        individual: bool,
    },
    Commit {
        channel: i64,
    },
    Rollback {
        channel: i64,
    },
    /// Close every session, then end.
    Shutdown,
}

impl Action {
    /// The name of the packet that the action sends first, for errors.
    pub(crate) fn call(&self) -> &'static str {
        match self {
            Self::OpenSession { .. } => "CREATESESSION",
            Self::CloseSession { .. } | Self::Shutdown => "SESS_CLOSE",
            Self::QueryQueue { .. } => "SESS_QUEUEQUERY",
            Self::QueryAddress { .. } => "SESS_BINDINGQUERY",
            Self::CreateAddress { .. } => "CREATE_ADDRESS",
            Self::CreateQueue { .. } => "CREATE_QUEUE_V2",
            Self::OpenProducer { .. } => "CREATE_PRODUCER",
            Self::Send { .. } => "SESS_SEND",
            Self::SendInPieces { .. } => "SESS_SEND_LARGE",
            Self::OpenConsumer { .. } => "SESS_CREATECONSUMER",
            Self::CloseConsumer { .. } => "SESS_CONSUMER_CLOSE",
            Self::Acknowledge { .. } => "SESS_ACKNOWLEDGE",
            Self::Commit { .. } => "SESS_COMMIT",
            Self::Rollback { .. } => "SESS_ROLLBACK",
        }
    }
}

/// What a successful action yields.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Queue(Box<SessQueueQueryResponseV3>),
    Address(Box<SessBindingQueryResponseV5>),
    Session(SessionHandle),
    Producer(ProducerHandle),
    Consumer(ConsumerHandle),
}
