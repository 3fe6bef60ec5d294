//! Nothing that a peer sends makes the decoder panic, hang or take memory beyond the frame.

use bytes::{Bytes, BytesMut};
use core_protocol::framing::FrameDecoder;
use core_protocol::packet::XID_PART_MAX_BYTES;
use core_protocol::server::{ServerConfig, ServerConnection};
use core_protocol::{DecodeError, Frame};
use proptest::prelude::*;

use crate::vectors;

/// The type bytes that exist, so that random packets get past the first match.
fn known_types() -> Vec<i8> {
    let types = (i8::MIN..=i8::MAX).filter(|packet_type| {
        let result = Frame::decode(&frame(*packet_type, 10, &[]));
        !matches!(result, Err(DecodeError::UnknownPacket { .. }))
    });
    types.collect()
}

fn frame(packet_type: i8, channel: i64, fields: &[u8]) -> Bytes {
    let length = i32::try_from(9 + fields.len()).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&packet_type.to_be_bytes());
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(fields);
    bytes.into()
}

/// What decodes must encode, and then decode to the same: what a peer sent in another form (a true of
/// 0x01, an older client's short packet) is normalised once and not again.
fn check(bytes: &Bytes) {
    if let Ok(decoded) = Frame::decode(bytes) {
        let mut encoded = BytesMut::new();
        decoded.encode(&mut encoded);
        assert_eq!(decoded.packet.encoded_len(), encoded.len());
        let encoded = encoded.freeze();
        let again = Frame::decode(&encoded).unwrap();
        let mut encoded_again = BytesMut::new();
        again.encode(&mut encoded_again);
        assert_eq!(encoded_again, encoded);
    }
}

#[test]
fn an_unknown_packet_is_named() {
    let unknown = DecodeError::UnknownPacket {
        packet_type: 99,
        channel: 7,
    };
    assert_eq!(Frame::decode(&frame(99, 7, &[])), Err(unknown.clone()));
    assert_eq!(
        unknown.to_string(),
        "packet type 99 on channel 7 is unknown"
    );
    assert_eq!(known_types().len(), 75);
}

#[test]
fn a_frame_must_be_as_long_as_it_says() {
    let whole = frame(10, 0, &[0; 8]);
    assert!(Frame::decode(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(Frame::decode(&whole.slice(..length)).is_err());
    }
    assert_eq!(
        Frame::decode(&frame(10, 0, &[0; 9])),
        Err(DecodeError::LeftOver {
            packet: "PING",
            bytes: 1
        })
    );
}

#[test]
fn counts_and_lengths_beyond_the_frame_are_refused() {
    // SESS_XA_INDOUBT_XIDS_RESP, CREATE_ADDRESS, SESS_SEND_CONTINUATION: two billion items each.
    for (packet_type, before) in [(62, vec![]), (-11, vec![0; 4]), (73, vec![])] {
        let mut fields: Vec<u8> = before;
        fields.extend_from_slice(&i32::MAX.to_be_bytes());
        fields.extend_from_slice(&[0; 32]);
        let error = Frame::decode(&frame(packet_type, 10, &fields)).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { .. }), "{error}");
    }
    let mut xid = vec![0; 4];
    xid.extend_from_slice(&i32::try_from(XID_PART_MAX_BYTES + 1).unwrap().to_be_bytes());
    xid.extend_from_slice(&[0; XID_PART_MAX_BYTES + 1]);
    xid.extend_from_slice(&[0; 4]);
    let error = Frame::decode(&frame(51, 10, &xid)).unwrap_err();
    assert!(
        matches!(error, DecodeError::InvalidLength { length: 65, .. }),
        "{error}"
    );
}

#[test]
fn recorded_packets_cut_anywhere_are_refused_or_harmless() {
    for lines in vectors::all().values() {
        for line in lines.iter().filter(|line| !line.is_handshake()) {
            let Some(bytes) = line.bytes().filter(|bytes| bytes.len() < 1_000) else {
                continue;
            };
            for length in 13..bytes.len() {
                let mut cut = bytes[..length].to_vec();
                cut[..4].copy_from_slice(&i32::try_from(length - 4).unwrap().to_be_bytes());
                check(&cut.into());
            }
        }
    }
}

#[test]
fn passwords_do_not_show_in_logs() {
    let mut sessions = 0;
    for lines in vectors::all().values() {
        for line in lines.iter().filter(|line| !line.is_handshake()) {
            let Some(frame) = line.bytes().map(|bytes| Frame::decode(&bytes).unwrap()) else {
                continue;
            };
            let text = format!("{frame:?}");
            if text.contains("password: Some") {
                assert!(text.contains("password: Some((hidden))"), "{text}");
                sessions += 1;
            }
        }
    }
    assert!(sessions > 20, "{sessions} sessions with a password");
}

proptest! {
    #[test]
    fn random_packets_never_panic(
        index in any::<proptest::sample::Index>(),
        fields in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..200),
    ) {
        let types = known_types();
        check(&frame(types[index.index(types.len())], 10, &fields));
    }

    #[test]
    fn random_streams_never_panic(
        parts in proptest::collection::vec(any::<Vec<u8>>(), 0..20),
    ) {
        let mut decoder = FrameDecoder::client(1 << 20);
        let mut server = ServerConnection::new(ServerConfig::default(), 0);
        let _ = server.handle_input(Bytes::from_static(b"ARTEMIS"), 0);
        for part in parts {
            let part = Bytes::from(part);
            let _ = server.handle_input(part.clone(), 1);
            decoder.feed(part);
            while let Ok(Some(frame)) = decoder.next_frame() {
                check(&frame);
            }
        }
    }
}

#[test]
fn mutated_recordings_never_panic() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2_000));
    let mut packets: Vec<Bytes> = vectors::all()
        .values()
        .flatten()
        .filter(|line| !line.is_handshake())
        .filter_map(vectors::Line::bytes)
        .filter(|bytes| bytes.len() < 2_000)
        .collect();
    packets.sort();
    packets.dedup();
    let mutation = (
        proptest::sample::select(packets),
        proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    );
    let result = runner.run(&mutation, |(packet, changes)| {
        let mut bytes = packet.to_vec();
        for (index, byte) in changes {
            let at = 4 + index.index(bytes.len() - 4);
            bytes[at] = byte;
        }
        check(&bytes.into());
        Ok(())
    });
    result.unwrap();
}
