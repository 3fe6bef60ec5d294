//! What `broker.xml` says, as values: the part of it that this broker serves.
//!
//! Read by `broker_xml::parse`, written by `broker_xml::write`, and built in code by whoever renders
//! an instance. It holds no defaults that a reader would have to know: every field has its effective
//! value, except the address settings, where absent means "as the less specific pattern says".

mod address;
mod cluster;
mod ha;
mod security;
mod transport;

pub use address::{Address, AddressFullPolicy, AddressSetting, Queue, RoutingType};
pub use cluster::{
    BroadcastGroup, ClusterConnection, DiscoveryGroup, MessageLoadBalancing, MulticastGroup, Peers,
};
pub use ha::{HaPolicy, Manager, ReplicationBackup, ReplicationPrimary};
pub use security::{Permission, SecuritySetting};
pub use transport::{Acceptor, Connector, Protocol};

/// Everything `broker.xml` says that has an effect here.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Name of the broker; both sides of a pair usually have the same.
    pub name: String,
    /// Whether messages and bindings are written to disk; here they always are, kept for writing.
    pub persistence_enabled: bool,
    /// Whether logins and permissions are checked.
    pub security_enabled: bool,
    /// Where the data lives.
    pub directories: Directories,
    /// How the journal writes.
    pub journal: Journal,
    /// Ports opened for clients while this side is active.
    pub acceptors: Vec<Acceptor>,
    /// Addresses by which others reach a broker.
    pub connectors: Vec<Connector>,
    /// How the brokers of a cluster log in at each other.
    pub cluster_credentials: ClusterCredentials,
    /// Where this broker announces its connectors.
    pub broadcast_groups: Vec<BroadcastGroup>,
    /// Where this broker listens for such announcements.
    pub discovery_groups: Vec<DiscoveryGroup>,
    /// How this broker finds and is found by the others.
    pub cluster_connections: Vec<ClusterConnection>,
    /// Side and mode of this broker in its pair.
    pub ha_policy: HaPolicy,
    /// Addresses and queues that exist from the start.
    pub addresses: Vec<Address>,
    /// Settings for the addresses that match a pattern; all that match apply, the most specific wins.
    pub address_settings: Vec<AddressSetting>,
    /// Permissions for the addresses that match a pattern; only the most specific match counts.
    pub security_settings: Vec<SecuritySetting>,
    /// Address of management requests.
    pub management_address: String,
    /// Address of management notifications.
    pub management_notification_address: String,
    /// Whether queues bound to `news.#` also receive what is sent to `news.europe`.
    pub wildcard_routing_enabled: bool,
    /// Times and limits of the whole broker.
    pub limits: Limits,
}

impl Configuration {
    /// The configuration of a `broker.xml` that says nothing but the name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            persistence_enabled: true,
            security_enabled: true,
            directories: Directories::default(),
            journal: Journal::default(),
            acceptors: Vec::new(),
            connectors: Vec::new(),
            cluster_credentials: ClusterCredentials::default(),
            broadcast_groups: Vec::new(),
            discovery_groups: Vec::new(),
            cluster_connections: Vec::new(),
            ha_policy: HaPolicy::PrimaryOnly,
            addresses: Vec::new(),
            address_settings: Vec::new(),
            security_settings: Vec::new(),
            management_address: "activemq.management".to_owned(),
            management_notification_address: "activemq.notifications".to_owned(),
            wildcard_routing_enabled: true,
            limits: Limits::default(),
        }
    }

    /// The connector of a name.
    pub fn connector(&self, name: &str) -> Option<&Connector> {
        self.connectors
            .iter()
            .find(|connector| connector.name == name)
    }
}

/// Where the data lives. Relative paths are relative to the instance, see [`crate::paths::resolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Page files.
    pub paging: String,
    /// Addresses, queues and ids.
    pub bindings: String,
    /// Messages.
    pub journal: String,
    /// Bodies of large messages.
    pub large_messages: String,
    /// Locks and the pair record of a shared store; absent: the journal directory.
    pub node_manager_lock: Option<String>,
}

impl Directories {
    /// The four directories below one data directory, as `create` names them.
    pub fn below(data: &str) -> Self {
        let data = data.trim_end_matches('/');
        Self {
            paging: format!("{data}/paging"),
            bindings: format!("{data}/bindings"),
            journal: format!("{data}/journal"),
            large_messages: format!("{data}/large-messages"),
            node_manager_lock: None,
        }
    }

    /// The directory of locks and, in a shared store, of the pair record.
    pub fn node_manager(&self) -> &str {
        self.node_manager_lock.as_deref().unwrap_or(&self.journal)
    }
}

impl Default for Directories {
    fn default() -> Self {
        // The program's default for large messages lacks the hyphen that `create` writes.
        Self {
            large_messages: "data/largemessages".to_owned(),
            ..Self::below("data")
        }
    }
}

/// How the journal writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    /// Size of one journal file.
    pub file_size_bytes: u64,
    /// Whether a durable message is on the disk (fsync) before it is acknowledged; here it always is,
    /// kept for writing.
    pub datasync: bool,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            file_size_bytes: 10 * 1024 * 1024,
            datasync: true,
        }
    }
}

/// How the brokers of a cluster log in at each other.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterCredentials {
    /// The user.
    pub user: String,
    /// The password, in clear.
    pub password: String,
}

/// The user that Artemis assumes when `broker.xml` names none.
const DEFAULT_CLUSTER_USER: &str = "ACTIVEMQ.CLUSTER.ADMIN.USER";
/// The password that Artemis assumes when `broker.xml` names none: known to everybody.
const DEFAULT_CLUSTER_PASSWORD: &str = "CHANGE ME!!";

impl ClusterCredentials {
    /// Whether these are the public defaults, which protect nothing.
    pub fn are_public_defaults(&self) -> bool {
        self.password == DEFAULT_CLUSTER_PASSWORD
    }
}

impl Default for ClusterCredentials {
    fn default() -> Self {
        Self {
            user: DEFAULT_CLUSTER_USER.to_owned(),
            password: DEFAULT_CLUSTER_PASSWORD.to_owned(),
        }
    }
}

impl std::fmt::Debug for ClusterCredentials {
    /// Keeps the password out of logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ClusterCredentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Times and limits of the whole broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time to live of every client connection, whatever the client asks for; -1: as it asks.
    pub connection_ttl_override_ms: i64,
    /// How often dead connections are looked for.
    pub connection_ttl_check_interval_ms: u64,
    /// How often expired messages are looked for; -1: never.
    pub message_expiry_scan_period_ms: i64,
    /// How often unused auto-created queues and addresses are looked for; -1: never.
    pub address_queue_scan_period_ms: i64,
    /// How many duplicate ids are remembered per address; 0 switches the detection off.
    pub id_cache_size: u32,
    /// Disk usage in percent above which producers are blocked; -1: no limit. Not enforced yet.
    pub max_disk_usage_percent: i32,
    /// Memory for all messages; absent: decided by the broker, -1: no limit. Not enforced yet.
    pub global_max_size_bytes: Option<i64>,
    /// Messages in all addresses; -1: no limit. Not enforced yet.
    pub global_max_messages: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connection_ttl_override_ms: -1,
            connection_ttl_check_interval_ms: 2_000,
            message_expiry_scan_period_ms: 30_000,
            address_queue_scan_period_ms: 30_000,
            id_cache_size: 20_000,
            max_disk_usage_percent: 90,
            global_max_size_bytes: None,
            global_max_messages: -1,
        }
    }
}
