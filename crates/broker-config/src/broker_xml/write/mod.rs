//! Writes a `broker.xml` that this broker and a real Artemis 2.44 read alike.
//!
//! Only what is served is written, and nothing is left to defaults on which programs and manuals
//! disagree: whatever the configuration knows is spelled out. The current names are used, never
//! the older ones.

mod addresses;
mod out;

use crate::configuration::{
    ClusterConnection, Configuration, HaPolicy, Limits, Manager, MulticastGroup, Peers, Protocol,
};
use crate::url;
use out::Out;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const CONFIGURATION: &[(&str, &str)] = &[
    ("xmlns", "urn:activemq"),
    ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
    (
        "xsi:schemaLocation",
        "urn:activemq /schema/artemis-configuration.xsd",
    ),
];
const CORE: &[(&str, &str)] = &[
    ("xmlns", "urn:activemq:core"),
    ("xsi:schemaLocation", "urn:activemq:core "),
];

/// The text of the `broker.xml` that says `configuration`.
///
/// Reading it gives an equal configuration, provided that its names and values are such as XML can
/// hold: no control characters, no white space at their ends. With a manager, settings that Artemis
/// knows only without one are not written.
pub fn write(configuration: &Configuration) -> String {
    let mut out = Out::new(HEAD);
    out.element("configuration", CONFIGURATION, |out| {
        out.element("core", CORE, |out| core(out, configuration));
    });
    out.finish()
}

fn core(out: &mut Out, configuration: &Configuration) {
    // Every field is named here, so that a new one cannot be forgotten.
    let Configuration {
        name,
        persistence_enabled,
        security_enabled,
        directories: _,
        journal: _,
        acceptors: _,
        connectors: _,
        cluster_credentials: _,
        broadcast_groups: _,
        discovery_groups: _,
        cluster_connections: _,
        ha_policy: _,
        addresses,
        address_settings,
        security_settings,
        management_address,
        management_notification_address,
        wildcard_routing_enabled,
        limits: _,
    } = configuration;
    out.value("name", name);
    out.value("persistence-enabled", persistence_enabled);
    out.value("security-enabled", security_enabled);
    out.value("management-address", management_address);
    out.value(
        "management-notification-address",
        management_notification_address,
    );
    out.value("wild-card-routing-enabled", wildcard_routing_enabled);
    out.blank_line();
    storage(out, configuration);
    out.blank_line();
    limits(out, configuration);
    out.blank_line();
    transport(out, configuration);
    out.blank_line();
    cluster(out, configuration);
    out.blank_line();
    if configuration.ha_policy != HaPolicy::PrimaryOnly {
        out.element("ha-policy", &[], |out| {
            ha_policy(out, &configuration.ha_policy);
        });
        out.blank_line();
    }
    addresses::security_settings(out, security_settings);
    out.blank_line();
    addresses::address_settings(out, address_settings);
    out.blank_line();
    addresses::addresses(out, addresses);
}

fn storage(out: &mut Out, configuration: &Configuration) {
    let directories = &configuration.directories;
    out.comment("relative directories are relative to the instance");
    out.value("paging-directory", &directories.paging);
    out.value("bindings-directory", &directories.bindings);
    out.value("journal-directory", &directories.journal);
    out.value("large-messages-directory", &directories.large_messages);
    out.optional(
        "node-manager-lock-directory",
        directories.node_manager_lock.as_ref(),
    );
    out.value("journal-datasync", configuration.journal.datasync);
    out.value(
        "journal-file-size",
        bytes(configuration.journal.file_size_bytes),
    );
}

/// Whole mebibytes are easier to read.
fn bytes(bytes: u64) -> String {
    const MEBIBYTE: u64 = 1 << 20;
    if bytes > 0 && bytes.is_multiple_of(MEBIBYTE) {
        format!("{}M", bytes / MEBIBYTE)
    } else {
        bytes.to_string()
    }
}

fn limits(out: &mut Out, configuration: &Configuration) {
    let limits = &configuration.limits;
    out.value("connection-ttl-override", limits.connection_ttl_override_ms);
    out.value(
        "connection-ttl-check-interval",
        limits.connection_ttl_check_interval_ms,
    );
    out.value(
        "message-expiry-scan-period",
        limits.message_expiry_scan_period_ms,
    );
    out.value(
        "address-queue-scan-period",
        limits.address_queue_scan_period_ms,
    );
    out.value("id-cache-size", limits.id_cache_size);
    // What is not enforced yet is written only where it was asked for.
    let defaults = Limits::default();
    if limits.max_disk_usage_percent != defaults.max_disk_usage_percent {
        out.value("max-disk-usage", limits.max_disk_usage_percent);
    }
    out.optional("global-max-size", limits.global_max_size_bytes);
    if limits.global_max_messages != defaults.global_max_messages {
        out.value("global-max-messages", limits.global_max_messages);
    }
}

