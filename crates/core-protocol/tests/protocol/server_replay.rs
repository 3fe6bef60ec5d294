//! The connection machine in place of the recorded broker: given the same input and the broker's own
//! answers, it writes the recorded bytes, channel by channel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use core_protocol::framing::FrameDecoder;
use core_protocol::server::{Event, ServerConfig, ServerConnection, TopologyMember};
use core_protocol::{Frame, Packet};

use crate::vectors::{self, Line};

/// The real broker reattached sessions here, which this one never does.
const REATTACHES: &str = "reattach-ok";

struct Replay {
    machine: ServerConnection,
    requested: VecDeque<i64>,
    closing: BTreeSet<i64>,
    expected: BTreeMap<i64, Vec<Bytes>>,
}

impl Replay {
    fn new() -> Self {
        Self {
            machine: ServerConnection::new(ServerConfig::default(), 0),
            requested: VecDeque::new(),
            closing: BTreeSet::new(),
            expected: BTreeMap::new(),
        }
    }

    fn client(&mut self, bytes: Bytes, now_ms: u64) {
        self.machine.handle_timeout(now_ms).unwrap();
        self.machine.handle_input(bytes, now_ms).unwrap();
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::TopologyRequested { client_version, .. } => {
                    assert_eq!(client_version, Some(136));
                }
                Event::SessionRequested(request) => {
                    self.requested.push_back(request.session.channel);
                }
                Event::Session { channel, packet } => {
                    if *packet == Packet::SessClose {
                        self.closing.insert(channel);
                    }
                }
            }
        }
    }

    /// Does what the recorded broker decided; what the machine decides itself must come from it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest is what sessions say"
    )]
    fn broker(&mut self, bytes: Bytes) {
        let Frame { channel, packet } = Frame::decode(&bytes).unwrap();
        self.expected.entry(channel).or_default().push(bytes);
        match &packet {
            Packet::Ping(_)
            | Packet::ReattachSessionResponse(_)
            | Packet::CheckForFailoverReply(_)
            | Packet::PacketsConfirmed(_) => {}
            Packet::ClusterTopologyV4(packet) => {
                let topology = &packet.topology.topology;
                let pair = topology.pair.as_ref().unwrap();
                let member = TopologyMember {
                    node_id: topology.node_id.clone(),
                    event_id: topology.event_id,
                    primary: pair.primary.clone(),
                    backup: pair.backup.clone(),
                };
                self.machine.send_topology(&member, pair.last);
            }
            Packet::DisconnectV3(packet) => {
                self.machine
                    .disconnect(packet.node_id.as_ref().unwrap(), packet.reason);
            }
            Packet::CreateSessionResponse(_) => {
                let channel = self.requested.pop_front().unwrap();
                self.machine.accept_session(channel);
            }
            Packet::Exception(packet) if channel == 1 => {
                let channel = self.requested.pop_front().unwrap();
                let text = packet.message.as_ref().unwrap();
                self.machine.refuse_session(channel, packet.code, text);
            }
            Packet::NullResponse(_) if self.closing.remove(&channel) => {
                self.machine.close_session(channel);
            }
            Packet::SessReceiveMessage(packet) => {
                let id = packet.message.id();
                let size = self.machine.send_receive(
                    channel,
                    &packet.message,
                    id,
                    packet.consumer_id,
                    packet.delivery_count,
                );
                assert_ne!(size, 0);
            }
            packet => assert_ne!(self.machine.send(channel, packet), 0, "{}", packet.name()),
        }
    }

    fn output(&mut self) -> BTreeMap<i64, Vec<Bytes>> {
        let mut decoder = FrameDecoder::client(1 << 30);
        if let Some(bytes) = self.machine.poll_output() {
            decoder.feed(bytes);
        }
        let mut frames: BTreeMap<i64, Vec<Bytes>> = BTreeMap::new();
        while let Some(bytes) = decoder.next_frame().unwrap() {
            let channel = Frame::decode(&bytes).unwrap().channel;
            frames.entry(channel).or_default().push(bytes);
        }
        frames
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "recordings take seconds"
)]
fn milliseconds(line: &Line) -> u64 {
    (line.seconds * 1000.0) as u64
}

#[test]
fn the_machine_writes_what_the_recorded_broker_wrote() {
    let mut connections = 0;
    for (file, lines) in vectors::all() {
        if file == REATTACHES {
            continue;
        }
        let mut replays: BTreeMap<u32, Replay> = BTreeMap::new();
        for line in &lines {
            let Some(bytes) = line.bytes() else { continue };
            let replay = replays.entry(line.conn).or_insert_with(|| {
                let mut replay = Replay::new();
                let opened_ms = milliseconds(line);
                replay.machine = ServerConnection::new(ServerConfig::default(), opened_ms);
                replay
            });
            if line.is_from_client() {
                replay.client(bytes, milliseconds(line));
            } else {
                replay.broker(bytes);
            }
        }
        for (conn, mut replay) in replays {
            assert_eq!(
                replay.output(),
                replay.expected,
                "{file}, connection {conn}"
            );
            connections += 1;
        }
    }
    assert!(connections > 60, "{connections} connections");
}

#[test]
fn recorded_confirmations_are_repeated() {
    let lines = &vectors::all()["jms-async-send-confirmation-window"];
    let mut replay = Replay::new();
    for line in lines.iter().filter(|line| line.conn == 1) {
        let Some(bytes) = line.bytes() else { continue };
        if line.is_from_client() {
            replay.client(bytes, milliseconds(line));
        } else {
            replay.broker(bytes);
        }
    }
    let mut confirmed = Vec::new();
    for bytes in replay.output().into_values().flatten() {
        let frame = Frame::decode(&bytes).unwrap();
        if let Packet::PacketsConfirmed(packet) = frame.packet {
            confirmed.push((frame.channel, packet.command_id));
        }
    }
    assert_eq!(confirmed, [(10, 1), (11, 25), (12, 6)]);
}
