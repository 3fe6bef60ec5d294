//! Creating and deleting addresses and queues.

use crate::DecodeError;
use crate::wire::codecs::{Bool, Byte, Int, List, Long, Nested, Nullable, Optional, Simple};
use crate::wire::{Codec, Reader, Sink, Wire, wire_struct};

wire_struct! {
    /// `CREATE_ADDRESS`.
    pub struct CreateAddress {
        /// The address.
        pub address: String as Simple,
        /// 0 multicast, 1 anycast.
        pub routing_types: Vec<i8> as List<Byte, 1>,
        /// Whether an answer is awaited.
        pub requires_response: bool as Bool,
        /// Whether the client made it because it was missing.
        pub auto_created: bool as Bool,
    }

    /// `CREATE_QUEUE`.
    pub struct CreateQueue {
        /// The address it is bound to.
        pub address: String as Simple,
        /// Its name.
        pub queue: String as Simple,
        /// The selector that messages must match.
        pub filter: Option<String> as Optional<Simple>,
        /// Whether it survives a restart.
        pub durable: bool as Bool,
        /// Whether it ends with the connection.
        pub temporary: bool as Bool,
        /// Whether an answer is awaited.
        pub requires_response: bool as Bool,
    }

    /// `CREATE_QUEUE_V2`.
    pub struct CreateQueueV2 {
        /// What `CREATE_QUEUE` says.
        pub queue: CreateQueue as Nested,
        /// Whether the client made it because it was missing.
        pub auto_created: bool as Bool,
        /// 0 multicast, 1 anycast, -1 not given.
        pub routing_type: i8 as Byte,
        /// -1 for no limit.
        pub max_consumers: i32 as Int,
        /// Whether messages go when the last consumer does.
        pub purge_on_no_consumers: bool as Bool,
        /// The settings of the queue.
        pub settings: QueueTail as Nested,
    }

    /// `CREATE_SHARED_QUEUE`.
    pub struct CreateSharedQueue {
        /// The address it is bound to.
        pub address: String as Simple,
        /// Its name.
        pub queue: String as Simple,
        /// The selector that messages must match.
        pub filter: Option<String> as Optional<Simple>,
        /// Whether it survives a restart.
        pub durable: bool as Bool,
        /// Whether an answer is awaited.
        pub requires_response: bool as Bool,
    }

    /// `CREATE_SHARED_QUEUE_V2`.
    pub struct CreateSharedQueueV2 {
        /// The address it is bound to.
        pub address: String as Simple,
        /// Its name.
        pub queue: String as Simple,
        /// The selector that messages must match.
        pub filter: Option<String> as Optional<Simple>,
        /// Whether it survives a restart.
        pub durable: bool as Bool,
        /// 0 multicast, 1 anycast, -1 not given.
        pub routing_type: i8 as Byte,
        /// Whether an answer is awaited.
        pub requires_response: bool as Bool,
        /// -1 for no limit.
        pub max_consumers: Option<i32> as Nullable<Int>,
        /// Whether messages go when the last consumer does.
        pub purge_on_no_consumers: Option<bool> as Nullable<Bool>,
        /// The settings of the queue.
        pub settings: QueueTail as Nested,
    }

    /// `DELETE_QUEUE`.
    pub struct DeleteQueue {
        /// Its name.
        pub queue: String as Simple,
    }
}

/// Settings at the end of both create packets; what is absent is taken from the address settings.
///
/// Clients of older builds stop after one of several groups of them, which are the conditions of
/// reading; the rest is absent then. All of them are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the queue setting of that name in broker.xml"
)]
pub struct QueueTail {
    pub exclusive: Option<bool>,
    pub last_value: Option<bool>,
    pub last_value_key: Option<String>,
    pub non_destructive: Option<bool>,
    pub consumers_before_dispatch: Option<i32>,
    pub delay_before_dispatch_ms: Option<i64>,
    pub group_rebalance: Option<bool>,
    pub group_buckets: Option<i32>,
    pub auto_delete: Option<bool>,
    pub auto_delete_delay_ms: Option<i64>,
    pub auto_delete_message_count: Option<i64>,
    pub group_first_key: Option<String>,
    pub ring_size: Option<i64>,
    pub enabled: Option<bool>,
    pub group_rebalance_pause_dispatch: Option<bool>,
}

type NBool = Nullable<Bool>;
type NInt = Nullable<Int>;
type NLong = Nullable<Long>;
type NSimple = Optional<Simple>;

impl Wire for QueueTail {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut tail = Self::default();
        if reader.remaining() > 0 {
            tail.exclusive = NBool::read(reader, "QueueTail.exclusive")?;
            tail.last_value = NBool::read(reader, "QueueTail.last_value")?;
        }
        if reader.remaining() > 0 {
            tail.last_value_key = NSimple::read(reader, "QueueTail.last_value_key")?;
            tail.non_destructive = NBool::read(reader, "QueueTail.non_destructive")?;
            tail.consumers_before_dispatch =
                NInt::read(reader, "QueueTail.consumers_before_dispatch")?;
            tail.delay_before_dispatch_ms = NLong::read(reader, "QueueTail.delay_before_dispatch")?;
            tail.group_rebalance = NBool::read(reader, "QueueTail.group_rebalance")?;
            tail.group_buckets = NInt::read(reader, "QueueTail.group_buckets")?;
            tail.auto_delete = NBool::read(reader, "QueueTail.auto_delete")?;
            tail.auto_delete_delay_ms = NLong::read(reader, "QueueTail.auto_delete_delay")?;
            tail.auto_delete_message_count =
                NLong::read(reader, "QueueTail.auto_delete_message_count")?;
        }
        if reader.remaining() > 0 {
            tail.group_first_key = NSimple::read(reader, "QueueTail.group_first_key")?;
        }
        if reader.remaining() > 0 {
            tail.ring_size = NLong::read(reader, "QueueTail.ring_size")?;
        }
        if reader.remaining() > 0 {
            tail.enabled = NBool::read(reader, "QueueTail.enabled")?;
        }
        if reader.remaining() > 0 {
            tail.group_rebalance_pause_dispatch =
                NBool::read(reader, "QueueTail.group_rebalance_pause_dispatch")?;
        }
        Ok(tail)
    }

    fn write<S: Sink>(&self, out: &mut S) {
        NBool::write(&self.exclusive, out);
        NBool::write(&self.last_value, out);
        NSimple::write(&self.last_value_key, out);
        NBool::write(&self.non_destructive, out);
        NInt::write(&self.consumers_before_dispatch, out);
        NLong::write(&self.delay_before_dispatch_ms, out);
        NBool::write(&self.group_rebalance, out);
        NInt::write(&self.group_buckets, out);
        NBool::write(&self.auto_delete, out);
        NLong::write(&self.auto_delete_delay_ms, out);
        NLong::write(&self.auto_delete_message_count, out);
        NSimple::write(&self.group_first_key, out);
        NLong::write(&self.ring_size, out);
        NBool::write(&self.enabled, out);
        NBool::write(&self.group_rebalance_pause_dispatch, out);
    }
}
