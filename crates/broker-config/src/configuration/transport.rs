//! Acceptors and connectors: `tcp://host:port?key=value;key=value`.

use std::collections::{BTreeMap, BTreeSet};

/// A port opened for clients while this side is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptor {
    /// Its name.
    pub name: String,
    /// Address to listen on; IPv6 without brackets.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// What is spoken there. Never empty: an acceptor without a served protocol is not opened.
    pub protocols: BTreeSet<Protocol>,
    /// The other parameters, decoded.
    pub parameters: BTreeMap<String, String>,
}

impl Acceptor {
    /// An acceptor for every served protocol, without parameters.
    pub fn new(name: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            host: host.into(),
            port,
            protocols: BTreeSet::from([Protocol::Core]),
            parameters: BTreeMap::new(),
        }
    }
}

/// A protocol that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The protocol of the Artemis JMS client.
    Core,
}

impl Protocol {
    /// Its name in an acceptor's `protocols`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core => "CORE",
        }
    }

    /// The served protocol of a name; `None` for those of Artemis that are not served.
    pub fn from_name(name: &str) -> Option<Self> {
        name.eq_ignore_ascii_case(Self::Core.name())
            .then_some(Self::Core)
    }
}

/// An address by which others reach a broker: this one or its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The parameters, decoded.
    pub parameters: BTreeMap<String, String>,
}

impl Connector {
    /// A connector without parameters.
    pub fn new(name: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            host: host.into(),
            port,
            parameters: BTreeMap::new(),
        }
    }
}
