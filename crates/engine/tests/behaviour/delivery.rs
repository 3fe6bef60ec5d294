//! From queue to consumer: order, turns, credits, browsing, filters.

use crate::support::{Broker, consume, text, with};
use core_protocol::message::Value;
use engine::{Command, CreateConsumer, CreateQueue, OpenSession, RoutingType};

#[test]
fn a_message_reaches_its_consumer_once_and_in_order() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a", "b"]);
    broker.consumer(session, 0, "q");
    broker.send_texts(session, "q", &["c"]);
    assert_eq!(
        broker.counted(),
        [("a".into(), 1), ("b".into(), 1), ("c".into(), 1)]
    );
    assert_eq!(broker.stats("q").unwrap().delivering_count, 3);
}

#[test]
fn the_message_keeps_its_bytes_and_gets_an_id_of_the_epoch() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    let message = with(text("q", "a"), "count", Value::Int(3)).build();
    broker.done(
        session,
        Command::Send {
            message: message.clone(),
            address: None,
        },
    );
    broker.consumer(session, 0, "q");
    let delivery = broker.take().remove(0);
    assert_eq!(delivery.message.block(), message.block());
    assert_eq!(delivery.id >> 40, 1);
}

#[test]
fn higher_priorities_overtake() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    for (body, priority) in [("low", 1), ("normal", 4), ("high", 9), ("normal2", 4)] {
        let mut builder = text("q", body);
        builder.priority = priority;
        broker.send(session, &builder);
    }
    broker.consumer(session, 0, "q");
    assert_eq!(broker.texts(), ["high", "normal", "normal2", "low"]);
}

#[test]
fn consumers_take_turns_and_higher_priorities_come_first() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    for consumer in 0..3 {
        broker.consumer(session, consumer, "q");
    }
    broker.send_texts(session, "q", &["a", "b", "c", "d"]);
    let consumers: Vec<i64> = broker
        .take()
        .iter()
        .map(|delivery| delivery.consumer)
        .collect();
    assert_eq!(consumers, [0, 1, 2, 0]);

    let first = CreateConsumer {
        priority: 5,
        ..consume(3, "q")
    };
    broker.consumer_with(session, first).unwrap();
    // Credits for one message only: the others follow when they are used up.
    broker.tell(
        session,
        Command::Credits {
            consumer: 3,
            credits: 1,
        },
    );
    broker.send_texts(session, "q", &["e", "f"]);
    let consumers: Vec<i64> = broker
        .take()
        .iter()
        .map(|delivery| delivery.consumer)
        .collect();
    assert_eq!(consumers, [3, 1]);
}

#[test]
fn an_exclusive_queue_serves_its_first_consumer() {
    let mut broker = Broker::new();
    let session = broker.session();
    let create = CreateQueue {
        exclusive: Some(true),
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("q", "q")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    broker.consumer(session, 0, "q");
    broker.consumer(session, 1, "q");
    broker.send_texts(session, "q", &["a", "b"]);
    assert!(broker.take().iter().all(|delivery| delivery.consumer == 0));
    broker.done(session, Command::CloseConsumer { consumer: 0 });
    let after: Vec<(i64, String)> = broker
        .take()
        .into_iter()
        .map(|delivery| (delivery.consumer, delivery.text))
        .collect();
    assert_eq!(after, [(1, "a".into()), (1, "b".into())]);
}

#[test]
fn credits_are_whole_packets_and_may_fall_below_zero() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a", "b", "c", "d"]);
    let cost = i32::try_from(text("q", "a").build().encoded_len()).unwrap() + 25;
    broker.consumer_with(session, consume(0, "q")).unwrap();
    assert_eq!(broker.texts(), [""; 0], "nothing before the first credits");
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: 1,
        },
    );
    assert_eq!(broker.texts(), ["a"]);
    // One byte short of what the first delivery cost: still nothing.
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: cost - 1,
        },
    );
    assert_eq!(broker.texts(), [""; 0]);
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: 1,
        },
    );
    assert_eq!(broker.texts(), ["b"]);
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: 0,
        },
    );
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: cost + 1,
        },
    );
    assert_eq!(broker.texts(), ["c", "d"]);
    broker.send_texts(session, "q", &["e", "f"]);
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: -1,
        },
    );
    assert_eq!(broker.texts(), ["e", "f"]);
}

