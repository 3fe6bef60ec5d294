//! Messages: built, decoded, patched, changed; and damaged ones refused.

use bytes::{Bytes, BytesMut};
use core_protocol::message::{COPY_BELOW_BYTES, kind, null_text_body, text_body};
use core_protocol::packet::{SessReceiveMessage, encode_receive, receive_len};
use core_protocol::{DecodeError, Message, MessageBuilder, MessageHead, Packet, Value};
use proptest::prelude::*;

fn sample() -> MessageBuilder {
    MessageBuilder {
        body: text_body("hello"),
        user_id: Some([7; 16]),
        kind: kind::TEXT,
        durable: true,
        expiration_ms: 1,
        timestamp_ms: 2,
        properties: vec![
            ("count".to_owned(), Value::Long(3)),
            ("name".to_owned(), Value::String("grün 🌱".to_owned())),
        ],
        ..MessageBuilder::to("TEST")
    }
}

#[test]
fn a_message_shows_what_it_was_built_of() {
    let message = Message::decode(sample().build().block()).unwrap();
    assert_eq!(message.address(), Some("TEST"));
    assert_eq!(message.user_id(), Some([7; 16]));
    assert_eq!(message.kind(), kind::TEXT);
    assert!(message.durable());
    assert_eq!((message.expiration_ms(), message.timestamp_ms()), (1, 2));
    assert_eq!((message.id(), message.priority()), (0, 4));
    assert_eq!(message.text().as_deref(), Some("hello"));
    assert_eq!(
        message.property("count").and_then(|value| value.as_i64()),
        Some(3)
    );
    assert_eq!(message.property("name").unwrap().as_str(), Some("grün 🌱"));
    assert_eq!(message.property("nam"), None);
    assert_eq!(message.properties().count(), 2);
    assert_eq!(message.to_builder(), sample());
    assert_eq!(message.encoded_len(), message.block().len());
}

#[test]
fn a_null_text_and_another_body_are_no_text() {
    let null = MessageBuilder {
        body: null_text_body(),
        ..sample()
    };
    assert_eq!(null.build().text(), None);
    let raw = MessageBuilder {
        body: Bytes::from_static(b"\x01\0\0\0\x09"),
        ..sample()
    };
    assert_eq!(raw.build().text(), None);
    assert_eq!(MessageBuilder::default().build().text(), None);
}

#[test]
fn a_delivery_replaces_the_id_alone() {
    let message = sample().build();
    let mut out = BytesMut::from(&b"before"[..]);
    let size = encode_receive(11, &message, 99, 5, 2, &mut out);
    assert_eq!(size, receive_len(&message));
    let with_id = MessageBuilder { id: 99, ..sample() }.build();
    let packet = SessReceiveMessage {
        message: with_id,
        consumer_id: 5,
        delivery_count: 2,
    };
    let mut expected = BytesMut::from(&b"before"[..]);
    assert_eq!(Packet::from(packet).encode(11, &mut expected), size);
    assert_eq!(out, expected);
}

#[test]
fn a_large_message_is_put_together_from_head_and_body() {
    let whole = sample().build();
    let head = MessageHead::decode(sample().build_head().bytes()).unwrap();
    assert_eq!(head.clone().into_message(&whole.body()), whole);
    let sized = head.with_property("_AMQ_LARGE_SIZE", Value::Long(15));
    assert_eq!(sized.property("_AMQ_LARGE_SIZE"), Some(Value::Long(15)));
    assert_eq!(
        sized
            .with_property("_AMQ_LARGE_SIZE", Value::Long(16))
            .properties()
            .count(),
        3
    );
    assert_eq!(sized.properties().count(), 3);
    let numbered = head.with_id(4);
    assert_eq!(
        (numbered.id(), numbered.property("count")),
        (4, Some(Value::Long(3)))
    );
    assert_eq!(MessageHead::decode(numbered.bytes()).unwrap().id(), 4);
}

