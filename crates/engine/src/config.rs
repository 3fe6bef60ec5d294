//! What the engine is told once, before its first record: settings, permissions, and the addresses
//! and queues of the configuration.
//!
//! Plain values only. Reading them from `broker.xml` and checking their spelling is the work of
//! the caller; what they mean for one address is decided in `settings` and `security`.

use std::collections::{BTreeMap, BTreeSet};

/// Everything one term of the broker needs to know.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Number of this term; part of every id the engine hands out.
    pub epoch: u64,
    /// Address settings, each for the addresses its pattern matches.
    pub address_settings: Vec<AddressSettingsMatch>,
    /// Whether permissions are checked at all.
    pub security_enabled: bool,
    /// Who may do what where; without an entry for an address nobody may do anything there.
    pub security: Vec<SecurityMatch>,
    /// Addresses and queues which exist from the start.
    pub addresses: Vec<AddressConfig>,
    /// Messages sent here are handed to the driver as [`crate::Effect::ManagementRequest`].
    pub management_address: String,
    /// How many duplicate ids are remembered per address; 0 switches the detection off.
    pub id_cache_size: usize,
    /// Whether queues bound to `news.#` also receive what is sent to `news.europe`.
    pub wildcard_routing: bool,
    /// Negative: expired messages are only noticed when they would be delivered. Otherwise they
    /// leave their queue as soon as they expire.
    pub message_expiry_scan_period_ms: i64,
    /// How long an unused auto-created queue or address stays, beyond its own delay, before it is
    /// deleted; negative: for ever.
    pub address_queue_scan_period_ms: i64,
}

impl EngineConfig {
    /// The configuration of a broker with no settings, no security and no addresses.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            address_settings: Vec::new(),
            security_enabled: false,
            security: Vec::new(),
            addresses: Vec::new(),
            management_address: "activemq.management".to_owned(),
            id_cache_size: 20_000,
            wildcard_routing: true,
            message_expiry_scan_period_ms: 30_000,
            address_queue_scan_period_ms: 30_000,
        }
    }
}

/// Settings for the addresses that match a pattern of words, `*` (one word) and `#` (any words).
#[derive(Debug, Clone, PartialEq)]
pub struct AddressSettingsMatch {
    /// For example `#`, `orders.*`, `orders.new`.
    pub pattern: String,
    /// The properties this pattern sets; the others come from less specific patterns.
    pub overrides: AddressSettingsOverrides,
}

/// The properties one pattern sets; `None` leaves the value of a less specific pattern.
///
/// The meaning of each is that of the field of the same name of [`AddressSettings`].
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "each field is documented at the resolved AddressSettings"
)]
pub struct AddressSettingsOverrides {
    pub dead_letter_address: Option<String>,
    pub expiry_address: Option<String>,
    pub auto_create_dead_letter_resources: Option<bool>,
    pub dead_letter_queue_prefix: Option<String>,
    pub dead_letter_queue_suffix: Option<String>,
    pub auto_create_expiry_resources: Option<bool>,
    pub expiry_queue_prefix: Option<String>,
    pub expiry_queue_suffix: Option<String>,
    pub no_expiry: Option<bool>,
    pub expiry_delay_ms: Option<i64>,
    pub min_expiry_delay_ms: Option<i64>,
    pub max_expiry_delay_ms: Option<i64>,
    pub redelivery_delay_ms: Option<i64>,
    pub redelivery_delay_multiplier: Option<f64>,
    pub max_redelivery_delay_ms: Option<i64>,
    pub max_delivery_attempts: Option<i32>,
    pub send_to_dla_on_no_route: Option<bool>,
    pub auto_create_queues: Option<bool>,
    pub auto_create_addresses: Option<bool>,
    pub auto_delete_queues: Option<bool>,
    pub auto_delete_created_queues: Option<bool>,
    pub auto_delete_queues_delay_ms: Option<i64>,
    pub auto_delete_queues_message_count: Option<i64>,
    pub auto_delete_addresses: Option<bool>,
    pub auto_delete_addresses_delay_ms: Option<i64>,
    pub default_max_consumers: Option<i32>,
    pub default_purge_on_no_consumers: Option<bool>,
    pub default_exclusive: Option<bool>,
    pub default_queue_routing_type: Option<RoutingType>,
    pub default_address_routing_type: Option<RoutingType>,
    pub default_consumer_window_size: Option<i32>,
    pub id_cache_size: Option<usize>,
}

