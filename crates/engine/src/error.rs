//! Refusals, with the numbers clients know.

use std::fmt;

/// A refusal that reaches a client: a number it understands and a text for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    /// One of the codes of the CORE protocol.
    pub code: i32,
    /// What is wrong, naming the object.
    pub message: String,
}

impl fmt::Display for EngineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (code {})", self.message, self.code)
    }
}

impl std::error::Error for EngineError {}

/// The codes the engine uses.
pub mod code {
    /// The queue does not exist.
    pub const QUEUE_DOES_NOT_EXIST: i32 = 100;
    /// The queue exists already.
    pub const QUEUE_EXISTS: i32 = 101;
    /// The object is closed: here, the session is unknown.
    pub const OBJECT_CLOSED: i32 = 102;
    /// The filter is no selector.
    pub const INVALID_FILTER: i32 = 103;
    /// The request does not fit the state of its object.
    pub const ILLEGAL_STATE: i32 = 104;
    /// The user may not do that.
    pub const SECURITY: i32 = 105;
    /// The address does not exist.
    pub const ADDRESS_DOES_NOT_EXIST: i32 = 106;
    /// The transaction can only be rolled back.
    pub const TRANSACTION_ROLLED_BACK: i32 = 111;
    /// A message with this duplicate id was sent before.
    pub const DUPLICATE_ID: i32 = 113;
    /// Another session has the same unique metadata.
    pub const DUPLICATE_METADATA: i32 = 114;
    /// A shared queue exists with another address or filter.
    pub const INVALID_TRANSIENT_QUEUE_USE: i32 = 118;
    /// There is no room.
    pub const ADDRESS_FULL: i32 = 210;
    /// This broker does not have that.
    pub const NOT_IMPLEMENTED: i32 = 213;
    /// The queue has as many consumers as it may have.
    pub const MAX_CONSUMERS: i32 = 214;
    /// The address does not support this routing type.
    pub const UNEXPECTED_ROUTING_TYPE: i32 = 215;
    /// The attributes of the queue contradict each other.
    pub const INVALID_QUEUE_CONFIGURATION: i32 = 216;
    /// The address cannot be deleted.
    pub const DELETE_ADDRESS: i32 = 217;
}

impl EngineError {
    /// A refusal.
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The queue does not exist.
    pub(crate) fn no_queue(name: &str) -> Self {
        Self::new(
            code::QUEUE_DOES_NOT_EXIST,
            format!("AMQ229017: queue {name} does not exist"),
        )
    }

    /// The session is not known, because it is closed or was never opened.
    pub(crate) fn no_session() -> Self {
        Self::new(code::OBJECT_CLOSED, "the session is closed")
    }
}
