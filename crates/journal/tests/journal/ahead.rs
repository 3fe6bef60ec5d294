//! Reading ahead: whatever was read while the term grew, the end is the same as if it had been read at once.

use std::cell::Cell;

use journal::storage::memory::MemoryStorage;
use journal::{Entry, ReadAhead, Writer};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use crate::support::{Events, Model, SMALL, group, read_all, run_term, shared, take_over, term};

/// A few seconds of a debug build.
const CASES: u32 = 64;

/// What a term does, and how much its follower reads after that.
#[derive(Clone, Debug)]
struct Step {
    what: What,
    reads: usize,
}

#[derive(Clone, Debug)]
enum What {
    Append(Vec<usize>),
    /// Says something again and lets history begin there.
    Compact(Vec<usize>),
    /// Removes what is retired.
    Remove,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lengths = || prop::collection::vec(0_usize..9_000, 1..4);
    let what = prop_oneof![
        6 => lengths().prop_map(What::Append),
        2 => lengths().prop_map(What::Compact),
        1 => Just(What::Remove),
    ];
    let step = (what, 0_usize..12).prop_map(|(what, reads)| Step { what, reads });
    prop::collection::vec(step, 1..25)
}

fn carry_out(writer: &Writer, number: usize, what: &What) {
    match what {
        What::Append(lengths) => {
            writer.append(group(2, number, lengths)).unwrap();
        }
        What::Compact(lengths) => {
            writer.append_mark(group(2, number, lengths)).unwrap();
            let start = group(2, number + 500, &[5]).remove(0);
            writer.append_start(start).unwrap();
        }
        What::Remove => {
            writer.remove_retired().unwrap();
        }
    }
    writer.sync_barrier().unwrap();
}

/// Reads ahead while a term does these steps, then to the end; true if what was read ahead could be used.
fn reads_ahead(
    steps: &[Step],
    earlier: &[Vec<usize>],
    begins_after: usize,
) -> Result<bool, TestCaseError> {
    let storage = MemoryStorage::new();
    run_term(&storage, &mut Model::default(), 1, earlier).unwrap();
    take_over(&storage, 2).unwrap();
    let writer = Events::default().writer(&storage, term(2), SMALL).unwrap();
    let mut seen: Vec<Entry> = Vec::new();
    let mut ahead = None;
    for (number, step) in steps.iter().enumerate() {
        carry_out(&writer, number, &step.what);
        if number >= begins_after && ahead.is_none() {
            seen.clear();
            ahead = ReadAhead::begin(&shared(&storage), term(2)).unwrap();
        }
        let durable = writer.durable().offset;
        if let Some(it) = &mut ahead
            && it
                .advance(durable, step.reads, |entry| seen.push(entry))
                .is_err()
        {
            // It fell behind files that were removed.
            ahead = None;
        }
    }
    writer.close().unwrap();
    let (expected, entries) = read_all(&shared(&storage)).unwrap();
    let finished = ahead.map(|ahead| ahead.finish(|entry| seen.push(entry)));
    let Some(Ok(Some(history))) = finished else {
        return Ok(false);
    };
    prop_assert_eq!(history.files(), expected.files());
    prop_assert_eq!(history.end(), expected.end());
    prop_assert_eq!(history.torn(), expected.torn());
    prop_assert_eq!(history.retired(), expected.retired());
    prop_assert!(
        seen.ends_with(&entries),
        "what counts is not what was read last"
    );
    Ok(true)
}

#[test]
fn what_was_read_ahead_ends_like_what_is_read_at_once() {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let earlier = prop::collection::vec(prop::collection::vec(0_usize..9_000, 1..3), 0..4);
    let used = Cell::new(0);
    let outcome = runner.run(
        &(steps(), earlier, 0_usize..6),
        |(steps, earlier, begins)| {
            used.set(used.get() + u32::from(reads_ahead(&steps, &earlier, begins)?));
            Ok(())
        },
    );
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        used.get() > CASES / 4,
        "only {} of {CASES} were of use",
        used.get()
    );
}

fn grown(storage: &MemoryStorage) -> (Writer, ReadAhead, Vec<Entry>) {
    take_over(storage, 1).unwrap();
    let writer = Events::default().writer(storage, term(1), SMALL).unwrap();
    writer
        .append(group(1, 1, &[100, 5_000, 9_000, 9_000, 9_000]))
        .unwrap();
    writer.sync_barrier().unwrap();
    let mut ahead = ReadAhead::begin(&shared(storage), term(1))
        .unwrap()
        .unwrap();
    let mut seen = Vec::new();
    ahead.advance(3, 100, |entry| seen.push(entry)).unwrap();
    (writer, ahead, seen)
}

#[test]
fn only_what_was_reported_durable_is_read_ahead() {
    let storage = MemoryStorage::new();
    let (writer, ahead, mut seen) = grown(&storage);
    assert_eq!(seen.len(), 3, "no further than what was reported");
    writer.append(group(1, 2, &[7])).unwrap();
    writer.close().unwrap();
    let history = ahead.finish(|entry| seen.push(entry)).unwrap().unwrap();
    let (expected, entries) = read_all(&shared(&storage)).unwrap();
    assert_eq!(history.files(), expected.files());
    assert_eq!(seen, entries);
    assert_eq!(seen.len(), 6);
}

#[test]
fn nothing_read_ahead_counts_after_another_term_has_sealed() {
    let storage = MemoryStorage::new();
    let (writer, ahead, _) = grown(&storage);
    writer.close().unwrap();
    take_over(&storage, 2).unwrap();
    assert!(ahead.finish(|_| {}).unwrap().is_none());
}

#[test]
fn a_fresh_store_and_another_terms_seal_give_nothing_to_read_ahead() {
    let storage = MemoryStorage::new();
    assert!(
        ReadAhead::begin(&shared(&storage), term(1))
            .unwrap()
            .is_none()
    );
    take_over(&storage, 1).unwrap();
    assert!(
        ReadAhead::begin(&shared(&storage), term(2))
            .unwrap()
            .is_none()
    );
}
