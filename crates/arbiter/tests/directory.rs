//! The record register in a real directory: races, pruning, frozen writers, damaged files.
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail with them")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use arbiter::{DirectoryArbiter, Outcome, ReadError};
use pair::{Incarnation, MAX_RECORD_BYTES, Mode, Record, WriteId};
use tempfile::TempDir;

/// Set for a child that races against its parent.
const RACE_DIR: &str = "TANDEM_TEST_RACE_DIR";
const WINS_PER_RACER: u64 = 500;

fn first() -> Record {
    Record::first("node", Mode::SharedStore)
}

fn next(record: &Record, writer: u8, n: u64) -> Record {
    record.fences_done(
        None,
        WriteId {
            inc: Incarnation([writer; 16]),
            n,
        },
    )
}

fn files(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn record_files(versions: impl Iterator<Item = u64>) -> BTreeSet<String> {
    versions
        .map(|version| format!("record.{version}"))
        .collect()
}

fn won(outcome: &Outcome, version: u64) -> bool {
    matches!(outcome, Outcome::Won { version: won } if *won == version)
}

fn lost(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Conflict)
}

/// Writes `count` versions, one on the other.
fn write(arbiter: &DirectoryArbiter, count: u64) {
    for n in 0..count {
        let newest = arbiter.read().unwrap().unwrap();
        let outcome = arbiter.cas(newest.version, &next(&newest.record, 9, n));
        assert!(won(&outcome, newest.version + 1), "{outcome:?}");
    }
}

#[test]
fn a_record_is_created_once_and_replaced_by_version() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (
        DirectoryArbiter::open(dir.path()).unwrap(),
        DirectoryArbiter::open(dir.path()).unwrap(),
    );
    assert!(one.read().unwrap().is_none());
    assert!(lost(&one.cas(1, &first())), "there is nothing to replace");
    assert!(won(&one.create(&first()), 1));
    assert!(lost(&other.create(&first())));

    let second = next(&first(), 1, 1);
    assert!(won(&other.cas(1, &second), 2));
    assert!(lost(&one.cas(1, &next(&first(), 2, 1))));
    let newest = one.read().unwrap().unwrap();
    assert_eq!((newest.version, newest.record), (2, second));
    assert!(lost(&one.cas(7, &first())), "a version that never was");
    assert_eq!(
        files(dir.path()),
        record_files(1..=2),
        "no temporary file stays"
    );
}

#[test]
fn a_record_too_large_to_be_read_is_refused_before_anything_is_written() {
    let dir = TempDir::new().unwrap();
    let arbiter = DirectoryArbiter::open(dir.path()).unwrap();
    let mut large = first();
    let note = "x".repeat(MAX_RECORD_BYTES);
    large.foreign.insert("note".to_owned(), note.into());
    assert!(matches!(arbiter.create(&large), Outcome::Refused(_)));
    assert!(won(&arbiter.create(&first()), 1));
    assert!(matches!(arbiter.cas(1, &large), Outcome::Refused(_)));
    assert_eq!(files(dir.path()), record_files(1..=1));
    assert!(won(&arbiter.cas(1, &next(&first(), 1, 1)), 2));
}

#[test]
fn a_folder_that_is_missing_or_a_file_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("pair");
    let text = DirectoryArbiter::open(&missing).unwrap_err().to_string();
    assert!(text.contains(missing.to_str().unwrap()), "{text}");
    fs::write(&missing, "").unwrap();
    assert!(DirectoryArbiter::open(&missing).is_err());
}

#[test]
fn the_last_sixteen_versions_are_kept() {
    let dir = TempDir::new().unwrap();
    let arbiter = DirectoryArbiter::open(dir.path()).unwrap();
    assert!(won(&arbiter.create(&first()), 1));
    write(&arbiter, 15);
    assert_eq!(files(dir.path()), record_files(1..=16));
    write(&arbiter, 25);
    assert_eq!(files(dir.path()), record_files(26..=41));
}

#[test]
fn a_writer_that_slept_while_its_base_was_pruned_loses() {
    let dir = TempDir::new().unwrap();
    let (frozen, busy) = (
        DirectoryArbiter::open(dir.path()).unwrap(),
        DirectoryArbiter::open(dir.path()).unwrap(),
    );
    assert!(won(&frozen.create(&first()), 1));
    write(&busy, 40);
    let kept = files(dir.path());
    assert!(lost(&frozen.cas(1, &next(&first(), 1, 1))));
    assert!(lost(&frozen.create(&first())));
    assert_eq!(files(dir.path()), kept);

    // Another frozen writer linked a number that was pruned, and died before it took that back.
    fs::copy(dir.path().join("record.41"), dir.path().join("record.1")).unwrap();
    assert!(lost(&frozen.cas(1, &next(&first(), 1, 2))));
    assert_eq!(frozen.read().unwrap().unwrap().version, 41);
    write(&busy, 1);
    assert_eq!(
        files(dir.path()),
        record_files(27..=42),
        "the leftover is gone, nothing else"
    );
}

