//! Readers that follow a growing journal, begin in the middle, and the real directory.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use journal::storage::memory::MemoryStorage;
use journal::{Directory, Entry, Options, Reader, Seal, Storage, Writer, history, seal};

use crate::support::{Model, SMALL, group, run_term, segment, shared, take_over, term};

/// Reads until an entry with this offset comes, bounded in time.
fn follow(storage: Arc<dyn Storage>, last_offset: u64) -> Vec<Entry> {
    let give_up = Instant::now() + Duration::from_mins(1);
    let mut reader = Reader::open(storage, Vec::new(), Some(term(1)), None).unwrap();
    let mut entries = Vec::new();
    while entries
        .last()
        .is_none_or(|entry: &Entry| entry.position.offset < last_offset)
    {
        match reader.next_entry().unwrap() {
            Some(entry) => entries.push(entry),
            None => thread::yield_now(),
        }
        assert!(
            Instant::now() < give_up,
            "only {} entries came",
            entries.len()
        );
    }
    entries
}

/// Lengths without pattern, some over several blocks.
fn lengths(number: usize) -> Vec<usize> {
    (0..=number % 4)
        .map(|index| (number * 7919 + index * 613) % 6000)
        .collect()
}

#[test]
fn a_follower_sees_everything_in_order_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(folder.path()).unwrap());
    seal::write(
        storage.as_ref(),
        &Seal {
            term: term(1),
            files: Vec::new(),
        },
    )
    .unwrap();
    let mut model = Model::default();
    let groups: Vec<_> = (0..300)
        .map(|number| group(1, number, &lengths(number)))
        .collect();
    for records in &groups {
        model.append(1, records);
    }
    let last_offset = model.entries.len() as u64;
    let follower = {
        // A directory of its own, as another process has.
        let storage = Arc::new(Directory::open(folder.path()).unwrap());
        thread::spawn(move || follow(storage, last_offset))
    };
    let options = Options {
        segment_bytes: 64 * 1024,
        batch_bytes: 16 * 1024,
        ..Options::default()
    };
    let writer = Writer::start(Arc::clone(&storage), term(1), options, |_| {}).unwrap();
    for (number, records) in groups.into_iter().enumerate() {
        writer.append(records).unwrap();
        if number % 7 == 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }
    writer.close().unwrap();
    assert!(follower.join().unwrap() == model.entries);

    let mut entries = Vec::new();
    let history = history::replay(&storage, |entry| entries.push(entry)).unwrap();
    assert!(entries == model.entries);
    assert!(
        history.files().len() > 5,
        "too few segments to mean anything"
    );
    assert_eq!(history.torn(), None);
}

/// A follower must not take a half-written batch, however the halves appear.
#[test]
fn a_follower_waits_at_every_half_written_byte() {
    let storage = MemoryStorage::new();
    let mut model = Model::default();
    run_term(
        &storage,
        &mut model,
        1,
        &[vec![10, 5000], vec![300], vec![9000], vec![10]],
    )
    .unwrap();
    let names = [segment(1, 1).to_string(), segment(1, 2).to_string()];
    let whole = names.each_ref().map(|name| storage.content(name).unwrap());

    let growing = MemoryStorage::new();
    let mut reader = Reader::open(shared(&growing), Vec::new(), Some(term(1)), None).unwrap();
    assert_eq!(
        reader.next_entry().unwrap(),
        None,
        "there is no segment yet"
    );
    let mut entries = Vec::new();
    for (name, whole) in names.iter().zip(&whole) {
        for length in (0..whole.len()).step_by(1009).chain([whole.len()]) {
            growing.put(name, whole[..length].to_vec());
            while let Some(entry) = reader.next_entry().unwrap() {
                entries.push(entry);
            }
            assert!(
                entries == model.entries[..entries.len()],
                "at {length} of {name}"
            );
        }
    }
    assert!(entries == model.entries);
}

