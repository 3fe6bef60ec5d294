//! Files that are retired: history begins with a mark, whatever a crash leaves of what was before.

use std::sync::Arc;

use journal::storage::memory::{Fault, MemoryStorage, Survival};
use journal::{AppendError, Entry, History, Position, ReadError, Record, Storage, history, retire};

use crate::support::{
    Events, Model, SMALL, group, payload, read_all, run_term, segment, shared, take_over, term,
};

type Failure = Box<dyn std::error::Error>;

/// What was appended, how much of it is durable, and where history may begin.
#[derive(Clone, Default)]
struct Log {
    model: Model,
    /// Index of each mark for which a start was appended, and of that start's record.
    starts: Vec<(usize, usize)>,
}

impl Log {
    /// The newest start that is durable: nothing before it may be needed any more.
    fn certain_start(&self) -> usize {
        let durable = |(_, record): &&(usize, usize)| *record < self.model.durable;
        self.starts
            .iter()
            .rfind(durable)
            .map_or(0, |(mark, _)| *mark)
    }

    fn check(&self, recovered: &[Entry], case: &str) {
        let all = &self.model.entries;
        let Some(first) = recovered.first() else {
            assert_eq!(self.model.durable, 0, "{case}: durable entries are lost");
            return;
        };
        let from = all
            .iter()
            .position(|entry| entry.position == first.position)
            .unwrap_or_else(|| panic!("{case}: entries from nowhere"));
        assert!(
            from == 0 || self.starts.iter().any(|(mark, _)| *mark == from),
            "{case}: history begins at {from}, which is no mark"
        );
        assert!(
            from >= self.certain_start(),
            "{case}: history begins at {from}, where files may be gone"
        );
        let end = from + recovered.len();
        assert!(
            end >= self.model.durable,
            "{case}: durable entries are lost"
        );
        assert!(
            all.get(from..end) == Some(recovered),
            "{case}: not what was appended"
        );
    }
}

/// A term that appends, says everything again and removes what is retired, twice.
fn compacting_term(storage: &MemoryStorage, log: &mut Log, epoch: u64) -> Result<(), Failure> {
    let left_over = loaded(storage)?.retired().to_vec();
    let entries = take_over(storage, epoch)?;
    log.check(&entries, &format!("take-over of term {epoch}"));
    let events = Events::default();
    let writer = events.writer(storage, term(epoch), SMALL)?;
    writer.add_retired(left_over);
    let result = (0..2).try_for_each(|round| -> Result<(), Failure> {
        for lengths in [&[10][..], &[9000, 9000, 9000], &[100, 5000]] {
            let records = group(epoch, round * 10, lengths);
            log.model.append(epoch, &records);
            writer.append(records)?;
            writer.sync_barrier()?;
        }
        let mark = log.model.entries.len();
        let records = group(epoch, round * 10 + 1, &[0, 700]);
        log.model.append(epoch, &records);
        writer.append_mark(records)?;
        let records = group(epoch, round * 10 + 2, &[8000, 9000, 9000]);
        log.model.append(epoch, &records);
        writer.append(records)?;
        let start = Record {
            kind: 7,
            payload: payload(epoch, 3),
        };
        log.starts.push((mark, log.model.entries.len()));
        log.model.append(epoch, std::slice::from_ref(&start));
        writer.append_start(start)?;
        writer.sync_barrier()?;
        assert!(!writer.remove_retired()?.is_empty());
        assert!(
            writer
                .files()
                .iter()
                .all(|file| file.file.term == term(epoch))
        );
        Ok(())
    });
    let closed = writer.close();
    log.model.note_durable(&events);
    result?;
    closed.map(|_| ()).map_err(Into::into)
}

fn loaded(storage: &MemoryStorage) -> Result<History, ReadError> {
    history::load(&shared(storage))
}

fn run(storage: &MemoryStorage) -> (Log, bool) {
    let mut log = Log::default();
    let finished = compacting_term(storage, &mut log, 1).is_ok()
        && compacting_term(storage, &mut log, 2).is_ok();
    (log, finished)
}

#[test]
fn what_is_retired_is_gone_and_the_rest_is_read() {
    let storage = MemoryStorage::new();
    let (log, finished) = run(&storage);
    assert!(finished);
    let (history, entries) = read_all(&shared(&storage)).unwrap();
    log.check(&entries, "whole");
    let begin = log.model.entries.len() - entries.len();
    assert_eq!(begin, log.certain_start());
    let there = storage.list().unwrap();
    let segments = there.iter().filter(|name| name.starts_with("journal."));
    assert_eq!(segments.count(), history.files().len());
    assert_eq!(history.retired(), []);
    assert!(history.leftovers().is_empty());
    assert!(history.files()[0].file.number > 1);
    // A term that retires nothing goes on from there, and one after it.
    let mut model = Model {
        durable: entries.len(),
        entries,
    };
    run_term(&storage, &mut model, 3, &[vec![5], vec![6000, 7]]).unwrap();
    run_term(&storage, &mut model, 4, &[vec![8]]).unwrap();
    assert!(read_all(&shared(&storage)).unwrap().1 == model.entries);
}

