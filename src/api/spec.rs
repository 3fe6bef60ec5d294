//! The specification of a pair: small, flat, typed, and defaulted in everything but `ha.mode`.
//!
//! These are plain serde types, in the shape that a custom resource needs: enums without data are
//! capitalised words (`SharedStore`), durations are Go style, sizes are quantities, references end in `Name`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::duration::GoDuration;
use super::quantity::Quantity;

/// What the user wants of a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BrokerPairSpec {
    /// How the pair stays available.
    pub(crate) ha: HighAvailability,
    /// Where the data lives.
    #[serde(default)]
    pub(crate) storage: Storage,
    /// Client ports of the active broker.
    #[serde(default = "default_acceptors")]
    pub(crate) acceptors: Vec<Acceptor>,
    /// Addresses and queues that exist from the start.
    #[serde(default)]
    pub(crate) addresses: Vec<Address>,
    /// Behaviour of addresses by match.
    #[serde(default)]
    pub(crate) address_settings: Vec<AddressSetting>,
    /// Who may connect.
    #[serde(default)]
    pub(crate) security: Security,
    /// Policy does nothing while this is set: no failback, no restart.
    #[serde(default)]
    pub(crate) paused: bool,
    /// Container image of the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
    /// Secrets to pull that image with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) image_pull_secrets: Vec<ObjectName>,
    /// Resources of each broker's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Resources>,
}

/// How the pair stays available.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HighAvailability {
    /// How the two sides share their data. Has no default: it decides what a lost disk means.
    pub(crate) mode: HaMode,
    /// Whether a broker that is stopped lets the other side take over.
    #[serde(default = "yes")]
    pub(crate) failover_on_shutdown: bool,
    /// Whether the store's lock is wanted for every takeover.
    #[serde(default)]
    pub(crate) lock: LockPolicy,
    /// How soon a silent side counts as lost.
    #[serde(default)]
    pub(crate) detection: Detection,
    /// When the primary side becomes active again after a failover.
    #[serde(default)]
    pub(crate) failback: Failback,
}

/// How the two sides share their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HaMode {
    /// Both use one store, one at a time.
    SharedStore,
    /// Each has its own store, and the active one keeps the other's up to date.
    Replication,
}

impl HaMode {
    /// What the two brokers of such a pair have, in words.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::SharedStore => "over one store",
            Self::Replication => "with a disk of its own each",
        }
    }
}

impl From<HaMode> for pair::Mode {
    fn from(mode: HaMode) -> Self {
        match mode {
            HaMode::SharedStore => Self::SharedStore,
            HaMode::Replication => Self::Replication,
        }
    }
}

/// Whether the store's lock is wanted for every takeover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LockPolicy {
    /// The pair record decides; the lock is one proof of death among others.
    #[default]
    Record,
    /// Nobody takes over without the lock of the old holder.
    Storage,
}

/// How soon a silent side counts as lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Detection {
    /// Time between two heartbeats.
    pub(crate) heartbeat: GoDuration,
    /// Silence after which a side counts as lost; at least four heartbeats.
    pub(crate) timeout: GoDuration,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            heartbeat: GoDuration::from_millis(250),
            timeout: GoDuration::from_millis(2_000),
        }
    }
}

/// When the primary side becomes active again after a failover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Failback {
    /// Whether it happens by itself.
    pub(crate) policy: FailbackPolicy,
    /// The earliest time after the backup became active.
    pub(crate) delay: GoDuration,
    /// How long the primary must have been a healthy standby without interruption.
    pub(crate) min_stable: GoDuration,
}

impl Default for Failback {
    fn default() -> Self {
        Self {
            policy: FailbackPolicy::Automatic,
            delay: GoDuration::from_millis(0),
            min_stable: GoDuration::from_millis(5_000),
        }
    }
}

/// Whether the primary side becomes active again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FailbackPolicy {
    /// As soon as it is a stable standby.
    #[default]
    Automatic,
    /// Only when a person asks for it.
    Manual,
}

/// Where the data lives; on one machine it is a folder, and none of this applies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Storage {
    /// Size of each claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Quantity>,
    /// Storage class of each claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(
        clippy::struct_field_names,
        reason = "the name that Kubernetes users know"
    )]
    pub(crate) storage_class_name: Option<String>,
    /// What happens to the data when the pair is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reclaim_policy: Option<ReclaimPolicy>,
}

/// What happens to the data when the pair is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReclaimPolicy {
    /// It stays.
    Retain,
    /// It is deleted too.
    Delete,
}

/// A client port of the active broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Acceptor {
    /// Its name.
    pub(crate) name: String,
    /// Its port.
    pub(crate) port: u16,
    /// What clients may speak there.
    #[serde(default = "default_protocols")]
    pub(crate) protocols: Vec<Protocol>,
}

/// A protocol of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Protocol {
    /// The protocol of the Artemis JMS client.
    #[serde(rename = "CORE")]
    Core,
}

/// An address that exists from the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Address {
    /// Its name.
    pub(crate) name: String,
    /// Queues of which one gets each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) anycast: Option<Vec<Queue>>,
    /// Queues of which each gets every message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) multicast: Option<Vec<Queue>>,
}

/// A queue that exists from the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Queue {
    /// Its name.
    pub(crate) name: String,
    /// Which messages it takes; a JMS selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<String>,
    /// Whether it outlives its broker.
    #[serde(default = "yes")]
    pub(crate) durable: bool,
    /// Consumers it allows; unlimited if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_consumers: Option<u32>,
}

/// Behaviour of every address that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AddressSetting {
    /// Which addresses: `#` is any words, `*` is one.
    #[serde(rename = "match")]
    pub(crate) pattern: String,
    /// Where messages go that could not be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_address: Option<String>,
    /// Where messages go that expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expiry_address: Option<String>,
    /// Deliveries until a message is a dead letter; -1 is unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_delivery_attempts: Option<i32>,
    /// Whether a client's first use creates the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_create_queues: Option<bool>,
    /// Whether a client's first use creates the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_create_addresses: Option<bool>,
    /// Whether an auto-created queue goes with its last consumer and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_delete_queues: Option<bool>,
    /// Whether an auto-created address goes with its last queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_delete_addresses: Option<bool>,
}

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Security {
    /// Whether a client without user and password is let in.
    pub(crate) allow_anonymous: bool,
    /// Secret whose keys are user names and whose values are their passwords; absent: generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users_secret_name: Option<String>,
}

/// A reference to an object of the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ObjectName {
    /// Its name.
    pub(crate) name: String,
}

/// Resources of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Resources {
    /// What is set aside for it.
    pub(crate) requests: BTreeMap<String, Quantity>,
    /// What it may use at most.
    pub(crate) limits: BTreeMap<String, Quantity>,
}

fn yes() -> bool {
    true
}

/// One port for the clients, as Artemis has it.
fn default_acceptors() -> Vec<Acceptor> {
    let protocols = default_protocols();
    vec![Acceptor {
        name: "artemis".to_owned(),
        port: 61616,
        protocols,
    }]
}

fn default_protocols() -> Vec<Protocol> {
    vec![Protocol::Core]
}
