//! What passes over a link that is up.

use link_protocol::{Event, MAX_QUEUED_MESSAGES, Reason, Refusal, Why};
use pair::{Beat, Body, Grant, Incarnation, Locks, Message, Resign, Role, Still, Term};
use proptest::prelude::*;

use crate::support::*;

#[test]
fn every_kind_of_message_arrives_as_it_was_sent() {
    let term = Term {
        epoch: 7,
        inc: Incarnation([0xa1; 16]),
    };
    let bodies = [
        Body::Beat(Beat {
            n: u64::MAX,
            echo: 1,
            role: Role::Standby,
            term: Some(term),
            ask_ms: Some(0),
            head: 2,
            record_version: 3,
            record_serial: 4,
            locks: Some(Locks::Seen),
            reading: true,
        }),
        Body::Grant(Grant {
            asked_ms: 1,
            term,
            grantor: Incarnation([0xb2; 16]),
            promise_ms: 2_000,
        }),
        Body::Resign(Resign { term, idle_ms: 3 }),
        Body::Leave,
        Body::AskStill(Still { term, nonce: 4 }),
        Body::Still(Still { term, nonce: 4 }),
    ];
    let messages = bodies.map(|body| Message { epoch: 9, body });
    let (mut one, mut other) = connected();
    for message in &messages {
        assert!(one.send(message, 10));
        other.handle_input(&output(&mut one), 10);
        assert_eq!(events(&mut other), [Event::Message(message.clone())]);
        assert!(other.send(message, 10));
        one.handle_input(&output(&mut other), 10);
        assert_eq!(events(&mut one), [Event::Message(message.clone())]);
    }
}

#[test]
fn of_too_many_messages_the_newest_go() {
    let (mut one, mut other) = connected();
    for number in 0..100 {
        one.send(&message(number), 10);
    }
    other.handle_input(&output(&mut one), 10);
    let first = 100 - MAX_QUEUED_MESSAGES as u64;
    let expected: Vec<Event> = (first..100)
        .map(|number| Event::Message(message(number)))
        .collect();
    assert_eq!(events(&mut other), expected);
}

#[test]
fn a_sign_of_life_goes_when_nothing_else_did_and_silence_ends_the_link() {
    let (mut one, other) = connected();
    assert_eq!(one.poll_timeout(), Some(BEAT_MS));
    one.send(&message(1), 100);
    output(&mut one);
    one.handle_timeout(BEAT_MS);
    assert!(output(&mut one).is_empty());
    assert_eq!(one.poll_timeout(), Some(100 + BEAT_MS));
    one.handle_timeout(100 + BEAT_MS);
    assert!(!output(&mut one).is_empty());

    // Nothing of it reaches the other end.
    let mut one = other;
    for now in (BEAT_MS..LOST_AFTER_MS).step_by(250) {
        one.handle_timeout(now);
        assert!(one.is_up());
    }
    // A peer that does not read is sent one sign of life, not one for every beat.
    assert_eq!(output(&mut one).len(), 5 + 32);
    one.handle_timeout(LOST_AFTER_MS);
    let [Event::Closed(Why::Refused(refusal))] = &events(&mut one)[..] else {
        panic!("not closed");
    };
    assert_eq!(refusal.reason, Reason::Silent);
}

#[test]
fn what_was_said_before_the_end_arrives_before_it() {
    let (mut one, mut other) = connected();
    one.send(&message(1), 10);
    let refusal = Refusal::new(Reason::Stopping, "the broker stops");
    one.refuse(refusal.clone());
    assert!(!one.send(&message(2), 10));
    other.handle_input(&output(&mut one), 10);
    assert_eq!(
        events(&mut other),
        [
            Event::Message(message(1)),
            Event::Closed(Why::RefusedBy(refusal))
        ]
    );
}

/// The frames of three messages.
fn three_frames() -> (Vec<Vec<u8>>, link_protocol::Connection) {
    let (mut one, other) = connected();
    let frames = (1..=3)
        .map(|number| {
            one.send(&message(number), 10);
            output(&mut one)
        })
        .collect();
    (frames, other)
}

#[test]
fn nobody_on_the_way_can_double_drop_or_reorder() {
    for order in [&[0, 0][..], &[1], &[0, 2], &[1, 0], &[2, 1, 0]] {
        let (frames, mut other) = three_frames();
        let bytes: Vec<u8> = order.iter().flat_map(|n| frames[*n].clone()).collect();
        other.handle_input(&bytes, 10);
        assert!(other.is_over(), "{order:?}");
    }
}

#[test]
fn a_frame_does_not_come_back_as_one_of_the_other_end() {
    let (mut one, mut other) = connected();
    one.send(&message(1), 10);
    let frame = output(&mut one);
    one.handle_input(&frame, 10);
    assert!(one.is_over());
    other.handle_input(&frame, 10);
    assert!(other.is_up());
}

proptest! {
    #[test]
    fn a_changed_byte_is_never_a_message(at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let (mut frames, mut other) = three_frames();
        let frame = &mut frames[0];
        let at = at.index(frame.len());
        frame[at] ^= change;
        other.handle_input(frame, 10);
        for event in events(&mut other) {
            prop_assert!(matches!(event, Event::Closed(_)), "{:?}", event);
        }
    }
}
