//! How addresses, queues, consumers and sessions come and go, .

use crate::support::{Broker, anycast, consume, multicast};
use engine::{
    AddressConfig, AddressSettingsMatch, AddressSettingsOverrides, Command, ConnectionKey,
    CreateConsumer, CreateQueue, EngineConfig, Notice, OpenSession, QueueConfig, Reply,
    RoutingType, RoutingTypes, SessionKey,
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
fn queries_tell_what_clients_need() {
    let mut broker = Broker::new();
    let session = broker.session();
    let missing = broker.query(session, "q");
    assert!(!missing.exists && missing.durable && missing.auto_create_queues);
    assert_eq!(
        (missing.name.as_str(), missing.address.as_str()),
        ("q", "q")
    );
    assert_eq!(
        (missing.routing_type, missing.enabled),
        (RoutingType::Multicast, None)
    );

    let create = CreateQueue {
        auto_created: true,
        auto_delete: Some(false),
        max_consumers: Some(-1),
        purge_on_no_consumers: Some(false),
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("q", "q")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    broker.consumer(session, 0, "q");
    broker.send_texts(session, "q", &["a"]);
    let info = broker.query(session, "q::q");
    assert!(info.exists && info.durable && !info.temporary && info.auto_created);
    assert_eq!((info.consumer_count, info.message_count), (1, 1));
    assert_eq!(info.routing_type, RoutingType::Anycast);
    assert_eq!(
        (info.max_consumers, info.default_consumer_window_size),
        (-1, Some(1_048_576))
    );
    assert_eq!(
        (info.exclusive, info.last_value),
        (Some(false), Some(false))
    );
    assert_eq!((info.group_buckets, info.ring_size), (Some(-1), Some(-1)));
    assert_eq!((info.auto_delete, info.enabled), (Some(false), Some(true)));
    assert_eq!(info.configuration_managed, Some(false));
    assert!(!broker.query(session, "other::q").exists);

    let Ok(Reply::Binding(info)) = broker.call(
        session,
        Command::BindingQuery {
            address: "q::q".into(),
        },
    ) else {
        panic!();
    };
    assert!(info.exists);
    assert_eq!(
        (info.queues, info.routing_types),
        (vec!["q".to_owned()], anycast())
    );
    assert!(!exists(&mut broker, session, "nowhere"));
}

#[test]
fn addresses_merge_their_routing_types_and_survive() {
    let mut broker = Broker::new();
    let session = broker.session();
    for routing_types in [anycast(), multicast(), RoutingTypes::default()] {
        broker.done(
            session,
            Command::CreateAddress {
                address: "a".into(),
                routing_types,
                auto_created: false,
            },
        );
    }
    let mut broker = broker.restart();
    let session = broker.session();
    let Ok(Reply::Binding(info)) = broker.call(
        session,
        Command::BindingQuery {
            address: "a".into(),
        },
    ) else {
        panic!();
    };
    assert!(info.exists && info.routing_types.anycast && info.routing_types.multicast);
    broker.subscription(session, "a", "s");
    let delete = Command::DeleteAddress {
        address: "a".into(),
    };
    assert_eq!(broker.refused(session, delete.clone()).code, 217);
    broker.done(session, Command::DeleteQueue { queue: "s".into() });
    broker.done(session, delete.clone());
    assert_eq!(broker.refused(session, delete).code, 106);
    let mut broker = broker.restart();
    let session = broker.session();
    assert!(!exists(&mut broker, session, "a"));
}

#[test]
fn queues_are_refused_with_the_codes_clients_know() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    let refused = |broker: &mut Broker, create: CreateQueue| {
        broker
            .refused(session, Command::CreateQueue(Box::new(create)))
            .code
    };
    let again = CreateQueue::new("q", "q");
    assert_eq!(refused(&mut broker, again), 101);
    let filter = CreateQueue {
        filter: Some("a = ".into()),
        ..CreateQueue::new("a", "b")
    };
    assert_eq!(refused(&mut broker, filter), 103);
    let nameless = CreateQueue::new("a", "");
    assert_eq!(refused(&mut broker, nameless), 104);
    let unsupported = [
        CreateQueue {
            last_value: Some(true),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            last_value_key: Some("k".into()),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            non_destructive: Some(true),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            consumers_before_dispatch: Some(1),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            delay_before_dispatch_ms: Some(0),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            group_rebalance: Some(true),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            group_buckets: Some(4),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            group_first_key: Some("k".into()),
            ..CreateQueue::new("a", "b")
        },
        CreateQueue {
            ring_size: Some(10),
            ..CreateQueue::new("a", "b")
        },
    ];
    for create in unsupported {
        assert_eq!(refused(&mut broker, create), 213);
    }
    assert!(
        !exists(&mut broker, session, "a"),
        "a refused queue leaves no address"
    );

    let missing = Command::DeleteQueue {
        queue: "none".into(),
    };
    assert_eq!(broker.refused(session, missing).code, 100);
    let missing = Command::CreateConsumer(consume(0, "none"));
    assert_eq!(broker.refused(session, missing).code, 100);
    broker.consumer(session, 0, "q");
    let used = Command::DeleteQueue { queue: "q".into() };
    assert_eq!(broker.refused(session, used.clone()).code, 104);
    broker.done(session, Command::CloseConsumer { consumer: 0 });
    broker.done(session, used);
    let unknown = SessionKey(999);
    assert_eq!(broker.refused(unknown, Command::Commit).code, 102);
}

#[test]
fn without_auto_creation_addresses_must_exist() {
    let mut config = EngineConfig::new(1);
    config.address_settings = vec![AddressSettingsMatch {
        pattern: "#".into(),
        overrides: AddressSettingsOverrides {
            auto_create_addresses: Some(false),
            ..AddressSettingsOverrides::default()
        },
    }];
    let mut broker = Broker::with_config(config);
    let session = broker.session();
    let create = Command::CreateQueue(Box::new(CreateQueue::new("a", "q")));
    assert_eq!(broker.refused(session, create).code, 106);
    broker.done(
        session,
        Command::CreateAddress {
            address: "a".into(),
            routing_types: multicast(),
            auto_created: false,
        },
    );
    let create = CreateQueue {
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("a", "q")
    };
    assert_eq!(
        broker
            .refused(session, Command::CreateQueue(Box::new(create)))
            .code,
        215
    );
    // A temporary queue brings its address along.
    broker.done(session, Command::CreateQueue(Box::new(temporary("t"))));
}

#[test]
fn consumers_are_limited_by_the_queue() {
    let mut broker = Broker::new();
    let session = broker.session();
    let create = CreateQueue {
        max_consumers: Some(1),
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("q", "q")
    };
    broker.done(session, Command::CreateQueue(Box::new(create)));
    broker.consumer(session, 0, "q");
    assert_eq!(
        broker
            .refused(session, Command::CreateConsumer(consume(1, "q")))
            .code,
        214
    );
    let browser = CreateConsumer {
        browse_only: true,
        ..consume(1, "q")
    };
    broker.consumer_with(session, browser).unwrap();
    broker.done(session, Command::CloseConsumer { consumer: 0 });
    broker.consumer(session, 2, "q");
}

#[test]
fn metadata_can_be_unique_among_living_sessions() {
    let mut broker = Broker::new();
    let metadata = |unique: bool| Command::AddMetadata {
        key: "jms-client-id".into(),
        value: "client".into(),
        unique,
    };
    let connection = ConnectionKey(5);
    let open = OpenSession {
        connection,
        ..broker.auto()
    };
    let first = broker.open(open);
    broker.done(first, metadata(true));
    broker.done(first, metadata(true));
    let second = broker.session();
    assert_eq!(broker.refused(second, metadata(true)).code, 114);
    broker.done(second, metadata(false));
    broker.done(second, Command::CloseSession { failed: false });
    // The connection is gone without a word: it blocks nobody.
    broker.done(SessionKey(0), Command::ConnectionClosed { connection });
    let third = broker.session();
    broker.done(third, metadata(true));
    let long = Command::AddMetadata {
        key: "k".into(),
        value: "x".repeat(5_000),
        unique: false,
    };
    assert_eq!(broker.refused(third, long).code, 104);
}

#[test]
fn the_configuration_is_created_once_and_keeps_what_is_there() {
    let queue = |name: &str, routing_type, filter: Option<&str>| QueueConfig {
        name: name.into(),
        routing_type,
        filter: filter.map(str::to_owned),
        durable: true,
        max_consumers: None,
        purge_on_no_consumers: None,
        exclusive: None,
        enabled: true,
    };
    let mut config = EngineConfig::new(1);
    config.addresses = vec![AddressConfig {
        name: "exampleQueue".into(),
        routing_types: anycast(),
        queues: vec![queue("exampleQueue", RoutingType::Anycast, None)],
    }];
    let mut broker = Broker::with_config(config);
    assert_eq!(broker.emitted, 2);
    let session = broker.session();
    assert_eq!(
        broker.query(session, "exampleQueue").configuration_managed,
        Some(true)
    );
    broker.send_texts(session, "exampleQueue", &["a"]);
    let mut broker = broker.restart();
    assert_eq!(broker.emitted, 0);
    assert_eq!(broker.browse("exampleQueue"), ["a"]);

    broker.config.addresses[0].queues[0].filter = Some("a = 1".into());
    broker.config.addresses[0]
        .queues
        .push(queue("bad", RoutingType::Anycast, Some("a =")));
    let broker = broker.restart();
    assert!(matches!(
        &broker.notices[..],
        [
            Notice::ConfigurationIgnored { what: "filter", .. },
            Notice::ConfiguredFilterInvalid { .. }
        ]
    ));
}
