//! Torn tails are cut and reported; damage, loss and foreign bytes are refused by name and place.

use journal::storage::memory::MemoryStorage;
use journal::{Damage, ReadError, SegmentName, TornTail};

use crate::support::{Model, read_all, run_term, segment, shared, take_over};

pub(crate) const BLOCK: usize = 4096;

/// One term with three segments: batches at blocks 1, 2, 5 of the first, and so on.
pub(crate) fn three_segments() -> (MemoryStorage, Model) {
    let storage = MemoryStorage::new();
    let mut model = Model::default();
    let groups = [
        vec![10, 20],
        vec![9000],
        vec![30],
        vec![9000, 9000],
        vec![40],
        vec![50, 7000, 9],
    ];
    run_term(&storage, &mut model, 1, &groups).unwrap();
    assert!(storage.content(&segment(1, 2).to_string()).is_some());
    assert!(storage.content(&segment(1, 3).to_string()).is_some());
    assert!(storage.content(&segment(1, 4).to_string()).is_none());
    (storage, model)
}

pub(crate) fn change(storage: &MemoryStorage, file: SegmentName, with: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = storage.content(&file.to_string()).unwrap();
    with(&mut bytes);
    storage.put(&file.to_string(), bytes);
}

fn refused(storage: &MemoryStorage) -> ReadError {
    match read_all(&shared(storage)) {
        Ok((history, _)) => panic!("accepted, torn: {:?}", history.torn()),
        Err(error) => error,
    }
}

fn assert_damaged(storage: &MemoryStorage, file: SegmentName, at: u64, what: &Damage) {
    let error = refused(storage);
    let ReadError::Damaged {
        path,
        at_byte,
        damage,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*path, std::path::Path::new("memory").join(file.to_string()));
    assert_eq!((*at_byte, damage), (at, what));
}

/// Recovers, and answers with the number of entries and the tail cut.
fn recovered(storage: &MemoryStorage, model: &Model) -> (usize, Option<TornTail>) {
    let (history, entries) = read_all(&shared(storage)).unwrap();
    assert!(entries == model.entries[..entries.len()]);
    (entries.len(), history.torn().cloned())
}

#[test]
fn damage_in_a_file_that_is_not_the_last() {
    let (storage, _) = three_segments();
    change(&storage, segment(1, 1), |bytes| bytes[2 * BLOCK + 100] ^= 4);
    let record = 2 * BLOCK as u64 + 24;
    assert_damaged(&storage, segment(1, 1), record, &Damage::Record);
    let text = refused(&storage).to_string();
    assert!(
        text.contains(&format!("{} is damaged at byte {record}", segment(1, 1))),
        "{text}"
    );
}

#[test]
fn damage_at_the_very_end_of_a_file_that_is_not_the_last() {
    for number in [1, 2] {
        let (storage, _) = three_segments();
        let last_block = storage
            .content(&segment(1, number).to_string())
            .unwrap()
            .len()
            - BLOCK;
        change(&storage, segment(1, number), |bytes| {
            bytes.truncate(last_block);
        });
        let ReadError::Damaged { path, .. } = refused(&storage) else {
            panic!("not damaged")
        };
        assert!(path.ends_with(segment(1, number).to_string()));
    }
}

#[test]
fn damage_in_the_last_file_before_a_later_batch() {
    let (storage, _) = three_segments();
    change(&storage, segment(1, 3), |bytes| bytes[BLOCK + 60] ^= 1);
    assert_damaged(&storage, segment(1, 3), BLOCK as u64 + 24, &Damage::Record);
    // The batch's header itself.
    let (storage, _) = three_segments();
    change(&storage, segment(1, 3), |bytes| bytes[BLOCK + 9] ^= 1);
    assert_damaged(&storage, segment(1, 3), BLOCK as u64, &Damage::Record);
    // The segment's header, with more than the first batch behind it.
    let (storage, _) = three_segments();
    change(&storage, segment(1, 3), |bytes| bytes[9] ^= 1);
    assert_damaged(&storage, segment(1, 3), 0, &Damage::Header);
}

#[test]
fn a_bad_record_in_the_last_batch_is_a_torn_tail() {
    let (storage, model) = three_segments();
    let all = model.entries.len();
    let file = segment(1, 3);
    let bytes = storage.content(&file.to_string()).unwrap();
    let batch = bytes.len() - 2 * BLOCK;
    // Records of 50, 7000 and 9 bytes: the second is torn, the third counts no more.
    change(&storage, file, |bytes| bytes[batch + BLOCK + 1] ^= 1);
    let at_byte = (batch + 24 + 28 + 50) as u64;
    let torn = TornTail {
        file,
        at_byte,
        bytes: bytes.len() as u64 - at_byte,
    };
    assert_eq!(recovered(&storage, &model), (all - 2, Some(torn)));
    // The next term builds on the part before it.
    let kept = take_over(&storage, 2).unwrap();
    assert_eq!(recovered(&storage, &model), (all - 2, None));
    assert_eq!(kept.len(), all - 2);
}

#[test]
fn blocks_of_the_last_write_that_landed_alone_are_a_torn_tail() {
    let (storage, model) = three_segments();
    let file = segment(1, 3);
    let length = storage.content(&file.to_string()).unwrap().len();
    let batch = length - 2 * BLOCK;
    change(&storage, file, |bytes| bytes[batch..batch + BLOCK].fill(0));
    let torn = TornTail {
        file,
        at_byte: batch as u64,
        bytes: 2 * BLOCK as u64,
    };
    assert_eq!(
        recovered(&storage, &model),
        (model.entries.len() - 3, Some(torn))
    );
}

