use std::borrow::Cow;

use core_protocol::message::{MessageBuilder, Value};

use super::expression::Operand;
use super::fields::Fields;
use super::*;

struct Sample;

impl Fields for Sample {
    fn field(&self, name: &str) -> Operand<'_> {
        match name {
            "color" => Operand::Text(Cow::Borrowed("red")),
            "size" => Operand::Integer(5),
            "weight" => Operand::Real(2.5),
            "urgent" => Operand::Boolean(true),
            "ten" | "a-b" => Operand::Text(Cow::Borrowed("10")),
            "big" => Operand::Integer(i64::MAX),
            "blob" => Operand::Opaque,
            _ => Operand::Null,
        }
    }
}

fn evaluate(text: &str) -> Option<bool> {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    evaluator::condition(&filter.condition, &Sample, filter.convert_text)
}

#[test]
fn conditions_are_true_false_or_unknown() {
    let table = [
        // Comparisons.
        ("color = 'red'", Some(true)),
        ("color <> 'red'", Some(false)),
        ("color != 'blue'", Some(true)),
        ("color = 'it''s'", Some(false)),
        ("size = 5", Some(true)),
        ("size = 5.0", Some(true)),
        ("size >= 5 AND size <= 5", Some(true)),
        ("size > 5", Some(false)),
        ("size < 5.5", Some(true)),
        ("weight > 2", Some(true)),
        ("urgent = TRUE", Some(true)),
        ("urgent <> false", Some(true)),
        ("urgent", Some(true)),
        ("NOT urgent", Some(false)),
        // What is absent is unknown, whatever is done with it.
        ("missing = 1", None),
        ("missing <> 1", None),
        ("NOT (missing = 1)", None),
        ("missing", None),
        ("missing = 1 OR size = 5", Some(true)),
        ("missing = 1 AND size = 5", None),
        ("missing = 1 AND size = 6", Some(false)),
        ("missing = 1 OR size = 6", None),
        ("missing BETWEEN 1 AND 2", None),
        ("missing LIKE '%'", None),
        ("missing IN ('a')", None),
        ("missing NOT IN ('a')", None),
        ("missing IS NULL", Some(true)),
        ("missing IS NOT NULL", Some(false)),
        ("size IS NOT NULL", Some(true)),
        ("_AMQX=-1", None),
        // Values of different kinds are not comparable.
        ("color = 5", Some(false)),
        ("color <> 5", Some(false)),
        ("color > 'a'", Some(false)),
        ("urgent > FALSE", Some(false)),
        ("urgent = 'true'", Some(false)),
        ("blob = 'x'", Some(false)),
        ("size", Some(false)),
        ("ten = 10", Some(false)),
        // Arithmetic.
        ("size + 1 = 6", Some(true)),
        ("size - 1 - 1 = 3", Some(true)),
        ("size * 2 + 1 = 11", Some(true)),
        ("1 + size * 2 = 11", Some(true)),
        ("(1 + size) * 2 = 12", Some(true)),
        ("size / 2 = 2", Some(true)),
        ("size / 2.0 = 2.5", Some(true)),
        ("size % 3 = 2", Some(true)),
        ("size / 0 = 1", None),
        ("-size = -5", Some(true)),
        ("+size = 5", Some(true)),
        ("- - size = 5", Some(true)),
        ("color + 1 = 2", None),
        ("big + 1 < 0", Some(true)),
        ("big = 9223372036854775807", Some(true)),
        ("big > -9223372036854775808", Some(true)),
        ("size = 0x5", Some(true)),
        ("size = 5L", Some(true)),
        ("weight = 25e-1", Some(true)),
        ("weight = 2.5f", Some(true)),
        ("weight > .5", Some(true)),
        // The other tests.
        ("size BETWEEN 5 AND 6", Some(true)),
        ("size NOT BETWEEN 5 AND 6", Some(false)),
        ("size BETWEEN 6 AND missing", Some(false)),
        ("color IN ('blue', 'red')", Some(true)),
        ("color NOT IN ('blue', 'red')", Some(false)),
        ("size IN (1, 5)", Some(true)),
        ("size IN (-1, 'x')", Some(false)),
        ("color LIKE 'r_d'", Some(true)),
        ("color NOT LIKE 'b%'", Some(true)),
        ("color LIKE 'r!_d' ESCAPE '!'", Some(false)),
        ("size LIKE '5'", Some(false)),
        // Precedence: NOT before AND before OR; keywords in any case.
        ("NOT size = 6 AND size = 5", Some(true)),
        ("size = 5 OR size = 6 AND size = 7", Some(true)),
        ("(size = 5 OR size = 6) AND size = 7", Some(false)),
        ("size = 5 or Size = 6 and not missing is null", Some(true)),
        ("TRUE", Some(true)),
        ("FALSE OR TRUE", Some(true)),
        // Directives.
        ("hyphenated_props:a-b = '10'", Some(true)),
        ("convert_string_expressions:ten > 9", Some(true)),
        ("convert_string_expressions:color > 9", Some(false)),
        (
            "hyphenated_props:no_hyphenated_props:size-1 = 4",
            Some(true),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(evaluate(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_condition_is_refused_with_its_place() {
    let table = [
        ("size =", "expected a value at position 7"),
        (
            "size = 5 size",
            "expected the end of the filter, AND or OR at position 10",
        ),
        ("(size = 5", "expected ')' at position 10"),
        (
            "size = 'x",
            "the text that begins at position 8 has no closing quote",
        ),
        ("size # 5", "unexpected character '#' at position 6"),
        ("size NOT 5", "expected BETWEEN, IN or LIKE at position 10"),
        ("size BETWEEN 1", "expected AND at position 15"),
        ("size IN ()", "expected a literal at position 10"),
        ("size IN (1", "expected ',' or ')' at position 11"),
        ("size LIKE 5", "expected a text in quotes at position 11"),
        (
            "color LIKE 'a' ESCAPE 'ab'",
            "the escape of LIKE at position 23 must be one character",
        ),
        ("size IS 5", "expected NULL at position 9"),
        ("'text'", "expected a condition at position 1"),
        ("size + 1", "expected a condition at position 1"),
        ("urgent AND 5", "expected a condition at position 12"),
        ("NOT 5", "expected a condition at position 5"),
        (
            "size = 99999999999999999999",
            "\"99999999999999999999\" at position 8 is no number this broker can hold",
        ),
        (
            "size = 9223372036854775808",
            "\"9223372036854775808\" at position 8 is no number this broker can hold",
        ),
        (
            "size = 5x",
            "\"5x\" at position 8 is no number this broker can hold",
        ),
        (
            "size = 0x",
            "\"0x\" at position 8 is no number this broker can hold",
        ),
    ];
    for (text, expected) in table {
        match Filter::parse(text) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => assert_eq!(error.to_string(), expected, "{text}"),
        }
    }
}

#[test]
fn hostile_texts_are_bounded() {
    let deep = format!("{}size = 5{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(Filter::parse(&deep).unwrap_err(), FilterError::TooDeep);
    let nots = format!("{} urgent", "NOT ".repeat(2_000));
    assert_eq!(Filter::parse(&nots).unwrap_err(), FilterError::TooDeep);
    let signs = format!("{}size = 5", "- ".repeat(2_000));
    assert_eq!(Filter::parse(&signs).unwrap_err(), FilterError::TooDeep);
    let long = format!("color = '{}'", "x".repeat(MAX_FILTER_BYTES));
    assert!(matches!(
        Filter::parse(&long),
        Err(FilterError::TooLong { .. })
    ));
    // A long chain is not deep.
    let chain = vec!["size=5"; 1_000].join(" AND ");
    assert_eq!(evaluate(&chain), Some(true));
    let sum = format!("{} = 2000", vec!["1"; 2_000].join("+"));
    assert_eq!(evaluate(&sum), Some(true));
}

#[test]
fn blank_filters_are_none() {
    assert!(Filter::parse_optional(None).unwrap().is_none());
    assert!(Filter::parse_optional(Some("  ")).unwrap().is_none());
    assert_eq!(
        Filter::parse_optional(Some("size = 5"))
            .unwrap()
            .unwrap()
            .text(),
        "size = 5"
    );
}

#[test]
fn headers_and_properties_of_messages_are_seen() {
    let message = MessageBuilder {
        durable: true,
        priority: 7,
        timestamp_ms: 1_000,
        expiration_ms: 2_000,
        user_id: Some([
            0x0b, 0x12, 0x17, 0x54, 0xe6, 0xda, 0x11, 0xf1, 0x94, 0xc2, 2, 3, 4, 5, 6, 7,
        ]),
        properties: vec![
            ("count".to_owned(), Value::Int(3)),
            ("half".to_owned(), Value::Float(0.5)),
            ("ok".to_owned(), Value::Bool(true)),
            ("JMSType".to_owned(), Value::String("order".to_owned())),
            (
                "raw".to_owned(),
                Value::Bytes(bytes::Bytes::from_static(b"x")),
            ),
            ("_AMQ_GROUP_ID".to_owned(), Value::String("g".to_owned())),
        ],
        ..MessageBuilder::to("orders")
    }
    .build();
    let table = [
        ("AMQDurable = 'DURABLE'", true),
        ("AMQPriority > 6", true),
        ("AMQTimestamp = 1000", true),
        ("AMQExpiration = 2000", true),
        (
            "AMQUserID = 'ID:0b121754-e6da-11f1-94c2-020304050607'",
            true,
        ),
        ("AMQAddress = 'orders'", true),
        ("AMQSize > 10", true),
        ("AMQGroupID = 'g'", true),
        ("count = 3 AND half = 0.5 AND ok", true),
        ("JMSType LIKE 'ord%'", true),
        ("raw IS NOT NULL", true),
        ("raw = 'x'", false),
        ("absent = 3", false),
    ];
    for (text, expected) in table {
        assert_eq!(
            Filter::parse(text).unwrap().matches(&message),
            expected,
            "{text}"
        );
    }
}
