//! What an export holds.

use bytes::Bytes;
use core_protocol::message::Value;

/// One part of an export, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An address that exists.
    Address(AddressBinding),
    /// A queue that exists.
    Queue(QueueBinding),
    /// A message and the queues that have it.
    Message(Box<Message>),
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressBinding {
    /// Its name.
    pub name: String,
    /// The number it has in the journal; only for people who read the file.
    pub id: i64,
    /// Whether it has anycast queues.
    pub anycast: bool,
    /// Whether it has multicast queues.
    pub multicast: bool,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueBinding {
    /// Its name, unique in the broker.
    pub name: String,
    /// The address it is bound to.
    pub address: String,
    /// Its selector.
    pub filter: Option<String>,
    /// Anycast or multicast.
    pub anycast: bool,
    /// The number it has in the journal; only for people who read the file.
    pub id: i64,
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its number in the journal: the order of arrival.
    pub id: i64,
    /// One of [`core_protocol::message::kind`].
    pub kind: u8,
    /// 0 to 9.
    pub priority: u8,
    /// In milliseconds since 1970; 0 for never.
    pub expiration_ms: i64,
    /// In milliseconds since 1970; 0 if not told.
    pub timestamp_ms: i64,
    /// The UUID behind `JMSMessageID`.
    pub user_id: Option<[u8; 16]>,
    /// Names and values.
    pub properties: Vec<(String, Value)>,
    /// The queues that have it, by name.
    pub queues: Vec<String>,
    /// The body as the protocol carries it.
    pub body: Bytes,
    /// Whether the file calls it a large one.
    pub is_large: bool,
}

/// What a reader takes at most, so that no file can take its memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one tag, with its attributes, or of one piece of a body.
    pub markup_bytes: usize,
    /// Bytes of one message's body.
    pub body_bytes: usize,
    /// Properties of one message, and queues of one message.
    pub entries: usize,
}

impl Default for Limits {
    /// 16 MiB of markup, 100 MiB of body (what a broker takes), 100 000 properties or queues.
    fn default() -> Self {
        Self {
            markup_bytes: 16 * 1024 * 1024,
            body_bytes: 100 * 1024 * 1024,
            entries: 100_000,
        }
    }
}
