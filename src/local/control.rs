//! The control socket: how a second terminal talks to the supervisor of a pair.
//!
//! One connection, one line of JSON for the order, lines of JSON for the answer. The socket is in the pair's private folder, so whoever
//! can open it is the user of the pair.

pub(crate) mod client;
mod server;

use std::time::Duration;

use clap::ValueEnum;
use pair::Side;
use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;

pub(crate) use server::serve;

/// An order has a hundred bytes.
const MAX_ORDER_BYTES: u64 = 4 * 1024;

/// What the writing of a forced promotion takes beside the wait for the side: questions to a broker that hangs, and
/// an arbiter that gives no definite answer.
const FORCE_WRITE: Duration = Duration::from_secs(20);

/// What a second terminal asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Order {
    /// How the pair stands.
    Status,
    /// End a broker by force.
    Kill {
        /// Whom.
        target: Target,
        /// Whether it is started again.
        restart: bool,
    },
    /// Stop in order.
    Stop {
        /// Whom.
        target: Target,
    },
    /// Start what is down.
    Start {
        /// Whom; nobody named means whoever is down.
        target: Option<Target>,
    },
    /// Move the active role.
    Switchover {
        /// Where to; nobody named means the other side.
        to: Option<Side>,
        /// How long to wait for it.
        limit_ms: u64,
    },
    /// Let a side take over, by a person's word that the active is dead.
    Force {
        /// Which side; nobody named means the standby.
        to: Option<Side>,
        /// Who says so.
        by: String,
        /// In replication: messages may be lost that only the other side has.
        #[serde(default)]
        accepts_data_loss: bool,
        /// How long to wait until it serves.
        limit_ms: u64,
    },
}

impl Order {
    /// How long the supervisor may take, beyond what every order takes.
    fn limit(&self) -> Duration {
        match self {
            Self::Switchover { limit_ms, .. } => Duration::from_millis(*limit_ms),
            Self::Force { limit_ms, .. } => Duration::from_millis(*limit_ms) + FORCE_WRITE,
            Self::Status | Self::Kill { .. } | Self::Stop { .. } | Self::Start { .. } => {
                Duration::ZERO
            }
        }
    }
}

/// Whom an order means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// The primary side.
    Primary,
    /// The backup side.
    Backup,
    /// Whichever side serves.
    Active,
    /// The other one.
    Standby,
    /// Both sides, and the supervisor.
    Pair,
}

/// The answer: any number of lines that say what happens, then one of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// Something happened; more follows.
    Happened(String),
    /// It was done; how.
    Done(String),
    /// It was not done; why not.
    Refused(String),
    /// It has not happened in its time.
    Late(String),
    /// How the pair stands.
    Status(Box<Snapshot>),
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::by_side::BySide;
    use crate::local::record::PairRecord;
    use crate::local::state_dir::StateDir;
    use crate::local::supervisor::{Plan, Supervisor};
    use crate::policy::Rules;

    fn plan(dir: &StateDir) -> Plan {
        Plan {
            name: "orders".into(),
            dir: dir.clone(),
            program: PathBuf::from("/nowhere/tandem-broker"),
            host: "127.0.0.1".into(),
            ports: BySide::default(),
            http_ports: BySide::default(),
            url: String::new(),
            rules: Rules {
                paused: true,
                failback: crate::api::spec::FailbackPolicy::Manual,
                delay_ms: 0,
                min_stable_ms: 0,
                by_hand: "COMMAND",
            },
        }
    }

    #[tokio::test]
    async fn a_second_terminal_asks_through_a_socket_in_a_folder_of_any_length() {
        let temporary = tempfile::tempdir().unwrap();
        // Longer than the path of a socket may be.
        let root = temporary.path().join("x".repeat(150));
        let dir = StateDir::locate(Some(&root), "orders").unwrap();
        let _lock = dir.lock().unwrap();
        let record = PairRecord::open_or_make(&dir, pair::Mode::SharedStore).unwrap();
        let (_supervisor, handle) = Supervisor::new(plan(&dir), record, CancellationToken::new());
        let serving = tokio::spawn(serve(&dir, handle).unwrap());
        let asking = tokio::task::spawn_blocking(move || {
            let found = client::find(Some(&root), None).unwrap();
            let kill = Order::Kill {
                target: Target::Active,
                restart: true,
            };
            (
                client::ask(&found, &Order::Status, |_| {}).unwrap(),
                client::ask(&found, &kill, |_| {}).unwrap(),
            )
        });
        let (status, kill) = asking.await.unwrap();
        assert_eq!(status, Reply::Status(Box::default()));
        assert_eq!(
            kill,
            Reply::Refused("no broker is active right now".to_owned())
        );
        serving.abort();
    }

    #[test]
    fn a_folder_without_a_supervisor_is_told() {
        let temporary = tempfile::tempdir().unwrap();
        let error = client::find(Some(temporary.path()), None)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("no pair runs in "), "{error}");
    }

    #[test]
    fn orders_are_one_line_of_json() {
        let order = Order::Kill {
            target: Target::Active,
            restart: false,
        };
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(text, r#"{"op":"kill","target":"active","restart":false}"#);
        assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
    }
}
