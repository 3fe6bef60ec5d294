//! The specification of a pair: small, flat, typed, and defaulted in everything but `ha.mode`.
//!
//! One set of types serves the user's file, the custom resource and its schema. Enums without data are capitalised
//! words (`SharedStore`), durations are Go style, sizes are quantities, references end in `Name`. What the schema
//! cannot say, the rules (CEL) beside the types do, and [`super::validate`] says all of it again without a cluster.
//!
//! Unknown fields are ignored by these types, so that an operator that was rolled back can still read what its
//! successor's schema let in; a user's file is read strictly ([`super::decode`]).

#![expect(
    clippy::doc_markdown,
    reason = "these texts are the schema's descriptions: `kubectl explain` shows them as they are"
)]

mod broker;
mod ha;
mod pod;
mod storage;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub(crate) use broker::{Acceptor, Address, AddressSetting, Protocol, Queue, Security};
pub(crate) use ha::{FailbackPolicy, HaMode, HighAvailability, LockPolicy};
pub(crate) use pod::{
    ImagePullPolicy, ObjectName, PodTemplate, Resources, SidePlacement, UpdatePolicy, Updates,
};
pub(crate) use storage::{ReclaimPolicy, Storage};

use super::status::BrokerPairStatus;

/// What the user wants of a pair.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "tandem.dev",
    version = "v1alpha1",
    kind = "BrokerPair",
    namespaced,
    status = "BrokerPairStatus",
    derive = "PartialEq",
    shortname = "bp",
    category = "all",
    doc = "Two message brokers of which one serves and the other takes over, without losing an acknowledged durable message.",
    validation = Rule::new("self.metadata.name.size() <= 45").message("metadata.name has at most 45 characters: pods are called NAME-primary-0"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name has lower-case letters, digits and -, begins with a letter and ends with a letter or digit: the Service is called so"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.ha.mode", description = "How the two sides share their data"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.active.side", description = "The side that serves"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.active.since", description = "For how long it serves"),
    printcolumn(name = "Standby", type_ = "string", json_path = ".status.standby.state", description = "How the other side stands"),
    printcolumn(name = "In Sync", type_ = "boolean", json_path = ".status.standby.inSync", description = "Whether it may take over whatever happens to the active"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "One broker serves, the other is ready to take over"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.ha.mode == 'Replication' || (!(has(self.primary) && has(self.primary.claimName)) && !(has(self.backup) && has(self.backup.claimName)))").message("a shared store has one claim: name it in storage.claimName, not per side"),
    validation = Rule::new("self.ha.mode == 'SharedStore' || !has(self.storage.claimName)").message("replication has one claim per side: name them in primary.claimName and backup.claimName"),
)]
pub(crate) struct BrokerPairSpec {
    /// How the pair stays available.
    pub(crate) ha: HighAvailability,
    /// Where the data lives. On one machine (`tandem local`) it is a folder, and nothing of this applies.
    #[serde(default)]
    pub(crate) storage: Storage,
    /// Client ports of the active broker; the first one is what the brokers announce to clients.
    #[serde(default = "broker::default_acceptors")]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.port == a.port))").message("two acceptors have the same port"))]
    #[x_kube(validation = Rule::new("!self.exists(a, a.port == self[0].port - 1)").message("one below the first acceptor's port is where the two brokers talk: choose another port"))]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub(crate) acceptors: Vec<Acceptor>,
    /// Addresses and queues that exist from the start. Clients may create others unless addressSettings say otherwise.
    #[serde(default)]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub(crate) addresses: Vec<Address>,
    /// Behaviour of addresses by match, laid over what every address has.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["match"]))]
    pub(crate) address_settings: Vec<AddressSetting>,
    /// Who may connect.
    #[serde(default)]
    pub(crate) security: Security,
    /// Policy leaves the pair alone while this is set: no failback, no restart, no change applied. The brokers still fail over by themselves.
    #[serde(default)]
    pub(crate) paused: bool,
    /// Stops both brokers in order, the standby first, and keeps them down; the data stays.
    #[serde(default)]
    pub(crate) stopped: bool,
    /// How changes that need a restart reach the brokers.
    #[serde(default)]
    pub(crate) updates: Updates,
    /// Container image of the brokers. Default: the one the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub(crate) image: Option<String>,
    /// When the image is pulled: Always, IfNotPresent or Never. Default: what Kubernetes does for the image's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets of the same namespace to pull the image with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub(crate) image_pull_secrets: Vec<ObjectName>,
    /// Resources of each broker's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Resources>,
    /// What both brokers' pods have beyond what the pair needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<PodTemplate>,
    /// Where the primary runs; laid over template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) primary: Option<SidePlacement>,
    /// Where the backup runs; laid over template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<SidePlacement>,
}

fn yes() -> bool {
    true
}
