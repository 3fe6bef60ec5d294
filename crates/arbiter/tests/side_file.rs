//! Side files: written whole, read with tolerance.

use std::fs;

use arbiter::{DirectoryArbiter, SideFile, SideFiles};
use pair::{Draining, Incarnation, Side};
use tempfile::TempDir;

#[test]
fn a_side_reads_what_the_other_left() {
    let dir = TempDir::new().unwrap();
    let sides = SideFiles::in_folder(dir.path());
    assert_eq!(sides.read(Side::Primary).unwrap(), None);

    let inc = Incarnation([5; 16]);
    let file = SideFile::new(
        inc,
        "artemis",
        ("127.0.0.1", 61616),
        Some(61615),
        "127.0.0.1:8161",
        77,
    );
    sides.write(Side::Primary, &file).unwrap();
    assert_eq!(sides.read(Side::Primary).unwrap().as_ref(), Some(&file));
    assert_eq!(sides.read(Side::Backup).unwrap(), None);
    let seen = file.peer_info(true);
    assert_eq!(
        (seen.connector.as_str(), seen.inc, seen.leaving),
        ("127.0.0.1:61616", inc, false)
    );

    let draining = Some(Draining {
        epoch: 3,
        since_unix_ms: 1_000,
    });
    let file = file.draining(draining);
    sides.write(Side::Primary, &file).unwrap();
    let seen = sides.read(Side::Primary).unwrap().unwrap();
    assert_eq!(seen.peer_info(false).draining, draining);

    sides.write(Side::Primary, &file.leaving(true)).unwrap();
    assert!(
        sides
            .read(Side::Primary)
            .unwrap()
            .unwrap()
            .peer_info(true)
            .leaving
    );
    assert!(
        DirectoryArbiter::open(dir.path())
            .unwrap()
            .read()
            .unwrap()
            .is_none(),
        "a side file is no record"
    );
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn what_is_no_side_file_reads_as_none() {
    let dir = TempDir::new().unwrap();
    let sides = SideFiles::in_folder(dir.path());
    for text in ["", "{", "{}", r#"{"format":1,"inc":"xyz"}"#] {
        fs::write(dir.path().join("side.backup"), text).unwrap();
        assert_eq!(sides.read(Side::Backup).unwrap(), None, "{text}");
    }
}

#[test]
fn a_side_is_alive_while_one_of_its_processes_holds_its_lock() {
    let dir = TempDir::new().unwrap();
    let arbiter = DirectoryArbiter::open(dir.path()).unwrap();
    let (one, other) = (arbiter.sides(), SideFiles::in_folder(dir.path()));
    let alive = |side| other.is_alive(side).unwrap();
    assert!(!alive(Side::Primary));
    let held = one.hold(Side::Primary).unwrap().unwrap();
    assert!(other.hold(Side::Primary).unwrap().is_none());
    assert!(alive(Side::Primary) && alive(Side::Primary) && !alive(Side::Backup));
    drop(held);
    assert!(!alive(Side::Primary));
    let again = other.hold(Side::Primary).unwrap();
    assert!(again.is_some(), "a restarted side takes it again");
    assert!(
        arbiter.read().unwrap().is_none(),
        "a lock file is no record"
    );
}
