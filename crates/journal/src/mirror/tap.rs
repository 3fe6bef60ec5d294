//! The batches written last, for whoever ships them: what is not here any more is in the files.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Piece;
use crate::names::SegmentName;

/// Bytes of batches that are kept in memory for a shipper that is a little behind.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// Where a term's writer leaves each batch before it writes it itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// So many want batches; read by the writer for each.
    open: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// Grows with everything that a shipper may wait for.
    changes: u64,
}

#[derive(Clone, Debug)]
struct Batch {
    /// Where the batch before it ended; nothing before the first of the term.
    after: Option<(SegmentName, u64)>,
    piece: Piece,
}

impl Tap {
    /// Whether batches are wanted.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.open.load(Ordering::Acquire) > 0
    }

    /// Wants batches from now on.
    pub(super) fn open(&self) {
        self.shared.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Wants no more; what is there is dropped with the last one who did.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if self.shared.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        state.batches.clear();
        state.bytes = 0;
    }

    /// Takes a batch that is about to be written.
    pub(crate) fn put(&self, after: Option<(SegmentName, u64)>, piece: Piece) {
        let mut state = self.lock();
        state.bytes += piece.bytes.len();
        state.batches.push_back(Batch { after, piece });
        while state.bytes > KEPT_BYTES && state.batches.len() > 1 {
            if let Some(dropped) = state.batches.pop_front() {
                state.bytes -= dropped.piece.bytes.len();
            }
        }
        state.changes += 1;
        self.shared.changed.notify_all();
    }

    /// Something else has changed that a shipper may wait for.
    pub(crate) fn nudge(&self) {
        if self.is_open() {
            self.lock().changes += 1;
            self.shared.changed.notify_all();
        }
    }

    /// The batch that follows this place, if it is here.
    pub(super) fn following(&self, place: Option<(SegmentName, u64)>) -> Option<Piece> {
        let mut state = self.lock();
        let at = state
            .batches
            .iter()
            .position(|batch| batch.after == place)?;
        // What was passed is in the files.
        for passed in state.batches.drain(..at).collect::<Vec<_>>() {
            state.bytes -= passed.piece.bytes.len();
        }
        state.batches.front().map(|batch| batch.piece.clone())
    }

    /// How much has changed so far.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Waits until more has changed than `seen`, at most for so long.
    pub(super) fn wait(&self, seen: u64, limit: Duration) {
        let state = self.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |state| state.changes == seen);
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies a batch for those who ship it.
pub(crate) fn piece(file: SegmentName, at_byte: u64, bytes: &[u8]) -> Piece {
    Piece {
        file,
        at_byte,
        bytes: Bytes::copy_from_slice(bytes),
    }
}
