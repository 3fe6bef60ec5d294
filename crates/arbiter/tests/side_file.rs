//! Side files: written whole, read with tolerance.

use std::fs;

use arbiter::{DirectoryArbiter, SideFile};
use pair::{Incarnation, Side};
use tempfile::TempDir;

#[test]
fn a_side_reads_what_the_other_left() {
    let dir = TempDir::new().unwrap();
    let arbiter = DirectoryArbiter::open(dir.path()).unwrap();
    assert_eq!(arbiter.read_side(Side::Primary).unwrap(), None);

    let inc = Incarnation([5; 16]);
    let file = SideFile::new(
        inc,
        "artemis",
        ("127.0.0.1", 61616),
        Some(61615),
        "127.0.0.1:8161",
        77,
    );
    arbiter.write_side(Side::Primary, &file).unwrap();
    assert_eq!(
        arbiter.read_side(Side::Primary).unwrap().as_ref(),
        Some(&file)
    );
    assert_eq!(arbiter.read_side(Side::Backup).unwrap(), None);
    let seen = file.peer_info();
    assert_eq!(
        (seen.connector.as_str(), seen.inc, seen.leaving),
        ("127.0.0.1:61616", inc, false)
    );

    arbiter
        .write_side(Side::Primary, &file.leaving(true))
        .unwrap();
    assert!(
        arbiter
            .read_side(Side::Primary)
            .unwrap()
            .unwrap()
            .peer_info()
            .leaving
    );
    assert!(
        arbiter.read().unwrap().is_none(),
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
    let arbiter = DirectoryArbiter::open(dir.path()).unwrap();
    for text in ["", "{", "{}", r#"{"format":1,"inc":"xyz"}"#] {
        fs::write(dir.path().join("side.backup"), text).unwrap();
        assert_eq!(arbiter.read_side(Side::Backup).unwrap(), None, "{text}");
    }
}
