//! What a client reports about its connection, for progress displays and measurements.
//!
//! Events never slow the client down: a subscriber that lags is told how many it missed.

use std::time::Instant;

use tokio::sync::broadcast;

use crate::error::LossReason;
use crate::options::Endpoint;

/// Events kept for a slow subscriber. A failover makes two; this is a hundred failovers.
pub(crate) const EVENTS_KEPT: usize = 256;

/// A change of the client's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The connection was lost; the client begins to reconnect.
    Disconnected {
        /// The broker it was connected to.
        endpoint: Endpoint,
        /// When the loss was noticed.
        at: Instant,
        /// Why it was lost.
        reason: LossReason,
    },
    /// A connection stands again, with every session and consumer recreated on it.
    Connected {
        /// The broker it is connected to.
        endpoint: Endpoint,
        /// When it became usable.
        at: Instant,
        /// Endpoints that were tried since the loss, this one included.
        attempts: u32,
    },
    /// Every allowed round failed; the client is closed for good.
    GaveUp {
        /// When.
        at: Instant,
        /// Endpoints that were tried since the loss.
        attempts: u32,
        /// The last attempt's failure.
        reason: LossReason,
    },
    /// The subscriber was too slow for this many events.
    Missed {
        /// How many.
        count: u64,
    },
}

/// A subscription to a client's events, from the moment it was made.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self { receiver }
    }

    /// The next event; `None` when the client is gone and all its events were read.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Event::Missed { count }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
