//! The instance that `create` makes: from the words of its command line to the text of every file.
//!
//! Pure: nothing is written here. The caller brings a random salt and puts the files into place.
//! Only what this broker reads is written; files of Artemis that would have no reader here
//! (`management.xml`, `jolokia-access.xml`, `log4j2.properties`) are left out.

mod args;
mod flags;
mod instance;

pub use args::{ArgsError, Request, parse_args};
pub use flags::help;
pub use instance::{Instance, InstanceFile, instance};

use crate::configuration::{Connector, MessageLoadBalancing, RoutingType};

/// What `create` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct CreateOptions {
    /// Folder of the instance, as given.
    pub directory: String,
    /// Whether the configuration of an existing instance is overwritten; its data never is.
    pub force: bool,
    /// Name of the broker.
    pub name: String,
    /// Host that the acceptor listens on, and that others are told.
    pub host: String,
    /// Port of the acceptor and the connector, the offset added.
    pub port: u16,
    /// Where the HTTP port is, the offset added; absent: not opened.
    pub http: Option<crate::bootstrap_xml::HttpBinding>,
    /// The first user.
    pub user: String,
    /// The first user's password, in clear.
    pub password: String,
    /// The first user's role, which has every permission.
    pub role: String,
    /// Whether a client without user and password is let in, as the first user.
    pub allow_anonymous: bool,
    /// How the broker finds others; absent: not at all.
    pub cluster: Option<ClusterOptions>,
    /// Its part in a pair.
    pub ha: HaOptions,
    /// Where the data lives; relative paths are relative to the instance.
    pub data: String,
    /// Addresses with one queue of the same name.
    pub queues: Vec<(String, RoutingType)>,
    /// Multicast addresses.
    pub addresses: Vec<String>,
    /// Whether clients may have queues and addresses created on the fly.
    pub auto_create: bool,
    /// Whether those go away when nobody uses them.
    pub auto_delete: bool,
    /// Flags that were given and have no effect, each with the reason.
    pub without_effect: Vec<(&'static str, &'static str)>,
}

/// How a broker finds others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterOptions {
    /// User by which the brokers know each other.
    pub user: String,
    /// That user's password.
    pub password: String,
    /// Kept for writing.
    pub max_hops: u32,
    /// Kept for writing.
    pub message_load_balancing: MessageLoadBalancing,
    /// Where the others are; absent: found by multicast.
    pub static_peers: Option<Vec<Connector>>,
}

/// A broker's part in a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaOptions {
    /// It has none.
    None,
    /// One store for both sides.
    SharedStore {
        /// Whether it is the backup.
        backup: bool,
        /// Whether the other side takes over when this one is stopped.
        failover_on_shutdown: bool,
    },
    /// A store for each side.
    Replicated {
        /// Whether it is the backup.
        backup: bool,
    },
}
