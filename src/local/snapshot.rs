//! How a pair stands at one moment: what the live view draws and `tandem local status` prints.

use serde::{Deserialize, Serialize};

use crate::api::status::{Condition, ConditionType, Truth};

/// How a pair stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    /// Name of the pair.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) dir: String,
    /// Process of its supervisor.
    pub(crate) pid: u32,
    /// What clients should use.
    pub(crate) url: String,
    /// Epoch of the pair record, if it can be read.
    pub(crate) epoch: Option<u64>,
    /// The side that serves, by its own word.
    pub(crate) active: Option<String>,
    /// Sides whose present process may take over when the active falls silent, the active's own among them.
    pub(crate) in_sync: Vec<String>,
    /// The link between the two brokers, as far as one of them answers.
    pub(crate) link: Option<LinkSnapshot>,
    /// Both sides, primary first.
    pub(crate) sides: Vec<SideSnapshot>,
    /// The last change of the active broker.
    pub(crate) last_transition: Option<LastTransition>,
    /// When the primary gets its role back, if that is only a matter of time, Unix milliseconds.
    pub(crate) failback_at_ms: Option<u64>,
    /// What is said of the pair.
    pub(crate) conditions: Vec<Condition>,
}

/// How one side stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SideSnapshot {
    /// `primary` or `backup`.
    pub(crate) side: String,
    /// `active`, `standby`, `starting`, `down` and so on; `unknown` if it does not answer.
    pub(crate) role: String,
    /// Whether it serves, or would take over at once.
    pub(crate) settled: bool,
    /// Epoch of the record it saw last.
    pub(crate) epoch: Option<u64>,
    /// Since when it has that role, Unix milliseconds.
    pub(crate) since_ms: Option<u64>,
    /// What that means right now.
    pub(crate) why: String,
    /// Its process, if it runs.
    pub(crate) pid: Option<u32>,
    /// Its first client port.
    pub(crate) port: u16,
    /// Its HTTP port.
    pub(crate) http_port: u16,
    /// Messages in its queues, if it serves.
    pub(crate) messages: Option<u64>,
    /// Where its output goes.
    pub(crate) log: String,
}

/// The link between the two brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinkSnapshot {
    /// Whether they are connected.
    pub(crate) connected: bool,
    /// Since when, Unix milliseconds.
    pub(crate) since_ms: Option<u64>,
    /// Why they are not, by whichever of them knows.
    pub(crate) trouble: Option<String>,
}

/// A change of the active broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastTransition {
    /// Why.
    pub(crate) cause: String,
    /// When, Unix milliseconds.
    pub(crate) at_ms: u64,
    /// How long nobody served.
    pub(crate) gap_ms: Option<u64>,
    /// The person who forced it.
    pub(crate) by: Option<String>,
}

impl Snapshot {
    /// A side by name.
    pub(crate) fn side(&self, side: pair::Side) -> Option<&SideSnapshot> {
        self.sides
            .iter()
            .find(|snapshot| snapshot.side == side.as_str())
    }

    /// A statement about the pair, if it holds.
    pub(crate) fn holds(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind && condition.status == Truth::True)
    }
}
