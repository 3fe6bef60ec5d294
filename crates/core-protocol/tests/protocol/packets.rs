//! Packets that no recording holds, byte by byte, and those that have more than one shape.

use bytes::{Bytes, BytesMut};
use core_protocol::packet::{
    ClusterTopology, ClusterTopologyV2, ClusterTopologyV3, CreateQueue, CreateQueueV2,
    CreateSharedQueue, Disconnect, DisconnectConsumerKill, DisconnectReason, DisconnectV2,
    DisconnectV3, Exception, NullResponse, QueueTail, Role, SessAddMetadata, SessAddMetadata2,
    SessCommit, SessExpired, SessProducerFailCredits, SessXaFailed, SessXaJoin, SessXaResponse,
    SubscribeTopology, TopologyPair,
};
use core_protocol::{Connector, DecodeError, Frame, Packet, ParamValue, Xid};

/// Encodes to a frame with these fields on channel 10, and decodes from it.
fn assert_fields(packet: impl Into<Packet>, fields: &[u8]) {
    let packet = packet.into();
    let mut encoded = BytesMut::new();
    assert_eq!(packet.encode(10, &mut encoded), packet.encoded_len());
    assert_eq!(encoded[13..], *fields, "{}", packet.name());
    let decoded = Frame::decode(&encoded.freeze()).unwrap();
    assert_eq!(
        decoded,
        Frame {
            channel: 10,
            packet
        }
    );
}

#[test]
fn what_a_node_says_when_it_goes() {
    assert_fields(
        Disconnect {
            node_id: Some("n".to_owned()),
        },
        b"\x01\0\0\0\x02n\0",
    );
    assert_fields(Disconnect { node_id: None }, b"\0");
    let packet = DisconnectV2 {
        node_id: None,
        scale_down_node_id: Some("n".to_owned()),
    };
    assert_fields(packet, b"\0\x01\0\0\0\x02n\0");
    assert_fields(DisconnectConsumerKill { node_id: None }, b"\0");
}

#[test]
fn a_redirect_carries_a_connector_with_every_kind_of_parameter() {
    let params = [
        ("b", ParamValue::Bool(true)),
        ("i", ParamValue::Int(1)),
        ("l", ParamValue::Long(2)),
        ("t", ParamValue::Text("x".to_owned())),
    ];
    let target = Connector {
        name: "c".to_owned(),
        factory_class: "f".to_owned(),
        params: params.map(|(key, value)| (key.to_owned(), value)).to_vec(),
    };
    let packet = DisconnectV3 {
        node_id: None,
        reason: DisconnectReason::Redirect,
        target_node_id: None,
        target: Some(target),
    };
    let fields = b"\0\0\0\xff\
        \0\0\0\x01\0c\0\0\0\x01\0f\0\0\0\x04\
        \0\0\0\x01\0b\0\xff\
        \0\0\0\x01\0i\x01\0\0\0\x01\
        \0\0\0\x01\0l\x02\0\0\0\0\0\0\0\x02\
        \0\0\0\x01\0t\x03\0\0\0\x01\0x";
    assert_fields(packet, fields);
}

#[test]
fn a_connector_names_its_host_and_port_in_any_form() {
    let mut connector = Connector::tcp("c", "broker", 61616);
    assert_eq!(
        (connector.host(), connector.port()),
        (Some("broker"), Some(61616))
    );
    for (value, port) in [
        (ParamValue::Int(5), Some(5)),
        (ParamValue::Long(6), Some(6)),
        (ParamValue::Text("65536".to_owned()), None),
        (ParamValue::Int(-1), None),
        (ParamValue::Bool(true), None),
    ] {
        connector.params[0].1 = value;
        assert_eq!(connector.port(), port);
    }
}

