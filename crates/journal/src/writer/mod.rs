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

//! # Retiring old files
//! The caller says everything that is still true again, behind a *mark* ([`Writer::append_mark`]),
//! then lets history *start* there ([`Writer::append_start`]): from then on each new segment's header
//! says that history begins with the segment of the mark, and recovery skips all before it. Files may
//! be removed only once the record of the start has passed the gate (rule 8): a taker that does not
//! know of the start still needs them.

mod output;
mod queue;
mod thread;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use crate::error::WriteError;
use crate::format::{MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES};
use crate::mirror::Tap;
use crate::names::{FileLength, Position, SegmentName, TermId};
use crate::storage::Storage;
use crate::{retire, seal};
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

/// What a record does to the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// Begins a segment that history can be made to begin with.
    Mark,
    /// Begins a segment that says that history begins with the one of the last mark.
    Start,
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
    /// History was to start at a mark, but none was appended since it last did.
    #[error("the journal of term {0} has no mark at which history could start")]
    NothingMarked(TermId),
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
    storage: Arc<dyn Storage>,
    queue: Arc<Queue>,
    tap: Tap,
    thread: Option<JoinHandle<()>>,
}

/// What a writer has written, for those who ship it.
#[derive(Clone, Debug)]
pub struct WriterView {
    queue: Arc<Queue>,
    tap: Tap,
}

impl WriterView {
    /// The writer's term.
    pub fn term(&self) -> TermId {
        self.queue.term()
    }

    /// As [`Writer::files`].
    pub fn files(&self) -> Vec<FileLength> {
        self.queue.files()
    }

    /// Waits for the last write of a writer that was closed or dropped, at most so long; false if it did not
    /// come. Blocks.
    pub fn wait_ended(&self, limit: Duration) -> bool {
        self.queue.wait_ended(limit)
    }

    /// The segments before this one were retired, and removed by this writer.
    pub(crate) fn front(&self) -> Option<SegmentName> {
        self.queue.front()
    }

    /// Where the batches pass by.
    pub(crate) fn tap(&self) -> &Tap {
        &self.tap
    }
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
        let Some(seal) = seal.filter(|seal| seal.term == term) else {
            return Err(WriteError::NotSealed {
                path: storage.path().to_owned(),
                term,
            });
        };
        let options = Options {
            batch_bytes: options.batch_bytes.min(MAX_BATCH_BYTES),
            ..options
        };
        let queue = Arc::new(Queue::new(term, options, seal.files));
        let tap = Tap::default();
        let output = output::Output::new(
            Arc::clone(&storage),
            term,
            options.segment_bytes,
            tap.clone(),
        );
        let thread = thread::spawn(Arc::clone(&queue), output, tap.clone(), on_event)?;
        Ok(Self {
            storage,
            queue,
            tap,
            thread: Some(thread),
        })
    }

    /// A look at this writer, which does not keep it from ending.
    pub fn view(&self) -> WriterView {
        WriterView {
            queue: Arc::clone(&self.queue),
            tap: self.tap.clone(),
        }
    }

    /// Queues records and answers with the position of the last one; never waits.
    ///
    /// They get consecutive positions in the order given. Either all are queued or, with an error,
    /// none. With no records it answers with the position of the last one appended before (offset 0
    /// if there is none).
    pub fn append(&self, records: Vec<Record>) -> Result<Position, AppendError> {
        self.queue.append(records, Role::Plain)
    }

    /// Queues records as [`Writer::append`] does; the first of them begins a new segment, at which
    /// history can be made to start.
    pub fn append_mark(&self, records: Vec<Record>) -> Result<Position, AppendError> {
        self.queue.append(records, Role::Mark)
    }

    /// Queues a record that begins a new segment, whose header says that history begins with the
    /// segment of the last mark.
    ///
    /// Everything that counts and stands before the mark must have been appended again since.
    pub fn append_start(&self, record: Record) -> Result<Position, AppendError> {
        self.queue.append(vec![record], Role::Start)
    }

    /// The segments that make up history: those of earlier terms, and of this one those with durable
    /// entries, from the one that history begins with.
    pub fn files(&self) -> Vec<FileLength> {
        self.queue.files()
    }

    /// Size up to which a segment is filled.
    pub fn segment_bytes(&self) -> u64 {
        self.queue.segment_bytes()
    }

    /// Notes retired segments that were found when history was read ([`crate::History::retired`]).
    pub fn add_retired(&self, files: impl IntoIterator<Item = SegmentName>) {
        self.queue.add_retired(files);
    }

    /// Removes the segments before the one that history begins with; answers which. What could not be
    /// removed is tried again with the next call. Blocks.
    ///
    /// To be called only when the record of the newest start has passed the gate, or this term has and
    /// no start was appended in it yet.
    pub fn remove_retired(&self) -> Result<Vec<SegmentName>, WriteError> {
        let files = self.queue.take_retired();
        if files.is_empty() {
            return Ok(files);
        }
        match retire::remove(self.storage.as_ref(), &files) {
            Ok(()) => {
                self.queue.note_removed();
                self.tap.nudge();
                Ok(files)
            }
            Err(error) => {
                self.queue.add_retired(files);
                Err(error)
            }
        }
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
