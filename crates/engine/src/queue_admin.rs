//! Creating, deleting and asking about queues.

use crate::address::{check_name, split_name};
use crate::command::CreateQueue;
use crate::config::{AddressSettings, Permission, RoutingType, RoutingTypes};
use crate::effect::{Effect, Effects, QueueInfo, Reply};
use crate::engine::{Answer, Engine, Outcome};
use crate::error::{EngineError, code};
use crate::filter::Filter;
use crate::ids::{ConnectionKey, ConsumerKey, QueueId, SessionKey};
use crate::queue::{Lifetime, Queue};
use crate::record::{QueueRecord, RecordBody};

impl Engine {
    pub(crate) fn create_queue(
        &mut self,
        session: SessionKey,
        create: CreateQueue,
        effects: &mut Effects,
    ) -> Outcome {
        let create = plain_names(create)?;
        self.check_create(session, &create)?;
        let connection = self.session(session)?.connection;
        if let Some(id) = self.queue_names.get(&create.queue).copied() {
            if create.temporary {
                self.adopt_queue(id, &create.address, connection);
            }
            let message = format!("AMQ229019: queue {} exists already", create.queue);
            return Err(EngineError::new(code::QUEUE_EXISTS, message));
        }
        let lifetime = if create.temporary {
            Lifetime::Connection(connection)
        } else {
            Lifetime::Permanent
        };
        self.add_queue(session, create, lifetime, effects)
    }

