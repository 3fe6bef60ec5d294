//! Queues and their messages, which outlive connections and may be shared by two brokers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use core_protocol::Message;
use tokio::sync::watch;

use super::number;

/// A message in a queue.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) message: Message,
    pub(crate) deliveries: i32,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) address: String,
    pub(crate) auto_created: bool,
    pub(crate) routing_type: i8,
    pub(crate) consumers: i32,
    pub(crate) messages: VecDeque<Stored>,
}

#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) addresses: BTreeMap<String, i8>,
    pub(crate) queues: BTreeMap<String, Queue>,
    last_id: i64,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) contents: Mutex<Contents>,
    changes: watch::Sender<u64>,
}

impl Store {
    /// A store with the durable queue `orders`.
    pub(crate) fn new() -> Arc<Self> {
        let mut contents = Contents::default();
        contents.addresses.insert("orders".to_owned(), 1);
        let orders = Queue {
            address: "orders".to_owned(),
            routing_type: 1,
            ..Queue::default()
        };
        contents.queues.insert("orders".to_owned(), orders);
        Arc::new(Self {
            contents: Mutex::new(contents),
            changes: watch::Sender::new(0),
        })
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Wakes every connection.
    pub(crate) fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn add(&self, message: &Message) {
        let mut contents = self.contents.lock().unwrap();
        contents.last_id += 1;
        let id = contents.last_id;
        let address = message.address().unwrap();
        for queue in contents
            .queues
            .values_mut()
            .filter(|queue| queue.address == address)
        {
            queue.messages.push_back(Stored {
                id,
                message: message.clone(),
                deliveries: 0,
            });
        }
        drop(contents);
        self.touch();
    }

    pub(crate) fn take(&self, queue: &str) -> Option<Stored> {
        let mut contents = self.contents.lock().unwrap();
        let mut stored = contents.queues.get_mut(queue)?.messages.pop_front()?;
        stored.deliveries += 1;
        Some(stored)
    }

    /// Puts messages back where they were.
    pub(crate) fn give_back(&self, queue: &str, messages: impl IntoIterator<Item = Stored>) {
        let mut contents = self.contents.lock().unwrap();
        if let Some(queue) = contents.queues.get_mut(queue) {
            queue.messages.extend(messages);
            queue
                .messages
                .make_contiguous()
                .sort_by_key(|stored| stored.id);
        }
        drop(contents);
        self.touch();
    }

    /// The numbers of the messages in a queue that are not being delivered.
    pub(crate) fn numbers(&self, queue: &str) -> Vec<usize> {
        let contents = self.contents.lock().unwrap();
        contents.queues[queue]
            .messages
            .iter()
            .map(|stored| number(&stored.message))
            .collect()
    }

    pub(crate) fn delete(&self, queue: &str) {
        self.contents.lock().unwrap().queues.remove(queue);
    }

    pub(crate) fn has(&self, queue: &str) -> bool {
        self.contents.lock().unwrap().queues.contains_key(queue)
    }
}
