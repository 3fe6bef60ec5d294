//! Who may be the other end, and what both are told when it is not.

use link_protocol::{
    Connection, End, Event, HANDSHAKE_LIMIT_MS, Key, Local, Reason, Refusal, Settings, Versions,
    Why,
};
use pair::{Mode, Side};

use crate::support::*;

/// Header and proof.
const FRAME_OF_PROOF_BYTES: usize = 5 + 32;

/// The reason that both ends report, and its sentence.
fn both_refuse(dialler: &mut Connection, acceptor: &mut Connection) -> Refusal {
    let [at_dialler, at_acceptor] = exchange(dialler, acceptor);
    for events in [&at_dialler, &at_acceptor] {
        assert!(!events.contains(&Event::Up), "{events:?}");
    }
    let (Some(Event::Closed(one)), Some(Event::Closed(other))) =
        (at_dialler.last(), at_acceptor.last())
    else {
        panic!("not closed at both ends: {at_dialler:?} {at_acceptor:?}");
    };
    match (one, other) {
        (Why::Refused(own), Why::RefusedBy(told)) | (Why::RefusedBy(told), Why::Refused(own)) => {
            assert_eq!(own, told);
            own.clone()
        }
        // Both saw it by themselves.
        (Why::Refused(one), Why::Refused(other)) => {
            assert_eq!(one.reason, other.reason);
            one.clone()
        }
        _ => panic!("{one:?} {other:?}"),
    }
}

fn refuse(dialled_by: Settings, accepted_by: Settings) -> Refusal {
    both_refuse(&mut dialler(dialled_by), &mut acceptor(accepted_by))
}

#[test]
fn two_sides_of_a_pair_get_to_know_each_other_in_either_direction() {
    for (one, other) in [(primary(), backup()), (backup(), primary())] {
        let mut dialler = dialler(settings(one.clone()));
        let mut acceptor = acceptor(settings(other.clone()));
        let seen = exchange(&mut dialler, &mut acceptor);
        assert_eq!(seen[0], [Event::Proven(identity(other)), Event::Up]);
        assert_eq!(seen[1], [Event::Proven(identity(one)), Event::Up]);
    }
}

#[test]
fn a_wrong_password_or_user_is_told_to_both_and_never_shown() {
    for (user, password) in [
        ("clusterUser", "Tr0ub4dor"),
        ("Tr0ub4dor", "clusterPassword"),
    ] {
        let other = Settings {
            key: Key::derive(user, password),
            ..settings(backup())
        };
        let mut dialler = dialler(settings(primary()));
        let mut acceptor = acceptor(other);
        let mut wire = Vec::new();
        exchange_through(&mut dialler, &mut acceptor, |_, bytes| {
            wire.extend_from_slice(&bytes);
            bytes
        });
        let wire = String::from_utf8_lossy(&wire);
        assert!(wire.contains("wrong cluster user or password"), "{wire}");
        assert!(!wire.contains("Tr0ub4dor") && !wire.contains("clusterPassword"));
        assert!(dialler.is_over() && acceptor.is_over());
    }
    let other = Settings {
        key: Key::derive("clusterUser", "other"),
        ..settings(backup())
    };
    let refusal = refuse(settings(primary()), other);
    assert_eq!(refusal.reason, Reason::Credentials);
}

#[test]
fn who_does_not_belong_together_is_told_why() {
    let cases: [(Local, Reason, &str); 5] = [
        (
            Local {
                pair: Some("other".to_owned()),
                ..backup()
            },
            Reason::OtherPair,
            "to pair other",
        ),
        (
            Local {
                mode: Mode::Replication,
                ..backup()
            },
            Reason::OtherMode,
            "shared-store",
        ),
        (
            Local {
                side: Side::Primary,
                ..backup()
            },
            Reason::SameSide,
            "are both the primary",
        ),
        (primary(), Reason::OwnProcess, "dialled itself"),
        (
            Local {
                pair: None,
                ..backup()
            },
            Reason::PairUnknown,
            "not read the pair record",
        ),
    ];
    for (other, reason, words) in cases {
        let passes = matches!(reason, Reason::OwnProcess | Reason::PairUnknown);
        for refusal in [
            refuse(settings(primary()), settings(other.clone())),
            refuse(settings(other), settings(primary())),
        ] {
            assert_eq!(refusal.reason, reason);
            assert!(refusal.text.contains(words), "{refusal}");
            assert_eq!(refusal.reason.is_passing(), passes);
        }
    }
}

#[test]
fn a_side_that_does_not_know_its_pair_does_not_dial() {
    let mut dialler = dialler(settings(Local {
        pair: None,
        ..primary()
    }));
    assert!(dialler.is_over());
    let [Event::Closed(Why::Refused(refusal))] = &events(&mut dialler)[..] else {
        panic!("not refused");
    };
    assert_eq!(refusal.reason, Reason::PairUnknown);
}

