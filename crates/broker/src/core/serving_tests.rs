//! A term that serves real clients over a real socket and journal, with a gate that the test moves.

use std::time::Duration;

use broker_config::Authenticator;
use broker_config::login_config::Guest;
use broker_config::users::{Roles, Users};
use core_client::{Client, ClientOptions, Endpoint, Routing, SendError, SessionMode};
use core_protocol::message::{Message, MessageBuilder, kind, text_body};
use engine::EngineConfig;
use journal::{Directory, JournalEvent, Options, Seal, Storage, TermId};

use super::*;

#[path = "hostile_tests.rs"]
mod hostile;

const WINDOW_BYTES: u32 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

struct Term {
    serving: Serving,
    port: u16,
    gate: Arc<watch::Sender<Gate>>,
    _announce: watch::Sender<Topology>,
    _dir: tempfile::TempDir,
}

/// The gate of a side that is alone.
fn passing(offset: u64) -> Gate {
    Gate {
        offset,
        fresh_until_ms: u64::MAX,
    }
}

/// Serves on a port of its own; with `open` every synced entry passes the gate at once.
async fn term(open: bool) -> Term {
    term_with(open, |_| {}).await
}

async fn term_with(open: bool, change: impl FnOnce(&mut ServingParts)) -> Term {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(dir.path()).unwrap());
    let id = TermId {
        epoch: 1,
        incarnation: [7; 16],
    };
    journal::seal::write(
        storage.as_ref(),
        &Seal {
            term: id,
            files: Vec::new(),
        },
    )
    .unwrap();
    let gate = Arc::new(watch::channel(passing(0)).0);
    let passed = Arc::clone(&gate);
    let writer = Writer::start(storage, id, Options::default(), move |event| {
        if let JournalEvent::Synced(synced) = event
            && open
        {
            passed.send_replace(passing(synced.durable.offset));
        }
    })
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let topology = Topology {
        node_id: "00000000-0000-4000-8000-000000000001".into(),
        ..Topology::default()
    };
    let announce = watch::channel(topology).0;
    let guest = Guest {
        user: "guest".into(),
        role: "guests".into(),
    };
    let users = Users::parse("users", "admin = password").unwrap();
    let auth = Authenticator::new(users, Roles::default(), Some(guest));
    let mut parts = ServingParts {
        engine: Engine::new(EngineConfig::new(1)),
        writer: Arc::new(writer),
        base: 0,
        gate: gate.subscribe(),
        listeners: vec![OpenPort {
            listener,
            user: "acceptor 'test'".into(),
            connections_allowed: None,
        }],
        auth: Auth::new(auth),
        topology: announce.subscribe(),
        broadcasts: Vec::new(),
        protocol: core_protocol::server::ServerConfig::default(),
        messages: watch::channel(None).0,
        on_failure: Box::new(|error| panic!("{error}")),
    };
    change(&mut parts);
    let serving = Serving::start(parts);
    Term {
        serving,
        port,
        gate,
        _announce: announce,
        _dir: dir,
    }
}

async fn client(port: u16) -> Client {
    Client::connect(ClientOptions::new([Endpoint::new("127.0.0.1", port)]))
        .await
        .unwrap()
}

