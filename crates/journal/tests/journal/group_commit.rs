//! One sync for everything queued; positions at once; backpressure; closing and abandoning.

use bytes::Bytes;
use journal::format::MAX_PAYLOAD_BYTES;
use journal::storage::memory::MemoryStorage;
use journal::{AppendError, JournalEvent, Options, Position, Record};

use crate::support::{
    Events, SMALL, group, read_all, segment, shared, take_over, term, wait_until,
};

fn at(offset: u64) -> Position {
    Position { epoch: 1, offset }
}

fn fresh() -> MemoryStorage {
    let storage = MemoryStorage::new();
    take_over(&storage, 1).unwrap();
    storage
}

#[test]
fn everything_queued_during_a_sync_shares_the_next_one() {
    let storage = fresh();
    let events = Events::default();
    let writer = events
        .writer(&storage, term(1), Options::default())
        .unwrap();
    let before = storage.counts();
    storage.hold_syncs();
    assert_eq!(writer.append(group(1, 0, &[100])).unwrap(), at(1));
    wait_until("the first batch is written", || {
        storage.counts().writes > before.writes
    });
    for number in 1..=100 {
        let last = writer.append(group(1, number, &[10, 20])).unwrap();
        assert_eq!(last, at(1 + 2 * number as u64));
    }
    assert_eq!((writer.appended(), writer.durable()), (at(201), at(0)));
    assert!(events.all().is_empty(), "reported before the sync returned");
    storage.release_syncs();
    assert_eq!(writer.sync_barrier().unwrap(), at(201));
    assert_eq!(writer.close().unwrap(), at(201));
    let after = storage.counts();
    assert_eq!(
        (after.writes - before.writes, after.syncs - before.syncs),
        (2, 2)
    );
    assert_eq!(after.directory_syncs - before.directory_syncs, 1);
    assert_eq!(events.entries_per_sync(), [1, 200]);
    let (history, _) = read_all(&shared(&storage)).unwrap();
    let JournalEvent::Synced(last) = events.all()[1].clone() else {
        panic!("failed")
    };
    assert_eq!(last.durable, at(201));
    assert_eq!(
        history.files(),
        [last.head],
        "the head reported is what recovery finds"
    );
}

#[test]
fn a_batch_is_bounded() {
    let storage = fresh();
    let events = Events::default();
    let options = Options {
        batch_bytes: 1000,
        ..SMALL
    };
    let writer = events.writer(&storage, term(1), options).unwrap();
    storage.hold_syncs();
    let before = storage.counts().writes;
    writer.append(group(1, 0, &[1])).unwrap();
    wait_until("the first batch is written", || {
        storage.counts().writes > before
    });
    writer
        .append(group(1, 1, &[400, 400, 400, 5000, 10]))
        .unwrap();
    storage.release_syncs();
    writer.close().unwrap();
    assert_eq!(events.entries_per_sync(), [1, 2, 1, 1, 1]);
}

#[test]
fn a_full_queue_says_so_until_it_is_written() {
    let storage = fresh();
    let events = Events::default();
    let options = Options {
        queue_bytes: 5000,
        ..SMALL
    };
    let writer = events.writer(&storage, term(1), options).unwrap();
    storage.hold_syncs();
    writer.append(group(1, 0, &[4900])).unwrap();
    assert!(!writer.is_full());
    writer.append(group(1, 1, &[100])).unwrap();
    assert!(writer.is_full());
    assert_eq!(writer.queued_bytes(), 4900 + 100 + 2 * 28);
    storage.release_syncs();
    writer.sync_barrier().unwrap();
    assert_eq!(writer.queued_bytes(), 0);
    assert!(!writer.is_full());
    writer.close().unwrap();
    let JournalEvent::Synced(last) = events.all().pop().unwrap() else {
        panic!("failed")
    };
    assert_eq!(last.queued_bytes, 0);
}

#[test]
fn a_large_batch_makes_a_longer_segment() {
    let storage = fresh();
    let events = Events::default();
    let writer = events.writer(&storage, term(1), SMALL).unwrap();
    for lengths in [&[10][..], &[30_000, 30_000], &[10]] {
        writer.append(group(1, 0, lengths)).unwrap();
        writer.sync_barrier().unwrap();
    }
    writer.close().unwrap();
    let lengths: Vec<usize> = (1..=3)
        .map(|number| {
            storage
                .content(&segment(1, number).to_string())
                .unwrap()
                .len()
        })
        .collect();
    assert_eq!(lengths, [2 * 4096, 16 * 4096, 2 * 4096]);
}

#[test]
fn records_have_a_largest_size() {
    let storage = fresh();
    let events = Events::default();
    let writer = events
        .writer(&storage, term(1), Options::default())
        .unwrap();
    let record = |length| Record {
        kind: 7,
        payload: Bytes::from(vec![5; length]),
    };
    let refused = writer
        .append(vec![record(1), record(MAX_PAYLOAD_BYTES + 1)])
        .unwrap_err();
    assert!(
        matches!(refused, AppendError::TooLarge { kind: 7, .. }),
        "{refused}"
    );
    assert_eq!(
        writer.append(Vec::new()).unwrap(),
        at(0),
        "none of them was appended"
    );
    assert_eq!(
        writer
            .append(vec![record(MAX_PAYLOAD_BYTES), record(3)])
            .unwrap(),
        at(2)
    );
    writer.close().unwrap();
    let (_, entries) = read_all(&shared(&storage)).unwrap();
    let lengths: Vec<usize> = entries.iter().map(|entry| entry.payload.len()).collect();
    assert_eq!(lengths, [MAX_PAYLOAD_BYTES, 3]);
}

#[test]
fn closing_writes_what_is_queued() {
    let storage = fresh();
    let events = Events::default();
    let writer = events.writer(&storage, term(1), SMALL).unwrap();
    for number in 0..50 {
        writer.append(group(1, number, &[3000])).unwrap();
    }
    assert_eq!(writer.close().unwrap(), at(50));
    assert_eq!(events.durable(), Some(at(50)));
    assert_eq!(read_all(&shared(&storage)).unwrap().1.len(), 50);
}

#[test]
fn dropping_abandons_what_is_queued() {
    let storage = fresh();
    let events = Events::default();
    let writer = events.writer(&storage, term(1), SMALL).unwrap();
    storage.hold_syncs();
    let before = storage.counts();
    writer.append(group(1, 0, &[100])).unwrap();
    wait_until("the first batch is written", || {
        storage.counts().writes > before.writes
    });
    writer.append(group(1, 1, &[100])).unwrap();
    drop(writer);
    storage.release_syncs();
    wait_until("the batch that was running is reported", || {
        events.durable() == Some(at(1))
    });
    let (_, entries) = read_all(&shared(&storage)).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(storage.counts().writes - before.writes, 1);
}
