//! The reader against files of Artemis, against our own writer, and against files that mean harm.

use std::io::BufReader;

use core_protocol::message::kind;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::{Altered, LARGE_BODY_BYTES, Writer};

fn read_all(text: &[u8], limits: Limits) -> Result<Vec<Item>, ReadError> {
    // A small buffer, so that tags lie across its end.
    let mut reader = Reader::new(BufReader::with_capacity(7, text), limits);
    let mut items = Vec::new();
    while let Some(item) = reader.next_item()? {
        items.push(item);
    }
    Ok(items)
}

/// As Artemis 2.44 writes it: its indentation, its order of attributes, its line ends in attributes.
const OF_ARTEMIS: &str = r#"
<activemq-journal>
   <bindings>
      <address-binding routing-types="ANYCAST" name="orders" id="20"/>
      <queue-binding address="news" filter-string="n &gt; 3 AND who &lt;&gt; 'a&amp;b'" name="reader.urgent" id="47" routing-type="MULTICAST"/>
      <queue-binding address="orders" filter-string="" name="orders" id="21" routing-type="ANYCAST"/>
   </bindings>
   <messages>
      <message id="33" priority="4" expiration="0" timestamp="1795545489476" type="text" user-id="3249a0da-e836-11f1-b3f3-02fc00000001">
         <properties>
            <property name="aNull" value="_AMQ_NULL" type="bytes"/>
            <property name="aChar" value="ß"/>
            <property name="noBytes" value="" type="bytes"/>
            <property name="someBytes" value="AP_--z8-fw==" type="bytes"/>
            <property name="aDouble" value="1.0E300" type="double"/>
            <property name="anInfinity" value="-Infinity" type="double"/>
            <property name="lines" value="one	two
three " type="simple-string"/>
         </properties>
         <queues>
            <queue name="orders"/>
         </queues>
         <body isLarge="true">
            <![CDATA[AQAAAA==]]>
            <![CDATA[xlAHgAbwB0AGkAYwA=]]>
         </body>
      </message>
      <message id="34" priority="9" expiration="7" timestamp="0" type="default">
         <queues>
            <queue name="reader.urgent"/>
            <queue name="orders"/>
         </queues>
         <body>
            <![CDATA[]]>
         </body>
      </message>
   </messages>
</activemq-journal>"#;

#[test]
fn a_file_of_artemis_is_read_to_the_letter() {
    let text = OF_ARTEMIS.replace("xlAHgAbwB0AGkAYwA=", "DGUAeABvAHQAaQBjAA==");
    let items = read_all(text.as_bytes(), Limits::default()).unwrap();
    let [
        Item::Address(address),
        Item::Queue(filtered),
        Item::Queue(plain),
        Item::Message(first),
        Item::Message(second),
    ] = items.as_slice()
    else {
        panic!("{items:?}");
    };
    assert!(address.anycast && !address.multicast && address.name == "orders");
    assert_eq!(filtered.filter.as_deref(), Some("n > 3 AND who <> 'a&b'"));
    assert!(!filtered.anycast && plain.anycast && plain.filter.is_none());
    assert_eq!(
        first.properties,
        [
            ("aNull".to_owned(), Value::Null),
            ("aChar".to_owned(), Value::Char(0xdf)),
            ("noBytes".to_owned(), Value::Bytes(Bytes::new())),
            (
                "someBytes".to_owned(),
                Value::Bytes(Bytes::from_static(&[0, 0xff, 0xfe, 0xfb, 0x3f, 0x3e, 0x7f]))
            ),
            ("aDouble".to_owned(), Value::Double(1e300)),
            ("anInfinity".to_owned(), Value::Double(f64::NEG_INFINITY)),
            (
                "lines".to_owned(),
                Value::String("one\ttwo\nthree ".to_owned())
            ),
        ]
    );
    assert!(first.is_large && first.kind == kind::TEXT);
    assert_eq!(&first.body[..], b"\x01\0\0\0\x0ce\0x\0o\0t\0i\0c\0");
    assert_eq!(first.user_id.unwrap()[..4], [0x32, 0x49, 0xa0, 0xda]);
    assert_eq!(second.queues, ["reader.urgent", "orders"]);
    assert!(second.body.is_empty() && second.user_id.is_none() && second.priority == 9);
    assert_eq!(second.expiration_ms, 7);
}

