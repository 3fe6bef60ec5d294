//! What lies between the caller and the writer's thread: records with their positions, and how far
//! the journal is durable. All waiting is on condition variables; no file is touched here.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{AppendError, Options, Record, Role};
use crate::error::WriteError;
use crate::format::{MAX_PAYLOAD_BYTES, RECORD_HEADER_BYTES};
use crate::names::{FileLength, Position, SegmentName, TermId};

/// A record that has its offset.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) offset: u64,
    pub(super) kind: u8,
    pub(super) payload: Bytes,
    pub(super) role: Role,
}

impl Numbered {
    pub(super) fn record_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.payload.len()
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    term: TermId,
    options: Options,
    state: Mutex<State>,
    /// Something to do for the thread.
    work: Condvar,
    /// Something to see for those who wait for durability.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    records: VecDeque<Numbered>,
    /// Bytes of `records` and of the batch being written.
    queued_bytes: u64,
    appended: u64,
    durable: u64,
    /// Whether a segment was marked as one that history can begin with.
    marked: bool,
    /// What is written, by earlier terms too, from the segment that history begins with.
    files: Vec<FileLength>,
    /// What was written before that segment and is still there.
    retired: Vec<SegmentName>,
    /// What was before this one is not there any more.
    front: Option<SegmentName>,
    phase: Phase,
    /// The thread is gone: nothing is written any more.
    has_ended: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    Open,
    /// Takes nothing more, writes what it has.
    Closing,
    /// Takes nothing more, writes nothing more.
    Abandoned,
    Failed(Arc<WriteError>),
}

impl Queue {
    /// A queue for a term that builds on these files.
    pub(super) fn new(term: TermId, options: Options, files: Vec<FileLength>) -> Self {
        let state = State {
            records: VecDeque::new(),
            queued_bytes: 0,
            appended: 0,
            durable: 0,
            marked: false,
            files,
            retired: Vec::new(),
            front: None,
            phase: Phase::Open,
            has_ended: false,
        };
        let (work, progress) = (Condvar::new(), Condvar::new());
        Self {
            term,
            options,
            state: Mutex::new(state),
            work,
            progress,
        }
    }

    /// Queues records; the first of them gets the role.
    pub(super) fn append(
        &self,
        records: Vec<Record>,
        mut role: Role,
    ) -> Result<Position, AppendError> {
        if let Some(large) = records
            .iter()
            .find(|record| record.payload.len() > MAX_PAYLOAD_BYTES)
        {
            let Record { kind, payload } = large;
            return Err(AppendError::TooLarge {
                kind: *kind,
                bytes: payload.len(),
            });
        }
        let mut state = self.lock();
        match &state.phase {
            Phase::Open => {}
            Phase::Closing | Phase::Abandoned => return Err(AppendError::Closed(self.term)),
            Phase::Failed(error) => return Err(AppendError::Failed(Arc::clone(error))),
        }
        match role {
            _ if records.is_empty() => {}
            Role::Plain => {}
            Role::Mark => state.marked = true,
            Role::Start if !state.marked => return Err(AppendError::NothingMarked(self.term)),
            Role::Start => state.marked = false,
        }
        for Record { kind, payload } in records {
            state.appended += 1;
            let record = Numbered {
                offset: state.appended,
                kind,
                payload,
                role: std::mem::take(&mut role),
            };
            state.queued_bytes += record.record_bytes() as u64;
            state.records.push_back(record);
        }
        self.work.notify_one();
        Ok(self.position(state.appended))
    }

    pub(super) fn appended(&self) -> Position {
        self.position(self.lock().appended)
    }

    pub(super) fn durable(&self) -> Position {
        self.position(self.lock().durable)
    }

    pub(super) fn queued_bytes(&self) -> u64 {
        self.lock().queued_bytes
    }

    pub(super) fn is_full(&self) -> bool {
        self.queued_bytes() >= self.options.queue_bytes
    }

