//! From a positioned tree to typed values, with messages that name place, field and remedy.
//!
//! A null is an absent field, as in Kubernetes. Whether a field that the type does not have is refused is for the reader
//! to say, not for the type: what a user writes is read strictly, what Kubernetes hands out leniently.

use std::fmt::{self, Display};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

use super::violation::{Position, Violation};
use super::yaml::{Key, Node, Value};

/// Longest wrong value that is repeated in a message.
const MAX_SHOWN_CHARS: usize = 64;

/// Reads a typed value out of a tree; a field that the type does not have is refused, at any depth.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Violation> {
    read(node, Unknown::Refused)
}

/// The same, for objects of which only a part is looked at.
pub(crate) fn decode_part<T: DeserializeOwned>(node: &Node) -> Result<T, Violation> {
    read(node, Unknown::Skipped)
}

fn read<T: DeserializeOwned>(node: &Node, unknown: Unknown) -> Result<T, Violation> {
    T::deserialize(Reader { node, unknown }).map_err(|error| error.or_at(node.at).into_violation())
}

/// What becomes of a field that the type does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    Refused,
    Skipped,
}

/// A place in the tree that is read.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    unknown: Unknown,
}

/// Why a tree is not of the wanted type.
#[derive(Debug)]
pub(crate) struct DecodeError {
    at: Option<Position>,
    /// From the innermost to the outermost.
    path: Vec<String>,
    message: String,
}

impl DecodeError {
    fn new(message: String) -> Self {
        Self {
            at: None,
            path: Vec::new(),
            message,
        }
    }

    fn or_at(mut self, at: Position) -> Self {
        self.at = self.at.or(Some(at));
        self
    }

    fn inside(mut self, segment: String) -> Self {
        self.path.push(segment);
        self
    }

    fn into_violation(self) -> Violation {
        let mut path = String::new();
        for segment in self.path.iter().rev() {
            if !path.is_empty() && !segment.starts_with('[') {
                path.push('.');
            }
            path.push_str(segment);
        }
        Violation {
            at: self.at,
            path,
            message: self.message,
        }
    }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let hint = match unexpected {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_)
                if expected.to_string().contains("string") =>
            {
                "; put it in quotes"
            }
            Unexpected::Str(_)
            | Unexpected::Unsigned(_)
            | Unexpected::Signed(_)
            | Unexpected::Float(_)
            | Unexpected::Bool(_)
            | Unexpected::Char(_)
            | Unexpected::Bytes(_)
            | Unexpected::Unit
            | Unexpected::Option
            | Unexpected::NewtypeStruct
            | Unexpected::Seq
            | Unexpected::Map
            | Unexpected::Enum
            | Unexpected::UnitVariant
            | Unexpected::NewtypeVariant
            | Unexpected::TupleVariant
            | Unexpected::StructVariant
            | Unexpected::Other(_) => "",
        };
        Self::new(format!(
            "{} is not {}{hint}",
            shown(&unexpected),
            wanted(expected)
        ))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!(
            "{} is not {}",
            shown(&unexpected),
            wanted(expected)
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(
            "{:?} is not one of {}",
            clipped(variant),
            expected.join(", ")
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let near = expected.iter().find(|known| is_near(field, known));
        Self::new(match near {
            Some(near) => format!("there is no such field; did you mean {near}?"),
            None => format!(
                "there is no such field; the fields here are {}",
                expected.join(", ")
            ),
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("{field} is missing"))
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(MAX_SHOWN_CHARS).collect()
}

fn shown(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("{:?}", clipped(text)),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Char(_)
        | Unexpected::Bytes(_)
        | Unexpected::Option
        | Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant
        | Unexpected::Other(_) => unexpected.to_string(),
    }
}

/// What was wanted, in a user's words rather than Rust's.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    if text.starts_with("struct ") {
        return "a map with fields".to_owned();
    }
    match text.as_str() {
        "a sequence" => "a list".to_owned(),
        "a string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "u16" => "a number from 0 to 65535".to_owned(),
        "u32" => "a number from 0 to 4294967295".to_owned(),
        "i32" => "a number from -2147483648 to 2147483647".to_owned(),
        _ => text,
    }
}

/// Whether two names differ by a slip: case, or at most two letters.
pub(super) fn is_near(given: &str, known: &str) -> bool {
    if given.eq_ignore_ascii_case(known) {
        return true;
    }
    let given: Vec<char> = given.chars().take(MAX_SHOWN_CHARS).collect();
    let known: Vec<char> = known.chars().collect();
    let allowed = if known.len() > 4 { 2 } else { 1 };
    edits(&given, &known) <= allowed
}

/// Levenshtein distance.
fn edits(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

impl<'a> Reader<'a> {
    fn at(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    /// Visits this value; `fields` are those that a map may have, if it may not have any.
    fn visit<'de, V: Visitor<'de>>(
        self,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Negative(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items {
                reader: self,
                rest: items.iter(),
                index: 0,
            }),
            Value::Map(entries) => {
                let entries = entries.iter().filter(|(_, node)| node.value != Value::Null);
                visitor.visit_map(Entries {
                    reader: self,
                    fields: fields.filter(|_| self.unknown == Unknown::Refused),
                    rest: entries,
                    pending: None,
                })
            }
        }
        .map_err(|error| error.or_at(self.node.at))
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.visit(Some(fields), visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            Value::Bool(_)
            | Value::Unsigned(_)
            | Value::Negative(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let Value::Text(text) = &self.node.value else {
            return self.deserialize_any(visitor);
        };
        visitor.visit_enum(text.as_str().into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(self.reader.at(node))
            .map(Some)
            .map_err(|error| error.or_at(node.at).inside(format!("[{index}]")))
    }
}

struct Entries<'a, I> {
    reader: Reader<'a>,
    /// The fields that there may be; `None` for any.
    fields: Option<&'static [&'static str]>,
    rest: I,
    pending: Option<&'a (Key, Node)>,
}

impl<'a, 'de, I: Iterator<Item = &'a (Key, Node)>> MapAccess<'de> for Entries<'a, I> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.pending = self.rest.next();
        let Some((key, _)) = self.pending else {
            return Ok(None);
        };
        if let Some(fields) = self.fields
            && !fields.contains(&key.name.as_str())
        {
            let unknown: DecodeError = de::Error::unknown_field(&key.name, fields);
            return Err(unknown.or_at(key.at).inside(key.name.clone()));
        }
        let name: de::value::StrDeserializer<'_, DecodeError> =
            key.name.as_str().into_deserializer();
        seed.deserialize(name)
            .map(Some)
            .map_err(|error| error.or_at(key.at).inside(key.name.clone()))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        let Some((key, node)) = self.pending.take() else {
            return Err(DecodeError::new(
                "a value was asked for before its key".to_owned(),
            ));
        };
        seed.deserialize(self.reader.at(node))
            .map_err(|error| error.or_at(node.at).inside(key.name.clone()))
    }
}