/// What is wrong, and the line and words that must be in the error.
const HARMFUL: [(&str, u64, &str); 16] = [
    ("<other/>", 1, "the document is <other>"),
    ("<activemq-journal>\n<messages>", 2, "not finished"),
    (
        "<activemq-journal><bindings>\n<message/></bindings>",
        2,
        "<message> is out of place",
    ),
    (
        "<activemq-journal>\n</messages>",
        2,
        "expected `</activemq-journal>`",
    ),
    (
        "<!DOCTYPE x [<!ENTITY a 'b'>]>\n<activemq-journal/>",
        1,
        "document type",
    ),
    (
        "<activemq-journal>\n\n hello</activemq-journal>",
        3,
        "\"hello\"",
    ),
    (
        "<activemq-journal><bindings>\n<queue-binding name='q' address='a'/>",
        2,
        "no routing-type",
    ),
    (
        "<activemq-journal><bindings>\n<address-binding name='q' routing-types='BOTH'/>",
        2,
        "\"BOTH\"",
    ),
    (
        "<activemq-journal><messages>\n<message priority='10'/>",
        2,
        "above 9",
    ),
    (
        "<activemq-journal><messages>\n<message id='9223372036854775808'/>",
        2,
        "no number in its range",
    ),
    (
        "<activemq-journal><messages>\n<message type='blob'/>",
        2,
        "\"blob\"",
    ),
    (
        "<activemq-journal><messages>\n<message user-id='12'/>",
        2,
        "no UUID",
    ),
    (
        "<activemq-journal><messages><message>\n<properties><property name='a' value='x' type='int'/>",
        2,
        "\"int\"",
    ),
    (
        "<activemq-journal><messages><message>\n<properties>\n<property name='a' value='300' type='byte'/>",
        3,
        "no byte",
    ),
    (
        "<activemq-journal><messages><message>\n<body><![CDATA[*]]></body>",
        2,
        "no base64",
    ),
    (
        "<activemq-journal><messages><message>\n<queues><queue name='&lol;'/>",
        2,
        "unrecognized entity",
    ),
];

#[test]
fn what_is_no_export_is_refused_with_its_place() {
    for (text, line, words) in HARMFUL {
        let error = match read_all(text.as_bytes(), Limits::default()) {
            Ok(items) => panic!("{text}: {items:?}"),
            Err(error) => error,
        };
        let ReadError::Content { line: found, .. } = error else {
            panic!("{text}: {error}");
        };
        assert!(error.to_string().contains(words), "{text}: {error}");
        assert_eq!(found, line, "{text}: {error}");
    }
}

#[test]
fn nothing_takes_more_memory_than_its_bound() {
    let limits = Limits {
        markup_bytes: 1000,
        body_bytes: 30,
        entries: 2,
    };
    let long = "x".repeat(2000);
    let front = "<activemq-journal><messages><message>\n";
    for (text, words) in [
        (format!("<{long}"), "longer than 1000 bytes"),
        (
            format!("{front}<properties><property name='{long}'"),
            "longer than 1000 bytes",
        ),
        (format!("<!--{long}"), "longer than 1000 bytes"),
        (
            format!("{front}<body><![CDATA[{long}"),
            "longer than 1000 bytes",
        ),
        (
            format!(
                "{front}<body>{}</body>",
                "<![CDATA[AAAAAAAAAAAA]]>".repeat(4)
            ),
            "the body is longer than 30 bytes",
        ),
        (
            format!("{front}<queues>{}</queues>", "<queue name='q'/>".repeat(3)),
            "more than 2 entries",
        ),
    ] {
        let error = read_all(text.as_bytes(), limits).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_xml_cannot_say_is_told_and_comes_back() {
    let mut message = empty();
    message.properties = vec![
        (
            "text".to_owned(),
            Value::String("a\u{1}b\u{ffff}".to_owned()),
        ),
        ("half".to_owned(), Value::Char(0xd800)),
        ("bell\u{7}".to_owned(), Value::Bool(true)),
    ];
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.message(&message).unwrap();
    let altered = writer.take_altered();
    assert_eq!(
        altered,
        [
            Altered::Value {
                id: 0,
                property: "text".to_owned()
            },
            Altered::Value {
                id: 0,
                property: "half".to_owned()
            },
            Altered::Name {
                name: "bell\u{7}".to_owned()
            },
        ]
    );
    let text = writer.finish().unwrap();
    assert!(
        text.is_ascii() || !text.contains(&1),
        "a control character is in the file"
    );
    let items = read_all(&text, Limits::default()).unwrap();
    message.properties[2].0 = "bell\u{fffd}".to_owned();
    assert_eq!(items, [Item::Message(Box::new(message))]);
}

#[test]
fn addresses_behind_messages_are_a_mistake_of_the_caller() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.message(&empty()).unwrap();
    let address = AddressBinding {
        name: "a".to_owned(),
        id: 1,
        anycast: true,
        multicast: true,
    };
    assert!(writer.address(&address).is_err());
}

fn empty() -> Message {
    Message {
        id: 0,
        kind: kind::TEXT,
        priority: 4,
        expiration_ms: 0,
        timestamp_ms: 0,
        user_id: None,
        properties: Vec::new(),
        queues: Vec::new(),
        body: Bytes::new(),
        is_large: false,
    }
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        any::<f32>().prop_map(Value::Float),
        any::<f64>().prop_map(Value::Double),
        any::<u16>().prop_map(Value::Char),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
        any::<String>().prop_map(Value::String),
        "[\\x00-\\x20<>&'\"]{0,9}".prop_map(Value::String),
    ]
}

