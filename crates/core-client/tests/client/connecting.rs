//! Connecting, authenticating, and ending; peers that are silent or no brokers at all.

use std::time::Duration;

use core_client::{
    CallError, Client, ConnectError, Endpoint, Event, LossReason, SendError, SessionMode,
};
use core_protocol::exception;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::{Broker, PATIENCE, Rules, Store, Then, eventually, message};

#[tokio::test]
async fn a_wrong_password_is_refused_in_the_brokers_words() {
    let rules = Rules {
        password: Some("right"),
        ..Rules::default()
    };
    let broker = Broker::running(rules);
    let options = broker.options();
    let client = Client::connect(options.clone().with_credentials("admin", "wrong"))
        .await
        .unwrap();
    let error = client
        .session(SessionMode::AutoAcknowledge)
        .await
        .unwrap_err();
    let CallError::Refused(refusal) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(refusal.code, exception::SECURITY);
    assert_eq!(
        error.to_string(),
        "the broker refused CREATESESSION: AMQ229031: Unable to validate user from 127.0.0.1 \
         (code 105: security; check user, password and permissions)"
    );
    let client = Client::connect(options.with_credentials("admin", "right"))
        .await
        .unwrap();
    client.session(SessionMode::AutoAcknowledge).await.unwrap();
}

#[tokio::test]
async fn the_first_endpoint_that_works_is_taken() {
    let refusing = Broker::passive(&Store::new(), Rules::default());
    let broker = Broker::running(Rules::default());
    let mut options = broker.options();
    options.endpoints.insert(0, refusing.endpoint.clone());
    let client = Client::connect(options).await.unwrap();
    assert_eq!(client.endpoint(), Some(broker.endpoint.clone()));
}

#[tokio::test]
async fn unreachable_brokers_are_all_named() {
    let one = Broker::passive(&Store::new(), Rules::default());
    let other = Broker::passive(&Store::new(), Rules::default());
    let mut options = one.options();
    options.endpoints.push(other.endpoint.clone());
    options.initial_connect_attempts = 2;
    let error = Client::connect(options).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&one.endpoint.to_string()), "{text}");
    assert!(text.contains(&other.endpoint.to_string()), "{text}");
    assert!(
        text.contains("2 round(s)") && text.contains("refused"),
        "{text}"
    );
}

#[tokio::test]
async fn a_web_server_is_not_a_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::from(listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 7];
        stream.read_exact(&mut request).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        // Stays open: the client must see by itself that this leads nowhere.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let options = core_client::ClientOptions::new([endpoint.clone()]);
    let error = timeout(PATIENCE, Client::connect(options))
        .await
        .unwrap()
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&endpoint.to_string()), "{text}");
    assert!(text.contains("not a CORE broker's answer"), "{text}");
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn garbage_on_a_working_connection_ends_it() {
    let garbage = Then::Answer(b"\x00\x00\x00\x09\x63\0\0\0\0\0\0\0\x0a");
    let broker = Broker::running(Rules::fault("SESS_SEND", garbage));
    let client = Client::connect(broker.options()).await.unwrap();
    let mut events = client.events();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    let error = producer.send(&message("orders", 1)).await.unwrap_err();
    let SendError::OutcomeUnknown { reason, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(reason, LossReason::NotCore { .. }), "{reason:?}");
    assert!(error.to_string().contains("packet type 99"), "{error}");
    let event = timeout(PATIENCE, events.next()).await.unwrap();
    assert!(
        matches!(event, Some(Event::Disconnected { .. })),
        "{event:?}"
    );
    producer.send(&message("orders", 2)).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_never_completes_its_topology_is_given_up() {
    let rules = Rules {
        topology_complete: false,
        ..Rules::default()
    };
    let broker = Broker::running(rules);
    let mut options = broker.options();
    options.call_timeout_ms = 100;
    let error = Client::connect(options).await.unwrap_err();
    let ConnectError::Unreachable { failures, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(failures[0].reason, LossReason::CallTimeout { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_call_without_an_answer_times_out_and_fails_the_connection() {
    let broker = Broker::running(Rules::fault("SESS_SEND", Then::Ignore));
    let mut options = broker.options();
    options.call_timeout_ms = 150;
    let client = Client::connect(options).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    let error = producer.send(&message("orders", 1)).await.unwrap_err();
    let SendError::OutcomeUnknown { reason, .. } = &error else {
        panic!("{error:?}");
    };
    let (call, waited_ms) = ("SESS_SEND", 150);
    assert_eq!(*reason, LossReason::CallTimeout { call, waited_ms });
    producer.send(&message("orders", 2)).await.unwrap();
    assert_eq!(
        broker.names(2, 1),
        ["CHECK_FOR_FAILOVER", "REATTACH_SESSION", "CREATESESSION"]
    );
}

#[tokio::test]
async fn a_silent_broker_is_noticed_and_a_pinging_one_kept() {
    let broker = Broker::running(Rules::default());
    let mut options = broker.options();
    options.connection_ttl_ms = 200;
    options.failure_check_period_ms = 50;
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    let quiet = timeout(Duration::from_millis(600), events.next()).await;
    assert!(
        quiet.is_err(),
        "pings should keep the connection: {quiet:?}"
    );
    assert!(broker.count("PING") >= 4);
    broker.change_rules(|rules| rules.answer_pings = false);
    let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
    let Event::Disconnected { reason, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(reason, LossReason::Silent { silent_ms: 200 });
}

#[tokio::test]
async fn dropping_the_client_ends_its_connection_and_its_handles() {
    let broker = Broker::running(Rules::fault("SESS_SEND", Then::Ignore));
    let client = Client::connect(broker.options()).await.unwrap();
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let producer = session.producer("orders").await.unwrap();
    let consumer = session.consumer("orders", 1024).await.unwrap();
    let in_flight = tokio::spawn(async move {
        let first = producer.send(&message("orders", 1)).await;
        (first, producer.send(&message("orders", 2)).await)
    });
    eventually("the send", || broker.count("SESS_SEND") == 1).await;
    drop(client);
    eventually("the connection's end", || broker.open_connections() == 0).await;
    let (first, second) = timeout(PATIENCE, in_flight).await.unwrap().unwrap();
    assert!(
        matches!(first, Err(SendError::OutcomeUnknown { .. })),
        "{first:?}"
    );
    assert!(
        matches!(second, Err(SendError::NotSent { .. })),
        "{second:?}"
    );
    let received = consumer.receive(PATIENCE).await;
    assert!(
        matches!(received, Err(CallError::Closed { .. })),
        "{received:?}"
    );
    let queried = session.queue_state("orders").await;
    assert!(
        matches!(queried, Err(CallError::Closed { .. })),
        "{queried:?}"
    );
}

#[tokio::test]
async fn closing_the_client_closes_its_sessions_at_the_broker() {
    let broker = Broker::running(Rules::default());
    let client = Client::connect(broker.options()).await.unwrap();
    let _one = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let _other = client.session(SessionMode::Transacted).await.unwrap();
    client.close().await.unwrap();
    assert_eq!(broker.count("SESS_CLOSE"), 2);
    eventually("the connection's end", || broker.open_connections() == 0).await;
}

#[tokio::test]
async fn bad_options_are_refused_before_anything_is_dialled() {
    let broker = Broker::running(Rules::default());
    let mut options = broker.options();
    options.call_timeout_ms = 0;
    let error = Client::connect(options).await.unwrap_err();
    assert!(
        error.to_string().starts_with("call_timeout_ms is 0"),
        "{error}"
    );
    assert!(broker.seen().is_empty());
}
