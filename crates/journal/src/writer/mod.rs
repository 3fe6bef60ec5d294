//! The writing side of one term: a queue in memory, one thread, one sync for everything queued.
//!
//! `append` gives positions at once and never waits for the disk. The thread takes what is queued,
//! writes it as one batch, syncs, and reports how far the journal is durable; what arrives meanwhile
//! is the next batch, so many senders share one sync without any timer. Nothing may be acknowledged
//! before the event that covers its position.
//!
//! # Backpressure
//! The queue holds payloads that the caller has received already, so it does not refuse them. The
//! caller watches [`Writer::is_full`] and stops reading its sockets while it is true; every
//! [`Synced`] tells what is still queued, which is the moment to go on. How far the queue grows
//! beyond [`Options::queue_bytes`] is then bounded by what the caller reads between two looks.

mod output;
mod queue;
mod thread;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use crate::error::WriteError;
use crate::format::{MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES};
use crate::names::{FileLength, Position, TermId};
use crate::seal;
use crate::storage::Storage;
use queue::Queue;

/// What a term's writer does when, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment that would grow beyond this is followed by a new one. A batch is never split, so
    /// one that is larger makes a longer segment.
    pub segment_bytes: u64,
    /// Records taken into one batch; at least one is, however large. Values above
    /// [`MAX_BATCH_BYTES`] count as that.
    pub batch_bytes: usize,
    /// Queued bytes from which [`Writer::is_full`] says so.
    pub queue_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 10 * 1024 * 1024,
            batch_bytes: 4 * 1024 * 1024,
            queue_bytes: 16 * 1024 * 1024,
        }
    }
}

/// One thing to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is, in the caller's numbering.
    pub kind: u8,
    /// Its content, at most [`MAX_PAYLOAD_BYTES`].
    pub payload: Bytes,
}

/// What the writer's thread reports, in order.
#[derive(Clone, Debug)]
pub enum JournalEvent {
    /// More entries are durable.
    Synced(Synced),
    /// The journal failed; nothing further becomes durable. Reported once, as the last event.
    Failed(Arc<WriteError>),
}

/// One batch has become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Every entry of this term up to here is durable.
    pub durable: Position,
    /// Entries in this batch.
    pub entries: u32,
    /// Bytes written for it, padding included.
    pub bytes: u64,
    /// The segment written last and its length: what the other side compares a history with.
    pub head: FileLength,
    /// Bytes still queued.
    pub queued_bytes: u64,
    /// How long writing and syncing took.
    pub took: Duration,
}

/// Why nothing was appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The writer was closed or abandoned.
    #[error("the journal of term {0} is closed")]
    Closed(TermId),
    /// The writer failed before.
    #[error("the journal has failed: {0}")]
    Failed(#[source] Arc<WriteError>),
    /// A payload is too large for a record.
    #[error("a record of kind {kind} has {bytes} bytes, at most {limit} are stored in one", limit = MAX_PAYLOAD_BYTES)]
    TooLarge {
        /// The record's kind.
        kind: u8,
        /// Its payload's length.
        bytes: usize,
    },
}

/// Appends the entries of one term.
///
/// Dropping it abandons what is queued and lets a write that runs come to its end unwatched; its
/// event may still be reported. That is what stepping down wants. A handover calls
/// [`Writer::close`].
#[derive(Debug)]
pub struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the writer's thread in a term whose seal is written.
    ///
    /// `on_event` is called on that thread; it must not block, or it delays the next batch. The
    /// first segment is created with the first batch.
    pub fn start(
        storage: Arc<dyn Storage>,
        term: TermId,
        options: Options,
        on_event: impl FnMut(JournalEvent) + Send + 'static,
    ) -> Result<Self, WriteError> {
        let seal = seal::read(storage.as_ref(), term.epoch);
        let seal = seal.map_err(|error| WriteError::Seal(Box::new(error)))?;
        if seal.is_none_or(|seal| seal.term != term) {
            return Err(WriteError::NotSealed {
                path: storage.path().to_owned(),
                term,
            });
        }
        let options = Options {
            batch_bytes: options.batch_bytes.min(MAX_BATCH_BYTES),
            ..options
        };
        let queue = Arc::new(Queue::new(term, options));
        let output = output::Output::new(storage, term, options.segment_bytes);
        let thread = thread::spawn(Arc::clone(&queue), output, on_event)?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Queues records and answers with the position of the last one; never waits.
    ///
    /// They get consecutive positions in the order given. Either all are queued or, with an error,
    /// none. With no records it answers with the position of the last one appended before (offset 0
    /// if there is none).
    pub fn append(&self, records: Vec<Record>) -> Result<Position, AppendError> {
        self.queue.append(records)
    }

    /// Position of the last entry appended, offset 0 if there is none.
    pub fn appended(&self) -> Position {
        self.queue.appended()
    }

    /// Position of the last durable entry, offset 0 if there is none.
    pub fn durable(&self) -> Position {
        self.queue.durable()
    }

    /// Bytes of records appended and not yet durable.
    pub fn queued_bytes(&self) -> u64 {
        self.queue.queued_bytes()
    }

    /// Whether the caller should stop reading what it would append.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Waits until everything appended before this call is durable; blocks the thread.
    pub fn sync_barrier(&self) -> Result<Position, AppendError> {
        self.queue.wait_durable()
    }

    /// Writes and syncs everything appended, then ends the thread; blocks until that is done.
    ///
    /// Answers with the last durable position. When it returns, no event follows.
    pub fn close(mut self) -> Result<Position, AppendError> {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            return Err(AppendError::Failed(Arc::new(WriteError::Panicked)));
        }
        self.queue.end()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}