fn text(address: &str, text: &str) -> Message {
    let mut message = MessageBuilder::to(address);
    message.kind = kind::TEXT;
    message.durable = true;
    message.body = text_body(text);
    message.build()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_received_once_and_in_order() {
    let term = term(true).await;
    let client = client(term.port).await;
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    session
        .ensure_queue("orders", "orders", Routing::Anycast)
        .await
        .unwrap();
    let producer = session.producer("orders").await.unwrap();
    for number in 0..20 {
        producer
            .send(&text("orders", &format!("order {number}")))
            .await
            .unwrap();
    }
    let consumer = session.consumer("orders", WINDOW_BYTES).await.unwrap();
    for number in 0..20 {
        let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
        assert_eq!(delivery.message.text().unwrap(), format!("order {number}"));
        assert_eq!(delivery.delivery_count, 1);
        consumer.acknowledge(&delivery).await.unwrap();
    }
    let nothing = consumer.receive(Duration::from_millis(100)).await.unwrap();
    assert!(nothing.is_none());
    client.close().await.unwrap();
    tokio::time::timeout(PATIENCE, term.serving.drain())
        .await
        .unwrap();
}

/// Rule 8: neither answer nor delivery leaves before the gate is open for its record.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_before_the_gate_opens() {
    let term = term(false).await;
    term.gate.send_replace(passing(2)); // The records of the address and the queue.
    let client = client(term.port).await;
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    session
        .ensure_queue("orders", "orders", Routing::Anycast)
        .await
        .unwrap();
    let producer = session.producer("orders").await.unwrap();
    let receiving = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = receiving.consumer("orders", WINDOW_BYTES).await.unwrap();

    let message = text("orders", "held back");
    let sending = producer.send(&message);
    tokio::pin!(sending);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut sending).await;
    assert!(early.is_err(), "acknowledged before its record was safe");
    let early = tokio::time::timeout(Duration::from_millis(100), consumer.receive(PATIENCE)).await;
    assert!(early.is_err(), "delivered before its record was safe");

    term.gate.send_replace(passing(3));
    sending.await.unwrap();
    assert!(consumer.receive(PATIENCE).await.unwrap().is_some());
}

/// Rule 8: a side that is not sure of its term answers and delivers nothing, whatever is on disk; sure again, it
/// goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_while_the_gate_is_not_fresh() {
    let term = term(false).await;
    term.gate.send_replace(passing(3));
    let client = client(term.port).await;
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    session
        .ensure_queue("orders", "orders", Routing::Anycast)
        .await
        .unwrap();
    let producer = session.producer("orders").await.unwrap();
    term.gate.send_replace(Gate {
        offset: 3,
        fresh_until_ms: crate::ha::now().mono_ms,
    });
    let message = text("orders", "held back");
    let sending = producer.send(&message);
    tokio::pin!(sending);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut sending).await;
    assert!(early.is_err(), "answered although the side is not sure");

    term.gate.send_replace(Gate {
        offset: 3,
        fresh_until_ms: crate::ha::now().mono_ms + 60_000,
    });
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_term_answers_nothing_more() {
    let term = term(false).await;
    term.gate.send_replace(passing(2));
    let client = client(term.port).await;
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    session
        .ensure_queue("orders", "orders", Routing::Anycast)
        .await
        .unwrap();
    let producer = session.producer("orders").await.unwrap();
    let message = text("orders", "never acknowledged");
    let (sent, ()) = tokio::join!(producer.send(&message), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::time::timeout(PATIENCE, term.serving.abandon())
            .await
            .unwrap();
        term.gate.send_replace(passing(3));
    });
    assert!(
        matches!(sent, Err(SendError::OutcomeUnknown { .. })),
        "{sent:?}"
    );
    let refused = std::net::TcpStream::connect(("127.0.0.1", term.port));
    assert!(refused.is_err(), "the port is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused() {
    let term = term(true).await;
    let options = ClientOptions::new([Endpoint::new("127.0.0.1", term.port)])
        .with_credentials("admin", "wrong");
    let client = Client::connect(options).await.unwrap();
    let refused = client
        .session(SessionMode::AutoAcknowledge)
        .await
        .map(|_| ());
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("AMQ229031"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_is_announced_until_it_is_drained() {
    let (group, mut listener) = broadcast::tests::heard_group(Duration::from_millis(100));
    let term = term_with(true, |parts| parts.broadcasts = vec![group]).await;
    let announcement = listener.next(PATIENCE).await.unwrap();
    assert_eq!(announcement.node_id, "00000000-0000-4000-8000-000000000001");
    tokio::time::timeout(PATIENCE, term.serving.drain())
        .await
        .unwrap();
    listener.forget();
    let late = listener.next(Duration::from_millis(500)).await;
    assert!(late.is_none(), "announced after the end: {late:?}");
}
