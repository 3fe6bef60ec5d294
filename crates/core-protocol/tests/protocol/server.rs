//! The connection machine: handshake, liveness, versions, sessions, confirmations.

use bytes::{Bytes, BytesMut};
use core_protocol::framing::{FrameDecoder, FramingError, SniffedProtocol};
use core_protocol::packet::{
    CheckForFailover, CheckForFailoverReply, ClusterTopologyV4, CreateSession,
    CreateSessionResponse, CreateSessionV2, DisconnectReason, Exception, NullResponse,
    PacketsConfirmed, Ping, ReattachSession, ReattachSessionResponse, SessFlowToken,
    SessQueueQuery, SubscribeTopology, SubscribeTopologyV2,
};
use core_protocol::server::{
    CONFIRM_INTERVAL_MS, ConnectionError, DEFAULT_HANDSHAKE_TIMEOUT_MS, Event,
    MAX_FRAME_BYTES_BEFORE_SESSION, ServerConfig, ServerConnection, TopologyMember,
};
use core_protocol::{Connector, DecodeError, Frame, Packet, exception};

const OPENED_MS: u64 = 1_000;

/// A machine and the client at its other end.
struct Pair {
    server: ServerConnection,
    now_ms: u64,
}

impl Pair {
    fn new(config: ServerConfig) -> Self {
        Self {
            server: ServerConnection::new(config, OPENED_MS),
            now_ms: OPENED_MS,
        }
    }

    fn connected() -> Self {
        Self::connected_with(ServerConfig::default())
    }

    fn connected_with(config: ServerConfig) -> Self {
        let mut pair = Self::new(config);
        pair.bytes(b"ARTEMIS").unwrap();
        pair
    }

    /// With a session on channel 10.
    fn with_session(confirmation_window: i32) -> Self {
        let mut pair = Self::connected();
        pair.sends(1, session(10, 136, confirmation_window))
            .unwrap();
        assert!(matches!(
            pair.server.poll_event(),
            Some(Event::SessionRequested(_))
        ));
        pair.server.accept_session(10);
        let response = CreateSessionResponse {
            server_version: 136,
        };
        assert_eq!(pair.receives(), [(1, response.into())]);
        pair
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.server
            .handle_input(Bytes::copy_from_slice(bytes), self.now_ms)
    }

    fn sends(&mut self, channel: i64, packet: impl Into<Packet>) -> Result<(), ConnectionError> {
        let mut bytes = BytesMut::new();
        packet.into().encode(channel, &mut bytes);
        self.server.handle_input(bytes.freeze(), self.now_ms)
    }

    fn receives(&mut self) -> Vec<(i64, Packet)> {
        let mut decoder = FrameDecoder::client(1 << 20);
        if let Some(bytes) = self.server.poll_output() {
            decoder.feed(bytes);
        }
        let mut packets = Vec::new();
        while let Some(bytes) = decoder.next_frame().unwrap() {
            let frame = Frame::decode(&bytes).unwrap();
            packets.push((frame.channel, frame.packet));
        }
        packets
    }

    fn waits(&mut self, milliseconds: u64) -> Result<(), ConnectionError> {
        self.now_ms += milliseconds;
        self.server.handle_timeout(self.now_ms)
    }
}

fn session(channel: i64, version: i32, confirmation_window: i32) -> CreateSession {
    CreateSession {
        name: format!("session {channel}"),
        channel,
        version,
        user: None,
        password: None,
        min_large_message_size: 102_400,
        xa: false,
        auto_commit_sends: true,
        auto_commit_acks: true,
        confirmation_window,
        pre_acknowledge: false,
        default_address: None,
    }
}

fn member() -> TopologyMember {
    TopologyMember {
        node_id: "a node".to_owned(),
        event_id: 5,
        primary: Some(Connector::tcp("artemis", "127.0.0.1", 61616)),
        backup: None,
    }
}

fn query() -> Packet {
    SessQueueQuery {
        queue: "TEST".to_owned(),
    }
    .into()
}