/// The settings that count for one address, every pattern applied.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent settings, as in broker.xml"
)]
pub struct AddressSettings {
    /// Where messages go that were delivered too often; without one they are dropped.
    pub dead_letter_address: Option<String>,
    /// Where expired messages go; without one they are dropped.
    pub expiry_address: Option<String>,
    /// Whether a queue per original address is created at the dead letter address.
    pub auto_create_dead_letter_resources: bool,
    /// Begin of the name of such a queue.
    pub dead_letter_queue_prefix: String,
    /// End of the name of such a queue.
    pub dead_letter_queue_suffix: String,
    /// Whether a queue per original address is created at the expiry address.
    pub auto_create_expiry_resources: bool,
    /// Begin of the name of such a queue.
    pub expiry_queue_prefix: String,
    /// End of the name of such a queue.
    pub expiry_queue_suffix: String,
    /// Whether messages never expire, whatever their sender says.
    pub no_expiry: bool,
    /// Time to live of messages sent without one; negative: none.
    pub expiry_delay_ms: i64,
    /// Shortest time to live a sender may give; negative: any.
    pub min_expiry_delay_ms: i64,
    /// Longest time to live a sender may give; negative: any.
    pub max_expiry_delay_ms: i64,
    /// How long a message that came back waits before it is delivered again.
    pub redelivery_delay_ms: i64,
    /// Factor by which that wait grows with each attempt.
    pub redelivery_delay_multiplier: f64,
    /// Longest such wait; absent: ten times the delay.
    pub max_redelivery_delay_ms: Option<i64>,
    /// After so many deliveries a message goes to the dead letter address; -1: never.
    pub max_delivery_attempts: i32,
    /// Whether messages without any queue go to the dead letter address.
    pub send_to_dla_on_no_route: bool,
    /// Whether clients may have queues created on the fly.
    pub auto_create_queues: bool,
    /// Whether clients may have addresses created on the fly.
    pub auto_create_addresses: bool,
    /// Whether auto-created queues go away when nobody uses them.
    pub auto_delete_queues: bool,
    /// Whether queues created on request go away as well.
    pub auto_delete_created_queues: bool,
    /// How long such a queue stays unused.
    pub auto_delete_queues_delay_ms: i64,
    /// A queue with more messages stays.
    pub auto_delete_queues_message_count: i64,
    /// Whether auto-created addresses go away with their last queue.
    pub auto_delete_addresses: bool,
    /// How long such an address stays.
    pub auto_delete_addresses_delay_ms: i64,
    /// For queues created without a number; -1: unlimited.
    pub default_max_consumers: i32,
    /// For queues created without saying.
    pub default_purge_on_no_consumers: bool,
    /// For queues created without saying.
    pub default_exclusive: bool,
    /// For queues created without a routing type.
    pub default_queue_routing_type: RoutingType,
    /// For addresses created without a routing type.
    pub default_address_routing_type: RoutingType,
    /// Told to clients that use their own default window.
    pub default_consumer_window_size: i32,
    /// Overrides [`EngineConfig::id_cache_size`].
    pub id_cache_size: Option<usize>,
}

impl Default for AddressSettings {
    fn default() -> Self {
        Self {
            dead_letter_address: None,
            expiry_address: None,
            auto_create_dead_letter_resources: false,
            dead_letter_queue_prefix: "DLQ.".to_owned(),
            dead_letter_queue_suffix: String::new(),
            auto_create_expiry_resources: false,
            expiry_queue_prefix: "EXP.".to_owned(),
            expiry_queue_suffix: String::new(),
            no_expiry: false,
            expiry_delay_ms: -1,
            min_expiry_delay_ms: -1,
            max_expiry_delay_ms: -1,
            redelivery_delay_ms: 0,
            redelivery_delay_multiplier: 1.0,
            max_redelivery_delay_ms: None,
            max_delivery_attempts: 10,
            send_to_dla_on_no_route: false,
            auto_create_queues: true,
            auto_create_addresses: true,
            auto_delete_queues: true,
            auto_delete_created_queues: false,
            auto_delete_queues_delay_ms: 0,
            auto_delete_queues_message_count: 0,
            auto_delete_addresses: true,
            auto_delete_addresses_delay_ms: 0,
            default_max_consumers: -1,
            default_purge_on_no_consumers: false,
            default_exclusive: false,
            default_queue_routing_type: RoutingType::Multicast,
            default_address_routing_type: RoutingType::Multicast,
            default_consumer_window_size: 1024 * 1024,
            id_cache_size: None,
        }
    }
}