#[test]
fn a_stopped_session_gets_nothing() {
    let mut broker = Broker::new();
    let open = broker.auto();
    let session = broker.open(open);
    broker.queue(session, "q");
    broker.consumer(session, 0, "q");
    broker.send_texts(session, "q", &["a"]);
    assert_eq!(broker.texts(), [""; 0]);
    broker.tell(session, Command::Start);
    assert_eq!(broker.texts(), ["a"]);
    broker.done(session, Command::Stop);
    broker.send_texts(session, "q", &["b"]);
    assert_eq!(broker.texts(), [""; 0]);
}

#[test]
fn a_browser_sees_a_snapshot_without_taking_or_counting() {
    let mut broker = Broker::new();
    let sender = broker.session();
    broker.queue(sender, "q");
    broker.send_texts(sender, "q", &["a", "b"]);
    let open = broker.auto();
    let stopped = broker.open(open);
    let create = CreateConsumer {
        browse_only: true,
        ..consume(7, "q")
    };
    let info = broker.consumer_with(stopped, create).unwrap();
    assert_eq!(info.consumer_count, 0);
    broker.send_texts(sender, "q", &["late"]);
    broker.tell(
        stopped,
        Command::Credits {
            consumer: 7,
            credits: -1,
        },
    );
    broker.tell(
        stopped,
        Command::ForceDelivery {
            consumer: 7,
            sequence: 0,
        },
    );
    assert_eq!(broker.counted(), [("a".into(), 0), ("b".into(), 0)]);
    assert_eq!(broker.markers, [(stopped, 7, 0)]);
    assert_eq!(broker.stats("q").unwrap().message_count, 3);
    assert_eq!(broker.stats("q").unwrap().delivering_count, 0);
}

#[test]
fn the_marker_follows_everything_deliverable_and_needs_no_credits() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a", "b"]);
    broker.consumer_with(session, consume(0, "q")).unwrap();
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: 1,
        },
    );
    broker.tell(
        session,
        Command::ForceDelivery {
            consumer: 0,
            sequence: 4,
        },
    );
    assert_eq!(broker.texts(), ["a"]);
    assert_eq!(broker.markers, [(session, 0, 4)]);
    // Of a consumer that is gone nothing follows.
    broker.tell(
        session,
        Command::ForceDelivery {
            consumer: 99,
            sequence: 0,
        },
    );
    assert_eq!(broker.markers.len(), 1);
}

#[test]
fn filters_of_queues_and_consumers_choose() {
    let mut broker = Broker::new();
    let session = broker.session();
    let create = CreateQueue {
        filter: Some("size > 1".into()),
        routing_type: Some(RoutingType::Multicast),
        ..CreateQueue::new("t", "big")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    for size in 0..6 {
        broker.send(
            session,
            &with(text("t", &size.to_string()), "size", Value::Int(size)),
        );
    }
    assert_eq!(broker.browse("big"), ["2", "3", "4", "5"]);
    let odd = CreateConsumer {
        filter: Some("size % 2 = 1".into()),
        ..consume(0, "big")
    };
    broker.consumer_with(session, odd).unwrap();
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: -1,
        },
    );
    assert_eq!(broker.texts(), ["3", "5"]);
    assert_eq!(broker.browse("big"), ["2", "4"]);
}

