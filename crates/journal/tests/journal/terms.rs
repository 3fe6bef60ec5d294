//! Terms beside and after each other: seals, sealed lengths, late writers, files of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use journal::storage::memory::MemoryStorage;
use journal::{AppendError, Operation, Position, ReadError, Seal, WriteError, history, seal};

use crate::support::{
    Events, Model, SMALL, group, read_all, run_term, segment, shared, take_over, term, wait_until,
};

#[test]
fn a_fresh_store_is_empty() {
    let storage = MemoryStorage::new();
    storage.put("term.1.00000000000000000000000000000001", vec![0]);
    storage.put("journal.tmp", vec![1, 2, 3]);
    let history = history::load(&shared(&storage)).unwrap();
    assert_eq!(
        (history.end(), history.files(), history.sealed_term()),
        (None, &[][..], None)
    );
}

#[test]
fn entries_of_many_terms_come_in_order_and_again() {
    let storage = MemoryStorage::new();
    let mut model = Model::default();
    for epoch in [1, 2, 5, 9] {
        run_term(&storage, &mut model, epoch, &[vec![7, 9000], vec![12_000]]).unwrap();
    }
    // A term that wrote nothing.
    take_over(&storage, 10).unwrap();
    let (history, entries) = read_all(&shared(&storage)).unwrap();
    assert!(entries == model.entries);
    assert_eq!(
        history.end(),
        Some(Position {
            epoch: 9,
            offset: 3
        })
    );
    assert_eq!(history.sealed_term(), Some(term(10)));
    let mut again = history.entries(shared(&storage)).unwrap();
    for entry in &model.entries {
        assert_eq!(again.next_entry().unwrap().as_ref(), Some(entry));
    }
    assert_eq!(again.next_entry().unwrap(), None);
}

/// A process that was frozen goes on writing after its successor has sealed: into the file that the
/// seal names, and into new ones. Nobody ever reads that.
#[test]
fn what_a_replaced_term_writes_late_is_never_read() {
    let storage = MemoryStorage::new();
    take_over(&storage, 1).unwrap();
    let events = Events::default();
    let late = events.writer(&storage, term(1), SMALL).unwrap();
    late.append(group(1, 0, &[100, 9000])).unwrap();
    late.sync_barrier().unwrap();

    let kept = take_over(&storage, 2).unwrap();
    let length = storage.content(&segment(1, 1).to_string()).unwrap().len();
    late.append(group(1, 1, &[200])).unwrap();
    late.sync_barrier().unwrap();
    late.append(group(1, 2, &[9000, 9000])).unwrap();
    late.close().unwrap();
    assert!(storage.content(&segment(1, 1).to_string()).unwrap().len() > length);
    assert!(storage.content(&segment(1, 2).to_string()).is_some());

    let (history, entries) = read_all(&shared(&storage)).unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries == kept);
    assert_eq!(history.leftovers(), [segment(1, 2).to_string()]);
    let mut model = Model {
        durable: kept.len(),
        entries: kept,
    };
    run_term(&storage, &mut model, 3, &[vec![1]]).unwrap();
    assert!(read_all(&shared(&storage)).unwrap().1 == model.entries);
}

#[test]
fn a_seal_never_replaces_another() {
    let storage = MemoryStorage::new();
    let first = Seal {
        term: term(4),
        files: Vec::new(),
    };
    seal::write(&storage, &first).unwrap();
    seal::write(&storage, &first).expect("repeating is harmless");
    let other = journal::TermId {
        epoch: 4,
        incarnation: [9; 16],
    };
    let error = seal::write(
        &storage,
        &Seal {
            term: other,
            files: Vec::new(),
        },
    )
    .unwrap_err();
    assert!(
        matches!(error, WriteError::SealedByAnother { .. }),
        "{error}"
    );
    let loaded = history::load(&shared(&storage)).unwrap();
    assert_eq!(loaded.sealed_term(), Some(term(4)));
}

#[test]
fn a_writer_needs_the_seal_of_its_own_term() {
    let storage = MemoryStorage::new();
    let events = Events::default();
    let error = events.writer(&storage, term(1), SMALL).unwrap_err();
    assert!(matches!(error, WriteError::NotSealed { .. }), "{error}");
    take_over(&storage, 1).unwrap();
    let twin = journal::TermId {
        epoch: 1,
        incarnation: [9; 16],
    };
    let error = events.writer(&storage, twin, SMALL).unwrap_err();
    assert!(matches!(error, WriteError::NotSealed { .. }), "{error}");
}

#[test]
fn a_file_of_a_term_is_created_once() {
    let storage = MemoryStorage::new();
    run_term(&storage, &mut Model::default(), 1, &[vec![10]]).unwrap();
    let events = Events::default();
    let again = events.writer(&storage, term(1), SMALL).unwrap();
    again.append(group(1, 0, &[10])).unwrap();
    let Err(AppendError::Failed(error)) = again.close() else {
        panic!("written twice")
    };
    let exists = matches!(&*error, WriteError::Io { operation: Operation::Create, source, .. }
        if source.kind() == std::io::ErrorKind::AlreadyExists);
    assert!(exists, "{error}");
}

#[test]
fn entries_without_their_seal_are_refused_not_forgotten() {
    let storage = MemoryStorage::new();
    let mut model = Model::default();
    run_term(&storage, &mut model, 1, &[vec![10]]).unwrap();
    run_term(&storage, &mut model, 2, &[vec![10]]).unwrap();
    for seal in ["seal.2", "seal.1"] {
        storage.take_away(seal);
        let error = history::load(&shared(&storage)).unwrap_err();
        assert!(matches!(&error, ReadError::Unsealed { .. }), "{error}");
    }
}

/// A taker may read while the replaced process, not yet aware of its fence mark, still writes: it
/// finds a whole prefix each time and never takes the growing end for damage.
#[test]
fn reading_while_the_replaced_term_still_writes() {
    let storage = MemoryStorage::new();
    take_over(&storage, 1).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    // Reading takes longer with all that is written: on a slow machine an unbounded writer would be done before it.
    let allowed = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (storage, stop, allowed) = (storage.clone(), Arc::clone(&stop), Arc::clone(&allowed));
        std::thread::spawn(move || {
            let writer = Events::default().writer(&storage, term(1), SMALL).unwrap();
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                if number >= allowed.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                writer
                    .append(group(1, number, &[number * 37 % 9000, 10]))
                    .unwrap();
                writer.sync_barrier().unwrap();
                number += 1;
            }
            writer.close().unwrap()
        })
    };
    let mut found = 0;
    for _ in 0..20 {
        let before = storage.counts().writes;
        allowed.fetch_add(300, Ordering::Relaxed);
        wait_until("the writer writes on", || {
            storage.counts().writes > before + 2
        });
        let (history, entries) = read_all(&shared(&storage)).unwrap();
        assert!(entries.len() > found, "nothing new was found");
        assert!(
            history
                .end()
                .is_none_or(|end| end.offset == entries.len() as u64)
        );
        found = entries.len();
    }
    stop.store(true, Ordering::Relaxed);
    let last = writer.join().unwrap();
    assert_eq!(
        read_all(&shared(&storage)).unwrap().1.len() as u64,
        last.offset
    );
}
