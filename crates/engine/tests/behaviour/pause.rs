//! A driver that has enough deliveries for a connection pauses its sessions.

use engine::{Command, CreateConsumer, SessionKey};

use crate::support::{Broker, consume};

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("m{number:05}")).collect()
}

fn send(broker: &mut Broker, session: SessionKey, texts: &[String]) {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    broker.send_texts(session, "q", &texts);
}

#[test]
fn a_paused_session_gets_nothing_and_a_resumed_one_everything_in_order() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.consumer(session, 1, "q");
    send(&mut broker, session, &numbers(0..2));
    broker.tell(session, Command::Pause);
    send(&mut broker, session, &numbers(2..5));
    assert_eq!(broker.texts(), numbers(0..2));
    // What the client asks changes nothing about it.
    broker.tell(session, Command::Start);
    broker.tell(
        session,
        Command::Credits {
            consumer: 1,
            credits: -1,
        },
    );
    assert_eq!(broker.texts(), numbers(0..0));
    broker.tell(session, Command::Resume);
    assert_eq!(broker.texts(), numbers(2..5));
}

#[test]
fn another_session_gets_what_a_paused_one_would() {
    let mut broker = Broker::new();
    let (paused, other) = (broker.session(), broker.session());
    broker.queue(paused, "q");
    broker.consumer(paused, 1, "q");
    broker.consumer(other, 1, "q");
    broker.tell(paused, Command::Pause);
    send(&mut broker, other, &numbers(0..4));
    assert!(broker.take().iter().all(|taken| taken.session == other));
    // A session that is stopped stays so when it is resumed.
    broker.done(paused, Command::Stop);
    broker.tell(paused, Command::Resume);
    send(&mut broker, other, &numbers(4..8));
    assert_eq!(broker.texts().len(), 4);
}

#[test]
fn a_paused_browser_goes_on_where_it_was() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    send(&mut broker, session, &numbers(0..3));
    broker.tell(session, Command::Pause);
    let browser = CreateConsumer {
        browse_only: true,
        ..consume(1, "q")
    };
    broker.consumer_with(session, browser).unwrap();
    broker.tell(
        session,
        Command::Credits {
            consumer: 1,
            credits: -1,
        },
    );
    assert_eq!(broker.texts(), numbers(0..0));
    broker.tell(session, Command::Resume);
    assert_eq!(broker.texts(), numbers(0..3));
}

/// The marker says that everything deliverable was delivered, which is not true while deliveries pause.
#[test]
fn a_marker_waits_for_the_end_of_the_pause() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.consumer(session, 1, "q");
    broker.tell(session, Command::Pause);
    send(&mut broker, session, &numbers(0..1));
    broker.tell(
        session,
        Command::ForceDelivery {
            consumer: 1,
            sequence: 7,
        },
    );
    assert!(broker.markers.is_empty());
    broker.tell(session, Command::Resume);
    assert_eq!(broker.texts(), numbers(0..1));
    assert_eq!(broker.markers, [(session, 1, 7)]);
}
