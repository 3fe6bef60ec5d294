//! A broker that does what a test tells it: enough CORE to be talked to, and faults on request.
//!
//! It is written on the codec alone, so that it and the client cannot share a mistake about what
//! follows what. Two brokers may share one store, as the two sides of a pair do.

mod connection;
mod rules;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use core_client::{ClientOptions, Endpoint};
use core_protocol::framing::{DEFAULT_MAX_FRAME_BYTES, FrameDecoder};
use core_protocol::packet::{Frame, Packet};
use core_protocol::{Message, MessageBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use connection::{Connection, Outcome};
pub(crate) use rules::{Grants, Rules, Then};
pub(crate) use store::Store;

/// How long a test waits for what must happen; far above what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test watches that something does not happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(150);

/// A packet that a client sent.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which connection of this broker, from 1.
    pub(crate) connection: u32,
    pub(crate) channel: i64,
    pub(crate) packet: Packet,
}

/// What the connections of one broker share.
pub(crate) struct Inner {
    pub(crate) rules: Mutex<Rules>,
    pub(crate) store: Arc<Store>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    open: Mutex<u32>,
}

/// A broker on a loopback port; stopped when dropped.
pub(crate) struct Broker {
    pub(crate) endpoint: Endpoint,
    inner: Arc<Inner>,
    /// Bound but not listening: the port refuses, and nobody else can take it.
    reserved: Option<TcpSocket>,
    task: Option<JoinHandle<()>>,
}

impl Broker {
    /// A broker whose port refuses connections until [`Self::start`].
    pub(crate) fn passive(store: &Arc<Store>, rules: Rules) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let endpoint = Endpoint::from(socket.local_addr().unwrap());
        let inner = Arc::new(Inner {
            rules: Mutex::new(rules),
            store: Arc::clone(store),
            seen: Mutex::default(),
            open: Mutex::new(0),
        });
        Self {
            endpoint,
            inner,
            reserved: Some(socket),
            task: None,
        }
    }

    /// A broker of its own that accepts connections.
    pub(crate) fn running(rules: Rules) -> Self {
        let mut broker = Self::passive(&Store::new(), rules);
        broker.start();
        broker
    }

    /// Begins to accept connections.
    pub(crate) fn start(&mut self) {
        let listener = self.reserved.take().unwrap().listen(64).unwrap();
        self.task = Some(tokio::spawn(accept(listener, Arc::clone(&self.inner))));
    }

    /// Closes the port and every connection, as the end of the process does.
    pub(crate) async fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) fn options(&self) -> ClientOptions {
        let mut options = ClientOptions::new([self.endpoint.clone()]);
        options.retry_interval_ms = 10;
        options.call_timeout_ms = 10_000;
        options.call_failover_timeout_ms = 10_000;
        options
    }

    pub(crate) fn change_rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.inner.rules.lock().unwrap());
        self.inner.store.touch();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// The names of the packets on a channel of a connection, in order.
    pub(crate) fn names(&self, connection: u32, channel: i64) -> Vec<&'static str> {
        let seen = self.seen().into_iter();
        let matching = seen.filter(|seen| seen.connection == connection && seen.channel == channel);
        matching.map(|seen| seen.packet.name()).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.packet.name() == name)
            .count()
    }

    pub(crate) fn open_connections(&self) -> u32 {
        *self.inner.open.lock().unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A pair on one store: the first serves and publishes both, the second refuses.
pub(crate) fn pair() -> (Broker, Broker, Arc<Store>) {
    let store = Store::new();
    let mut primary = Broker::passive(&store, Rules::default());
    let backup = Broker::passive(&store, Rules::default());
    let connectors = (primary.endpoint.clone(), Some(backup.endpoint.clone()));
    primary.change_rules(|rules| rules.connectors = Some(connectors));
    let connectors = (backup.endpoint.clone(), Some(primary.endpoint.clone()));
    backup.change_rules(|rules| {
        rules.connectors = Some(connectors);
        rules.event_id = 2;
    });
    primary.start();
    (primary, backup, store)
}

/// A durable text-less message with a number in its body.
pub(crate) fn message(address: &str, number: usize) -> Message {
    let mut builder = MessageBuilder::to(address);
    builder.durable = true;
    builder.body = Bytes::from(number.to_string());
    builder.build()
}

pub(crate) fn number(message: &Message) -> usize {
    String::from_utf8(message.body().to_vec())
        .unwrap()
        .parse()
        .unwrap()
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        timeout(PATIENCE, waiting).await.is_ok(),
        "never happened: {what}"
    );
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        number += 1;
        let connection = Connection::new(number, Arc::clone(&inner));
        connections.spawn(serve(stream, connection));
    }
}

struct Open<'a>(&'a Mutex<u32>);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap() -= 1;
    }
}

async fn serve(mut stream: TcpStream, mut connection: Connection) {
    let inner = Arc::clone(&connection.inner);
    *inner.open.lock().unwrap() += 1;
    let _open = Open(&inner.open);
    let mut decoder = FrameDecoder::server(DEFAULT_MAX_FRAME_BYTES);
    let mut changed = inner.store.watch();
    let mut incoming = BytesMut::new();
    let mut outgoing = BytesMut::new();
    loop {
        tokio::select! {
            read = stream.read_buf(&mut incoming) => {
                if !matches!(read, Ok(bytes) if bytes > 0) {
                    return;
                }
                decoder.feed(incoming.split().freeze());
            }
            _ = changed.changed() => {}
        }
        let mut cut = false;
        while let Some(bytes) = decoder.next_frame().unwrap() {
            let frame = Frame::decode(&bytes).unwrap();
            if connection.handle(frame, &mut outgoing) == Outcome::Cut {
                cut = true;
                break;
            }
        }
        if !cut {
            connection.deliver(&mut outgoing);
        }
        if stream.write_all(&outgoing).await.is_err() || cut {
            return;
        }
        outgoing.clear();
    }
}
