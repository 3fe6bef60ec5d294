//! Queues and addresses between the wire's packets and the engine's values, field by field.

use core_protocol::packet::{
    CreateQueue, CreateQueueV2, CreateSharedQueue, CreateSharedQueueV2, QueueTail,
    SessBindingQueryResponseV5, SessQueueQueryResponseV3,
};
use engine::{BindingInfo, Command, QueueInfo, RoutingType};

/// `CREATE_QUEUE`.
pub(crate) fn create(create: CreateQueue) -> Command {
    Command::CreateQueue(Box::new(plain(create)))
}

/// `CREATE_QUEUE_V2`.
pub(crate) fn create_v2(create: CreateQueueV2) -> Command {
    let mut queue = plain(create.queue);
    queue.auto_created = create.auto_created;
    queue.routing_type = RoutingType::from_code(create.routing_type);
    queue.max_consumers = Some(create.max_consumers);
    queue.purge_on_no_consumers = Some(create.purge_on_no_consumers);
    apply(create.settings, &mut queue);
    Command::CreateQueue(Box::new(queue))
}

/// `CREATE_SHARED_QUEUE`.
pub(crate) fn create_shared(create: CreateSharedQueue) -> Command {
    let mut queue = engine::CreateQueue::new(create.address, create.queue);
    queue.filter = create.filter;
    queue.durable = create.durable;
    Command::CreateSharedQueue(Box::new(queue))
}

/// `CREATE_SHARED_QUEUE_V2`.
pub(crate) fn create_shared_v2(create: CreateSharedQueueV2) -> Command {
    let mut queue = engine::CreateQueue::new(create.address, create.queue);
    queue.filter = create.filter;
    queue.durable = create.durable;
    queue.routing_type = RoutingType::from_code(create.routing_type);
    queue.max_consumers = create.max_consumers;
    queue.purge_on_no_consumers = create.purge_on_no_consumers;
    apply(create.settings, &mut queue);
    Command::CreateSharedQueue(Box::new(queue))
}

fn plain(create: CreateQueue) -> engine::CreateQueue {
    let mut queue = engine::CreateQueue::new(create.address, create.queue);
    queue.filter = create.filter;
    queue.durable = create.durable;
    queue.temporary = create.temporary;
    queue
}

fn apply(settings: QueueTail, queue: &mut engine::CreateQueue) {
    let QueueTail {
        exclusive,
        last_value,
        last_value_key,
        non_destructive,
        consumers_before_dispatch,
        delay_before_dispatch_ms,
        group_rebalance,
        group_buckets,
        auto_delete,
        auto_delete_delay_ms,
        auto_delete_message_count,
        group_first_key,
        ring_size,
        enabled,
        // Without group rebalancing there is no dispatch to pause.
        group_rebalance_pause_dispatch: _,
    } = settings;
    queue.exclusive = exclusive;
    queue.last_value = last_value;
    queue.last_value_key = last_value_key;
    queue.non_destructive = non_destructive;
    queue.consumers_before_dispatch = consumers_before_dispatch;
    queue.delay_before_dispatch_ms = delay_before_dispatch_ms;
    queue.group_rebalance = group_rebalance;
    queue.group_buckets = group_buckets;
    queue.group_first_key = group_first_key;
    queue.auto_delete = auto_delete;
    queue.auto_delete_delay_ms = auto_delete_delay_ms;
    queue.auto_delete_message_count = auto_delete_message_count;
    queue.ring_size = ring_size;
    queue.enabled = enabled;
}

/// The answer to a queue query and to a new consumer.
pub(crate) fn queue_response(info: QueueInfo) -> SessQueueQueryResponseV3 {
    SessQueueQueryResponseV3 {
        exists: info.exists,
        durable: info.durable,
        temporary: info.temporary,
        consumer_count: info.consumer_count,
        message_count: info.message_count,
        filter: info.filter,
        address: Some(info.address),
        name: Some(info.name),
        auto_create_queues: info.auto_create_queues,
        auto_created: info.auto_created,
        purge_on_no_consumers: info.purge_on_no_consumers,
        routing_type: info.routing_type.code(),
        max_consumers: info.max_consumers,
        exclusive: info.exclusive,
        last_value: info.last_value,
        default_consumer_window_size: info.default_consumer_window_size,
        last_value_key: info.last_value_key,
        non_destructive: info.non_destructive,
        consumers_before_dispatch: info.consumers_before_dispatch,
        delay_before_dispatch_ms: info.delay_before_dispatch_ms,
        group_rebalance: info.group_rebalance,
        group_buckets: info.group_buckets,
        auto_delete: info.auto_delete,
        auto_delete_delay_ms: info.auto_delete_delay_ms,
        auto_delete_message_count: info.auto_delete_message_count,
        group_first_key: info.group_first_key,
        ring_size: info.ring_size,
        enabled: info.enabled,
        group_rebalance_pause_dispatch: info.group_rebalance_pause_dispatch,
        configuration_managed: info.configuration_managed,
    }
}

/// The answer to an address query.
pub(crate) fn binding_response(info: BindingInfo) -> SessBindingQueryResponseV5 {
    SessBindingQueryResponseV5 {
        exists: info.exists,
        queues: info.queues,
        auto_create_queues: info.auto_create_queues,
        auto_create_addresses: info.auto_create_addresses,
        default_purge_on_no_consumers: info.default_purge_on_no_consumers,
        default_max_consumers: info.default_max_consumers,
        default_exclusive: info.default_exclusive,
        default_last_value: info.default_last_value,
        default_last_value_key: info.default_last_value_key,
        default_non_destructive: info.default_non_destructive,
        default_consumers_before_dispatch: info.default_consumers_before_dispatch,
        default_delay_before_dispatch_ms: info.default_delay_before_dispatch_ms,
        supports_multicast: info.routing_types.multicast,
        supports_anycast: info.routing_types.anycast,
    }
}
