//! Acknowledgements, transactions, and deliveries that come back.

mod support;

use core_protocol::message::Value;
use engine::{
    AddressConfig, AddressSettingsMatch, AddressSettingsOverrides, Command, CreateConsumer,
    EngineConfig, Notice, OpenSession, QueueConfig, RoutingType,
};
use support::{Broker, anycast, consume, text, with};

fn settings(overrides: AddressSettingsOverrides) -> EngineConfig {
    let mut config = EngineConfig::new(1);
    config.address_settings = vec![AddressSettingsMatch {
        pattern: "#".into(),
        overrides,
    }];
    config.addresses = ["q", "DLQ", "Expiry"]
        .map(|name| AddressConfig {
            name: name.into(),
            routing_types: anycast(),
            queues: vec![QueueConfig {
                name: name.into(),
                routing_type: RoutingType::Anycast,
                filter: None,
                durable: true,
                max_consumers: None,
                purge_on_no_consumers: None,
                exclusive: None,
                enabled: true,
            }],
        })
        .into();
    config
}

#[test]
fn a_cumulative_acknowledgement_covers_what_was_delivered_before() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.consumer(session, 0, "q");
    broker.send_texts(session, "q", &["a", "b", "c", "d"]);
    let deliveries = broker.take();
    broker.acknowledge(&deliveries[1], true);
    broker.acknowledge(&deliveries[2], false);
    assert_eq!(broker.stats("q").unwrap().delivering_count, 1);
    let again = Command::Acknowledge {
        consumer: 0,
        message_id: deliveries[2].id,
        individual: false,
    };
    assert_eq!(broker.refused(session, again.clone()).code, 104);
    broker.tell(session, again);
    assert!(matches!(
        broker.notices.last(),
        Some(Notice::Refused { .. })
    ));
    broker.done(session, Command::CloseSession { failed: false });
    assert_eq!(broker.browse("q"), ["d"]);
    assert_eq!(broker.restart().browse("q"), ["d"]);
}

#[test]
fn closing_a_consumer_gives_back_in_order_without_counting() {
    let mut broker = Broker::new();
    let first = broker.session();
    let second = broker.session();
    broker.queue(first, "q");
    broker.consumer(first, 0, "q");
    broker.consumer(second, 0, "q");
    broker.send_texts(first, "q", &["1", "2", "3", "4", "5"]);
    broker.take();
    broker.done(second, Command::Stop);
    broker.done(second, Command::CloseConsumer { consumer: 0 });
    // 2 and 4 came back and go to the other consumer, again for the first time.
    assert_eq!(broker.counted(), [("2".into(), 1), ("4".into(), 1)]);
    broker.done(first, Command::CloseSession { failed: false });
    assert_eq!(broker.browse("q"), ["1", "2", "3", "4", "5"]);
    broker.done(second, Command::CloseConsumer { consumer: 0 });
}

#[test]
fn a_lost_connection_counts_what_was_delivered() {
    let mut broker = Broker::new();
    let lost = broker.session();
    broker.queue(lost, "q");
    broker.consumer(lost, 0, "q");
    broker.send_texts(lost, "q", &["a"]);
    broker.take();
    broker.done(lost, Command::CloseSession { failed: true });
    let mut broker = broker.restart();
    let session = broker.session();
    broker.consumer(session, 0, "q");
    assert_eq!(broker.counted(), [("a".into(), 2)]);
}

