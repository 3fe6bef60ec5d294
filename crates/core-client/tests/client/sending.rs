//! Sends: confirmed, refused, held back by credits.

use std::sync::Arc;

use bytes::Bytes;
use core_client::{CallError, Client, Routing, SendError, SessionMode};
use core_protocol::{MessageBuilder, Packet, exception};
use tokio::time::timeout;

use crate::support::{A_WHILE, Broker, Grants, PATIENCE, Rules, Store, Then, eventually, message};

async fn sender(broker: &Broker) -> (Client, core_client::Session, core_client::Producer) {
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    (client, session, producer)
}

#[tokio::test]
async fn a_send_is_confirmed_once_it_is_stored() {
    let store = Store::new();
    let mut broker = Broker::passive(&store, Rules::default());
    broker.start();
    let (_client, _session, producer) = sender(&broker).await;
    producer.send(&message("orders", 7)).await.unwrap();
    assert_eq!(store.numbers("orders"), [7]);
}

#[tokio::test]
async fn a_send_does_not_return_before_the_answer() {
    let broker = Broker::running(Rules::fault("SESS_SEND", Then::Ignore));
    let (_client, _session, producer) = sender(&broker).await;
    let message = message("orders", 7);
    let sending = producer.send(&message);
    assert!(timeout(A_WHILE, sending).await.is_err());
    assert_eq!(broker.count("SESS_SEND"), 1);
}

#[tokio::test]
async fn concurrent_sends_of_one_producer_are_all_confirmed() {
    let store = Store::new();
    let mut broker = Broker::passive(&store, Rules::default());
    broker.start();
    let (_client, _session, producer) = sender(&broker).await;
    let producer = Arc::new(producer);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..500 {
        let producer = Arc::clone(&producer);
        tasks.spawn(async move { producer.send(&message("orders", number)).await });
    }
    while let Some(sent) = tasks.join_next().await {
        sent.unwrap().unwrap();
    }
    let mut numbers = store.numbers("orders");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_refused_send_says_why_and_the_next_one_works() {
    let refusal = Then::Refuse(exception::SECURITY, "AMQ229032: no permission SEND");
    let broker = Broker::running(Rules::fault("SESS_SEND", refusal));
    let (_client, _session, producer) = sender(&broker).await;
    let error = producer.send(&message("orders", 1)).await.unwrap_err();
    let SendError::Refused { refusal, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(refusal.code, exception::SECURITY);
    assert!(error.to_string().contains("no permission SEND"), "{error}");
    producer.send(&message("orders", 2)).await.unwrap();
}

#[tokio::test]
async fn a_full_address_is_told_apart() {
    let refusal = Then::Refuse(exception::ADDRESS_FULL, "AMQ229102: full");
    let broker = Broker::running(Rules::fault("SESS_SEND", refusal));
    let (_client, _session, producer) = sender(&broker).await;
    let error = producer.send(&message("orders", 1)).await.unwrap_err();
    assert!(
        matches!(error, SendError::AddressFull { waited_ms: 0, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn nothing_is_sent_beyond_the_credits() {
    let broker = Broker::running(Rules::default());
    let (_client, _session, producer) = sender(&broker).await;
    eventually("the first credits", || {
        broker.count("SESS_PRODUCER_REQUEST_CREDITS") == 1
    })
    .await;
    // Granted; from here on nothing more.
    let mut builder = MessageBuilder::to("orders");
    builder.body = Bytes::from(vec![0; 10_000]);
    let large = builder.build();
    producer.send(&large).await.unwrap();
    broker.change_rules(|rules| rules.grants = Grants::Later);
    let sending = async {
        for _ in 0..20 {
            producer.send(&large).await.unwrap();
        }
    };
    tokio::pin!(sending);
    assert!(
        timeout(A_WHILE, &mut sending).await.is_err(),
        "the sender should wait"
    );
    let seen = broker.seen();
    let sent: usize = seen
        .iter()
        .map(|seen| {
            if let Packet::SessSend(send) = &seen.packet {
                send.message.encoded_len()
            } else {
                0
            }
        })
        .sum();
    // Two requests may have been granted before the rule changed.
    assert!((1..=65_536).contains(&sent), "{sent} bytes were sent");
    broker.change_rules(|rules| rules.grants = Grants::AtOnce);
    timeout(PATIENCE, sending).await.unwrap();
    assert_eq!(broker.count("SESS_SEND"), 21);
}

#[tokio::test]
async fn refused_credits_fail_the_send_without_sending() {
    let rules = Rules {
        grants: Grants::Refused,
        ..Rules::default()
    };
    let broker = Broker::running(rules);
    let (_client, _session, producer) = sender(&broker).await;
    let error = producer.send(&message("orders", 1)).await.unwrap_err();
    assert!(
        matches!(error, SendError::AddressFull { waited_ms: 0, .. }),
        "{error:?}"
    );
    assert_eq!(broker.count("SESS_SEND"), 0);
}

#[tokio::test]
async fn credits_that_never_come_fail_the_send_in_the_end() {
    let rules = Rules {
        grants: Grants::Later,
        ..Rules::default()
    };
    let broker = Broker::running(rules);
    let mut options = broker.options();
    options.call_timeout_ms = 100;
    options.call_failover_timeout_ms = 100;
    let client = Client::connect(options).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    let error = producer.send(&message("orders", 1)).await.unwrap_err();
    assert!(
        matches!(error, SendError::AddressFull { waited_ms: 200, .. }),
        "{error:?}"
    );
    assert_eq!(broker.count("SESS_SEND"), 0);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_at_once() {
    let broker = Broker::running(Rules::default());
    let (_client, _session, producer) = sender(&broker).await;
    let mut builder = MessageBuilder::to("orders");
    builder.body = Bytes::from(vec![0; 200_000]);
    let error = producer.send(&builder.build()).await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge { .. }), "{error:?}");
    let error = producer.send(&message("elsewhere", 1)).await.unwrap_err();
    assert!(
        matches!(
            &error,
            SendError::NotSent {
                source: CallError::BadArgument { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(broker.count("SESS_SEND"), 0);
}

#[tokio::test]
async fn a_missing_queue_is_created_and_a_present_one_is_not() {
    let broker = Broker::running(Rules::default());
    let (_client, session, _producer) = sender(&broker).await;
    let state = session
        .ensure_queue("prices", "prices", Routing::Anycast)
        .await
        .unwrap();
    assert!(state.exists && state.durable);
    assert_eq!(
        (state.address.as_str(), state.routing),
        ("prices", Some(Routing::Anycast))
    );
    session
        .ensure_queue("prices", "prices", Routing::Anycast)
        .await
        .unwrap();
    assert_eq!(
        (
            broker.count("CREATE_ADDRESS"),
            broker.count("CREATE_QUEUE_V2")
        ),
        (1, 1)
    );
    let error = session
        .ensure_queue("orders", "prices", Routing::Anycast)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another address"), "{error}");
}

#[tokio::test]
async fn without_creation_on_demand_a_missing_queue_is_an_error() {
    let rules = Rules {
        auto_create: false,
        ..Rules::default()
    };
    let broker = Broker::running(rules);
    let (_client, session, _producer) = sender(&broker).await;
    session
        .ensure_queue("orders", "orders", Routing::Anycast)
        .await
        .unwrap();
    let error = session
        .ensure_queue("prices", "prices", Routing::Anycast)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("on demand"), "{error}");
    assert_eq!(broker.count("CREATE_QUEUE_V2"), 0);
}
