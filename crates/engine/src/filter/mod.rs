//! Selectors: the conditions in SQL-92 syntax by which queues and consumers choose messages.
//!
//! ```text
//!   text ──lexer──► tokens ──parser──► expression ──evaluator(message)──► true, false, unknown
//! ```
//! A message is chosen only if the condition is true. Text comes from clients: its length and
//! nesting are bounded, and evaluation can neither fail nor panic.

mod evaluator;
mod expression;
mod fields;
mod lexer;
mod like;
mod parser;

use core_protocol::message::Message;
use thiserror::Error;

use expression::Expression;
pub(crate) use fields::MessageFields;

/// Longest selector: generous for text written by people or built from a list of some hundred ids.
const MAX_FILTER_BYTES: usize = 16 * 1024;

/// Deepest nesting of parentheses, NOT and signs: each level costs stack when it is evaluated.
const MAX_NESTING: usize = 64;

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FilterError {
    #[error("the filter has {length} bytes; at most {MAX_FILTER_BYTES} are accepted")]
    TooLong { length: usize },
    #[error("the filter nests deeper than {MAX_NESTING} levels; simplify it")]
    TooDeep,
    #[error("unexpected character {character:?} at position {position}")]
    UnexpectedCharacter { character: char, position: usize },
    #[error("the text that begins at position {position} has no closing quote")]
    UnclosedText { position: usize },
    #[error("{text:?} at position {position} is no number this broker can hold")]
    BadNumber { text: String, position: usize },
    #[error("expected {expected} at position {position}")]
    Unexpected {
        expected: &'static str,
        position: usize,
    },
    #[error("the escape of LIKE at position {position} must be one character")]
    BadEscape { position: usize },
}

/// A selector, ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    text: String,
    condition: Expression,
    convert_text: bool,
}

impl Filter {
    /// Reads a selector.
    pub(crate) fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(FilterError::TooLong { length: text.len() });
        }
        let (directives, selector) = Directives::split(text);
        let tokens = lexer::tokens(selector, directives.hyphens)?;
        let condition = parser::parse(&tokens, selector.chars().count())?;
        Ok(Self {
            text: text.to_owned(),
            condition,
            convert_text: directives.convert_text,
        })
    }

    /// Reads an optional selector; a blank text is none.
    pub(crate) fn parse_optional(text: Option<&str>) -> Result<Option<Self>, FilterError> {
        text.filter(|text| !text.trim().is_empty())
            .map(Self::parse)
            .transpose()
    }

    /// The selector as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the message is chosen.
    pub(crate) fn matches(&self, message: &Message) -> bool {
        let fields = MessageFields::new(message);
        evaluator::condition(&self.condition, &fields, self.convert_text) == Some(true)
    }
}

/// Words in front of a selector that change how it is read.
#[derive(Debug, Default, Clone, Copy)]
struct Directives {
    hyphens: bool,
    convert_text: bool,
}

impl Directives {
    fn split(text: &str) -> (Self, &str) {
        let mut directives = Self::default();
        let mut rest = text.trim_start();
        loop {
            if let Some(after) = rest.strip_prefix("hyphenated_props:") {
                directives.hyphens = true;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("no_hyphenated_props:") {
                directives.hyphens = false;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("convert_string_expressions:") {
                directives.convert_text = true;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("no_convert_string_expressions:") {
                directives.convert_text = false;
                rest = after;
            } else {
                return (directives, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
