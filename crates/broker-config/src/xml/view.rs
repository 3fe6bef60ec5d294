//! An element as the parser sees it: its children and attributes, each looked up in the table of
//! elements, typed, and everything wrong with them reported.
//!
//! Nothing stops at a mistake: a value that is wrong is reported and left out, so that one reading
//! finds all of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use roxmltree::Node;

use super::error::{ConfigError, Notice, NoticeKind, Problem};
use super::source::{Position, Source};
use super::values::{self, Datum};
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
/// Namespaces of `broker.xml` and of `bootstrap.xml` begin so.
const OWN_NAMESPACES: [&str; 2] = ["urn:activemq", "http://activemq.apache.org/schema"];

/// What was found so far.
pub(crate) struct Report<'a> {
    file: &'a str,
    source: &'a Source<'a>,
    errors: RefCell<Vec<(Position, ConfigError)>>,
    more: Cell<usize>,
    notices: RefCell<Vec<Notice>>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, source: &'a Source<'a>) -> Self {
        Self {
            file,
            source,
            errors: RefCell::default(),
            more: Cell::new(0),
            notices: RefCell::default(),
        }
    }

    pub(crate) fn error(&self, at: usize, path: &str, problem: Problem) {
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
    pub(crate) fn finish(self) -> (Vec<ConfigError>, usize, Vec<Notice>) {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|(position, _)| *position);
        let errors = errors.into_iter().map(|(_, error)| error).collect();
        (errors, self.more.get(), self.notices.into_inner())
    }
}

/// One element.
#[derive(Clone)]
pub(crate) struct View<'r, 'x> {
    report: &'r Report<'r>,
    node: Node<'x, 'x>,
    path: String,
    scope: &'static Scope,
}

/// A child or attribute that is served or at least kept, with its value.
pub(crate) struct Child<'r, 'x> {
    /// Its name in the table: never an older name.
    pub(crate) name: &'static str,
    datum: Datum,
    pub(crate) view: View<'r, 'x>,
    /// Its attributes, if it is an element.
    pub(crate) attributes: Vec<Self>,
}

impl<'r, 'x> View<'r, 'x> {
    pub(crate) fn root(report: &'r Report<'r>, node: Node<'x, 'x>, name: &'static str) -> Self {
        Self {
            report,
            node,
            path: name.to_owned(),
            scope: elements::scope(name),
        }
    }

    /// The children that are to be read, in the order of the file.
    pub(crate) fn children(&self) -> Vec<Child<'r, 'x>> {
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
    pub(crate) fn attributes(&self) -> Vec<Child<'r, 'x>> {
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
    pub(crate) fn parameter(&self, scope: &str, name: &str, value: &str) -> Option<&'static Row> {
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
    pub(crate) fn text(&self) -> String {
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

    pub(crate) fn error(&self, problem: Problem) {
        self.report
            .error(self.node.range().start, &self.path, problem);
    }

    pub(crate) fn notice(&self, kind: NoticeKind, text: impl Into<String>) {
        self.report
            .notice(self.node.range().start, &self.path, kind, text.into());
    }

    /// Whether there is any child, served or not.
    pub(crate) fn has_children(&self) -> bool {
        self.node.children().any(|node| node.is_element())
    }

    /// Whether there is a child of a name, right or wrong.
    pub(crate) fn has_child(&self, name: &str) -> bool {
        self.node
            .children()
            .any(|node| node.is_element() && node.tag_name().name() == name)
    }

    pub(crate) fn line(&self) -> usize {
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
        // The root says nothing that the file's name does not say.
        let is_below_root = self.node.parent_element().is_none();
        let path = if is_below_root {
            name.to_owned()
        } else {
            format!("{}/{name}", self.path)
        };
        let own_name = node.attribute("name").or_else(|| node.attribute("match"));
        let path = match own_name {
            Some(own_name) => format!("{path}[{}]", shown(own_name)),
            None => path,
        };
        let at = node.range().start;
        let namespace = node.tag_name().namespace();
        if namespace == Some(INCLUDE) {
            self.report.error(at, &path, Problem::Include);
            return None;
        }
        let is_own =
            namespace.is_none_or(|name| OWN_NAMESPACES.iter().any(|own| name.starts_with(own)));
        let row = self.scope.row(name, false).filter(|_| is_own);
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
    pub(crate) fn required(&self, name: &'static str) -> Option<String> {
        let text = self.optional(name);
        // One that is there but wrong has been reported already.
        if text.is_none() && self.view.node.attribute(name).is_none() {
            self.view.error(Problem::MissingAttribute(name));
        }
        text
    }

    /// The text of an attribute.
    pub(crate) fn optional(&self, name: &str) -> Option<String> {
        let found = self
            .attributes
            .iter()
            .find(|attribute| attribute.name == name);
        match &found?.datum {
            Datum::Text(text) => Some(text.clone()),
            Datum::Bool(_) | Datum::Int(_) | Datum::Decimal(_) | Datum::Children => None,
        }
    }

    pub(crate) fn flag(self) -> Option<bool> {
        match self.datum {
            Datum::Bool(flag) => Some(flag),
            Datum::Int(_) | Datum::Decimal(_) | Datum::Text(_) | Datum::Children => None,
        }
    }

    pub(crate) fn text(self) -> Option<String> {
        match self.datum {
            Datum::Text(text) => Some(text),
            Datum::Bool(_) | Datum::Int(_) | Datum::Decimal(_) | Datum::Children => None,
        }
    }

    pub(crate) fn decimal(self) -> Option<f64> {
        match self.datum {
            Datum::Decimal(number) => Some(number),
            Datum::Bool(_) | Datum::Int(_) | Datum::Text(_) | Datum::Children => None,
        }
    }

    /// The whole number; one that the field cannot hold is reported.
    pub(crate) fn number<T: TryFrom<i64>>(self) -> Option<T> {
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
    pub(crate) fn choice<T>(self, from_name: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.text().and_then(|text| from_name(&text))
    }
}

/// Sets a field to a value that was read; one that was wrong has been reported.
pub(crate) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A text as a message repeats it: on one line, and not all of a long one.
pub(crate) fn shown(text: &str) -> String {
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

/// Finds names that are there twice within one list.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, usize>);

impl Names {
    /// The name of an element; `None` if it has none, or one that is there already.
    pub(crate) fn of(&mut self, child: &Child<'_, '_>) -> Option<String> {
        self.of_attribute(child, "name")
    }

    pub(crate) fn of_attribute(
        &mut self,
        child: &Child<'_, '_>,
        attribute: &'static str,
    ) -> Option<String> {
        let name = child.required(attribute)?;
        if let Some(first) = self.0.get(&name) {
            child.view.error(Problem::Duplicate { first: *first });
            return None;
        }
        self.0.insert(name.clone(), child.view.line());
        Some(name)
    }
}
