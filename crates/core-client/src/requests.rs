//! Packets that are built in more than one place, and what the broker's words become here.

use core_protocol::PROTOCOL_VERSION;
use core_protocol::packet::{
    CreateQueue, CreateQueueV2, CreateSession, Disconnect, DisconnectReason, DisconnectV2,
    DisconnectV3, Exception, Packet, QueueTail, Secret, SessQueueQueryResponseV3,
};

use crate::error::{LossReason, Refusal};
use crate::options::{ClientOptions, Endpoint, SessionMode};
use crate::topology::MemberUpdate;

/// The channel of the connection itself.
pub(crate) const CONNECTION_CHANNEL: i64 = 0;
/// The channel on which sessions are made.
pub(crate) const LOBBY_CHANNEL: i64 = 1;
/// The first channel a client may choose for a session.
pub(crate) const FIRST_SESSION_CHANNEL: i64 = 10;

/// Body size above which CORE clients send in pieces; also the piece size they ask for.
pub(crate) const MIN_LARGE_MESSAGE_BYTES: i32 = 102_400;

/// The confirmation window that says: confirm nothing, keep nothing for reattaching.
const NO_CONFIRMATIONS: i32 = -1;

pub(crate) fn create_session(
    options: &ClientOptions,
    name: &str,
    channel: i64,
    mode: SessionMode,
) -> CreateSession {
    CreateSession {
        name: name.to_owned(),
        channel,
        version: PROTOCOL_VERSION,
        user: options.user.clone(),
        password: options.password.clone().map(Secret::new),
        min_large_message_size: MIN_LARGE_MESSAGE_BYTES,
        xa: false,
        auto_commit_sends: mode.auto_commit_sends(),
        auto_commit_acks: mode.auto_commit_acks(),
        confirmation_window: NO_CONFIRMATIONS,
        pre_acknowledge: false,
        default_address: None,
    }
}

/// How to make a consumer's queue again, if it may be missing on the other broker: only what is
/// not durable or was made on demand can be.
pub(crate) fn recreate_queue(
    queue: &str,
    described: &SessQueueQueryResponseV3,
) -> Option<CreateQueueV2> {
    if described.durable && !described.auto_created {
        return None;
    }
    let address = described.address.clone();
    let settings = QueueTail {
        exclusive: described.exclusive,
        last_value: described.last_value,
        last_value_key: described.last_value_key.clone(),
        non_destructive: described.non_destructive,
        consumers_before_dispatch: described.consumers_before_dispatch,
        delay_before_dispatch_ms: described.delay_before_dispatch_ms,
        group_rebalance: described.group_rebalance,
        group_buckets: described.group_buckets,
        auto_delete: described.auto_delete,
        auto_delete_delay_ms: described.auto_delete_delay_ms,
        auto_delete_message_count: described.auto_delete_message_count,
        group_first_key: described.group_first_key.clone(),
        ring_size: described.ring_size,
        enabled: described.enabled,
        group_rebalance_pause_dispatch: described.group_rebalance_pause_dispatch,
    };
    Some(CreateQueueV2 {
        queue: CreateQueue {
            address: address.unwrap_or_else(|| queue.to_owned()),
            queue: described.name.clone().unwrap_or_else(|| queue.to_owned()),
            filter: described.filter.clone(),
            durable: described.durable,
            temporary: described.temporary,
            requires_response: true,
        },
        auto_created: described.auto_created,
        routing_type: described.routing_type,
        max_consumers: described.max_consumers,
        purge_on_no_consumers: described.purge_on_no_consumers,
        settings,
    })
}

pub(crate) fn refusal(call: &'static str, exception: &Exception) -> Refusal {
    let message = exception.message.clone();
    Refusal {
        call,
        code: exception.code,
        message: message.unwrap_or_else(|| "no text".to_owned()),
    }
}

/// What a topology packet says about a member; `None` for other packets.
///
/// The second value is whether the initial list ends here.
pub(crate) fn member_update(packet: &Packet) -> Option<(MemberUpdate, bool)> {
    let (node_id, event_id, pair) = if let Packet::ClusterTopologyV4(packet) = packet {
        let inner = &packet.topology.topology;
        (&inner.node_id, inner.event_id, &inner.pair)
    } else if let Packet::ClusterTopologyV3(packet) = packet {
        let inner = &packet.topology;
        (&inner.node_id, inner.event_id, &inner.pair)
    } else if let Packet::ClusterTopologyV2(packet) = packet {
        (&packet.node_id, packet.event_id, &packet.pair)
    } else if let Packet::ClusterTopology(packet) = packet {
        (&packet.node_id, 0, &packet.pair)
    } else {
        return None;
    };
    let endpoint = |connector: &Option<core_protocol::Connector>| {
        let connector = connector.as_ref()?;
        Some(Endpoint::new(connector.host()?, connector.port()?))
    };
    let update = MemberUpdate {
        node_id: node_id.clone(),
        event_id,
        exit: pair.is_none(),
        live: pair.as_ref().and_then(|pair| endpoint(&pair.primary)),
        backup: pair.as_ref().and_then(|pair| endpoint(&pair.backup)),
    };
    Some((update, pair.as_ref().is_some_and(|pair| pair.last)))
}

/// The broker sends its clients away; `None` for other packets.
pub(crate) fn sent_away(packet: &Packet) -> Option<(LossReason, Option<Endpoint>)> {
    let (code, target) = if let Packet::DisconnectV3(DisconnectV3 { reason, target, .. }) = packet {
        let code = match reason {
            DisconnectReason::Redirect => 0,
            DisconnectReason::RedirectCritical => 1,
            DisconnectReason::ScaleDown => 2,
            DisconnectReason::ScaleDownCritical => 3,
            DisconnectReason::Shutdown => 4,
            DisconnectReason::ShutdownCritical => 5,
        };
        (code, target.as_ref())
    } else if matches!(
        packet,
        Packet::Disconnect(Disconnect { .. }) | Packet::DisconnectV2(DisconnectV2 { .. })
    ) {
        (-1, None)
    } else {
        return None;
    };
    let redirect = target.and_then(|target| Some(Endpoint::new(target.host()?, target.port()?)));
    Some((LossReason::SentAway { code }, redirect))
}
