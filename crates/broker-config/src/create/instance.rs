//! The files of a new instance.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::{ClusterOptions, CreateOptions, HaOptions};
use crate::bootstrap_xml::Bootstrap;
use crate::broker_xml;
use crate::configuration::{
    Acceptor, Address, AddressSetting, BroadcastGroup, ClusterConnection, ClusterCredentials,
    Configuration, Connector, Directories, DiscoveryGroup, HaPolicy, MulticastGroup, Peers, Queue,
    ReplicationBackup, ReplicationPrimary, RoutingType, SecuritySetting,
};
use crate::login_config::{Guest, LoginConfig};
use crate::password::{SALT_BYTES, StoredPassword};
use crate::users::{Roles, Users};

/// What to make on disk, below the instance's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Empty folders.
    pub folders: Vec<String>,
    /// Files.
    pub files: Vec<InstanceFile>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFile {
    /// Relative to the instance's folder.
    pub path: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// Its text.
    pub content: String,
}

/// Name of the connector and acceptor that `create` writes.
const ARTEMIS: &str = "artemis";
/// Where brokers of one network find each other unless told otherwise.
const MULTICAST_ADDRESS: Ipv4Addr = Ipv4Addr::new(231, 7, 7, 7);
const MULTICAST_PORT: u16 = 9_876;
/// Anybody may read.
const PUBLIC: u32 = 0o644;
/// It has passwords in it.
const PRIVATE: u32 = 0o600;
const PROGRAM: u32 = 0o755;

/// Everything that `create` puts into the folder of an instance.
///
/// `broker_program` is the absolute path of the broker's program; `salt` must be random and used
/// once.
pub fn instance(
    options: &CreateOptions,
    broker_program: &str,
    salt: &[u8; SALT_BYTES],
) -> Instance {
    let user = options.user.clone();
    let password = StoredPassword::hash(&options.password, salt);
    let users = Users(BTreeMap::from([(user.clone(), password)]));
    let roles = Roles(BTreeMap::from([(
        options.role.clone(),
        BTreeSet::from([user.clone()]),
    )]));
    let guest = Guest {
        user,
        role: options.role.clone(),
    };
    let login = LoginConfig::new(options.allow_anonymous.then_some(guest));
    let file = |path, mode, content| InstanceFile {
        path,
        mode,
        content,
    };
    let mut files = vec![
        file(
            "bin/artemis",
            PROGRAM,
            include_str!("scripts/artemis.sh").to_owned(),
        ),
        file(
            "bin/artemis-service",
            PROGRAM,
            include_str!("scripts/artemis-service.sh").to_owned(),
        ),
        file("etc/artemis.profile", PUBLIC, profile(broker_program)),
        file("etc/artemis-roles.properties", PUBLIC, roles.to_text()),
        file("etc/artemis-users.properties", PRIVATE, users.to_text()),
        file(
            "etc/bootstrap.xml",
            PUBLIC,
            Bootstrap::new(options.http.clone()).to_text(),
        ),
        file(
            "etc/broker.xml",
            PRIVATE,
            broker_xml::write(&configuration(options)),
        ),
        file("etc/login.config", PUBLIC, login.to_text()),
    ];
    if options.ha != HaOptions::None {
        let text = include_str!("scripts/tandem.properties").to_owned();
        files.push(file("etc/tandem.properties", PUBLIC, text));
    }
    let mut folders = vec!["log".to_owned()];
    if is_inside(&options.data) {
        folders.push(options.data.clone());
    }
    Instance { folders, files }
}

/// Whether a data folder is one of the instance's own; others are made by the broker that uses them.
fn is_inside(data: &str) -> bool {
    !data.starts_with('/') && !data.split('/').any(|step| step == "..")
}

/// The environment of both scripts.
fn profile(broker_program: &str) -> String {
    include_str!("scripts/artemis.profile").replace("@TANDEM_BROKER@", &shell_quote(broker_program))
}