#[test]
fn power_failure_at_every_operation() {
    let mut at = 0;
    let mut left_over = 0;
    loop {
        let storage = MemoryStorage::new().with_fault(at, Fault::End);
        let (log, finished) = run(&storage);
        let survivals = [Survival::Nothing, Survival::Everything];
        for survival in survivals.into_iter().chain((0..3).map(Survival::Chance)) {
            let left = storage.after_crash(survival);
            let case = format!("operation {at}, {survival:?}");
            let (history, entries) =
                read_all(&shared(&left)).unwrap_or_else(|error| panic!("{case}: {error}"));
            log.check(&entries, &case);
            left_over += usize::from(!history.retired().is_empty());
            go_on(&left, entries, &case);
        }
        if finished {
            break;
        }
        at += 1;
    }
    assert!(at > 100, "the workload has become trivial: {at} operations");
    assert!(left_over > 10, "no crash left retired files: {left_over}");
}

/// A process that is killed leaves what it wrote; the power may fail after the next has sealed.
#[test]
fn process_killed_at_every_operation_then_power_failure() {
    let mut at = 0;
    loop {
        let storage = MemoryStorage::new().with_fault(at, Fault::End);
        let (log, finished) = run(&storage);
        let killed = storage.after_kill();
        let built_on = take_over(&killed, 3).unwrap();
        log.check(&built_on, &format!("operation {at}"));
        for seed in 0..4 {
            let left = killed.after_crash(Survival::Chance(seed));
            let (_, entries) = read_all(&shared(&left)).unwrap();
            assert!(
                entries == built_on,
                "operation {at}, {seed}: sealed entries are lost"
            );
        }
        if finished {
            break;
        }
        at += 1;
    }
}

fn go_on(storage: &MemoryStorage, entries: Vec<Entry>, case: &str) {
    let mut found = Log {
        model: Model {
            durable: entries.len(),
            entries,
        },
        starts: Vec::new(),
    };
    compacting_term(storage, &mut found, 3).unwrap_or_else(|error| panic!("{case}: {error}"));
    let listed = storage.list().unwrap();
    let segments = listed.iter().filter(|name| name.starts_with("journal."));
    let counted = loaded(storage).unwrap();
    assert_eq!(
        segments.count(),
        counted.files().len() + counted.leftovers().len(),
        "{case}: retired files stay"
    );
    let after = storage.after_crash(Survival::Nothing);
    let (_, entries) = read_all(&shared(&after)).unwrap();
    found.check(&entries, case);
}

/// Some of the retired files are there again: a removal is not durable before the directory is.
#[test]
fn retired_files_that_are_there_are_not_read_however_they_look() {
    let storage = MemoryStorage::new();
    let mut log = Log::default();
    compacting_term(&storage, &mut log, 1).unwrap();
    let (_, entries) = read_all(&shared(&storage)).unwrap();
    storage.put(&segment(1, 2).to_string(), b"nonsense".to_vec());
    let (history, again) = read_all(&shared(&storage)).unwrap();
    assert!(again == entries);
    assert_eq!(history.retired(), [segment(1, 2)]);
    assert!(history.leftovers().is_empty());
    retire::remove(&storage, history.retired()).unwrap();
    retire::remove(&storage, history.retired()).expect("gone already is no error");
    assert!(storage.content(&segment(1, 2).to_string()).is_none());
}

#[test]
fn a_file_that_counts_must_be_there() {
    let storage = MemoryStorage::new();
    let (_, finished) = run(&storage);
    assert!(finished);
    let files = loaded(&storage).unwrap().files().to_vec();
    assert!(files.len() > 1);
    for file in files {
        let name = file.file.to_string();
        let content = storage.content(&name).unwrap();
        storage.take_away(&name);
        let error = loaded(&storage).unwrap_err();
        assert!(
            matches!(error, ReadError::Missing { .. } | ReadError::Damaged { .. }),
            "{name}: {error}"
        );
        storage.put(&name, content);
    }
}

#[test]
fn history_starts_only_at_a_mark() {
    let storage = MemoryStorage::new();
    take_over(&storage, 1).unwrap();
    let writer = Events::default().writer(&storage, term(1), SMALL).unwrap();
    let record = || Record {
        kind: 1,
        payload: payload(1, 5),
    };
    let refused = |result: Result<Position, AppendError>| {
        assert!(matches!(result, Err(AppendError::NothingMarked(_))));
    };
    refused(writer.append_start(record()));
    writer.append_mark(Vec::new()).unwrap();
    refused(writer.append_start(record()));
    writer.append_mark(vec![record()]).unwrap();
    writer.append_start(record()).unwrap();
    refused(writer.append_start(record()));
    writer.close().unwrap();
    let storage: Arc<dyn Storage> = shared(&storage);
    assert_eq!(read_all(&storage).unwrap().1.len(), 2);
}
