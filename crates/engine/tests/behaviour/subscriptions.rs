//! Queues that go away by themselves, and those that do not.

use crate::support::{Broker, Delivery, consume, text, with};
use core_protocol::message::Value;
use engine::{
    Command, ConnectionKey, CreateConsumer, CreateQueue, OpenSession, Reply, RoutingType,
    SessionKey,
};

fn exists(broker: &mut Broker, session: SessionKey, address: &str) -> bool {
    match broker.call(
        session,
        Command::BindingQuery {
            address: address.into(),
        },
    ) {
        Ok(Reply::Binding(info)) => info.exists,
        other => panic!("{other:?}"),
    }
}

fn temporary(name: &str) -> CreateQueue {
    CreateQueue {
        durable: false,
        temporary: true,
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new(name, name)
    }
}

#[test]
fn temporary_queues_end_with_the_connection_that_created_them() {
    let mut broker = Broker::new();
    let connection = ConnectionKey(7);
    let open = OpenSession {
        connection,
        ..broker.auto()
    };
    let creator = broker.open(open.clone());
    let sibling = broker.open(open);
    broker.done(creator, Command::CreateQueue(Box::new(temporary("t"))));
    assert!(broker.query(creator, "t").temporary);
    let other = broker.session();
    broker.consumer(other, 3, "t");
    broker.send_texts(other, "t", &["a"]);
    assert_eq!(broker.journal.len(), 0, "nothing of it is recorded");

    broker.done(creator, Command::CloseSession { failed: false });
    assert!(broker.query(other, "t").exists, "not with its session");
    broker.done(sibling, Command::ConnectionClosed { connection });
    assert!(!broker.query(other, "t").exists);
    assert!(!exists(&mut broker, other, "t"));
    assert_eq!(broker.closed, [(other, 3)]);
    assert_eq!(
        broker.refused(sibling, Command::Commit).code,
        102,
        "its sessions end too"
    );
    broker.done(other, Command::CloseConsumer { consumer: 3 });
    // What is sent there afterwards is not kept for anybody.
    broker.send(
        other,
        &with(text("t", "late"), "_AMQ_ROUTING_TYPE", Value::Byte(1)),
    );
    assert!(!broker.query(other, "t").exists);
}

#[test]
fn a_client_that_reconnects_keeps_its_temporary_queue() {
    let mut broker = Broker::new();
    let old = broker.session();
    let new = broker.session();
    broker.done(old, Command::CreateQueue(Box::new(temporary("t"))));
    // The old connection has not been noticed to be dead.
    let again = Command::CreateQueue(Box::new(temporary("t")));
    assert_eq!(broker.refused(new, again).code, 101);
    broker.consumer(new, 0, "t");
    let connection = ConnectionKey(1_001);
    broker.done(old, Command::ConnectionClosed { connection });
    broker.send_texts(new, "t", &["a"]);
    assert_eq!(broker.texts(), ["a"]);
    let connection = ConnectionKey(1_002);
    broker.done(new, Command::ConnectionClosed { connection });
    assert_eq!(broker.stats("t"), None);
}

#[test]
fn shared_subscriptions_are_created_once_and_end_with_their_last_consumer() {
    let mut broker = Broker::new();
    let first = broker.session();
    let second = broker.session();
    let shared = |durable: bool, name: &str, filter: Option<&str>| {
        Command::CreateSharedQueue(Box::new(CreateQueue {
            durable,
            filter: filter.map(str::to_owned),
            routing_type: Some(RoutingType::Multicast),
            ..CreateQueue::new("topic", name)
        }))
    };
    for session in [first, second] {
        broker.done(session, shared(false, "nonDurable.s", None));
        broker.done(session, shared(true, "s", None));
        broker.consumer(session, 0, "nonDurable.s");
        broker.consumer(session, 1, "s");
    }
    assert!(broker.query(first, "nonDurable.s").temporary);
    assert!(!broker.query(first, "s").temporary);
    assert_eq!(
        broker.refused(first, shared(true, "s", Some("a = 1"))).code,
        118
    );
    broker.send_texts(first, "topic", &["a", "b"]);
    assert_eq!(
        broker.take().len(),
        4,
        "each subscription gets each message once"
    );

    // A browser is no consumer.
    let browser = CreateConsumer {
        browse_only: true,
        ..consume(9, "nonDurable.s")
    };
    broker.consumer_with(first, browser).unwrap();
    broker.done(first, Command::CloseConsumer { consumer: 9 });
    broker.done(first, Command::CloseSession { failed: false });
    assert!(broker.query(second, "nonDurable.s").exists);
    broker.done(second, Command::CloseSession { failed: false });
    let last = broker.session();
    assert!(!broker.query(last, "nonDurable.s").exists);
    assert!(broker.query(last, "s").exists);
}