#[test]
fn a_filtering_consumer_sees_what_comes_back_and_what_overtakes() {
    let mut broker = Broker::new();
    let session = broker.session();
    let other = broker.session();
    broker.queue(session, "q");
    let sized = |size: i32| with(text("q", &size.to_string()), "size", Value::Int(size));
    broker.send(session, &sized(3));
    broker.consumer(other, 0, "q");
    assert_eq!(broker.texts(), ["3"]);
    let odd = CreateConsumer {
        filter: Some("size % 2 = 1".into()),
        ..consume(0, "q")
    };
    broker.consumer_with(session, odd).unwrap();
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: -1,
        },
    );
    broker.done(other, Command::Stop);
    broker.send(session, &sized(4));
    broker.send(session, &sized(5));
    assert_eq!(broker.texts(), ["5"]);
    // Comes back behind the place already looked at.
    broker.done(other, Command::CloseSession { failed: false });
    assert_eq!(broker.texts(), ["3"]);
    let mut urgent = sized(7);
    urgent.priority = 9;
    broker.send(session, &urgent);
    let mut even = sized(8);
    even.priority = 9;
    broker.send(session, &even);
    assert_eq!(broker.texts(), ["7"]);
    assert_eq!(broker.browse("q"), ["8", "4"]);
}

#[test]
fn a_long_search_is_interrupted_and_goes_on() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    for size in 0..10_000 {
        broker.send(session, &with(text("q", ""), "size", Value::Int(size)));
    }
    broker.send(session, &with(text("q", "needle"), "size", Value::Int(-1)));
    let create = CreateConsumer {
        filter: Some("size < 0".into()),
        ..consume(0, "q")
    };
    broker.consumer_with(session, create).unwrap();
    broker.tell(
        session,
        Command::Credits {
            consumer: 0,
            credits: -1,
        },
    );
    broker.tell(
        session,
        Command::ForceDelivery {
            consumer: 0,
            sequence: 0,
        },
    );
    assert_eq!(
        broker.texts(),
        [""; 0],
        "one call does not look through everything"
    );
    assert!(
        broker.markers.is_empty(),
        "the marker waits for the end of the search"
    );
    assert_eq!(broker.engine.next_timeout(), Some(0));
    broker.settle_timeouts();
    assert_eq!(broker.texts(), ["needle"]);
    assert_eq!(broker.markers.len(), 1);
}

#[test]
fn pre_acknowledged_messages_are_gone_when_delivered() {
    let mut broker = Broker::new();
    let sender = broker.session();
    broker.queue(sender, "q");
    broker.send_texts(sender, "q", &["a"]);
    let open = OpenSession {
        pre_acknowledge: true,
        auto_commit_acks: false,
        ..broker.auto()
    };
    let session = broker.open(open);
    broker.tell(session, Command::Start);
    broker.consumer(session, 0, "q");
    let delivery = broker.take().remove(0);
    assert_eq!(
        delivery.after, broker.emitted,
        "waits for the record of its removal"
    );
    broker.done(session, Command::CloseSession { failed: true });
    assert_eq!(broker.stats("q").unwrap().message_count, 0);
    assert_eq!(broker.restart().browse("q"), [""; 0]);
}

#[test]
fn scheduled_messages_wait_for_their_time() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.consumer(session, 0, "q");
    let due_ms = i64::try_from(broker.now_ms).unwrap() + 500;
    let later = with(
        text("q", "later"),
        "_AMQ_SCHED_DELIVERY",
        Value::Long(due_ms),
    );
    broker.send(session, &later);
    broker.send_texts(session, "q", &["now"]);
    assert_eq!(broker.texts(), ["now"]);
    assert_eq!(broker.stats("q").unwrap().scheduled_count, 1);
    broker.advance(499);
    assert_eq!(broker.texts(), [""; 0]);
    // It waits across a restart too.
    let mut broker = broker.restart();
    let session = broker.session();
    broker.consumer(session, 0, "q");
    assert_eq!(broker.texts(), ["now"]);
    broker.advance(1);
    assert_eq!(broker.texts(), ["later"]);
}
