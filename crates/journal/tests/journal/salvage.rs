//! What is whole is saved, and what is not is told to the byte.

use journal::Entry;
use journal::salvage::{Salvage, salvage};
use journal::storage::memory::MemoryStorage;

use crate::damage::{BLOCK, change, three_segments};
use crate::support::{segment, shared};

fn saved(storage: &MemoryStorage) -> (Salvage, Vec<Entry>) {
    let mut entries = Vec::new();
    let salvage = salvage(&shared(storage), |entry| entries.push(entry)).unwrap();
    assert_eq!(salvage.entries, entries.len() as u64);
    (salvage, entries)
}

/// The entries of the model without those at these places.
fn without(all: &[Entry], lost: std::ops::Range<usize>) -> Vec<Entry> {
    let kept = all.iter().enumerate();
    kept.filter(|(index, _)| !lost.contains(index))
        .map(|(_, entry)| entry.clone())
        .collect()
}

#[test]
fn a_whole_journal_is_saved_whole() {
    let (storage, model) = three_segments();
    let (salvage, entries) = saved(&storage);
    assert_eq!(entries, model.entries);
    assert!(salvage.skipped.is_empty() && salvage.torn.is_none());
    assert_eq!(salvage.files, 3);
}

#[test]
fn a_bad_record_costs_that_record_and_a_bad_header_its_batch() {
    let (storage, model) = three_segments();
    // Every byte of the first two batches of the first file, one after the other.
    for at in (BLOCK..3 * BLOCK).step_by(97) {
        let before = storage.content(&segment(1, 1).to_string()).unwrap();
        change(&storage, segment(1, 1), |bytes| bytes[at] ^= 4);
        let (salvage, entries) = saved(&storage);
        change(&storage, segment(1, 1), |bytes| bytes.clone_from(&before));
        // Entries that are there are the right ones, in order, and those behind the damage are all there.
        let mut rest = model.entries.iter();
        for entry in &entries {
            assert!(
                rest.any(|known| known == entry),
                "byte {at}: {:?}",
                entry.position
            );
        }
        assert_eq!(entries.last(), model.entries.last(), "byte {at}");
        let lost = model.entries.len() - entries.len();
        // Padding is covered by nothing.
        assert_eq!(lost == 0, salvage.skipped.is_empty(), "byte {at}");
        if let [skipped] = salvage.skipped.as_slice() {
            let at = at as u64;
            assert!(
                (skipped.from_byte..skipped.to_byte).contains(&at),
                "{skipped:?}, byte {at}"
            );
            assert!(skipped.path.ends_with(segment(1, 1).to_string()));
        } else {
            assert!(
                salvage.skipped.is_empty(),
                "byte {at}: {:?}",
                salvage.skipped
            );
        }
    }
}

#[test]
fn a_bad_file_header_costs_nothing() {
    let (storage, model) = three_segments();
    change(&storage, segment(1, 2), |bytes| bytes[9] ^= 1);
    let (salvage, entries) = saved(&storage);
    assert_eq!(entries, model.entries);
    assert_eq!(salvage.skipped.len(), 1);
    assert_eq!(salvage.skipped[0].from_byte, 0);
    assert_eq!(salvage.skipped[0].to_byte, BLOCK as u64);
}

#[test]
fn a_missing_file_is_told() {
    let (storage, model) = three_segments();
    storage.take_away(&segment(1, 2).to_string());
    let (salvage, entries) = saved(&storage);
    assert!(!entries.is_empty() && entries.len() < model.entries.len());
    assert_eq!(salvage.skipped[0].why, "the file is missing");
    let first = model
        .entries
        .iter()
        .position(|entry| !entries.contains(entry));
    let lost = model.entries.len() - entries.len();
    let first = first.unwrap();
    assert_eq!(entries, without(&model.entries, first..first + lost));
}

#[test]
fn a_torn_tail_is_no_damage() {
    let (storage, model) = three_segments();
    let length = storage.content(&segment(1, 3).to_string()).unwrap().len();
    change(&storage, segment(1, 3), |bytes| {
        bytes.truncate(length - BLOCK - 10);
    });
    let (salvage, entries) = saved(&storage);
    assert!(salvage.skipped.is_empty(), "{:?}", salvage.skipped);
    assert!(salvage.torn.is_some());
    assert_eq!(entries, model.entries[..entries.len()]);
}

#[test]
fn without_its_seal_every_file_is_read() {
    let (storage, model) = three_segments();
    let seal = "seal.1";
    let mut text = storage.content(seal).unwrap();
    text[5] ^= 1;
    storage.put(seal, text);
    let (salvage, entries) = saved(&storage);
    assert_eq!(entries, model.entries);
    assert!(salvage.skipped[0].path.ends_with(seal));
}
