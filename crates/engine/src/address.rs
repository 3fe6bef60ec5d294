//! Addresses: what exists, and what clients may learn about it.
//!
//! An address that was asked for, or that has a durable queue, is recorded; one that only came into
//! being for a temporary queue is not, and goes away with it.

use std::sync::Arc;

use crate::config::{AddressSettings, Permission, RoutingType, RoutingTypes};
use crate::effect::{BindingInfo, Effects, Reply};
use crate::engine::{Answer, Engine, Outcome};
use crate::error::{EngineError, code};
use crate::ids::{QueueId, SessionKey};
use crate::record::RecordBody;
use crate::settings::is_pattern;

/// Longest name of an address or a queue: names are kept in memory, in records and in packets.
const MAX_NAME_BYTES: usize = 4096;

/// Separates address and queue in a fully qualified name.
const QUALIFIER: &str = "::";

/// An address.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) routing_types: RoutingTypes,
    pub(crate) auto_created: bool,
    /// Whether a record says that it exists.
    pub(crate) recorded: bool,
    pub(crate) anycast: Vec<QueueId>,
    pub(crate) multicast: Vec<QueueId>,
    /// Where the turn of the anycast queues stands.
    pub(crate) next_anycast: usize,
    pub(crate) settings: Arc<AddressSettings>,
}

impl Address {
    pub(crate) fn has_queues(&self) -> bool {
        !self.anycast.is_empty() || !self.multicast.is_empty()
    }

    pub(crate) fn queues_mut(&mut self, routing_type: RoutingType) -> &mut Vec<QueueId> {
        match routing_type {
            RoutingType::Anycast => &mut self.anycast,
            RoutingType::Multicast => &mut self.multicast,
        }
    }
}

/// `address::queue` as its parts; a plain name has no queue part.
pub(crate) fn split_name(name: &str) -> (&str, Option<&str>) {
    match name.split_once(QUALIFIER) {
        Some((address, queue)) => (address, Some(queue)),
        None => (name, None),
    }
}

/// Refuses names that are empty or too long.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), EngineError> {
    if name.is_empty() {
        let message = format!("the name of the {what} is empty");
        return Err(EngineError::new(code::ILLEGAL_STATE, message));
    }
    if name.len() > MAX_NAME_BYTES {
        let message = format!(
            "the name of the {what} has {} bytes; at most {MAX_NAME_BYTES} are accepted",
            name.len()
        );
        return Err(EngineError::new(code::ILLEGAL_STATE, message));
    }
    Ok(())
}

impl Engine {
    pub(crate) fn create_address(
        &mut self,
        session: SessionKey,
        name: &str,
        routing_types: RoutingTypes,
        auto_created: bool,
        effects: &mut Effects,
    ) -> Outcome {
        let (name, _) = split_name(name);
        check_name("address", name)?;
        self.check(session, Permission::CreateAddress, name, None)?;
        let routing_types = if routing_types.is_empty() {
            RoutingTypes::only(self.settings_of(name).default_address_routing_type)
        } else {
            routing_types
        };
        self.ensure_address(name, routing_types, auto_created, true, effects);
        Ok(Answer::done(self.records))
    }

    /// Makes sure that an address exists with these routing types.
    pub(crate) fn ensure_address(
        &mut self,
        name: &str,
        routing_types: RoutingTypes,
        auto_created: bool,
        recorded: bool,
        effects: &mut Effects,
    ) {
        let change = if let Some(address) = self.addresses.get_mut(name) {
            let merged = address.routing_types.union(routing_types);
            let news = merged != address.routing_types || (recorded && !address.recorded);
            address.routing_types = merged;
            address.recorded |= recorded;
            (news && address.recorded).then_some((merged, address.auto_created))
        } else {
            self.insert_address(name, routing_types, auto_created, recorded);
            recorded.then_some((routing_types, auto_created))
        };
        if let Some((routing_types, auto_created)) = change {
            let name = name.to_owned();
            self.emit(
                &RecordBody::AddressCreated {
                    name,
                    routing_types,
                    auto_created,
                },
                effects,
            );
        }
    }

    pub(crate) fn insert_address(
        &mut self,
        name: &str,
        routing_types: RoutingTypes,
        auto_created: bool,
        recorded: bool,
    ) {
        let address = Address {
            routing_types,
            auto_created,
            recorded,
            anycast: Vec::new(),
            multicast: Vec::new(),
            next_anycast: 0,
            settings: Arc::new(self.settings.resolve(name)),
        };
        self.addresses.insert(name.to_owned(), address);
        if self.wildcard_routing && is_pattern(name) {
            self.wildcard_addresses.insert(name.to_owned());
        }
    }

