//! One queue: its messages in order, and who waits for them.
//!
//! ```text
//!   enter ──► ready ◄──► consumers' deliveries ──► settled
//!               ▲  scheduled (until their time)
//! ```
//! Entering, taking and coming back cost the logarithm of the queue's length; nothing here walks
//! through a queue, except to empty it.

use std::collections::{BTreeMap, BTreeSet};

use crate::filter::Filter;
use crate::ids::{ConnectionKey, ConsumerKey};
use crate::record::QueueRecord;
use crate::stored::{Position, Queued};

/// The place of a consumer in the line of those who can take a message: by priority, then in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// The consumer's priority with its sign turned, so that the highest comes first.
    pub(crate) rank: i64,
    pub(crate) number: u64,
    pub(crate) consumer: ConsumerKey,
}

/// A message that waits for its time.
#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) due_ms: u64,
    pub(crate) queued: Queued,
}

/// When a queue that is not durable ends, besides by being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Never.
    Permanent,
    /// With the connection that created it.
    Connection(ConnectionKey),
    /// With its last consumer, or with the connection that created it if it has none then.
    Consumers(ConnectionKey),
}

/// What happened to a queue since this term began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) added: u64,
    pub(crate) acknowledged: u64,
    pub(crate) expired: u64,
    pub(crate) killed: u64,
}

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) attributes: QueueRecord,
    pub(crate) durable: bool,
    pub(crate) lifetime: Lifetime,
    pub(crate) configuration_managed: bool,
    pub(crate) filter: Option<Filter>,
    pub(crate) ready: BTreeMap<Position, Queued>,
    pub(crate) scheduled: BTreeMap<Position, Scheduled>,
    /// Messages delivered or acknowledged in open transactions.
    pub(crate) delivering: usize,
    /// Consumers that take messages, in the order in which they came.
    pub(crate) consumers: Vec<ConsumerKey>,
    /// Those of them that have a filter.
    pub(crate) filtering: BTreeSet<ConsumerKey>,
    pub(crate) browsers: BTreeSet<ConsumerKey>,
    /// Consumers that could take a message now.
    pub(crate) waiting: BTreeSet<Turn>,
    /// Markers to be sent once everything deliverable is delivered.
    pub(crate) markers: Vec<(ConsumerKey, i64)>,
    /// Since when nobody uses it; absent while it is used or never was.
    pub(crate) unused_since_ms: Option<u64>,
    pub(crate) counters: Counters,
    next_turn: u64,
}

impl Queue {
    pub(crate) fn new(
        attributes: QueueRecord,
        filter: Option<Filter>,
        durable: bool,
        lifetime: Lifetime,
    ) -> Self {
        Self {
            attributes,
            durable,
            lifetime,
            configuration_managed: false,
            filter,
            ready: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            delivering: 0,
            consumers: Vec::new(),
            filtering: BTreeSet::new(),
            browsers: BTreeSet::new(),
            waiting: BTreeSet::new(),
            markers: Vec::new(),
            unused_since_ms: None,
            counters: Counters::default(),
            next_turn: 1,
        }
    }

    /// Messages it has: ready, scheduled and under way.
    pub(crate) fn message_count(&self) -> usize {
        self.ready.len() + self.scheduled.len() + self.delivering
    }

    /// Whether it goes away by itself; clients are told `temporary`.
    pub(crate) fn is_temporary(&self) -> bool {
        self.lifetime != Lifetime::Permanent
    }

    /// A place at the end of the line.
    pub(crate) fn next_turn(&mut self, consumer: ConsumerKey, priority: i32) -> Turn {
        let number = self.next_turn;
        self.next_turn += 1;
        Turn {
            rank: -i64::from(priority),
            number,
            consumer,
        }
    }

    /// Whether this consumer may take messages: of an exclusive queue only the first may.
    pub(crate) fn admits(&self, consumer: ConsumerKey) -> bool {
        !self.attributes.exclusive || self.consumers.first() == Some(&consumer)
    }
}
