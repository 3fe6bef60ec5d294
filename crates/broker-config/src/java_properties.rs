//! The syntax of Java properties files: what the users, roles and `tandem.properties` files are
//! written in.
//!
//! Lines `key = value` (also `:` or only white space between them), comments with `#` or `!`,
//! continuation with a backslash at the end of a line, escapes `\t \n \r \f \uXXXX` and `\` before
//! anything else. Every entry knows the line it begins on.

use std::fmt::Write as _;

use thiserror::Error;

/// A user file with more than this is a mistake; bounds the work on a file from outside.
const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// One line of a properties file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// What can be wrong with the syntax.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyntaxError {
    /// `\u` needs four hexadecimal digits that are a character.
    #[error(
        "line {line}: \\u needs the four hexadecimal digits of a character, for example \\u00e9"
    )]
    UnicodeEscape {
        /// Where, from 1.
        line: usize,
    },
    /// The file is larger than any such file should be.
    #[error("the file has {bytes} bytes; at most {MAX_TEXT_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// The entries of a properties file, in order.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(SyntaxError::TooLarge { bytes: text.len() });
    }
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let line = index + 1;
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while continues(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else {
                break;
            };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        let (key, value) = split(&logical);
        let entry = Entry {
            line,
            key: unescape(key).ok_or(SyntaxError::UnicodeEscape { line })?,
            value: unescape(value).ok_or(SyntaxError::UnicodeEscape { line })?,
        };
        entries.push(entry);
    }
    Ok(entries)
}

/// `text` such that it is read back as a key.
pub(crate) fn escape_key(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        if matches!(character, ' ' | '=' | ':' | '#' | '!') {
            out.push('\\');
        }
        push_escaped(&mut out, character);
        out
    })
}

/// `text` such that it is read back as a value.
pub(crate) fn escape_value(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if out.is_empty() && is_blank(character) {
            out.push('\\');
        }
        push_escaped(&mut out, character);
    }
    out
}

fn push_escaped(out: &mut String, character: char) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\u{c}' => out.push_str("\\f"),
        ' '..='~' => out.push(character),
        _ => {
            // The format is Latin-1 to older readers, so everything else is written as UTF-16 units.
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

/// Whether the line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Cuts a line at its first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, character)| {
        let separates = !escaped && (is_blank(*character) || matches!(character, '=' | ':'));
        escaped = !escaped && *character == '\\';
        separates
    });
    let Some((end, _)) = end else {
        return (line, "");
    };
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            flush(&mut units, &mut out)?;
            out.push(character);
            continue;
        }
        let Some(escape) = characters.next() else {
            break;
        };
        if escape == 'u' {
            let digits = characters.as_str().get(..4)?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            units.push(u16::from_str_radix(digits, 16).ok()?);
            characters = characters.as_str().get(4..)?.chars();
            continue;
        }
        flush(&mut units, &mut out)?;
        out.push(match escape {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            other => other,
        });
    }
    flush(&mut units, &mut out)?;
    Some(out)
}

/// Moves collected UTF-16 units to the text; lone surrogates are no characters.
fn flush(units: &mut Vec<u16>, out: &mut String) -> Option<()> {
    if !units.is_empty() {
        out.push_str(&String::from_utf16(units).ok()?);
        units.clear();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: usize, key: &str, value: &str) -> Entry {
        Entry {
            line,
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn every_form_of_line_is_read() {
        let text = "# comment\n! too\n\n a = b \nc:d\n e   f\ng\nh=\\\n  i\\\n  j\nk\\ l=m\\=n\n";
        assert_eq!(
            parse(text),
            Ok(vec![
                entry(4, "a", "b "),
                entry(5, "c", "d"),
                entry(6, "e", "f"),
                entry(7, "g", ""),
                entry(8, "h", "ij"),
                entry(11, "k l", "m=n"),
            ])
        );
    }

    #[test]
    fn escapes_are_read_and_bad_ones_named_with_their_line() {
        assert_eq!(
            parse("a=\\u00e9\\ud83d\\ude00\\t\\q\\"),
            Ok(vec![entry(1, "a", "é😀\tq")])
        );
        for text in ["\na=\\u12", "\na=\\ud83d!", "\na=\\u+123"] {
            assert_eq!(
                parse(text),
                Err(SyntaxError::UnicodeEscape { line: 2 }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        for text in ["", "plain", "  two words ", "a=b:c#d!e\\", "é😀\t\n\r\u{c}"] {
            let line = format!("{} = {}", escape_key(text), escape_value(text));
            assert_eq!(
                parse(&format!("x{line}")),
                Ok(vec![entry(1, &format!("x{text}"), text)])
            );
        }
    }
}
