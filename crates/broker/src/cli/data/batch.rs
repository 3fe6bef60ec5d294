//! Messages that go to the broker together: all of them get there, or none.

use std::collections::BTreeMap;

use core_client::{
    CallError, Client, MAX_MESSAGE_BYTES, Producer, SendError, Session, SessionMode,
};
use core_protocol::Message;

/// Messages of one transaction.
const BATCH_MESSAGES: usize = 1000;
/// Bytes of one transaction.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// A message of more bytes goes alone: a broker's transaction holds 64 MiB.
const ALONE_BYTES: usize = 32 * 1024 * 1024;
/// How often a batch is sent that the broker undid, because the connection was lost before its commit.
const ATTEMPTS: u32 = 5;
/// Open producers; a session has a bound for them.
const MAX_PRODUCERS: usize = 500;

/// Why a batch is not known to be in.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing of it is in.
    NothingIn(String),
    /// All of it is in, or nothing.
    Unknown(String),
}

/// The sessions of an import, and what it has collected.
pub(super) struct Batcher {
    transacted: Session,
    /// For what goes alone.
    direct: Session,
    producers: BTreeMap<(bool, String), Producer>,
    batch: Vec<Message>,
    bytes: usize,
}

impl Batcher {
    pub(super) async fn open(client: &Client) -> Result<Self, CallError> {
        Ok(Self {
            transacted: client.session(SessionMode::Transacted).await?,
            direct: client.session(SessionMode::AutoAcknowledge).await?,
            producers: BTreeMap::new(),
            batch: Vec::new(),
            bytes: 0,
        })
    }

    /// The session to make queues with, and to ask.
    pub(super) fn session(&self) -> &Session {
        &self.direct
    }

    /// Whether these messages, which belong together, still go into the batch.
    pub(super) fn has_room_for(&self, messages: &[Message]) -> bool {
        let bytes: usize = messages.iter().map(Message::encoded_len).sum();
        self.batch.is_empty()
            || (self.batch.len() + messages.len() <= BATCH_MESSAGES
                && self.bytes + bytes <= BATCH_BYTES)
    }

    pub(super) fn add(&mut self, messages: Vec<Message>) {
        self.bytes += messages.iter().map(Message::encoded_len).sum::<usize>();
        self.batch.extend(messages);
    }

    /// Sends the batch; when it returns, all of it is stored.
    pub(super) async fn flush(&mut self) -> Result<(), Failed> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        if let [message] = batch.as_slice()
            && message.encoded_len() > ALONE_BYTES
        {
            return self
                .send(message, false)
                .await
                .map_err(|error| failed_send(&error));
        }
        let mut attempt = 1;
        loop {
            match self.transaction(&batch).await {
                Ok(()) => return Ok(()),
                Err(Attempt::Undone) if attempt < ATTEMPTS => attempt += 1,
                Err(Attempt::Undone) => {
                    let why =
                        format!("the connection was lost {ATTEMPTS} times in one transaction");
                    return Err(Failed::NothingIn(why));
                }
                Err(Attempt::Failed(failed)) => return Err(failed),
            }
        }
    }

    async fn transaction(&mut self, batch: &[Message]) -> Result<(), Attempt> {
        for message in batch {
            match self.send(message, true).await {
                Ok(()) => {}
                Err(SendError::NotSent {
                    source: CallError::TransactionRolledBack,
                    ..
                }) => {
                    let undone = self.transacted.rollback().await;
                    undone.map_err(|error| Attempt::Failed(nothing_in(&error)))?;
                    return Err(Attempt::Undone);
                }
                // Until the commit is sent the broker keeps nothing.
                Err(error) => return Err(Attempt::Failed(nothing_in(&error))),
            }
        }
        self.transacted.commit().await.map_err(|error| match error {
            CallError::TransactionRolledBack => Attempt::Undone,
            CallError::OutcomeUnknown { .. } | CallError::Closed { .. } => {
                Attempt::Failed(Failed::Unknown(error.to_string()))
            }
            CallError::NotConnected { .. }
            | CallError::Refused(_)
            | CallError::StaleDelivery { .. }
            | CallError::ConsumerClosed { .. }
            | CallError::BadArgument { .. } => Attempt::Failed(nothing_in(&error)),
        })
    }

    /// Sends one message; in a transaction its commit tells whether it is stored.
    pub(super) async fn send(
        &mut self,
        message: &Message,
        transacted: bool,
    ) -> Result<(), SendError> {
        let address = message.address().unwrap_or_default().to_owned();
        let key = (transacted, address);
        if !self.producers.contains_key(&key) {
            if self.producers.len() >= MAX_PRODUCERS {
                self.producers.clear();
            }
            let session = if transacted {
                &self.transacted
            } else {
                &self.direct
            };
            let opened = session.producer(&key.1).await;
            let producer = opened.map_err(|source| SendError::NotSent {
                address: key.1.clone(),
                source,
            })?;
            self.producers.insert(key.clone(), producer);
        }
        let Some(producer) = self.producers.get(&key) else {
            unreachable!("it was put there above");
        };
        if message.encoded_len() > MAX_MESSAGE_BYTES {
            producer.send_in_pieces(message).await
        } else {
            producer.send(message).await
        }
    }
}

enum Attempt {
    /// The broker undid it; it may be tried again.
    Undone,
    Failed(Failed),
}

fn nothing_in(error: &impl ToString) -> Failed {
    Failed::NothingIn(error.to_string())
}

fn failed_send(error: &SendError) -> Failed {
    match error {
        SendError::OutcomeUnknown { .. } => Failed::Unknown(error.to_string()),
        SendError::Refused { .. }
        | SendError::AddressFull { .. }
        | SendError::TooLarge { .. }
        | SendError::NotSent { .. } => nothing_in(error),
    }
}
