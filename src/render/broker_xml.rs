//! `broker.xml` of one side.

use broker_config::configuration as xml;
use broker_config::configuration::{
    ClusterConnection, ClusterCredentials, Configuration, Connector, Directories, HaPolicy, Peers,
    RoutingType, SecuritySetting,
};
use pair::Side;

use super::placement::Placement;
use super::{CLUSTER_USER, Credentials, ROLE};
use crate::api::spec::{Acceptor, Address, AddressSetting, HaMode, Protocol, Queue};
use crate::api::validate::ValidatedPair;

/// Connector of this side; what clients are told.
const SELF: &str = "self";
/// Connector of the other side.
const PEER: &str = "peer";
/// Where undeliverable messages go unless the manifest says otherwise.
const DEAD_LETTERS: &str = "DLQ";
/// Where expired messages go unless the manifest says otherwise.
const EXPIRED: &str = "ExpiryQueue";
/// The pattern of every address.
const EVERY: &str = "#";

pub(super) fn configuration(
    pair: &ValidatedPair,
    placement: &dyn Placement,
    credentials: &Credentials,
    side: Side,
) -> Configuration {
    let mut configuration = Configuration::new(pair.name.clone());
    configuration.directories = Directories::below(&placement.store(pair.mode, side));
    let acceptors = pair.acceptors.iter();
    configuration.acceptors = acceptors
        .map(|from| acceptor(from, placement, side))
        .collect();
    configuration.connectors = connectors(pair, placement, side);
    configuration.cluster_credentials = ClusterCredentials {
        user: CLUSTER_USER.to_owned(),
        password: credentials.cluster_password.clone(),
    };
    let mut cluster = ClusterConnection::new("pair", SELF);
    cluster.peers = Peers::Static(vec![PEER.to_owned()]);
    configuration.cluster_connections = vec![cluster];
    configuration.ha_policy = ha_policy(pair, side);
    configuration.address_settings = address_settings(pair);
    configuration.addresses = addresses(pair, &configuration.address_settings);
    configuration.security_settings = vec![SecuritySetting::everything_for(EVERY, ROLE)];
    configuration
}

fn acceptor(from: &Acceptor, placement: &dyn Placement, side: Side) -> xml::Acceptor {
    let port = placement.port(side, from.port);
    let mut acceptor = xml::Acceptor::new(from.name.clone(), placement.listen_host(), port);
    let protocols = from.protocols.iter();
    acceptor.protocols = protocols
        .map(|protocol| match protocol {
            Protocol::Core => xml::Protocol::Core,
        })
        .collect();
    acceptor
}

/// This side's and the other's, at the first acceptor's port.
fn connectors(pair: &ValidatedPair, placement: &dyn Placement, side: Side) -> Vec<Connector> {
    let Some(first) = pair.acceptors.first() else {
        return Vec::new();
    };
    [(SELF, side), (PEER, side.other())]
        .into_iter()
        .map(|(name, side)| {
            Connector::new(name, placement.host(side), placement.port(side, first.port))
        })
        .collect()
}

/// Everything is written: defaults of these elements differ between manual, schema and program.
fn ha_policy(pair: &ValidatedPair, side: Side) -> HaPolicy {
    let failover_on_shutdown = pair.failover_on_shutdown;
    match (pair.mode, side) {
        (HaMode::SharedStore, Side::Primary) => HaPolicy::SharedStorePrimary {
            failover_on_shutdown,
        },
        // Who asks for a failback is the decider alone (`failback=managed`), and the backup grants
        // it; it then stays, as a backup, in the same process.
        (HaMode::SharedStore, Side::Backup) => HaPolicy::SharedStoreBackup {
            allow_failback: true,
            failover_on_shutdown,
            restart_backup: true,
        },
        // Real Artemis must look for an active broker, or its restarted primary would serve beside it.
        (HaMode::Replication, Side::Primary) => {
            HaPolicy::ReplicationPrimary(xml::ReplicationPrimary {
                check_for_active_server: true,
                ..xml::ReplicationPrimary::default()
            })
        }
        (HaMode::Replication, Side::Backup) => {
            HaPolicy::ReplicationBackup(xml::ReplicationBackup {
                allow_failback: true,
                ..xml::ReplicationBackup::default()
            })
        }
    }
}