fn flow_token() -> Packet {
    SessFlowToken {
        consumer_id: 0,
        credits: 1,
    }
    .into()
}

fn confirmed(command_id: i32) -> Packet {
    PacketsConfirmed { command_id }.into()
}

fn null_response() -> Packet {
    NullResponse::to(None).into()
}

fn refused_with(packets: &[(i64, Packet)]) -> Option<i32> {
    match packets {
        [
            (
                1,
                Packet::Exception(Exception {
                    code,
                    correlation: None,
                    ..
                }),
            ),
        ] => Some(*code),
        _ => None,
    }
}

#[test]
fn a_subscription_is_answered_in_the_words_of_the_clients_version() {
    let names = |subscribe: Packet| {
        let mut pair = Pair::connected();
        pair.sends(0, subscribe).unwrap();
        assert!(matches!(
            pair.server.poll_event(),
            Some(Event::TopologyRequested { .. })
        ));
        assert!(pair.server.is_subscribed());
        pair.server.send_topology(&member(), true);
        pair.server.send_node_left("a node", 6);
        pair.receives()
            .iter()
            .map(|(_, packet)| packet.name())
            .collect::<Vec<_>>()
    };
    let of_version = |client_version| {
        names(
            SubscribeTopologyV2 {
                is_cluster_connection: false,
                client_version,
            }
            .into(),
        )
    };
    assert_eq!(
        of_version(136),
        ["CLUSTER_TOPOLOGY_V4", "CLUSTER_TOPOLOGY_V2"]
    );
    assert_eq!(
        of_version(130),
        ["CLUSTER_TOPOLOGY_V3", "CLUSTER_TOPOLOGY_V2"]
    );
    assert_eq!(
        of_version(124),
        ["CLUSTER_TOPOLOGY_V2", "CLUSTER_TOPOLOGY_V2"]
    );
    let untold = names(
        SubscribeTopology {
            is_cluster_connection: false,
        }
        .into(),
    );
    assert_eq!(untold, ["CLUSTER_TOPOLOGY", "CLUSTER_TOPOLOGY"]);
}

#[test]
fn a_topology_packet_carries_the_member_and_the_version() {
    let mut pair = Pair::connected();
    pair.server.send_topology(&member(), true);
    let packets = pair.receives();
    let [
        (
            0,
            Packet::ClusterTopologyV4(ClusterTopologyV4 {
                topology,
                server_version: 136,
            }),
        ),
    ] = &packets[..]
    else {
        panic!("{packets:?}");
    };
    let inner = &topology.topology;
    let topology_pair = inner.pair.as_ref().unwrap();
    assert_eq!((inner.node_id.as_str(), inner.event_id), ("a node", 5));
    assert_eq!((topology_pair.last, &topology_pair.backup), (true, &None));
    let primary = topology_pair.primary.as_ref().unwrap();
    assert_eq!(
        (primary.host(), primary.port()),
        (Some("127.0.0.1"), Some(61616))
    );
}

