//! What anybody on the network may send.

use link_protocol::{Connection, Event, MAX_HANDSHAKE_FRAME_BYTES, Reason, Why};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::*;

fn reason(connection: &mut Connection) -> Option<Reason> {
    events(connection)
        .into_iter()
        .find_map(|event| match event {
            Event::Closed(Why::Refused(refusal) | Why::RefusedBy(refusal)) => Some(refusal.reason),
            Event::Closed(Why::Ended)
            | Event::Proven(_)
            | Event::Up
            | Event::Message(_)
            | Event::Unreadable => None,
        })
}

#[test]
fn what_is_no_link_is_told_so_by_its_first_byte() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"ARTEMIS",
        b"AMQP\0\x01\0\0",
        b"T\0",
        &[0xff; 100],
    ] {
        let mut connection = acceptor(settings(primary()));
        connection.handle_input(bytes, 0);
        assert_eq!(reason(&mut connection), Some(Reason::NotALink));
        let said = output(&mut connection);
        assert!(String::from_utf8_lossy(&said).contains("acceptors' ports"));
    }
    // Whoever dials another kind of server says nothing more to it.
    let mut connection = dialler(settings(primary()));
    output(&mut connection);
    connection.handle_input(b"HTTP/1.1 400 Bad Request", 0);
    assert_eq!(reason(&mut connection), Some(Reason::NotALink));
    assert!(output(&mut connection).is_empty());
}

#[test]
fn a_large_frame_is_refused_by_its_header_and_strange_ones_too() {
    let preamble = output(&mut dialler(settings(primary())));
    let too_large = u32::try_from(MAX_HANDSHAKE_FRAME_BYTES + 1).unwrap();
    let too_large = [&too_large.to_be_bytes()[..], &[1]].concat();
    for (bytes, expected) in [
        (&too_large[..], Reason::TooLarge),
        (&[0xff, 0xff, 0xff, 0xff, 1], Reason::TooLarge),
        (&[0, 0, 0, 0, 0], Reason::Malformed),
        (&[0, 0, 0, 0, 99], Reason::Malformed),
        // A message before the handshake, a proof before the hello, an empty hello.
        (&[0, 0, 0, 0, 6], Reason::Malformed),
        (&[0, 0, 0, 0, 2], Reason::Malformed),
        (&[0, 0, 0, 0, 1], Reason::Malformed),
        // A refusal without a reason.
        (&[0, 0, 0, 0, 4], Reason::Other),
    ] {
        let mut connection = acceptor(settings(backup()));
        connection.handle_input(&preamble, 0);
        connection.handle_input(bytes, 0);
        assert_eq!(reason(&mut connection), Some(expected), "{bytes:?}");
    }
}

#[test]
fn a_refusal_is_one_short_line_whatever_it_says() {
    let mut connection = acceptor(settings(backup()));
    connection.handle_input(&output(&mut dialler(settings(primary()))), 0);
    let text = b"\x06line\nWARN forged\x1b[31m".repeat(200);
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    connection.handle_input(&[&length[..], &[4], &text].concat(), 0);
    let [Event::Closed(Why::RefusedBy(refusal))] = &events(&mut connection)[..] else {
        panic!("not refused");
    };
    assert!(refusal.text.len() <= link_protocol::MAX_TEXT_BYTES);
    assert!(!refusal.text.contains(char::is_control));
}

proptest! {
    #[test]
    fn garbage_never_authenticates(pieces in vec(vec(any::<u8>(), 0..200), 0..20), dials: bool) {
        let mut connection = if dials {
            dialler(settings(primary()))
        } else {
            acceptor(settings(primary()))
        };
        for piece in pieces {
            connection.handle_input(&piece, 0);
        }
        prop_assert!(!connection.is_up());
    }

    /// Garbage after a good beginning gets further.
    #[test]
    fn garbage_within_a_handshake_never_authenticates(
        good in 0..600_usize,
        garbage in vec(any::<u8>(), 1..300),
        dials: bool,
    ) {
        let (mut victim, mut helper) = if dials {
            (dialler(settings(primary())), acceptor(settings(backup())))
        } else {
            (acceptor(settings(backup())), dialler(settings(primary())))
        };
        let mut left = good;
        let mut proven = false;
        for _ in 0..4 {
            let said = output(&mut helper);
            let taken = said.len().min(left);
            left -= taken;
            victim.handle_input(&said[..taken], 0);
            proven |= events(&mut victim).iter().any(|event| matches!(event, Event::Proven(_)));
            if taken < said.len() || proven {
                break;
            }
            helper.handle_input(&output(&mut victim), 0);
            events(&mut helper);
        }
        prop_assume!(!proven);
        victim.handle_input(&garbage, 0);
        prop_assert!(!events(&mut victim).iter().any(|event| matches!(event, Event::Proven(_))));
    }

    /// One bit that is changed on the way, anywhere, and nobody takes the other for proven who
    /// heard it.
    #[test]
    fn no_changed_bit_of_a_handshake_is_believed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut lengths = [0, 0];
        let (mut one, mut other) = (dialler(settings(primary())), acceptor(settings(backup())));
        exchange_through(&mut one, &mut other, |from, bytes| {
            lengths[from as usize] += bytes.len();
            bytes
        });
        let at = at.index(lengths[0] + lengths[1]);
        let (changed_end, at) = if at < lengths[0] { (0, at) } else { (1, at - lengths[0]) };

        let (mut one, mut other) = (dialler(settings(primary())), acceptor(settings(backup())));
        let mut passed = [0, 0];
        let [at_one, at_other] = exchange_through(&mut one, &mut other, |from, mut bytes| {
            let from = from as usize;
            if from == changed_end && (passed[from]..passed[from] + bytes.len()).contains(&at) {
                bytes[at - passed[from]] ^= 1 << bit;
            }
            passed[from] += bytes.len();
            bytes
        });
        // The acceptor is up only after the dialler's last word, which only comes if all was right.
        prop_assert!(!at_other.contains(&Event::Up), "{at_other:?}");
        if changed_end == 1 {
            prop_assert!(!at_one.contains(&Event::Up), "{at_one:?}");
        }
    }
}
