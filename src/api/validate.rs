//! The rules between fields, and the validated pair: the only thing that may be built.
//!
//! All violations are told at once, in the order of the file.

mod clients;
#[cfg(test)]
mod tests;
mod users;

use super::BrokerPair;
use super::manifest::Manifest;
use super::quantity::Quantity;
use super::spec::{
    Acceptor, Address, AddressSetting, BrokerPairSpec, FailbackPolicy, HaMode, HighAvailability,
    ImagePullPolicy, LockPolicy, ObjectName, PodTemplate, Resources, SidePlacement, Storage,
    UpdatePolicy, Updates,
};
use super::violation::{Violation, Violations};
use crate::by_side::BySide;
pub(crate) use users::{Users, users_of};

/// A pod is called `NAME-primary-0`, and its labels carry a hash behind that; both end at 63.
const MAX_NAME_CHARS: usize = 45;
/// The shortest heartbeat that is more than noise of a scheduler.
const MIN_HEARTBEAT_MS: u64 = 10;
/// Heartbeats a lost side must have missed: one late one is no failure.
const MIN_MISSED_HEARTBEATS: u64 = 4;
/// Above this nothing is an outage any more.
const MAX_TIMEOUT_MS: u64 = 600_000;
/// A failback that waits longer than a day is meant to be Manual.
const MAX_FAILBACK_WAIT_MS: u64 = 86_400_000;
/// Label and environment names that are not the user's.
const OWN_LABELS: [&str; 2] = ["tandem.dev/", "app.kubernetes.io/"];
/// The same for environment variables.
const OWN_VARIABLES: &str = "TANDEM_";

/// A pair without contradictions. Only [`validate`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct ValidatedPair {
    /// Name of the pair.
    pub(crate) name: String,
    /// How the two sides share their data.
    pub(crate) mode: HaMode,
    /// Whether a broker that is stopped lets the other side take over.
    pub(crate) failover_on_shutdown: bool,
    /// Whether the store's lock is wanted for every takeover.
    pub(crate) lock: LockPolicy,
    /// Time between two heartbeats.
    pub(crate) heartbeat_ms: u64,
    /// Silence after which a side counts as lost.
    pub(crate) timeout_ms: u64,
    /// Whether the primary becomes active again by itself.
    pub(crate) failback_policy: FailbackPolicy,
    /// The earliest time for that after the backup became active.
    pub(crate) failback_delay_ms: u64,
    /// How long the primary must have been a healthy standby for that.
    pub(crate) failback_min_stable_ms: u64,
    /// Client ports; the first one is what the sides announce.
    pub(crate) acceptors: Vec<Acceptor>,
    /// Addresses and queues that exist from the start.
    pub(crate) addresses: Vec<Address>,
    /// Behaviour of addresses.
    pub(crate) address_settings: Vec<AddressSetting>,
    /// Whether clients without a user are let in.
    pub(crate) allow_anonymous: bool,
    /// Users and their passwords; `None`: one is generated.
    pub(crate) users: Option<Users>,
    /// Whether policy leaves the pair alone.
    pub(crate) paused: bool,
    /// What only a cluster looks at.
    pub(crate) cluster: ClusterSettings,
    /// Fields and objects of the file that mean nothing on one machine.
    pub(crate) meaningless_locally: Vec<String>,
}

/// What of a pair only a cluster looks at.
#[derive(Clone, Debug)]
pub(crate) struct ClusterSettings {
    /// Where the data lives.
    pub(crate) storage: Storage,
    /// Image of the brokers; absent: the operator's own.
    pub(crate) image: Option<String>,
    /// When it is pulled; absent: as Kubernetes does for its tag.
    pub(crate) image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets to pull it with.
    pub(crate) image_pull_secrets: Vec<ObjectName>,
    /// Resources of each broker.
    pub(crate) resources: Resources,
    /// What both pods have beyond what the pair needs.
    pub(crate) template: PodTemplate,
    /// Where each side runs.
    pub(crate) placement: BySide<SidePlacement>,
    /// Who restarts the brokers for a change.
    #[expect(dead_code, reason = "for the operator, which restarts brokers")]
    pub(crate) updates: UpdatePolicy,
    /// Whether both brokers are to be down.
    pub(crate) stopped: bool,
}

