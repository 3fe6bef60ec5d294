//! Connections for data: the standby dials the active's link port once more, for one session.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use link_protocol::{
    Connection, DATA_HEADER_BYTES, DataReceiver, DataSender, End, Event, Purpose, Refusal, Why,
};
use pair::Incarnation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::hub::Hub;
use crate::ha::now;

/// How long opening such a connection may take, its handshake included.
const DIAL_LIMIT: Duration = Duration::from_secs(3);
/// Bytes read at a time during the handshake.
const READ_BYTES: usize = 4 * 1024;
/// Without a timer of the machine (it always has one until it is over).
const IDLE: Duration = Duration::from_secs(1);

/// A connection for data, up at both ends. Its calls block.
pub(crate) struct DataConnection {
    stream: TcpStream,
    sender: DataSender,
    receiver: DataReceiver,
    remote: String,
    buffer: Vec<u8>,
}

impl DataConnection {
    /// Takes over a connection that is up.
    pub(super) fn of(
        connection: Connection,
        stream: tokio::net::TcpStream,
        remote: String,
    ) -> io::Result<Self> {
        let (sender, receiver) = connection
            .into_data()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(Self {
            stream,
            sender,
            receiver,
            remote,
            buffer: Vec::new(),
        })
    }

    /// The other end, for people.
    pub(crate) fn remote(&self) -> &str {
        &self.remote
    }

    /// How long a call may wait for the other end; it fails after that.
    pub(crate) fn set_limits(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(read))?;
        self.stream.set_write_timeout(Some(write))
    }

    /// Ends it from another thread.
    pub(crate) fn closer(&self) -> io::Result<Closer> {
        Ok(Closer(self.stream.try_clone()?))
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let frame: Bytes = self.sender.frame(kind, body);
        self.stream.write_all(&frame)
    }

    /// Waits for the next frame: its kind and its body.
    pub(crate) fn receive(&mut self) -> io::Result<(u8, Bytes)> {
        let mut header = [0; DATA_HEADER_BYTES];
        self.stream.read_exact(&mut header)?;
        let (kind, length) = self.receiver.header(header).map_err(io::Error::other)?;
        self.buffer.resize(length, 0);
        self.stream.read_exact(&mut self.buffer)?;
        let body = self.receiver.open(kind, &self.buffer);
        let body = body.map_err(io::Error::other)?;
        Ok((kind, Bytes::copy_from_slice(body)))
    }
}

/// Ends a connection for data.
pub(crate) struct Closer(TcpStream);

impl Closer {
    /// Both ends' calls return at once.
    pub(crate) fn close(&self) {
        // Closed already: then there is nothing to end.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Whom the active expects.
#[derive(Default)]
pub(super) struct Door {
    expected: Mutex<Option<Expected>>,
}

struct Expected {
    peer: Incarnation,
    session: u64,
    connections: mpsc::UnboundedSender<DataConnection>,
}

impl Door {
    fn expect(&self, peer: Incarnation, session: u64) -> mpsc::UnboundedReceiver<DataConnection> {
        let (connections, receiver) = mpsc::unbounded_channel();
        *self.lock() = Some(Expected {
            peer,
            session,
            connections,
        });
        receiver
    }

    fn shut(&self) {
        *self.lock() = None;
    }

    pub(super) fn is_expected(&self, peer: Incarnation, session: u64) -> bool {
        let expected = self.lock();
        expected
            .as_ref()
            .is_some_and(|it| it.peer == peer && it.session == session)
    }

    pub(super) fn hand_over(&self, peer: Incarnation, session: u64, connection: DataConnection) {
        let expected = self.lock();
        if let Some(it) = expected
            .as_ref()
            .filter(|it| it.peer == peer && it.session == session)
        {
            // Who ships may have ended just now; the connection ends with it.
            let _ = it.connections.send(connection);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way of data between the two sides.
#[derive(Clone)]
pub(crate) struct DataLink {
    hub: Arc<Hub>,
}

impl DataLink {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// Lets that process come for the data of that session, any number of times, and nobody else.
    pub(crate) fn expect(
        &self,
        peer: Incarnation,
        session: u64,
    ) -> mpsc::UnboundedReceiver<DataConnection> {
        self.hub.door().expect(peer, session)
    }

    /// Lets nobody come any more.
    pub(crate) fn shut(&self) {
        self.hub.door().shut();
    }

    /// Opens a connection to that process, with which there is a link, for the data of that session.
    pub(crate) async fn dial(
        &self,
        peer: Incarnation,
        session: u64,
    ) -> Result<DataConnection, String> {
        let Some(address) = self.hub.address_of(peer) else {
            return Err("there is no link to the active".to_owned());
        };
        let remote = address.to_string();
        let dial = async {
            let connect = tokio::net::TcpStream::connect((address.host.as_str(), address.port));
            let stream = connect.await.map_err(|error| error.to_string())?;
            self.shake(stream, peer, session, remote.clone()).await
        };
        tokio::time::timeout(DIAL_LIMIT, dial)
            .await
            .unwrap_or_else(|_| Err("it does not answer".to_owned()))
            .map_err(|error| format!("{remote}: {error}"))
    }

    async fn shake(
        &self,
        mut stream: tokio::net::TcpStream,
        peer: Incarnation,
        session: u64,
        remote: String,
    ) -> Result<DataConnection, String> {
        let failed = |error: io::Error| error.to_string();
        stream.set_nodelay(true).map_err(failed)?;
        let nonce = crate::random::bytes()?;
        let mut settings = self.hub.settings().ok_or("the link has just begun")?;
        settings.local.purpose = Purpose::Data { session };
        let mut connection = Connection::new(End::Dialler, settings, nonce, now().mono_ms);
        let mut buffer = [0; READ_BYTES];
        loop {
            while let Some(event) = connection.poll_event() {
                match event {
                    Event::Proven(proven) if proven.inc == peer => connection.admit(now().mono_ms),
                    Event::Proven(_) => connection.refuse(Refusal::new(
                        link_protocol::Reason::NoSession,
                        "another process answers than the active",
                    )),
                    Event::Closed(Why::RefusedBy(refusal) | Why::Refused(refusal)) => {
                        return Err(refusal.to_string());
                    }
                    Event::Closed(Why::Ended) => return Err("it closed the connection".to_owned()),
                    Event::Up | Event::Message(_) | Event::Unreadable => {}
                }
            }
            while let Some(bytes) = connection.poll_output() {
                stream.write_all(&bytes).await.map_err(failed)?;
            }
            if connection.is_up() {
                return DataConnection::of(connection, stream, remote).map_err(failed);
            }
            let wake = connection.poll_timeout().map_or(IDLE, |at_ms| {
                Duration::from_millis(at_ms.saturating_sub(now().mono_ms))
            });
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => connection.handle_end(),
                    Ok(length) => connection.handle_input(&buffer[..length], now().mono_ms),
                },
                () = tokio::time::sleep(wake) => connection.handle_timeout(now().mono_ms),
            }
        }
    }
}
