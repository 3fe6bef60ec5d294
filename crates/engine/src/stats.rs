//! Numbers for status pages and metrics.

use crate::config::RoutingType;
use crate::engine::Engine;

/// One queue as it is now. Counters count since this term began.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names say it, and are those of Artemis' management"
)]
pub struct QueueStats {
    pub name: String,
    pub address: String,
    pub routing_type: RoutingType,
    pub durable: bool,
    pub temporary: bool,
    pub message_count: usize,
    pub scheduled_count: usize,
    pub delivering_count: usize,
    pub consumer_count: usize,
    pub messages_added: u64,
    pub messages_acknowledged: u64,
    pub messages_expired: u64,
    pub messages_killed: u64,
}

/// The broker as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Addresses, with or without queues.
    pub address_count: usize,
    /// Open sessions.
    pub session_count: usize,
    /// Consumers and browsers of all sessions.
    pub consumer_count: usize,
    /// The queues in the order of their names.
    pub queues: Vec<QueueStats>,
}

impl Engine {
    /// The numbers of every queue.
    pub fn stats(&self) -> Stats {
        let queues = self
            .queue_names
            .values()
            .filter_map(|id| self.queues.get(id))
            .map(|queue| QueueStats {
                name: queue.attributes.name.clone(),
                address: queue.attributes.address.clone(),
                routing_type: queue.attributes.routing_type,
                durable: queue.durable,
                temporary: queue.is_temporary(),
                message_count: queue.message_count(),
                scheduled_count: queue.scheduled.len(),
                delivering_count: queue.delivering,
                consumer_count: queue.consumers.len(),
                messages_added: queue.counters.added,
                messages_acknowledged: queue.counters.acknowledged,
                messages_expired: queue.counters.expired,
                messages_killed: queue.counters.killed,
            })
            .collect();
        Stats {
            address_count: self.addresses.len(),
            session_count: self.sessions.len(),
            consumer_count: self.consumers.len(),
            queues,
        }
    }
}
