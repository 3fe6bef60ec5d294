//! What the two XML files of an instance have in common: placeholders, elements looked up in the
//! table of elements, and messages with the place of every mistake.

mod error;
mod source;
mod values;
mod view;

use roxmltree::{Document, ParsingOptions};

pub use error::{ConfigError, ConfigErrors, Notice, NoticeKind, Problem};
pub(crate) use source::Lookup;
use source::{Position, Source};
use view::Report;
pub(crate) use view::{Child, Names, View, set, shown};

/// No configuration file has as many elements, attributes and texts; bounds memory.
const MAX_NODES: u32 = 1_000_000;

/// Reads a file whose root element is `root`, and whose inside is told by the scope of that name.
///
/// `read` is called with the root element and reports what is wrong by it; its value counts only if
/// nothing was.
pub(crate) fn read<T>(
    file: &str,
    text: &str,
    lookup: &Lookup<'_>,
    root: &'static str,
    read: impl FnOnce(&View<'_, '_>) -> T,
) -> Result<(T, Vec<Notice>), ConfigErrors> {
    let alone = |position: Position, problem| ConfigErrors {
        errors: vec![ConfigError {
            file: file.to_owned(),
            line: position.line,
            column: position.column,
            path: root.to_owned(),
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
    let node = document.root_element();
    if node.tag_name().name() != root {
        return Err(alone(
            source.position(node.range().start),
            Problem::Root(root),
        ));
    }
    let value = read(&View::root(&report, node, root));
    let (errors, more, notices) = report.finish();
    if errors.is_empty() {
        Ok((value, notices))
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
