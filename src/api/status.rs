//! What is said of a pair: its status as the custom resource has it, and the conditions that policy decides.
//!
//! Conditions have positive polarity, each with a reason for programs and a sentence for people. What is not known is
//! `Unknown` or absent, never guessed.

#![expect(
    clippy::doc_markdown,
    reason = "these texts are the schema's descriptions: `kubectl explain` shows them as they are"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as StoredCondition, MicroTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Transitions that `history` keeps.
pub(crate) const MAX_HISTORY: usize = 20;

/// How a pair stands, written by the operator alone.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BrokerPairStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    /// What holds of the pair: Ready, Available, Protected, FailbackPending, ConfigApplied, Progressing, Paused. Each has a reason for programs and a message for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub(crate) conditions: Vec<StoredCondition>,
    /// The broker that serves; absent while none is known to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) active: Option<ActiveStatus>,
    /// The other one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) standby: Option<StandbyStatus>,
    /// Where clients connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoints: Option<Endpoints>,
    /// The last change of the active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_transition: Option<Transition>,
    /// The last 20 changes of the active, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub(crate) history: Vec<Transition>,
    /// The pair record, which decides who is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<RecordStatus>,
}

/// A side of a pair.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideName {
    /// The side that is preferred as the active one.
    Primary,
    /// The other side.
    Backup,
}

impl From<pair::Side> for SideName {
    fn from(side: pair::Side) -> Self {
        match side {
            pair::Side::Primary => Self::Primary,
            pair::Side::Backup => Self::Backup,
        }
    }
}

impl From<SideName> for pair::Side {
    fn from(side: SideName) -> Self {
        match side {
            SideName::Primary => Self::Primary,
            SideName::Backup => Self::Backup,
        }
    }
}

/// The broker that serves.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActiveStatus {
    /// Its side.
    pub(crate) side: SideName,
    /// Its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<String>,
    /// Since when it holds the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<MicroTime>,
    /// Number of its term: grows with every change of the active.
    #[schemars(range(min = 0))]
    pub(crate) epoch: i64,
}

/// The broker that does not serve.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StandbyStatus {
    /// Its side.
    pub(crate) side: SideName,
    /// Its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<String>,
    /// How it stands.
    pub(crate) state: StandbyState,
    /// Whether it takes over whatever happens to the active, and nothing acknowledged is lost. Absent while that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_sync: Option<bool>,
}

/// How the broker stands that does not serve.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StandbyState {
    /// A settled standby: it takes over when the active's process ends.
    Ready,
    /// On its way, or catching up.
    Starting,
    /// It takes over at this moment.
    TakingOver,
    /// It holds the role, is not sure of it, and serves nobody.
    Holding,
    /// Its process does not run.
    Down,
    /// It cannot be asked.
    Unknown,
}

/// Where clients connect.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Endpoints {
    /// The recommended URL of Artemis JMS clients: both brokers, and the settings by which a client notices a lost one soon.
    pub(crate) url: String,
    /// The Service that follows the active broker, as host:port of the first acceptor.
    pub(crate) service: String,
    /// The Secret with URL, user and password (a Service Binding).
    pub(crate) secret_name: String,
}

/// A change of the active.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transition {
    /// Why it happened.
    pub(crate) cause: String,
    /// When the new active took the role.
    pub(crate) at: MicroTime,
    /// How long nobody served, such as 38ms; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gap: Option<String>,
    /// The side that became active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<SideName>,
    /// Number of the term that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub(crate) epoch: Option<i64>,
    /// The person who asked for it or forced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// What the operator remembers of the pair record.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordStatus {
    /// Whether the operator made the record. It does so once: a record that is missing later was lost, and is rebuilt by the brokers or a person, never made anew (rule 7).
    pub(crate) created: bool,
    /// Identity of the pair's data, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_id: Option<String>,
}

/// A statement about a pair, as policy decides it; when it began to hold is for the adapter to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    /// What is stated.
    #[serde(rename = "type")]
    pub(crate) kind: ConditionType,
    /// Whether it holds.
    pub(crate) status: Truth,
    /// One word for programs.
    pub(crate) reason: String,
    /// One sentence for people.
    pub(crate) message: String,
}

/// What can be stated about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ConditionType {
    /// One broker serves, the other is ready to take over.
    Ready,
    /// One broker serves.
    Available,
    /// The standby is in sync: it takes over whatever happens to the active, and nothing acknowledged is lost.
    Protected,
    /// The primary shall become active again and is not yet.
    FailbackPending,
    /// Both brokers run with what the spec says.
    ConfigApplied,
    /// A change is on its way: pods start, restart or move their role.
    Progressing,
    /// Policy leaves the pair alone.
    Paused,
}

/// Whether a statement holds; what is not known is never taken for false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can tell now.
    Unknown,
}

impl std::fmt::Display for ConditionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ready => "Ready",
            Self::Available => "Available",
            Self::Protected => "Protected",
            Self::FailbackPending => "FailbackPending",
            Self::ConfigApplied => "ConfigApplied",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
        })
    }
}

impl std::fmt::Display for Truth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        })
    }
}
