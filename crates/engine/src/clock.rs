//! The wall clock, when it is set back.
//!
//! Dates that clients gave (expiration, scheduled delivery) follow the wall clock wherever it goes. Delays that the
//! broker began are lengths of time: they must not last longer because somebody corrected the clock. A clock set
//! forward only makes them end early.

use std::collections::BTreeSet;

use crate::engine::Engine;

impl Engine {
    /// Tells that the wall clock now shows `by_ms` less than the time that has passed says. Call
    /// [`Engine::next_timeout`] again after it.
    pub fn clock_set_back(&mut self, by_ms: u64) {
        let mut scheduled = BTreeSet::new();
        for (due_ms, id, position) in std::mem::take(&mut self.timers.scheduled) {
            let waiting = self
                .queues
                .get_mut(&id)
                .and_then(|queue| queue.scheduled.get_mut(&position));
            let mut due_ms = due_ms;
            // Only what was delivered before waits for a delay; else a client named the date.
            if let Some(waiting) = waiting
                && waiting.queued.count > 0
            {
                due_ms = due_ms.saturating_sub(by_ms);
                waiting.due_ms = due_ms;
            }
            scheduled.insert((due_ms, id, position));
        }
        self.timers.scheduled = scheduled;
        for queue in self.queues.values_mut() {
            queue.unused_since_ms = queue
                .unused_since_ms
                .map(|since_ms| since_ms.saturating_sub(by_ms));
        }
        let queues = std::mem::take(&mut self.timers.queue_deletes);
        self.timers.queue_deletes = queues
            .into_iter()
            .map(|(due_ms, id)| (due_ms.saturating_sub(by_ms), id))
            .collect();
        let addresses = std::mem::take(&mut self.timers.address_deletes);
        self.timers.address_deletes = addresses
            .into_iter()
            .map(|(due_ms, name)| (due_ms.saturating_sub(by_ms), name))
            .collect();
    }
}
