//! Addresses, their queues and their settings.

/// How an address hands a message to its queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoutingType {
    /// A copy to each queue.
    Multicast,
    /// To one of the queues, in turn.
    Anycast,
}

impl RoutingType {
    /// Its name in `broker.xml` as a value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Multicast => "MULTICAST",
            Self::Anycast => "ANYCAST",
        }
    }

    /// The value of a name in `broker.xml`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Multicast, Self::Anycast]
            .into_iter()
            .find(|value| value.name().eq_ignore_ascii_case(name))
    }
}

/// An address that exists from the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Its name.
    pub name: String,
    /// Whether it may have anycast queues.
    pub anycast: bool,
    /// Whether it may have multicast queues.
    pub multicast: bool,
    /// Its queues.
    pub queues: Vec<Queue>,
}

impl Address {
    /// An anycast address with one queue of the same name.
    pub fn anycast_queue(name: impl Into<String>) -> Self {
        let name = name.into();
        let queues = vec![Queue::new(name.clone(), RoutingType::Anycast)];
        Self {
            name,
            anycast: true,
            multicast: false,
            queues,
        }
    }
}

/// A queue that exists from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Under which routing type of its address it stands.
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

impl Queue {
    /// A durable queue with everything else left to the address settings.
    pub fn new(name: impl Into<String>, routing_type: RoutingType) -> Self {
        Self {
            name: name.into(),
            routing_type,
            filter: None,
            durable: true,
            max_consumers: None,
            purge_on_no_consumers: None,
            exclusive: None,
            enabled: true,
        }
    }
}

/// Settings for the addresses that match a pattern of words, `*` (one word) and `#` (any words).
///
/// `None` leaves the value of a less specific pattern. Names and meanings are those of the
/// elements of `address-setting`.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the element of the same name")]
pub struct AddressSetting {
    pub pattern: String,
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
    pub default_exclusive_queue: Option<bool>,
    pub default_queue_routing_type: Option<RoutingType>,
    pub default_address_routing_type: Option<RoutingType>,
    pub default_consumer_window_size: Option<i32>,
    pub id_cache_size: Option<u32>,
    /// Not enforced yet.
    pub max_size_bytes: Option<i64>,
    /// Not enforced yet.
    pub max_size_messages: Option<i64>,
    /// Not enforced yet.
    pub address_full_policy: Option<AddressFullPolicy>,
}

impl AddressSetting {
    /// Settings for a pattern that set nothing.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            ..Self::default()
        }
    }
}

/// What happens to senders when an address has reached its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFullPolicy {
    /// Messages go to page files.
    Page,
    /// Messages are dropped.
    Drop,
    /// Senders get an error.
    Fail,
    /// Senders wait.
    Block,
}

impl AddressFullPolicy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Page, Self::Drop, Self::Fail, Self::Block];

    /// Its name in `broker.xml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "PAGE",
            Self::Drop => "DROP",
            Self::Fail => "FAIL",
            Self::Block => "BLOCK",
        }
    }

    /// The value of a name in `broker.xml`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|value| value.name().eq_ignore_ascii_case(name))
    }
}
