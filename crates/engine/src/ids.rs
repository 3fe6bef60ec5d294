//! The names by which the driver and the engine speak of connections, sessions, queues and
//! messages.
//!
//! Session and connection keys are chosen by the driver and mean nothing beyond one run. Queue and
//! message ids are chosen here and stay valid for the life of the broker's data; they are never
//! handed out twice, not even by two terms of a pair, because the epoch is part of them.

use std::fmt;

/// One session, as the driver names it. Never used twice while the engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

/// One client connection (a TCP connection), as the driver names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey(pub u64);

/// One queue; stays with the queue across restarts and failovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub i64);

impl fmt::Display for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl fmt::Display for ConnectionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// One consumer: its session and the id the client gave it within that session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConsumerKey {
    pub(crate) session: SessionKey,
    pub(crate) consumer: i64,
}

/// Bits of an id that count within one epoch.
///
/// 40 bits are 10^12 ids per term: a hundred thousand messages a second for four months. 23 bits
/// remain for the epoch (8 million terms) and one for the sign, which stays clear.
const COUNTER_BITS: u32 = 40;

/// The highest epoch whose ids still fit beside the counter.
pub(crate) const MAX_EPOCH: u64 = (1 << (63 - COUNTER_BITS)) - 1;

/// Hands out ids of messages and queues.
#[derive(Debug)]
pub(crate) struct IdSource {
    next: i64,
}

impl IdSource {
    /// Ids of one term. An epoch above [`MAX_EPOCH`] is refused by the caller.
    pub(crate) fn new(epoch: u64) -> Self {
        let epoch = i64::try_from(epoch.min(MAX_EPOCH)).unwrap_or_default();
        Self {
            next: (epoch << COUNTER_BITS) + 1,
        }
    }

    /// Goes on with the ids of a later term.
    pub(crate) fn enter_epoch(&mut self, epoch: u64) {
        self.next = self.next.max(Self::new(epoch).next);
    }

    /// The next id.
    pub(crate) fn next(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// What the next id will be: everything there is has a lower one.
    pub(crate) fn end(&self) -> i64 {
        self.next
    }

    /// Makes sure that `id`, found in a record, is not handed out again.
    ///
    /// Ids of earlier epochs are lower anyway; this matters where a term replays its own records.
    pub(crate) fn skip(&mut self, id: i64) {
        self.next = self.next.max(id.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_enters_a_later_epoch_goes_on_with_its_ids_and_never_back() {
        let mut source = IdSource::new(3);
        source.next();
        source.enter_epoch(5);
        assert_eq!(source.next(), (5 << 40) + 1);
        source.enter_epoch(4);
        assert_eq!(source.next(), (5 << 40) + 2);
    }

    #[test]
    fn ids_of_a_later_epoch_are_higher() {
        let mut first = IdSource::new(3);
        let mut second = IdSource::new(4);
        assert_eq!(first.next(), (3 << 40) + 1);
        assert_eq!(first.next(), (3 << 40) + 2);
        assert!(second.next() > first.next());
        second.skip((4 << 40) + 77);
        assert_eq!(second.next(), (4 << 40) + 78);
        second.skip(1);
        assert_eq!(second.next(), (4 << 40) + 79);
    }

    #[test]
    fn the_highest_epoch_stays_positive() {
        assert!(IdSource::new(u64::MAX).next() > 0);
    }
}
