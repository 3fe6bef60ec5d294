//! Which queues get a message.

use crate::support::{Broker, anycast, multicast, text, with};
use core_protocol::message::Value;
use engine::{Command, CreateQueue, ROUTE_TO, Reply, RoutingType, code};

#[test]
fn an_anycast_address_hands_each_message_to_one_of_its_queues() {
    let mut broker = Broker::new();
    let session = broker.session();
    for name in ["q1", "q2"] {
        let create = CreateQueue {
            routing_type: Some(RoutingType::Anycast),
            ..CreateQueue::new("a", name)
        };
        broker.done(session, Command::CreateQueue(Box::new(create)));
    }
    broker.send_texts(session, "a", &["1", "2", "3", "4"]);
    assert_eq!(broker.browse("q1"), ["1", "3"]);
    assert_eq!(broker.browse("q2"), ["2", "4"]);
    // A queue that somebody consumes from comes before one that nobody does.
    broker.consumer(session, 0, "q2");
    broker.take();
    broker.send_texts(session, "a", &["5", "6"]);
    assert_eq!(broker.texts(), ["5", "6"]);
}

#[test]
fn a_multicast_address_hands_a_copy_with_the_same_id_to_each_queue() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.subscription(session, "t", "s1");
    broker.subscription(session, "t", "s2");
    broker.send_texts(session, "t", &["a"]);
    broker.consumer(session, 1, "s1");
    broker.consumer(session, 2, "t::s2");
    let deliveries = broker.take();
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[0].id, deliveries[1].id);
    broker.acknowledge(&deliveries[0], false);
    assert_eq!(broker.stats("s1").unwrap().message_count, 0);
    assert_eq!(broker.stats("s2").unwrap().message_count, 1);
}

#[test]
fn names_and_properties_choose_the_queues() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.done(
        session,
        Command::CreateAddress {
            address: "a".into(),
            routing_types: anycast().union(multicast()),
            auto_created: false,
        },
    );
    for (name, routing_type) in [
        ("any", RoutingType::Anycast),
        ("multi", RoutingType::Multicast),
    ] {
        let create = CreateQueue {
            routing_type: Some(routing_type),
            ..CreateQueue::new("a", name)
        };
        broker.done(session, Command::CreateQueue(Box::new(create)));
    }
    broker.send(session, &text("a", "both"));
    broker.send(
        session,
        &with(text("a", "queue"), "_AMQ_ROUTING_TYPE", Value::Byte(1)),
    );
    broker.send(
        session,
        &with(text("a", "topic"), "_AMQ_ROUTING_TYPE", Value::Byte(0)),
    );
    broker.send(session, &text("a::multi", "named"));
    broker.send(session, &text("other::multi", "nowhere"));
    assert_eq!(broker.browse("any"), ["both", "queue"]);
    assert_eq!(broker.browse("multi"), ["both", "topic", "named"]);
}

#[test]
fn wildcard_addresses_receive_what_they_match() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.subscription(session, "news.#", "all");
    broker.subscription(session, "news.*.sport", "sport");
    broker.send_texts(session, "news.eu.sport", &["a"]);
    broker.send_texts(session, "news.eu", &["b"]);
    broker.send_texts(session, "weather", &["c"]);
    assert_eq!(broker.browse("all"), ["a", "b"]);
    assert_eq!(broker.browse("sport"), ["a"]);
}

#[test]
fn what_nobody_takes_is_accepted_and_forgotten() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.send(session, &text("nowhere", "a"));
    let create = CreateQueue {
        enabled: Some(false),
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("off", "off")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    broker.send(session, &text("off", "b"));
    assert_eq!(broker.stats("off").unwrap().message_count, 0);
}

