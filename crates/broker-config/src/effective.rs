//! What a broker of a pair is to do: `broker.xml` and `tandem.properties` put together, every
//! default applied.

use thiserror::Error;

use crate::configuration::{
    ClusterConnection, Configuration, Connector, DiscoveryGroup, HaPolicy, Manager, Peers,
};
use crate::tandem_properties::{Arbiter, Failback, LinkTls, LockPolicy, TandemProperties};

/// The pair as one of its brokers is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveHa {
    /// Which of the two this broker is.
    pub side: Side,
    /// One store or two.
    pub mode: Mode,
    /// Where the pair record lives; relative directories are relative to the instance.
    pub arbiter: Arbiter,
    /// Who asks for a failback.
    pub failback: Failback,
    /// Whether this broker, when active, lets a returning primary take back. Always true for a
    /// primary, which is never the one to give back.
    pub allow_failback: bool,
    /// Whether the other side takes over when this broker is stopped while active. Always true in
    /// replication.
    pub failover_on_shutdown: bool,
    /// Whether this broker stays as standby in the same process after it gave back.
    pub restart_backup: bool,
    /// What a takeover over a shared store needs.
    pub lock: LockPolicy,
    /// Time between two signs of life.
    pub heartbeat_ms: u64,
    /// Silence after which the peer counts as lost.
    pub timeout_ms: u64,
    /// The address that clients and the peer are told for this broker.
    pub connector: Connector,
    /// Where this side listens for its peer, on the connector's host.
    pub link_port: u16,
    /// Certificates for the link; absent: only the cluster password protects it.
    pub link_tls: Option<LinkTls>,
    /// Connectors of the peer that `broker.xml` names.
    pub static_peers: Vec<Connector>,
    /// Where the peer announces itself, if `broker.xml` names such a group in place of connectors.
    pub discovery: Option<DiscoveryGroup>,
}

/// Which of the two brokers of a pair; fixed by configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that is active when all is well.
    Primary,
    /// The other one.
    Backup,
}

impl Side {
    /// Its name, as in `broker.xml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }
}

/// One store or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Both brokers use one store, one at a time.
    SharedStore,
    /// Each broker has a store, and the active's changes are sent to the other.
    Replication,
}

/// Time between two signs of life, unless `detection.heartbeat` says otherwise.
pub const DEFAULT_HEARTBEAT_MS: u64 = 250;
/// Silence until the peer is lost, unless `detection.timeout` says otherwise.
pub const DEFAULT_TIMEOUT_MS: u64 = 2_000;
/// A peer is lost after no fewer missed heartbeats than this: one lost packet is no failure.
const MIN_MISSED_HEARTBEATS: u64 = 4;

/// Why a broker cannot take part in its pair as configured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HaError {
    /// There is no address for clients and peer.
    #[error(
        "broker.xml has an ha-policy but no cluster-connection: the pair has no connector to tell \
         clients; add a connector and a cluster-connection that refers to it"
    )]
    NoClusterConnection,
    /// The cluster connection names a connector that is not there.
    #[error(
        "cluster-connection '{cluster}' refers to connector '{connector}', which does not exist"
    )]
    NoConnector {
        /// The cluster connection.
        cluster: String,
        /// The connector.
        connector: String,
    },
    /// The cluster connection names a discovery group that is not there.
    #[error(
        "cluster-connection '{cluster}' refers to discovery-group '{group}', which does not exist"
    )]
    NoDiscoveryGroup {
        /// The cluster connection.
        cluster: String,
        /// The discovery group.
        group: String,
    },
    /// The port before the connector's cannot be used for the link.
    #[error(
        "connector '{connector}' has port {port}, so the link has no port by default; set link.port \
         in tandem.properties"
    )]
    NoLinkPort {
        /// The connector.
        connector: String,
        /// Its port.
        port: u16,
    },
    /// The link and the connector cannot share a port.
    #[error("link.port is {port}, which is the port of connector '{connector}'; choose another")]
    LinkPortTaken {
        /// The connector.
        connector: String,
        /// The port of both.
        port: u16,
    },
    /// A pair on one store without a record would have nothing that keeps it to one active broker.
    #[error("arbiter=none is for replication only: a pair on a shared store needs a pair record")]
    SharedStoreWithoutArbiter,
    /// Heartbeats would be missed by accident.
    #[error(
        "detection.timeout is {timeout_ms}ms, but must be at least {MIN_MISSED_HEARTBEATS} times \
         detection.heartbeat, which is {heartbeat_ms}ms"
    )]
    TimeoutTooShort {
        /// The timeout.
        timeout_ms: u64,
        /// The heartbeat.
        heartbeat_ms: u64,
    },
    /// The manager's name for the pair would leave its folder.
    #[error(
        "'{name}' cannot name the pair in the locks-folder: use letters, digits, '.', '-' and '_'"
    )]
    PairName {
        /// The group-name.
        name: String,
    },
}

