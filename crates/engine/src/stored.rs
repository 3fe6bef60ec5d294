//! A message as queues hold it.
//!
//! A message sent to several queues is stored once and shared. What differs from queue to queue
//! (position, delivery count) is beside it.

use std::sync::Arc;

use core_protocol::message::Message;

/// A message that was accepted.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) message: Message,
    /// When it expires; 0: never.
    pub(crate) expires_ms: u64,
    /// The number of the record it is in; 0 if it is in none of this term.
    pub(crate) record: u64,
}

impl Stored {
    pub(crate) fn new(id: i64, message: Message, record: u64) -> Self {
        let expires_ms = u64::try_from(message.expiration_ms()).unwrap_or_default();
        Self {
            id,
            message,
            expires_ms,
            record,
        }
    }

    /// Where it stands in every queue that has it.
    pub(crate) fn position(&self) -> Position {
        Position::new(self.message.priority(), self.id)
    }

    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms != 0 && self.expires_ms <= now_ms
    }
}

/// Where a message stands in its queue: higher priorities first, then in the order of arrival, which
/// is the order of the ids.
///
/// A message keeps its position while it is delivered; if it comes back it stands where it stood. A
/// new term finds the same position from the message alone, in whatever order its record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// 0 for the highest priority.
    rank: u8,
    id: i64,
}

/// The highest priority a message can have.
const MAX_PRIORITY: u8 = 9;

impl Position {
    pub(crate) fn new(priority: u8, id: i64) -> Self {
        Self {
            rank: MAX_PRIORITY - priority.min(MAX_PRIORITY),
            id,
        }
    }

    /// The message's id.
    pub(crate) fn id(self) -> i64 {
        self.id
    }
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) stored: Arc<Stored>,
    /// How often it was delivered, the delivery under way included.
    pub(crate) count: u32,
    /// The count a record holds.
    pub(crate) persisted: u32,
}

impl Queued {
    pub(crate) fn new(stored: Arc<Stored>) -> Self {
        Self {
            stored,
            count: 0,
            persisted: 0,
        }
    }
}

/// A message on its way: taken from its queue, neither acknowledged nor given back.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) position: Position,
    pub(crate) queued: Queued,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_priorities_come_first_then_the_order_of_arrival() {
        let mut positions = [
            Position::new(0, 1),
            Position::new(4, 3),
            Position::new(4, 2),
            Position::new(9, 4),
            Position::new(200, 0),
        ];
        positions.sort();
        let order: Vec<i64> = positions.iter().map(|position| position.id()).collect();
        assert_eq!(order, [0, 4, 2, 3, 1]);
    }
}