    /// Ties a temporary queue to the connection that asks for it again. That is its client, which
    /// has reconnected while its old connection, not yet known to be dead, would take the queue
    /// along.
    fn adopt_queue(&mut self, id: QueueId, address: &str, connection: ConnectionKey) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let Lifetime::Connection(former) = queue.lifetime else {
            return;
        };
        if queue.attributes.address != address {
            return;
        }
        queue.lifetime = Lifetime::Connection(connection);
        if let Some(queues) = self.temporary.get_mut(&former) {
            queues.remove(&id);
            if queues.is_empty() {
                self.temporary.remove(&former);
            }
        }
        self.temporary.entry(connection).or_default().insert(id);
    }

    pub(crate) fn create_shared_queue(
        &mut self,
        session: SessionKey,
        create: CreateQueue,
        effects: &mut Effects,
    ) -> Outcome {
        let create = plain_names(create)?;
        self.check_create(session, &create)?;
        if let Some(queue) = self.queue_named(&create.queue) {
            let same = queue.attributes.address == create.address
                && queue.attributes.filter.as_deref() == meaningful(create.filter.as_deref());
            if same {
                return Ok(Answer::done(self.records));
            }
            let message = format!(
                "queue {} exists with another address or filter; close its consumers and delete it",
                create.queue
            );
            return Err(EngineError::new(code::INVALID_TRANSIENT_QUEUE_USE, message));
        }
        let connection = self.session(session)?.connection;
        let lifetime = if create.durable {
            Lifetime::Permanent
        } else {
            Lifetime::Consumers(connection)
        };
        self.add_queue(session, create, lifetime, effects)
    }

    fn check_create(&self, session: SessionKey, create: &CreateQueue) -> Result<(), EngineError> {
        let permission = if create.durable && !create.temporary {
            Permission::CreateDurableQueue
        } else {
            Permission::CreateNonDurableQueue
        };
        self.check(session, permission, &create.address, Some(&create.queue))
    }

    fn add_queue(
        &mut self,
        session: SessionKey,
        create: CreateQueue,
        lifetime: Lifetime,
        effects: &mut Effects,
    ) -> Outcome {
        refuse_missing_features(&create)?;
        let filter = parse_filter(create.filter.as_deref())?;
        let settings = self.settings_of(&create.address);
        let routing_type = create
            .routing_type
            .unwrap_or(settings.default_queue_routing_type);
        let routing_types = RoutingTypes::only(routing_type);
        let durable = create.durable && lifetime == Lifetime::Permanent;
        let supported = self
            .addresses
            .get(&create.address)
            .map(|address| address.routing_types.supports(routing_type));
        if supported != Some(true) {
            let by_itself = settings.auto_create_addresses || lifetime != Lifetime::Permanent;
            if supported.is_none() && !by_itself {
                let message = format!("AMQ229203: address {} does not exist", create.address);
                return Err(EngineError::new(code::ADDRESS_DOES_NOT_EXIST, message));
            }
            if supported == Some(false) && !by_itself {
                let message = format!(
                    "AMQ229209: address {} does not support {routing_type:?} queues",
                    create.address
                );
                return Err(EngineError::new(code::UNEXPECTED_ROUTING_TYPE, message));
            }
            self.check(session, Permission::CreateAddress, &create.address, None)?;
        }
        self.ensure_address(&create.address, routing_types, true, durable, effects);
        let attributes = attributes(QueueId(self.ids.next()), create, routing_type, &settings);
        self.install_queue(attributes, filter, durable, lifetime, effects);
        Ok(Answer::done(self.records))
    }

    /// Adds a queue to its address, which exists.
    pub(crate) fn install_queue(
        &mut self,
        attributes: QueueRecord,
        filter: Option<Filter>,
        durable: bool,
        lifetime: Lifetime,
        effects: &mut Effects,
    ) -> QueueId {
        let id = attributes.queue;
        if durable {
            self.emit(
                &RecordBody::QueueCreated(Box::new(attributes.clone())),
                effects,
            );
        }
        self.insert_queue(Queue::new(attributes, filter, durable, lifetime));
        id
    }

    pub(crate) fn insert_queue(&mut self, queue: Queue) {
        let id = queue.attributes.queue;
        if let Some(address) = self.addresses.get_mut(&queue.attributes.address) {
            address.queues_mut(queue.attributes.routing_type).push(id);
        }
        match queue.lifetime {
            Lifetime::Permanent => {}
            Lifetime::Connection(connection) | Lifetime::Consumers(connection) => {
                self.temporary.entry(connection).or_default().insert(id);
            }
        }
        self.queue_names.insert(queue.attributes.name.clone(), id);
        self.queues.insert(id, queue);
    }

    pub(crate) fn delete_queue(
        &mut self,
        now_ms: u64,
        session: SessionKey,
        name: &str,
        effects: &mut Effects,
    ) -> Outcome {
        let id = self.resolve_queue(name)?;
        let Some(queue) = self.queues.get(&id) else {
            return Err(EngineError::no_queue(name));
        };
        let permission = if queue.durable {
            Permission::DeleteDurableQueue
        } else {
            Permission::DeleteNonDurableQueue
        };
        let attributes = &queue.attributes;
        self.check(
            session,
            permission,
            &attributes.address,
            Some(&attributes.name),
        )?;
        if !queue.consumers.is_empty() {
            let message = format!(
                "AMQ229025: queue {name} has {} consumers; close them first",
                queue.consumers.len()
            );
            return Err(EngineError::new(code::ILLEGAL_STATE, message));
        }
        self.remove_queue(now_ms, id, effects);
        Ok(Answer::done(self.records))
    }

    /// Removes a queue, its messages and its consumers.
    pub(crate) fn remove_queue(&mut self, now_ms: u64, id: QueueId, effects: &mut Effects) {
        let Some(mut queue) = self.queues.remove(&id) else {
            return;
        };
        self.queue_names.remove(&queue.attributes.name);
        self.dirty.remove(&id);
        self.unfinished.remove(&id);
        self.timers.forget_queue(&queue);
        match queue.lifetime {
            Lifetime::Permanent => {}
            Lifetime::Connection(connection) | Lifetime::Consumers(connection) => {
                if let Some(queues) = self.temporary.get_mut(&connection) {
                    queues.remove(&id);
                    if queues.is_empty() {
                        self.temporary.remove(&connection);
                    }
                }
            }
        }
        if queue.durable {
            self.emit(&RecordBody::QueueDeleted { queue: id }, effects);
        }
        let mut consumers = std::mem::take(&mut queue.consumers);
        consumers.extend(std::mem::take(&mut queue.browsers));
        for consumer in consumers {
            self.consumer_lost(consumer, effects);
        }
        let address = queue.attributes.address;
        if let Some(found) = self.addresses.get_mut(&address) {
            found
                .queues_mut(queue.attributes.routing_type)
                .retain(|queue| *queue != id);
        }
        self.queue_left(now_ms, &address, effects);
    }

    fn consumer_lost(&mut self, key: ConsumerKey, effects: &mut Effects) {
        self.consumers.remove(&key);
        if let Some(session) = self.sessions.get_mut(&key.session) {
            session.consumers.remove(&key.consumer);
        }
        let after = self.gate(key.session, self.records);
        let ConsumerKey { session, consumer } = key;
        effects.effects.push(Effect::ConsumerClosed {
            session,
            consumer,
            after,
        });
    }

    pub(crate) fn queue_query(&self, name: &str) -> Answer {
        let after = self.records;
        let info = match self.resolve_queue(name) {
            Ok(id) => self.queue_info(id),
            Err(_) => None,
        };
        let info = info.unwrap_or_else(|| self.missing_queue_info(name));
        Answer {
            reply: Reply::Queue(Box::new(info)),
            after,
        }
    }

    /// The queue of a plain or fully qualified name.
    pub(crate) fn resolve_queue(&self, name: &str) -> Result<QueueId, EngineError> {
        let (address, queue) = match split_name(name) {
            (address, Some(queue)) => (Some(address), queue),
            (queue, None) => (None, queue),
        };
        let id = *self
            .queue_names
            .get(queue)
            .ok_or_else(|| EngineError::no_queue(name))?;
        let fits = address.is_none_or(|address| {
            address.is_empty()
                || self
                    .queues
                    .get(&id)
                    .is_some_and(|queue| queue.attributes.address == address)
        });
        if fits {
            Ok(id)
        } else {
            Err(EngineError::no_queue(name))
        }
    }

    pub(crate) fn queue_named(&self, name: &str) -> Option<&Queue> {
        self.queue_names
            .get(name)
            .and_then(|id| self.queues.get(id))
    }

    pub(crate) fn queue_info(&self, id: QueueId) -> Option<QueueInfo> {
        let queue = self.queues.get(&id)?;
        let attributes = &queue.attributes;
        let settings = self.settings_of(&attributes.address);
        Some(QueueInfo {
            exists: true,
            durable: queue.durable,
            temporary: queue.is_temporary(),
            consumer_count: i32::try_from(queue.consumers.len()).unwrap_or(i32::MAX),
            message_count: i64::try_from(queue.message_count()).unwrap_or(i64::MAX),
            filter: attributes.filter.clone(),
            address: attributes.address.clone(),
            name: attributes.name.clone(),
            auto_create_queues: settings.auto_create_queues,
            auto_created: attributes.auto_created,
            purge_on_no_consumers: attributes.purge_on_no_consumers,
            routing_type: attributes.routing_type,
            max_consumers: attributes.max_consumers,
            exclusive: Some(attributes.exclusive),
            last_value: Some(false),
            default_consumer_window_size: Some(settings.default_consumer_window_size),
            last_value_key: None,
            non_destructive: Some(false),
            consumers_before_dispatch: Some(0),
            delay_before_dispatch_ms: Some(-1),
            group_rebalance: Some(false),
            group_buckets: Some(-1),
            auto_delete: Some(attributes.auto_delete),
            auto_delete_delay_ms: Some(attributes.auto_delete_delay_ms),
            auto_delete_message_count: Some(attributes.auto_delete_message_count),
            group_first_key: None,
            ring_size: Some(-1),
            enabled: Some(attributes.enabled),
            group_rebalance_pause_dispatch: Some(false),
            configuration_managed: Some(queue.configuration_managed),
        })
    }

    fn missing_queue_info(&self, name: &str) -> QueueInfo {
        let name = split_name(name).1.unwrap_or(name);
        let settings = self.settings_of(name);
        let management = name == self.management_address;
        QueueInfo {
            exists: management,
            durable: true,
            temporary: false,
            consumer_count: if management { -1 } else { 0 },
            message_count: if management { -1 } else { 0 },
            filter: None,
            address: name.to_owned(),
            name: name.to_owned(),
            auto_create_queues: settings.auto_create_queues,
            auto_created: false,
            purge_on_no_consumers: settings.default_purge_on_no_consumers,
            routing_type: settings.default_queue_routing_type,
            max_consumers: settings.default_max_consumers,
            exclusive: Some(settings.default_exclusive),
            last_value: Some(false),
            default_consumer_window_size: Some(settings.default_consumer_window_size),
            last_value_key: None,
            non_destructive: Some(false),
            consumers_before_dispatch: Some(0),
            delay_before_dispatch_ms: Some(-1),
            group_rebalance: Some(false),
            group_buckets: Some(-1),
            auto_delete: Some(settings.auto_delete_queues),
            auto_delete_delay_ms: Some(settings.auto_delete_queues_delay_ms),
            auto_delete_message_count: Some(settings.auto_delete_queues_message_count),
            group_first_key: None,
            ring_size: Some(-1),
            enabled: None,
            group_rebalance_pause_dispatch: Some(false),
            configuration_managed: Some(false),
        }
    }
}