#[test]
fn a_commit_is_one_record_and_shows_nothing_before() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "in");
    broker.queue(session, "out");
    broker.send_texts(session, "in", &["a", "b"]);
    let transacted = broker.transacted();
    broker.consumer(transacted, 0, "in");
    let deliveries = broker.take();
    broker.tell(
        transacted,
        Command::Send {
            message: text("out", "x").build(),
            address: None,
        },
    );
    broker.tell(
        transacted,
        Command::Send {
            message: text("out", "y").build(),
            address: None,
        },
    );
    broker.acknowledge(&deliveries[1], false);
    assert_eq!(broker.browse("out"), [""; 0]);
    let before = broker.journal.len();
    broker.done(transacted, Command::Commit);
    assert_eq!(broker.journal.len(), before + 1);
    assert_eq!(broker.browse("out"), ["x", "y"]);
    assert_eq!(broker.stats("in").unwrap().message_count, 0);

    // Without its record nothing of it happened, with it everything.
    let mut short = Broker::new();
    short.journal = broker.journal[..before].to_vec();
    let mut short = short.restart();
    assert_eq!(short.browse("out"), [""; 0]);
    assert_eq!(short.browse("in"), ["a", "b"]);
    let mut whole = broker.restart();
    assert_eq!(whole.browse("out"), ["x", "y"]);
    assert_eq!(whole.browse("in"), [""; 0]);
}

#[test]
fn a_rollback_forgets_sends_and_returns_deliveries_with_the_right_counts() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["acked", "seen", "buffered"]);
    let transacted = broker.transacted();
    broker.consumer(transacted, 0, "q");
    let deliveries = broker.take();
    broker.tell(
        transacted,
        Command::Send {
            message: text("q", "gone").build(),
            address: None,
        },
    );
    broker.acknowledge(&deliveries[0], false);
    broker.done(transacted, Command::Stop);
    broker.done(
        transacted,
        Command::Rollback {
            consider_last_delivered: false,
        },
    );
    assert_eq!(broker.texts(), [""; 0], "stopped");
    broker.tell(transacted, Command::Start);
    let again = broker.counted();
    assert_eq!(
        again,
        [
            ("acked".into(), 2),
            ("seen".into(), 1),
            ("buffered".into(), 1)
        ]
    );

    // Recover: the first one not acknowledged counts too.
    broker.done(transacted, Command::Stop);
    broker.done(
        transacted,
        Command::Rollback {
            consider_last_delivered: true,
        },
    );
    broker.tell(transacted, Command::Start);
    let again = broker.counted();
    assert_eq!(
        again,
        [
            ("acked".into(), 3),
            ("seen".into(), 1),
            ("buffered".into(), 1)
        ]
    );
}

#[test]
fn acknowledgements_of_a_transaction_outlive_their_consumer() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a", "b"]);
    let transacted = broker.transacted();
    broker.consumer(transacted, 0, "q");
    let deliveries = broker.take();
    broker.acknowledge(&deliveries[0], false);
    broker.done(transacted, Command::CloseConsumer { consumer: 0 });
    assert_eq!(broker.browse("q"), ["b"]);
    broker.done(transacted, Command::Commit);
    assert_eq!(broker.stats("q").unwrap().message_count, 1);

    broker.consumer(transacted, 1, "q");
    let delivery = broker.take().remove(0);
    broker.acknowledge(&delivery, false);
    broker.done(transacted, Command::CloseSession { failed: false });
    assert_eq!(broker.browse("q"), ["b"]);
}

#[test]
fn client_acknowledge_commits_acknowledgements_only() {
    let mut broker = Broker::new();
    let open = OpenSession {
        auto_commit_acks: false,
        ..broker.auto()
    };
    let session = broker.open(open);
    broker.tell(session, Command::Start);
    broker.queue(session, "q");
    broker.consumer(session, 0, "q");
    broker.send_texts(session, "q", &["a"]);
    let delivery = broker.take().remove(0);
    broker.acknowledge(&delivery, false);
    assert_eq!(broker.stats("q").unwrap().message_count, 1);
    broker.done(session, Command::Commit);
    assert_eq!(broker.stats("q").unwrap().message_count, 0);
    // Committing and rolling back nothing is fine.
    let emitted = broker.emitted;
    broker.done(session, Command::Commit);
    broker.done(
        session,
        Command::Rollback {
            consider_last_delivered: true,
        },
    );
    assert_eq!(broker.emitted, emitted);
}

