//! Makes messages: those of the broker itself, copies with other headers, those of our client.

use bytes::{Bytes, BytesMut};

use super::value::{Value, write_properties};
use super::{Message, MessageHead, kind};
use crate::wire::codecs::{Optional, Simple};
use crate::wire::{Codec, Counter, Sink};

/// The priority of a message that does not ask for another one.
const DEFAULT_PRIORITY: u8 = 4;

/// What a message is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageBuilder {
    /// 0 unless the block is to carry an id.
    pub id: i64,
    /// The body as its kind encodes it.
    pub body: Bytes,
    /// Where it is sent.
    pub address: Option<String>,
    /// The UUID behind `JMSMessageID`.
    pub user_id: Option<[u8; 16]>,
    /// One of [`kind`].
    pub kind: u8,
    /// Whether it must survive a restart.
    pub durable: bool,
    /// When it expires, in milliseconds since 1970; 0 for never.
    pub expiration_ms: i64,
    /// When it was sent, in milliseconds since 1970; 0 if not told.
    pub timestamp_ms: i64,
    /// 0 to 9.
    pub priority: u8,
    /// Names and values; a name should not occur twice.
    pub properties: Vec<(String, Value)>,
}

impl Default for MessageBuilder {
    /// A non-durable message of default kind and priority, with nothing in it.
    fn default() -> Self {
        Self {
            id: 0,
            body: Bytes::new(),
            address: None,
            user_id: None,
            kind: kind::DEFAULT,
            durable: false,
            expiration_ms: 0,
            timestamp_ms: 0,
            priority: DEFAULT_PRIORITY,
            properties: Vec::new(),
        }
    }
}

impl MessageBuilder {
    /// A default message to this address.
    pub fn to(address: impl Into<String>) -> Self {
        Self {
            address: Some(address.into()),
            ..Self::default()
        }
    }

    /// Sets a property, in the place of one with the same name or at the end.
    pub fn set_property(&mut self, name: &str, value: Value) {
        match self.properties.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.properties.push((name.to_owned(), value)),
        }
    }

    /// Takes every property of that name away.
    pub fn remove_property(&mut self, name: &str) {
        self.properties.retain(|(key, _)| key != name);
    }

    /// The message.
    ///
    /// A message beyond 2 GiB cannot be sent: keeping below is up to the caller, who bounds bodies far
    /// below that anyway.
    pub fn build(&self) -> Message {
        self.build_head().into_message(&self.body)
    }

    /// The message's head, for a body that is sent in pieces.
    pub fn build_head(&self) -> MessageHead {
        let mut bytes = BytesMut::new();
        self.write_headers(&mut bytes);
        write_properties(&self.properties, &mut bytes);
        MessageHead::from_builder(self, bytes.freeze())
    }

    /// Bytes of the head before its properties.
    pub(super) fn headers_len(&self) -> usize {
        let mut counter = Counter::default();
        self.write_headers(&mut counter);
        counter.bytes
    }

    fn write_headers<S: Sink>(&self, out: &mut S) {
        out.put_i64(self.id);
        Optional::<Simple>::write(&self.address, out);
        out.put_u8(u8::from(self.user_id.is_some()));
        if let Some(user_id) = &self.user_id {
            out.put(user_id);
        }
        out.put_u8(self.kind);
        // Unlike in packets, true is 0x01 in headers.
        out.put_u8(u8::from(self.durable));
        out.put_i64(self.expiration_ms);
        out.put_i64(self.timestamp_ms);
        out.put_u8(self.priority.min(9));
    }
}
