//! Placeholders, and where things are in the file the user sees.
//!
//! `${name}` and `${name:default}` are replaced in the raw text, before it is XML, as Artemis does
//! it: a placeholder may stand for a number, a name, or a whole element. What was replaced is
//! remembered, so that every position is reported as it is in the file, not in the replaced text.

/// No configuration file has this much; bounds the work on a file from outside, and what placeholders
/// can blow it up to.
pub(super) const MAX_TEXT_BYTES: usize = 8 * 1024 * 1024;

/// Replaces placeholders: the value of `name`, else its default, else nothing.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A file's text with its placeholders replaced.
pub(crate) struct Source<'a> {
    original: &'a str,
    text: String,
    /// In the order of the text; the first begins at 0.
    pieces: Vec<Piece>,
    /// Where each line of the original begins.
    lines: Vec<usize>,
}

/// A stretch of the replaced text.
struct Piece {
    start: usize,
    original_start: usize,
    /// Whether it was copied; otherwise it stands for the placeholder at `original_start`.
    copied: bool,
}

/// A place in the original text, both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl<'a> Source<'a> {
    /// `None` if the text is or becomes too large.
    pub(crate) fn new(original: &'a str, lookup: &Lookup<'_>) -> Option<Self> {
        let mut source = Self {
            original,
            text: String::new(),
            pieces: Vec::new(),
            lines: vec![0],
        };
        source
            .lines
            .extend(original.match_indices('\n').map(|(at, _)| at + 1));
        let mut at = 0;
        while let Some((start, end)) = next_placeholder(original, at) {
            source.push(at, &original[at..start], true)?;
            let inner = &original[start + 2..end - 1];
            let (name, default) = inner.split_once(':').unwrap_or((inner, ""));
            let value = lookup(name.trim());
            source.push(start, value.as_deref().unwrap_or(default), false)?;
            at = end;
        }
        source.push(at, &original[at..], true)?;
        Some(source)
    }

    fn push(&mut self, original_start: usize, text: &str, copied: bool) -> Option<()> {
        if self.text.len() + text.len() > MAX_TEXT_BYTES {
            return None;
        }
        self.pieces.push(Piece {
            start: self.text.len(),
            original_start,
            copied,
        });
        self.text.push_str(text);
        Some(())
    }

    /// The text with its placeholders replaced.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where a place of the replaced text is in the original.
    pub(crate) fn position(&self, at: usize) -> Position {
        let index = self
            .pieces
            .partition_point(|piece| piece.start <= at)
            .saturating_sub(1);
        let original = self.pieces.get(index).map_or(0, |piece| {
            piece.original_start + if piece.copied { at - piece.start } else { 0 }
        });
        let line = self
            .lines
            .partition_point(|start| *start <= original)
            .max(1);
        let start = self.lines[line - 1];
        let before = self.original.get(start..original).unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// Where a row and column of the replaced text, both from 1, are in the original.
    pub(crate) fn position_of(&self, row: u32, column: u32) -> Position {
        let (row, column) = (row.max(1) as usize - 1, column.max(1) as usize - 1);
        let start = match row.checked_sub(1) {
            None => 0,
            Some(above) => self
                .text
                .match_indices('\n')
                .nth(above)
                .map_or(self.text.len(), |(at, _)| at + 1),
        };
        let line = &self.text[start..];
        let within = line
            .char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at);
        self.position(start + within)
    }
}

/// Begin and end of the first placeholder from `from` on; one that is not closed is plain text.
fn next_placeholder(text: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + text[from..].find("${")?;
    let end = start + text[start..].find('}')?;
    Some((start, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        let lookup = |name: &str| match name {
            "host" => Some("a\nb".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        };
        Source::new(text, &lookup).expect("not too large")
    }

    fn at(source: &Source<'_>, needle: &str) -> (usize, usize) {
        let at = source.text().find(needle).expect("is there");
        let Position { line, column } = source.position(at);
        (line, column)
    }

    #[test]
    fn values_defaults_and_nothing_are_put_in() {
        assert_eq!(
            source("<${host}|${x:1:2}|${x}|${empty:d}>").text(),
            "<a\nb|1:2||>"
        );
        assert_eq!(source("${ host }$${}{").text(), "a\nb${");
        assert_eq!(source("open ${host").text(), "open ${host");
        assert_eq!(source("").text(), "");
    }

    #[test]
    fn positions_are_those_of_the_file() {
        let source = source("é ${host} x\n${host}y\nz");
        assert_eq!(source.text(), "é a\nb x\na\nby\nz");
        assert_eq!(at(&source, "a"), (1, 3));
        assert_eq!(at(&source, "b x"), (1, 3));
        assert_eq!(at(&source, "x"), (1, 11));
        assert_eq!(at(&source, "by"), (2, 1));
        assert_eq!(at(&source, "y"), (2, 8));
        assert_eq!(at(&source, "z"), (3, 1));
        assert_eq!(
            source.position_of(2, 3),
            Position {
                line: 1,
                column: 11
            }
        );
        assert_eq!(source.position_of(99, 99), Position { line: 3, column: 2 });
        assert_eq!(source.position(9_999).line, 3);
    }

    #[test]
    fn a_text_that_grows_without_bound_is_refused() {
        let lookup = |_: &str| Some("x".repeat(MAX_TEXT_BYTES / 2));
        assert!(Source::new("${a}${a}", &lookup).is_some());
        assert!(Source::new("${a}${a}!", &lookup).is_none());
    }
}
