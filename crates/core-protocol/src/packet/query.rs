//! Asking for queues and addresses. A client keeps the answer about a queue and replays it when it
//! creates the queue again after a failover.

use crate::wire::codecs::{Bool, Byte, Int, List, Long, Nullable, Optional, Simple};
use crate::wire::wire_struct;

wire_struct! {
    /// `SESS_QUEUEQUERY`.
    pub struct SessQueueQuery {
        /// The queue's name, or `address::queue`.
        pub queue: String as Simple,
    }

    /// `SESS_BINDINGQUERY`.
    pub struct SessBindingQuery {
        /// The address, or `address::queue`.
        pub address: String as Simple,
    }

    /// `SESS_QUEUEQUERY_RESP_V3`.
    #[expect(missing_docs, reason = "the settings are those of that name in broker.xml")]
    pub struct SessQueueQueryResponseV3 {
        /// Whether there is such a queue; the rest describes it or what it would be.
        pub exists: bool as Bool,
        pub durable: bool as Bool,
        pub temporary: bool as Bool,
        pub consumer_count: i32 as Int,
        pub message_count: i64 as Long,
        pub filter: Option<String> as Optional<Simple>,
        pub address: Option<String> as Optional<Simple>,
        pub name: Option<String> as Optional<Simple>,
        /// Whether a client may create it when it is missing.
        pub auto_create_queues: bool as Bool,
        pub auto_created: bool as Bool,
        pub purge_on_no_consumers: bool as Bool,
        /// 0 multicast, 1 anycast.
        pub routing_type: i8 as Byte,
        /// -1 for no limit.
        pub max_consumers: i32 as Int,
        pub exclusive: Option<bool> as Nullable<Bool>,
        pub last_value: Option<bool> as Nullable<Bool>,
        pub default_consumer_window_size: Option<i32> as Nullable<Int>,
        pub last_value_key: Option<String> as Optional<Simple>,
        pub non_destructive: Option<bool> as Nullable<Bool>,
        pub consumers_before_dispatch: Option<i32> as Nullable<Int>,
        pub delay_before_dispatch_ms: Option<i64> as Nullable<Long>,
        pub group_rebalance: Option<bool> as Nullable<Bool>,
        pub group_buckets: Option<i32> as Nullable<Int>,
        pub auto_delete: Option<bool> as Nullable<Bool>,
        pub auto_delete_delay_ms: Option<i64> as Nullable<Long>,
        pub auto_delete_message_count: Option<i64> as Nullable<Long>,
        pub group_first_key: Option<String> as Optional<Simple>,
        pub ring_size: Option<i64> as Nullable<Long>,
        pub enabled: Option<bool> as Nullable<Bool>,
        pub group_rebalance_pause_dispatch: Option<bool> as Nullable<Bool>,
        pub configuration_managed: Option<bool> as Nullable<Bool>,
    }

    /// `SESS_BINDINGQUERY_RESP_V5`.
    pub struct SessBindingQueryResponseV5 {
        /// Whether there is such an address.
        pub exists: bool as Bool,
        /// The queues bound to it.
        pub queues: Vec<String> as List<Simple, 4>,
        /// Whether a client may create queues.
        pub auto_create_queues: bool as Bool,
        /// Whether a client may create addresses.
        pub auto_create_addresses: bool as Bool,
        /// The address setting of that name.
        pub default_purge_on_no_consumers: bool as Bool,
        /// The address setting of that name; -1 for no limit.
        pub default_max_consumers: i32 as Int,
        /// The address setting of that name.
        pub default_exclusive: Option<bool> as Nullable<Bool>,
        /// The address setting of that name.
        pub default_last_value: Option<bool> as Nullable<Bool>,
        /// The address setting of that name.
        pub default_last_value_key: Option<String> as Optional<Simple>,
        /// The address setting of that name.
        pub default_non_destructive: Option<bool> as Nullable<Bool>,
        /// The address setting of that name.
        pub default_consumers_before_dispatch: Option<i32> as Nullable<Int>,
        /// The address setting of that name.
        pub default_delay_before_dispatch_ms: Option<i64> as Nullable<Long>,
        /// Whether it routes to every queue. Must be true of an existing address for topics to work.
        pub supports_multicast: bool as Bool,
        /// Whether it routes to one queue. Must be true of an existing address for queues to work.
        pub supports_anycast: bool as Bool,
    }
}
