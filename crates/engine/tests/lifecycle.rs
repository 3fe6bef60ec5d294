//! How addresses, queues, consumers and sessions come and go, and who may do what.

mod support;

use std::collections::BTreeSet;

use core_protocol::message::Value;
use engine::{
    AddressConfig, AddressSettingsMatch, AddressSettingsOverrides, Command, ConnectionKey,
    CreateConsumer, CreateQueue, EngineConfig, Notice, OpenSession, Permission, QueueConfig, Reply,
    RoutingType, RoutingTypes, SecurityMatch, SessionKey,
};
use support::{Broker, anycast, consume, multicast, text, with};

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
    let delivery = engine_delivery(&mut broker, delivery.id);
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

fn engine_delivery(broker: &mut Broker, id: i64) -> support::Delivery {
    broker
        .take()
        .into_iter()
        .find(|delivery| delivery.id == id)
        .unwrap()
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

#[test]
fn permissions_are_checked_for_each_operation() {
    let mut config = EngineConfig::new(1);
    config.security_enabled = true;
    let all = [
        Permission::CreateAddress,
        Permission::DeleteAddress,
        Permission::CreateDurableQueue,
        Permission::DeleteDurableQueue,
        Permission::CreateNonDurableQueue,
        Permission::DeleteNonDurableQueue,
        Permission::Send,
        Permission::Consume,
        Permission::Browse,
        Permission::Manage,
    ];
    // Each permission for the role of its name, on the addresses of its own word.
    config.security = all
        .map(|permission| SecurityMatch {
            pattern: format!("{}.#", permission.name()),
            roles: [(permission, BTreeSet::from(["users".to_owned()]))].into(),
        })
        .into();
    config.management_address = "manage.broker".into();
    let mut broker = Broker::with_config(config);
    let admin = OpenSession {
        bypass_security: true,
        ..broker.auto()
    };
    let admin = broker.open(admin);
    let session = broker.session();
    for permission in all {
        let address = format!("{}.a", permission.name());
        broker.queue(admin, &address);
        let mut check = |allowed: Permission, command: Command| {
            let result = broker.call(session, command);
            if permission == allowed {
                assert!(result.is_ok(), "{permission:?}: {result:?}");
            } else {
                assert_eq!(result.unwrap_err().code, 105, "{permission:?} {allowed:?}");
            }
        };
        let address = address.as_str();
        let named = |queue: &str| CreateQueue {
            routing_type: Some(RoutingType::Anycast),
            ..CreateQueue::new(address, queue)
        };
        let send = Command::Send {
            message: text(address, "a").build(),
            address: None,
        };
        check(Permission::Send, send);
        check(
            Permission::Consume,
            Command::CreateConsumer(consume(0, address)),
        );
        let browse = CreateConsumer {
            browse_only: true,
            ..consume(1, address)
        };
        check(Permission::Browse, Command::CreateConsumer(browse));
        let create = Command::CreateAddress {
            address: address.into(),
            routing_types: multicast(),
            auto_created: false,
        };
        check(Permission::CreateAddress, create);
        let durable = named(&format!("{address}.durable"));
        check(
            Permission::CreateDurableQueue,
            Command::CreateQueue(Box::new(durable)),
        );
        let fleeting = CreateQueue {
            durable: false,
            ..named(&format!("{address}.fleeting"))
        };
        check(
            Permission::CreateNonDurableQueue,
            Command::CreateQueue(Box::new(fleeting)),
        );
        let temporary = CreateQueue {
            temporary: true,
            ..named(&format!("{address}.temporary"))
        };
        check(
            Permission::CreateNonDurableQueue,
            Command::CreateQueue(Box::new(temporary)),
        );
        let manage = text("manage.broker", "a").build();
        let manage = broker.call(
            session,
            Command::Send {
                message: manage,
                address: None,
            },
        );
        assert!(manage.is_ok());
        for consumer in [0, 1] {
            broker.done(session, Command::CloseConsumer { consumer });
        }
        let result = broker.call(
            session,
            Command::DeleteQueue {
                queue: address.into(),
            },
        );
        assert_eq!(result.is_ok(), permission == Permission::DeleteDurableQueue);
        let fleeting = CreateQueue {
            durable: false,
            routing_type: Some(RoutingType::Anycast),
            ..CreateQueue::new(address, format!("{address}.other"))
        };
        let name = fleeting.queue.clone();
        broker.done(admin, Command::CreateQueue(Box::new(fleeting)));
        let result = broker.call(session, Command::DeleteQueue { queue: name });
        assert_eq!(
            result.is_ok(),
            permission == Permission::DeleteNonDurableQueue
        );
    }
    // A queue on a missing address also needs the permission to create that.
    let create = Command::CreateQueue(Box::new(CreateQueue::new("createDurableQueue.new", "new")));
    assert_eq!(broker.refused(session, create).code, 105);
}