#[test]
fn a_failed_send_dooms_its_transaction_until_it_ends() {
    let mut config = EngineConfig::new(1);
    config.security_enabled = true;
    let mut broker = Broker::with_config(config);
    let admin = OpenSession {
        bypass_security: true,
        ..broker.auto()
    };
    let admin = broker.open(admin);
    broker.queue(admin, "q");
    let transacted = broker.transacted();
    broker.tell(
        transacted,
        Command::Send {
            message: text("q", "a").build(),
            address: None,
        },
    );
    assert!(matches!(
        broker.notices.last(),
        Some(Notice::Refused {
            request: "send",
            ..
        })
    ));
    let error = broker.refused(transacted, Command::Commit);
    assert_eq!(error.code, 105);
    broker.done(transacted, Command::Commit);

    let wrong = Command::Acknowledge {
        consumer: 5,
        message_id: 1,
        individual: false,
    };
    assert_eq!(broker.refused(transacted, wrong).code, 104);
    broker.done(
        transacted,
        Command::Rollback {
            consider_last_delivered: false,
        },
    );
    broker.done(transacted, Command::Commit);
}

#[test]
fn a_transaction_is_bounded() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    let transacted = broker.transacted();
    let mut builder = text("q", "");
    builder.body = vec![0; 16 * 1024 * 1024].into();
    let message = builder.build();
    for _ in 0..3 {
        broker.done(
            transacted,
            Command::Send {
                message: message.clone(),
                address: None,
            },
        );
    }
    let error = broker.refused(
        transacted,
        Command::Send {
            message,
            address: None,
        },
    );
    assert_eq!(error.code, 210);
    assert_eq!(broker.refused(transacted, Command::Commit).code, 210);
    assert_eq!(broker.stats("q").unwrap().message_count, 0);
}

#[test]
fn after_too_many_attempts_a_message_moves_to_the_dead_letter_address() {
    let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
        dead_letter_address: Some("DLQ".into()),
        max_delivery_attempts: Some(2),
        ..AddressSettingsOverrides::default()
    }));
    let session = broker.session();
    let mut poison = with(text("q", "poison"), "_AMQ_ROUTING_TYPE", Value::Byte(1));
    poison = with(poison, "_AMQ_DUPL_ID", Value::String("once".into()));
    broker.send(session, &poison);
    let original = {
        broker.consumer(session, 0, "q");
        broker.take().remove(0)
    };
    broker.done(session, Command::CloseSession { failed: true });
    let lost = broker.session();
    broker.consumer(lost, 0, "q");
    assert_eq!(broker.counted(), [("poison".into(), 2)]);
    let before = broker.journal.len();
    broker.done(lost, Command::CloseSession { failed: true });
    assert_eq!(broker.journal.len(), before + 1, "moved in one record");
    assert!(matches!(
        broker.notices.last(),
        Some(Notice::DeadLettered { attempts: 2, .. })
    ));

    let mut broker = broker.restart();
    assert_eq!(broker.browse("q"), [""; 0]);
    let session = broker.session();
    broker.consumer(session, 0, "DLQ");
    let letter = broker.take().remove(0);
    assert_eq!((letter.text.as_str(), letter.count), ("poison", 1));
    assert_ne!(letter.id, original.id);
    let message = &letter.message;
    assert_eq!(message.address(), Some("DLQ"));
    assert_eq!(
        message.property("_AMQ_ORIG_ADDRESS"),
        Some(Value::String("q".into()))
    );
    assert_eq!(
        message.property("_AMQ_ORIG_QUEUE"),
        Some(Value::String("q".into()))
    );
    assert_eq!(
        message.property("_AMQ_ORIG_MESSAGE_ID"),
        Some(Value::Long(original.id))
    );
    assert_eq!(
        message.property("_AMQ_ORIG_ROUTING_TYPE"),
        Some(Value::Byte(1))
    );
    assert_eq!(message.property("_AMQ_ROUTING_TYPE"), None);
    assert_eq!(message.property("_AMQ_DUPL_ID"), None);
    assert_eq!(message.user_id(), original.message.user_id());
    // The dead letter queue itself keeps what comes back.
    broker.done(session, Command::CloseSession { failed: true });
    for _ in 0..3 {
        let session = broker.session();
        broker.consumer(session, 0, "DLQ");
        broker.done(session, Command::CloseSession { failed: true });
    }
    assert_eq!(broker.browse("DLQ"), ["poison"]);
}

