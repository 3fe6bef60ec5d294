//! An element as the parser sees it: its children and attributes, each looked up in the table of
//! elements, typed, and everything wrong with them reported.
//!
//! Nothing stops at a mistake: a value that is wrong is reported and left out, so that one reading
//! finds all of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use roxmltree::Node;

use crate::broker_xml::error::{ConfigError, Notice, NoticeKind, Problem};
use crate::broker_xml::source::{Position, Source};
use crate::broker_xml::values::{self, Datum};
use crate::elements::{self, Row, Scope, Treatment, Value};
use crate::suggest;

/// After so many mistakes the file is of another kind; more are only counted.
const MAX_ERRORS: usize = 100;
/// A file of many thousand addresses would repeat the same few notices.
const MAX_NOTICES: usize = 1_000;
/// Longest value repeated in a message, in characters.
const MAX_SHOWN_CHARS: usize = 80;
/// Most places that a message names for an element at the wrong one.
const MAX_HOMES: usize = 3;
const INCLUDE: &str = "http://www.w3.org/2001/XInclude";
/// Namespaces of `broker.xml` begin so.
const OWN_NAMESPACES: &str = "urn:activemq";

/// What was found so far.
pub(super) struct Report<'a> {
    file: &'a str,
    source: &'a Source<'a>,
    errors: RefCell<Vec<(Position, ConfigError)>>,
    more: Cell<usize>,
    notices: RefCell<Vec<Notice>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a str, source: &'a Source<'a>) -> Self {
        Self {
            file,
            source,
            errors: RefCell::default(),
            more: Cell::new(0),
            notices: RefCell::default(),
        }
    }

    pub(super) fn error(&self, at: usize, path: &str, problem: Problem) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() >= MAX_ERRORS {
            self.more.set(self.more.get() + 1);
            return;
        }
        let position = self.source.position(at);
        let error = ConfigError {
            file: self.file.to_owned(),
            line: position.line,
            column: position.column,
            path: path.to_owned(),
            problem,
        };
        errors.push((position, error));
    }

    fn notice(&self, at: usize, path: &str, kind: NoticeKind, text: String) {
        let mut notices = self.notices.borrow_mut();
        if notices.len() < MAX_NOTICES {
            let Position { line, column } = self.source.position(at);
            notices.push(Notice {
                line,
                column,
                element: path.to_owned(),
                kind,
                text,
            });
        }
    }

    /// The mistakes in the order of the file, how many more there are, and the notices.
    pub(super) fn finish(self) -> (Vec<ConfigError>, usize, Vec<Notice>) {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|(position, _)| *position);
        let errors = errors.into_iter().map(|(_, error)| error).collect();
        (errors, self.more.get(), self.notices.into_inner())
    }
}

/// One element.
#[derive(Clone)]
pub(super) struct View<'r, 'x> {
    report: &'r Report<'r>,
    node: Node<'x, 'x>,
    path: String,
    scope: &'static Scope,
}

/// A child or attribute that is served or at least kept, with its value.
pub(super) struct Child<'r, 'x> {
    /// Its name in the table: never an older name.
    pub(super) name: &'static str,
    datum: Datum,
    pub(super) view: View<'r, 'x>,
    /// Its attributes, if it is an element.
    pub(super) attributes: Vec<Self>,
}

impl<'r, 'x> View<'r, 'x> {
    pub(super) fn root(report: &'r Report<'r>, node: Node<'x, 'x>) -> Self {
        let scope = elements::scope("configuration");
        Self {
            report,
            node,
            path: "configuration".to_owned(),
            scope,
        }
    }

    /// The children that are to be read, in the order of the file.
    pub(super) fn children(&self) -> Vec<Child<'r, 'x>> {
        let mut first: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut children = Vec::new();
        for node in self.node.children() {
            if node.is_text() {
                self.refuse_stray_text(&node);
            }
            if !node.is_element() {
                continue;
            }
            let Some((row, path)) = self.known(node) else {
                continue;
            };
            let view = View {
                report: self.report,
                node,
                path,
                scope: row.scope(),
            };
            let line = view.line();
            if let Some(first) = first.insert(row.name, line)
                && !row.many
            {
                view.error(Problem::Duplicate { first });
                continue;
            }
            let text = match row.value {
                Value::Children => String::new(),
                Value::Bool
                | Value::Int(..)
                | Value::Bytes
                | Value::Decimal
                | Value::Text
                | Value::Name
                | Value::Choice(_) => view.text(),
            };
            let Some(datum) = view.accept(row, &text, node.range().start) else {
                continue;
            };
            // Nothing is known about the inside of what is passed over.
            let attributes = if matches!(row.treatment, Treatment::Harmless(_)) {
                Vec::new()
            } else {
                view.attributes()
            };
            children.push(Child {
                name: row.name,
                datum,
                view,
                attributes,
            });
        }
        children
    }

