//! A large message while its pieces arrive.
//!
//! The broker keeps the whole body as one message: clients accept a body of any size in one delivery. What is
//! assembled is bounded, since until the last piece nobody has said how much will come.

use bytes::BytesMut;
use core_protocol::message::{Message, MessageHead, Value};
use core_protocol::packet::SessSendContinuation;

/// Largest message assembled, with its headers: one journal record holds it, and the record is bounded.
const MAX_MESSAGE_BYTES: usize = 100 * 1024 * 1024;
/// The property by which clients learn the size of a large body, uncompressed.
const LARGE_SIZE: &str = "_AMQ_LARGE_SIZE";

/// A large message that is not complete.
#[derive(Debug)]
pub(crate) struct Upload {
    head: MessageHead,
    body: BytesMut,
}

/// What a piece leads to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More pieces follow.
    Unfinished(Upload),
    /// That was the last one.
    Whole(Box<Message>),
}

impl Upload {
    /// A message of which only headers and properties have come.
    pub(crate) fn begin(head: MessageHead) -> Self {
        Self {
            head,
            body: BytesMut::new(),
        }
    }

    /// Adds a piece. An error ends the upload; its text is for the client.
    pub(crate) fn continue_with(
        mut self,
        piece: &SessSendContinuation,
    ) -> Result<Progress, String> {
        let size = self.head.encoded_len() + self.body.len() + piece.body.len();
        if size > MAX_MESSAGE_BYTES {
            return Err(format!(
                "the large message is longer than {MAX_MESSAGE_BYTES} bytes, which is the most this broker takes"
            ));
        }
        self.body.extend_from_slice(&piece.body);
        let Some(whole_size) = piece.message_body_size else {
            return Ok(Progress::Unfinished(self));
        };
        let head = if whole_size < 0 {
            self.head
        } else {
            self.head.with_property(LARGE_SIZE, Value::Long(whole_size))
        };
        Ok(Progress::Whole(Box::new(head.into_message(&self.body))))
    }
}