#[test]
fn every_version_of_the_topology_tells_members_and_those_that_left() {
    let pair = || {
        Some(TopologyPair {
            primary: None,
            backup: None,
            last: true,
        })
    };
    let node_id = || "n".to_owned();
    assert_fields(
        SubscribeTopology {
            is_cluster_connection: true,
        },
        b"\xff",
    );
    let packet = ClusterTopology {
        node_id: node_id(),
        pair: pair(),
    };
    assert_fields(packet, b"\0\0\0\0\x01\0n\0\0\xff");
    let packet = ClusterTopology {
        node_id: node_id(),
        pair: None,
    };
    assert_fields(packet, b"\xff\0\0\0\x01\0n");
    let v2 = |pair| ClusterTopologyV2 {
        node_id: node_id(),
        event_id: 7,
        pair,
        backup_group: None,
    };
    assert_fields(v2(None), b"\xff\0\0\0\x01\0n\0\0\0\0\0\0\0\x07\0");
    assert_fields(v2(pair()), b"\0\0\0\0\x01\0n\0\0\0\0\0\0\0\x07\0\0\xff\0");
    let packet = ClusterTopologyV3 {
        topology: v2(None),
        scale_down_group: Some("g".to_owned()),
    };
    assert_fields(
        packet,
        b"\xff\0\0\0\x01\0n\0\0\0\0\0\0\0\x07\0\x01\0\0\0\x01\0g",
    );
}

fn create_queue() -> CreateQueue {
    CreateQueue {
        address: "a".to_owned(),
        queue: "q".to_owned(),
        filter: Some("f".to_owned()),
        durable: true,
        temporary: false,
        requires_response: true,
    }
}

#[test]
fn the_older_ways_of_creating_a_queue() {
    assert_fields(
        create_queue(),
        b"\0\0\0\x02a\0\0\0\0\x02q\0\x01\0\0\0\x02f\0\xff\0\xff",
    );
    let packet = CreateSharedQueue {
        address: "a".to_owned(),
        queue: "q".to_owned(),
        filter: None,
        durable: false,
        requires_response: true,
    };
    assert_fields(packet, b"\0\0\0\x02a\0\0\0\0\x02q\0\0\0\xff");
}

#[test]
fn the_tail_of_a_queue_may_stop_after_each_group() {
    let settings = QueueTail {
        exclusive: Some(true),
        last_value: Some(false),
        last_value_key: Some("k".to_owned()),
        non_destructive: Some(true),
        consumers_before_dispatch: Some(1),
        delay_before_dispatch_ms: Some(2),
        group_rebalance: Some(true),
        group_buckets: Some(3),
        auto_delete: Some(true),
        auto_delete_delay_ms: Some(4),
        auto_delete_message_count: Some(5),
        group_first_key: Some("g".to_owned()),
        ring_size: Some(6),
        enabled: Some(true),
        group_rebalance_pause_dispatch: Some(true),
    };
    let packet = |settings| {
        Packet::from(CreateQueueV2 {
            queue: create_queue(),
            auto_created: true,
            routing_type: 1,
            max_consumers: -1,
            purge_on_no_consumers: false,
            settings,
        })
    };
    let mut whole = BytesMut::new();
    packet(settings.clone()).encode(10, &mut whole);
    let cut_to = |length: usize| {
        let mut bytes = whole[..length].to_vec();
        bytes[..4].copy_from_slice(&i32::try_from(length - 4).unwrap().to_be_bytes());
        Frame::decode(&Bytes::from(bytes)).map(|frame| frame.packet)
    };
    let nothing = QueueTail::default();
    let first = QueueTail {
        exclusive: Some(true),
        last_value: Some(false),
        ..nothing.clone()
    };
    let second = QueueTail {
        group_first_key: None,
        ring_size: None,
        enabled: None,
        group_rebalance_pause_dispatch: None,
        ..settings.clone()
    };
    let key = QueueTail {
        group_first_key: Some("g".to_owned()),
        ..second.clone()
    };
    let ring = QueueTail {
        ring_size: Some(6),
        ..key.clone()
    };
    let enabled = QueueTail {
        enabled: Some(true),
        ..ring.clone()
    };
    let groups = [
        (2 + 2 + 9 + 7 + 4 + 50, nothing),
        (2 + 2 + 9 + 7 + 50, first),
        (2 + 2 + 9 + 7, second),
        (2 + 2 + 9, key),
        (2 + 2, ring),
        (2, enabled),
        (0, settings),
    ];
    for (missing, expected) in groups {
        let length = whole.len() - missing;
        assert_eq!(
            cut_to(length),
            Ok(packet(expected)),
            "{missing} bytes missing"
        );
        assert!(
            missing == 0 || cut_to(length + 1).is_err(),
            "{missing} bytes missing and one more"
        );
    }
}

