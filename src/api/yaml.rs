//! A YAML text as a tree in which every key and value knows its place.
//!
//! The typed reader needs the places for its messages, and so does validation, which runs on typed
//! values and looks a field up again by its path.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::violation::{Position, Violation};

/// Kubernetes keeps no object above about 1.5 MiB; a file with a pair and its Secrets is small.
pub(crate) const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where the value begins.
    pub(crate) at: Position,
    /// The value.
    pub(crate) value: Value,
}

/// A value as YAML types it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A negative whole number.
    Negative(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A map's key and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// Where the key begins.
    pub(crate) at: Position,
    /// The key.
    pub(crate) name: String,
}

/// Reads all documents of a text; empty ones are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Violation> {
    // A queue may be called `y` or `on`: only true and false are booleans.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_multiple_with_options::<Node>(text, options).map_err(|error| {
        let at = error.location().map(position);
        // The place is told apart, and the excerpt would break the one line per fault.
        let message = error.without_snippet().to_string();
        let message = match message.split_once(" at line ") {
            Some((before, _)) => before.to_owned(),
            None => message,
        };
        Violation {
            at,
            path: String::new(),
            message: format!("the YAML is wrong here: {message}"),
        }
    })
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    /// The text of a key, if this is a map in which it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.value {
            Value::Text(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Unsigned(_)
            | Value::Negative(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_) => None,
        }
    }

    /// The value of a field such as `spec.storage.size`, if it is written and no null.
    pub(crate) fn find(&self, path: &str) -> Option<&Self> {
        let node = path
            .split('.')
            .try_fold(self, |node, segment| node.get(segment))?;
        (node.value != Value::Null).then_some(node)
    }

    /// The place of a field such as `spec.acceptors[1].port`, or of its nearest parent.
    pub(crate) fn position_of(&self, path: &str) -> Position {
        let mut node = self;
        for segment in path
            .split(['.', '[', ']'])
            .filter(|segment| !segment.is_empty())
        {
            let next = match &node.value {
                Value::List(items) => segment
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index)),
                Value::Map(_) => node.get(segment),
                Value::Null
                | Value::Bool(_)
                | Value::Unsigned(_)
                | Value::Negative(_)
                | Value::Float(_)
                | Value::Text(_) => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node.at
    }
}

fn position(location: serde_saphyr::Location) -> Position {
    Position {
        line: location.line(),
        column: location.column(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            at: position(spanned.referenced),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Unsigned))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key {
                at: position(key.referenced),
                name: key.value,
            };
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let nodes = parse("a: 1\n---\nb:\n  - x\n  - {c: true, d: 10Gi}\n").unwrap();
        assert_eq!(nodes.len(), 2);
        let place = |path: &str| {
            let Position { line, column } = nodes[1].position_of(path);
            (line, column)
        };
        assert_eq!(place("b[0]"), (4, 5));
        assert_eq!(place("b[1].c"), (5, 9));
        assert_eq!(place("b[1].missing"), place("b[1]"));
        assert_eq!(nodes[1].get("b").unwrap().at.line, 4);
        assert_eq!(nodes[0].get("a").unwrap().value, Value::Unsigned(1));
    }

    #[test]
    fn a_broken_text_is_one_line_with_its_place() {
        let violation = parse("a: [1, 2\nb: 3\n").unwrap_err();
        assert!(violation.at.is_some());
        assert!(!violation.message.contains('\n'), "{}", violation.message);
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        let nodes = parse("a: y\nb: on\nc: true\n").unwrap();
        assert_eq!(
            (nodes[0].text("a"), nodes[0].text("b")),
            (Some("y"), Some("on"))
        );
        assert_eq!(nodes[0].get("c").unwrap().value, Value::Bool(true));
    }

    #[test]
    fn duplicate_keys_are_refused() {
        assert!(parse("a: 1\na: 2\n").is_err());
    }
}