impl EffectiveHa {
    /// What the two files say together; `None` for a broker without a pair.
    pub fn of(
        configuration: &Configuration,
        properties: &TandemProperties,
    ) -> Result<Option<Self>, HaError> {
        let Some(role) = Role::of(&configuration.ha_policy) else {
            return Ok(None);
        };
        let Some(cluster) = configuration.cluster_connections.first() else {
            return Err(HaError::NoClusterConnection);
        };
        let connector = connector(configuration, cluster, &cluster.connector_ref)?;
        let link_port = link_port(&connector, properties.link_port)?;
        let arbiter = match &properties.arbiter {
            Some(arbiter) => arbiter.clone(),
            None => default_arbiter(configuration, &role)?,
        };
        if role.mode == Mode::SharedStore && arbiter == Arbiter::None {
            return Err(HaError::SharedStoreWithoutArbiter);
        }
        let heartbeat_ms = properties.heartbeat_ms.unwrap_or(DEFAULT_HEARTBEAT_MS);
        let timeout_ms = properties.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
        if timeout_ms < heartbeat_ms.saturating_mul(MIN_MISSED_HEARTBEATS) {
            return Err(HaError::TimeoutTooShort {
                timeout_ms,
                heartbeat_ms,
            });
        }
        let static_peers = match &cluster.peers {
            Peers::Static(names) => names
                .iter()
                .filter(|name| **name != cluster.connector_ref)
                .map(|name| self::connector(configuration, cluster, name))
                .collect::<Result<_, _>>()?,
            Peers::None | Peers::Discovery(_) => Vec::new(),
        };
        let discovery = match &cluster.peers {
            Peers::Discovery(name) => Some(discovery_group(configuration, cluster, name)?),
            Peers::None | Peers::Static(_) => None,
        };
        Ok(Some(Self {
            side: role.side,
            mode: role.mode,
            arbiter,
            failback: properties.failback.unwrap_or(Failback::Broker),
            allow_failback: role.allow_failback,
            failover_on_shutdown: role.failover_on_shutdown,
            restart_backup: role.restart_backup,
            lock: properties.lock.unwrap_or(LockPolicy::Record),
            heartbeat_ms,
            timeout_ms,
            connector,
            link_port,
            link_tls: properties.link_tls.clone(),
            static_peers,
            discovery,
        }))
    }
}

/// What the ha-policy says, in one form for its four variants.
struct Role<'a> {
    side: Side,
    mode: Mode,
    allow_failback: bool,
    failover_on_shutdown: bool,
    restart_backup: bool,
    manager: Option<&'a Manager>,
    group_name: Option<&'a str>,
}

impl<'a> Role<'a> {
    fn of(policy: &'a HaPolicy) -> Option<Self> {
        let role = match policy {
            HaPolicy::PrimaryOnly => return None,
            HaPolicy::SharedStorePrimary {
                failover_on_shutdown,
            } => Self {
                side: Side::Primary,
                mode: Mode::SharedStore,
                allow_failback: true,
                failover_on_shutdown: *failover_on_shutdown,
                restart_backup: true,
                manager: None,
                group_name: None,
            },
            HaPolicy::SharedStoreBackup {
                allow_failback,
                failover_on_shutdown,
                restart_backup,
            } => Self {
                side: Side::Backup,
                mode: Mode::SharedStore,
                allow_failback: *allow_failback,
                failover_on_shutdown: *failover_on_shutdown,
                restart_backup: *restart_backup,
                manager: None,
                group_name: None,
            },
            HaPolicy::ReplicationPrimary(primary) => Self {
                side: Side::Primary,
                mode: Mode::Replication,
                allow_failback: true,
                failover_on_shutdown: true,
                restart_backup: true,
                manager: primary.manager.as_ref(),
                group_name: primary.group_name.as_deref(),
            },
            HaPolicy::ReplicationBackup(backup) => Self {
                side: Side::Backup,
                mode: Mode::Replication,
                allow_failback: backup.allow_failback,
                failover_on_shutdown: true,
                restart_backup: backup.restart_backup,
                manager: backup.manager.as_ref(),
                group_name: backup.group_name.as_deref(),
            },
        };
        Some(role)
    }
}

fn connector(
    configuration: &Configuration,
    cluster: &ClusterConnection,
    name: &str,
) -> Result<Connector, HaError> {
    configuration
        .connector(name)
        .cloned()
        .ok_or_else(|| HaError::NoConnector {
            cluster: cluster.name.clone(),
            connector: name.to_owned(),
        })
}

