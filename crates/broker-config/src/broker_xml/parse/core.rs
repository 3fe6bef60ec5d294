//! The elements directly below `core`.

use super::cluster::References;
use super::{addresses, cluster, ha, security, settings, transport};
use crate::configuration::Configuration;
use crate::xml::{Child, Problem, View, set};

/// Name of a broker whose `broker.xml` gives none.
const DEFAULT_NAME: &str = "localhost";

pub(super) fn configuration(root: &View<'_, '_>) -> Configuration {
    let mut configuration = Configuration::new(DEFAULT_NAME);
    // Reports attributes that do not belong there.
    root.attributes();
    let children = root.children();
    let Some(core) = children.iter().find(|child| child.name == "core") else {
        root.error(Problem::MissingElement("core"));
        return configuration;
    };
    let mut references = References::default();
    for child in core.view.children() {
        read(&mut configuration, &mut references, child);
    }
    references.check(&configuration);
    configuration
}

fn read<'r, 'x>(
    configuration: &mut Configuration,
    references: &mut References<'r, 'x>,
    child: Child<'r, 'x>,
) {
    match child.name {
        "name" => set(&mut configuration.name, child.text()),
        "persistence-enabled" => set(&mut configuration.persistence_enabled, child.flag()),
        "security-enabled" => set(&mut configuration.security_enabled, child.flag()),
        "wild-card-routing-enabled" => {
            set(&mut configuration.wildcard_routing_enabled, child.flag());
        }
        "wildcard-addresses" => {
            for child in child.view.children() {
                if child.name == "routing-enabled" {
                    set(&mut configuration.wildcard_routing_enabled, child.flag());
                }
            }
        }
        // Says only which kinds of store there are; the one that is not served is refused there.
        "store" => drop(child.view.children()),
        "management-address" => set(&mut configuration.management_address, child.text()),
        "management-notification-address" => {
            set(
                &mut configuration.management_notification_address,
                child.text(),
            );
        }
        "cluster-user" => set(&mut configuration.cluster_credentials.user, child.text()),
        "cluster-password" => {
            let view = child.view.clone();
            let password = child.text();
            if password
                .as_deref()
                .is_some_and(|text| text.starts_with("ENC("))
            {
                view.error(Problem::MaskedPassword);
            }
            set(&mut configuration.cluster_credentials.password, password);
        }
        "acceptors" => configuration.acceptors = transport::acceptors(&child.view),
        "connectors" => configuration.connectors = transport::connectors(&child.view),
        "broadcast-groups" => {
            configuration.broadcast_groups = cluster::broadcast_groups(&child.view, references);
        }
        "discovery-groups" => {
            configuration.discovery_groups = cluster::discovery_groups(&child.view);
        }
        "cluster-connections" => {
            configuration.cluster_connections = cluster::connections(&child.view, references);
        }
        "ha-policy" => set(&mut configuration.ha_policy, ha::policy(&child.view)),
        "addresses" => configuration.addresses = addresses::addresses(&child.view),
        "address-settings" => {
            configuration.address_settings = settings::address_settings(&child.view);
        }
        "security-settings" => {
            configuration.security_settings = security::security_settings(&child.view);
        }
        _ => read_value(configuration, child),
    }
}

/// Directories, journal and limits.
fn read_value(configuration: &mut Configuration, child: Child<'_, '_>) {
    let (directories, journal, limits) = (
        &mut configuration.directories,
        &mut configuration.journal,
        &mut configuration.limits,
    );
    match child.name {
        "paging-directory" => set(&mut directories.paging, child.text()),
        "bindings-directory" => set(&mut directories.bindings, child.text()),
        "journal-directory" => set(&mut directories.journal, child.text()),
        "large-messages-directory" => set(&mut directories.large_messages, child.text()),
        "node-manager-lock-directory" => directories.node_manager_lock = child.text(),
        "journal-file-size" => set(&mut journal.file_size_bytes, child.number()),
        "journal-datasync" => set(&mut journal.datasync, child.flag()),
        "connection-ttl-override" => {
            set(&mut limits.connection_ttl_override_ms, child.number());
        }
        "connection-ttl-check-interval" => {
            set(&mut limits.connection_ttl_check_interval_ms, child.number());
        }
        "message-expiry-scan-period" => {
            set(&mut limits.message_expiry_scan_period_ms, child.number());
        }
        "address-queue-scan-period" => {
            set(&mut limits.address_queue_scan_period_ms, child.number());
        }
        "id-cache-size" => set(&mut limits.id_cache_size, child.number()),
        "max-disk-usage" => set(&mut limits.max_disk_usage_percent, child.number()),
        "global-max-size" => limits.global_max_size_bytes = child.number(),
        "global-max-messages" => set(&mut limits.global_max_messages, child.number()),
        // The others of the table have no effect.
        _ => {}
    }
}
