//! The ids of messages an address has received lately, to recognise those sent twice.

use std::collections::BTreeMap;

use bytes::Bytes;
use core_protocol::message::{Message, Value};

use crate::error::{EngineError, code};

/// The property that carries the id.
pub(crate) const DUPLICATE_ID: &str = "_AMQ_DUPL_ID";

/// Longest id: thousands are remembered per address, and a UUID has 36 bytes.
const MAX_ID_BYTES: usize = 1024;

/// The latest ids of one address, in the order of their messages.
#[derive(Debug, Default)]
pub(crate) struct DuplicateCache {
    /// By the id of the message; a message has one.
    order: BTreeMap<i64, Remembered>,
    messages: BTreeMap<Bytes, i64>,
}

#[derive(Debug)]
struct Remembered {
    id: Bytes,
    record: u64,
    recorded: u64,
}

/// Whose id it is, and where it is written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// The message; a later one has a higher id.
    pub(crate) message: i64,
    /// The number of its record in this term; 0 if it is in none of this term.
    pub(crate) record: u64,
    /// The place of the newest record that tells of the id; 0 if none does.
    pub(crate) place: u64,
}

impl DuplicateCache {
    /// The record of the message that had this id before.
    pub(crate) fn find(&self, id: &Bytes) -> Option<u64> {
        let message = self.messages.get(id)?;
        self.order.get(message).map(|remembered| remembered.record)
    }

    /// Remembers an id and forgets the oldest beyond `limit`.
    pub(crate) fn remember(&mut self, id: Bytes, source: Source, limit: usize) {
        if limit == 0 {
            return;
        }
        let Source {
            message,
            record,
            place,
        } = source;
        if let Some(known) = self
            .messages
            .get(&id)
            .and_then(|message| self.order.get_mut(message))
        {
            known.record = record;
            known.recorded = known.recorded.max(place);
            return;
        }
        self.messages.insert(id.clone(), message);
        let remembered = Remembered {
            id,
            record,
            recorded: place,
        };
        if let Some(replaced) = self.order.insert(message, remembered) {
            self.messages.remove(&replaced.id);
        }
        while self.order.len() > limit {
            if let Some((_, oldest)) = self.order.pop_first() {
                self.messages.remove(&oldest.id);
            }
        }
    }

    /// The ids of this message and later ones; with each the place of the newest record that tells
    /// of it, 0 if none does.
    pub(crate) fn recorded_from(
        &mut self,
        message: i64,
    ) -> impl Iterator<Item = (i64, &Bytes, &mut u64)> {
        self.order
            .range_mut(message..)
            .map(|(message, entry)| (*message, &entry.id, &mut entry.recorded))
    }
}

/// The duplicate id of a message, in memory of its own.
pub(crate) fn duplicate_id(message: &Message) -> Result<Option<Bytes>, EngineError> {
    let id = match message.property(DUPLICATE_ID) {
        Some(Value::String(text)) => Bytes::from(text),
        Some(Value::Bytes(bytes)) => Bytes::copy_from_slice(&bytes),
        Some(
            Value::Null
            | Value::Bool(_)
            | Value::Byte(_)
            | Value::Short(_)
            | Value::Int(_)
            | Value::Long(_)
            | Value::Float(_)
            | Value::Double(_)
            | Value::Char(_),
        )
        | None => return Ok(None),
    };
    if id.len() > MAX_ID_BYTES {
        let message = format!(
            "property {DUPLICATE_ID} has {} bytes; at most {MAX_ID_BYTES} are accepted",
            id.len()
        );
        return Err(EngineError::new(code::ILLEGAL_STATE, message));
    }
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(message: i64, record: u64) -> Source {
        Source {
            message,
            record,
            place: record,
        }
    }

    /// The order is that of the messages, in whatever order their records are read.
    #[test]
    fn an_older_id_that_is_told_later_is_forgotten_first() {
        let mut cache = DuplicateCache::default();
        for (id, message) in [("c", 3), ("a", 1), ("b", 2)] {
            cache.remember(Bytes::from(id), source(message, 0), 2);
        }
        assert_eq!(cache.find(&Bytes::from("a")), None);
        assert_eq!(cache.find(&Bytes::from("b")), Some(0));
        assert_eq!(cache.find(&Bytes::from("c")), Some(0));
    }

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let mut cache = DuplicateCache::default();
        for (id, message) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            cache.remember(Bytes::from(id), source(message, 2), 2);
        }
        assert_eq!(cache.find(&Bytes::from("a")), None);
        assert_eq!(cache.find(&Bytes::from("b")), Some(2));
        assert_eq!(cache.find(&Bytes::from("c")), Some(2));
    }

    #[test]
    fn a_limit_of_none_remembers_nothing() {
        let mut cache = DuplicateCache::default();
        cache.remember(Bytes::from("a"), source(1, 1), 0);
        assert_eq!(cache.find(&Bytes::from("a")), None);
    }
}