fn discovery_group(
    configuration: &Configuration,
    cluster: &ClusterConnection,
    name: &str,
) -> Result<DiscoveryGroup, HaError> {
    let mut groups = configuration.discovery_groups.iter();
    groups
        .find(|group| group.name == name)
        .cloned()
        .ok_or_else(|| HaError::NoDiscoveryGroup {
            cluster: cluster.name.clone(),
            group: name.to_owned(),
        })
}

fn link_port(connector: &Connector, configured: Option<u16>) -> Result<u16, HaError> {
    let (name, port) = (connector.name.clone(), connector.port);
    let Some(link_port) = configured else {
        // Port 0 would mean "any", which the peer could not dial.
        return port
            .checked_sub(1)
            .filter(|link_port| *link_port != 0)
            .ok_or(HaError::NoLinkPort {
                connector: name,
                port,
            });
    };
    if link_port == port {
        return Err(HaError::LinkPortTaken {
            connector: name,
            port,
        });
    }
    Ok(link_port)
}

/// The arbiter of a pair whose `tandem.properties` names none.
fn default_arbiter(configuration: &Configuration, role: &Role<'_>) -> Result<Arbiter, HaError> {
    if role.mode == Mode::SharedStore {
        let directory = configuration
            .directories
            .node_manager()
            .trim_end_matches('/');
        return Ok(Arbiter::Directory(format!("{directory}/pair")));
    }
    let Some(manager) = role.manager else {
        return Ok(Arbiter::None);
    };
    let name = role.group_name.unwrap_or("pair");
    let is_plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !is_plain || name.is_empty() || name.starts_with('.') {
        return Err(HaError::PairName {
            name: name.to_owned(),
        });
    }
    let folder = manager.locks_folder.trim_end_matches('/');
    Ok(Arbiter::Directory(format!("{folder}/{name}")))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::configuration::{MulticastGroup, ReplicationBackup, ReplicationPrimary};

    fn pair_side(ha_policy: HaPolicy) -> Configuration {
        let mut configuration = Configuration::new("orders");
        configuration.ha_policy = ha_policy;
        configuration.connectors = vec![
            Connector::new("self", "127.0.0.1", 61_616),
            Connector::new("peer", "127.0.0.1", 61_716),
        ];
        let mut cluster = ClusterConnection::new("my-cluster", "self");
        cluster.peers = Peers::Static(vec!["peer".to_owned()]);
        configuration.cluster_connections = vec![cluster];
        configuration
    }

    fn of(configuration: &Configuration, properties: &str) -> Result<Option<EffectiveHa>, HaError> {
        let properties = TandemProperties::parse("tandem.properties", properties).expect("good");
        EffectiveHa::of(configuration, &properties)
    }

    fn shared_store_primary() -> Configuration {
        pair_side(HaPolicy::SharedStorePrimary {
            failover_on_shutdown: true,
        })
    }

    #[test]
    fn a_worksheet_primary_gets_every_default() {
        let effective = of(&shared_store_primary(), "")
            .expect("valid")
            .expect("a pair");
        assert_eq!(
            effective,
            EffectiveHa {
                side: Side::Primary,
                mode: Mode::SharedStore,
                arbiter: Arbiter::Directory("data/journal/pair".to_owned()),
                failback: Failback::Broker,
                allow_failback: true,
                failover_on_shutdown: true,
                restart_backup: true,
                lock: LockPolicy::Record,
                heartbeat_ms: 250,
                timeout_ms: 2_000,
                connector: Connector::new("self", "127.0.0.1", 61_616),
                link_port: 61_615,
                link_tls: None,
                static_peers: vec![Connector::new("peer", "127.0.0.1", 61_716)],
                discovery: None,
            }
        );
    }

    #[test]
    fn the_lock_directory_holds_the_record_when_there_is_one() {
        let mut configuration = shared_store_primary();
        configuration.directories.node_manager_lock = Some("/mnt/lock/".to_owned());
        let effective = of(&configuration, "").expect("valid").expect("a pair");
        assert_eq!(
            effective.arbiter,
            Arbiter::Directory("/mnt/lock/pair".to_owned())
        );
    }

    #[test]
    fn settings_win_over_defaults() {
        let configuration = pair_side(HaPolicy::SharedStoreBackup {
            allow_failback: false,
            failover_on_shutdown: true,
            restart_backup: false,
        });
        let text = "arbiter=lease:shop/orders\nfailback=managed\nlock=storage\n\
                    detection.heartbeat=100ms\ndetection.timeout=1s\nlink.port=7000";
        let effective = of(&configuration, text).expect("valid").expect("a pair");
        let lease = Arbiter::Lease {
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
        };
        assert_eq!(effective.arbiter, lease);
        assert_eq!(
            (effective.side, effective.failback),
            (Side::Backup, Failback::Managed)
        );
        assert_eq!(
            (effective.lock, effective.link_port),
            (LockPolicy::Storage, 7_000)
        );
        assert_eq!((effective.heartbeat_ms, effective.timeout_ms), (100, 1_000));
        assert!(!effective.allow_failback && !effective.restart_backup);
    }

    #[test]
    fn replication_has_no_arbiter_unless_a_manager_names_one() {
        let backup = ReplicationBackup::default();
        let effective = of(&pair_side(HaPolicy::ReplicationBackup(backup)), "").expect("valid");
        let effective = effective.expect("a pair");
        assert_eq!(effective.arbiter, Arbiter::None);
        assert!(!effective.allow_failback && effective.failover_on_shutdown);

        let managed = |group_name: Option<&str>| {
            let primary = pair_side(HaPolicy::ReplicationPrimary(ReplicationPrimary {
                group_name: group_name.map(str::to_owned),
                manager: Some(Manager {
                    locks_folder: "/mnt/locks/".to_owned(),
                }),
                ..ReplicationPrimary::default()
            }));
            Ok(of(&primary, "")?.map(|effective| effective.arbiter))
        };
        let directory = |path: &str| Ok(Some(Arbiter::Directory(path.to_owned())));
        assert_eq!(managed(None), directory("/mnt/locks/pair"));
        assert_eq!(managed(Some("my.group")), directory("/mnt/locks/my.group"));
        for name in ["../x", "..", "a/b", ""] {
            assert_eq!(
                managed(Some(name)),
                Err(HaError::PairName {
                    name: name.to_owned()
                })
            );
        }
    }

    #[test]
    fn only_the_group_that_the_cluster_connection_refers_to_is_listened_to() {
        let group = |name: &str, port| DiscoveryGroup {
            name: name.to_owned(),
            group: MulticastGroup {
                address: Ipv4Addr::new(231, 7, 7, 7),
                port,
                local_bind_address: None,
            },
            refresh_timeout_ms: 10_000,
        };
        let mut configuration = shared_store_primary();
        configuration.discovery_groups = vec![group("one", 9_876), group("other", 9_877)];
        let with = |configuration: &Configuration, peers: Peers| {
            let mut configuration = configuration.clone();
            configuration.cluster_connections[0].peers = peers;
            Ok(of(&configuration, "")?.and_then(|effective| effective.discovery))
        };
        let referred = |name: &str| Peers::Discovery(name.to_owned());
        assert_eq!(
            with(&configuration, referred("other")),
            Ok(Some(group("other", 9_877)))
        );
        assert_eq!(with(&configuration, Peers::None), Ok(None));
        let fixed = Peers::Static(vec!["peer".to_owned()]);
        assert_eq!(with(&configuration, fixed), Ok(None));
        assert_eq!(
            with(&configuration, referred("third")),
            Err(HaError::NoDiscoveryGroup {
                cluster: "my-cluster".to_owned(),
                group: "third".to_owned()
            })
        );
    }

    #[test]
    fn a_broker_alone_is_no_pair() {
        assert_eq!(of(&Configuration::new("alone"), "arbiter=none"), Ok(None));
    }

    #[test]
    fn contradictions_are_refused() {
        let configuration = shared_store_primary();
        assert_eq!(
            of(&configuration, "arbiter=none"),
            Err(HaError::SharedStoreWithoutArbiter)
        );
        assert_eq!(
            of(
                &configuration,
                "detection.heartbeat=1s\ndetection.timeout=3s"
            ),
            Err(HaError::TimeoutTooShort {
                timeout_ms: 3_000,
                heartbeat_ms: 1_000
            })
        );
        assert!(matches!(
            of(&configuration, "link.port=61616"),
            Err(HaError::LinkPortTaken { .. })
        ));
        let mut lonely = configuration.clone();
        lonely.cluster_connections.clear();
        assert_eq!(of(&lonely, ""), Err(HaError::NoClusterConnection));
        let mut dangling = configuration.clone();
        dangling.connectors.remove(0);
        assert!(matches!(
            of(&dangling, ""),
            Err(HaError::NoConnector { .. })
        ));
        let mut port_one = configuration;
        port_one.connectors[0].port = 1;
        assert!(matches!(of(&port_one, ""), Err(HaError::NoLinkPort { .. })));
    }
}
