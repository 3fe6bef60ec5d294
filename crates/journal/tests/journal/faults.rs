//! Operations that fail: the writer ends once and for all, says what failed, and loses nothing.

use std::sync::Arc;

use journal::storage::memory::{Fault, MemoryStorage, Survival};
use journal::{AppendError, JournalEvent, Operation, ReadError, WriteError, history};

use crate::support::{
    Events, Model, SMALL, group, read_all, run_term, segment, shared, take_over, term,
};

/// Appends groups until the journal fails; answers with the failure.
fn fail_with(fault: Fault, at: u64) -> Option<(MemoryStorage, Model, Arc<WriteError>)> {
    let fresh = MemoryStorage::new();
    take_over(&fresh, 1).unwrap();
    let storage = fresh.after_kill().with_fault(at, fault);
    let events = Events::default();
    let writer = events.writer(&storage, term(1), SMALL).ok()?;
    let mut model = Model::default();
    for number in 0..6 {
        let records = group(1, number, &[3000, 9000]);
        model.append(1, &records);
        if writer.append(records).is_err() || writer.sync_barrier().is_err() {
            break;
        }
    }
    let Err(AppendError::Failed(error)) = writer.append(Vec::new()) else {
        return None;
    };
    let refused = writer.append(group(1, 9, &[1]));
    assert!(matches!(refused, Err(AppendError::Failed(same)) if Arc::ptr_eq(&same, &error)));
    assert!(matches!(writer.close(), Err(AppendError::Failed(same)) if Arc::ptr_eq(&same, &error)));
    model.note_durable(&events);
    let all = events.all();
    let (last, before) = all.split_last().unwrap();
    assert!(matches!(last, JournalEvent::Failed(same) if Arc::ptr_eq(same, &error)));
    assert!(
        before
            .iter()
            .all(|event| matches!(event, JournalEvent::Synced(_)))
    );
    Some((storage, model, error))
}

/// Operations of starting: a failure there is an error of `start`, not an event.
fn start_operations() -> u64 {
    let storage = MemoryStorage::new();
    take_over(&storage, 1).unwrap();
    let before = storage.counts().operations;
    Events::default().writer(&storage, term(1), SMALL).unwrap();
    storage.counts().operations - before
}

fn failures(fault: Fault) -> Vec<String> {
    (start_operations()..40)
        .filter_map(|at| fail_with(fault, at))
        .map(|(storage, model, error)| {
            for left in [
                storage.after_kill(),
                storage.after_crash(Survival::Chance(7)),
            ] {
                let (_, entries) = read_all(&shared(&left)).unwrap();
                model.check(&entries, &error.to_string());
            }
            error.to_string()
        })
        .collect()
}

#[test]
fn a_failed_operation_ends_the_writer_once_and_loses_nothing() {
    let errors = failures(Fault::Io);
    let first = segment(1, 1);
    for what in [
        format!("cannot create memory/{first}: injected I/O error"),
        format!("cannot write memory/{first}: injected I/O error"),
        format!("cannot sync memory/{first}: injected I/O error"),
        "cannot sync directory memory: injected I/O error".to_owned(),
        format!("cannot create memory/{}: injected I/O error", segment(1, 2)),
    ] {
        assert!(errors.contains(&what), "{what:?} is not among {errors:#?}");
    }
}

#[test]
fn a_full_file_system_is_told_as_such() {
    let errors = failures(Fault::Full);
    assert!(errors.len() > 5);
    for error in &errors {
        assert!(error.starts_with("file system full: cannot "), "{error}");
        assert!(error.contains("memory/journal.1."), "{error}");
    }
}

#[test]
fn a_short_write_is_a_failure_even_without_a_reason() {
    let errors: Vec<_> = (start_operations()..40)
        .filter_map(|at| fail_with(Fault::Short, at))
        .collect();
    assert_eq!(errors.len(), 6, "one for each write");
    for (storage, model, error) in errors {
        assert!(matches!(*error, WriteError::Short { .. }), "{error}");
        let (_, entries) = read_all(&shared(&storage.after_kill())).unwrap();
        model.check(&entries, "short write");
    }
}

/// A read that fails must never look like the end of the journal.
#[test]
fn a_failed_read_never_shortens_the_history() {
    let storage = MemoryStorage::new();
    let mut model = Model::default();
    run_term(
        &storage,
        &mut model,
        1,
        &[vec![10, 5000], vec![20_000], vec![300]],
    )
    .unwrap();
    run_term(
        &storage,
        &mut model,
        2,
        &[vec![10, 5000], vec![20_000], vec![300]],
    )
    .unwrap();
    let mut failed = 0;
    loop {
        let faulty = storage.after_kill().with_fault(failed, Fault::Io);
        match read_all(&shared(&faulty)) {
            Ok((_, entries)) => {
                assert!(
                    faulty.counts().operations <= failed,
                    "operation {failed} was ignored"
                );
                assert!(entries == model.entries);
                break;
            }
            Err(ReadError::Io { .. }) => failed += 1,
            Err(error) => panic!("operation {failed}: {error}"),
        }
    }
    assert!(failed > 20, "only {failed} operations");
}

#[test]
fn syncing_what_will_be_sealed_must_succeed() {
    let storage = MemoryStorage::new();
    run_term(&storage, &mut Model::default(), 1, &[vec![10]]).unwrap();
    let operations = {
        let counted = storage.after_kill();
        history::load(&shared(&counted)).unwrap();
        counted.counts().operations
    };
    let faulty = storage.after_kill().with_fault(operations - 2, Fault::Io);
    let error = history::load(&shared(&faulty)).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Io {
                operation: Operation::Sync,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_panic_in_the_callback_ends_the_writer() {
    let storage = MemoryStorage::new();
    take_over(&storage, 1).unwrap();
    let writer = journal::Writer::start(shared(&storage), term(1), SMALL, |_| {
        std::panic::resume_unwind(Box::new("in the callback"));
    })
    .unwrap();
    writer.append(group(1, 0, &[1])).unwrap();
    assert!(
        writer
            .close()
            .is_err_and(|error| error.to_string().contains("panicked"))
    );
}
