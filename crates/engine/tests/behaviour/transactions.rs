//! Acknowledgements and transactions.

use crate::support::{Broker, consume, text};
use engine::{Command, CreateConsumer, EngineConfig, Notice, OpenSession};

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
