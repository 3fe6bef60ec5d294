//! The rules between fields, and the validated pair: the only thing that may be built.
//!
//! All violations are told at once, in the order of the file.

#[cfg(test)]
mod tests;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::Manifest;
use super::spec::{
    Acceptor, Address, AddressSetting, FailbackPolicy, HaMode, HighAvailability, LockPolicy, Queue,
};
use super::violation::{Violation, Violations};

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
/// Ports are opened one by one at every takeover.
const MAX_ACCEPTORS: usize = 16;
/// Names are indexed and repeated in every message's routing.
const MAX_BROKER_NAME_CHARS: usize = 255;

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
    pub(crate) users: Option<BTreeMap<String, String>>,
    /// Whether policy leaves the pair alone.
    pub(crate) paused: bool,
    /// Fields and objects of the file that mean nothing on one machine.
    pub(crate) meaningless_locally: Vec<String>,
}

/// Checks everything that the types alone do not.
pub(crate) fn validate(manifest: &Manifest) -> Result<ValidatedPair, Violations> {
    let mut checks = Checks {
        manifest,
        violations: Vec::new(),
    };
    let spec = &manifest.pair.spec;
    checks.name();
    checks.high_availability(&spec.ha);
    checks.acceptors(&spec.acceptors);
    checks.addresses(&spec.addresses);
    checks.address_settings(&spec.address_settings);
    let users = checks.users(&spec.security);
    if !checks.violations.is_empty() {
        let mut list = checks.violations;
        list.sort_by_key(|violation| violation.at);
        return Err(Violations {
            file: manifest.file.clone(),
            list,
        });
    }
    let HighAvailability {
        mode,
        failover_on_shutdown,
        lock,
        detection,
        failback,
    } = &spec.ha;
    Ok(ValidatedPair {
        name: manifest.pair.metadata.name.clone(),
        mode: *mode,
        failover_on_shutdown: *failover_on_shutdown,
        lock: *lock,
        heartbeat_ms: detection.heartbeat.as_millis(),
        timeout_ms: detection.timeout.as_millis(),
        failback_policy: failback.policy,
        failback_delay_ms: failback.delay.as_millis(),
        failback_min_stable_ms: failback.min_stable.as_millis(),
        acceptors: spec.acceptors.clone(),
        addresses: spec.addresses.clone(),
        address_settings: spec.address_settings.clone(),
        allow_anonymous: spec.security.allow_anonymous,
        users,
        paused: spec.paused,
        meaningless_locally: meaningless_locally(manifest),
    })
}

struct Checks<'a> {
    manifest: &'a Manifest,
    violations: Vec<Violation>,
}

