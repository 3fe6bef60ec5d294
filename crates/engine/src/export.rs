//! What the journal says, for those who carry it elsewhere.
//!
//! Between [`Engine::recover`] and serving; what is not durable is not in it, nor is anything of a
//! transaction that was not committed: that was never recorded.

use bytes::Bytes;

use crate::config::{RoutingType, RoutingTypes};
use crate::engine::Engine;

/// An address as it is recorded.
#[derive(Debug, Clone, Copy)]
pub struct RecordedAddress<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its queues may be.
    pub routing_types: RoutingTypes,
}

/// A durable queue as it is recorded.
#[derive(Debug, Clone, Copy)]
pub struct RecordedQueue<'a> {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: &'a str,
    /// The address it is bound to.
    pub address: &'a str,
    /// Anycast or multicast.
    pub routing_type: RoutingType,
    /// Its selector.
    pub filter: Option<&'a str>,
}

/// A message as it is recorded.
#[derive(Debug, Clone)]
pub struct RecordedMessage<'a> {
    /// Its number, which grows with the order of arrival.
    pub id: i64,
    /// The message, encoded.
    pub block: &'a Bytes,
    /// The names of the queues that have it.
    pub queues: Vec<&'a str>,
}

impl Engine {
    /// From now on takes records whose predecessors are missing, for a journal of which parts cannot
    /// be read. What a record needs and nobody has created is made up: an address as its queue needs it,
    /// a queue named `salvaged.` and its number. An engine that did this must never serve.
    pub fn tolerate_gaps(&mut self) {
        self.ledger.tolerate_gaps();
    }

    /// The addresses, by name.
    pub fn recorded_addresses(&self) -> impl Iterator<Item = RecordedAddress<'_>> {
        self.ledger
            .addresses
            .iter()
            .map(|(name, address)| RecordedAddress {
                name,
                routing_types: address.routing_types,
            })
    }

    /// The durable queues, in the order of their creation.
    pub fn recorded_queues(&self) -> impl Iterator<Item = RecordedQueue<'_>> {
        self.ledger.queues.values().map(|queue| {
            let attributes = &queue.attributes;
            RecordedQueue {
                id: attributes.queue.0,
                name: &attributes.name,
                address: &attributes.address,
                routing_type: attributes.routing_type,
                filter: attributes.filter.as_deref(),
            }
        })
    }

    /// The messages in the order of their arrival, which is that of every queue but for priorities.
    pub fn recorded_messages(&self) -> impl Iterator<Item = RecordedMessage<'_>> {
        self.ledger.messages.iter().map(|(id, entry)| {
            let queues = self.ledger.holders(*id, entry);
            let names = queues
                .iter()
                .filter_map(|holder| self.ledger.queues.get(&holder.queue));
            RecordedMessage {
                id: *id,
                block: &entry.block,
                queues: names.map(|queue| queue.attributes.name.as_str()).collect(),
            }
        })
    }
}