#[test]
fn properties_can_be_replaced_and_removed() {
    let mut builder = sample();
    builder.set_property("count", Value::Null);
    builder.remove_property("name");
    assert_eq!(builder.properties, [("count".to_owned(), Value::Null)]);
    builder.remove_property("count");
    assert_eq!(builder.build().block().last(), Some(&0));
}

#[test]
fn a_small_message_is_copied_out_and_a_large_one_shares_its_buffer() {
    let shares = |body: usize| {
        let block = MessageBuilder {
            body: vec![0; body].into(),
            ..sample()
        }
        .build();
        let buffer = block.block().clone();
        let message = Message::decode(&buffer).unwrap();
        buffer.as_ptr_range().contains(&message.block().as_ptr())
    };
    assert!(!shares(10));
    assert!(shares(COPY_BELOW_BYTES));
}

#[test]
fn text_that_is_not_unicode_stays_in_the_block_and_is_shown_replaced() {
    let mut bytes = BytesMut::from(&sample().build().block()[..]);
    let at = bytes
        .windows(6)
        .position(|window| window == [0x67, 0, 0x72, 0, 0xfc, 0])
        .unwrap();
    bytes[at..at + 2].copy_from_slice(&0xD800_u16.to_le_bytes());
    let bytes = bytes.freeze();
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.block(), &bytes);
    assert_eq!(
        message.property("name").unwrap().as_str(),
        Some("\u{fffd}rün 🌱")
    );
}

#[test]
fn damaged_blocks_are_refused() {
    let whole = sample().build().block().clone();
    for length in 0..whole.len() {
        assert!(
            Message::decode(&whole.slice(..length)).is_err(),
            "cut to {length} bytes"
        );
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    assert_eq!(
        Message::decode(&longer.into()),
        Err(DecodeError::LeftOver {
            packet: "message",
            bytes: 1
        })
    );
    for end_of_body in [-1_i32, 12, i32::MAX, i32::MIN] {
        let mut bytes = whole.to_vec();
        bytes[..4].copy_from_slice(&end_of_body.to_be_bytes());
        assert!(
            Message::decode(&bytes.into()).is_err(),
            "endOfBody {end_of_body}"
        );
    }
}

#[test]
fn a_message_does_not_show_its_content_in_logs() {
    let text = format!("{:?}", sample().build());
    assert!(
        text.contains("TEST") && !text.contains("hello") && !text.contains("104"),
        "{text}"
    );
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Byte),
        any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        any::<f32>().prop_map(Value::Float),
        any::<f64>().prop_map(Value::Double),
        any::<String>().prop_map(Value::String),
        any::<u16>().prop_map(Value::Char),
    ]
}

prop_compose! {
    fn builder()(
        (id, expiration_ms, timestamp_ms) in any::<(i64, i64, i64)>(),
        body in any::<Vec<u8>>(),
        address in any::<Option<String>>(),
        user_id in any::<Option<[u8; 16]>>(),
        (kind, durable, priority) in (any::<u8>(), any::<bool>(), 0_u8..10),
        properties in proptest::collection::vec((any::<String>(), value()), 0..8),
    ) -> MessageBuilder {
        let body = body.into();
        MessageBuilder {
            id, body, address, user_id, kind, durable, expiration_ms, timestamp_ms, priority,
            properties,
        }
    }
}

proptest! {
    #[test]
    fn messages_round_trip(builder in builder(), id: i64) {
        let message = builder.build();
        let decoded = Message::decode(message.block()).unwrap();
        prop_assert_eq!(&decoded, &message);
        prop_assert_eq!(&decoded.to_builder(), &builder);
        prop_assert_eq!(&message.to_builder(), &builder);
        let mut out = BytesMut::new();
        message.encode_with_id(id, &mut out);
let expected = MessageBuilder { id, ..builder }.build();
        prop_assert_eq!(&out[..], &expected.block()[..]);
    }
}
