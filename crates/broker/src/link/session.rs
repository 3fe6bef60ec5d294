//! One connection on its socket: bytes and time into the protocol's machine, bytes and events out of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use link_protocol::{Connection, End, Event, Identity, Purpose, Reason, Refusal, Why};
use pair::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::hub::{Candidate, Hub};
use super::slots::Slot;
use crate::ha::now;

/// Bytes read at a time: some messages.
const READ_BYTES: usize = 4 * 1024;
/// Messages on their way from the state machine to the connection, which takes them at once.
const OUTBOX: usize = 16;
/// How long a connection goes on when another one of the same process has taken its place. The other side hears of
/// that within a round trip; until then it may still say something here.
const RETIRE_AFTER: Duration = Duration::from_millis(500);
/// How long the last words may take to be sent and read, before the socket is closed over them.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Without a timer of the machine (it always has one until it is over).
const IDLE: Duration = Duration::from_secs(1);

/// A connection that was just opened.
pub(super) struct Opened {
    pub(super) stream: TcpStream,
    pub(super) end: End,
    /// The other end, for people.
    pub(super) remote: String,
    /// Where somebody who dialled comes from.
    pub(super) from: Option<IpAddr>,
}

/// What became of a handshake.
pub(super) enum Outcome {
    /// Both ends are proved, and there is a link: this one or a better one.
    Up,
    /// There is none, for this reason.
    Failed(Why),
}

/// How a connection goes on, or not.
enum Ended {
    /// It is over.
    Over(Why),
    /// It is up, and for data: no link, and somebody else's.
    Data(Identity),
}

/// Carries a connection that somebody else opened, to its end.
pub(super) async fn accepted(hub: Arc<Hub>, opened: Opened, slot: Slot) {
    let pushed_out = slot.pushed_out.clone();
    let (up, outcome) = oneshot::channel();
    let remote = opened.remote.clone();
    let carry = carry(Arc::clone(&hub), opened, up, Some(slot));
    if pushed_out.run_until_cancelled(carry).await.is_none() {
        let line = "link: too many connections that say nothing: the oldest are closed";
        if let Some(more) = hub.may_print(line) {
            warn!("{line}, the one from {remote} first{more}");
        }
        return;
    }
    let Ok(Outcome::Failed(why)) = outcome.await else {
        return;
    };
    // What the port number of the stranger is, changes every time.
    let host = remote.rsplit_once(':').map_or(&*remote, |(host, _)| host);
    let line = format!("link: a connection from {host} has come to nothing: {why}");
    match &why {
        Why::Refused(refusal) | Why::RefusedBy(refusal) if !refusal.reason.is_passing() => {
            let Some(more) = hub.may_print(&line) else {
                return;
            };
            warn!("{line}{more}");
            // Most likely it is the other side; what else strangers do here is no reason for there being no link.
            if let Why::Refused(refusal) = why
                && refusal.reason == Reason::Credentials
            {
                hub.trouble(line);
            }
        }
        Why::Refused(_) | Why::RefusedBy(_) | Why::Ended => debug!("{line}"),
    }
}

/// Carries a connection to its end. `up` is told once how its handshake ended.
pub(super) async fn carry(
    hub: Arc<Hub>,
    opened: Opened,
    up: oneshot::Sender<Outcome>,
    slot: Option<Slot>,
) {
    let Opened {
        mut stream,
        end,
        remote,
        from,
    } = opened;
    let (Some(settings), Ok(nonce)) = (hub.settings(), crate::random::bytes()) else {
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        debug!("link: {remote}: {error}");
    }
    let (outbox, messages) = mpsc::channel(OUTBOX);
    let (reader, writer) = stream.split();
    let mut session = Session {
        connection: Connection::new(end, settings, nonce, now().mono_ms),
        hub,
        end,
        remote,
        reader,
        writer,
        sending: Bytes::new(),
        outbox,
        messages,
        heard_ms: Arc::default(),
        retired: CancellationToken::new(),
        dropped: CancellationToken::new(),
        peer: None,
        number: 0,
        up: Some(up),
        slot,
    };
    match session.run().await {
        Ended::Over(why) => session.end(why, from).await,
        Ended::Data(peer) => {
            // The other end waits for the first word from here: nothing of it was read yet.
            let Session {
                connection,
                hub,
                remote,
                ..
            } = session;
            hub.hand_over(&peer, connection, stream, remote);
        }
    }
}

struct Session<'a> {
    connection: Connection,
    hub: Arc<Hub>,
    end: End,
    remote: String,
    reader: ReadHalf<'a>,
    writer: WriteHalf<'a>,
    /// What the socket has not taken yet.
    sending: Bytes,
    outbox: mpsc::Sender<Message>,
    messages: mpsc::Receiver<Message>,
    heard_ms: Arc<AtomicU64>,
    retired: CancellationToken,
    dropped: CancellationToken,
    peer: Option<Identity>,
    number: u64,
    up: Option<oneshot::Sender<Outcome>>,
    slot: Option<Slot>,
}