/// `text` as one word of a POSIX shell.
fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The `broker.xml` of a new instance, as values.
pub(super) fn configuration(options: &CreateOptions) -> Configuration {
    let mut configuration = Configuration::new(&options.name);
    configuration.directories = Directories::below(&options.data);
    configuration.acceptors = vec![Acceptor::new(ARTEMIS, &options.host, options.port)];
    configuration.ha_policy = ha_policy(options.ha);
    if let Some(cluster) = &options.cluster {
        join_cluster(&mut configuration, options, cluster);
    }
    configuration.security_settings = vec![SecuritySetting::everything_for("#", &options.role)];
    configuration.address_settings = address_settings(options);
    configuration.addresses = ["DLQ", "ExpiryQueue"].map(Address::anycast_queue).into();
    for (name, routing_type) in &options.queues {
        configuration.addresses.push(Address {
            name: name.clone(),
            anycast: *routing_type == RoutingType::Anycast,
            multicast: *routing_type == RoutingType::Multicast,
            queues: vec![Queue::new(name, *routing_type)],
        });
    }
    for name in &options.addresses {
        let address = Address {
            name: name.clone(),
            multicast: true,
            ..Address::default()
        };
        configuration.addresses.push(address);
    }
    configuration
}

fn ha_policy(ha: HaOptions) -> HaPolicy {
    match ha {
        HaOptions::None => HaPolicy::PrimaryOnly,
        HaOptions::SharedStore {
            backup: false,
            failover_on_shutdown,
        } => HaPolicy::SharedStorePrimary {
            failover_on_shutdown,
        },
        HaOptions::SharedStore {
            backup: true,
            failover_on_shutdown,
        } => HaPolicy::SharedStoreBackup {
            allow_failback: true,
            failover_on_shutdown,
            restart_backup: true,
        },
        HaOptions::Replicated { backup: false } => {
            HaPolicy::ReplicationPrimary(ReplicationPrimary {
                vote_on_replication_failure: true,
                ..ReplicationPrimary::default()
            })
        }
        HaOptions::Replicated { backup: true } => {
            HaPolicy::ReplicationBackup(ReplicationBackup::default())
        }
    }
}

fn join_cluster(
    configuration: &mut Configuration,
    options: &CreateOptions,
    cluster: &ClusterOptions,
) {
    configuration.cluster_credentials = ClusterCredentials {
        user: cluster.user.clone(),
        password: cluster.password.clone(),
    };
    configuration.connectors = vec![Connector::new(ARTEMIS, &options.host, options.port)];
    let mut connection = ClusterConnection::new("my-cluster", ARTEMIS);
    connection.max_hops = cluster.max_hops;
    connection.message_load_balancing = cluster.message_load_balancing;
    if let Some(peers) = &cluster.static_peers {
        configuration.connectors.extend(peers.iter().cloned());
        connection.peers = Peers::Static(peers.iter().map(|peer| peer.name.clone()).collect());
    } else {
        let group = MulticastGroup {
            address: MULTICAST_ADDRESS,
            port: MULTICAST_PORT,
            local_bind_address: None,
        };
        configuration.broadcast_groups = vec![BroadcastGroup {
            name: "bg-group1".to_owned(),
            group: group.clone(),
            broadcast_period_ms: 5_000,
            connector_refs: vec![ARTEMIS.to_owned()],
        }];
        let name = "dg-group1".to_owned();
        connection.peers = Peers::Discovery(name.clone());
        configuration.discovery_groups = vec![DiscoveryGroup {
            name,
            group,
            refresh_timeout_ms: 10_000,
        }];
    }
    configuration.cluster_connections = vec![connection];
}

fn address_settings(options: &CreateOptions) -> Vec<AddressSetting> {
    let common = |pattern: &str| AddressSetting {
        dead_letter_address: Some("DLQ".to_owned()),
        expiry_address: Some("ExpiryQueue".to_owned()),
        redelivery_delay_ms: Some(0),
        auto_create_queues: Some(true),
        auto_create_addresses: Some(true),
        ..AddressSetting::new(pattern)
    };
    vec![
        // Requests for management create their answer queues whatever others may.
        common("activemq.management.#"),
        AddressSetting {
            auto_create_queues: Some(options.auto_create),
            auto_create_addresses: Some(options.auto_create),
            auto_delete_queues: Some(options.auto_delete),
            auto_delete_addresses: Some(options.auto_delete),
            ..common("#")
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(shell_quote("/opt/a b/it's"), r"'/opt/a b/it'\''s'");
    }

    #[test]
    fn data_elsewhere_is_not_made() {
        for (data, inside) in [
            ("data", true),
            ("my/data..x", true),
            ("../live/data", false),
            ("a/../../b", false),
            ("/mnt/data", false),
        ] {
            assert_eq!(is_inside(data), inside, "{data}");
        }
    }
}
