//! Every recorded packet decodes, says what was recorded, and encodes to the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use core_protocol::framing::{DEFAULT_MAX_FRAME_BYTES, FrameDecoder, HANDSHAKE};
use core_protocol::{Frame, Packet};
use serde::Deserialize;

use crate::fields::fields;

/// One line of a vector file.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) conn: u32,
    #[serde(rename = "t")]
    pub(crate) seconds: f64,
    pub(crate) dir: String,
    name: Option<String>,
    channel: Option<i64>,
    #[serde(rename = "type")]
    packet_type: Option<i8>,
    fields: Option<serde_json::Value>,
    hex: Option<String>,
}

impl Line {
    pub(crate) fn is_from_client(&self) -> bool {
        self.dir == "client>server"
    }

    /// The bytes of a packet or of the handshake; none for an event.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        let hex = self.hex.as_ref()?;
        let bytes = (0..hex.len()).step_by(2);
        Some(
            bytes
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
        )
    }

    pub(crate) fn is_handshake(&self) -> bool {
        self.name.as_deref() == Some("HANDSHAKE")
    }
}

/// All vector files by name, without extension.
pub(crate) fn all() -> BTreeMap<String, Vec<Line>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            files.insert(name, lines.collect());
        }
    }
    files
}

#[test]
fn every_packet_decodes_and_encodes_to_the_same_bytes() {
    let mut packets = 0;
    let mut names = BTreeSet::new();
    for (file, lines) in all() {
        for line in lines.iter().filter(|line| !line.is_handshake()) {
            let Some(bytes) = line.bytes() else { continue };
            let frame = Frame::decode(&bytes).unwrap_or_else(|error| {
                panic!(
                    "{file}: {} does not decode: {error}",
                    line.name.as_deref().unwrap()
                )
            });
            let name = frame.packet.name();
            assert_eq!(Some(name), line.name.as_deref(), "{file}");
            assert_eq!(Some(frame.channel), line.channel, "{file}: {name}");
            assert_eq!(
                Some(frame.packet.packet_type()),
                line.packet_type,
                "{file}: {name}"
            );
            assert_eq!(
                Some(&fields(&frame.packet)),
                line.fields.as_ref(),
                "{file}: {name}"
            );
            let mut encoded = BytesMut::new();
            frame.encode(&mut encoded);
            assert_eq!(encoded, bytes, "{file}: {name}");
            assert_eq!(frame.packet.encoded_len(), bytes.len(), "{file}: {name}");
            packets += 1;
            names.insert(name);
        }
    }
    // What the recordings held when they were made: a lost file must not pass unnoticed.
    assert_eq!(packets, 3_408);
    assert_eq!(names.len(), 61, "{names:?}");
}

#[test]
fn every_client_stream_is_cut_into_the_recorded_frames() {
    for (file, lines) in all() {
        let mut streams: BTreeMap<u32, (Vec<u8>, Vec<Bytes>)> = BTreeMap::new();
        for line in lines.iter().filter(|line| line.is_from_client()) {
            let Some(bytes) = line.bytes() else { continue };
            let (stream, frames) = streams.entry(line.conn).or_default();
            stream.extend_from_slice(&bytes);
            if line.is_handshake() {
                assert_eq!(bytes[..], HANDSHAKE[..]);
            } else {
                frames.push(bytes);
            }
        }
        for (conn, (stream, expected)) in streams {
            for chunk in [1, 7, 13, 1_021, 65_536] {
                let mut decoder = FrameDecoder::server(DEFAULT_MAX_FRAME_BYTES);
                let mut frames = Vec::new();
                for part in stream.chunks(chunk) {
                    decoder.feed(Bytes::copy_from_slice(part));
                    while let Some(frame) = decoder.next_frame().unwrap() {
                        frames.push(frame);
                    }
                }
                assert_eq!(
                    frames, expected,
                    "{file}, connection {conn}, cut every {chunk} bytes"
                );
            }
        }
    }
}

#[test]
fn recorded_messages_rebuild_from_their_parts() {
    let mut messages = 0;
    for (file, lines) in all() {
        for line in lines.iter().filter(|line| !line.is_handshake()) {
            let Some(bytes) = line.bytes() else { continue };
            let packet = Frame::decode(&bytes).unwrap().packet;
            if let Packet::SessSend(packet) = packet {
                assert_eq!(
                    packet.message.to_builder().build(),
                    packet.message,
                    "{file}"
                );
                messages += 1;
            } else if let Packet::SessReceiveMessage(packet) = packet {
                assert_eq!(
                    packet.message.to_builder().build(),
                    packet.message,
                    "{file}"
                );
                messages += 1;
            } else if let Packet::SessSendLarge(packet) = packet {
                assert_eq!(packet.head.to_builder().build_head(), packet.head, "{file}");
                messages += 1;
            }
        }
    }
    assert!(messages > 500, "{messages} messages");
}
