//! Term files: the lock lives and dies with its process, and the mark goes one way.
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail with them")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use arbiter::{Mark, Probe, TermFile};
use pair::{Incarnation, Term};
use tempfile::TempDir;

/// Set for a child that holds a term until it is ended.
const HOLD_DIR: &str = "TANDEM_TEST_HOLD_DIR";

const TERM: Term = Term {
    epoch: 4,
    inc: Incarnation([0xab; 16]),
};

fn probe(dir: &Path) -> Probe {
    TermFile::probe(dir, TERM).unwrap()
}

fn mark(dir: &Path) -> Mark {
    TermFile::mark(dir, TERM).unwrap()
}

#[test]
fn the_lock_is_held_until_the_file_is_dropped_and_a_test_does_not_take_it() {
    let dir = TempDir::new().unwrap();
    assert_eq!(probe(dir.path()), Probe::Absent);
    let held = TermFile::create(dir.path(), TERM).unwrap();
    assert_eq!([probe(dir.path()), probe(dir.path())], [Probe::Held; 2]);
    // What ends a classic lock: another descriptor of the file, closed.
    drop(File::open(dir.path().join(TERM.file_name())).unwrap());
    assert_eq!(probe(dir.path()), Probe::Held);
    let text = TermFile::create(dir.path(), TERM).unwrap_err().to_string();
    assert!(
        text.contains(&TERM.file_name()),
        "a term file is made once: {text}"
    );
    drop(held);
    assert_eq!([probe(dir.path()), probe(dir.path())], [Probe::Free; 2]);
    TermFile::delete(dir.path(), TERM).unwrap();
    TermFile::delete(dir.path(), TERM).unwrap();
    assert_eq!(probe(dir.path()), Probe::Absent);
}

#[test]
fn the_lock_ends_with_its_process() {
    if let Some(dir) = std::env::var_os(HOLD_DIR) {
        // Its lines start after the one the harness has begun.
        let _held = TermFile::create(Path::new(&dir), TERM).unwrap();
        // A child of the holder must not inherit the lock: it outlives the holder here.
        let mut sleeper = Command::new("sleep")
            .arg("30")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        println!("\nholds {}", sleeper.id());
        std::io::stdout().flush().unwrap();
        // Ended from outside; by itself after the longest time the test could take.
        sleeper.wait().unwrap();
        return;
    }
    let dir = TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_lock_ends_with_its_process", "--nocapture"])
        .env(HOLD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let sleeper = lines
        .find_map(|line| line.strip_prefix("holds ")?.parse::<i32>().ok())
        .unwrap();
    assert_eq!(probe(dir.path()), Probe::Held);
    child.kill().unwrap();
    child.wait().unwrap();
    let pid = nix::unistd::Pid::from_raw(sleeper);
    assert_eq!(
        nix::sys::signal::kill(pid, None),
        Ok(()),
        "its child still runs"
    );
    assert_eq!(probe(dir.path()), Probe::Free);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn the_mark_goes_from_open_to_fenced_and_a_missing_file_counts_as_marked() {
    let dir = TempDir::new().unwrap();
    assert_eq!(mark(dir.path()), Mark::Missing);
    TermFile::fence(dir.path(), TERM).unwrap();
    assert_eq!(mark(dir.path()), Mark::Missing, "fencing makes no file");

    let held = TermFile::create(dir.path(), TERM).unwrap();
    assert_eq!(mark(dir.path()), Mark::Open);
    for _ in 0..2 {
        TermFile::fence(dir.path(), TERM).unwrap();
        assert_eq!(mark(dir.path()), Mark::Fenced);
    }
    assert_eq!(
        probe(dir.path()),
        Probe::Held,
        "fencing leaves the lock alone"
    );
    drop(held);
    fs::write(dir.path().join(TERM.file_name()), "").unwrap();
    assert_eq!(
        mark(dir.path()),
        Mark::Fenced,
        "an emptied file is not open"
    );
}

fn term(epoch: u64, inc: u8) -> Term {
    Term {
        epoch,
        inc: Incarnation([inc; 16]),
    }
}

#[test]
fn a_taker_fences_every_lower_term_and_no_other() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let own = term(9, 1);
    let lower = [term(7, 2), term(8, 3), term(8, 4)];
    let files: Vec<TermFile> = [lower[0], lower[1], lower[2], own, term(9, 5)]
        .map(|term| TermFile::create(dir, term).unwrap())
        .into();
    fs::write(dir.join("term.08.nonsense"), "o").unwrap();
    for _ in 0..2 {
        TermFile::fence_below(dir, own).unwrap();
        for term in lower {
            assert_eq!(TermFile::mark(dir, term).unwrap(), Mark::Fenced, "{term}");
        }
        for term in [own, term(9, 5)] {
            assert_eq!(TermFile::mark(dir, term).unwrap(), Mark::Open, "{term}");
        }
    }
    drop(files);
}

#[test]
fn a_taker_goes_no_further_beside_a_later_term() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    for term in [term(7, 1), term(8, 2), term(10, 3)] {
        drop(TermFile::create(dir, term).unwrap());
    }
    let text = TermFile::fence_below(dir, term(8, 2))
        .unwrap_err()
        .to_string();
    assert!(text.contains("term.10.03"), "{text}");
    assert!(text.contains("rolled back"), "{text}");
    assert_eq!(TermFile::mark(dir, term(10, 3)).unwrap(), Mark::Open);
}

#[test]
fn old_term_files_go_once_nobody_holds_them() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let frozen = TermFile::create(dir, term(2, 1)).unwrap();
    for epoch in [1, 3, 4] {
        drop(TermFile::create(dir, term(epoch, 1)).unwrap());
    }
    TermFile::fence_below(dir, term(19, 1)).unwrap();
    let mark = |epoch| TermFile::mark(dir, term(epoch, 1)).unwrap();
    assert_eq!(
        [1, 2, 3, 4].map(mark),
        [Mark::Missing, Mark::Fenced, Mark::Missing, Mark::Fenced]
    );
    drop(frozen);
}

#[test]
fn the_self_test_passes_on_a_local_disk_and_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    assert!(TermFile::self_test(dir.path()).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(TermFile::self_test(&dir.path().join("missing")).is_err());
}

#[test]
fn a_lock_excludes_a_second_descriptor_of_the_same_process() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("lock");
    let (first, second) = (File::create(&path).unwrap(), File::create(&path).unwrap());
    assert!(arbiter::lock::try_exclusive(&first).unwrap());
    assert!(arbiter::lock::is_held(&second).unwrap());
    assert!(
        !arbiter::lock::is_held(&first).unwrap(),
        "one's own lock is not another's"
    );
    assert!(!arbiter::lock::try_exclusive(&second).unwrap());
    let duplicate = first.try_clone().unwrap();
    drop(first);
    assert!(
        !arbiter::lock::try_exclusive(&second).unwrap(),
        "a duplicate keeps it"
    );
    drop(duplicate);
    assert!(arbiter::lock::try_exclusive(&second).unwrap());
}
