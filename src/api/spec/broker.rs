//! What clients meet: ports, addresses, queues, users.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::yes;

/// A client port of the active broker.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Acceptor {
    /// Its name: lower-case letters, digits and -.
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub(crate) name: String,
    /// Its port, usually 61616; not 8161, which is the broker's HTTP port.
    #[schemars(range(min = 2, max = 65535))]
    #[x_kube(validation = Rule::new("self != 8161").message("8161 is the broker's HTTP port (health and status): choose another"))]
    pub(crate) port: u16,
    /// What clients may speak there: CORE, the protocol of the Artemis JMS client.
    #[serde(default = "default_protocols")]
    #[schemars(length(min = 1, max = 8))]
    pub(crate) protocols: Vec<Protocol>,
}

/// A protocol of clients.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
pub(crate) enum Protocol {
    /// The protocol of the Artemis JMS client.
    #[serde(rename = "CORE")]
    Core,
}

/// An address that exists from the start.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.anycast) || has(self.multicast)").message("write anycast: [{name: ...}] for a queue, multicast: [] for a topic"))]
pub(crate) struct Address {
    /// Its name.
    #[schemars(
        length(min = 1, max = 255),
        regex(pattern = r"^[^\s\x00-\x1f\x7f#*,:]+$")
    )]
    #[x_kube(validation = Rule::new("!self.startsWith('activemq.')").message("names that begin with activemq. are the broker's own"))]
    pub(crate) name: String,
    /// Queues of which one gets each message. Usually one, called like the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub(crate) anycast: Option<Vec<Queue>>,
    /// Queues of which each gets every message; empty for a topic whose subscribers come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub(crate) multicast: Option<Vec<Queue>>,
}

/// A queue that exists from the start.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Queue {
    /// Its name; a queue belongs to one address.
    #[schemars(
        length(min = 1, max = 255),
        regex(pattern = r"^[^\s\x00-\x1f\x7f#*,:]+$")
    )]
    pub(crate) name: String,
    /// Which messages it takes; a JMS selector. Default: every message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096), regex(pattern = r"\S"))]
    pub(crate) filter: Option<String>,
    /// Whether it outlives its broker.
    #[serde(default = "yes")]
    pub(crate) durable: bool,
    /// Consumers it allows. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub(crate) max_consumers: Option<u32>,
}

/// Behaviour of every address that matches.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddressSetting {
    /// Which addresses: `#` is any words, `*` is one.
    #[serde(rename = "match")]
    #[schemars(length(max = 255), regex(pattern = r"\S"))]
    pub(crate) pattern: String,
    /// Where messages go that could not be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 255),
        regex(pattern = r"^[^\s\x00-\x1f\x7f#*,:]+$")
    )]
    #[x_kube(validation = Rule::new("!self.startsWith('activemq.')").message("names that begin with activemq. are the broker's own"))]
    pub(crate) dead_letter_address: Option<String>,
    /// Where messages go that expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 255),
        regex(pattern = r"^[^\s\x00-\x1f\x7f#*,:]+$")
    )]
    #[x_kube(validation = Rule::new("!self.startsWith('activemq.')").message("names that begin with activemq. are the broker's own"))]
    pub(crate) expiry_address: Option<String>,
    /// Deliveries until a message is a dead letter; -1 is unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == -1 || self >= 1").message("must be 1 or more, or -1 for no limit"))]
    pub(crate) max_delivery_attempts: Option<i32>,
    /// Whether a client's first use creates the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_create_queues: Option<bool>,
    /// Whether a client's first use creates the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_create_addresses: Option<bool>,
    /// Whether an auto-created queue goes with its last consumer and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_delete_queues: Option<bool>,
    /// Whether an auto-created address goes with its last queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auto_delete_addresses: Option<bool>,
}

/// Who may connect.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Security {
    /// Whether a client without user and password is let in.
    pub(crate) allow_anonymous: bool,
    /// Secret whose keys are user names and whose values are their passwords. Default: one user, admin, with a generated password.
    #[schemars(length(min = 1, max = 253))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users_secret_name: Option<String>,
}

/// One port for the clients, as Artemis has it.
pub(super) fn default_acceptors() -> Vec<Acceptor> {
    let protocols = default_protocols();
    vec![Acceptor {
        name: "artemis".to_owned(),
        port: 61616,
        protocols,
    }]
}

fn default_protocols() -> Vec<Protocol> {
    vec![Protocol::Core]
}