#[test]
fn a_durable_subscription_survives_with_its_filter() {
    let mut broker = Broker::new();
    let session = broker.session();
    let create = CreateQueue {
        filter: Some("size > 1".into()),
        routing_type: Some(RoutingType::Multicast),
        ..CreateQueue::new("topic", "client.sub")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    let mut broker = broker.restart();
    let session = broker.session();
    assert_eq!(
        broker.query(session, "client.sub").filter.as_deref(),
        Some("size > 1")
    );
    broker.send(session, &with(text("topic", "1"), "size", Value::Int(1)));
    broker.send(session, &with(text("topic", "2"), "size", Value::Int(2)));
    assert_eq!(broker.browse("client.sub"), ["2"]);
}

#[test]
fn what_is_not_durable_does_not_survive() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    let mut fleeting = text("q", "fleeting");
    fleeting.durable = false;
    broker.send(session, &fleeting);
    broker.send_texts(session, "q", &["lasting"]);
    let create = CreateQueue {
        durable: false,
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("memory", "memory")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    broker.send_texts(session, "memory", &["a"]);
    assert_eq!(broker.browse("q"), ["fleeting", "lasting"]);
    let mut broker = broker.restart();
    assert_eq!(broker.browse("q"), ["lasting"]);
    let session = broker.session();
    assert!(!broker.query(session, "memory").exists);
}

#[test]
fn unused_auto_created_queues_and_addresses_go_away() {
    let mut broker = Broker::new();
    let session = broker.session();
    let create = CreateQueue {
        auto_created: true,
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("q", "q")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    broker.advance(100_000);
    assert!(broker.query(session, "q").exists, "it was never used");
    broker.send_texts(session, "q", &["a"]);
    broker.consumer(session, 0, "q");
    let delivery = broker.take().remove(0);
    broker.done(session, Command::CloseConsumer { consumer: 0 });
    broker.advance(100_000);
    assert!(broker.query(session, "q").exists, "it has a message");
    broker.consumer(session, 1, "q");
    let delivery = redelivered(&mut broker, delivery.id);
    broker.acknowledge(&delivery, false);
    broker.done(session, Command::CloseConsumer { consumer: 1 });
    broker.advance(29_999);
    assert!(broker.query(session, "q").exists);
    broker.advance(1);
    assert!(!broker.query(session, "q").exists);
    assert!(exists(&mut broker, session, "q"));
    broker.advance(30_000);
    assert!(!exists(&mut broker, session, "q"));
    let mut broker = broker.restart();
    let session = broker.session();
    assert!(!exists(&mut broker, session, "q"));
}

#[test]
fn a_producer_keeps_its_address_and_its_messages() {
    let mut broker = Broker::new();
    let producer = broker.session();
    let consumer = broker.session();
    let create = CreateQueue {
        auto_created: true,
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("q", "q")
    };
    broker.done(producer, Command::CreateQueue(Box::new(create)));
    broker.tell(
        producer,
        Command::ProducerCredits {
            address: "q".into(),
            credits: 100,
        },
    );
    broker.consumer(consumer, 0, "q");
    broker.done(consumer, Command::CloseConsumer { consumer: 0 });
    broker.advance(200_000);
    assert!(!broker.query(producer, "q").exists);
    assert!(exists(&mut broker, producer, "q"));
    broker.send(
        producer,
        &with(text("q", "kept"), "_AMQ_ROUTING_TYPE", Value::Byte(1)),
    );
    assert_eq!(broker.restart().browse("q"), ["kept"]);
}

#[test]
fn a_queue_may_be_emptied_when_nobody_consumes() {
    let mut broker = Broker::new();
    let session = broker.session();
    let create = CreateQueue {
        purge_on_no_consumers: Some(true),
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("q", "q")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    broker.send_texts(session, "q", &["nobody listens"]);
    broker.consumer(session, 0, "q");
    broker.done(session, Command::Stop);
    broker.send_texts(session, "q", &["a", "b"]);
    assert_eq!(broker.browse("q"), ["a", "b"]);
    broker.done(session, Command::CloseConsumer { consumer: 0 });
    assert_eq!(broker.browse("q"), [""; 0]);
    assert_eq!(broker.restart().browse("q"), [""; 0]);
}

fn redelivered(broker: &mut Broker, id: i64) -> Delivery {
    broker
        .take()
        .into_iter()
        .find(|delivery| delivery.id == id)
        .unwrap()
}
