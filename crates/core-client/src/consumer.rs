//! Consumers: receive the messages of one queue and acknowledge them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::command::Action;
use crate::error::CallError;
use crate::handles::{ConsumerHandle, SessionHandle};
use crate::inbox::Delivery;
use crate::shared::Note;

/// The window of CORE clients: 1 MiB of messages in advance.
pub const DEFAULT_WINDOW_BYTES: u32 = 1024 * 1024;

/// Largest window: what one consumer may keep in memory, about twice over at worst.
pub const MAX_WINDOW_BYTES: u32 = 64 * 1024 * 1024;

/// Receives from one queue, on whichever broker of the pair is active.
#[derive(Debug)]
pub struct Consumer {
    handle: ConsumerHandle,
    /// Keeps the session open.
    _session: Arc<SessionHandle>,
}

impl Consumer {
    pub(crate) fn new(handle: ConsumerHandle, session: Arc<SessionHandle>) -> Self {
        Self {
            handle,
            _session: session,
        }
    }

    /// The next message, or `None` if none came in time.
    ///
    /// It goes on across a failover: messages that were not acknowledged come again, with a
    /// higher delivery count. It fails only when the consumer or the client has ended.
    pub async fn receive(&self, timeout: Duration) -> Result<Option<Delivery>, CallError> {
        let (channel, consumer_id) = (self.handle.channel, self.handle.id);
        let ring = || {
            self.handle.shared.note(Note::Flow {
                channel,
                consumer_id,
            });
        };
        self.handle.inbox.take(Instant::now() + timeout, ring).await
    }

    /// Acknowledges this delivery and every one before it on this consumer.
    ///
    /// Where acknowledgements stand for themselves, `Ok` means that the broker has confirmed it;
    /// where they are committed, that it has left. [`CallError::StaleDelivery`]: it was delivered
    /// on a lost connection or in an undone transaction and comes again.
    pub async fn acknowledge(&self, delivery: &Delivery) -> Result<(), CallError> {
        self.send_acknowledgement(delivery, false).await
    }

    /// Acknowledges this delivery alone.
    pub async fn acknowledge_individually(&self, delivery: &Delivery) -> Result<(), CallError> {
        self.send_acknowledgement(delivery, true).await
    }

    /// Closes the consumer at the broker; what was not acknowledged goes back to the queue.
    pub async fn close(self) -> Result<(), CallError> {
        let action = Action::CloseConsumer {
            channel: self.handle.channel,
            consumer_id: self.handle.id,
        };
        self.handle.shared.call(action).await.map(|_| ())
    }

    async fn send_acknowledgement(
        &self,
        delivery: &Delivery,
        individual: bool,
    ) -> Result<(), CallError> {
        let action = Action::Acknowledge {
            channel: self.handle.channel,
            consumer_id: self.handle.id,
            message_id: delivery.id,
            epoch: delivery.epoch,
            individual,
        };
        self.handle.shared.call(action).await.map(|_| ())
    }
}