#[test]
fn reading_begins_behind_any_position() {
    let storage = MemoryStorage::new();
    let mut model = Model::default();
    for epoch in [2, 5] {
        let groups = [
            vec![9000, 5],
            vec![9000, 9000],
            vec![10],
            vec![20_000, 1],
            vec![2],
        ];
        run_term(&storage, &mut model, epoch, &groups).unwrap();
    }
    take_over(&storage, 6).unwrap();
    let sealed = history::load(&shared(&storage)).unwrap().files().to_vec();
    let split = sealed
        .iter()
        .position(|file| file.file.term == term(5))
        .unwrap();
    for (index, entry) in model.entries.iter().enumerate() {
        let expected = &model.entries[index + 1..];
        for (files, follow) in [(&sealed[..], None), (&sealed[..split], Some(term(5)))] {
            let after = Some(entry.position);
            let mut reader = Reader::open(shared(&storage), files.to_vec(), follow, after).unwrap();
            let mut entries = Vec::new();
            while let Some(entry) = reader.next_entry().unwrap() {
                entries.push(entry);
            }
            assert!(
                entries == expected,
                "after {}, following {follow:?}",
                entry.position
            );
        }
    }
}

#[test]
fn beginning_in_the_middle_skips_segments() {
    let storage = MemoryStorage::new();
    let groups: Vec<Vec<usize>> = (0..60).map(|_| vec![9000]).collect();
    let mut model = Model::default();
    run_term(&storage, &mut model, 1, &groups).unwrap();
    let reads = |offset: usize| {
        let counted = storage.after_kill();
        let after = (offset > 0).then(|| model.entries[offset - 1].position);
        let mut reader = Reader::open(shared(&counted), Vec::new(), Some(term(1)), after).unwrap();
        while reader.next_entry().unwrap().is_some() {}
        counted.counts().operations
    };
    assert!(reads(59) < reads(0), "{} and {}", reads(59), reads(0));
}

/// A follower never leaves a segment for its successor while something is missing between them.
#[test]
fn a_follower_refuses_a_gap() {
    let storage = MemoryStorage::new();
    run_term(
        &storage,
        &mut Model::default(),
        1,
        &[vec![9000], vec![7000], vec![9000]],
    )
    .unwrap();
    let name = segment(1, 1).to_string();
    let mut bytes = storage.content(&name).unwrap();
    assert!(storage.content(&segment(1, 2).to_string()).is_some());
    bytes.truncate(bytes.len() - 4096);
    storage.put(&name, bytes);
    let mut reader = Reader::open(shared(&storage), Vec::new(), Some(term(1)), None).unwrap();
    assert!(reader.next_entry().unwrap().is_some());
    let text = reader.next_entry().unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("memory/{name} is damaged at byte ")),
        "{text}"
    );
}

#[test]
fn a_real_directory_survives_terms_and_a_cut_tail() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(folder.path()).unwrap());
    std::fs::create_dir(folder.path().join("pair")).unwrap();
    let mut model = Model::default();
    for epoch in 1..=3 {
        let found = history::load(&storage).unwrap();
        seal::write(
            storage.as_ref(),
            &Seal {
                term: term(epoch),
                files: found.files().to_vec(),
            },
        )
        .unwrap();
        let writer = Writer::start(Arc::clone(&storage), term(epoch), SMALL, |_| {}).unwrap();
        for number in 0..5 {
            let records = group(epoch, number, &[10, 9000]);
            model.append(epoch, &records);
            writer.append(records).unwrap();
        }
        writer.close().unwrap();
    }
    let found = history::load(&storage).unwrap();
    let last = found.files().last().unwrap();
    let path = folder.path().join(last.file.to_string());
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(last.length_bytes - 1).unwrap();
    let (cut, entries) = crate::support::read_all(&storage).unwrap();
    assert!(entries == model.entries[..model.entries.len() - 1]);
    assert_eq!(cut.torn().unwrap().file, last.file);
    assert_eq!(
        file.metadata().unwrap().len(),
        last.length_bytes - 1,
        "the file is left alone"
    );

    assert!(Directory::open(path).is_err(), "a file is no directory");
}