    /// The attributes that are to be read. Called once for each element, because it reports.
    pub(super) fn attributes(&self) -> Vec<Child<'r, 'x>> {
        let mut attributes = Vec::new();
        for attribute in self.node.attributes() {
            // `xsi:schemaLocation`, `xml:base` and the like say nothing about the broker.
            if attribute.namespace().is_some() {
                continue;
            }
            let name = attribute.name();
            let view = self.at(&format!("@{name}"));
            let at = attribute.range().start;
            let Some(row) = self.scope.row(name, true) else {
                let suggestion = suggest::nearest(name, self.scope.names(true)).map(str::to_owned);
                self.report
                    .error(at, &view.path, Problem::UnknownAttribute { suggestion });
                continue;
            };
            if let Some(datum) = view.accept(row, attribute.value().trim(), at) {
                attributes.push(Child {
                    name: row.name,
                    datum,
                    view,
                    attributes: Vec::new(),
                });
            }
        }
        attributes
    }

    /// A value that is not in the XML itself but within one of its texts, such as a parameter of a
    /// URL; `None` if it is not to be kept.
    pub(super) fn parameter(&self, scope: &str, name: &str, value: &str) -> Option<&'static Row> {
        let scope = elements::scope(scope);
        let view = Self {
            path: format!("{}?{name}", self.path),
            ..self.clone()
        };
        let row = scope.row(name, true)?;
        view.accept(row, value, self.node.range().start)
            .map(|_| row)
    }

    /// The trimmed text of the element.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for node in self.node.children() {
            if node.is_element() {
                let name = node.tag_name().name();
                let path = format!("{}/{name}", self.path);
                let problem = Problem::UnknownElement { suggestion: None };
                self.report.error(node.range().start, &path, problem);
            } else if node.is_text() {
                text.push_str(node.text().unwrap_or_default());
            }
        }
        text.trim().to_owned()
    }

    pub(super) fn error(&self, problem: Problem) {
        self.report
            .error(self.node.range().start, &self.path, problem);
    }

    pub(super) fn notice(&self, kind: NoticeKind, text: impl Into<String>) {
        self.report
            .notice(self.node.range().start, &self.path, kind, text.into());
    }

    /// Whether there is any child, served or not.
    pub(super) fn has_children(&self) -> bool {
        self.node.children().any(|node| node.is_element())
    }

    /// Whether there is a child of a name, right or wrong.
    pub(super) fn has_child(&self, name: &str) -> bool {
        self.node
            .children()
            .any(|node| node.is_element() && node.tag_name().name() == name)
    }

    pub(super) fn line(&self) -> usize {
        self.report.source.position(self.node.range().start).line
    }

    /// A place within this element.
    fn at(&self, step: &str) -> Self {
        Self {
            path: format!("{}/{step}", self.path),
            ..self.clone()
        }
    }

    /// The row of a child element and its path; what has none is reported.
    fn known(&self, node: Node<'x, 'x>) -> Option<(&'static Row, String)> {
        let name = node.tag_name().name();
        let base = if self.path == "configuration" {
            ""
        } else {
            &self.path
        };
        let path = if base.is_empty() {
            name.to_owned()
        } else {
            format!("{base}/{name}")
        };
        let own_name = node.attribute("name").or_else(|| node.attribute("match"));
        let path = match own_name {
            Some(own_name) => format!("{path}[{}]", shown(own_name)),
            None => path,
        };
        let at = node.range().start;
        let namespace = node.tag_name().namespace().unwrap_or(OWN_NAMESPACES);
        if namespace == INCLUDE {
            self.report.error(at, &path, Problem::Include);
            return None;
        }
        let row = self
            .scope
            .row(name, false)
            .filter(|_| namespace.starts_with(OWN_NAMESPACES));
        let Some(row) = row else {
            self.report.error(at, &path, self.stranger(name));
            return None;
        };
        let Treatment::OldName(new) = row.treatment else {
            return Some((row, path));
        };
        let text = format!("'{name}' is an older name; use '{new}'");
        self.report.notice(at, &path, NoticeKind::Deprecated, text);
        self.scope.row(new, false).map(|row| (row, path))
    }

    fn stranger(&self, name: &str) -> Problem {
        let near = suggest::nearest(name, self.scope.names(false));
        let homes: Vec<_> = elements::homes(name)
            .map(|home| format!("<{home}>"))
            .collect();
        // A word that has a meaning in many places says nothing about the one that was meant.
        if near.is_none() && (1..=MAX_HOMES).contains(&homes.len()) {
            return Problem::Misplaced {
                homes: homes.join(" or "),
            };
        }
        Problem::UnknownElement {
            suggestion: near.map(str::to_owned),
        }
    }

    /// The value of a row, if it is served or harmless; anything else is reported.
    fn accept(&self, row: &Row, text: &str, at: usize) -> Option<Datum> {
        let report = self.report;
        if let Treatment::Refused(why) = row.treatment {
            report.error(at, &self.path, Problem::NotServed { why });
            return None;
        }
        let datum = match values::read(row.value, text) {
            Ok(datum) => datum,
            Err(expected) => {
                let value = shown(text);
                report.error(at, &self.path, Problem::Value { value, expected });
                return None;
            }
        };
        match row.treatment {
            Treatment::Used | Treatment::Refused(_) | Treatment::OldName(_) => {}
            Treatment::Harmless(why) => {
                let text = format!("no effect here: {why}");
                report.notice(at, &self.path, NoticeKind::Harmless, text);
            }
            Treatment::NotServedYet { silent, why } => {
                if !datum.is_one_of(silent) {
                    let text = format!("not served yet: {why}");
                    report.notice(at, &self.path, NoticeKind::NotServedYet, text);
                }
            }
            Treatment::Only { values, why } => {
                if !datum.is_one_of(values) {
                    let served = values
                        .iter()
                        .map(|value| format!("'{value}'"))
                        .collect::<Vec<_>>();
                    let served = served.join(" or ");
                    let value = shown(text);
                    report.error(
                        at,
                        &self.path,
                        Problem::ValueNotServed { value, served, why },
                    );
                    return None;
                }
            }
        }
        Some(datum)
    }

    fn refuse_stray_text(&self, node: &Node<'_, '_>) {
        let text = node.text().unwrap_or_default().trim();
        if !text.is_empty() {
            let raw = self
                .report
                .source
                .text()
                .get(node.range())
                .unwrap_or_default();
            let blanks = raw.len() - raw.trim_start().len();
            let problem = Problem::StrayText { text: shown(text) };
            self.report
                .error(node.range().start + blanks, &self.path, problem);
        }
    }
}