#[test]
fn a_client_of_another_protocol_is_named() {
    let mut pair = Pair::new(ServerConfig::default());
    let error = pair.bytes(b"AMQP\x03\x01\0\0").unwrap_err();
    let expected = FramingError::NotCore {
        protocol: SniffedProtocol::Amqp,
    };
    assert_eq!(error, ConnectionError::Framing(expected));
    assert_eq!(error.to_string(), "an AMQP client on a CORE port");
    assert_eq!(pair.bytes(b"ARTEMIS"), Err(error));
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn a_client_without_handshake_is_closed() {
    let mut pair = Pair::new(ServerConfig::default());
    pair.bytes(b"ARTE").unwrap();
    assert_eq!(
        pair.server.poll_timeout(),
        Some(OPENED_MS + DEFAULT_HANDSHAKE_TIMEOUT_MS)
    );
    pair.waits(DEFAULT_HANDSHAKE_TIMEOUT_MS - 1).unwrap();
    let error = ConnectionError::HandshakeTimeout {
        timeout_ms: DEFAULT_HANDSHAKE_TIMEOUT_MS,
    };
    assert_eq!(pair.waits(1), Err(error));
}

#[test]
fn a_ping_is_echoed_and_sets_the_time_to_live() {
    let mut pair = Pair::connected();
    assert_eq!(pair.server.poll_timeout(), Some(OPENED_MS + 60_000));
    pair.sends(0, Ping { ttl_ms: 2_000 }).unwrap();
    assert_eq!(pair.receives(), [(0, Ping { ttl_ms: 2_000 }.into())]);
    pair.waits(1_500).unwrap();
    // Any byte keeps the connection, also a part of a packet.
    pair.bytes(&[0]).unwrap();
    assert_eq!(pair.server.poll_timeout(), Some(OPENED_MS + 3_500));
    pair.waits(1_999).unwrap();
    assert_eq!(
        pair.waits(1),
        Err(ConnectionError::TtlExpired { ttl_ms: 2_000 })
    );
}

#[test]
fn a_time_to_live_can_be_for_ever_and_overridden() {
    let mut pair = Pair::connected();
    pair.sends(0, Ping { ttl_ms: -1 }).unwrap();
    assert_eq!(pair.server.poll_timeout(), None);
    pair.waits(u64::from(u32::MAX)).unwrap();

    let config = ServerConfig {
        ttl_override_ms: Some(500),
        ..ServerConfig::default()
    };
    let mut pair = Pair::connected_with(config);
    pair.sends(0, Ping { ttl_ms: -1 }).unwrap();
    assert_eq!(
        pair.waits(500),
        Err(ConnectionError::TtlExpired { ttl_ms: 500 })
    );

    let config = ServerConfig {
        ttl_override_ms: Some(-1),
        ..ServerConfig::default()
    };
    let mut pair = Pair::connected_with(config);
    pair.sends(0, Ping { ttl_ms: 2_000 }).unwrap();
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn both_ways_of_asking_for_a_session_are_the_same_request() {
    let mut pair = Pair::connected();
    let v1 = session(10, 136, -1);
    let v2 = CreateSessionV2 {
        session: session(11, 136, -1),
        client_id: Some("id".to_owned()),
    };
    pair.sends(1, v1.clone()).unwrap();
    pair.sends(1, v2.clone()).unwrap();
    let mut requests = Vec::new();
    while let Some(event) = pair.server.poll_event() {
        let Event::SessionRequested(request) = event else {
            panic!("{event:?}")
        };
        requests.push((request.session, request.client_id));
    }
    assert_eq!(requests, [(v1, None), (v2.session, v2.client_id)]);
    pair.server.refuse_session(10, exception::SECURITY, "no");
    assert_eq!(refused_with(&pair.receives()), Some(exception::SECURITY));
    assert_eq!(pair.server.session_count(), 1);
}

#[test]
fn another_version_is_refused_and_the_connection_goes_on() {
    let mut pair = Pair::connected();
    for version in [135, 137] {
        pair.sends(1, session(10, version, -1)).unwrap();
        assert_eq!(
            refused_with(&pair.receives()),
            Some(exception::INCOMPATIBLE_VERSIONS)
        );
        assert_eq!(pair.server.poll_event(), None);
    }
    pair.sends(1, session(10, 136, -1)).unwrap();
    assert!(matches!(
        pair.server.poll_event(),
        Some(Event::SessionRequested(_))
    ));
}

#[test]
fn a_session_needs_a_channel_of_its_own() {
    let mut pair = Pair::with_session(-1);
    for channel in [10, 9, 0, -1] {
        pair.sends(1, session(channel, 136, -1)).unwrap();
        assert_eq!(
            refused_with(&pair.receives()),
            Some(exception::ILLEGAL_STATE)
        );
        assert_eq!(pair.server.poll_event(), None);
    }
}

#[test]
fn sessions_above_the_limit_are_refused() {
    let config = ServerConfig {
        max_sessions: 2,
        ..ServerConfig::default()
    };
    let mut pair = Pair::connected_with(config);
    for channel in 10..12 {
        pair.sends(1, session(channel, 136, -1)).unwrap();
    }
    assert_eq!(pair.receives(), []);
    pair.sends(1, session(12, 136, -1)).unwrap();
    assert_eq!(
        refused_with(&pair.receives()),
        Some(exception::ILLEGAL_STATE)
    );
    assert_eq!(pair.server.session_count(), 2);
}

#[test]
fn reattachment_is_refused_and_failover_allowed() {
    let mut pair = Pair::connected();
    pair.sends(
        1,
        CheckForFailover {
            node_id: Some("a node".to_owned()),
        },
    )
    .unwrap();
    pair.sends(
        1,
        ReattachSession {
            name: "old".to_owned(),
            last_confirmed: 3,
        },
    )
    .unwrap();
    let refusal = ReattachSessionResponse {
        last_confirmed: -1,
        reattached: false,
    };
    assert_eq!(
        pair.receives(),
        [
            (1, CheckForFailoverReply { ok: true }.into()),
            (1, refusal.into())
        ]
    );
}

#[test]
fn requests_reach_the_broker_only_on_the_channel_of_a_session() {
    let mut pair = Pair::with_session(-1);
    pair.sends(11, query()).unwrap();
    assert_eq!(pair.server.poll_event(), None);
    pair.sends(1, session(11, 136, -1)).unwrap();
    assert!(matches!(
        pair.server.poll_event(),
        Some(Event::SessionRequested(_))
    ));
    pair.sends(11, query()).unwrap();
    assert_eq!(
        pair.server.poll_event(),
        None,
        "the session is not accepted yet"
    );
    assert_eq!(pair.server.send(11, &null_response()), 0);
    // What only a broker says is ignored.
    pair.sends(10, NullResponse::to(None)).unwrap();
    pair.sends(10, PacketsConfirmed { command_id: 0 }).unwrap();
    assert_eq!(pair.server.poll_event(), None);
    pair.sends(10, query()).unwrap();
    let event = Event::Session {
        channel: 10,
        packet: Box::new(query()),
    };
    assert_eq!(pair.server.poll_event(), Some(event));
}

#[test]
fn what_only_a_broker_sends_is_not_even_decoded() {
    let mut pair = Pair::with_session(-1);
    // SESS_BINDINGQUERY_RESP_V5 with a count that its frame cannot hold.
    pair.bytes(b"\0\0\0\x0e\xea\0\0\0\0\0\0\0\x0a\0\x7f\xff\xff\xff")
        .unwrap();
    assert_eq!(pair.server.poll_event(), None);
    pair.sends(10, query()).unwrap();
    assert!(matches!(
        pair.server.poll_event(),
        Some(Event::Session { .. })
    ));
}

#[test]
fn large_frames_need_a_session() {
    let large = i32::try_from(MAX_FRAME_BYTES_BEFORE_SESSION)
        .unwrap()
        .to_be_bytes();
    let mut pair = Pair::connected();
    let error = pair.bytes(&large).unwrap_err();
    assert!(
        matches!(
            error,
            ConnectionError::Framing(FramingError::TooLarge { .. })
        ),
        "{error}"
    );
    Pair::with_session(-1).bytes(&large).unwrap();

    let config = ServerConfig {
        max_frame_bytes: 100,
        ..ServerConfig::default()
    };
    let mut pair = Pair::connected_with(config);
    assert!(pair.bytes(&97_i32.to_be_bytes()).is_err());
}

#[test]
fn an_unknown_packet_ends_the_connection_after_what_came_before_it() {
    let mut pair = Pair::with_session(-1);
    let mut bytes = BytesMut::new();
    query().encode(10, &mut bytes);
    bytes.extend_from_slice(b"\0\0\0\x09\x63\0\0\0\0\0\0\0\x0a");
    let unknown = DecodeError::UnknownPacket {
        packet_type: 0x63,
        channel: 10,
    };
    assert_eq!(pair.bytes(&bytes), Err(ConnectionError::Decode(unknown)));
    assert!(matches!(
        pair.server.poll_event(),
        Some(Event::Session { .. })
    ));
}

#[test]
fn a_closed_session_has_no_channel() {
    let mut pair = Pair::with_session(-1);
    pair.sends(10, Packet::SessClose).unwrap();
    assert!(matches!(
        pair.server.poll_event(),
        Some(Event::Session { .. })
    ));
    pair.sends(10, query()).unwrap();
    assert_eq!(
        pair.server.poll_event(),
        None,
        "nothing may follow a SESS_CLOSE"
    );
    pair.server.close_session(10);
    assert_eq!(pair.receives(), [(10, null_response())]);
    assert_eq!(pair.server.send(10, &null_response()), 0);
    assert_eq!(pair.server.session_count(), 0);
    pair.sends(1, session(10, 136, -1)).unwrap();
    assert!(matches!(
        pair.server.poll_event(),
        Some(Event::SessionRequested(_))
    ));
}

#[test]
fn a_full_window_is_confirmed_before_the_answer_that_fills_it() {
    let size = i32::try_from(query().encoded_len()).unwrap();
    let mut pair = Pair::with_session(2 * size);
    for _ in 0..2 {
        pair.sends(10, query()).unwrap();
    }
    assert_eq!(pair.receives(), []);
    pair.server.send(10, &null_response());
    pair.server.send(10, &null_response());
    let expected = [
        (10, null_response()),
        (10, confirmed(1)),
        (10, null_response()),
    ];
    assert_eq!(pair.receives(), expected);
}

#[test]
fn an_open_window_is_confirmed_after_a_while() {
    let mut pair = Pair::with_session(1_000_000);
    pair.sends(10, flow_token()).unwrap();
    assert_eq!(pair.receives(), []);
    assert_eq!(
        pair.server.poll_timeout(),
        Some(pair.now_ms + CONFIRM_INTERVAL_MS)
    );
    pair.waits(CONFIRM_INTERVAL_MS).unwrap();
    assert_eq!(pair.receives(), [(10, confirmed(0))]);
    assert_eq!(pair.server.poll_timeout(), Some(OPENED_MS + 60_000));
    pair.waits(CONFIRM_INTERVAL_MS).unwrap();
    assert_eq!(pair.receives(), []);
}

#[test]
fn without_a_window_nothing_is_confirmed() {
    let mut pair = Pair::with_session(-1);
    pair.sends(10, flow_token()).unwrap();
    pair.sends(10, Packet::SessClose).unwrap();
    pair.waits(CONFIRM_INTERVAL_MS).unwrap();
    pair.server.close_session(10);
    assert_eq!(pair.receives(), [(10, null_response())]);
}

#[test]
fn a_request_that_failed_is_not_confirmed() {
    let mut pair = Pair::with_session(0);
    pair.sends(10, query()).unwrap();
    let failure = Exception {
        code: exception::SECURITY,
        message: None,
        correlation: None,
    };
    let failure = Packet::from(failure);
    pair.server.send(10, &failure);
    assert_eq!(pair.receives(), [(10, failure)]);
    pair.sends(10, flow_token()).unwrap();
    assert_eq!(pair.receives(), [(10, confirmed(0))]);
}

#[test]
fn a_disconnect_names_the_node() {
    let mut pair = Pair::connected();
    pair.server
        .disconnect("a node", DisconnectReason::ScaleDown);
    let packets = pair.receives();
    let [(0, Packet::DisconnectV3(packet))] = &packets[..] else {
        panic!("{packets:?}")
    };
    assert_eq!(packet.node_id.as_deref(), Some("a node"));
    assert_eq!(packet.reason, DisconnectReason::ScaleDown);
    assert_eq!((&packet.target_node_id, &packet.target), (&None, &None));
}
