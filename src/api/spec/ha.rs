//! How a pair stays available.

use kube::KubeSchema;
use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::yes;
use crate::api::duration::GoDuration;

/// How the pair stays available.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode == oldSelf.mode").message("mode cannot be changed: make a new pair and move the messages").field_path(".mode"),
    validation = Rule::new("self.mode == 'SharedStore' || self.lock == 'Record'").message("lock: Storage needs a shared store").field_path(".lock"),
)]
pub(crate) struct HighAvailability {
    /// How the two sides share their data. SharedStore: both use one store, one at a time. Replication: each has its own, and the active keeps the other's up to date. Has no default, for it decides what a lost disk means, and cannot be changed.
    pub(crate) mode: HaMode,
    /// Whether a broker that is stopped lets the other side take over.
    #[serde(default = "yes")]
    pub(crate) failover_on_shutdown: bool,
    /// What a takeover of a shared store needs. Record: the pair record decides. Storage: the store's lock too, in every case; an active that hangs is then not replaced by itself.
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
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LockPolicy {
    /// The pair record decides; the lock is one proof of death among others.
    #[default]
    Record,
    /// Nobody takes over without the lock of the old holder.
    Storage,
}

/// How soon a silent side counts as lost.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new("duration(self.heartbeat) >= duration('10ms')").message("heartbeat is too short: use 10ms or more").field_path(".heartbeat"),
    Rule::new("duration(self.timeout) >= duration(self.heartbeat) + duration(self.heartbeat) + duration(self.heartbeat) + duration(self.heartbeat)").message("timeout must be at least four heartbeats").field_path(".timeout"),
    Rule::new("duration(self.timeout) <= duration('10m')").message("timeout is too long: use 10m or less").field_path(".timeout"),
]))]
pub(crate) struct Detection {
    /// Time between two heartbeats; at least 10ms.
    pub(crate) heartbeat: GoDuration,
    /// Silence after which a side counts as lost; at least four heartbeats, at most 10m.
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
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new("duration(self.delay) <= duration('24h')").message("delay is longer than a day: use policy: Manual instead").field_path(".delay"),
    Rule::new("duration(self.minStable) <= duration('24h')").message("minStable is longer than a day: use policy: Manual instead").field_path(".minStable"),
]))]
pub(crate) struct Failback {
    /// Automatic: as soon as the primary is a stable standby. Manual: only when a person asks for it.
    pub(crate) policy: FailbackPolicy,
    /// The earliest time after the backup became active; at most 24h.
    pub(crate) delay: GoDuration,
    /// How long the primary must have been a healthy standby without interruption; at most 24h.
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
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FailbackPolicy {
    /// As soon as it is a stable standby.
    #[default]
    Automatic,
    /// Only when a person asks for it.
    Manual,
}