impl Child<'_, '_> {
    /// The text of an attribute that must be there; that it is not is reported.
    pub(super) fn required(&self, name: &'static str) -> Option<String> {
        let found = self
            .attributes
            .iter()
            .find(|attribute| attribute.name == name);
        // One that is there but wrong has been reported already.
        if found.is_none() && self.view.node.attribute(name).is_none() {
            self.view.error(Problem::MissingAttribute(name));
        }
        match &found?.datum {
            Datum::Text(text) => Some(text.clone()),
            Datum::Bool(_) | Datum::Int(_) | Datum::Decimal(_) | Datum::Children => None,
        }
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self.datum {
            Datum::Bool(flag) => Some(flag),
            Datum::Int(_) | Datum::Decimal(_) | Datum::Text(_) | Datum::Children => None,
        }
    }

    pub(super) fn text(self) -> Option<String> {
        match self.datum {
            Datum::Text(text) => Some(text),
            Datum::Bool(_) | Datum::Int(_) | Datum::Decimal(_) | Datum::Children => None,
        }
    }

    pub(super) fn decimal(self) -> Option<f64> {
        match self.datum {
            Datum::Decimal(number) => Some(number),
            Datum::Bool(_) | Datum::Int(_) | Datum::Text(_) | Datum::Children => None,
        }
    }

    /// The whole number; one that the field cannot hold is reported.
    pub(super) fn number<T: TryFrom<i64>>(self) -> Option<T> {
        let Datum::Int(number) = self.datum else {
            return None;
        };
        let converted = T::try_from(number);
        if converted.is_err() {
            let expected = "smaller, and not negative".to_owned();
            self.view.error(Problem::Value {
                value: number.to_string(),
                expected,
            });
        }
        converted.ok()
    }

    /// The value of one of our own enumerations.
    pub(super) fn choice<T>(self, from_name: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.text().and_then(|text| from_name(&text))
    }
}

/// Sets a field to a value that was read; one that was wrong has been reported.
pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A text as a message repeats it: on one line, and not all of a long one.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_SHOWN_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