#[test]
fn without_a_place_for_it_a_dead_letter_is_dropped_and_reported() {
    for address in [None, Some("nobody".to_owned())] {
        let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
            dead_letter_address: address.clone(),
            max_delivery_attempts: Some(1),
            ..AddressSettingsOverrides::default()
        }));
        let session = broker.session();
        broker.send_texts(session, "q", &["poison"]);
        broker.consumer(session, 0, "q");
        broker.done(session, Command::CloseSession { failed: true });
        let Some(Notice::DroppedAfterAttempts {
            queue,
            attempts: 1,
            address: named,
            ..
        }) = broker.notices.last()
        else {
            panic!("{:?}", broker.notices);
        };
        assert_eq!((queue.as_str(), named), ("q", &address));
        assert_eq!(broker.restart().browse("q"), [""; 0]);
    }
}

#[test]
fn dead_letter_resources_are_created_on_demand() {
    let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
        dead_letter_address: Some("dead".into()),
        auto_create_dead_letter_resources: Some(true),
        max_delivery_attempts: Some(1),
        ..AddressSettingsOverrides::default()
    }));
    let session = broker.session();
    broker.send_texts(session, "q", &["a", "b"]);
    broker.consumer(session, 0, "q");
    broker.done(session, Command::CloseSession { failed: true });
    assert_eq!(broker.restart().browse("DLQ.q"), ["a", "b"]);
}

#[test]
fn expired_messages_move_or_are_dropped() {
    let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
        expiry_address: Some("Expiry".into()),
        ..AddressSettingsOverrides::default()
    }));
    let session = broker.session();
    let mut short = text("q", "short");
    short.expiration_ms = i64::try_from(broker.now_ms).unwrap() + 100;
    broker.send(session, &short);
    broker.send_texts(session, "q", &["lasting"]);
    assert_eq!(broker.engine.next_timeout(), Some(broker.now_ms + 100));
    broker.advance(99);
    assert_eq!(broker.browse("q"), ["short", "lasting"]);
    // Due while the broker was down: it expires as soon as the next term begins.
    broker.now_ms += 1;
    let mut broker = broker.restart();
    assert_eq!(broker.browse("q"), ["lasting"]);
    let session = broker.session();
    broker.consumer(session, 0, "Expiry");
    let expired = broker.take().remove(0).message;
    assert_eq!(expired.expiration_ms(), 0);
    let now = i64::try_from(broker.now_ms).unwrap();
    assert_eq!(
        expired.property("_AMQ_ACTUAL_EXPIRY"),
        Some(Value::Long(now))
    );
    assert_eq!(
        expired.property("_AMQ_ORIG_QUEUE"),
        Some(Value::String("q".into()))
    );
    assert_eq!(broker.restart().browse("Expiry"), ["short"]);
}

#[test]
fn without_a_scan_expired_messages_are_found_when_they_would_be_delivered() {
    let mut config = settings(AddressSettingsOverrides::default());
    config.message_expiry_scan_period_ms = -1;
    let mut broker = Broker::with_config(config);
    let session = broker.session();
    let mut short = text("q", "short");
    short.expiration_ms = i64::try_from(broker.now_ms).unwrap() + 100;
    broker.send(session, &short);
    assert_eq!(broker.engine.next_timeout(), None);
    broker.advance(100);
    assert_eq!(broker.stats("q").unwrap().message_count, 1);
    broker.consumer(session, 0, "q");
    assert_eq!(broker.texts(), [""; 0]);
    assert_eq!(broker.stats("q").unwrap().message_count, 0);
    assert!(matches!(
        broker.notices.last(),
        Some(Notice::Expired { address: None, .. })
    ));
}

