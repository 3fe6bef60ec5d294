//! Commit and rollback, with and without a lost connection in between.

use core_client::{CallError, Client, DEFAULT_WINDOW_BYTES, SendError, Session, SessionMode};

use crate::support::{Broker, PATIENCE, Rules, Store, Then, eventually, message, number};

async fn transacted(broker: &Broker) -> (Client, Session) {
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::Transacted).await.unwrap();
    (client, session)
}

fn broker(rules: Rules) -> (Broker, std::sync::Arc<Store>) {
    let store = Store::new();
    let mut broker = Broker::passive(&store, rules);
    broker.start();
    (broker, store)
}

#[tokio::test]
async fn a_commit_makes_sends_and_acknowledgements_count() {
    let (broker, store) = broker(Rules::default());
    store.add(&message("orders", 1));
    let (_client, session) = transacted(&broker).await;
    let consumer = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    let producer = session.producer("orders").await.unwrap();
    let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
    consumer.acknowledge(&delivery).await.unwrap();
    consumer.close().await.unwrap();
    producer.send(&message("orders", 2)).await.unwrap();
    assert!(store.numbers("orders").is_empty());
    session.commit().await.unwrap();
    assert_eq!(store.numbers("orders"), [2]);
}

#[tokio::test]
async fn a_rollback_undoes_sends_and_delivers_again() {
    let (broker, store) = broker(Rules::default());
    (1..=3).for_each(|number| store.add(&message("orders", number)));
    let (_client, session) = transacted(&broker).await;
    let consumer = session
        .consumer("orders", DEFAULT_WINDOW_BYTES)
        .await
        .unwrap();
    let producer = session.producer("orders").await.unwrap();
    let first = consumer.receive(PATIENCE).await.unwrap().unwrap();
    consumer.acknowledge(&first).await.unwrap();
    let second = consumer.receive(PATIENCE).await.unwrap().unwrap();
    producer.send(&message("orders", 9)).await.unwrap();
    session.rollback().await.unwrap();
    let stale = consumer.acknowledge(&second).await;
    assert!(
        matches!(stale, Err(CallError::StaleDelivery { .. })),
        "{stale:?}"
    );
    for expected in 1..=3 {
        let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
        assert_eq!(number(&delivery.message), expected);
        consumer.acknowledge(&delivery).await.unwrap();
    }
    session.commit().await.unwrap();
    drop(consumer);
    eventually("the close", || broker.count("SESS_CONSUMER_CLOSE") == 1).await;
    assert!(store.numbers("orders").is_empty());
}

#[tokio::test]
async fn work_that_was_lost_with_its_connection_is_never_committed() {
    let (broker, store) = broker(Rules::fault("SESS_QUEUEQUERY", Then::Cut));
    let (_client, session) = transacted(&broker).await;
    let producer = session.producer("orders").await.unwrap();
    producer.send(&message("orders", 1)).await.unwrap();
    let lost = session.queue_state("orders").await;
    assert!(
        matches!(lost, Err(CallError::OutcomeUnknown { .. })),
        "{lost:?}"
    );
    let refused = producer.send(&message("orders", 2)).await.unwrap_err();
    let SendError::NotSent { source, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(source, CallError::TransactionRolledBack);
    assert_eq!(
        session.commit().await,
        Err(CallError::TransactionRolledBack)
    );
    assert_eq!(broker.count("SESS_COMMIT"), 0);
    assert!(store.numbers("orders").is_empty());
    producer.send(&message("orders", 3)).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(store.numbers("orders"), [3]);
}

#[tokio::test]
async fn a_commit_cut_in_flight_has_an_unknown_outcome() {
    let (broker, store) = broker(Rules::fault("SESS_COMMIT", Then::CutAfterwards));
    let (_client, session) = transacted(&broker).await;
    let producer = session.producer("orders").await.unwrap();
    producer.send(&message("orders", 1)).await.unwrap();
    let commit = session.commit().await;
    assert!(
        matches!(commit, Err(CallError::OutcomeUnknown { .. })),
        "{commit:?}"
    );
    assert_eq!(store.numbers("orders"), [1], "this one did commit");
    producer.send(&message("orders", 2)).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(store.numbers("orders"), [1, 2]);
}

#[tokio::test]
async fn a_rollback_cut_in_flight_is_done() {
    let (broker, store) = broker(Rules::fault("SESS_ROLLBACK", Then::Cut));
    let (_client, session) = transacted(&broker).await;
    let producer = session.producer("orders").await.unwrap();
    producer.send(&message("orders", 1)).await.unwrap();
    session.rollback().await.unwrap();
    producer.send(&message("orders", 2)).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(store.numbers("orders"), [2]);
}

#[tokio::test]
async fn rollbacks_use_up_no_credits() {
    let (broker, store) = broker(Rules::default());
    (1..=3).for_each(|number| store.add(&message("orders", number)));
    let (_client, session) = transacted(&broker).await;
    // Room for about two messages.
    let consumer = session.consumer("orders", 250).await.unwrap();
    for _ in 0..20 {
        let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
        assert_eq!(number(&delivery.message), 1);
        consumer.acknowledge(&delivery).await.unwrap();
        session.rollback().await.unwrap();
    }
}
