//! Deliveries that come back, dead letters, expiry.

use crate::support::{Broker, anycast, text, with};
use core_protocol::message::Value;
use engine::{
    AddressConfig, AddressSettingsMatch, AddressSettingsOverrides, Command, EngineConfig, Notice,
    QueueConfig, RoutingType,
};

pub(crate) fn settings(overrides: AddressSettingsOverrides) -> EngineConfig {
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
