//! Headers and properties of a message, without its body.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::builder::MessageBuilder;
use super::value::{Properties, Value, skip_properties};
use super::{ID_BYTES, Message, assemble, detach};
use crate::DecodeError;
use crate::wire::codecs::{Optional, Simple};
use crate::wire::{Codec, Reader, Sink};

/// The greatest priority; the least is 0.
const MAX_PRIORITY: i8 = 9;

/// Headers and properties: how a large message begins, and a part of every other one.
#[derive(Clone)]
pub struct MessageHead {
    bytes: Bytes,
    fields: Arc<Fields>,
}

/// The header fields, and where the properties begin.
pub(super) struct Fields {
    id: i64,
    address: Option<String>,
    user_id: Option<[u8; 16]>,
    kind: u8,
    durable: bool,
    expiration_ms: i64,
    timestamp_ms: i64,
    priority: u8,
    properties_at: usize,
}

impl Fields {
    /// Reads headers and checks properties, to their last byte.
    pub(super) fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let start = reader.position();
        let fields = Self {
            id: reader.i64(field)?,
            address: Optional::<Simple>::read(reader, "message.address")?,
            user_id: if reader.bool("message.user_id")? {
                Some(reader.array("message.user_id")?)
            } else {
                None
            },
            kind: reader.u8("message.type")?,
            durable: reader.bool("message.durable")?,
            expiration_ms: reader.i64("message.expiration")?,
            timestamp_ms: reader.i64("message.timestamp")?,
            priority: reader
                .i8("message.priority")?
                .clamp(0, MAX_PRIORITY)
                .unsigned_abs(),
            properties_at: reader.position() - start,
        };
        skip_properties(reader)?;
        Ok(fields)
    }
}

impl MessageHead {
    /// Checks whole head bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let head = HeadBlock::read(&mut reader, "message")?;
        reader.finish("message")?;
        Ok(head)
    }

    pub(super) fn new(bytes: Bytes, fields: Fields) -> Self {
        Self {
            bytes,
            fields: Arc::new(fields),
        }
    }

    /// The head as it is on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Size of the head on the wire.
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    /// The message id: 0 as sent by a client.
    pub fn id(&self) -> i64 {
        self.fields.id
    }

    /// Where the message was sent.
    pub fn address(&self) -> Option<&str> {
        self.fields.address.as_deref()
    }

    /// The UUID behind `JMSMessageID`.
    pub fn user_id(&self) -> Option<[u8; 16]> {
        self.fields.user_id
    }

    /// One of [`super::kind`].
    pub fn kind(&self) -> u8 {
        self.fields.kind
    }

    /// Whether the message must survive a restart.
    pub fn durable(&self) -> bool {
        self.fields.durable
    }

    /// When the message expires, in milliseconds since 1970; 0 for never.
    pub fn expiration_ms(&self) -> i64 {
        self.fields.expiration_ms
    }

    /// When the message was sent, in milliseconds since 1970; 0 if not told.
    pub fn timestamp_ms(&self) -> i64 {
        self.fields.timestamp_ms
    }

    /// 0 to 9; what was sent outside of that is the nearer end.
    pub fn priority(&self) -> u8 {
        self.fields.priority
    }

    /// The properties in wire order, decoded one by one.
    pub fn properties(&self) -> Properties<'_> {
        Properties::new(&self.bytes, self.fields.properties_at)
    }

    /// The property of that name, without decoding the others.
    pub fn property(&self, name: &str) -> Option<Value> {
        self.properties().find_value(name)
    }

    /// The same head with another message id, for `SESS_RECEIVE_LARGE_MSG`.
    #[must_use]
    pub fn with_id(&self, id: i64) -> Self {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[..ID_BYTES].copy_from_slice(&id.to_be_bytes());
        let address = self.fields.address.clone();
        Self::new(
            bytes.freeze(),
            Fields {
                id,
                address,
                ..*self.fields
            },
        )
    }

    /// The same head with one property set, such as the size of a large body.
    #[must_use]
    pub fn with_property(&self, name: &str, value: Value) -> Self {
        let mut builder = self.to_builder();
        builder.set_property(name, value);
        builder.build_head()
    }

    /// The whole message, now that its body has come.
    pub fn into_message(self, body: &[u8]) -> Message {
        let block = assemble(body, &self.bytes).freeze();
        let bytes = block.slice(block.len() - self.bytes.len()..);
        Message {
            block,
            head: Self {
                bytes,
                fields: self.fields,
            },
        }
    }

    /// A builder with everything this head holds, and no body.
    pub fn to_builder(&self) -> MessageBuilder {
        MessageBuilder {
            id: self.id(),
            body: Bytes::new(),
            address: self.fields.address.clone(),
            user_id: self.user_id(),
            kind: self.kind(),
            durable: self.durable(),
            expiration_ms: self.expiration_ms(),
            timestamp_ms: self.timestamp_ms(),
            priority: self.priority(),
            properties: self.properties().collect(),
        }
    }

    pub(super) fn from_builder(builder: &MessageBuilder, bytes: Bytes) -> Self {
        let fields = Fields {
            id: builder.id,
            address: builder.address.clone(),
            user_id: builder.user_id,
            kind: builder.kind,
            durable: builder.durable,
            expiration_ms: builder.expiration_ms,
            timestamp_ms: builder.timestamp_ms,
            priority: builder.priority.min(MAX_PRIORITY.unsigned_abs()),
            properties_at: builder.headers_len(),
        };
        Self::new(bytes, fields)
    }
}

impl PartialEq for MessageHead {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for MessageHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MessageHead")
            .field("id", &self.id())
            .field("address", &self.address())
            .field("kind", &self.kind())
            .field("durable", &self.durable())
            .finish_non_exhaustive()
    }
}

/// A head inside a packet.
pub(crate) struct HeadBlock;

impl Codec<MessageHead> for HeadBlock {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<MessageHead, DecodeError> {
        let frame = reader.frame();
        let start = reader.position();
        let fields = Fields::read(reader, field)?;
        Ok(MessageHead::new(
            detach(frame.slice(start..reader.position())),
            fields,
        ))
    }

    fn write<S: Sink>(value: &MessageHead, out: &mut S) {
        out.put(&value.bytes);
    }
}