fn transport(out: &mut Out, configuration: &Configuration) {
    if !configuration.connectors.is_empty() {
        out.element("connectors", &[], |out| {
            out.comment("by these, clients and the other side reach the brokers of the pair");
            for connector in &configuration.connectors {
                let parameters = connector.parameters.iter();
                let parameters = parameters.map(|(key, value)| (key.as_str(), value.as_str()));
                let url = url::write(&connector.host, connector.port, parameters);
                out.text_element("connector", &[("name", &connector.name)], &url);
            }
        });
        out.blank_line();
    }
    out.element("acceptors", &[], |out| {
        for acceptor in &configuration.acceptors {
            let protocols: Vec<_> = acceptor
                .protocols
                .iter()
                .map(|p| Protocol::name(*p))
                .collect();
            let protocols = protocols.join(",");
            let parameters = acceptor.parameters.iter();
            let parameters = parameters.map(|(key, value)| (key.as_str(), value.as_str()));
            let parameters = [("protocols", protocols.as_str())]
                .into_iter()
                .chain(parameters);
            let url = url::write(&acceptor.host, acceptor.port, parameters);
            out.text_element("acceptor", &[("name", &acceptor.name)], &url);
        }
    });
}

fn cluster(out: &mut Out, configuration: &Configuration) {
    out.value("cluster-user", &configuration.cluster_credentials.user);
    out.value(
        "cluster-password",
        &configuration.cluster_credentials.password,
    );
    if !configuration.broadcast_groups.is_empty() {
        out.blank_line();
        out.element("broadcast-groups", &[], |out| {
            for group in &configuration.broadcast_groups {
                out.element("broadcast-group", &[("name", &group.name)], |out| {
                    multicast(out, &group.group);
                    out.value("broadcast-period", group.broadcast_period_ms);
                    group
                        .connector_refs
                        .iter()
                        .for_each(|name| out.value("connector-ref", name));
                });
            }
        });
    }
    if !configuration.discovery_groups.is_empty() {
        out.blank_line();
        out.element("discovery-groups", &[], |out| {
            for group in &configuration.discovery_groups {
                out.element("discovery-group", &[("name", &group.name)], |out| {
                    multicast(out, &group.group);
                    out.value("refresh-timeout", group.refresh_timeout_ms);
                });
            }
        });
    }
    if !configuration.cluster_connections.is_empty() {
        out.blank_line();
        out.element("cluster-connections", &[], |out| {
            configuration
                .cluster_connections
                .iter()
                .for_each(|one| cluster_connection(out, one));
        });
    }
}

fn multicast(out: &mut Out, group: &MulticastGroup) {
    out.optional("local-bind-address", group.local_bind_address.as_ref());
    out.value("group-address", group.address);
    out.value("group-port", group.port);
}

fn cluster_connection(out: &mut Out, connection: &ClusterConnection) {
    let ClusterConnection {
        name,
        connector_ref,
        message_load_balancing,
        max_hops,
        peers,
    } = connection;
    out.element("cluster-connection", &[("name", name)], |out| {
        out.value("connector-ref", connector_ref);
        out.value("message-load-balancing", message_load_balancing.name());
        out.value("max-hops", max_hops);
        match peers {
            Peers::None => {}
            Peers::Static(names) => out.element("static-connectors", &[], |out| {
                for name in names {
                    out.value("connector-ref", name);
                }
            }),
            Peers::Discovery(group) => {
                out.element(
                    "discovery-group-ref",
                    &[("discovery-group-name", group)],
                    |_| {},
                );
            }
        }
    });
}

fn ha_policy(out: &mut Out, policy: &HaPolicy) {
    match policy {
        HaPolicy::PrimaryOnly => {}
        HaPolicy::SharedStorePrimary {
            failover_on_shutdown,
        } => {
            out.element("shared-store", &[], |out| {
                out.element("primary", &[], |out| {
                    out.value("failover-on-shutdown", failover_on_shutdown);
                });
            });
        }
        HaPolicy::SharedStoreBackup {
            allow_failback,
            failover_on_shutdown,
            restart_backup,
        } => {
            out.element("shared-store", &[], |out| {
                out.element("backup", &[], |out| {
                    out.value("allow-failback", allow_failback);
                    out.value("failover-on-shutdown", failover_on_shutdown);
                    out.value("restart-backup", restart_backup);
                });
            });
        }
        HaPolicy::ReplicationPrimary(primary) => out.element("replication", &[], |out| {
            out.element("primary", &[], |out| {
                out.optional("group-name", primary.group_name.as_ref());
                if let Some(named) = &primary.manager {
                    manager(out, named);
                } else {
                    // With a manager Artemis knows neither of the two.
                    out.value("check-for-active-server", primary.check_for_active_server);
                    out.value(
                        "vote-on-replication-failure",
                        primary.vote_on_replication_failure,
                    );
                }
            });
        }),
        HaPolicy::ReplicationBackup(backup) => out.element("replication", &[], |out| {
            out.element("backup", &[], |out| {
                out.value("allow-failback", backup.allow_failback);
                out.optional("group-name", backup.group_name.as_ref());
                if let Some(named) = &backup.manager {
                    manager(out, named);
                } else {
                    // With a manager Artemis knows neither of the two.
                    out.value("restart-backup", backup.restart_backup);
                    out.value(
                        "vote-on-replication-failure",
                        backup.vote_on_replication_failure,
                    );
                }
            });
        }),
    }
}

fn manager(out: &mut Out, manager: &Manager) {
    out.element("manager", &[], |out| {
        out.value("class-name", Manager::CLASS_NAME);
        out.element("properties", &[], |out| {
            let folder = [
                ("key", "locks-folder"),
                ("value", manager.locks_folder.as_str()),
            ];
            out.element("property", &folder, |_| {});
        });
    });
}