#[test]
fn a_new_segment_whose_first_write_is_torn_counts_for_nothing() {
    let storage = MemoryStorage::new();
    let mut model = Model::default();
    run_term(
        &storage,
        &mut model,
        1,
        &[vec![9000, 6000], vec![9000, 9000]],
    )
    .unwrap();
    let file = segment(1, 2);
    let whole = storage.content(&file.to_string()).unwrap();
    for (header, batch) in [(false, true), (false, false), (true, false)] {
        change(&storage, file, |bytes| {
            bytes.clone_from(&whole);
            if !header {
                bytes[..BLOCK].fill(0);
            }
            if !batch {
                bytes[BLOCK..2 * BLOCK].fill(0);
            }
        });
        let (entries, torn) = recovered(&storage, &model);
        assert_eq!(entries, 2);
        let at_byte = if header { BLOCK as u64 } else { 0 };
        let bytes = whole.len() as u64 - at_byte;
        assert_eq!(
            torn,
            Some(TornTail {
                file,
                at_byte,
                bytes
            })
        );
    }
    change(&storage, file, Vec::clear);
    assert_eq!(recovered(&storage, &model), (2, None));
}

#[test]
fn cuts_at_every_length_are_torn_tails() {
    let (storage, model) = three_segments();
    let file = segment(1, 3);
    let whole = storage.content(&file.to_string()).unwrap();
    let mut least = 0;
    for length in (0..=whole.len()).step_by(97) {
        change(&storage, file, |bytes| *bytes = whole[..length].to_vec());
        let (entries, _) = recovered(&storage, &model);
        assert!(entries >= least, "a longer file has fewer entries");
        least = entries;
    }
    assert_eq!(least, model.entries.len());
}

#[test]
fn zeros_behind_the_end_are_no_tail() {
    let (storage, model) = three_segments();
    change(&storage, segment(1, 3), |bytes| {
        bytes.resize(bytes.len() + 5 * BLOCK, 0);
    });
    assert_eq!(recovered(&storage, &model), (model.entries.len(), None));
}

/// A file system that reuses blocks may show what another file, or another place, held.
#[test]
fn stale_bytes_never_pass() {
    let (storage, model) = three_segments();
    let other = storage.content(&segment(1, 1).to_string()).unwrap();
    let file = segment(1, 3);
    let whole = storage.content(&file.to_string()).unwrap();
    let mut other_at_same_place = whole.clone();
    other_at_same_place.extend_from_slice(&other[whole.len().min(other.len() - BLOCK)..]);
    let mut own_at_another_place = whole.clone();
    own_at_another_place.extend_from_slice(&whole[BLOCK..2 * BLOCK]);
    for stale in [other_at_same_place, own_at_another_place] {
        let at_byte = whole.len() as u64;
        let bytes = stale.len() as u64 - at_byte;
        storage.put(&file.to_string(), stale);
        let torn = TornTail {
            file,
            at_byte,
            bytes,
        };
        assert_eq!(
            recovered(&storage, &model),
            (model.entries.len(), Some(torn))
        );
    }
}

#[test]
fn a_copy_under_another_name_is_refused() {
    let (storage, _) = three_segments();
    storage.put(
        &segment(1, 2).to_string(),
        storage.content(&segment(1, 1).to_string()).unwrap(),
    );
    assert_damaged(&storage, segment(1, 2), 0, &Damage::Identity);
}

#[test]
fn a_missing_segment_is_named() {
    for number in [1, 2] {
        let (storage, _) = three_segments();
        storage.take_away(&segment(1, number).to_string());
        let ReadError::Missing { path, .. } = refused(&storage) else {
            panic!("not missing")
        };
        assert!(path.ends_with(segment(1, number).to_string()));
    }
}

#[test]
fn sealed_files_must_be_there_and_whole() {
    let sealed = || {
        let (storage, _) = three_segments();
        take_over(&storage, 2).unwrap();
        storage
    };
    for number in 1..=3 {
        let file = segment(1, number);
        let storage = sealed();
        storage.take_away(&file.to_string());
        let text = refused(&storage).to_string();
        assert!(
            text.starts_with(&format!("memory/{file} is missing, but seal.2")),
            "{text}"
        );

        // Even the very last record is no torn tail once it is sealed.
        let storage = sealed();
        let whole = storage.content(&file.to_string()).unwrap();
        let last = whole.iter().rposition(|byte| *byte != 0).unwrap();
        change(&storage, file, |bytes| bytes[last] ^= 1);
        assert!(
            matches!(refused(&storage), ReadError::Damaged { path, damage: Damage::Sealed { .. }, .. }
            if path.ends_with(file.to_string()))
        );

        let storage = sealed();
        change(&storage, file, |bytes| bytes.truncate(last - 3));
        let sealed_bytes = last as u64 + 1;
        assert_damaged(
            &storage,
            file,
            last as u64 - 3,
            &Damage::Short { sealed_bytes },
        );
    }
}

#[test]
fn a_damaged_seal_is_refused() {
    let (storage, _) = three_segments();
    take_over(&storage, 2).unwrap();
    let mut bytes = storage.content("seal.2").unwrap();
    bytes[30] ^= 1;
    storage.put("seal.2", bytes);
    let text = refused(&storage).to_string();
    assert!(text.starts_with("memory/seal.2 is damaged"), "{text}");
}