#[test]
fn a_client_may_find_a_delivered_message_expired() {
    let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
        expiry_address: Some("Expiry".into()),
        ..AddressSettingsOverrides::default()
    }));
    let session = broker.session();
    broker.send_texts(session, "q", &["a"]);
    broker.consumer(session, 0, "q");
    let delivery = broker.take().remove(0);
    broker.tell(
        session,
        Command::Expired {
            consumer: 0,
            message_id: delivery.id,
        },
    );
    assert_eq!(broker.stats("q").unwrap().message_count, 0);
    assert_eq!(broker.browse("Expiry"), ["a"]);
}

#[test]
fn what_comes_back_waits_for_the_redelivery_delay() {
    let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
        redelivery_delay_ms: Some(1_000),
        redelivery_delay_multiplier: Some(2.0),
        ..AddressSettingsOverrides::default()
    }));
    let session = broker.session();
    broker.send_texts(session, "q", &["a", "b"]);
    let transacted = broker.transacted();
    broker.consumer(transacted, 0, "q");
    let deliveries = broker.take();
    broker.acknowledge(&deliveries[0], false);
    broker.done(
        transacted,
        Command::Rollback {
            consider_last_delivered: false,
        },
    );
    // The one that was only buffered does not wait.
    assert_eq!(broker.counted(), [("b".into(), 1)]);
    broker.advance(999);
    assert_eq!(broker.counted(), []);
    // The wait goes on in the next term.
    let mut broker = broker.restart();
    let transacted = broker.transacted();
    broker.consumer(transacted, 0, "q");
    assert_eq!(broker.counted(), [("b".into(), 1)]);
    broker.advance(1);
    let again = broker.take().remove(0);
    assert_eq!((again.text.as_str(), again.count), ("a", 2));
    broker.acknowledge(&again, true);
    broker.done(
        transacted,
        Command::Rollback {
            consider_last_delivered: false,
        },
    );
    broker.take();
    broker.advance(1_999);
    assert_eq!(broker.counted(), []);
    broker.advance(1);
    assert_eq!(broker.counted(), [("a".into(), 3)]);
}

#[test]
fn messages_without_a_queue_may_go_to_the_dead_letter_address() {
    let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
        dead_letter_address: Some("DLQ".into()),
        send_to_dla_on_no_route: Some(true),
        ..AddressSettingsOverrides::default()
    }));
    let session = broker.session();
    broker.send_texts(session, "nowhere", &["a"]);
    assert_eq!(broker.restart().browse("DLQ"), ["a"]);
}

#[test]
fn a_queue_deleted_under_a_transaction_takes_its_messages_along() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a"]);
    let transacted = broker.transacted();
    broker.consumer(transacted, 0, "q");
    let delivery = broker.take().remove(0);
    broker.acknowledge(&delivery, false);
    broker.done(transacted, Command::CloseConsumer { consumer: 0 });
    broker.done(session, Command::DeleteQueue { queue: "q".into() });
    broker.done(transacted, Command::Commit);
    broker.restart();
}

#[test]
fn a_consumer_id_is_used_once_per_session() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.consumer(session, 0, "q");
    let error = broker.refused(session, Command::CreateConsumer(consume(0, "q")));
    assert_eq!(error.code, 104);
    let create = CreateConsumer {
        filter: Some("a =".into()),
        ..consume(1, "q")
    };
    assert_eq!(
        broker
            .refused(session, Command::CreateConsumer(create))
            .code,
        103
    );
}