#[test]
fn duplicates_are_recognised_also_after_a_restart() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    let once = with(text("q", "once"), "_AMQ_DUPL_ID", Value::String("x".into()));
    broker.send(session, &once);
    broker.send(session, &once);
    assert_eq!(broker.browse("q"), ["once"]);
    let mut broker = broker.restart();
    let session = broker.session();
    broker.send(session, &once);
    assert_eq!(broker.browse("q"), ["once"]);
    broker.queue(session, "other");
    let elsewhere = with(
        text("other", "else"),
        "_AMQ_DUPL_ID",
        Value::String("x".into()),
    );
    broker.send(session, &elsewhere);
    assert_eq!(broker.browse("other"), ["else"]);
    // In a transaction the commit says so, and nothing of it counts.
    let transacted = broker.transacted();
    broker.tell(
        transacted,
        Command::Send {
            message: once.build(),
            address: None,
        },
    );
    broker.tell(
        transacted,
        Command::Send {
            message: text("q", "new").build(),
            address: None,
        },
    );
    assert_eq!(broker.refused(transacted, Command::Commit).code, 113);
    assert_eq!(broker.browse("q"), ["once"]);
}

#[test]
fn management_requests_are_handed_out() {
    let mut broker = Broker::new();
    let session = broker.session();
    assert!(broker.query(session, "activemq.management").exists);
    broker.send(session, &text("activemq.management", "ask"));
    assert_eq!(broker.management.len(), 1);
    assert_eq!(broker.management[0].text().as_deref(), Some("ask"));
}

#[test]
fn producers_get_the_credits_they_ask_for() {
    let mut broker = Broker::new();
    let session = broker.session();
    let command = Command::ProducerCredits {
        address: "a::q".into(),
        credits: 32_768,
    };
    broker.tell(session, command);
    assert_eq!(broker.credits, [(session, "a::q".into(), 32_768)]);
}

#[test]
fn what_is_sent_to_another_address_carries_it() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    let command = Command::Send {
        message: text("x", "a").build(),
        address: Some("q".into()),
    };
    assert_eq!(broker.call(session, command), Ok(Reply::Done));
    broker.consumer(session, 0, "q");
    assert_eq!(broker.take()[0].message.address(), Some("q"));
}

/// A durable message that names its queues.
fn to_queues(address: &str, names: &str) -> core_protocol::message::MessageBuilder {
    let names = Value::Bytes(names.replace(' ', "\0").into());
    with(text(address, "a"), ROUTE_TO, names)
}

#[test]
fn a_message_that_names_its_queues_goes_to_them_alone_and_keeps_its_address() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.subscription(session, "t", "s1");
    broker.subscription(session, "t", "s2");
    let filtered = CreateQueue {
        routing_type: Some(RoutingType::Multicast),
        filter: Some("n = 7".into()),
        ..CreateQueue::new("t", "s3")
    };
    broker.done(session, Command::CreateQueue(Box::new(filtered)));
    let transacted = broker.transacted();
    for sender in [session, transacted] {
        broker.send(sender, &to_queues("t", "s1 s3 s1"));
        if sender == transacted {
            broker.done(sender, Command::Commit);
        }
    }
    // Also to the queue whose filter does not match, and once to the one that is named twice.
    let counts = ["s1", "s2", "s3"].map(|queue| broker.stats(queue).unwrap().message_count);
    assert_eq!(counts, [2, 0, 2]);
    let mut broker = broker.restart();
    let session = broker.session();
    broker.consumer(session, 0, "s3");
    let deliveries = broker.take();
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        assert_eq!(delivery.message.address(), Some("t"));
        assert_eq!(delivery.message.property(ROUTE_TO), None);
    }
}

#[test]
fn a_message_that_names_a_queue_which_is_not_there_is_refused() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.subscription(session, "t", "s1");
    broker.queue(session, "q");
    for (address, names) in [("t", "s1 nobody"), ("t", "q"), ("nowhere", "s1")] {
        let message = to_queues(address, names).build();
        let send = Command::Send {
            message,
            address: None,
        };
        let error = broker.refused(session, send);
        assert_eq!(error.code, code::QUEUE_DOES_NOT_EXIST, "{error}");
    }
    let transacted = broker.transacted();
    broker.send(transacted, &to_queues("t", "s1"));
    broker.refused(
        transacted,
        Command::Send {
            message: to_queues("t", "gone").build(),
            address: None,
        },
    );
    broker.refused(transacted, Command::Commit);
    assert_eq!(broker.stats("s1").unwrap().message_count, 0);
}
