//! The fields of a packet in the words of the vector files.

use core_protocol::packet::{
    ClusterTopologyV4, CreateQueue, CreateSession, QueueTail, SendTail, SessQueueQueryResponseV3,
};
use core_protocol::{
    Connector, Message, MessageHead, Packet, ParamValue, Secret, Value as Property, Xid,
};
use serde_json::{Map, Value, json};

/// Every field of every kind of packet that was recorded.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a packet that was not recorded has no words"
)]
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn fields(packet: &Packet) -> Value {
    match packet {
        Packet::Ping(p) => json!({"ttl": p.ttl_ms}),
        Packet::DisconnectConsumer(p) => json!({"consumerID": p.consumer_id}),
        Packet::DisconnectV3(p) => json!({
            "nodeID": p.node_id, "reason": p.reason as i8, "target": p.target_node_id,
            "tc": p.target.as_ref().map(connector),
        }),
        Packet::Exception(p) => {
            with_correlation(json!({"code": p.code, "msg": p.message}), p.correlation)
        }
        Packet::NullResponse(p) => with_correlation(json!({}), p.correlation),
        Packet::PacketsConfirmed(p) => json!({"commandID": p.command_id}),
        Packet::SubscribeTopologyV2(p) => json!({
            "clusterConnection": p.is_cluster_connection, "clientVersion": p.client_version,
        }),
        Packet::ClusterTopologyV4(p) => topology(p),
        Packet::CreateSession(p) => create_session(p),
        Packet::CreateSessionV2(p) => {
            joined([create_session(&p.session), json!({"clientID": p.client_id})])
        }
        Packet::CreateSessionResponse(p) => json!({"serverVersion": p.server_version}),
        Packet::ReattachSession(p) => json!({"name": p.name, "lastConfirmed": p.last_confirmed}),
        Packet::ReattachSessionResponse(p) => {
            json!({"lastConfirmed": p.last_confirmed, "reattached": p.reattached})
        }
        Packet::CheckForFailover(p) => json!({"nodeID": p.node_id}),
        Packet::CheckForFailoverReply(p) => json!({"ok": p.ok}),
        Packet::SessAddMetadata2(p) => json!({
            "key": p.key, "data": p.data, "requiresConfirmation": p.requires_confirmation,
        }),
        Packet::SessUniqueAddMetadata(p) => json!({
            "key": p.key, "data": p.data, "requiresConfirmation": p.requires_confirmation,
        }),
        Packet::CreateAddress(p) => json!({
            "address": p.address, "routingTypes": p.routing_types,
            "requiresResponse": p.requires_response, "autoCreated": p.auto_created,
        }),
        Packet::CreateQueueV2(p) => joined([
            create_queue(&p.queue),
            json!({
                "autoCreated": p.auto_created, "routingType": p.routing_type,
                "maxConsumers": p.max_consumers, "purge": p.purge_on_no_consumers,
            }),
            queue_tail(&p.settings),
        ]),
        Packet::CreateSharedQueueV2(p) => joined([
            json!({
                "address": p.address, "queue": p.queue, "filter": p.filter, "durable": p.durable,
                "routingType": p.routing_type, "requiresResponse": p.requires_response,
                "maxConsumers": p.max_consumers, "purge": p.purge_on_no_consumers,
            }),
            queue_tail(&p.settings),
        ]),
        Packet::DeleteQueue(p) => json!({"queue": p.queue}),
        Packet::SessQueueQuery(p) => json!({"queue": p.queue}),
        Packet::SessQueueQueryResponseV3(p) => queue_query(p),
        Packet::SessBindingQuery(p) => json!({"address": p.address}),
        Packet::SessBindingQueryResponseV5(p) => json!({
            "exists": p.exists, "queues": p.queues, "autoCreateQueues": p.auto_create_queues,
            "autoCreateAddresses": p.auto_create_addresses,
            "purge": p.default_purge_on_no_consumers, "maxConsumers": p.default_max_consumers,
            "exclusive": p.default_exclusive, "lastValue": p.default_last_value,
            "lvKey": p.default_last_value_key, "nonDestructive": p.default_non_destructive,
            "cbd": p.default_consumers_before_dispatch,
            "dbd": p.default_delay_before_dispatch_ms,
            "multicast": p.supports_multicast, "anycast": p.supports_anycast,
        }),
        Packet::SessCreateConsumer(p) => json!({
            "id": p.consumer_id, "queue": p.queue, "filter": p.filter,
            "browseOnly": p.browse_only, "requiresResponse": p.requires_response,
            "priority": p.priority,
        }),
        Packet::SessConsumerClose(p) => json!({"consumerID": p.consumer_id}),
        Packet::SessFlowToken(p) => json!({"consumerID": p.consumer_id, "credits": p.credits}),
        Packet::SessForceConsumerDelivery(p) => {
            json!({"consumerID": p.consumer_id, "sequence": p.sequence})
        }
        Packet::SessAcknowledge(p) => json!({
            "consumerID": p.consumer_id, "messageID": p.message_id,
            "requiresResponse": p.requires_response,
        }),
        Packet::SessIndividualAcknowledge(p) => json!({
            "consumerID": p.consumer_id, "messageID": p.message_id,
            "requiresResponse": p.requires_response,
        }),
        Packet::SessCommit(p) => with_correlation(json!({}), p.correlation),
        Packet::SessRollback(p) => {
            json!({"lastAsDelivered": p.consider_last_message_as_delivered})
        }
        Packet::CreateProducer(p) => json!({"id": p.producer_id, "address": p.address}),
        Packet::RemoveProducer(p) => json!({"id": p.producer_id}),
        Packet::SessProducerRequestCredits(p) => {
            json!({"credits": p.credits, "address": p.address})
        }
        Packet::SessProducerCredits(p) => json!({"credits": p.credits, "address": p.address}),
        Packet::SessSend(p) => joined([message(&p.message), send_tail(&p.tail)]),
        Packet::SessSendLarge(p) => head(&p.head),
        Packet::SessSendContinuation(p) => {
            let size = p
                .message_body_size
                .map(|size| json!({"messageBodySize": size}));
            joined([
                json!({"body": piece(p.body.len()), "continues": p.continues()}),
                size.unwrap_or_else(|| json!({})),
                send_tail(&p.tail),
            ])
        }
        Packet::SessReceiveMessage(p) => joined([
            message(&p.message),
            json!({"consumerID": p.consumer_id, "deliveryCount": p.delivery_count}),
        ]),
        Packet::SessReceiveLargeMessage(p) => joined([
            json!({
                "consumerID": p.consumer_id, "deliveryCount": p.delivery_count,
                "largeSize": p.body_size,
            }),
            head(&p.head),
        ]),
        Packet::SessReceiveContinuation(p) => json!({
            "body": piece(p.body.len()), "continues": p.continues, "consumerID": p.consumer_id,
        }),
        Packet::SessXaStart(p) => json!({"xid": xid(&p.xid)}),
        Packet::SessXaEnd(p) => json!({"xid": xid(&p.xid), "failed": p.failed}),
        Packet::SessXaCommit(p) => json!({"xid": xid(&p.xid), "onePhase": p.one_phase}),
        Packet::SessXaPrepare(p) => json!({"xid": xid(&p.xid)}),
        Packet::SessXaRollback(p) => json!({"xid": xid(&p.xid)}),
        Packet::SessXaResume(p) => json!({"xid": xid(&p.xid)}),
        Packet::SessXaForget(p) => json!({"xid": xid(&p.xid)}),
        Packet::SessXaInDoubtXidsResponse(p) => {
            json!({"xids": p.xids.iter().map(xid).collect::<Vec<_>>()})
        }
        Packet::SessXaSetTimeout(p) => json!({"seconds": p.timeout_s}),
        Packet::SessXaSetTimeoutResponse(p) => json!({"ok": p.ok}),
        Packet::SessXaGetTimeoutResponse(p) => json!({"seconds": p.timeout_s}),
        Packet::SessXaResponse(p) => with_correlation(
            json!({"error": p.error, "code": p.code, "msg": p.message}),
            p.correlation,
        ),
        Packet::SessXaSuspend
        | Packet::SessXaInDoubtXids
        | Packet::SessXaGetTimeout
        | Packet::SessStart
        | Packet::SessStop
        | Packet::SessClose => json!({}),
        other => panic!("{} was never recorded", other.name()),
    }
}

