//! Losing the broker: what calls in flight hear, where the client goes, what it finds there.

use std::time::Duration;

use core_client::{
    CallError, Client, DEFAULT_WINDOW_BYTES, Event, LossReason, Routing, SendError, SessionMode,
};
use tokio::time::timeout;

use crate::support::{A_WHILE, Broker, PATIENCE, Rules, Then, eventually, message, number, pair};

async fn next(events: &mut core_client::Events) -> Event {
    timeout(PATIENCE, events.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_send_cut_in_flight_is_unknown_and_the_client_goes_to_the_other_side() {
    let (mut primary, mut backup, store) = pair();
    primary.change_rules(|rules| rules.faults.push(("SESS_SEND", 1, Then::CutAfterwards)));
    // Only the primary is named: the backup is learnt from it.
    let client = Client::connect(primary.options()).await.unwrap();
    let mut events = client.events();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    producer.send(&message("orders", 1)).await.unwrap();
    let cut = async {
        let sent = producer.send(&message("orders", 2)).await;
        primary.kill().await;
        sent
    };
    let error = cut.await.unwrap_err();
    assert!(
        matches!(
            error,
            SendError::OutcomeUnknown {
                reason: LossReason::ClosedByBroker,
                ..
            }
        ),
        "{error:?}"
    );
    let third = message("orders", 3);
    let sending = producer.send(&third);
    tokio::pin!(sending);
    assert!(
        timeout(A_WHILE, &mut sending).await.is_err(),
        "no broker serves yet"
    );
    backup.start();
    timeout(PATIENCE, sending).await.unwrap().unwrap();
    assert_eq!(store.numbers("orders"), [1, 2, 3]);
    assert_eq!(client.endpoint(), Some(backup.endpoint.clone()));
    let Event::Disconnected {
        endpoint,
        at: lost_at,
        ..
    } = next(&mut events).await
    else {
        panic!("expected the loss first");
    };
    assert_eq!(endpoint, primary.endpoint);
    let Event::Connected {
        endpoint,
        at,
        attempts,
    } = next(&mut events).await
    else {
        panic!("expected the new connection next");
    };
    assert_eq!(endpoint, backup.endpoint);
    assert!(
        attempts >= 2 && at.duration_since(lost_at) >= A_WHILE,
        "{attempts}"
    );
    assert_eq!(
        backup.names(1, 1),
        ["CHECK_FOR_FAILOVER", "REATTACH_SESSION", "CREATESESSION"]
    );
}

#[tokio::test]
async fn a_consumer_goes_on_at_the_other_side() {
    let (mut primary, mut backup, store) = pair();
    let client = Client::connect(primary.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    (1..=4).for_each(|number| store.add(&message("orders", number)));
    let first = consumer.receive(PATIENCE).await.unwrap().unwrap();
    consumer.acknowledge(&first).await.unwrap();
    let second = consumer.receive(PATIENCE).await.unwrap().unwrap();
    primary.kill().await;
    backup.start();
    eventually("the failover", || {
        client.endpoint() == Some(backup.endpoint.clone())
    })
    .await;
    let stale = consumer.acknowledge(&second).await;
    let message_id = second.id;
    assert_eq!(stale, Err(CallError::StaleDelivery { message_id }));
    for expected in 2..=4 {
        let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
        assert_eq!(number(&delivery.message), expected);
        assert_eq!(
            delivery.delivery_count, 2,
            "all of them had been delivered once"
        );
        consumer.acknowledge(&delivery).await.unwrap();
    }
    consumer.close().await.unwrap();
    assert!(store.numbers("orders").is_empty());
}

#[tokio::test]
async fn a_queue_made_on_demand_is_made_again_with_its_consumer() {
    let (mut primary, mut backup, store) = pair();
    let client = Client::connect(primary.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    session
        .ensure_queue("prices", "prices", Routing::Anycast)
        .await
        .unwrap();
    let _prices = session
        .consumer("prices", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    let _orders = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    primary.kill().await;
    store.delete("prices");
    backup.start();
    eventually("the failover", || {
        client.endpoint() == Some(backup.endpoint.clone())
    })
    .await;
    assert!(store.has("prices"));
    eventually("deliveries", || backup.count("SESS_START") == 1).await;
    let session_packets = [
        "CREATE_QUEUE_V2",
        "SESS_CREATECONSUMER",
        "SESS_CREATECONSUMER",
        "SESS_FLOWTOKEN",
        "SESS_FLOWTOKEN",
        "SESS_START",
    ];
    assert_eq!(backup.names(1, 10), session_packets);
}

#[tokio::test]
async fn a_broker_that_is_not_ready_is_asked_again() {
    let (mut primary, mut backup, _store) = pair();
    backup.change_rules(|rules| rules.not_ready = 3);
    let client = Client::connect(primary.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    primary.kill().await;
    backup.start();
    session.queue_state("orders").await.ok();
    eventually("the failover", || {
        client.endpoint() == Some(backup.endpoint.clone())
    })
    .await;
    assert_eq!(backup.count("CHECK_FOR_FAILOVER"), 4);
    assert_eq!(backup.count("CREATESESSION"), 1);
}

#[tokio::test]
async fn a_frozen_broker_does_not_hold_the_client_for_a_call_timeout() {
    let (primary, mut backup, _store) = pair();
    backup.start();
    let mut options = primary.options();
    options.call_timeout_ms = 60_000;
    options.connect_timeout_ms = 100;
    let client = Client::connect(options).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    // The port still accepts, as that of a stopped process does, and nothing answers.
    primary.change_rules(|rules| {
        rules.faults.push(("SESS_QUEUEQUERY", 0, Then::Cut));
        rules.faults.push(("CHECK_FOR_FAILOVER", 0, Then::Ignore));
    });
    session.queue_state("orders").await.unwrap_err();
    eventually("the failover", || {
        client.endpoint() == Some(backup.endpoint.clone())
    })
    .await;
    assert_eq!(primary.count("CHECK_FOR_FAILOVER"), 1, "it was tried first");
}

#[tokio::test]
async fn clients_that_are_sent_away_try_the_other_side_first() {
    let (primary, mut backup, _store) = pair();
    backup.start();
    let client = Client::connect(primary.options()).await.unwrap();
    let mut events = client.events();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    primary.change_rules(|rules| rules.faults.push(("SESS_QUEUEQUERY", 0, Then::SendAway)));
    let error = session.queue_state("orders").await.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::OutcomeUnknown {
                reason: LossReason::SentAway { code: 2 },
                ..
            }
        ),
        "{error:?}"
    );
    next(&mut events).await;
    let event = next(&mut events).await;
    let Event::Connected {
        endpoint,
        attempts: 1,
        ..
    } = &event
    else {
        panic!("{event:?}");
    };
    assert_eq!(*endpoint, backup.endpoint);
}

#[tokio::test]
async fn the_way_back_is_found_too() {
    let (mut primary, mut backup, store) = pair();
    let client = Client::connect(primary.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    producer.send(&message("orders", 1)).await.unwrap();
    primary.kill().await;
    backup.start();
    // The call may still have been in flight on the old connection.
    while producer.send(&message("orders", 2)).await.is_err() {}
    // The primary's place is taken by a new process on another port, which the backup publishes.
    let mut returned = Broker::passive(&store, Rules::default());
    let connectors = (backup.endpoint.clone(), Some(returned.endpoint.clone()));
    backup.change_rules(|rules| {
        rules.connectors = Some(connectors);
        rules.event_id = 3;
        rules.faults.push(("SESS_QUEUEQUERY", 0, Then::Cut));
    });
    // A short break is enough to hear of it.
    session.queue_state("orders").await.unwrap_err();
    session.queue_state("orders").await.unwrap();
    backup.kill().await;
    returned.start();
    while producer.send(&message("orders", 3)).await.is_err() {}
    assert_eq!(client.endpoint(), Some(returned.endpoint.clone()));
}

#[tokio::test]
async fn a_call_without_a_connection_fails_in_time_and_is_never_sent() {
    let (mut primary, mut backup, store) = pair();
    let mut options = primary.options();
    options.call_failover_timeout_ms = 200;
    let client = Client::connect(options).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    producer.send(&message("orders", 1)).await.unwrap();
    primary.kill().await;
    eventually("the loss", || client.endpoint().is_none()).await;
    let error = session.queue_state("orders").await.unwrap_err();
    assert!(
        matches!(error, CallError::NotConnected { waited_ms: 200, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("last attempt"), "{error}");
    backup.start();
    eventually("the failover", || client.endpoint().is_some()).await;
    producer.send(&message("orders", 2)).await.unwrap();
    assert_eq!(backup.count("SESS_QUEUEQUERY"), 0);
    assert_eq!(store.numbers("orders"), [1, 2]);
}

#[tokio::test]
async fn a_client_with_bounded_attempts_gives_up_and_says_so() {
    let mut broker = Broker::running(Rules::default());
    let mut options = broker.options();
    options.reconnect_attempts = Some(3);
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session.consumer("orders", 1000).await.unwrap();
    broker.kill().await;
    let error = consumer.receive(PATIENCE).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("gave up reconnecting after 3 round(s)"),
        "{error}"
    );
    next(&mut events).await;
    let event = next(&mut events).await;
    assert!(
        matches!(event, Event::GaveUp { attempts: 3, .. }),
        "{event:?}"
    );
    let error = client
        .session(SessionMode::AutoAcknowledge)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn handles_dropped_without_a_connection_are_not_made_again() {
    let (mut primary, mut backup, _store) = pair();
    let client = Client::connect(primary.options()).await.unwrap();
    let kept = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let dropped = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = kept.consumer("orders", 1000).await.unwrap();
    primary.kill().await;
    eventually("the loss", || client.endpoint().is_none()).await;
    drop(consumer);
    timeout(A_WHILE, dropped.close())
        .await
        .expect("nothing to wait for")
        .unwrap();
    backup.start();
    eventually("the failover", || client.endpoint().is_some()).await;
    kept.queue_state("orders").await.unwrap();
    // A plan made before the drops may have recreated them; then they are closed at once.
    let opened = backup.count("CREATESESSION") - backup.count("SESS_CLOSE");
    let consumers = backup.count("SESS_CREATECONSUMER") - backup.count("SESS_CONSUMER_CLOSE");
    assert_eq!((opened, consumers), (1, 0));
}

#[tokio::test]
async fn an_idle_client_reconnects_by_itself() {
    let (mut primary, mut backup, _store) = pair();
    let client = Client::connect(primary.options()).await.unwrap();
    backup.start();
    primary.kill().await;
    eventually("the failover", || {
        client.endpoint() == Some(backup.endpoint.clone())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(backup.open_connections(), 1);
}
