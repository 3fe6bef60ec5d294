//! The codes that an EXCEPTION packet carries. Numbers only: texts belong to whoever refuses.

/// Something went wrong inside the broker.
pub const INTERNAL: i32 = 0;
/// The packet is not supported on this session.
pub const UNSUPPORTED_PACKET: i32 = 1;
/// A storage error.
pub const IO: i32 = 6;
/// The queue does not exist.
pub const QUEUE_DOES_NOT_EXIST: i32 = 100;
/// The queue exists already.
pub const QUEUE_EXISTS: i32 = 101;
/// The object was closed.
pub const OBJECT_CLOSED: i32 = 102;
/// The filter is not a valid selector.
pub const INVALID_FILTER: i32 = 103;
/// The request does not fit the state of its object.
pub const ILLEGAL_STATE: i32 = 104;
/// Wrong credentials or a missing permission.
pub const SECURITY: i32 = 105;
/// The address does not exist.
pub const ADDRESS_DOES_NOT_EXIST: i32 = 106;
/// The address exists already.
pub const ADDRESS_EXISTS: i32 = 107;
/// The client's version is not served.
pub const INCOMPATIBLE_VERSIONS: i32 = 108;
/// A large message's body could not be handled.
pub const LARGE_MESSAGE_BODY: i32 = 110;
/// The transaction was rolled back.
pub const TRANSACTION_ROLLED_BACK: i32 = 111;
/// The session was not created; the client asks again soon while it recreates its sessions.
pub const SESSION_CREATION_REJECTED: i32 = 112;
/// A duplicate id inside a transaction.
pub const DUPLICATE_ID: i32 = 113;
/// Another session has the same unique metadata.
pub const DUPLICATE_METADATA: i32 = 114;
/// It is not known whether the transaction was committed.
pub const TRANSACTION_OUTCOME_UNKNOWN: i32 = 115;
/// A shared queue exists with another address or filter.
pub const INVALID_TRANSIENT_QUEUE_USE: i32 = 118;
/// The address is full.
pub const ADDRESS_FULL: i32 = 210;
/// A large message was not sent to its end.
pub const LARGE_MESSAGE_INTERRUPTED: i32 = 211;
/// The operation is not implemented.
pub const NOT_IMPLEMENTED: i32 = 213;
/// The queue has its maximum of consumers.
pub const MAX_CONSUMERS: i32 = 214;
/// The address does not support the routing type.
pub const UNEXPECTED_ROUTING_TYPE: i32 = 215;
/// The settings of a queue contradict each other.
pub const INVALID_QUEUE_CONFIGURATION: i32 = 216;
/// The address could not be deleted.
pub const DELETE_ADDRESS: i32 = 217;
/// The broker is shutting down.
pub const SHUTDOWN: i32 = 219;
/// Anything else.
pub const GENERIC: i32 = 999;
