//! The rules of what clients meet: ports, addresses, queues.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checks, is_dns_label};
use crate::api::spec::{Acceptor, Address, AddressSetting, Queue};

/// Ports are opened one by one at every takeover.
const MAX_ACCEPTORS: usize = 16;
/// The broker's HTTP port, on every machine and in every pod.
const HTTP_PORT: u16 = 8_161;
/// Addresses that a manifest may name; clients can create any number.
const MAX_ADDRESSES: usize = 1_024;
/// Queues that an address may name, of each kind.
const MAX_QUEUES: usize = 64;
/// Matches that a manifest may have.
const MAX_ADDRESS_SETTINGS: usize = 256;
/// A selector that is longer was made by a program.
const MAX_FILTER_CHARS: usize = 4_096;
/// Names are indexed and repeated in every message's routing.
const MAX_BROKER_NAME_CHARS: usize = 255;

impl Checks {
    pub(super) fn acceptors(&mut self, acceptors: &[Acceptor]) {
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
            } else if acceptor.port == HTTP_PORT {
                self.refuse(
                    format!("{path}.port"),
                    format!(
                        "{HTTP_PORT} is the broker's HTTP port (health and status): choose another"
                    ),
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

    pub(super) fn addresses(&mut self, addresses: &[Address]) {
        self.at_most(MAX_ADDRESSES, addresses.len(), "spec.addresses");
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
                let queues_written = list.as_ref().map_or(0, Vec::len);
                self.at_most(MAX_QUEUES, queues_written, &format!("{path}.{kind}"));
                for (index, queue) in list.iter().flatten().enumerate() {
                    self.queue(&format!("{path}.{kind}[{index}]"), queue, &mut queues);
                }
            }
        }
    }

    fn at_most(&mut self, limit: usize, written: usize, path: &str) {
        if written > limit {
            self.refuse(
                path,
                format!("has {written} entries, at most {limit} are allowed"),
            );
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
        if queue
            .filter
            .as_ref()
            .is_some_and(|filter| filter.chars().count() > MAX_FILTER_CHARS)
        {
            self.refuse(
                format!("{path}.filter"),
                format!("has more than {MAX_FILTER_CHARS} characters"),
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

    pub(super) fn address_settings(&mut self, settings: &[AddressSetting]) {
        self.at_most(MAX_ADDRESS_SETTINGS, settings.len(), "spec.addressSettings");
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
