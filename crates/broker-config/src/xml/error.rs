//! What is wrong with a file, and what is worth knowing about one that is right.

use std::fmt;

use thiserror::Error;

use super::source::MAX_TEXT_BYTES;
use crate::suggest;

/// Every mistake of a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    /// At least one.
    pub errors: Vec<ConfigError>,
    /// How many more there are: after a hundred nobody reads on.
    pub more: usize,
}

impl fmt::Display for ConfigErrors {
    /// One line for each.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{error}")?;
        }
        if self.more > 0 {
            write!(formatter, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {path}: {problem}")]
pub struct ConfigError {
    /// The file, as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The element or attribute, for example `core/acceptors/acceptor[artemis]/@name`.
    pub path: String,
    /// What is wrong and what to do.
    pub problem: Problem,
}

/// What is wrong with an element or attribute, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// It is not XML.
    #[error("not well-formed XML: {0}")]
    Xml(String),
    /// It is too large.
    #[error("the file has more than {MAX_TEXT_BYTES} bytes, or more elements than any broker.xml")]
    TooLarge,
    /// It declares a document type.
    #[error("a document type (DTD) is not read; remove the <!DOCTYPE …>")]
    Dtd,
    /// It includes another file.
    #[error("xi:include is not served; put the included elements here")]
    Include,
    /// The document is another one.
    #[error("the root element must be <{0}>")]
    Root(&'static str),
    /// Something every file needs is not there.
    #[error("<{0}> is missing")]
    MissingElement(&'static str),
    /// An attribute every such element needs is not there.
    #[error("attribute '{0}' is missing")]
    MissingAttribute(&'static str),
    /// An element that Artemis does not know either.
    #[error("unknown element{}", suggest::phrase(.suggestion.as_deref()))]
    UnknownElement {
        /// One that looks like it.
        suggestion: Option<String>,
    },
    /// An element that stands at the wrong place.
    #[error("unknown here; it belongs into {homes}")]
    Misplaced {
        /// Where it belongs: one or a few places.
        homes: String,
    },
    /// An attribute that Artemis does not know either.
    #[error("unknown attribute{}", suggest::phrase(.suggestion.as_deref()))]
    UnknownAttribute {
        /// One that looks like it.
        suggestion: Option<String>,
    },
    /// Known to Artemis, but not here.
    #[error("{why}")]
    NotServed {
        /// Why, or what to do.
        why: &'static str,
    },
    /// Served, but not with this value.
    #[error("'{value}' is not served, only {served}{}", reason(why))]
    ValueNotServed {
        /// The value.
        value: String,
        /// Values that are.
        served: String,
        /// Why.
        why: &'static str,
    },
    /// The value does not have the type.
    #[error("'{value}' must be {expected}")]
    Value {
        /// The value.
        value: String,
        /// What would fit.
        expected: String,
    },
    /// It is there twice.
    #[error("it stands on line {first} already; remove one of the two")]
    Duplicate {
        /// Line of the first.
        first: usize,
    },
    /// Text between elements.
    #[error("text '{text}' between elements; remove it")]
    StrayText {
        /// The text, shortened.
        text: String,
    },
    /// It refers to something that is not there.
    #[error("there is no {kind} '{name}'{}", suggest::phrase(.suggestion.as_deref()))]
    Dangling {
        /// What it should refer to.
        kind: &'static str,
        /// The name.
        name: String,
        /// One that looks like it.
        suggestion: Option<String>,
    },
    /// The address of an acceptor or connector.
    #[error("'{url}' {problem}; write tcp://host:port?key=value;key=value")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A password masked with a key that everybody knows.
    #[error(
        "ENC(…) is not read here; write the password in clear, or as ${{NAME}} from the environment"
    )]
    MaskedPassword,
    /// Elements of which only one may be there.
    #[error("one of <{one}> and <{other}> must be there, not {}", if *.both { "both" } else { "none" })]
    OneOf {
        /// The first.
        one: &'static str,
        /// The second.
        other: &'static str,
        /// Whether both are there.
        both: bool,
    },
}

/// The reason at the end of a message; some need none.
fn reason(why: &str) -> String {
    if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    }
}

/// Something worth knowing about a file that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The element or attribute, for example `core/journal-type`.
    pub element: String,
    /// What kind of thing.
    pub kind: NoticeKind,
    /// The whole of it, to be read after the element.
    pub text: String,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeKind {
    /// It has no effect here, and none is missed.
    Harmless,
    /// It is an older name; Artemis says AMQ221038.
    Deprecated,
    /// What it asks for is not there yet.
    NotServedYet,
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}: {}: {}",
            self.line, self.column, self.element, self.text
        )
    }
}
