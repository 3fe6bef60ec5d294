//! Clients that do what no good client does; a good one is served all the while.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever packet a test does not expect fails it"
)]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use core_protocol::framing::{FrameDecoder, HANDSHAKE};
use core_protocol::packet::{
    CreateSession, Frame, Packet, Ping, Secret, SessCreateConsumer, SessFlowToken, SessQueueQuery,
};
use core_protocol::server::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A client that says exactly what a test wants.
struct Raw {
    stream: TcpStream,
    decoder: FrameDecoder,
}

impl Raw {
    async fn silent(port: u16) -> Self {
        Self {
            stream: TcpStream::connect(("127.0.0.1", port)).await.unwrap(),
            decoder: FrameDecoder::client(1 << 30),
        }
    }

    async fn core(port: u16) -> Self {
        let mut raw = Self::silent(port).await;
        raw.stream.write_all(HANDSHAKE).await.unwrap();
        raw
    }

    async fn send(&mut self, channel: i64, packet: impl Into<Packet>) {
        let mut bytes = BytesMut::new();
        packet.into().encode(channel, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next packet; `None` when the broker has closed the connection.
    async fn packet(&mut self) -> Option<Packet> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(Frame::decode(&frame).unwrap().packet);
            }
            let mut bytes = BytesMut::with_capacity(64 * 1024);
            let read = self.stream.read_buf(&mut bytes);
            match tokio::time::timeout(PATIENCE, read).await.unwrap() {
                Ok(0) | Err(_) => return None,
                Ok(_) => self.decoder.feed(bytes.freeze()),
            }
        }
    }

    async fn is_closed_by_broker(&mut self) -> bool {
        self.packet().await.is_none()
    }

    async fn ask_for_session(&mut self, channel: i64, credentials: Option<(&str, &str)>) {
        let (user, password) = credentials.unzip();
        let session = CreateSession {
            name: format!("session {channel}"),
            channel,
            version: core_protocol::PROTOCOL_VERSION,
            user: user.map(Into::into),
            password: password.map(Secret::new),
            min_large_message_size: 102_400,
            xa: false,
            auto_commit_sends: true,
            auto_commit_acks: true,
            confirmation_window: -1,
            pre_acknowledge: false,
            default_address: None,
        };
        self.send(1, session).await;
    }
}