impl Checks<'_> {
    fn refuse(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        let at = Some(self.manifest.position_of(&path));
        self.violations.push(Violation {
            at,
            path,
            message: message.into(),
        });
    }

    fn name(&mut self) {
        let name = &self.manifest.pair.metadata.name;
        if !is_dns_label(name) {
            self.refuse(
                "metadata.name",
                format!(
                    "{name:?} is not a name: use lower-case letters, digits and -, and begin \
                     and end with a letter or digit"
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

    fn acceptors(&mut self, acceptors: &[Acceptor]) {
        if acceptors.is_empty() {
            self.refuse(
                "spec.acceptors",
                "is empty, so no client could connect: name one port",
            );
        } else if acceptors.len() > MAX_ACCEPTORS {
            self.refuse(
                "spec.acceptors",
                format!("has more than {MAX_ACCEPTORS} entries"),
            );
        }
        let mut names = BTreeSet::new();
        let mut ports: BTreeMap<u16, usize> = BTreeMap::new();
        for (index, acceptor) in acceptors.iter().enumerate() {
            let path = format!("spec.acceptors[{index}]");
            if !is_dns_label(&acceptor.name) {
                self.refuse(
                    format!("{path}.name"),
                    format!(
                        "{:?} is not a name: use lower-case letters, digits and -",
                        acceptor.name
                    ),
                );
            } else if !names.insert(acceptor.name.as_str()) {
                self.refuse(
                    format!("{path}.name"),
                    format!("{:?} is there twice", acceptor.name),
                );
            }
            if acceptor.port < 2 {
                self.refuse(
                    format!("{path}.port"),
                    "must be from 2 to 65535, usually 61616",
                );
            } else if let Some(first) = ports.insert(acceptor.port, index) {
                self.refuse(
                    format!("{path}.port"),
                    format!(
                        "{} is the port of spec.acceptors[{first}] already",
                        acceptor.port
                    ),
                );
            }
            if acceptor.protocols.is_empty() {
                self.refuse(format!("{path}.protocols"), "is empty: write [CORE]");
            }
        }
        let Some(first) = acceptors.first() else {
            return;
        };
        if let Some(index) = first.port.checked_sub(1).and_then(|link| ports.get(&link)) {
            self.refuse(
                format!("spec.acceptors[{index}].port"),
                format!(
                    "{} is where the two brokers talk (one below the first acceptor's port): \
                     choose another",
                    first.port - 1
                ),
            );
        }
    }

    fn addresses(&mut self, addresses: &[Address]) {
        let mut names = BTreeSet::new();
        let mut queues = BTreeSet::new();
        for (index, address) in addresses.iter().enumerate() {
            let path = format!("spec.addresses[{index}]");
            if self.broker_name(&format!("{path}.name"), &address.name)
                && !names.insert(address.name.as_str())
            {
                self.refuse(
                    format!("{path}.name"),
                    format!("{:?} is there twice", address.name),
                );
            }
            if address.anycast.is_none() && address.multicast.is_none() {
                self.refuse(
                    path.as_str(),
                    "has neither anycast nor multicast: write `anycast: [{name: …}]` for a queue, \
                     `multicast: []` for a topic",
                );
            }
            for (kind, list) in [
                ("anycast", &address.anycast),
                ("multicast", &address.multicast),
            ] {
                for (index, queue) in list.iter().flatten().enumerate() {
                    self.queue(&format!("{path}.{kind}[{index}]"), queue, &mut queues);
                }
            }
        }
    }

    fn queue<'q>(&mut self, path: &str, queue: &'q Queue, seen: &mut BTreeSet<&'q str>) {
        if self.broker_name(&format!("{path}.name"), &queue.name) && !seen.insert(&queue.name) {
            self.refuse(
                format!("{path}.name"),
                format!(
                    "queue {:?} is there twice; a queue belongs to one address",
                    queue.name
                ),
            );
        }
        if queue
            .max_consumers
            .is_some_and(|max| max == 0 || i32::try_from(max).is_err())
        {
            self.refuse(
                format!("{path}.maxConsumers"),
                "must be from 1 to 2147483647; leave it out for no limit",
            );
        }
        if queue
            .filter
            .as_ref()
            .is_some_and(|filter| filter.trim().is_empty())
        {
            self.refuse(
                format!("{path}.filter"),
                "is empty; leave it out to take every message",
            );
        }
    }

    /// Whether a name can be an address or a queue.
    fn broker_name(&mut self, path: &str, name: &str) -> bool {
        let wrong = if name.is_empty() {
            Some("is empty".to_owned())
        } else if name.chars().count() > MAX_BROKER_NAME_CHARS {
            Some(format!("has more than {MAX_BROKER_NAME_CHARS} characters"))
        } else if let Some(bad) = name
            .chars()
            .find(|c| c.is_whitespace() || c.is_control() || "#*,:".contains(*c))
        {
            Some(format!(
                "{name:?} contains {bad:?}, which names cannot have"
            ))
        } else if name.starts_with("activemq.") {
            Some(format!(
                "{name:?} begins with activemq., which the broker keeps for itself"
            ))
        } else {
            None
        };
        let is_good = wrong.is_none();
        if let Some(message) = wrong {
            self.refuse(path, message);
        }
        is_good
    }

    fn address_settings(&mut self, settings: &[AddressSetting]) {
        let mut patterns = BTreeSet::new();
        for (index, setting) in settings.iter().enumerate() {
            let path = format!("spec.addressSettings[{index}]");
            if setting.pattern.trim().is_empty() {
                self.refuse(
                    format!("{path}.match"),
                    "is empty; \"#\" matches every address",
                );
            } else if !patterns.insert(setting.pattern.as_str()) {
                let message = format!("{:?} is there twice: join the two", setting.pattern);
                self.refuse(format!("{path}.match"), message);
            }
            for (field, name) in [
                ("deadLetterAddress", &setting.dead_letter_address),
                ("expiryAddress", &setting.expiry_address),
            ] {
                if let Some(name) = name {
                    self.broker_name(&format!("{path}.{field}"), name);
                }
            }
            if setting
                .max_delivery_attempts
                .is_some_and(|max| max == 0 || max < -1)
            {
                self.refuse(
                    format!("{path}.maxDeliveryAttempts"),
                    "must be 1 or more, or -1 for no limit",
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
        (
            "metadata.namespace",
            manifest.pair.metadata.namespace.is_some(),
        ),
        ("spec.storage.size", spec.storage.size.is_some()),
        (
            "spec.storage.storageClassName",
            spec.storage.storage_class_name.is_some(),
        ),
        (
            "spec.storage.reclaimPolicy",
            spec.storage.reclaim_policy.is_some(),
        ),
        ("spec.image", spec.image.is_some()),
        ("spec.imagePullSecrets", !spec.image_pull_secrets.is_empty()),
        ("spec.resources", spec.resources.is_some()),
    ];
    let fields = fields
        .into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(name, _)| name.to_owned());
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