/// Names that XML can say.
fn names() -> impl Strategy<Value = String> {
    "[ -~äß\u{1f600}\n\t\r]{1,12}"
}

prop_compose! {
    fn messages()(
        (id, kind, priority) in (any::<i64>(), 0..8_u8, 0..10_u8),
        (expiration_ms, timestamp_ms) in any::<(i64, i64)>(),
        user_id in option::of(any::<[u8; 16]>()),
        properties in vec((names(), values()), 0..8),
        queues in vec(names(), 0..4),
        (body, repeated) in (vec(any::<u8>(), 0..2500), prop_oneof![9 => Just(1_usize), 1 => Just(60)]),
        is_large in any::<bool>(),
    ) -> Message {
        let body = Bytes::from(body.repeat(repeated));
        let is_large = is_large || body.len() >= LARGE_BODY_BYTES;
        Message { id, kind, priority, expiration_ms, timestamp_ms, user_id, properties, queues, body, is_large }
    }
}

/// NaN is NaN, whatever its bits.
fn shown(message: &Message) -> String {
    format!("{message:?}")
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        addresses in vec((names(), any::<i64>(), any::<bool>(), any::<bool>()), 0..3),
        queues in vec((names(), names(), option::of("[a-z]{1,5} <> '&'"), any::<bool>()), 0..3),
        messages in vec(messages(), 0..4),
    ) {
        let mut writer = Writer::new(Vec::new()).unwrap();
        let mut written = Vec::new();
        for (name, id, anycast, multicast) in addresses {
            let address = AddressBinding { name, id, anycast, multicast };
            writer.address(&address).unwrap();
            written.push(Item::Address(address));
        }
        for (name, address, filter, anycast) in queues {
            let queue = QueueBinding { name, address, filter, anycast, id: 3 };
            writer.queue(&queue).unwrap();
            written.push(Item::Queue(queue));
        }
        for message in messages {
            writer.message(&message).unwrap();
            written.push(Item::Message(Box::new(message)));
        }
        let text = writer.finish().unwrap();
        let read = read_all(&text, Limits::default()).unwrap();
        prop_assert_eq!(read.len(), written.len());
        for (read, written) in read.iter().zip(&written) {
            if let (Item::Message(read), Item::Message(written)) = (read, written) {
                prop_assert_eq!(shown(read), shown(written));
            } else {
                prop_assert_eq!(read, written);
            }
        }
    }

    #[test]
    fn no_file_makes_the_reader_panic(text in ".{0,200}", cut in 0..OF_ARTEMIS.len(), at in 0..OF_ARTEMIS.len()) {
        let _ = read_all(text.as_bytes(), Limits::default());
        let mut broken = OF_ARTEMIS.as_bytes().to_vec();
        broken[at] ^= 1;
        let _ = read_all(&broken, Limits::default());
        prop_assert!(read_all(&OF_ARTEMIS.as_bytes()[..cut], Limits::default()).is_err());
    }
}