impl Session<'_> {
    /// Runs until the machine says that the connection is over, and why.
    async fn run(&mut self) -> Ended {
        let stop = self.hub.stopped().clone();
        let mut buffer = [0; READ_BYTES];
        let mut retire_at = None;
        loop {
            if let Some(ended) = self.take_events() {
                return ended;
            }
            if self.sending.is_empty()
                && let Some(bytes) = self.connection.poll_output()
            {
                self.sending = bytes;
            }
            let wake = self.connection.poll_timeout().map_or(IDLE, |at_ms| {
                Duration::from_millis(at_ms.saturating_sub(now().mono_ms))
            });
            tokio::select! {
                biased;
                () = stop.cancelled() => self.stop(),
                () = self.dropped.cancelled() => {
                    let text = "another connection has taken the place of this one";
                    self.connection.refuse(Refusal::new(Reason::Duplicate, text));
                }
                // What has come in is heard before the time is looked at: after a freeze there may be plenty.
                read = self.reader.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => self.connection.handle_end(),
                    Ok(length) => self.connection.handle_input(&buffer[..length], now().mono_ms),
                },
                written = self.writer.write(&self.sending), if !self.sending.is_empty() => {
                    match written {
                        Ok(length) => self.sending.advance(length),
                        Err(_) => self.connection.handle_end(),
                    }
                }
                Some(message) = self.messages.recv() => {
                    self.connection.send(&message, now().mono_ms);
                }
                () = self.retired.cancelled(), if retire_at.is_none() => {
                    retire_at = Some(Instant::now() + RETIRE_AFTER);
                }
                () = tokio::time::sleep_until(retire_at.unwrap_or_else(Instant::now)), if retire_at.is_some() => {
                    let text = "the two brokers have another connection, which stays";
                    self.connection.refuse(Refusal::new(Reason::Duplicate, text));
                }
                () = tokio::time::sleep(wake) => self.connection.handle_timeout(now().mono_ms),
            }
        }
    }

    fn take_events(&mut self) -> Option<Ended> {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Proven(peer) => match self.admit(&peer) {
                    Ok(()) => {
                        self.peer = Some(peer);
                        self.connection.admit(now().mono_ms);
                    }
                    Err(refusal) => self.connection.refuse(refusal),
                },
                Event::Up => {
                    if let Some(peer) = self.peer.take_if(|peer| peer.purpose != Purpose::Link) {
                        return Some(Ended::Data(peer));
                    }
                    self.install();
                }
                Event::Message(message) => {
                    if let Some(peer) = &self.peer {
                        self.hub.deliver(peer.inc, message);
                    }
                }
                Event::Unreadable => {
                    let line = "link: the other broker says what this one does not understand: they are of different versions, upgrade the older one";
                    if let Some(more) = self.hub.may_print(line) {
                        warn!("{line}{more}");
                    }
                }
                Event::Closed(why) => return Some(Ended::Over(why)),
            }
        }
        if self.connection.is_up() {
            self.heard_ms
                .store(self.connection.heard_ms(), Ordering::Relaxed);
        }
        None
    }

    fn admit(&self, peer: &Identity) -> Result<(), Refusal> {
        match peer.purpose {
            Purpose::Link => self.hub.admit(peer, self.end),
            Purpose::Data { session } => self.hub.admit_data(peer.inc, session),
        }
    }

    fn install(&mut self) {
        let Some(peer) = self.peer.clone() else {
            return;
        };
        self.heard_ms
            .store(self.connection.heard_ms(), Ordering::Relaxed);
        let installed = self.hub.install(Candidate {
            peer,
            end: self.end,
            remote: self.remote.clone(),
            outbox: self.outbox.clone(),
            heard_ms: Arc::clone(&self.heard_ms),
            retired: self.retired.clone(),
            dropped: self.dropped.clone(),
        });
        match installed {
            Ok(number) => {
                self.number = number;
                self.slot = None;
                if let Some(up) = self.up.take() {
                    let _ = up.send(Outcome::Up);
                }
            }
            Err(refusal) => self.connection.refuse(refusal),
        }
    }

    /// The process ends: what it still had to say goes before the good-bye.
    fn stop(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.connection.send(&message, now().mono_ms);
        }
        let text = "the broker stops";
        self.connection.refuse(Refusal::new(Reason::Stopping, text));
    }

    async fn end(&mut self, why: Why, from: Option<IpAddr>) {
        self.hub.closed(self.number, &why);
        if let (Why::Refused(refusal), Some(from)) = (&why, from)
            && refusal.reason == Reason::Credentials
        {
            tokio::time::sleep(self.hub.refusal_delay(from)).await;
        }
        if matches!(why, Why::Refused(_)) {
            let _ = tokio::time::timeout(LAST_WORDS, self.last_words()).await;
        }
        if let Some(up) = self.up.take() {
            let _ = up.send(Outcome::Failed(why));
        }
    }

    /// Sends what is left and waits until the other end has read it: a socket that is closed over bytes it has not
    /// read takes back what it sent.
    async fn last_words(&mut self) -> std::io::Result<()> {
        loop {
            self.writer.write_all_buf(&mut self.sending).await?;
            let Some(bytes) = self.connection.poll_output() else {
                break;
            };
            self.sending = bytes;
        }
        self.writer.shutdown().await?;
        let mut buffer = [0; READ_BYTES];
        while self.reader.read(&mut buffer).await? > 0 {}
        Ok(())
    }
}
