//! The parts of sessions, producers and consumers that the driver makes: each tells the driver
//! when it is dropped, wherever that happens, so that nothing stays open at the broker.

use std::sync::Arc;

use crate::credits::Credits;
use crate::inbox::Inbox;
use crate::shared::{Note, Shared};

#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) channel: i64,
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        let channel = self.channel;
        self.shared.note(Note::SessionDropped { channel });
    }
}

#[derive(Debug)]
pub(crate) struct ProducerHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) channel: i64,
    pub(crate) id: i32,
    pub(crate) credits: Arc<Credits>,
}

impl Drop for ProducerHandle {
    fn drop(&mut self) {
        let (channel, producer_id) = (self.channel, self.id);
        self.shared.note(Note::ProducerDropped {
            channel,
            producer_id,
        });
    }
}

#[derive(Debug)]
pub(crate) struct ConsumerHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) channel: i64,
    pub(crate) id: i64,
    pub(crate) inbox: Arc<Inbox>,
}

impl Drop for ConsumerHandle {
    fn drop(&mut self) {
        let (channel, consumer_id) = (self.channel, self.id);
        self.shared.note(Note::ConsumerDropped {
            channel,
            consumer_id,
        });
    }
}