/// What `create` writes for every address, with the manifest's settings over it.
fn address_settings(pair: &ValidatedPair) -> Vec<xml::AddressSetting> {
    let mut every = xml::AddressSetting::new(EVERY);
    every.dead_letter_address = Some(DEAD_LETTERS.to_owned());
    every.expiry_address = Some(EXPIRED.to_owned());
    every.max_delivery_attempts = Some(10);
    every.redelivery_delay_ms = Some(0);
    every.auto_create_queues = Some(true);
    every.auto_create_addresses = Some(true);
    every.auto_delete_queues = Some(false);
    every.auto_delete_addresses = Some(false);
    let mut settings = vec![every];
    for from in &pair.address_settings {
        let known = settings
            .iter()
            .position(|setting| setting.pattern == from.pattern);
        let index = known.unwrap_or_else(|| {
            settings.push(xml::AddressSetting::new(from.pattern.clone()));
            settings.len() - 1
        });
        overlay(&mut settings[index], from);
    }
    settings
}

fn overlay(to: &mut xml::AddressSetting, from: &AddressSetting) {
    // Without `..`, so that a new field of the manifest cannot be forgotten here.
    let AddressSetting {
        pattern: _,
        dead_letter_address,
        expiry_address,
        max_delivery_attempts,
        auto_create_queues,
        auto_create_addresses,
        auto_delete_queues,
        auto_delete_addresses,
    } = from.clone();
    replace(&mut to.dead_letter_address, dead_letter_address);
    replace(&mut to.expiry_address, expiry_address);
    replace(&mut to.max_delivery_attempts, max_delivery_attempts);
    replace(&mut to.auto_create_queues, auto_create_queues);
    replace(&mut to.auto_create_addresses, auto_create_addresses);
    replace(&mut to.auto_delete_queues, auto_delete_queues);
    replace(&mut to.auto_delete_addresses, auto_delete_addresses);
}

fn replace<T>(to: &mut Option<T>, from: Option<T>) {
    if from.is_some() {
        *to = from;
    }
}

/// The manifest's, and those that the settings send messages to: without them such a message would
/// be dropped.
fn addresses(pair: &ValidatedPair, settings: &[xml::AddressSetting]) -> Vec<xml::Address> {
    let mut addresses: Vec<xml::Address> = pair.addresses.iter().map(address).collect();
    for setting in settings {
        for name in [&setting.dead_letter_address, &setting.expiry_address]
            .into_iter()
            .flatten()
        {
            if !addresses.iter().any(|address| address.name == *name) {
                addresses.push(xml::Address::anycast_queue(name.clone()));
            }
        }
    }
    addresses
}

fn address(from: &Address) -> xml::Address {
    let lists = [
        (RoutingType::Anycast, &from.anycast),
        (RoutingType::Multicast, &from.multicast),
    ];
    let queues = lists
        .into_iter()
        .flat_map(|(routing_type, list)| list.iter().flatten().map(move |q| queue(q, routing_type)))
        .collect();
    xml::Address {
        name: from.name.clone(),
        anycast: from.anycast.is_some(),
        multicast: from.multicast.is_some(),
        queues,
    }
}

fn queue(from: &Queue, routing_type: RoutingType) -> xml::Queue {
    let Queue {
        name,
        filter,
        durable,
        max_consumers,
    } = from.clone();
    xml::Queue {
        filter,
        durable,
        max_consumers: max_consumers.and_then(|max| i32::try_from(max).ok()),
        ..xml::Queue::new(name, routing_type)
    }
}
