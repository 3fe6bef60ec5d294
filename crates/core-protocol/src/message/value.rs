//! Typed properties: checked without being decoded, decoded one by one when asked for.

use bytes::Bytes;

use crate::DecodeError;
use crate::wire::{Reader, Sink, length, text};

/// A key's length and a kind.
const PROPERTY_MIN_BYTES: usize = 4 + 1;

/// The value of a property, with the type that its Java sender gave it.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "the variants are the kinds of the protocol, by their Java names"
)]
pub enum Value {
    Null,
    Bool(bool),
    Byte(i8),
    Bytes(Bytes),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    String(String),
    /// One UTF-16 unit.
    Char(u16),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Byte(_)
            | Self::Bytes(_)
            | Self::Short(_)
            | Self::Int(_)
            | Self::Long(_)
            | Self::Float(_)
            | Self::Double(_)
            | Self::Char(_) => None,
        }
    }

    /// The number, if it is a whole one of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Byte(value) => Some(i64::from(*value)),
            Self::Short(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(i64::from(*value)),
            Self::Long(value) => Some(*value),
            Self::Null
            | Self::Bool(_)
            | Self::Bytes(_)
            | Self::Float(_)
            | Self::Double(_)
            | Self::String(_)
            | Self::Char(_) => None,
        }
    }
}

/// Iterates over the properties of a message: name and value in wire order.
///
/// Text that is not valid UTF-16 is shown with U+FFFD in place of what is wrong; the message itself
/// keeps its bytes.
#[derive(Debug)]
pub struct Properties<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Properties<'a> {
    /// The properties that begin at an offset of a checked head.
    pub(super) fn new(head: &'a Bytes, offset: usize) -> Self {
        let mut reader = Reader::new(head);
        // The bytes were checked, so none of these can fail; if they did, there is nothing to show.
        let mut open = || {
            reader.take(offset, "properties").ok()?;
            read_count(&mut reader).ok()
        };
        let left = open().unwrap_or(0);
        Self { reader, left }
    }

    pub(super) fn find_value(mut self, name: &str) -> Option<Value> {
        while let Some((units, raw)) = self.next_raw() {
            if text::units_are(units, name) {
                return Some(raw.decode());
            }
        }
        None
    }

    fn next_raw(&mut self) -> Option<(&'a [u8], Raw<'a>)> {
        self.left = self.left.checked_sub(1)?;
        Raw::read_named(&mut self.reader).ok()
    }
}

impl Iterator for Properties<'_> {
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let (units, raw) = self.next_raw()?;
        Some((text::lossy(units), raw.decode()))
    }
}

/// Checks the properties of a message without decoding them.
pub(super) fn skip_properties(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..read_count(reader)? {
        Raw::read_named(reader)?;
    }
    Ok(())
}

/// Writes properties: none at all is a single 0.
pub(super) fn write_properties<S: Sink>(properties: &[(String, Value)], out: &mut S) {
    if properties.is_empty() {
        out.put_u8(0);
        return;
    }
    out.put_u8(1);
    out.put_i32(length(properties.len()));
    for (name, value) in properties {
        text::write_simple(name, out);
        write_value(value, out);
    }
}

fn read_count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    if !reader.bool("message.properties")? {
        return Ok(0);
    }
    reader.count(PROPERTY_MIN_BYTES, "message.properties")
}

/// A value as it is in the block, texts and bytes not copied.
enum Raw<'a> {
    Plain(Value),
    Bytes(&'a [u8]),
    Units(&'a [u8]),
}

impl<'a> Raw<'a> {
    fn read_named(reader: &mut Reader<'a>) -> Result<(&'a [u8], Self), DecodeError> {
        let name = text::read_simple_raw(reader, "message.property name")?;
        Ok((name, Self::read(reader)?))
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let field = "message.property";
        Ok(Self::Plain(match reader.i8(field)? {
            0 => Value::Null,
            2 => Value::Bool(reader.bool(field)?),
            3 => Value::Byte(reader.i8(field)?),
            4 => {
                let bytes = reader.length(field)?;
                return Ok(Self::Bytes(reader.take(bytes, field)?));
            }
            5 => Value::Short(i16::from_be_bytes(reader.array(field)?)),
            6 => Value::Int(reader.i32(field)?),
            7 => Value::Long(reader.i64(field)?),
            8 => Value::Float(f32::from_be_bytes(reader.array(field)?)),
            9 => Value::Double(f64::from_be_bytes(reader.array(field)?)),
            10 => return Ok(Self::Units(text::read_simple_raw(reader, field)?)),
            11 => Value::Char(reader.u16(field)?),
            kind => return Err(DecodeError::UnknownKind { field, kind }),
        }))
    }

    fn decode(self) -> Value {
        match self {
            Self::Plain(value) => value,
            Self::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
            Self::Units(units) => Value::String(text::lossy(units)),
        }
    }
}

/// Kind and value; true is 0x01 here, unlike in packets.
fn write_value<S: Sink>(value: &Value, out: &mut S) {
    match value {
        Value::Null => out.put_u8(0),
        Value::Bool(value) => out.put(&[2, u8::from(*value)]),
        Value::Byte(value) => {
            out.put_u8(3);
            out.put_i8(*value);
        }
        Value::Bytes(bytes) => {
            out.put_u8(4);
            out.put_i32(length(bytes.len()));
            out.put(bytes);
        }
        Value::Short(value) => {
            out.put_u8(5);
            out.put(&value.to_be_bytes());
        }
        Value::Int(value) => {
            out.put_u8(6);
            out.put_i32(*value);
        }
        Value::Long(value) => {
            out.put_u8(7);
            out.put_i64(*value);
        }
        Value::Float(value) => {
            out.put_u8(8);
            out.put(&value.to_be_bytes());
        }
        Value::Double(value) => {
            out.put_u8(9);
            out.put(&value.to_be_bytes());
        }
        Value::String(text) => {
            out.put_u8(10);
            text::write_simple(text, out);
        }
        Value::Char(unit) => {
            out.put_u8(11);
            out.put_u16(*unit);
        }
    }
}
