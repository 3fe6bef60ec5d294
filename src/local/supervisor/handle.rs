//! What a supervisor is given, and what others hold of a running one.

use std::fmt;
use std::path::PathBuf;

use pair::Side;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::by_side::BySide;
use crate::local::event::Event;
use crate::local::record::Word;
use crate::local::snapshot::Snapshot;
use crate::local::state_dir::StateDir;
use crate::policy::Rules;

/// What a pair on this machine consists of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Name of the pair.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) dir: StateDir,
    /// The broker program.
    pub(crate) program: PathBuf,
    /// Address of every port.
    pub(crate) host: String,
    /// First client port of each side.
    pub(crate) ports: BySide<u16>,
    /// HTTP port of each side.
    pub(crate) http_ports: BySide<u16>,
    /// What clients should use.
    pub(crate) url: String,
    /// What policy goes by.
    pub(crate) rules: Rules,
}

/// What can be asked of a running supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// End a broker by force.
    Kill {
        /// Whom.
        side: Side,
        /// Whether policy may start it again.
        restart: bool,
    },
    /// Stop a broker in order; it stays down.
    Stop(Side),
    /// Start a broker that is down.
    Start(Side),
    /// Stop both and end.
    StopPair,
    /// Move the active role.
    Switchover {
        /// Where to; to the other side if none is named.
        to: Option<Side>,
        /// How long to wait for it.
        limit_ms: u64,
    },
    /// Let a side take over, by a person's word that the active is dead.
    Force {
        /// Which side; the one that does not hold the role if none is named.
        to: Option<Side>,
        /// Who says so, and what they accept.
        word: Word,
        /// How long to wait until it serves.
        limit_ms: u64,
    },
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// It was refused, or turned out to be void.
    Refused(String),
    /// It has not happened in its time; it may still happen.
    Late(String),
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Late(why) => f.write_str(why),
        }
    }
}

/// Where the answer to a request goes: what was done, or why not.
pub(crate) type Reply = oneshot::Sender<Result<String, NotDone>>;

/// A request and where its answer goes.
pub(crate) type Asking = (Request, Reply);

/// What others hold of a running supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(super) requests: mpsc::Sender<Asking>,
    pub(super) events: broadcast::Sender<Event>,
    /// How the pair stands.
    pub(crate) snapshot: watch::Receiver<Snapshot>,
}

impl Handle {
    /// Asks for something and waits for the answer.
    pub(crate) async fn ask(&self, request: Request) -> Result<String, NotDone> {
        let (reply, answer) = oneshot::channel();
        let gone = || NotDone::Refused("the supervisor is stopping".to_owned());
        self.requests
            .send((request, reply))
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