#[test]
fn the_highest_common_version_counts_and_none_is_told_with_both_ranges() {
    let speaking = |local, min, max| Settings {
        versions: Versions { min, max },
        ..settings(local)
    };
    let mut one = dialler(speaking(primary(), 1, 4));
    let mut other = acceptor(speaking(backup(), 1, 1));
    exchange(&mut one, &mut other);
    assert!(one.is_up() && other.is_up());

    let mut one = dialler(speaking(primary(), 2, 4));
    let mut other = acceptor(speaking(backup(), 1, 1));
    let [at_one, at_other] = exchange(&mut one, &mut other);
    for events in [at_one, at_other] {
        let [Event::Closed(Why::Refused(refusal))] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(refusal.reason, Reason::Version);
        assert!(refusal.text.contains("2 to 4"), "{refusal}");
        assert!(refusal.text.contains('1'), "{refusal}");
    }
}

#[test]
fn the_caller_may_refuse_a_proven_process() {
    let mut one = dialler(settings(primary()));
    let mut other = acceptor(settings(backup()));
    for _ in 0..2 {
        other.handle_input(&output(&mut one), 0);
        one.handle_input(&output(&mut other), 0);
    }
    assert!(matches!(events(&mut other)[..], [Event::Proven(_)]));
    let refusal = Refusal::new(Reason::AnotherProcess, "another one is connected");
    other.refuse(refusal.clone());
    one.handle_input(&output(&mut other), 0);
    assert_eq!(
        events(&mut one),
        [Event::Closed(Why::RefusedBy(refusal.clone()))]
    );
    assert_eq!(events(&mut other), [Event::Closed(Why::Refused(refusal))]);
}

#[test]
fn a_handshake_has_a_time_limit_at_both_ends() {
    for mut silent in [dialler(settings(primary())), acceptor(settings(primary()))] {
        assert_eq!(silent.poll_timeout(), Some(HANDSHAKE_LIMIT_MS));
        silent.handle_timeout(HANDSHAKE_LIMIT_MS - 1);
        assert!(!silent.is_over());
        silent.handle_timeout(HANDSHAKE_LIMIT_MS);
        let [Event::Closed(Why::Refused(refusal))] = &events(&mut silent)[..] else {
            panic!("not closed");
        };
        assert_eq!(refusal.reason, Reason::Slow);
        assert_eq!(silent.poll_timeout(), None);
        assert!(!output(&mut silent).is_empty());
    }
}

#[test]
fn a_handshake_byte_by_byte_is_one_and_takes_no_longer() {
    let mut one = dialler(settings(primary()));
    let mut other = acceptor(settings(backup()));
    while !(one.is_up() && other.is_up()) {
        for (from, to) in [(true, false), (false, true)] {
            let bytes = output(if from { &mut one } else { &mut other });
            let to = if to { &mut one } else { &mut other };
            for byte in bytes {
                to.handle_input(&[byte], HANDSHAKE_LIMIT_MS - 1);
                if events(to)
                    .iter()
                    .any(|event| matches!(event, Event::Proven(_)))
                {
                    to.admit(HANDSHAKE_LIMIT_MS - 1);
                }
            }
        }
    }

    let mut trickles = acceptor(settings(backup()));
    for byte in output(&mut dialler(settings(primary()))) {
        trickles.handle_input(&[byte], HANDSHAKE_LIMIT_MS - 1);
    }
    assert_eq!(trickles.poll_timeout(), Some(HANDSHAKE_LIMIT_MS));
}

#[test]
fn an_end_that_closes_is_noticed() {
    let mut one = dialler(settings(primary()));
    one.handle_end();
    assert_eq!(events(&mut one), [Event::Closed(Why::Ended)]);
    one.handle_end();
    one.handle_timeout(1 << 40);
    one.handle_input(b"late", 0);
    assert!(events(&mut one).is_empty());
}

#[test]
fn nothing_is_of_use_in_another_connection_or_direction() {
    // A whole handshake, recorded.
    let mut recorded = [Vec::new(), Vec::new()];
    let mut one = dialler(settings(primary()));
    let mut other = acceptor(settings(backup()));
    exchange_through(&mut one, &mut other, |from, bytes| {
        recorded[from as usize].extend_from_slice(&bytes);
        bytes
    });
    let [from_dialler, from_acceptor] = recorded;

    // Played again to an acceptor with a new nonce.
    let fresh = |end, local| Connection::new(end, settings(local), [0x77; 32], 0);
    let mut again = fresh(End::Acceptor, backup());
    again.handle_input(&from_dialler, 0);
    let refused = |connection: &mut Connection| {
        let seen = events(connection);
        assert!(
            matches!(&seen[..], [Event::Closed(Why::Refused(refusal))]
                if refusal.reason == Reason::Credentials),
            "{seen:?}"
        );
    };
    refused(&mut again);
    // Played again to a dialler with a new nonce.
    let mut again = fresh(End::Dialler, primary());
    again.handle_input(&from_acceptor, 0);
    refused(&mut again);

    // A mirror that has learned the beginning: whoever is dialled says what the dialler says.
    let (beginning, _proof) = from_acceptor.split_at(from_acceptor.len() - FRAME_OF_PROOF_BYTES);
    let mut lonely = fresh(End::Dialler, primary());
    lonely.handle_input(beginning, 0);
    let said = output(&mut lonely);
    let own_proof = &said[said.len() - FRAME_OF_PROOF_BYTES..];
    lonely.handle_input(own_proof, 0);
    refused(&mut lonely);
}
