//! Producers: send messages to one address, within the credits the broker gives.

use std::sync::Arc;

use core_protocol::Message;
use tokio::time::Instant;

use crate::credits::NoCredits;
use crate::driver::command::Action;
use crate::error::{CallError, SendError};
use crate::handles::{ProducerHandle, SessionHandle};
use crate::shared::Note;

/// Largest message that is sent in one piece; larger ones are sent in pieces of this size, by
/// [`Producer::send_in_pieces`].
pub const MAX_MESSAGE_BYTES: usize = 100 * 1024;

/// Sends to one address. Sends may run concurrently: they leave in the order they were begun and
/// are confirmed one by one.
#[derive(Debug)]
pub struct Producer {
    handle: ProducerHandle,
    /// Keeps the session open.
    _session: Arc<SessionHandle>,
}

impl Producer {
    pub(crate) fn new(handle: ProducerHandle, session: Arc<SessionHandle>) -> Self {
        Self {
            handle,
            _session: session,
        }
    }

    /// The address it sends to.
    pub fn address(&self) -> &str {
        &self.handle.credits.address
    }

    /// Sends a message; `Ok` once the broker has confirmed that it is stored.
    ///
    /// In a transacted session `Ok` means only that it has left: the commit tells whether it is
    /// stored. Waits while the address is full and while the connection is being made again, both
    /// within the client's timeouts. Dropping the returned future leaves the outcome unknown.
    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let address = self.address();
        let size_bytes = message.encoded_len();
        if size_bytes > MAX_MESSAGE_BYTES {
            return Err(SendError::TooLarge {
                address: address.to_owned(),
                size_bytes,
                max_bytes: MAX_MESSAGE_BYTES,
            });
        }
        if message.address() != Some(address) {
            let source = CallError::BadArgument {
                what: "the message's address",
                value: message.address().unwrap_or("absent").to_owned(),
                rule: "it must be the producer's",
            };
            return Err(SendError::from_call(address, source));
        }
        self.take_credits(size_bytes).await?;
        let action = Action::Send {
            channel: self.handle.channel,
            producer_id: self.handle.id,
            message: message.clone(),
        };
        let sent = self.handle.shared.call(action).await;
        sent.map(|_| ())
            .map_err(|error| SendError::from_call(address, error))
    }

    /// Like [`Self::send`], for a message of any size: its body travels in pieces, and the broker sees
    /// a large message. Its properties are sent as they are: one that others are to read should have
    /// `_AMQ_LARGE_SIZE`.
    pub async fn send_in_pieces(&self, message: &Message) -> Result<(), SendError> {
        let address = self.address();
        self.take_credits(message.encoded_len()).await?;
        let action = Action::SendInPieces {
            channel: self.handle.channel,
            producer_id: self.handle.id,
            message: message.clone(),
        };
        let sent = self.handle.shared.call(action).await;
        sent.map(|_| ())
            .map_err(|error| SendError::from_call(address, error))
    }

    async fn take_credits(&self, size_bytes: usize) -> Result<(), SendError> {
        let shared = &self.handle.shared;
        let options = &shared.options;
        let wait = options.call_failover_timeout() + options.call_timeout();
        let cost = i64::try_from(size_bytes).unwrap_or(i64::MAX);
        let (channel, address) = (self.handle.channel, self.address());
        let ring = || {
            let address = address.to_owned();
            shared.note(Note::WantCredits { channel, address });
        };
        let taken = self
            .handle
            .credits
            .take(cost, Instant::now() + wait, ring)
            .await;
        let address = address.to_owned();
        taken.map_err(|error| match error {
            NoCredits::Refused => SendError::AddressFull {
                address,
                waited_ms: 0,
            },
            NoCredits::TimedOut => SendError::AddressFull {
                address,
                waited_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            },
            NoCredits::Ended(source) => SendError::NotSent { address, source },
        })
    }
}
