//! Short words for what the tests do: take a term, append groups, read everything.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use journal::storage::memory::MemoryStorage;
use journal::{
    AppendError, Entry, History, JournalEvent, Options, Position, ReadError, Record, Seal,
    SegmentName, Storage, TermId, Writer, history, seal,
};

/// Small segments, so that a short workload needs several.
pub(crate) const SMALL: Options = Options {
    segment_bytes: 24 * 1024,
    ..DEFAULT
};
const DEFAULT: Options = Options {
    segment_bytes: 10 << 20,
    batch_bytes: 4 << 20,
    queue_bytes: 16 << 20,
};

pub(crate) fn term(epoch: u64) -> TermId {
    TermId {
        epoch,
        incarnation: [u8::try_from(epoch).unwrap(); 16],
    }
}

pub(crate) fn segment(epoch: u64, number: u64) -> SegmentName {
    SegmentName {
        term: term(epoch),
        number,
    }
}

pub(crate) fn shared(storage: &MemoryStorage) -> Arc<dyn Storage> {
    Arc::new(storage.clone())
}

/// A payload that is told from every other by its length and content.
pub(crate) fn payload(seed: u64, length: usize) -> Bytes {
    let mut bytes: Vec<u8> = format!("{seed}-{length};").into_bytes();
    bytes = bytes.iter().copied().cycle().take(length).collect();
    bytes.into()
}

pub(crate) fn group(epoch: u64, number: usize, lengths: &[usize]) -> Vec<Record> {
    let record = |(index, length): (usize, &usize)| Record {
        kind: u8::try_from(index % 200).unwrap(),
        payload: payload(
            epoch * 1_000_000 + number as u64 * 1000 + index as u64,
            *length,
        ),
    };
    lengths.iter().enumerate().map(record).collect()
}

/// Everything a writer has reported.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<JournalEvent>>>);

impl Events {
    pub(crate) fn all(&self) -> Vec<JournalEvent> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn durable(&self) -> Option<Position> {
        self.all().iter().rev().find_map(|event| match event {
            JournalEvent::Synced(synced) => Some(synced.durable),
            JournalEvent::Failed(_) => None,
        })
    }

    pub(crate) fn entries_per_sync(&self) -> Vec<u32> {
        self.all()
            .iter()
            .filter_map(|event| match event {
                JournalEvent::Synced(synced) => Some(synced.entries),
                JournalEvent::Failed(_) => None,
            })
            .collect()
    }

    pub(crate) fn writer(
        &self,
        storage: &MemoryStorage,
        term: TermId,
        options: Options,
    ) -> Result<Writer, journal::WriteError> {
        let events = self.clone();
        Writer::start(shared(storage), term, options, move |event| {
            events.0.lock().unwrap().push(event);
        })
    }
}

pub(crate) fn read_all(storage: &Arc<dyn Storage>) -> Result<(History, Vec<Entry>), ReadError> {
    let mut entries = Vec::new();
    let history = history::replay(storage, |entry| entries.push(entry))?;
    Ok((history, entries))
}

/// Reads the history and seals it for a new term.
pub(crate) fn take_over(
    storage: &MemoryStorage,
    epoch: u64,
) -> Result<Vec<Entry>, Box<dyn std::error::Error>> {
    let (history, entries) = read_all(&shared(storage))?;
    seal::write(
        storage,
        &Seal {
            term: term(epoch),
            files: history.files().to_vec(),
        },
    )?;
    Ok(entries)
}

/// What a run of terms has appended, and how much of it was reported durable.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) entries: Vec<Entry>,
    pub(crate) durable: usize,
}

impl Model {
    /// Notes a group, with the positions that it must get.
    pub(crate) fn append(&mut self, epoch: u64, records: &[Record]) {
        for Record { kind, payload } in records {
            let offset = match self.entries.last() {
                Some(last) if last.position.epoch == epoch => last.position.offset + 1,
                _ => 1,
            };
            let position = Position { epoch, offset };
            self.entries.push(Entry {
                position,
                kind: *kind,
                payload: payload.clone(),
            });
        }
    }

    /// Takes over what the events say.
    pub(crate) fn note_durable(&mut self, events: &Events) {
        if let Some(position) = events.durable() {
            let index = self
                .entries
                .iter()
                .position(|entry| entry.position == position);
            self.durable = index.expect("only what was appended is durable") + 1;
        }
    }

    /// The one promise of this crate.
    pub(crate) fn check(&self, recovered: &[Entry], case: &str) {
        assert!(
            recovered.len() >= self.durable,
            "{case}: durable entries are lost"
        );
        assert!(
            recovered.len() <= self.entries.len(),
            "{case}: entries from nowhere"
        );
        assert!(
            recovered == &self.entries[..recovered.len()],
            "{case}: not what was appended"
        );
    }
}

/// Runs one term that appends the groups, each one durable before the next; stops at a failure.
///
/// What it recovers is checked against the model first and is the model from then on.
pub(crate) fn run_term(
    storage: &MemoryStorage,
    model: &mut Model,
    epoch: u64,
    groups: &[Vec<usize>],
) -> Result<(), Box<dyn std::error::Error>> {
    let entries = take_over(storage, epoch)?;
    model.check(&entries, &format!("take-over of term {epoch}"));
    *model = Model {
        durable: entries.len(),
        entries,
    };
    let events = Events::default();
    let writer = events.writer(storage, term(epoch), SMALL)?;
    let appended = groups.iter().enumerate().try_for_each(|(number, lengths)| {
        let records = group(epoch, number, lengths);
        model.append(epoch, &records);
        let last = writer.append(records)?;
        assert_eq!(Some(last), model.entries.last().map(|entry| entry.position));
        writer.sync_barrier().map(|_| ())
    });
    let closed = writer.close();
    model.note_durable(&events);
    appended?;
    closed
        .map(|_| ())
        .map_err(|error: AppendError| error.into())
}

/// Waits, within bounds, for something that another thread does.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