/// Splits fully qualified names, so that address and queue are plain.
fn plain_names(mut create: CreateQueue) -> Result<CreateQueue, EngineError> {
    if let (address, Some(_)) = split_name(&create.address) {
        create.address = address.to_owned();
    }
    if let (_, Some(queue)) = split_name(&create.queue) {
        create.queue = queue.to_owned();
    }
    check_name("address", &create.address)?;
    check_name("queue", &create.queue)?;
    Ok(create)
}

/// A filter that says something.
fn meaningful(filter: Option<&str>) -> Option<&str> {
    filter.filter(|filter| !filter.trim().is_empty())
}

/// Reads a filter that a client gave.
pub(crate) fn parse_filter(filter: Option<&str>) -> Result<Option<Filter>, EngineError> {
    Filter::parse_optional(filter).map_err(|error| {
        let message = format!("AMQ229020: invalid filter: {error}");
        EngineError::new(code::INVALID_FILTER, message)
    })
}

/// Refuses attributes that would change what the queue does and that this engine does not have.
fn refuse_missing_features(create: &CreateQueue) -> Result<(), EngineError> {
    let missing = [
        (
            create.last_value == Some(true) || create.last_value_key.is_some(),
            "last-value",
        ),
        (create.non_destructive == Some(true), "non-destructive"),
        (
            create.consumers_before_dispatch.is_some_and(|n| n > 0),
            "consumers-before-dispatch",
        ),
        (
            create.delay_before_dispatch_ms.is_some_and(|n| n >= 0),
            "delay-before-dispatch",
        ),
        (create.group_rebalance == Some(true), "group-rebalance"),
        (
            create.group_buckets.is_some_and(|n| n >= 0),
            "group-buckets",
        ),
        (create.group_first_key.is_some(), "group-first-key"),
        (create.ring_size.is_some_and(|n| n >= 0), "ring-size"),
    ];
    match missing.into_iter().find(|(asked, _)| *asked) {
        None => Ok(()),
        Some((_, feature)) => {
            let message = format!(
                "queue {}: {feature} is not supported by this broker; leave it at its default",
                create.queue
            );
            Err(EngineError::new(code::NOT_IMPLEMENTED, message))
        }
    }
}

fn attributes(
    queue: QueueId,
    create: CreateQueue,
    routing_type: RoutingType,
    settings: &AddressSettings,
) -> QueueRecord {
    let auto_delete = create.auto_delete.unwrap_or(if create.temporary {
        false
    } else if create.auto_created {
        settings.auto_delete_queues
    } else {
        settings.auto_delete_created_queues
    });
    QueueRecord {
        queue,
        filter: meaningful(create.filter.as_deref()).map(str::to_owned),
        name: create.queue,
        address: create.address,
        routing_type,
        max_consumers: create
            .max_consumers
            .unwrap_or(settings.default_max_consumers),
        purge_on_no_consumers: create
            .purge_on_no_consumers
            .unwrap_or(settings.default_purge_on_no_consumers),
        exclusive: create.exclusive.unwrap_or(settings.default_exclusive),
        enabled: create.enabled.unwrap_or(true),
        auto_created: create.auto_created,
        auto_delete,
        auto_delete_delay_ms: create
            .auto_delete_delay_ms
            .unwrap_or(settings.auto_delete_queues_delay_ms),
        auto_delete_message_count: create
            .auto_delete_message_count
            .unwrap_or(settings.auto_delete_queues_message_count),
    }
}