    pub(crate) fn delete_address(
        &mut self,
        session: SessionKey,
        name: &str,
        effects: &mut Effects,
    ) -> Outcome {
        self.check(session, Permission::DeleteAddress, name, None)?;
        let Some(address) = self.addresses.get(name) else {
            let message = format!("AMQ229203: address {name} does not exist");
            return Err(EngineError::new(code::ADDRESS_DOES_NOT_EXIST, message));
        };
        if address.has_queues() {
            let message = format!("AMQ229205: address {name} has queues; delete them first");
            return Err(EngineError::new(code::DELETE_ADDRESS, message));
        }
        self.remove_address(name, effects);
        Ok(Answer::done(self.records))
    }

    /// Removes an address that has no queues.
    pub(crate) fn remove_address(&mut self, name: &str, effects: &mut Effects) {
        let Some(address) = self.addresses.remove(name) else {
            return;
        };
        self.wildcard_addresses.remove(name);
        self.duplicates.remove(name);
        if address.recorded {
            self.emit(
                &RecordBody::AddressDeleted {
                    name: name.to_owned(),
                },
                effects,
            );
        }
    }

    /// What happens to an address that has lost a queue: one that came by itself goes by itself.
    pub(crate) fn queue_left(&mut self, now_ms: u64, name: &str, effects: &mut Effects) {
        let Some(address) = self.addresses.get(name) else {
            return;
        };
        if address.has_queues() || !address.auto_created {
            return;
        }
        if !address.recorded {
            self.remove_address(name, effects);
        } else if address.settings.auto_delete_addresses {
            let delay_ms = address.settings.auto_delete_addresses_delay_ms;
            if let Some(due_ms) = self.auto_delete_time(now_ms, delay_ms) {
                self.timers
                    .address_deletes
                    .insert((due_ms, name.to_owned()));
            }
        }
    }

    /// Deletes an auto-created address that still has no queue. One that somebody sends to stays:
    /// its producer was told that it exists.
    pub(crate) fn delete_unused_address(&mut self, now_ms: u64, name: &str, effects: &mut Effects) {
        let Some(address) = self.addresses.get(name) else {
            return;
        };
        if address.has_queues() || !address.auto_created {
            return;
        }
        if self
            .sessions
            .values()
            .any(|session| session.producing.contains(name))
        {
            if let Some(due_ms) = self.auto_delete_time(now_ms.saturating_add(1), 0) {
                self.timers
                    .address_deletes
                    .insert((due_ms, name.to_owned()));
            }
            return;
        }
        self.remove_address(name, effects);
    }

    /// When something unused since `since_ms` goes away, if it does at all.
    pub(crate) fn auto_delete_time(&self, since_ms: u64, delay_ms: i64) -> Option<u64> {
        let period_ms = u64::try_from(self.address_queue_scan_period_ms).ok()?;
        let delay_ms = u64::try_from(delay_ms).unwrap_or_default();
        Some(since_ms.saturating_add(delay_ms).saturating_add(period_ms))
    }

    pub(crate) fn binding_query(&self, name: &str) -> Answer {
        let (name, _) = split_name(name);
        let settings = self.settings_of(name);
        let found = self.addresses.get(name);
        let queues = found.map_or_else(Vec::new, |address| {
            address
                .anycast
                .iter()
                .chain(&address.multicast)
                .filter_map(|queue| self.queues.get(queue))
                .map(|queue| queue.attributes.name.clone())
                .collect()
        });
        let info = BindingInfo {
            exists: found.is_some() || name == self.management_address,
            queues,
            auto_create_queues: settings.auto_create_queues,
            auto_create_addresses: settings.auto_create_addresses,
            default_purge_on_no_consumers: settings.default_purge_on_no_consumers,
            default_max_consumers: settings.default_max_consumers,
            default_exclusive: Some(settings.default_exclusive),
            default_last_value: Some(false),
            default_last_value_key: None,
            default_non_destructive: Some(false),
            default_consumers_before_dispatch: Some(0),
            default_delay_before_dispatch_ms: Some(-1),
            routing_types: match found {
                Some(address) => address.routing_types,
                None if name == self.management_address => RoutingTypes {
                    anycast: true,
                    multicast: true,
                },
                None => RoutingTypes::default(),
            },
        };
        Answer {
            reply: Reply::Binding(Box::new(info)),
            after: self.records,
        }
    }

    /// Refuses what the user of a session may not do.
    pub(crate) fn check(
        &self,
        session: SessionKey,
        permission: Permission,
        address: &str,
        queue: Option<&str>,
    ) -> Result<(), EngineError> {
        let session = self
            .sessions
            .get(&session)
            .ok_or_else(EngineError::no_session)?;
        self.security
            .check(&session.identity, permission, address, queue)
    }
}