/// Checks a user's file: everything that the types alone do not, and the users' Secret in it.
pub(crate) fn validate(manifest: &Manifest) -> Result<ValidatedPair, Violations> {
    let (users, users_wrong) = match users::of_manifest(manifest) {
        Ok(users) => (users, Vec::new()),
        Err(wrong) => (None, wrong),
    };
    let mut list = users_wrong;
    match validate_pair(&manifest.pair, users) {
        Ok(pair) if list.is_empty() => {
            return Ok(ValidatedPair {
                meaningless_locally: meaningless_locally(manifest),
                ..pair
            });
        }
        Ok(_) => {}
        Err(wrong) => list.extend(wrong),
    }
    for violation in &mut list {
        violation.at = violation
            .at
            .or_else(|| Some(manifest.position_of(&violation.path)));
    }
    list.sort_by_key(|violation| violation.at);
    Err(Violations {
        file: manifest.file.clone(),
        list,
    })
}

/// Checks a pair wherever it comes from; `users` are those of its Secret, if it names one.
pub(crate) fn validate_pair(
    pair: &BrokerPair,
    users: Option<Users>,
) -> Result<ValidatedPair, Vec<Violation>> {
    let name = pair.metadata.name.as_deref().unwrap_or_default();
    let mut checks = Checks {
        violations: Vec::new(),
    };
    // Without `..`, so that a new field cannot be forgotten here.
    let BrokerPairSpec {
        ha,
        storage,
        acceptors,
        addresses,
        address_settings,
        security,
        paused,
        stopped,
        updates: Updates { policy: updates },
        image,
        image_pull_policy,
        image_pull_secrets,
        resources,
        template,
        primary,
        backup,
    } = pair.spec.clone();
    let placement = BySide {
        primary: primary.unwrap_or_default(),
        backup: backup.unwrap_or_default(),
    };
    let template = template.unwrap_or_default();
    checks.name(name);
    checks.high_availability(&ha);
    checks.storage(ha.mode, &storage, &placement);
    checks.acceptors(&acceptors);
    checks.addresses(&addresses);
    checks.address_settings(&address_settings);
    checks.template(&template);
    if !checks.violations.is_empty() {
        return Err(checks.violations);
    }
    let HighAvailability {
        mode,
        failover_on_shutdown,
        lock,
        detection,
        failback,
    } = ha;
    Ok(ValidatedPair {
        name: name.to_owned(),
        mode,
        failover_on_shutdown,
        lock,
        heartbeat_ms: detection.heartbeat.as_millis(),
        timeout_ms: detection.timeout.as_millis(),
        failback_policy: failback.policy,
        failback_delay_ms: failback.delay.as_millis(),
        failback_min_stable_ms: failback.min_stable.as_millis(),
        acceptors,
        addresses,
        address_settings,
        allow_anonymous: security.allow_anonymous,
        users,
        paused,
        cluster: ClusterSettings {
            storage,
            image,
            image_pull_policy,
            image_pull_secrets,
            resources: resources.unwrap_or_default(),
            template,
            placement,
            updates,
            stopped,
        },
        meaningless_locally: Vec::new(),
    })
}

struct Checks {
    violations: Vec<Violation>,
}

impl Checks {
    fn refuse(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.violations.push(Violation {
            at: None,
            path: path.into(),
            message: message.into(),
        });
    }