/// How an address hands a message to its queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoutingType {
    /// A copy to each queue.
    Multicast,
    /// To one of the queues, in turn.
    Anycast,
}

impl RoutingType {
    /// The number used on the wire and in `_AMQ_ROUTING_TYPE`.
    pub const fn code(self) -> i8 {
        match self {
            Self::Multicast => 0,
            Self::Anycast => 1,
        }
    }

    /// The routing type of a wire number; -1 (unspecified) and unknown numbers are `None`.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Multicast),
            1 => Some(Self::Anycast),
            _ => None,
        }
    }
}

/// The routing types an address supports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoutingTypes {
    /// It may have anycast queues.
    pub anycast: bool,
    /// It may have multicast queues.
    pub multicast: bool,
}

impl RoutingTypes {
    /// Only this one.
    pub const fn only(routing_type: RoutingType) -> Self {
        match routing_type {
            RoutingType::Anycast => Self {
                anycast: true,
                multicast: false,
            },
            RoutingType::Multicast => Self {
                anycast: false,
                multicast: true,
            },
        }
    }

    /// Whether `routing_type` is among them.
    pub const fn supports(self, routing_type: RoutingType) -> bool {
        match routing_type {
            RoutingType::Anycast => self.anycast,
            RoutingType::Multicast => self.multicast,
        }
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            anycast: self.anycast || other.anycast,
            multicast: self.multicast || other.multicast,
        }
    }

    /// Whether none is supported.
    pub const fn is_empty(self) -> bool {
        !self.anycast && !self.multicast
    }
}

/// An address that exists from the start.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressConfig {
    /// Its name.
    pub name: String,
    /// What its queues may be.
    pub routing_types: RoutingTypes,
    /// Its queues.
    pub queues: Vec<QueueConfig>,
}

/// A queue that exists from the start.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueConfig {
    /// Its name, unique in the broker.
    pub name: String,
    /// How its address treats it.
    pub routing_type: RoutingType,
    /// Only messages that match this selector enter it.
    pub filter: Option<String>,
    /// Whether it and its durable messages survive a restart.
    pub durable: bool,
    /// -1: unlimited; absent: the address settings decide.
    pub max_consumers: Option<i32>,
    /// Whether it is emptied when its last consumer leaves; absent: the address settings decide.
    pub purge_on_no_consumers: Option<bool>,
    /// Whether one consumer gets everything; absent: the address settings decide.
    pub exclusive: Option<bool>,
    /// A disabled queue receives no messages.
    pub enabled: bool,
}

/// Who may do what on the addresses that match a pattern. Only the most specific match counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityMatch {
    /// For example `#`, `orders.*`, `orders.new`, `orders.new::queue`.
    pub pattern: String,
    /// The roles that have each permission.
    pub roles: BTreeMap<Permission, BTreeSet<String>>,
}

/// What a role can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Create an address.
    CreateAddress,
    /// Delete an address.
    DeleteAddress,
    /// Create a durable queue.
    CreateDurableQueue,
    /// Delete a durable queue.
    DeleteDurableQueue,
    /// Create a queue that does not survive a restart.
    CreateNonDurableQueue,
    /// Delete a queue that does not survive a restart.
    DeleteNonDurableQueue,
    /// Send messages.
    Send,
    /// Receive messages.
    Consume,
    /// Look at messages without taking them.
    Browse,
    /// Send to the management address.
    Manage,
}

impl Permission {
    /// Its name in `broker.xml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateAddress => "createAddress",
            Self::DeleteAddress => "deleteAddress",
            Self::CreateDurableQueue => "createDurableQueue",
            Self::DeleteDurableQueue => "deleteDurableQueue",
            Self::CreateNonDurableQueue => "createNonDurableQueue",
            Self::DeleteNonDurableQueue => "deleteNonDurableQueue",
            Self::Send => "send",
            Self::Consume => "consume",
            Self::Browse => "browse",
            Self::Manage => "manage",
        }
    }

    /// The permission of a name in `broker.xml`.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::CreateAddress,
            Self::DeleteAddress,
            Self::CreateDurableQueue,
            Self::DeleteDurableQueue,
            Self::CreateNonDurableQueue,
            Self::DeleteNonDurableQueue,
            Self::Send,
            Self::Consume,
            Self::Browse,
            Self::Manage,
        ]
        .into_iter()
        .find(|permission| permission.name() == name)
    }
}
