//! Messages a consumer was given and its application has not taken yet.
//!
//! The broker sends no more than the consumer's window, so an inbox is bounded by it; a broker
//! that overruns the window loses its connection. Each inbox has a delivery epoch: it rises
//! whenever earlier deliveries become void (connection lost, transaction rolled back), and only
//! deliveries of the current epoch may be acknowledged.

use std::collections::VecDeque;
use std::sync::Mutex;

use core_protocol::Message;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::CallError;
use crate::lock;

/// One delivered message as the application gets it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// The broker's id of the message.
    pub id: i64,
    /// How often it was delivered, this time included.
    pub delivery_count: i32,
    pub(crate) epoch: u64,
}

/// The queue between the driver and one consumer.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) window_bytes: u32,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    epoch: u64,
    messages: VecDeque<(Delivery, usize)>,
    buffered_bytes: usize,
    /// Taken by the application and not yet given back to the broker as credits.
    taken_bytes: usize,
    ended: Option<CallError>,
}

/// The broker sent far more than it was given credits for.
#[derive(Debug)]
pub(crate) struct Overrun {
    pub(crate) buffered_bytes: usize,
}

impl Inbox {
    pub(crate) fn new(window_bytes: u32) -> Self {
        Self {
            window_bytes,
            state: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Takes the next message, waiting until `deadline`; `ring` is called when the driver has
    /// credits to give back.
    pub(crate) async fn take(
        &self,
        deadline: Instant,
        ring: impl Fn(),
    ) -> Result<Option<Delivery>, CallError> {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            // Registered before the look inside, so that no message falls between the two.
            arrived.as_mut().enable();
            {
                let mut state = lock(&self.state);
                if let Some((delivery, bytes)) = state.messages.pop_front() {
                    state.buffered_bytes -= bytes;
                    let before = state.taken_bytes;
                    state.taken_bytes += bytes;
                    let half = self.window_bytes as usize / 2;
                    if before < half.max(1) && state.taken_bytes >= half {
                        ring();
                    }
                    if !state.messages.is_empty() {
                        self.arrived.notify_one();
                    }
                    return Ok(Some(delivery));
                }
                if let Some(error) = &state.ended {
                    return Err(error.clone());
                }
            }
            if timeout_at(deadline, arrived).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Puts an arrived message in; `packet_bytes` is what it cost in credits.
    pub(crate) fn put(
        &self,
        message: Message,
        id: i64,
        delivery_count: i32,
        packet_bytes: usize,
    ) -> Result<(), Overrun> {
        let mut state = lock(&self.state);
        // The last message within the window may exceed it by its own size; twice the window is
        // the slack for credits the broker counts differently.
        let allowed = 2 * self.window_bytes as usize + packet_bytes;
        if state.buffered_bytes + packet_bytes > allowed {
            return Err(Overrun {
                buffered_bytes: state.buffered_bytes + packet_bytes,
            });
        }
        let epoch = state.epoch;
        let delivery = Delivery {
            message,
            id,
            delivery_count,
            epoch,
        };
        state.messages.push_back((delivery, packet_bytes));
        state.buffered_bytes += packet_bytes;
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Credits to give back to the broker now.
    pub(crate) fn give_back(&self) -> Option<i32> {
        let mut state = lock(&self.state);
        let half = self.window_bytes as usize / 2;
        if state.taken_bytes == 0 || state.taken_bytes < half {
            return None;
        }
        let bytes = std::mem::take(&mut state.taken_bytes);
        Some(i32::try_from(bytes).unwrap_or(i32::MAX))
    }

    /// Earlier deliveries become void and the inbox empty; returns the credits they had used up.
    pub(crate) fn void(&self) -> i32 {
        let mut state = lock(&self.state);
        state.epoch += 1;
        state.messages.clear();
        let bytes = std::mem::take(&mut state.buffered_bytes);
        let bytes = bytes + std::mem::take(&mut state.taken_bytes);
        i32::try_from(bytes).unwrap_or(i32::MAX)
    }

    /// The delivery epoch of today.
    pub(crate) fn epoch(&self) -> u64 {
        lock(&self.state).epoch
    }

    /// Nothing arrives any more; what is buffered is void too, since it cannot be acknowledged.
    pub(crate) fn end(&self, error: CallError) {
        let mut state = lock(&self.state);
        state.epoch += 1;
        state.messages.clear();
        state.buffered_bytes = 0;
        state.ended.get_or_insert(error);
        drop(state);
        self.arrived.notify_waiters();
    }
}
