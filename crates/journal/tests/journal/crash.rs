//! A crash at every operation: nothing durable is lost, and what is found was appended.

use journal::storage::memory::{Fault, MemoryStorage, Survival};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Model, read_all, run_term, shared, take_over};

/// Small and large records, batches over several blocks, several segments.
fn workload() -> Vec<Vec<usize>> {
    vec![
        vec![10],
        vec![0, 100, 3000],
        vec![5000, 9000, 20],
        vec![4000],
        vec![700; 12],
        vec![30_000],
        vec![1, 2, 3],
    ]
}

/// Two terms; the fault, if any, strikes somewhere in them.
fn run(storage: &MemoryStorage, groups: &[Vec<usize>]) -> (Model, bool) {
    let mut model = Model::default();
    let half = groups.len().div_ceil(2);
    let finished = run_term(storage, &mut model, 1, &groups[..half]).is_ok()
        && run_term(storage, &mut model, 2, &groups[half..]).is_ok();
    (model, finished)
}

/// What every next process must find, and that it can go on from there.
fn check_recovery(storage: &MemoryStorage, model: &Model, case: &str) {
    let (history, entries) =
        read_all(&shared(storage)).unwrap_or_else(|error| panic!("{case}: {error}"));
    model.check(&entries, case);
    assert_eq!(
        history.end(),
        entries.last().map(|entry| entry.position),
        "{case}"
    );
    let mut found = Model {
        durable: entries.len(),
        entries,
    };
    run_term(storage, &mut found, 3, &[vec![5], vec![6000, 7]])
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let after = storage.after_crash(Survival::Nothing);
    let (_, entries) = read_all(&shared(&after)).unwrap();
    assert!(
        entries == found.entries,
        "{case}: the next term's entries are lost"
    );
}

fn survivals() -> impl Iterator<Item = Survival> {
    [Survival::Nothing, Survival::Everything]
        .into_iter()
        .chain((0..5).map(Survival::Chance))
}

#[test]
fn power_failure_at_every_operation() {
    let mut at = 0;
    loop {
        let storage = MemoryStorage::new().with_fault(at, Fault::End);
        let (model, finished) = run(&storage, &workload());
        for survival in survivals() {
            let left = storage.after_crash(survival);
            check_recovery(&left, &model, &format!("operation {at}, {survival:?}"));
        }
        if finished {
            break;
        }
        at += 1;
    }
    assert!(at > 60, "the workload has become trivial: {at} operations");
}

/// What the next term has built on must still be there when the machine dies under it, although
/// the process before it never synced it.
#[test]
fn process_killed_at_every_operation_then_power_failure() {
    let mut at = 0;
    let mut beyond_durable = 0;
    loop {
        let storage = MemoryStorage::new().with_fault(at, Fault::End);
        let (model, finished) = run(&storage, &workload());
        let killed = storage.after_kill();
        let built_on = take_over(&killed, 3).unwrap();
        model.check(&built_on, &format!("operation {at}"));
        beyond_durable += usize::from(built_on.len() > model.durable);
        for survival in survivals() {
            let left = killed.after_crash(survival);
            let (_, entries) = read_all(&shared(&left)).unwrap();
            assert!(
                entries == built_on,
                "operation {at}, {survival:?}: sealed entries are lost"
            );
        }
        if finished {
            break;
        }
        at += 1;
    }
    assert!(
        beyond_durable > 5,
        "no kill between write and sync was tried"
    );
}

/// The storage itself: without syncs a crash takes things away, so the tests above mean something.
#[test]
fn crashes_do_lose_what_is_not_synced() {
    let mut lost = 0;
    let mut torn = 0;
    for at in 0..100 {
        let storage = MemoryStorage::new().with_fault(at, Fault::End);
        let (model, _) = run(&storage, &workload());
        for seed in 0..12 {
            let left = storage.after_crash(Survival::Chance(seed));
            let (history, entries) = read_all(&shared(&left)).unwrap();
            lost += usize::from(entries.len() < model.entries.len());
            torn += usize::from(history.torn().is_some());
        }
    }
    assert!(lost > 50, "only {lost} crashes lost something");
    assert!(torn > 20, "only {torn} crashes tore a write");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_workload_any_crash(
        groups in vec(vec(0..9000_usize, 1..6), 1..9), at in 0..120_u64, seed: u64,
    ) {
        let storage = MemoryStorage::new().with_fault(at, Fault::End);
        let (model, _) = run(&storage, &groups);
        let left = storage.after_crash(Survival::Chance(seed));
        check_recovery(&left, &model, "any");
    }
}
