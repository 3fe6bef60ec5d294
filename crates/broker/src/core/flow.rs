//! What waits for one connection: counted where the engine gives it out, taken off where the connection takes it.
//!
//! Consumers may ask for deliveries without end, and their client need not read. So deliveries pause above a high
//! mark and go on below a low one. Answers are counted too: a client that leaves too many of them is not read.
//! Nothing is ever dropped here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use engine::{ConnectionKey, Effect, SessionKey};
use tokio::sync::mpsc;

/// Deliveries pause above this: twice what a socket's buffers take, so that a client that reads never waits.
const HIGH_BYTES: usize = 8 * 1024 * 1024;
/// Deliveries go on below this; enough to write from while the engine wakes up.
const LOW_BYTES: usize = 4 * 1024 * 1024;
/// What a delivery takes besides its message.
const DELIVERY_BYTES: usize = 256;
/// Answers waiting for a connection above which it takes no more requests. Asynchronous senders have some
/// thousands under way.
pub(super) const MAX_ANSWERS: usize = 16 * 1024;

/// Both ends' view of what waits.
#[derive(Debug, Default)]
struct Flow {
    deliveries_bytes: AtomicUsize,
    answers: AtomicUsize,
    paused: AtomicBool,
}

/// The engine's end: where the effects for one connection's sessions go.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    connection: ConnectionKey,
    sender: mpsc::UnboundedSender<(SessionKey, Effect)>,
    flow: Arc<Flow>,
}

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: mpsc::UnboundedReceiver<(SessionKey, Effect)>,
    flow: Arc<Flow>,
}

/// Both ends for one connection.
pub(crate) fn channel(connection: ConnectionKey) -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let flow = Arc::new(Flow::default());
    let outbox = Outbox {
        connection,
        sender,
        flow: Arc::clone(&flow),
    };
    (outbox, Inbox { receiver, flow })
}

impl Outbox {
    /// Whose it is.
    pub(crate) fn connection(&self) -> ConnectionKey {
        self.connection
    }

    /// Counts an effect that the engine gave out and that will be sent; `true` if deliveries must pause now.
    #[must_use]
    pub(crate) fn count(&self, effect: &Effect) -> bool {
        let flow = &self.flow;
        let Some(bytes) = delivery_bytes(effect) else {
            flow.answers.fetch_add(1, Ordering::SeqCst);
            return false;
        };
        let waiting = flow.deliveries_bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if waiting <= HIGH_BYTES || flow.paused.swap(true, Ordering::SeqCst) {
            return false;
        }
        // The connection may have taken everything before it could see the pause; then nobody else would end it.
        let caught_up = flow.deliveries_bytes.load(Ordering::SeqCst) <= LOW_BYTES;
        !(caught_up && flow.paused.swap(false, Ordering::SeqCst))
    }

    /// Sends a counted effect. A connection that has ended takes no more; the engine is told so by its own message.
    pub(crate) fn send(&self, session: SessionKey, effect: Effect) {
        let _ = self.sender.send((session, effect));
    }

    /// Whether deliveries are to pause as things are.
    pub(crate) fn is_paused(&self) -> bool {
        self.flow.paused.load(Ordering::SeqCst)
    }
}

impl Inbox {
    /// The next effect; none when the engine is gone.
    pub(crate) async fn recv(&mut self) -> Option<(SessionKey, Effect)> {
        let received = self.receiver.recv().await;
        if let Some((_, effect)) = &received {
            self.flow.taken(effect);
        }
        received
    }

    /// The next effect, if it is there.
    pub(crate) fn try_recv(&mut self) -> Option<(SessionKey, Effect)> {
        let received = self.receiver.try_recv().ok();
        if let Some((_, effect)) = &received {
            self.flow.taken(effect);
        }
        received
    }

    /// Answers that wait.
    pub(crate) fn answers(&self) -> usize {
        self.flow.answers.load(Ordering::SeqCst)
    }

    /// Whether a pause of deliveries is over: says so once, and the engine is to be told.
    pub(crate) fn pause_is_over(&self) -> bool {
        let flow = &self.flow;
        flow.paused.load(Ordering::SeqCst)
            && flow.deliveries_bytes.load(Ordering::SeqCst) <= LOW_BYTES
            && flow.paused.swap(false, Ordering::SeqCst)
    }
}

impl Flow {
    fn taken(&self, effect: &Effect) {
        match delivery_bytes(effect) {
            Some(bytes) => self.deliveries_bytes.fetch_sub(bytes, Ordering::SeqCst),
            None => self.answers.fetch_sub(1, Ordering::SeqCst),
        };
    }
}

fn delivery_bytes(effect: &Effect) -> Option<usize> {
    if let Effect::Deliver { message, .. } = effect {
        Some(message.encoded_len() + DELIVERY_BYTES)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_protocol::message::MessageBuilder;
    use engine::Reply;

    const SESSION: SessionKey = SessionKey(1);

    fn delivery(bytes: usize) -> Effect {
        let mut message = MessageBuilder::to("queue");
        message.body = vec![0; bytes].into();
        Effect::Deliver {
            session: SESSION,
            consumer: 1,
            message: message.build(),
            id: 1,
            delivery_count: 1,
            after: 0,
        }
    }

    fn give(outbox: &Outbox, effect: Effect) -> bool {
        let pause = outbox.count(&effect);
        outbox.send(SESSION, effect);
        pause
    }

    #[test]
    fn deliveries_pause_above_the_high_mark_and_go_on_below_the_low_one() {
        let (outbox, mut inbox) = channel(ConnectionKey(1));
        let mut given = 0;
        while !give(&outbox, delivery(1024 * 1024)) {
            given += 1;
            assert!(!inbox.pause_is_over());
            assert!(given < 100, "never paused");
        }
        assert_eq!(
            given, 7,
            "the eighth is above 8 MiB with what it takes itself"
        );
        assert!(outbox.is_paused());
        assert!(!give(&outbox, delivery(1)), "said once");
        for _ in 0..4 {
            assert!(inbox.try_recv().is_some());
            assert!(!inbox.pause_is_over(), "not below the low mark yet");
        }
        assert!(inbox.try_recv().is_some());
        assert!(inbox.pause_is_over());
        assert!(!inbox.pause_is_over(), "said once");
        assert!(!outbox.is_paused());
    }

    #[test]
    fn answers_are_counted_and_pause_nothing() {
        let (outbox, mut inbox) = channel(ConnectionKey(1));
        for token in 0..10 {
            let reply = Effect::Reply {
                session: SESSION,
                token,
                result: Ok(Reply::Done),
                after: 0,
            };
            assert!(!give(&outbox, reply));
        }
        assert_eq!(inbox.answers(), 10);
        while inbox.try_recv().is_some() {}
        assert_eq!(inbox.answers(), 0);
    }
}
