//! Indented XML, element by element.

use std::fmt::{Display, Write as _};

use quick_xml::escape::escape;

const INDENT: &str = "   ";

/// The text written so far.
pub(super) struct Out {
    text: String,
    depth: usize,
}

impl Out {
    pub(super) fn new(head: &str) -> Self {
        Self {
            text: head.to_owned(),
            depth: 0,
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// An element with children.
    pub(super) fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        children: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        let before = self.text.len();
        self.text.push_str(">\n");
        self.depth += 1;
        let begin = self.text.len();
        children(self);
        self.depth -= 1;
        if self.text.len() == begin {
            self.text.truncate(before);
            self.text.push_str("/>\n");
            return;
        }
        self.indent();
        self.push(format_args!("</{name}>\n"));
    }

    /// An element with a value.
    pub(super) fn value(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        self.text_element(name, &[], &value);
    }

    /// An element with a value, if there is one.
    pub(super) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// An element with attributes and a value.
    pub(super) fn text_element(&mut self, name: &str, attributes: &[(&str, &str)], value: &str) {
        self.open(name, attributes);
        self.push(format_args!(">{}</{name}>\n", quote(value)));
    }

    /// A remark for the people who read the file.
    pub(super) fn comment(&mut self, text: &str) {
        self.indent();
        self.push(format_args!("<!-- {text} -->\n"));
    }

    pub(super) fn blank_line(&mut self) {
        self.text.push('\n');
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.push(format_args!("<{name}"));
        for (key, value) in attributes {
            self.push(format_args!(" {key}=\"{}\"", quote(value)));
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
    }

    fn indent(&mut self) {
        self.text.push_str(&INDENT.repeat(self.depth));
    }
}

/// `text` such that it is read back: neither as markup, nor as a placeholder, which is replaced
/// before the file is XML. Control characters other than white space have no place in XML.
fn quote(text: &str) -> String {
    escape(text)
        .replace("${", "&#36;{")
        .replace('\n', "&#10;")
        .replace('\r', "&#13;")
        .replace('\t', "&#9;")
}
