//! Every element and attribute of Artemis' `broker.xml` and `bootstrap.xml`, and what this broker
//! does with it.
//!
//! One table for three readers: the parser, which takes from it what is known and of which type;
//! the documentation, generated from it; and people, who want to know why something is refused.
//! A row must be true: "harmless" means that leaving it out changes nothing a user relies on.

mod addresses;
mod bootstrap;
mod cluster;
mod core;
mod ha;
mod transport;

/// A place in a file and what may stand there.
#[derive(Debug)]
pub struct Scope {
    /// Its name: that of the element, unless the same element means different things.
    pub name: &'static str,
    /// What may stand there.
    pub rows: &'static [Row],
}

/// One element or attribute.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Whether it is an attribute.
    pub attribute: bool,
    /// Whether it may stand there more than once.
    pub many: bool,
    /// What it holds.
    pub value: Value,
    /// What this broker does with it.
    pub treatment: Treatment,
    /// The scope of its own attributes and children, if the element's name does not tell.
    scope: Option<&'static str>,
}

/// What an element or attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool,
    /// A whole number between two bounds.
    Int(i64, i64),
    /// A number of bytes: `10485760`, `10M`, `10MiB`; negative only as -1.
    Bytes,
    /// A number with a fraction.
    Decimal,
    /// Any text.
    Text,
    /// A text that is not empty.
    Name,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Other elements.
    Children,
}

/// What this broker does with an element or attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It has the effect it has in Artemis.
    Used,
    /// It has no effect here, for this reason.
    Harmless(&'static str),
    /// Its effect is not there yet; nothing is said when it has one of these values.
    NotServedYet {
        /// Values that ask for nothing.
        silent: &'static [&'static str],
        /// What is missing.
        why: &'static str,
    },
    /// Only these values are accepted.
    Only {
        /// The values.
        values: &'static [&'static str],
        /// Why no others.
        why: &'static str,
    },
    /// It stops the broker from starting, for this reason.
    Refused(&'static str),
    /// An older name of another row of the same scope.
    OldName(&'static str),
}

/// Numbers from -1 (usually: none) upwards.
pub(crate) const FROM_MINUS_ONE: Value = Value::Int(-1, i64::MAX);
/// Numbers from 0 upwards.
pub(crate) const FROM_ZERO: Value = Value::Int(0, i64::MAX);
/// Numbers from 1 upwards.
pub(crate) const FROM_ONE: Value = Value::Int(1, i64::MAX);
/// Numbers from -1 upwards that fit into 32 bits.
pub(crate) const SMALL: Value = Value::Int(-1, i32::MAX as i64);
/// Ports.
pub(crate) const PORT: Value = Value::Int(1, u16::MAX as i64);
/// The two routing types.
pub(crate) const ROUTING_TYPE: Value = Value::Choice(&["ANYCAST", "MULTICAST"]);

impl Row {
    const fn new(name: &'static str, value: Value, treatment: Treatment) -> Self {
        Self {
            name,
            attribute: false,
            many: false,
            value,
            treatment,
            scope: None,
        }
    }

    const fn used(name: &'static str, value: Value) -> Self {
        Self::new(name, value, Treatment::Used)
    }

    const fn harmless(name: &'static str, value: Value, why: &'static str) -> Self {
        Self::new(name, value, Treatment::Harmless(why))
    }

    const fn later(
        name: &'static str,
        value: Value,
        silent: &'static [&'static str],
        why: &'static str,
    ) -> Self {
        Self::new(name, value, Treatment::NotServedYet { silent, why })
    }

    const fn only(
        name: &'static str,
        value: Value,
        values: &'static [&'static str],
        why: &'static str,
    ) -> Self {
        Self::new(name, value, Treatment::Only { values, why })
    }

    const fn refused(name: &'static str, why: &'static str) -> Self {
        Self::new(name, Value::Children, Treatment::Refused(why))
    }

    const fn old_name(name: &'static str, new: &'static str) -> Self {
        Self::new(name, Value::Children, Treatment::OldName(new))
    }

    const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    const fn attribute(self) -> Self {
        Self {
            attribute: true,
            ..self
        }
    }

    const fn inside(self, scope: &'static str) -> Self {
        Self {
            scope: Some(scope),
            ..self
        }
    }

    /// The scope of its own attributes and children.
    pub fn scope(&self) -> &'static Scope {
        match (self.scope, self.value) {
            (Some(name), _) => scope(name),
            (None, Value::Children) => scope(self.name),
            // A value of that name elsewhere may have attributes; this one has none.
            (None, _) => &NOTHING,
        }
    }
}

/// An element that may have neither attributes nor children.
static NOTHING: Scope = Scope {
    name: "",
    rows: &[],
};

/// Every scope of `broker.xml`, for the documentation.
pub fn scopes() -> impl Iterator<Item = &'static Scope> {
    [
        core::SCOPES,
        transport::SCOPES,
        cluster::SCOPES,
        ha::SCOPES,
        addresses::SCOPES,
    ]
    .into_iter()
    .flatten()
}

/// Every scope of `bootstrap.xml`, for the documentation.
pub fn bootstrap_scopes() -> impl Iterator<Item = &'static Scope> {
    bootstrap::SCOPES.iter()
}

/// The scope of a name, of either file; an empty one if there is none.
pub(crate) fn scope(name: &str) -> &'static Scope {
    scopes()
        .chain(bootstrap_scopes())
        .find(|scope| scope.name == name)
        .unwrap_or(&NOTHING)
}

impl Scope {
    /// The element or attribute of a name.
    pub(crate) fn row(&self, name: &str, attribute: bool) -> Option<&'static Row> {
        self.rows
            .iter()
            .find(|row| row.attribute == attribute && row.name == name)
    }

    /// Every name of this kind.
    pub(crate) fn names(&self, attribute: bool) -> impl Iterator<Item = &'static str> {
        self.rows
            .iter()
            .filter(move |row| row.attribute == attribute)
            .map(|row| row.name)
    }
}

/// The scopes of `broker.xml` in which an element of this name has a meaning.
pub(crate) fn homes(name: &str) -> impl Iterator<Item = &'static str> {
    scopes()
        .filter(move |scope| scope.row(name, false).is_some())
        .map(|scope| scope.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_there_once_and_every_older_name_has_a_new_one() {
        let mut names = BTreeSet::new();
        for scope in scopes().chain(bootstrap_scopes()) {
            assert!(names.insert(scope.name), "two scopes '{}'", scope.name);
            let mut rows = BTreeSet::new();
            for row in scope.rows {
                assert!(
                    rows.insert((row.attribute, row.name)),
                    "{}/{}",
                    scope.name,
                    row.name
                );
                if let Treatment::OldName(new) = row.treatment {
                    assert!(
                        scope.row(new, row.attribute).is_some(),
                        "{}/{new}",
                        scope.name
                    );
                }
                if let Some(inner) = row.scope {
                    assert!(!self::scope(inner).rows.is_empty(), "no scope '{inner}'");
                }
            }
        }
    }

    #[test]
    fn elements_with_children_that_are_read_have_a_scope() {
        for scope in scopes().chain(bootstrap_scopes()) {
            for row in scope.rows {
                let read = matches!(
                    row.treatment,
                    Treatment::Used | Treatment::NotServedYet { .. }
                );
                if read && row.value == Value::Children {
                    assert!(!row.scope().rows.is_empty(), "{}/{}", scope.name, row.name);
                }
            }
        }
    }
}