fn joined<const N: usize>(parts: [Value; N]) -> Value {
    let mut all = Map::new();
    for part in parts {
        all.extend(part.as_object().unwrap().clone());
    }
    Value::Object(all)
}

fn with_correlation(fields: Value, correlation: Option<i64>) -> Value {
    match correlation {
        Some(correlation) => joined([fields, json!({"corr": correlation})]),
        None => fields,
    }
}

fn topology(packet: &ClusterTopologyV4) -> Value {
    let scale_down_group = &packet.topology.scale_down_group;
    let topology = &packet.topology.topology;
    let pair = topology.pair.as_ref().unwrap();
    json!({
        "exit": false, "nodeID": topology.node_id, "eventID": topology.event_id,
        "primary": pair.primary.as_ref().map(connector),
        "backup": pair.backup.as_ref().map(connector), "last": pair.last,
        "backupGroup": topology.backup_group, "scaleDownGroup": scale_down_group,
        "serverVersion": packet.server_version,
    })
}

fn connector(connector: &Connector) -> Value {
    let params = connector.params.iter().map(|(key, value)| {
        let value = match value {
            ParamValue::Bool(value) => json!(value),
            ParamValue::Int(value) => json!(value),
            ParamValue::Long(value) => json!(value),
            ParamValue::Text(value) => json!(value),
        };
        (key.clone(), value)
    });
    json!({
        "name": connector.name, "factory": connector.factory_class,
        "params": params.collect::<Map<_, _>>(),
    })
}

