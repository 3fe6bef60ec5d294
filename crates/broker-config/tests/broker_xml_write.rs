//! `broker.xml` as we write it: it is read back as what it was written from.

#![expect(
    clippy::expect_used,
    reason = "a test ends at the first thing that is wrong"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use broker_config::Configuration;
use broker_config::broker_xml::{parse, write};
use broker_config::configuration::{
    Acceptor, Address, AddressFullPolicy, AddressSetting, BroadcastGroup, ClusterConnection,
    ClusterCredentials, Connector, DiscoveryGroup, HaPolicy, Manager, MessageLoadBalancing,
    MulticastGroup, Peers, Permission, Protocol, Queue, ReplicationBackup, ReplicationPrimary,
    RoutingType, SecuritySetting,
};
use proptest::prelude::*;
use support::assert_golden;

const FILES_OF_ARTEMIS: [&str; 4] = [
    include_str!("data/liveBroker.xml"),
    include_str!("data/backupBroker.xml"),
    include_str!("data/repLiveBroker.xml"),
    include_str!("data/repBackupBroker.xml"),
];

fn good(text: &str) -> Configuration {
    let parsed = parse("broker.xml", text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    parsed.configuration
}

/// A configuration in which every field differs from its default.
fn full() -> Configuration {
    let mut full = Configuration::new("orders & \"more\" <${HOME}>");
    full.security_enabled = false;
    "/mnt/store/journal".clone_into(&mut full.directories.journal);
    full.directories.node_manager_lock = Some("/mnt/store/lock".to_owned());
    full.journal.file_size_bytes = 12_345_678;
    full.journal.datasync = false;
    let parameters = BTreeMap::from([("connectionTtl".to_owned(), "9;9".to_owned())]);
    full.acceptors = vec![Acceptor {
        protocols: BTreeSet::from([Protocol::Core]),
        parameters: parameters.clone(),
        ..Acceptor::new("artemis", "::1", 61_616)
    }];
    full.connectors = vec![
        Connector {
            parameters,
            ..Connector::new("self", "orders-0.brokers", 61_616)
        },
        Connector::new("peer", "::1", 61_716),
    ];
    full.cluster_credentials = ClusterCredentials {
        user: "cluster".to_owned(),
        password: "p<&>'\"${x}".to_owned(),
    };
    let group = MulticastGroup {
        address: Ipv4Addr::new(231, 7, 7, 7),
        port: 9_876,
        local_bind_address: Some("127.0.0.1".to_owned()),
    };
    full.broadcast_groups = vec![BroadcastGroup {
        name: "bg".to_owned(),
        group: group.clone(),
        broadcast_period_ms: 5_000,
        connector_refs: vec!["self".to_owned()],
    }];
    full.discovery_groups = vec![DiscoveryGroup {
        name: "dg".to_owned(),
        group,
        refresh_timeout_ms: 1,
    }];
    let mut by_name = ClusterConnection::new("static", "self");
    by_name.peers = Peers::Static(vec!["peer".to_owned()]);
    by_name.message_load_balancing = MessageLoadBalancing::OffWithRedistribution;
    by_name.max_hops = 2;
    let mut discovered = ClusterConnection::new("discovered", "self");
    discovered.peers = Peers::Discovery("dg".to_owned());
    full.cluster_connections = vec![by_name, discovered, ClusterConnection::new("none", "self")];
    full.addresses = vec![
        Address {
            name: "news.#".to_owned(),
            anycast: true,
            multicast: true,
            queues: vec![
                Queue::new("plain", RoutingType::Anycast),
                Queue {
                    name: "special".to_owned(),
                    routing_type: RoutingType::Multicast,
                    filter: Some("colour = 'red' AND\n size < 5".to_owned()),
                    durable: false,
                    max_consumers: Some(1),
                    purge_on_no_consumers: Some(true),
                    exclusive: Some(false),
                    enabled: false,
                },
            ],
        },
        Address {
            name: "empty".to_owned(),
            ..Address::default()
        },
        Address {
            name: "allowed".to_owned(),
            multicast: true,
            ..Address::default()
        },
    ];
    full.address_settings = vec![full_address_setting(), AddressSetting::new("nothing")];
    let roles = BTreeSet::from(["amq".to_owned(), "view only".to_owned()]);
    full.security_settings = vec![SecuritySetting {
        pattern: "orders.*".to_owned(),
        permissions: BTreeMap::from([
            (Permission::Send, roles),
            (Permission::Consume, BTreeSet::new()),
        ]),
    }];
    "manage".clone_into(&mut full.management_address);
    "notify".clone_into(&mut full.management_notification_address);
    full.wildcard_routing_enabled = false;
    full.limits.connection_ttl_override_ms = 1;
    full.limits.connection_ttl_check_interval_ms = 2;
    full.limits.message_expiry_scan_period_ms = -1;
    full.limits.address_queue_scan_period_ms = 4;
    full.limits.id_cache_size = 5;
    full.limits.max_disk_usage_percent = 6;
    full.limits.global_max_size_bytes = Some(7);
    full.limits.global_max_messages = 8;
    full
}

fn full_address_setting() -> AddressSetting {
    AddressSetting {
        pattern: "#".to_owned(),
        dead_letter_address: Some("DLQ".to_owned()),
        expiry_address: Some("EXP".to_owned()),
        auto_create_dead_letter_resources: Some(true),
        dead_letter_queue_prefix: Some(String::new()),
        dead_letter_queue_suffix: Some(".d".to_owned()),
        auto_create_expiry_resources: Some(true),
        expiry_queue_prefix: Some("E".to_owned()),
        expiry_queue_suffix: Some(String::new()),
        no_expiry: Some(true),
        expiry_delay_ms: Some(-1),
        min_expiry_delay_ms: Some(2),
        max_expiry_delay_ms: Some(3),
        redelivery_delay_ms: Some(4),
        redelivery_delay_multiplier: Some(1.3),
        max_redelivery_delay_ms: Some(5),
        max_delivery_attempts: Some(-1),
        send_to_dla_on_no_route: Some(true),
        auto_create_queues: Some(false),
        auto_create_addresses: Some(false),
        auto_delete_queues: Some(false),
        auto_delete_created_queues: Some(true),
        auto_delete_queues_delay_ms: Some(6),
        auto_delete_queues_message_count: Some(-1),
        auto_delete_addresses: Some(true),
        auto_delete_addresses_delay_ms: Some(7),
        default_max_consumers: Some(8),
        default_purge_on_no_consumers: Some(true),
        default_exclusive_queue: Some(true),
        default_queue_routing_type: Some(RoutingType::Anycast),
        default_address_routing_type: Some(RoutingType::Multicast),
        default_consumer_window_size: Some(0),
        id_cache_size: Some(9),
        max_size_bytes: Some(-1),
        max_size_messages: Some(10),
        address_full_policy: Some(AddressFullPolicy::Block),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let manager = Manager {
        locks_folder: "/mnt/locks".to_owned(),
    };
    let policies = [
        HaPolicy::PrimaryOnly,
        HaPolicy::SharedStorePrimary {
            failover_on_shutdown: false,
        },
        HaPolicy::SharedStoreBackup {
            allow_failback: false,
            failover_on_shutdown: true,
            restart_backup: false,
        },
        HaPolicy::ReplicationPrimary(ReplicationPrimary {
            check_for_active_server: true,
            vote_on_replication_failure: true,
            group_name: Some("g".to_owned()),
            manager: None,
        }),
        HaPolicy::ReplicationPrimary(ReplicationPrimary {
            manager: Some(manager.clone()),
            ..ReplicationPrimary::default()
        }),
        HaPolicy::ReplicationBackup(ReplicationBackup {
            allow_failback: true,
            restart_backup: false,
            vote_on_replication_failure: true,
            group_name: Some("g".to_owned()),
            manager: None,
        }),
        HaPolicy::ReplicationBackup(ReplicationBackup {
            manager: Some(manager),
            ..ReplicationBackup::default()
        }),
    ];
    for ha_policy in policies {
        let configuration = Configuration {
            ha_policy,
            ..full()
        };
        assert_eq!(good(&write(&configuration)), configuration);
    }
    for text in FILES_OF_ARTEMIS {
        let configuration = good(text);
        assert_eq!(good(&write(&configuration)), configuration);
    }
}

#[test]
fn what_is_written_is_reviewed_as_text() {
    assert_golden("full.xml", &write(&full()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Names are data: no character of a name is taken for markup or for a placeholder.
    #[test]
    fn any_name_makes_the_round_trip(name in "[^\\pC\\s]([^\\pC]{0,20}[^\\pC\\s])?") {
        let mut configuration = Configuration::new(name.clone());
        configuration.acceptors = vec![Acceptor {
            parameters: BTreeMap::from([("name".to_owned(), name.clone())]),
            ..Acceptor::new(name.clone(), "h", 1)
        }];
        configuration.addresses = vec![Address::anycast_queue(name)];
        let parsed = parse("broker.xml", &write(&configuration), &|_| Some("!".to_owned()));
        prop_assert_eq!(parsed.map(|parsed| parsed.configuration), Ok(configuration));
    }
}
