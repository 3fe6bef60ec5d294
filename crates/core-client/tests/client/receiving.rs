//! Consumers: deliveries, acknowledgements, credits, and what becomes of the rest.

use std::time::Duration;

use core_client::{CallError, Client, DEFAULT_WINDOW_BYTES, SessionMode};
use core_protocol::Packet;
use core_protocol::packet::{DisconnectConsumer, encode_receive};
use tokio::time::timeout;

use crate::support::{Broker, PATIENCE, Rules, Store, Then, eventually, message, number};

#[tokio::test]
async fn messages_come_in_order_and_acknowledged_ones_are_gone() {
    let store = Store::new();
    let mut broker = Broker::passive(&store, Rules::default());
    broker.start();
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    (0..5).for_each(|number| store.add(&message("orders", number)));
    let mut deliveries = Vec::new();
    for expected in 0..5 {
        let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
        assert_eq!(number(&delivery.message), expected);
        assert_eq!(delivery.delivery_count, 1);
        deliveries.push(delivery);
    }
    consumer.acknowledge(&deliveries[1]).await.unwrap();
    consumer
        .acknowledge_individually(&deliveries[3])
        .await
        .unwrap();
    consumer.close().await.unwrap();
    assert_eq!(store.numbers("orders"), [2, 4]);
}

#[tokio::test]
async fn an_empty_queue_gives_nothing_in_time() {
    let broker = Broker::running(Rules::default());
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    assert!(
        consumer
            .receive(Duration::from_millis(30))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn credits_are_given_back_as_messages_are_taken() {
    let store = Store::new();
    let mut broker = Broker::passive(&store, Rules::default());
    broker.start();
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    (0..300).for_each(|number| store.add(&message("orders", number)));
    // A window of a few messages: without credits given back, the rest would never come.
    for window in [1, 200, 1000] {
        let consumer = session.consumer("orders", window).await.unwrap();
        for _ in 0..100 {
            let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
            consumer.acknowledge(&delivery).await.unwrap();
        }
        consumer.close().await.unwrap();
    }
    assert!(store.numbers("orders").is_empty());
    let granted: i64 = broker
        .seen()
        .iter()
        .map(|seen| {
            if let Packet::SessFlowToken(token) = &seen.packet {
                i64::from(token.credits)
            } else {
                0
            }
        })
        .sum();
    let received: usize = (0..300)
        .map(|number| core_protocol::packet::receive_len(&message("orders", number)))
        .sum();
    let received = i64::try_from(received).unwrap();
    assert!(
        granted <= received + 1201,
        "{granted} granted for {received} received"
    );
}

#[tokio::test]
async fn a_dropped_consumer_is_closed_and_its_messages_go_back() {
    let store = Store::new();
    let mut broker = Broker::passive(&store, Rules::default());
    broker.start();
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    store.add(&message("orders", 1));
    consumer.receive(PATIENCE).await.unwrap().unwrap();
    drop(consumer);
    eventually("the message back in its queue", || {
        store.numbers("orders") == [1]
    })
    .await;
    drop(session);
    eventually("the session's close", || broker.count("SESS_CLOSE") == 1).await;
}

#[tokio::test]
async fn a_consumer_of_a_missing_queue_is_refused() {
    let broker = Broker::running(Rules::default());
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let error = session
        .consumer("nowhere", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("AMQ229017"), "{error}");
    let error = session.consumer("orders", 0).await.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::BadArgument {
                what: "window_bytes",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_deleted_queue_ends_its_consumer() {
    let broker = Broker::running(Rules::default());
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    let mut gone = bytes::BytesMut::new();
    Packet::from(DisconnectConsumer { consumer_id: 0 }).encode(10, &mut gone);
    let gone: &'static [u8] = gone.to_vec().leak();
    broker.change_rules(|rules| {
        rules
            .faults
            .push(("SESS_QUEUEQUERY", 0, Then::Answer(gone)));
    });
    let query = session.queue_state("orders");
    let received = tokio::select! {
        received = consumer.receive(PATIENCE) => received,
        queried = query => panic!("{queried:?}"),
    };
    let error = received.unwrap_err();
    assert!(
        matches!(error, CallError::ConsumerClosed { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("orders"), "{error}");
    eventually("its close", || broker.count("SESS_CONSUMER_CLOSE") == 1).await;
}

#[tokio::test]
async fn a_broker_that_overruns_the_window_loses_its_connection() {
    let mut flood = bytes::BytesMut::new();
    for id in 1..100 {
        encode_receive(10, &message("orders", 1), id, 0, 1, &mut flood);
    }
    let flood: &'static [u8] = flood.to_vec().leak();
    let broker = Broker::running(Rules::fault("SESS_QUEUEQUERY", Then::Answer(flood)));
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session.consumer("orders", 300).await.unwrap();
    let error = timeout(PATIENCE, session.queue_state("orders"))
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        error.to_string().contains("whose window is 300 bytes"),
        "{error}"
    );
    let received = consumer.receive(Duration::from_millis(30)).await.unwrap();
    assert!(
        received.is_none(),
        "deliveries of the lost connection are void: {received:?}"
    );
}
