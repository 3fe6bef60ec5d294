//! The ids of messages an address has received lately, to recognise those sent twice.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use core_protocol::message::{Message, Value};

use crate::error::{EngineError, code};

/// The property that carries the id.
pub(crate) const DUPLICATE_ID: &str = "_AMQ_DUPL_ID";

/// Longest id: thousands are remembered per address, and a UUID has 36 bytes.
const MAX_ID_BYTES: usize = 1024;

/// The latest ids of one address, each with the number of the record its message is in.
#[derive(Debug, Default)]
pub(crate) struct DuplicateCache {
    order: VecDeque<Bytes>,
    records: BTreeMap<Bytes, u64>,
}

impl DuplicateCache {
    /// The record of the message that had this id before.
    pub(crate) fn find(&self, id: &Bytes) -> Option<u64> {
        self.records.get(id).copied()
    }

    /// Remembers an id and forgets the oldest beyond `limit`.
    pub(crate) fn remember(&mut self, id: Bytes, record: u64, limit: usize) {
        if limit == 0 {
            return;
        }
        if self.records.insert(id.clone(), record).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > limit {
            if let Some(oldest) = self.order.pop_front() {
                self.records.remove(&oldest);
            }
        }
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

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let mut cache = DuplicateCache::default();
        for (id, record) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            cache.remember(Bytes::from(id), record, 2);
        }
        assert_eq!(cache.find(&Bytes::from("a")), None);
        assert_eq!(cache.find(&Bytes::from("b")), Some(2));
        assert_eq!(cache.find(&Bytes::from("c")), Some(4));
    }

    #[test]
    fn a_limit_of_none_remembers_nothing() {
        let mut cache = DuplicateCache::default();
        cache.remember(Bytes::from("a"), 1, 0);
        assert_eq!(cache.find(&Bytes::from("a")), None);
    }
}