async fn serves_a_good_client(port: u16) {
    let client = client(port).await;
    let session = client.session(SessionMode::AutoAcknowledge).await.unwrap();
    session
        .ensure_queue("good", "good", Routing::Anycast)
        .await
        .unwrap();
    let producer = session.producer("good").await.unwrap();
    producer.send(&text("good", "as ever")).await.unwrap();
    let consumer = session.consumer("good", WINDOW_BYTES).await.unwrap();
    let delivery = consumer.receive(PATIENCE).await.unwrap().unwrap();
    consumer.acknowledge(&delivery).await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_core_is_closed_and_nobody_else_notices() {
    let term = term(true).await;
    let two_gigabytes = [HANDSHAKE.as_slice(), b"\x7f\xff\xff\xff\x0a"].concat();
    let no_packet = [HANDSHAKE.as_slice(), b"\0\0\0\x0a\x77\0\0\0\0\0\0\0\x0a\0"].concat();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".as_slice(),
        b"AMQP\x03\x01\0\0",
        b"\x10\x1a\0\x04MQTT\x04\x02\0\x3c",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        &[0xa5; 4096],
        &two_gigabytes,
        &no_packet,
    ] {
        let mut raw = Raw::silent(term.port).await;
        raw.stream.write_all(bytes).await.unwrap();
        assert!(raw.is_closed_by_broker().await, "{bytes:?}");
    }
    serves_a_good_client(term.port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_silent_and_the_half_said_are_closed_in_time() {
    let term = term_with(true, |parts| {
        parts.protocol = ServerConfig {
            handshake_timeout_ms: 500,
            default_ttl_ms: 500,
            ..ServerConfig::default()
        };
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Raw::silent(term.port).await);
    }
    let mut half = Raw::core(term.port).await;
    half.stream.write_all(b"\0\0\0\x40\x1e").await.unwrap();
    serves_a_good_client(term.port).await;
    for raw in silent.iter_mut().chain([&mut half]) {
        assert!(raw.is_closed_by_broker().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_acceptor_closes_at_once_and_has_room_again() {
    let term = term_with(true, |parts| {
        parts.listeners[0].connections_allowed = Some(2);
    })
    .await;
    let mut first = Raw::core(term.port).await;
    let mut second = Raw::core(term.port).await;
    for raw in [&mut first, &mut second] {
        raw.send(0, Ping { ttl_ms: 60_000 }).await;
        assert!(raw.packet().await.is_some());
    }
    let mut third = Raw::silent(term.port).await;
    assert!(third.is_closed_by_broker().await);
    drop(first);
    let free = async {
        loop {
            let mut raw = Raw::silent(term.port).await;
            // Either write may meet a connection that was closed already.
            let _ = raw.stream.write_all(HANDSHAKE).await;
            let mut bytes = BytesMut::new();
            Packet::from(Ping { ttl_ms: 60_000 }).encode(0, &mut bytes);
            let _ = raw.stream.write_all(&bytes).await;
            if raw.packet().await.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

/// Messages waiting for the slow reader: far more bytes than it may be handed.
const BACKLOG: usize = 6000;
const BODY: usize = 8000;

async fn fill(port: u16, queue: &str) {
    let client = client(port).await;
    let session = client.session(SessionMode::Transacted).await.unwrap();
    session
        .ensure_queue(queue, queue, Routing::Anycast)
        .await
        .unwrap();
    let producer = session.producer(queue).await.unwrap();
    let body = "x".repeat(BODY);
    for number in 0..BACKLOG {
        producer.send(&text(queue, &body)).await.unwrap();
        if number % 500 == 499 {
            session.commit().await.unwrap();
        }
    }
    client.close().await.unwrap();
}

/// A consumer without a window that never reads is not handed the queue: others get it. It lives as long as it
/// pings, and gets its messages when it reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_handed_a_bounded_part_and_lives() {
    let ttl = Duration::from_secs(1);
    let term = term(true).await;
    fill(term.port, "backlog").await;

    let mut slow = Raw::core(term.port).await;
    let ttl_ms = i64::try_from(ttl.as_millis()).unwrap();
    slow.send(0, Ping { ttl_ms }).await;
    slow.ask_for_session(10, None).await;
    slow.send(0, Ping { ttl_ms }).await;
    for _ in 0..3 {
        assert!(slow.packet().await.is_some());
    }
    let consumer = SessCreateConsumer {
        consumer_id: 1,
        queue: "backlog".to_owned(),
        filter: None,
        browse_only: false,
        requires_response: false,
        priority: 0,
    };
    slow.send(10, consumer).await;
    slow.send(10, Packet::SessStart).await;
    let unlimited = SessFlowToken {
        consumer_id: 1,
        credits: -1,
    };
    slow.send(10, unlimited).await;
    for _ in 0..12 {
        tokio::time::sleep(ttl / 4).await;
        slow.send(0, Ping { ttl_ms }).await;
    }

    let other = client(term.port).await;
    let session = other.session(SessionMode::AutoAcknowledge).await.unwrap();
    let consumer = session.consumer("backlog", WINDOW_BYTES).await.unwrap();
    let left = BACKLOG / 4;
    for number in 0..left {
        let delivery = consumer.receive(PATIENCE).await.unwrap();
        let delivery = delivery.unwrap_or_else(|| panic!("only {number} left for others"));
        if number % 100 == 99 {
            consumer.acknowledge(&delivery).await.unwrap();
        }
    }
    other.close().await.unwrap();

    let (mut deliveries, mut pings) = (0, 0);
    while deliveries < BACKLOG / 2 || pings < 12 {
        match slow.packet().await.expect("the slow reader was closed") {
            Packet::SessReceiveMessage(_) => deliveries += 1,
            Packet::Ping(_) => pings += 1,
            other => panic!("{other:?}"),
        }
        if (deliveries + pings) % 100 == 0 {
            slow.send(0, Ping { ttl_ms }).await;
        }
    }
}

/// A client that asks and asks and reads no answer is not read either, and holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_is_not_read() {
    let term = term(true).await;
    let mut flood = Raw::core(term.port).await;
    flood.ask_for_session(10, None).await;
    assert!(flood.packet().await.is_some());
    let mut bytes = BytesMut::new();
    for _ in 0..1000 {
        let query = SessQueueQuery {
            queue: "q".repeat(400),
        };
        Packet::from(query).encode(10, &mut bytes);
    }
    let bytes: Bytes = bytes.freeze();
    let mut sent = 0_u64;
    let stuck = loop {
        let written = tokio::time::timeout(Duration::from_secs(1), flood.stream.write_all(&bytes));
        match written.await {
            Ok(written) => written.unwrap(),
            Err(_) => break true,
        }
        sent += 1000;
        if sent > 1_000_000 {
            break false;
        }
    };
    assert!(stuck, "{sent} questions were taken without one answer read");
    serves_a_good_client(term.port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_wait_longer_and_hold_up_nothing_else() {
    let term = term(true).await;
    let mut raw = Raw::core(term.port).await;
    raw.ask_for_session(10, Some(("admin", "password"))).await;
    assert!(matches!(
        raw.packet().await,
        Some(Packet::CreateSessionResponse(_))
    ));
    let mut waits = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        raw.ask_for_session(11, Some(("admin", "guess"))).await;
        raw.send(0, Ping { ttl_ms: 60_000 }).await;
        let query = SessQueueQuery {
            queue: "none".to_owned(),
        };
        raw.send(10, query).await;
        let mut quick = 0;
        loop {
            match raw.packet().await.unwrap() {
                Packet::Exception(refusal) => {
                    assert!(refusal.message.unwrap().contains("AMQ229031"));
                    break;
                }
                Packet::Ping(_) | Packet::SessQueueQueryResponseV3(_) => quick += 1,
                other => panic!("{other:?}"),
            }
        }
        waits.push((begin.elapsed(), quick));
    }
    let (fifth, quick) = waits[4];
    assert!(fifth >= Duration::from_millis(800), "{waits:?}");
    assert_eq!(quick, 2, "the ping and the other session waited too");
    // The right password from the same address does not wait.
    let begin = Instant::now();
    let options = ClientOptions::new([Endpoint::new("127.0.0.1", term.port)])
        .with_credentials("admin", "password");
    let client = Client::connect(options).await.unwrap();
    client.session(SessionMode::AutoAcknowledge).await.unwrap();
    assert!(begin.elapsed() < fifth);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_asked_at_once_are_answered_or_refused_in_order() {
    let term = term(true).await;
    let mut raw = Raw::core(term.port).await;
    for channel in 10..110 {
        raw.ask_for_session(channel, Some(("admin", "password")))
            .await;
    }
    let (mut opened, mut refused) = (0, 0);
    while opened + refused < 100 {
        match raw.packet().await.unwrap() {
            Packet::CreateSessionResponse(_) => opened += 1,
            Packet::Exception(refusal) => {
                assert!(refusal.message.unwrap().contains("wait to be opened"));
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(opened >= 16, "{opened} opened, {refused} refused");
    serves_a_good_client(term.port).await;
}
