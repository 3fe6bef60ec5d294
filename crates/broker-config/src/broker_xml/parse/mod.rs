//! Reads `broker.xml`.
//!
//! Placeholders first, then XML, then every element and attribute by the table of elements, then
//! the references between them. All mistakes of a file are found in one reading; only what is not
//! XML at all ends it at the first.

mod addresses;
mod cluster;
mod core;
mod ha;
mod security;
mod settings;
mod transport;
mod view;

use roxmltree::{Document, ParsingOptions};

use super::error::{ConfigError, ConfigErrors, Notice, Problem};
use super::source::{Lookup, Position, Source};
use crate::configuration::Configuration;
use view::{Report, View};

/// No `broker.xml` has as many elements, attributes and texts; bounds memory.
const MAX_NODES: u32 = 1_000_000;

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The values.
    pub configuration: Configuration,
    /// What is worth knowing although nothing is wrong, in the order of the file.
    pub notices: Vec<Notice>,
}

/// Reads the text of a `broker.xml`.
///
/// `file` is only named in messages. `lookup` gives the value of a placeholder's name: a property
/// of the instance, else a variable of the environment.
pub fn parse(file: &str, text: &str, lookup: &Lookup<'_>) -> Result<Parsed, ConfigErrors> {
    let alone = |position: Position, problem| ConfigErrors {
        errors: vec![ConfigError {
            file: file.to_owned(),
            line: position.line,
            column: position.column,
            path: "configuration".to_owned(),
            problem,
        }],
        more: 0,
    };
    let start = Position { line: 1, column: 1 };
    let Some(source) = Source::new(text, lookup) else {
        return Err(alone(start, Problem::TooLarge));
    };
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(source.text(), options).map_err(|error| {
        let (position, problem) = not_xml(&source, &error);
        alone(position, problem)
    })?;
    let report = Report::new(file, &source);
    let root = document.root_element();
    if root.tag_name().name() != "configuration" {
        return Err(alone(source.position(root.range().start), Problem::Root));
    }
    let configuration = core::configuration(&View::root(&report, root));
    let (errors, more, notices) = report.finish();
    if errors.is_empty() {
        Ok(Parsed {
            configuration,
            notices,
        })
    } else {
        Err(ConfigErrors { errors, more })
    }
}

fn not_xml(source: &Source<'_>, error: &roxmltree::Error) -> (Position, Problem) {
    if matches!(error, roxmltree::Error::DtdDetected) {
        // The parser does not say where; the text does.
        let at = source.text().find("<!DOCTYPE").unwrap_or_default();
        return (source.position(at), Problem::Dtd);
    }
    let at = error.pos();
    let position = source.position_of(at.row, at.col);
    if matches!(error, roxmltree::Error::NodesLimitReached) {
        return (position, Problem::TooLarge);
    }
    let message = error.to_string();
    // The position in the message is that of the replaced text, not of the file.
    let place = format!(" at {at}");
    (
        position,
        Problem::Xml(message.strip_suffix(&place).unwrap_or(&message).to_owned()),
    )
}