#[test]
fn the_same_number_in_a_folder_made_anew_is_another_record() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (
        DirectoryArbiter::open(dir.path()).unwrap(),
        DirectoryArbiter::open(dir.path()).unwrap(),
    );
    assert!(won(&old.create(&first()), 1));
    fs::remove_file(dir.path().join("record.1")).unwrap();
    assert!(won(
        &new.create(&Record::first("another node", Mode::SharedStore)),
        1
    ));

    // Only the look at the base after the link can tell.
    assert!(lost(&old.cas(1, &next(&first(), 1, 1))));
    assert_eq!(
        files(dir.path()),
        record_files(1..=1),
        "what was linked is taken back"
    );
    assert_eq!(old.read().unwrap().unwrap().record.pair, "another node");
}

#[test]
fn a_damaged_newest_version_is_an_error_that_names_it() {
    let dir = TempDir::new().unwrap();
    let arbiter = DirectoryArbiter::open(dir.path()).unwrap();
    assert!(won(&arbiter.create(&first()), 1));
    for text in ["", "{", r#"{"format":1,"pair":7}"#] {
        fs::write(dir.path().join("record.2"), text).unwrap();
        let error = arbiter.read().unwrap_err();
        assert!(matches!(error, ReadError::Malformed { .. }), "{error:?}");
        let path = dir.path().join("record.2");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    fs::write(dir.path().join("record.2"), r#"{"format":2}"#).unwrap();
    let error = arbiter.read().unwrap_err();
    assert!(
        matches!(error, ReadError::NewerFormat { format: 2, .. }),
        "{error:?}"
    );
    // Names that are no versions.
    fs::remove_file(dir.path().join("record.2")).unwrap();
    for name in [
        "record.",
        "record.03",
        "record.+3",
        "record.3.tmp",
        ".record.3",
    ] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    assert_eq!(arbiter.read().unwrap().unwrap().version, 1);
}

/// Wins so many times against whoever else is at it; returns the versions won.
fn race(dir: &Path, writer: u8) -> Vec<u64> {
    let arbiter = DirectoryArbiter::open(dir).unwrap();
    let mut wins = Vec::new();
    // Losing is as usual as winning; without progress the race ends all the same.
    for n in 0..WINS_PER_RACER * 200 {
        if wins.len() as u64 == WINS_PER_RACER {
            break;
        }
        let newest = arbiter.read().unwrap().unwrap();
        match arbiter.cas(newest.version, &next(&newest.record, writer, n)) {
            Outcome::Won { version } => wins.push(version),
            Outcome::Conflict => {}
            Outcome::Unknown(error) => panic!("{error}"),
            Outcome::Refused(error) => panic!("{error}"),
        }
    }
    wins
}

#[test]
fn of_racing_threads_and_processes_each_version_has_one_winner() {
    if let Some(dir) = std::env::var_os(RACE_DIR) {
        // The harness has begun a line of its own.
        println!();
        for version in race(Path::new(&dir), 7) {
            println!("won {version}");
        }
        return;
    }
    let dir = TempDir::new().unwrap();
    let arbiter = DirectoryArbiter::open(dir.path()).unwrap();
    assert!(won(&arbiter.create(&first()), 1));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "of_racing_threads_and_processes_each_version_has_one_winner",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(RACE_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let path = dir.path();
    let mut wins: Vec<u64> = std::thread::scope(|scope| {
        let racers = [1, 2].map(|writer| scope.spawn(move || race(path, writer)));
        racers
            .into_iter()
            .flat_map(|racer| racer.join().unwrap())
            .collect()
    });
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    wins.extend(lines.filter_map(|line| line.strip_prefix("won ")?.parse::<u64>().ok()));
    assert!(child.wait().unwrap().success());

    wins.sort_unstable();
    let twice = wins.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "two racers were told that they had won");
    assert_eq!(wins.len() as u64, 3 * WINS_PER_RACER);
    // A racer that sleeps between its link and its last look, while sixteen versions pass, is told of a conflict
    // although its version is in place: a conflict is no "no" (A2). On a busy machine that happens.
    let newest = arbiter.read().unwrap().unwrap();
    assert_eq!(
        newest.record.serial + 1,
        newest.version,
        "every version was made from the one before it"
    );
    let unclaimed = newest.version - 1 - 3 * WINS_PER_RACER;
    assert!(
        unclaimed * 20 < newest.version,
        "{unclaimed} wins were not reported"
    );
}
