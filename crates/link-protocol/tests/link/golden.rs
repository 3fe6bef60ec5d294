//! The bytes of a handshake, as they were when version 1 was made. A change of the handshake is a new version.

use std::fmt::Write;

use link_protocol::End;

use crate::support::*;

/// Every byte of a handshake and a message each way, one write a line.
fn transcript() -> String {
    let mut text = String::new();
    let mut note = |from, bytes: Vec<u8>| {
        let from = match from {
            End::Dialler => "dialler ",
            End::Acceptor => "acceptor",
        };
        let _ = write!(text, "{from} ");
        for byte in &bytes {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        bytes
    };
    let mut dialler = dialler(settings(primary()));
    let mut acceptor = acceptor(settings(backup()));
    exchange_through(&mut dialler, &mut acceptor, &mut note);
    dialler.send(&message(1), 10);
    note(End::Dialler, output(&mut dialler));
    acceptor.handle_timeout(BEAT_MS);
    note(End::Acceptor, output(&mut acceptor));
    text
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the crate is pure, its tests write golden files"
)]
fn the_bytes_of_version_1_have_not_changed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/link/version-1.txt");
    let now = transcript();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert_eq!(now, kept, "UPDATE_GOLDEN=1 writes {path} anew");
}
