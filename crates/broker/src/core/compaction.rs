//! Keeps the journal from growing for ever, beside the work of the engine's task.
//!
//! What is still true is said again in slices, one per sync of the journal, so that clients wait at
//! most for one slice more. Then the files before it are removed. Why that loses nothing and brings
//! nothing back is argued in the engine's ledger and in the journal's head; what this adds is *when*:
//! the files go only after the record that retires them has passed the gate (rule 8), as any answer
//! to a client. Before that a taker may still need them.

use std::sync::Arc;
use std::time::Instant;

use engine::{Effects, Engine};
use journal::{Record, Writer};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Bytes said again between two syncs: small beside what a disk takes in a millisecond.
const SLICE_BYTES: usize = 256 * 1024;
/// Segments that a journal always may have, however little of it is alive.
const MIN_SEGMENTS: u64 = 4;
/// How many times its living content a journal may take. What is written again is then at most half
/// of what clients write.
const MAX_FACTOR: u64 = 3;
/// Files from which on many small ones are reason enough: every takeover begins a new one.
const MANY_FILES: usize = 256;

/// A compaction under way, or none.
#[derive(Debug)]
pub(super) struct Compaction {
    state: State,
    began: Instant,
    /// Whether the removal under way, or done, ends a compaction of this term.
    has_compacted: bool,
    /// Bytes of the journal when this term's last one had ended.
    smallest_bytes: u64,
    /// Bytes the engine appended since the last slice.
    traffic_bytes: usize,
}

#[derive(Debug)]
enum State {
    Idle,
    /// The last slice ends with this record of the engine.
    Restating {
        until: u64,
    },
    /// This record of the engine retires the older files.
    Retiring {
        until: u64,
    },
    Removing(JoinHandle<()>),
}

impl Compaction {
    /// None yet. Retired files that an earlier term has left are removed: this one has passed its gate.
    pub(super) fn new(writer: &Arc<Writer>) -> Self {
        let writer = Arc::clone(writer);
        Self {
            state: State::Removing(tokio::task::spawn_blocking(move || remove(&writer))),
            began: Instant::now(),
            has_compacted: false,
            smallest_bytes: 0,
            traffic_bytes: 0,
        }
    }

    /// The engine has appended so many bytes on behalf of clients.
    pub(super) fn note_traffic(&mut self, bytes: usize) {
        self.traffic_bytes = self.traffic_bytes.saturating_add(bytes);
    }

    /// Begins one if the journal has become large. `appended` counts the engine's records.
    pub(super) fn consider(
        &mut self,
        engine: &mut Engine,
        writer: &Writer,
        appended: &mut u64,
    ) -> Result<(), String> {
        if let State::Removing(removing) = &self.state
            && removing.is_finished()
        {
            self.state = State::Idle;
            if std::mem::take(&mut self.has_compacted) {
                self.smallest_bytes = bytes_of(writer);
            }
        }
        if !matches!(self.state, State::Idle) || !self.is_due(engine, writer) {
            return Ok(());
        }
        self.began = Instant::now();
        let mut effects = Effects::new();
        engine.begin_restating(&mut effects);
        let records = records(effects, appended);
        writer
            .append_mark(records)
            .map_err(|error| error.to_string())?;
        self.state = State::Restating { until: *appended };
        Ok(())
    }

    /// Whether there is something to do now that so many of the engine's records have passed the gate.
    pub(super) fn is_ready(&self, released: u64) -> bool {
        match self.state {
            State::Idle | State::Removing(_) => false,
            State::Restating { until } | State::Retiring { until } => released >= until,
        }
    }

    /// Does the next step, when [`Compaction::is_ready`].
    pub(super) fn step(
        &mut self,
        engine: &mut Engine,
        writer: &Arc<Writer>,
        appended: &mut u64,
    ) -> Result<(), String> {
        match self.state {
            State::Idle | State::Removing(_) => Ok(()),
            State::Restating { .. } => {
                let mut effects = Effects::new();
                // As much as clients have written meanwhile, or the journal would grow faster than it shrinks.
                let slice_bytes = SLICE_BYTES.max(std::mem::take(&mut self.traffic_bytes));
                let is_done = !engine.restate(slice_bytes, &mut effects);
                let slice = records(effects, appended);
                if !slice.is_empty() {
                    writer.append(slice).map_err(|error| error.to_string())?;
                }
                self.state = State::Restating { until: *appended };
                if is_done {
                    self.retire(engine, writer, appended)?;
                }
                Ok(())
            }
            State::Retiring { .. } => {
                let writer = Arc::clone(writer);
                let began = self.began;
                let removing = tokio::task::spawn_blocking(move || {
                    remove(&writer);
                    let files = writer.files();
                    let bytes: u64 = files.iter().map(|file| file.length_bytes).sum();
                    info!(
                        "compacted the journal in {} ms to {bytes} bytes in {} files",
                        began.elapsed().as_millis(),
                        files.len()
                    );
                });
                self.has_compacted = true;
                self.state = State::Removing(removing);
                Ok(())
            }
        }
    }

    fn retire(
        &mut self,
        engine: &mut Engine,
        writer: &Writer,
        appended: &mut u64,
    ) -> Result<(), String> {
        let mut effects = Effects::new();
        engine.end_restating(&mut effects);
        for record in records(effects, appended) {
            writer
                .append_start(record)
                .map_err(|error| error.to_string())?;
        }
        self.state = State::Retiring { until: *appended };
        Ok(())
    }

    fn is_due(&self, engine: &Engine, writer: &Writer) -> bool {
        let bytes = bytes_of(writer);
        let is_large = bytes >= MIN_SEGMENTS.saturating_mul(writer.segment_bytes());
        // What is alive is an estimate: without growth since the last one, another would bring nothing.
        let has_grown = bytes / 3 >= self.smallest_bytes / 2;
        let has_many = writer.files().len() >= MANY_FILES;
        has_grown && (is_large || has_many) && bytes / MAX_FACTOR >= engine.live_bytes()
    }
}

fn bytes_of(writer: &Writer) -> u64 {
    writer.files().iter().map(|file| file.length_bytes).sum()
}

/// What the engine wants appended; it is counted as appended.
fn records(effects: Effects, appended: &mut u64) -> Vec<Record> {
    *appended += effects.records.len() as u64;
    effects
        .records
        .into_iter()
        .map(|record| Record {
            kind: record.kind,
            payload: record.payload,
        })
        .collect()
}

fn remove(writer: &Writer) {
    if let Err(error) = writer.remove_retired() {
        warn!("old files of the journal stay for now, which harms nothing but space: {error}");
    }
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
