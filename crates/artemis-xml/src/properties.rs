//! Properties as attributes: type names, numbers, bytes, and what XML cannot say.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use core_protocol::message::{Value, kind};

/// The word for a null, of type `bytes`.
const NULL: &str = "_AMQ_NULL";

/// The kinds of messages by name.
const KINDS: [(u8, &str); 6] = [
    (kind::DEFAULT, "default"),
    (kind::OBJECT, "object"),
    (kind::TEXT, "text"),
    (kind::BYTES, "bytes"),
    (kind::MAP, "map"),
    (kind::STREAM, "stream"),
];

/// The name of a kind; its number if it has none.
pub(crate) fn kind_name(kind: u8) -> Cow<'static, str> {
    KINDS
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or_else(|| kind.to_string().into(), |(_, name)| (*name).into())
}

pub(crate) fn kind_of(name: &str) -> Option<u8> {
    KINDS
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(kind, _)| *kind)
        .or_else(|| name.parse().ok())
}

/// Type and text of a value, as Artemis writes them; a character has no type.
pub(crate) fn shown(value: &Value) -> (Option<&'static str>, Cow<'_, str>) {
    let (kind, text) = match value {
        Value::Null => ("bytes", NULL.into()),
        Value::Bool(value) => ("boolean", value.to_string().into()),
        Value::Byte(value) => ("byte", value.to_string().into()),
        Value::Bytes(bytes) => ("bytes", encode(bytes).into()),
        Value::Short(value) => ("short", value.to_string().into()),
        Value::Int(value) => ("integer", value.to_string().into()),
        Value::Long(value) => ("long", value.to_string().into()),
        Value::Float(value) => ("float", java_float(format!("{value:?}")).into()),
        Value::Double(value) => ("double", java_float(format!("{value:?}")).into()),
        Value::String(text) => ("simple-string", text.as_str().into()),
        Value::Char(unit) => return (None, String::from_utf16_lossy(&[*unit]).into()),
    };
    (Some(kind), text)
}

/// What the attributes say; the error is to be read after "the property".
pub(crate) fn value(kind: Option<&str>, text: String) -> Result<Value, String> {
    fn number<T: std::str::FromStr>(kind: &str, text: &str) -> Result<T, String> {
        text.trim()
            .parse()
            .map_err(|_| format!("has the value {}, which is no {kind}", quoted(text)))
    }
    let Some(kind) = kind else {
        let mut units = text.encode_utf16();
        return match (units.next(), units.next()) {
            (Some(unit), None) => Ok(Value::Char(unit)),
            _ => Err(format!(
                "has no type, so it is a character, but its value is {}",
                quoted(&text)
            )),
        };
    };
    Ok(match kind {
        "boolean" => match text.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => {
                return Err(format!(
                    "has the value {}, which is no boolean",
                    quoted(&text)
                ));
            }
        },
        "byte" => Value::Byte(number(kind, &text)?),
        "short" => Value::Short(number(kind, &text)?),
        "integer" => Value::Int(number(kind, &text)?),
        "long" => Value::Long(number(kind, &text)?),
        "float" => Value::Float(number(kind, &text)?),
        "double" => Value::Double(number(kind, &text)?),
        "bytes" if text == NULL => Value::Null,
        "bytes" => Value::Bytes(decode(&text).map_err(|error| format!("is no base64: {error}"))?),
        "simple-string" | "string" => Value::String(text),
        other => {
            return Err(format!(
                "has the type {}, which is none of boolean, byte, short, integer, long, float, double, bytes, \
                 simple-string",
                quoted(other)
            ));
        }
    })
}

/// Base64 with `-` and `_`, padded.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

/// Either alphabet; white space around it does not count.
pub(crate) fn decode(text: &str) -> Result<Bytes, base64::DecodeError> {
    let text = text.trim();
    let decoded = if text.contains(['+', '/']) {
        URL_SAFE.decode(text.replace('+', "-").replace('/', "_"))
    } else {
        URL_SAFE.decode(text)
    };
    decoded.map(Bytes::from)
}

/// The exact text of what XML cannot say: the units of UTF-16, big endian, in base64.
pub(crate) fn encode_units(units: impl Iterator<Item = u16>) -> String {
    let bytes: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
    encode(&bytes)
}

/// The units that [`encode_units`] wrote.
pub(crate) fn decode_units(text: &str) -> Option<Vec<u16>> {
    let bytes = decode(text).ok()?;
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
}

/// The text with U+FFFD for each character that XML has no word for; borrowed if there is none.
pub(crate) fn sayable(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(forbidden) {
        text.replace(forbidden, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Part of a text from a file, for an error about it.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 60;
    let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let dots = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{dots}")
}

/// Rust's infinities in Java's words.
fn java_float(text: String) -> String {
    match text.as_str() {
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        _ => text,
    }
}
