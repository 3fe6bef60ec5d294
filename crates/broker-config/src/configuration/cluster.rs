//! How the brokers of a cluster find each other, and clients them.

use std::net::Ipv4Addr;

/// Where a broker announces its connectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastGroup {
    /// Its name.
    pub name: String,
    /// Multicast group.
    pub group: MulticastGroup,
    /// Time between two announcements.
    pub broadcast_period_ms: u64,
    /// Names of the connectors that are announced.
    pub connector_refs: Vec<String>,
}

/// Where a broker listens for announcements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryGroup {
    /// Its name.
    pub name: String,
    /// Multicast group.
    pub group: MulticastGroup,
    /// How long an announcement counts.
    pub refresh_timeout_ms: u64,
}

/// A UDP multicast group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MulticastGroup {
    /// For example `231.7.7.7`; always a multicast address when it was read from a file.
    pub address: Ipv4Addr,
    /// For example 9876.
    pub port: u16,
    /// Address of the interface to use; absent: the system's choice.
    pub local_bind_address: Option<String>,
}

/// How a broker takes part in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConnection {
    /// Its name.
    pub name: String,
    /// Name of the connector that others, clients too, are told for this broker.
    pub connector_ref: String,
    /// Between pairs only; kept for writing.
    pub message_load_balancing: MessageLoadBalancing,
    /// Between pairs only; kept for writing.
    pub max_hops: u32,
    /// Where the others are.
    pub peers: Peers,
}

impl ClusterConnection {
    /// A cluster connection that is told its peers nowhere.
    pub fn new(name: impl Into<String>, connector_ref: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            connector_ref: connector_ref.into(),
            message_load_balancing: MessageLoadBalancing::OnDemand,
            max_hops: 1,
            peers: Peers::None,
        }
    }
}

/// Where the other brokers of a cluster connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// Not said.
    None,
    /// At these connectors, by name.
    Static(Vec<String>),
    /// Wherever this discovery group, by name, hears them.
    Discovery(String),
}

/// How messages are spread over the pairs of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageLoadBalancing {
    /// Not at all.
    Off,
    /// Evenly, also to pairs without consumers.
    Strict,
    /// To pairs with consumers.
    OnDemand,
    /// Not at arrival, but moved when a pair has no consumers.
    OffWithRedistribution,
}

impl MessageLoadBalancing {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Off,
        Self::Strict,
        Self::OnDemand,
        Self::OffWithRedistribution,
    ];

    /// Its name in `broker.xml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Strict => "STRICT",
            Self::OnDemand => "ON_DEMAND",
            Self::OffWithRedistribution => "OFF_WITH_REDISTRIBUTION",
        }
    }

    /// The value of a name in `broker.xml`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|value| value.name().eq_ignore_ascii_case(name))
    }
}