fn create_session(packet: &CreateSession) -> Value {
    json!({
        "name": packet.name, "chan": packet.channel, "version": packet.version,
        "user": packet.user, "pass": packet.password.as_ref().map(Secret::expose),
        "minLarge": packet.min_large_message_size, "xa": packet.xa,
        "autoCommitSends": packet.auto_commit_sends, "autoCommitAcks": packet.auto_commit_acks,
        "confWindow": packet.confirmation_window, "preAck": packet.pre_acknowledge,
        "defaultAddress": packet.default_address,
    })
}

fn create_queue(packet: &CreateQueue) -> Value {
    json!({
        "address": packet.address, "queue": packet.queue, "filter": packet.filter,
        "durable": packet.durable, "temporary": packet.temporary,
        "requiresResponse": packet.requires_response,
    })
}

fn queue_tail(tail: &QueueTail) -> Value {
    json!({
        "exclusive": tail.exclusive, "lastValue": tail.last_value, "lvKey": tail.last_value_key,
        "nonDestructive": tail.non_destructive, "cbd": tail.consumers_before_dispatch,
        "dbd": tail.delay_before_dispatch_ms, "groupRebalance": tail.group_rebalance,
        "groupBuckets": tail.group_buckets, "autoDelete": tail.auto_delete,
        "autoDeleteDelay": tail.auto_delete_delay_ms,
        "autoDeleteMsgCount": tail.auto_delete_message_count,
        "groupFirstKey": tail.group_first_key, "ringSize": tail.ring_size,
        "enabled": tail.enabled, "groupRebalPause": tail.group_rebalance_pause_dispatch,
    })
}

fn queue_query(p: &SessQueueQueryResponseV3) -> Value {
    json!({
        "exists": p.exists, "durable": p.durable, "temporary": p.temporary,
        "consumerCount": p.consumer_count, "messageCount": p.message_count, "filter": p.filter,
        "address": p.address, "name": p.name, "autoCreateQueues": p.auto_create_queues,
        "autoCreated": p.auto_created, "purge": p.purge_on_no_consumers,
        "routingType": p.routing_type, "maxConsumers": p.max_consumers,
        "exclusive": p.exclusive, "lastValue": p.last_value,
        "defConsWindow": p.default_consumer_window_size, "lvKey": p.last_value_key,
        "nonDestructive": p.non_destructive, "cbd": p.consumers_before_dispatch,
        "dbd": p.delay_before_dispatch_ms, "groupRebalance": p.group_rebalance,
        "groupBuckets": p.group_buckets, "autoDelete": p.auto_delete,
        "autoDeleteDelay": p.auto_delete_delay_ms,
        "autoDeleteMsgCount": p.auto_delete_message_count, "groupFirstKey": p.group_first_key,
        "ringSize": p.ring_size, "enabled": p.enabled,
        "groupRebalPause": p.group_rebalance_pause_dispatch,
        "configManaged": p.configuration_managed,
    })
}

fn send_tail(tail: &SendTail) -> Value {
    json!({
        "requiresResponse": tail.requires_response, "corr": tail.correlation,
        "senderID": tail.sender_id,
    })
}

fn message(message: &Message) -> Value {
    let body = message.body();
    let text = if body.len() < 200 {
        hex(&body)
    } else {
        format!("{}...({})", hex(&body[..40]), body.len())
    };
    joined([head(message.head()), json!({"body": text})])
}

fn head(head: &MessageHead) -> Value {
    let properties: Map<_, _> = head
        .properties()
        .map(|(name, value)| (name, property(value)))
        .collect();
    json!({
        "messageID": head.id(), "address": head.address(),
        "userID": head.user_id().map(|id| hex(&id)), "type": head.kind(),
        "durable": head.durable(), "expiration": head.expiration_ms(),
        "timestamp": head.timestamp_ms(), "priority": head.priority(),
        "props": if properties.is_empty() { Value::Null } else { Value::Object(properties) },
    })
}

fn property(value: Property) -> Value {
    match value {
        Property::Null => json!(["null", null]),
        Property::Bool(value) => json!(["bool", value]),
        Property::Byte(value) => json!(["byte", value]),
        Property::Bytes(value) => json!(["bytes", format!("bytes:{}", hex(&value))]),
        Property::Short(value) => json!(["short", value]),
        Property::Int(value) => json!(["int", value]),
        Property::Long(value) => json!(["long", value]),
        Property::Float(value) => json!(["float", f64::from(value)]),
        Property::Double(value) => json!(["double", value]),
        Property::String(value) => json!(["str", value]),
        Property::Char(value) => json!(["char", format!("char:{value}")]),
    }
}

fn xid(xid: &Xid) -> Value {
    json!({
        "fmt": xid.format_id, "bq": hex(&xid.branch_qualifier),
        "gtx": hex(&xid.global_transaction_id),
    })
}

fn piece(bytes: usize) -> String {
    format!("({bytes} bytes)")
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
