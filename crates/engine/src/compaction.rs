//! Saying again what is still true, so that old files of the journal can be deleted.
//!
//! The engine's part of the compaction described in `ledger`. The driver decides when, in which
//! slices, which files go, and when that is safe.

use std::ops::Bound;

use bytes::Bytes;

use crate::effect::Effects;
use crate::engine::Engine;
use crate::record::{DuplicatesRestated, RecordBody};

/// Messages or ids looked at in one slice: a millisecond of work.
const LOOKS: usize = 4096;

/// A compaction under way.
#[derive(Debug)]
pub(crate) struct Restating {
    /// Place of the mark.
    mark: u64,
    next: Next,
}

#[derive(Debug)]
enum Next {
    /// Messages from this id to that one, the newest there was at the mark: later ones stand behind it.
    Messages(i64, i64),
    /// Ids remembered for the addresses from this one on, of messages from this one on.
    Duplicates(String, i64),
}

impl Engine {
    /// Bytes of records that would say everything durable again, about. The driver compares it with
    /// what the journal takes.
    pub fn live_bytes(&self) -> u64 {
        self.ledger.live_bytes()
    }

    /// Begins to say everything again. The first record emitted is the mark, which the driver must
    /// make the first of a file; all of them must be appended in one go.
    pub fn begin_restating(&mut self, effects: &mut Effects) {
        self.emit(&RecordBody::Restating, effects);
        self.restating = Some(Restating {
            mark: self.ledger.place(),
            next: Next::Messages(i64::MIN, self.ledger.newest_message()),
        });
        for body in self.ledger.restate_resources() {
            self.emit(&body, effects);
        }
    }

    /// Says the next of what stands before the mark again, about `bytes` of it. Answers whether
    /// something may be left; a slice may find nothing and yet not be the last.
    pub fn restate(&mut self, bytes: usize, effects: &mut Effects) -> bool {
        let Some(Restating { mark, next }) = self.restating.take() else {
            return false;
        };
        let next = match next {
            Next::Messages(from, until) => {
                let ids = from..=until;
                let (bodies, next) = self.ledger.restate_messages(mark, ids, bytes, LOOKS);
                for body in bodies {
                    self.emit(&body, effects);
                }
                Some(match next {
                    Some(from) => Next::Messages(from, until),
                    None => Next::Duplicates(String::new(), i64::MIN),
                })
            }
            Next::Duplicates(address, from) => {
                self.restate_duplicates(mark, &address, from, bytes, effects)
            }
        };
        self.restating = next.map(|next| Restating { mark, next });
        self.restating.is_some()
    }

    /// Ends it, after [`Engine::restate`] has answered that nothing is left. Emits one record: once it
    /// has passed the gate, the files before the mark's may be deleted.
    pub fn end_restating(&mut self, effects: &mut Effects) {
        self.emit(&RecordBody::Restated, effects);
    }

    fn restate_duplicates(
        &mut self,
        mark: u64,
        address: &str,
        from: i64,
        mut bytes: usize,
        effects: &mut Effects,
    ) -> Option<Next> {
        let (found, cache) = self
            .duplicates
            .range_mut::<str, _>((Bound::Included(address), Bound::Unbounded))
            .next()?;
        // The address may have gone since the last slice: where to go on is another one's beginning.
        let from = if found == address { from } else { i64::MIN };
        let address = found.clone();
        // The next record's place, from which on these count as said.
        let place = self.ledger.place() + 1;
        let mut entries: Vec<(i64, Bytes)> = Vec::new();
        let mut next = None;
        for (looked, (message, id, recorded)) in cache.recorded_from(from).enumerate() {
            if looked == LOOKS || bytes == 0 {
                next = Some(message);
                break;
            }
            if *recorded != 0 && *recorded < mark {
                *recorded = place;
                bytes = bytes.saturating_sub(id.len() + 1);
                entries.push((message, id.clone()));
            }
        }
        if !entries.is_empty() {
            let address = address.clone();
            let body = RecordBody::DuplicatesRestated(DuplicatesRestated { address, entries });
            self.emit(&body, effects);
        }
        if let Some(from) = next {
            return Some(Next::Duplicates(address, from));
        }
        let after = (Bound::Excluded(address.as_str()), Bound::Unbounded);
        let following = self.duplicates.range::<str, _>(after).next()?;
        Some(Next::Duplicates(following.0.clone(), i64::MIN))
    }
}
