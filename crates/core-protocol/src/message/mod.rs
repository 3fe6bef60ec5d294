//! Messages: an encoded block that is carried, stored and delivered as its sender wrote it.
//!
//! ```text
//! int32 endOfBody      body length + 13
//! …     body
//! int64 messageID    ┐
//! …     headers      ├ the head: all there is of a large message until its body has come
//! …     properties   ┘
//! ```
//!
//! A block is checked once, when it comes in; the header fields are kept, properties are decoded when
//! asked for. Nothing here changes a block: a changed message is a new one, made by a builder.

mod builder;
mod head;
mod value;

use std::fmt;

use bytes::{Bytes, BytesMut};

pub use builder::MessageBuilder;
pub(crate) use head::HeadBlock;
pub use head::MessageHead;
pub use value::{Properties, Value};

use crate::wire::{Codec, Reader, Sink, length, text};
use crate::{DecodeError, HEADER_BYTES};

/// Blocks shorter than this are copied out of the buffer they came in, so that a small message in a
/// queue does not keep a whole receive buffer alive. A longer one shares it: with receive buffers of
/// up to 64 KiB it pins at most twice its own size.
pub const COPY_BELOW_BYTES: usize = 32 * 1024;

/// Message id within the head.
const ID_BYTES: usize = 8;

/// The type byte: which JMS interface a client shows the message as.
pub mod kind {
    /// A message without a body, or with a body of unknown form.
    pub const DEFAULT: u8 = 0;
    /// A serialized Java object.
    pub const OBJECT: u8 = 2;
    /// Text.
    pub const TEXT: u8 = 3;
    /// Bytes.
    pub const BYTES: u8 = 4;
    /// Named values.
    pub const MAP: u8 = 5;
    /// A sequence of values.
    pub const STREAM: u8 = 6;
}

/// An encoded message: immutable, valid, cheap to clone.
#[derive(Clone)]
pub struct Message {
    block: Bytes,
    head: MessageHead,
}

impl Message {
    /// Checks a whole block, such as one read back from a journal.
    pub fn decode(block: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(block);
        let message = Self::read(&mut reader, "message")?;
        reader.finish("message")?;
        Ok(message)
    }

    /// The block, from `endOfBody` to the last property.
    pub fn block(&self) -> &Bytes {
        &self.block
    }

    /// Size of the block: what a message costs a producer in credits.
    pub fn encoded_len(&self) -> usize {
        self.block.len()
    }

    /// The body, sharing the block's memory.
    pub fn body(&self) -> Bytes {
        self.block.slice(4..self.head_at())
    }

    /// Bytes of the body.
    pub fn body_len(&self) -> usize {
        self.head_at() - 4
    }

    /// Headers and properties without the body, sharing the block's memory.
    pub fn head(&self) -> &MessageHead {
        &self.head
    }

    /// The id in the block: 0 as sent by a client, otherwise the one to acknowledge.
    pub fn id(&self) -> i64 {
        self.head.id()
    }

    /// Where it was sent.
    pub fn address(&self) -> Option<&str> {
        self.head.address()
    }

    /// The UUID behind `JMSMessageID`.
    pub fn user_id(&self) -> Option<[u8; 16]> {
        self.head.user_id()
    }

    /// One of [`kind`].
    pub fn kind(&self) -> u8 {
        self.head.kind()
    }

    /// Whether it must survive a restart.
    pub fn durable(&self) -> bool {
        self.head.durable()
    }

    /// When it expires, in milliseconds since 1970; 0 for never.
    pub fn expiration_ms(&self) -> i64 {
        self.head.expiration_ms()
    }

    /// When it was sent, in milliseconds since 1970; 0 if not told.
    pub fn timestamp_ms(&self) -> i64 {
        self.head.timestamp_ms()
    }

    /// 0 to 9; what was sent outside of that is the nearer end.
    pub fn priority(&self) -> u8 {
        self.head.priority()
    }

    /// The properties in wire order, decoded one by one.
    pub fn properties(&self) -> Properties<'_> {
        self.head.properties()
    }

    /// The property of that name, without decoding the others.
    pub fn property(&self, name: &str) -> Option<Value> {
        self.head.property(name)
    }

    /// The body as the text of a JMS text message or of a management call; absent if it is the null
    /// text or has another form. Unpaired surrogates are replaced.
    pub fn text(&self) -> Option<String> {
        let body = self.body();
        let mut reader = Reader::new(&body);
        if !reader.bool("text").ok()? {
            return None;
        }
        let units = text::read_simple_raw(&mut reader, "text").ok()?;
        Some(text::lossy(units))
    }

    /// Appends the block with another message id: the one copy that a delivery makes.
    pub fn encode_with_id(&self, id: i64, out: &mut BytesMut) {
        let id_at = self.head_at();
        out.put(&self.block[..id_at]);
        out.put_i64(id);
        out.put(&self.block[id_at + ID_BYTES..]);
    }

    /// A builder with everything this message holds.
    pub fn to_builder(&self) -> MessageBuilder {
        MessageBuilder {
            body: self.body(),
            ..self.head.to_builder()
        }
    }

    fn head_at(&self) -> usize {
        self.block.len() - self.head.encoded_len()
    }

    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let frame = reader.frame();
        let start = reader.position();
        let end_of_body = reader.i32(field)?;
        let body_bytes = usize::try_from(end_of_body)
            .ok()
            .and_then(|end| end.checked_sub(HEADER_BYTES))
            .ok_or_else(|| DecodeError::InvalidLength {
                field,
                length: i64::from(end_of_body),
            })?;
        reader.take(body_bytes, field)?;
        let head_at = reader.position() - start;
        let fields = head::Fields::read(reader, field)?;
        let block = detach(frame.slice(start..reader.position()));
        let head = MessageHead::new(block.slice(head_at..), fields);
        Ok(Self { block, head })
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.block == other.block
    }
}

impl fmt::Debug for Message {
    /// Shows what the message is, not what it says.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("id", &self.id())
            .field("address", &self.address())
            .field("kind", &self.kind())
            .field("durable", &self.durable())
            .field("priority", &self.priority())
            .field("body_bytes", &self.body_len())
            .finish_non_exhaustive()
    }
}

/// The body of a text message: a text that may be null, and is not.
pub fn text_body(text: &str) -> Bytes {
    let mut body = BytesMut::with_capacity(1 + 4 + 2 * text.len());
    body.put_u8(1);
    text::write_simple(text, &mut body);
    body.freeze()
}

/// The body of a text message whose text is null.
pub fn null_text_body() -> Bytes {
    Bytes::from_static(&[0])
}

/// A message inside a packet.
pub(crate) struct MessageBlock;

impl Codec<Message> for MessageBlock {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Message, DecodeError> {
        Message::read(reader, field)
    }

    fn write<S: Sink>(value: &Message, out: &mut S) {
        out.put(&value.block);
    }
}

fn detach(shared: Bytes) -> Bytes {
    if shared.len() < COPY_BELOW_BYTES {
        Bytes::copy_from_slice(&shared)
    } else {
        shared
    }
}

/// Puts a body before a head.
fn assemble(body: &[u8], head: &[u8]) -> BytesMut {
    let mut block = BytesMut::with_capacity(4 + body.len() + head.len());
    block.put_i32(length(body.len() + HEADER_BYTES));
    block.put(body);
    block.put(head);
    block
}