    /// The pair's Service is called like it, so the rules are those of Services: a letter first.
    fn name(&mut self, name: &str) {
        if name.is_empty() {
            self.refuse("metadata", "name is missing");
        } else if !is_dns_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            self.refuse(
                "metadata.name",
                format!(
                    "{name:?} is not a name: use lower-case letters, digits and -, begin with a letter and end with a \
                     letter or digit"
                ),
            );
        } else if name.len() > MAX_NAME_CHARS {
            self.refuse(
                "metadata.name",
                format!(
                    "has {} characters, at most {MAX_NAME_CHARS} are allowed",
                    name.len()
                ),
            );
        }
    }

    fn high_availability(&mut self, ha: &HighAvailability) {
        let heartbeat_ms = ha.detection.heartbeat.as_millis();
        let timeout_ms = ha.detection.timeout.as_millis();
        let least_ms = heartbeat_ms.saturating_mul(MIN_MISSED_HEARTBEATS);
        if heartbeat_ms < MIN_HEARTBEAT_MS {
            self.refuse(
                "spec.ha.detection.heartbeat",
                format!(
                    "{} is too short: use {MIN_HEARTBEAT_MS}ms or more",
                    ha.detection.heartbeat
                ),
            );
        }
        if timeout_ms < least_ms {
            self.refuse(
                "spec.ha.detection.timeout",
                format!(
                    "{} is too short for a heartbeat of {}: use {least_ms}ms or more (four \
                     heartbeats), or a shorter heartbeat",
                    ha.detection.timeout, ha.detection.heartbeat
                ),
            );
        } else if timeout_ms > MAX_TIMEOUT_MS {
            self.refuse(
                "spec.ha.detection.timeout",
                format!("{} is too long: use 10m or less", ha.detection.timeout),
            );
        }
        if ha.mode == HaMode::Replication && ha.lock == LockPolicy::Storage {
            self.refuse("spec.ha.lock", "Storage needs a shared store: use Record");
        }
        let failback = &ha.failback;
        for (field, wait) in [
            ("delay", failback.delay),
            ("minStable", failback.min_stable),
        ] {
            if wait.as_millis() > MAX_FAILBACK_WAIT_MS {
                self.refuse(
                    format!("spec.ha.failback.{field}"),
                    format!("{wait} is longer than a day: use `policy: Manual` instead"),
                );
            }
        }
    }

    fn storage(&mut self, mode: HaMode, storage: &Storage, placement: &BySide<SidePlacement>) {
        let Storage {
            size,
            storage_class_name,
            claim_name,
            reclaim_policy: _,
        } = storage;
        if size.milli() < Quantity::literal("1Mi").milli() {
            self.refuse(
                "spec.storage.size",
                format!("{size} is too small for a journal: write for instance 10Gi"),
            );
        }
        if claim_name.is_some() && storage_class_name.is_some() {
            self.refuse(
                "spec.storage.storageClassName",
                "a claim that exists (claimName) has its storage class already: leave this out",
            );
        }
        match mode {
            HaMode::SharedStore => {
                for (side, field) in [
                    (&placement.primary, "spec.primary.claimName"),
                    (&placement.backup, "spec.backup.claimName"),
                ] {
                    if side.claim_name.is_some() {
                        let message = "a shared store has one claim: name it in spec.storage.claimName, not per side";
                        self.refuse(field, message);
                    }
                }
            }
            HaMode::Replication if claim_name.is_some() => self.refuse(
                "spec.storage.claimName",
                "replication has one claim per side: name them in spec.primary.claimName and spec.backup.claimName",
            ),
            HaMode::Replication => {}
        }
    }

    fn template(&mut self, template: &PodTemplate) {
        for (field, names) in [
            ("labels", template.labels.keys()),
            ("annotations", template.annotations.keys()),
        ] {
            for name in names {
                if OWN_LABELS.iter().any(|own| name.starts_with(own)) {
                    self.refuse(
                        format!("spec.template.{field}"),
                        format!("{name:?} is set by Tandem itself: leave it out"),
                    );
                }
            }
        }
        for (index, variable) in template.env.iter().enumerate() {
            if variable.name.starts_with(OWN_VARIABLES) {
                let path = format!("spec.template.env[{index}].name");
                self.refuse(
                    path,
                    format!("{:?} is set by Tandem itself: leave it out", variable.name),
                );
            }
        }
    }
}

fn is_dns_label(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63
        && name.starts_with(is_inner)
        && name.ends_with(is_inner)
        && name.chars().all(|c| is_inner(c) || c == '-')
}

/// Fields that are set and objects that are there, but mean nothing on one machine.
fn meaningless_locally(manifest: &Manifest) -> Vec<String> {
    let spec = &manifest.pair.spec;
    let used_secret = spec.security.users_secret_name.as_deref();
    let fields = [
        "metadata.namespace",
        "spec.storage.size",
        "spec.storage.storageClassName",
        "spec.storage.claimName",
        "spec.storage.reclaimPolicy",
        "spec.stopped",
        "spec.updates",
        "spec.image",
        "spec.imagePullPolicy",
        "spec.imagePullSecrets",
        "spec.resources",
        "spec.template",
        "spec.primary",
        "spec.backup",
    ];
    let fields = fields
        .into_iter()
        .filter(|field| manifest.writes(field))
        .map(str::to_owned);
    let unused = manifest
        .secrets
        .keys()
        .filter(|name| Some(name.as_str()) != used_secret);
    let unused = unused.map(|name| format!("Secret {name}"));
    fields
        .chain(unused)
        .chain(manifest.others.iter().cloned())
        .collect()
}
