//! The link to the broker of the other side: sockets and tasks around the `link-protocol` crate.
//!
//! ```text
//!   port ── accepts ──► session ─┐                         ┌──► Input::LinkUp, LinkDown,
//!                                ├─ proven ──► hub ────────┤    LinkMessage, LinkTrouble
//!   dialler ─ opens ──► session ─┘   (one link at a time)  │
//!                          ▲                               │
//!                          └────── Action::Send ───────────┘
//! ```
//! Either side dials as soon as it knows where the other is, so two connections may come to be; the hub keeps the
//! one that the backup dialled. Nothing here decides about the pair, and nothing of it waits for the journal: a sign
//! of life is never behind anything else. Addresses come from the other side's file beside the record, from `broker.xml`,
//! from the last link, and last from the discovery group.
//!
//! The port is open in every role, to anybody on the network. Until somebody has proved who he is, he costs one of
//! few places, for a bounded time, and learns the names of pair and broker, nothing else.

mod address;
mod data;
mod dialler;
mod discovery;
mod heard;
mod hub;
mod port;
mod repeats;
mod session;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use broker_config::configuration::ClusterCredentials;
use link_protocol::Key;
use pair::{Incarnation, Input, Message, Mode, Side};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

pub(crate) use address::Address;
pub(crate) use data::{Closer, DataConnection, DataLink};
pub(crate) use discovery::Group;
pub(crate) use port::LinkPort;

use discovery::Discovery;
use hub::{Hub, Queued};

/// How long the last messages may take to leave when the process ends.
const CLOSE_LIMIT: Duration = Duration::from_millis(300);

/// What the link needs to know for the life of the process.
pub(crate) struct LinkParts {
    /// Own side.
    pub side: Side,
    /// This run of the process.
    pub inc: Incarnation,
    /// How the pair shares its data.
    pub mode: Mode,
    /// Name of the broker, for people.
    pub name: String,
    /// Cluster user and password.
    pub credentials: ClusterCredentials,
    /// Time between two signs of life, and between two attempts to dial.
    pub beat_ms: u64,
    /// Silence after which a connection is given up.
    pub lost_after_ms: u64,
    /// Where the other side listens, as far as `broker.xml` says.
    pub static_peers: Vec<Address>,
    /// Where the other side announces itself while it is active, if `broker.xml` says so.
    pub discovery: Option<Group>,
    /// Where this side listens.
    pub port: LinkPort,
}

/// What the rest of the broker learns while it runs, and the link needs.
pub(crate) struct LinkKnowledge {
    /// Where the other side says that it listens.
    pub peer: watch::Receiver<Option<Address>>,
    /// Node ID of the pair, once the record was read. Before, nobody is dialled and nobody let in.
    pub pair: watch::Receiver<Option<String>>,
}

/// The link. Dropping it closes everything at once.
pub(crate) struct Link {
    hub: Arc<Hub>,
    tasks: TaskTracker,
}

impl Link {
    /// Begins to listen and to dial; what the link reports comes out of the second value.
    pub(crate) fn start(parts: LinkParts, knowledge: LinkKnowledge) -> (Self, LinkInputs) {
        let LinkParts {
            credentials,
            static_peers,
            discovery,
            port,
            ..
        } = &parts;
        let credentials = credentials.clone();
        let discovery = discovery.clone();
        let addresses = dialler::Addresses {
            own: port.address().clone(),
            peer_file: knowledge.peer,
            static_peers: static_peers.clone(),
            discovery: discovery.map(|group| Discovery::new(group, port.ip())),
        };
        let (inputs, receiver) = mpsc::unbounded_channel();
        let tasks = TaskTracker::new();
        let (hub, listener) = Hub::new(parts, knowledge.pair.clone(), inputs, tasks.clone());
        let hub = Arc::new(hub);
        let starting = Arc::clone(&hub);
        tasks.spawn(async move {
            let derive = move || Key::derive(&credentials.user, &credentials.password);
            let key = tokio::task::spawn_blocking(derive);
            let Some(Ok(key)) = starting.until_stopped(key).await else {
                return;
            };
            starting.set_key(key);
            let tasks = starting.tasks().clone();
            tasks.spawn(port::accept(Arc::clone(&starting), listener));
            tasks.spawn(dialler::run(starting, addresses, knowledge.pair));
        });
        (Self { hub, tasks }, LinkInputs { receiver })
    }

    /// Sends a message if that process is connected; what cannot be sent at once is dropped.
    pub(crate) fn send(&self, peer: Incarnation, message: Message) {
        self.hub.send(peer, message);
    }

    /// The way of data between the two sides.
    pub(crate) fn data(&self) -> DataLink {
        DataLink::new(Arc::clone(&self.hub))
    }

    /// Sends what was queued, says good-bye and closes everything.
    pub(crate) async fn close(self) {
        self.hub.stop();
        self.tasks.close();
        let _ = tokio::time::timeout(CLOSE_LIMIT, self.tasks.wait()).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hub.stop();
    }
}

/// What the link reports, in order.
pub(crate) struct LinkInputs {
    receiver: mpsc::UnboundedReceiver<Queued>,
}

impl LinkInputs {
    /// The next report; none comes any more once the link is closed.
    pub(crate) async fn next(&mut self) -> Option<Input> {
        // Taking it out makes room for another message.
        self.receiver.recv().await.map(|queued| queued.input)
    }
}

#[cfg(test)]
mod tests;
