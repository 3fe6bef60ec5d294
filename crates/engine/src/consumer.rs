//! One consumer: its credits, what it has not acknowledged, and where its filter has got to.
//!
//! A consumer without a filter takes whatever is first. One with a filter remembers how far it has
//! looked, so that each message is looked at once; messages that appear behind that point (they
//! came back, or have a higher priority) are looked at when they appear.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::filter::Filter;
use crate::ids::QueueId;
use crate::queue::Turn;
use crate::stored::{Position, Queued, Stored, Taken};

/// Bytes of a delivery besides the message: packet header, consumer id, delivery count.
const DELIVERY_OVERHEAD_BYTES: i64 = 13 + 8 + 4;

/// Matches remembered behind the cursor of a consumer that does not take them. Beyond, the
/// consumer starts to look from the beginning, which costs time instead of memory.
const MAX_FOUND: usize = 10_000;

/// How many bytes may be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credits {
    Bytes(i64),
    Unlimited,
}

impl Credits {
    /// What a client's grant makes of them.
    pub(crate) fn grant(self, credits: i32) -> Self {
        match (credits, self) {
            (-1, _) => Self::Unlimited,
            (0, _) => Self::Bytes(0),
            (_, Self::Unlimited) => Self::Unlimited,
            (_, Self::Bytes(available)) => {
                Self::Bytes(available.saturating_add(i64::from(credits)))
            }
        }
    }

    pub(crate) fn available(self) -> bool {
        match self {
            Self::Bytes(available) => available > 0,
            Self::Unlimited => true,
        }
    }

    /// After a delivery; may fall below zero.
    fn spend(self, stored: &Stored) -> Self {
        match self {
            Self::Bytes(available) => {
                let block = i64::try_from(stored.message.encoded_len()).unwrap_or(i64::MAX);
                let cost = block.saturating_add(DELIVERY_OVERHEAD_BYTES);
                Self::Bytes(available.saturating_sub(cost))
            }
            Self::Unlimited => Self::Unlimited,
        }
    }
}

/// How a consumer takes messages.
#[derive(Debug)]
pub(crate) enum Mode {
    /// Each message is acknowledged.
    Consume,
    /// Only looks at what was there when it began.
    Browse { end_id: i64 },
}

/// A consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) queue: QueueId,
    pub(crate) mode: Mode,
    pub(crate) priority: i32,
    pub(crate) filter: Option<Filter>,
    pub(crate) credits: Credits,
    /// Its place among those who can take a message, while it can.
    pub(crate) turn: Option<Turn>,
    deliveries: BTreeMap<u64, Taken>,
    delivery_numbers: BTreeMap<i64, u64>,
    next_delivery: u64,
    /// Everything up to here was looked at.
    cursor: Option<Position>,
    /// Matches at or before the cursor; some may be gone.
    found: BTreeSet<Position>,
}

/// What looking for a message brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    Found(Position),
    Nothing,
    /// The budget was used up before the end was reached.
    Unfinished,
}

impl Consumer {
    pub(crate) fn new(queue: QueueId, mode: Mode, priority: i32, filter: Option<Filter>) -> Self {
        Self {
            queue,
            mode,
            priority,
            filter,
            credits: Credits::Bytes(0),
            turn: None,
            deliveries: BTreeMap::new(),
            delivery_numbers: BTreeMap::new(),
            next_delivery: 1,
            cursor: None,
            found: BTreeSet::new(),
        }
    }

    pub(crate) fn is_browser(&self) -> bool {
        matches!(self.mode, Mode::Browse { .. })
    }

    /// Looks for the next message to take. Each message looked at costs one of `budget`.
    pub(crate) fn search(
        &mut self,
        ready: &BTreeMap<Position, Queued>,
        budget: &mut usize,
    ) -> Search {
        let Some(filter) = &self.filter else {
            return ready
                .first_key_value()
                .map_or(Search::Nothing, |(at, _)| Search::Found(*at));
        };
        while let Some(position) = self.found.first().copied() {
            if ready.contains_key(&position) {
                return Search::Found(position);
            }
            self.found.pop_first();
        }
        let start = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        for (position, queued) in ready.range((start, Bound::Unbounded)) {
            if *budget == 0 {
                return Search::Unfinished;
            }
            *budget -= 1;
            self.cursor = Some(*position);
            if filter.matches(&queued.stored.message) {
                // Remembered until it is really taken.
                self.found.insert(*position);
                return Search::Found(*position);
            }
        }
        Search::Nothing
    }

    /// Looks for the next message to show to a browser and moves on.
    pub(crate) fn browse(
        &mut self,
        ready: &BTreeMap<Position, Queued>,
        end_id: i64,
        budget: &mut usize,
    ) -> Search {
        let start = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        for (position, queued) in ready.range((start, Bound::Unbounded)) {
            if *budget == 0 {
                return Search::Unfinished;
            }
            *budget -= 1;
            self.cursor = Some(*position);
            let chosen = self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&queued.stored.message));
            if chosen && position.id() < end_id {
                return Search::Found(*position);
            }
        }
        Search::Nothing
    }

    /// Notices a message that entered the queue at a place already looked at.
    pub(crate) fn notice(&mut self, position: Position, stored: &Stored) {
        let Some(filter) = &self.filter else {
            return;
        };
        if self.cursor.is_none_or(|cursor| cursor < position) || !filter.matches(&stored.message) {
            return;
        }
        if self.found.len() >= MAX_FOUND {
            self.found.clear();
            self.cursor = None;
        } else {
            self.found.insert(position);
        }
    }

    /// Pays for a delivery.
    pub(crate) fn spend(&mut self, stored: &Stored) {
        self.credits = self.credits.spend(stored);
    }

    /// Remembers a delivery until it is settled.
    pub(crate) fn deliver(&mut self, taken: Taken) {
        self.found.remove(&taken.position);
        self.delivery_numbers
            .insert(taken.queued.stored.id, self.next_delivery);
        self.deliveries.insert(self.next_delivery, taken);
        self.next_delivery += 1;
    }

    /// Takes the delivery of this message out, or all up to it in the order of delivery. `None` if
    /// it was not delivered to this consumer, or is settled already.
    pub(crate) fn settle(&mut self, message_id: i64, individual: bool) -> Option<Vec<Taken>> {
        let number = *self.delivery_numbers.get(&message_id)?;
        let settled = if individual {
            self.deliveries.remove(&number).into_iter().collect()
        } else {
            let rest = self.deliveries.split_off(&(number + 1));
            std::mem::replace(&mut self.deliveries, rest)
                .into_values()
                .collect::<Vec<_>>()
        };
        for taken in &settled {
            self.delivery_numbers.remove(&taken.queued.stored.id);
        }
        Some(settled)
    }

    /// Takes all deliveries out, in their order.
    pub(crate) fn settle_all(&mut self) -> Vec<Taken> {
        self.delivery_numbers.clear();
        std::mem::take(&mut self.deliveries).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_follow_the_protocol() {
        let none = Credits::Bytes(0);
        assert!(!none.available());
        assert_eq!(none.grant(10).grant(5), Credits::Bytes(15));
        assert_eq!(Credits::Bytes(-3).grant(10), Credits::Bytes(7));
        assert_eq!(Credits::Bytes(7).grant(0), Credits::Bytes(0));
        assert_eq!(Credits::Bytes(7).grant(-1), Credits::Unlimited);
        assert_eq!(Credits::Unlimited.grant(5), Credits::Unlimited);
        assert_eq!(Credits::Unlimited.grant(0), Credits::Bytes(0));
        assert!(!Credits::Bytes(-1).available());
    }
}