#[test]
fn correlation_ids_may_be_absent() {
    assert_fields(SessCommit { correlation: None }, b"");
    assert_fields(
        SessCommit {
            correlation: Some(-2),
        },
        b"\xff\xff\xff\xff\xff\xff\xff\xfe",
    );
    assert_fields(NullResponse { correlation: None }, b"");
    assert_fields(NullResponse::to(None), b"\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_fields(NullResponse::to(Some(3)), b"\0\0\0\0\0\0\0\x03");
    let exception = |correlation| Exception {
        code: 1,
        message: None,
        correlation,
    };
    assert_fields(exception(None), b"\0\0\0\x01\0");
    assert_fields(exception(Some(2)), b"\0\0\0\x01\0\0\0\0\0\0\0\0\x02");
    let xa = SessXaResponse {
        error: true,
        code: -4,
        message: None,
        correlation: Some(-1),
    };
    assert_fields(
        xa,
        b"\xff\xff\xff\xff\xfc\0\xff\xff\xff\xff\xff\xff\xff\xff",
    );
    let half = Bytes::from_static(b"\0\0\0\x0d\x15\0\0\0\0\0\0\0\x0a\0\0\0\x01");
    assert!(matches!(
        Frame::decode(&half),
        Err(DecodeError::Truncated { left: 4, .. })
    ));
}

#[test]
fn the_rest_of_what_a_session_may_say() {
    let packet = SessExpired {
        consumer_id: 1,
        message_id: 2,
    };
    assert_fields(packet, b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02");
    let packet = SessAddMetadata {
        key: "k".to_owned(),
        data: String::new(),
    };
    assert_fields(packet, b"\0\0\0\x01\0k\0\0\0\0");
    let packet = SessProducerFailCredits {
        credits: 9,
        address: "a".to_owned(),
    };
    assert_fields(packet, b"\0\0\0\x09\0\0\0\x02a\0");
    let xid = Xid {
        format_id: 1,
        branch_qualifier: vec![2],
        global_transaction_id: vec![3, 4],
    };
    let fields = b"\0\0\0\x01\0\0\0\x01\x02\0\0\0\x02\x03\x04";
    assert_fields(SessXaFailed { xid: xid.clone() }, fields);
    assert_fields(SessXaJoin { xid }, fields);
}

#[test]
fn a_true_may_be_any_byte_but_zero() {
    let bytes = Bytes::from_static(b"\0\0\0\x0a\x70\0\0\0\0\0\0\0\x0a\x02");
    let packet = Frame::decode(&bytes).unwrap().packet;
    assert_eq!(
        packet,
        SubscribeTopology {
            is_cluster_connection: true
        }
        .into()
    );
}

#[test]
fn a_reason_that_does_not_exist_is_refused() {
    let bytes = Bytes::from_static(b"\0\0\0\x0d\xed\0\0\0\0\0\0\0\0\0\x06\0\0");
    let field = "DisconnectV3.reason";
    assert_eq!(
        Frame::decode(&bytes),
        Err(DecodeError::UnknownKind { field, kind: 6 })
    );
}

#[test]
fn requests_say_whether_they_are_answered() {
    let unanswered = CreateQueue {
        requires_response: false,
        ..create_queue()
    };
    let metadata = |requires_confirmation| {
        let (key, data) = (String::new(), String::new());
        Packet::from(SessAddMetadata2 {
            key,
            data,
            requires_confirmation,
        })
    };
    let old_metadata = Packet::from(SessAddMetadata {
        key: String::new(),
        data: String::new(),
    });
    assert_eq!(
        Packet::from(create_queue()).role(),
        Role::Request { answered: true }
    );
    assert_eq!(
        Packet::from(unanswered).role(),
        Role::Request { answered: false }
    );
    assert_eq!(old_metadata.role(), Role::Request { answered: true });
    assert!(!old_metadata.is_counted());
    assert!(metadata(true).is_counted() && !metadata(false).is_counted());
    assert!(Packet::from(NullResponse::to(None)).is_counted());
    let commit = Packet::from(SessCommit {
        correlation: Some(-3),
    });
    assert_eq!(
        (
            commit.answer_correlation(),
            Packet::SessStop.answer_correlation()
        ),
        (-3, -1)
    );
}