    pub(super) fn wait_durable(&self) -> Result<Position, AppendError> {
        let mut state = self.lock();
        let wanted = state.appended;
        while state.durable < wanted {
            match &state.phase {
                Phase::Open | Phase::Closing => {}
                Phase::Abandoned => return Err(AppendError::Closed(self.term)),
                Phase::Failed(error) => return Err(AppendError::Failed(Arc::clone(error))),
            }
            state = self
                .progress
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(self.position(wanted))
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closing;
        }
        self.work.notify_one();
    }

    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Abandoned;
            state.records.clear();
        }
        self.work.notify_one();
        self.progress.notify_all();
    }

    /// How it ended, once the thread is gone.
    pub(super) fn end(&self) -> Result<Position, AppendError> {
        let state = self.lock();
        match &state.phase {
            Phase::Failed(error) => Err(AppendError::Failed(Arc::clone(error))),
            Phase::Open | Phase::Closing | Phase::Abandoned => Ok(self.position(state.durable)),
        }
    }

    /// Waits for records and takes as many as one batch may hold; nothing when the thread is to
    /// end. `batch` is empty before.
    pub(super) fn take(&self, batch: &mut Vec<Numbered>) -> bool {
        let mut state = self.lock();
        while state.records.is_empty() && matches!(state.phase, Phase::Open) {
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if matches!(state.phase, Phase::Abandoned | Phase::Failed(_)) {
            return false;
        }
        let mut bytes = 0;
        while let Some(record) = state.records.pop_front() {
            bytes += record.record_bytes();
            let is_next = bytes > self.options.batch_bytes || record.role != Role::Plain;
            if !batch.is_empty() && is_next {
                state.records.push_front(record);
                break;
            }
            batch.push(record);
        }
        !batch.is_empty()
    }

    pub(super) fn files(&self) -> Vec<FileLength> {
        self.lock().files.clone()
    }

    pub(super) fn take_retired(&self) -> Vec<SegmentName> {
        std::mem::take(&mut self.lock().retired)
    }

    /// All that `take_retired` gave is gone.
    pub(super) fn note_removed(&self) {
        let mut state = self.lock();
        // With more retired meanwhile, the list begins behind what is still there.
        if state.retired.is_empty() {
            state.front = state.files.first().map(|first| first.file);
        }
    }

    pub(super) fn front(&self) -> Option<SegmentName> {
        self.lock().front
    }

    pub(super) fn term(&self) -> TermId {
        self.term
    }

    pub(super) fn add_retired(&self, files: impl IntoIterator<Item = SegmentName>) {
        self.lock().retired.extend(files);
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        self.options.segment_bytes
    }

    /// Notes that a batch is durable; answers with what is still queued.
    pub(super) fn synced(
        &self,
        batch: &[Numbered],
        head: FileLength,
        start: Option<SegmentName>,
    ) -> u64 {
        let mut state = self.lock();
        match state.files.last_mut() {
            Some(last) if last.file == head.file => *last = head,
            _ => state.files.push(head),
        }
        if let Some(start) = start {
            let kept = state.files.partition_point(|file| file.file < start);
            let retired = state.files.drain(..kept).map(|file| file.file);
            let retired: Vec<SegmentName> = retired.collect();
            state.retired.extend(retired);
        }
        if let Some(last) = batch.last() {
            state.durable = last.offset;
        }
        let bytes: usize = batch.iter().map(Numbered::record_bytes).sum();
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes as u64);
        self.progress.notify_all();
        state.queued_bytes
    }

    /// Ends everything: from now on `append` and waiting answer with this error.
    pub(super) fn fail(&self, error: Arc<WriteError>) {
        let mut state = self.lock();
        state.phase = Phase::Failed(error);
        state.records.clear();
        self.progress.notify_all();
    }

    /// The thread has done its last write.
    pub(super) fn note_ended(&self) {
        self.lock().has_ended = true;
        self.progress.notify_all();
    }

    /// Waits for the thread's last write, at most so long; false if that did not come.
    pub(super) fn wait_ended(&self, limit: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .progress
            .wait_timeout_while(state, limit, |state| !state.has_ended);
        waited.is_ok_and(|(state, _)| state.has_ended)
    }

    fn position(&self, offset: u64) -> Position {
        Position {
            epoch: self.term.epoch,
            offset,
        }
    }

    /// The state is changed only in steps that cannot panic half-way, so a poisoned lock is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
