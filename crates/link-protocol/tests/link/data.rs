//! Data over a connection of its own: whole frames in their order, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test's helper fails its test")]

use link_protocol::{
    Connection, DATA_HEADER_BYTES, DataError, DataReceiver, DataSender, Event, Local,
    MAX_DATA_FRAME_BYTES, Purpose,
};

use crate::support::{acceptor, backup, dialler, exchange, primary, settings};

/// Two ends of a data connection that are up, and who the acceptor has seen.
fn connected() -> (Connection, Connection, Vec<Event>) {
    let local = Local {
        purpose: Purpose::Data { session: 7 },
        ..backup()
    };
    let mut dialler = dialler(settings(local));
    let mut acceptor = acceptor(settings(primary()));
    let [_, seen] = exchange(&mut dialler, &mut acceptor);
    (dialler, acceptor, seen)
}

/// A sender at the acceptor's end, and the receiver of the one who dialled.
fn channel() -> (DataSender, DataReceiver) {
    let (dialler, acceptor, _) = connected();
    let (_, receiver) = dialler.into_data().unwrap();
    let (sender, _) = acceptor.into_data().unwrap();
    (sender, receiver)
}

fn take(receiver: &mut DataReceiver, frame: &[u8]) -> Result<(u8, Vec<u8>), DataError> {
    let (header, sealed) = frame.split_at(DATA_HEADER_BYTES);
    let (kind, length) = receiver.header(header.try_into().unwrap())?;
    assert_eq!(length, sealed.len());
    receiver
        .open(kind, sealed)
        .map(|body| (kind, body.to_vec()))
}

#[test]
fn frames_come_as_they_were_sent() {
    let (mut sender, mut receiver) = channel();
    for (kind, body) in [(32, vec![]), (40, vec![7; 300_000]), (255, b"end".to_vec())] {
        let frame = sender.frame(kind, &body);
        assert_eq!(take(&mut receiver, &frame), Ok((kind, body)));
    }
}

#[test]
fn a_frame_that_was_changed_left_out_or_doubled_is_refused() {
    let (mut sender, mut receiver) = channel();
    let (first, second) = (sender.frame(33, b"one"), sender.frame(33, b"two"));
    assert_eq!(
        take(&mut receiver, &second),
        Err(DataError::Tag),
        "left out"
    );
    let (mut sender, mut receiver) = channel();
    let frame = sender.frame(33, b"one");
    assert!(take(&mut receiver, &frame).is_ok());
    assert_eq!(take(&mut receiver, &frame), Err(DataError::Tag), "doubled");
    let (_, mut other) = channel();
    assert!(
        take(&mut other, &first).is_ok(),
        "the key is of the handshake, which is the same here"
    );
    for at in 4..first.len() {
        let (_, mut receiver) = channel();
        let mut changed = first.to_vec();
        changed[at] ^= 1;
        assert!(take(&mut receiver, &changed).is_err(), "byte {at}");
    }
}

#[test]
fn lengths_and_kinds_are_bounded_before_anything_is_kept() {
    let (_, receiver) = channel();
    let header = |length: usize, kind| {
        let [a, b, c, d] = u32::try_from(length).unwrap().to_be_bytes();
        receiver.header([a, b, c, d, kind])
    };
    assert!(header(MAX_DATA_FRAME_BYTES, 32).is_ok());
    assert_eq!(
        header(MAX_DATA_FRAME_BYTES + 1, 32),
        Err(DataError::TooLarge(MAX_DATA_FRAME_BYTES + 1))
    );
    assert_eq!(header(0, 32), Err(DataError::TooLarge(0)), "no tag");
    assert_eq!(header(100, 6), Err(DataError::Kind(6)), "a message");
}

#[test]
fn what_a_connection_is_for_is_proved_with_the_rest() {
    let (_, _, seen) = connected();
    let proven = seen.iter().find_map(|event| match event {
        Event::Proven(peer) => Some(peer.purpose),
        Event::Up | Event::Message(_) | Event::Unreadable | Event::Closed(_) => None,
    });
    assert_eq!(proven, Some(Purpose::Data { session: 7 }));
}
