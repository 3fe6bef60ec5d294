//! Producers: credits, messages whole and in pieces.

use bytes::Bytes;

use crate::DecodeError;
use crate::message::{HeadBlock, Message, MessageBlock, MessageHead};
use crate::wire::codecs::{Bool, Int, Long, Optional, Raw, Simple};
use crate::wire::{Codec, Reader, Sink, Wire, wire_struct};

/// requiresResponse, correlation, sender id.
const SEND_TAIL_BYTES: usize = 1 + 8 + 4;

wire_struct! {
    /// `CREATE_PRODUCER`.
    pub struct CreateProducer {
        /// Chosen by the client, unique in its session.
        pub producer_id: i32 as Int,
        /// The address; absent for a producer that names it in each message.
        pub address: Option<String> as Optional<Simple>,
    }

    /// `REMOVE_PRODUCER`.
    pub struct RemoveProducer {
        /// The producer.
        pub producer_id: i32 as Int,
    }

    /// `SESS_PRODUCER_REQUEST_CREDITS`: the client wants to send more.
    pub struct SessProducerRequestCredits {
        /// Bytes.
        pub credits: i32 as Int,
        /// The address.
        pub address: String as Simple,
    }

    /// `SESS_PRODUCER_CREDITS`: it may; the amount must be the one requested.
    pub struct SessProducerCredits {
        /// Bytes.
        pub credits: i32 as Int,
        /// The address, in the words of the request.
        pub address: String as Simple,
    }

    /// `SESS_PRODUCER_FAIL_CREDITS`: the address is full and says so.
    pub struct SessProducerFailCredits {
        /// Bytes.
        pub credits: i32 as Int,
        /// The address, in the words of the request.
        pub address: String as Simple,
    }

    /// What a send asks for besides its message.
    pub struct SendTail {
        /// Whether an answer is awaited.
        pub requires_response: bool as Bool,
        /// To be repeated in the answer.
        pub correlation: i64 as Long,
        /// The producer; may be unknown after a failover.
        pub sender_id: i32 as Int,
    }

    /// `SESS_SEND_LARGE`: the start of a message whose body follows in pieces.
    pub struct SessSendLarge {
        /// Headers and properties.
        pub head: MessageHead as HeadBlock,
    }
}

/// `SESS_SEND`: a message.
#[derive(Debug, Clone, PartialEq)]
pub struct SessSend {
    /// The message as the client encoded it.
    pub message: Message,
    /// What the client asks for besides.
    pub tail: SendTail,
}

impl Wire for SessSend {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // The tail has a place of its own at the end of the frame, whatever the message holds.
        let block = reader.remaining().saturating_sub(SEND_TAIL_BYTES);
        let message = reader.within(block, "SessSend.message", |reader| {
            MessageBlock::read(reader, "SessSend.message")
        })?;
        Ok(Self {
            message,
            tail: SendTail::read(reader)?,
        })
    }

    fn write<S: Sink>(&self, out: &mut S) {
        MessageBlock::write(&self.message, out);
        self.tail.write(out);
    }
}

/// `SESS_SEND_CONTINUATION`: a piece of a large message's body.
#[derive(Debug, Clone, PartialEq)]
pub struct SessSendContinuation {
    /// The piece; shares the memory of the frame it came in.
    pub body: Bytes,
    /// Absent while more pieces follow; with the last one the size of the body before compression, or -1.
    pub message_body_size: Option<i64>,
    /// What the client asks for with the last piece.
    pub tail: SendTail,
}

impl SessSendContinuation {
    /// Whether more pieces follow.
    pub fn continues(&self) -> bool {
        self.message_body_size.is_none()
    }
}

impl Wire for SessSendContinuation {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let body = Raw::read(reader, "SessSendContinuation.body")?;
        let continues = reader.bool("SessSendContinuation.continues")?;
        let message_body_size = if continues {
            None
        } else {
            Some(reader.i64("SessSendContinuation.message_body_size")?)
        };
        Ok(Self {
            body,
            message_body_size,
            tail: SendTail::read(reader)?,
        })
    }

    fn write<S: Sink>(&self, out: &mut S) {
        Raw::write(&self.body, out);
        out.put_bool(self.continues());
        if let Some(size) = self.message_body_size {
            out.put_i64(size);
        }
        self.tail.write(out);
    }
}
