//! What will happen at some time: a table in the order of time, not tasks.

use std::collections::BTreeSet;

use crate::ids::QueueId;
use crate::queue::Queue;
use crate::stored::Position;

/// Everything that waits for a time, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Messages in queues expire.
    pub(crate) expiry: BTreeSet<(u64, QueueId, Position)>,
    /// Scheduled messages become deliverable.
    pub(crate) scheduled: BTreeSet<(u64, QueueId, Position)>,
    /// Unused queues are looked at; they may be in use again by then.
    pub(crate) queue_deletes: BTreeSet<(u64, QueueId)>,
    /// The same for addresses.
    pub(crate) address_deletes: BTreeSet<(u64, String)>,
}

impl Timers {
    /// The earliest time of all.
    pub(crate) fn next(&self) -> Option<u64> {
        [
            self.expiry.first().map(|entry| entry.0),
            self.scheduled.first().map(|entry| entry.0),
            self.queue_deletes.first().map(|entry| entry.0),
            self.address_deletes.first().map(|entry| entry.0),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Forgets the messages of a queue that is going to lose them all.
    pub(crate) fn forget_queue(&mut self, queue: &Queue) {
        let id = queue.attributes.queue;
        for (position, queued) in &queue.ready {
            self.expiry
                .remove(&(queued.stored.expires_ms, id, *position));
        }
        for (position, scheduled) in &queue.scheduled {
            self.expiry
                .remove(&(scheduled.queued.stored.expires_ms, id, *position));
            self.scheduled.remove(&(scheduled.due_ms, id, *position));
        }
    }
}

/// Takes the first entry if its time has come.
pub(crate) fn pop_due<T: Ord + Clone>(
    set: &mut BTreeSet<T>,
    now_ms: u64,
    time: impl Fn(&T) -> u64,
) -> Option<T> {
    if set.first().is_some_and(|first| time(first) <= now_ms) {
        set.pop_first()
    } else {
        None
    }
}
