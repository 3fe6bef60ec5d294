//! Terms, positions and the names of files.
//!
//! A name parses only in the one form in which it is printed, so that no two names mean the same
//! file. Nothing here touches a file.

use std::fmt;
use std::str::FromStr;

/// One term of an active: its number and the process that held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermId {
    /// Number of the term; grows with every takeover.
    pub epoch: u64,
    /// The process that held it: 128 random bits drawn at its start.
    pub incarnation: [u8; 16],
}

impl fmt::Display for TermId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:032x}",
            self.epoch,
            u128::from_be_bytes(self.incarnation)
        )
    }
}

impl FromStr for TermId {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let parsed = text.split_once('.').and_then(|(epoch, incarnation)| {
            Some(Self {
                epoch: epoch.parse().ok()?,
                incarnation: u128::from_str_radix(incarnation, 16).ok()?.to_be_bytes(),
            })
        });
        canonical(
            parsed,
            text,
            "a term (EPOCH.INCARNATION, 32 lower-case hexadecimal digits)",
        )
    }
}

/// Where an entry stands: its term's epoch and its ordinal in that term, counted from 1.
///
/// Ordered as the entries are. Offset 0 stands before a term's first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Epoch of the term that wrote the entry.
    pub epoch: u64,
    /// Ordinal within the term, from 1.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

/// Name of a segment: `journal.EPOCH.INCARNATION.NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// The term that writes it.
    pub term: TermId,
    /// Number within the term, from 1, without gaps.
    pub number: u64,
}

impl SegmentName {
    /// The name of the segment that follows in the same term.
    #[must_use]
    pub fn successor(self) -> Self {
        Self {
            term: self.term,
            number: self.number.saturating_add(1),
        }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal.{}.{:010}", self.term, self.number)
    }
}

impl FromStr for SegmentName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let parsed = text
            .strip_prefix("journal.")
            .and_then(|rest| rest.rsplit_once('.'))
            .and_then(|(term, number)| {
                let number = number.parse().ok().filter(|number| *number > 0)?;
                Some(Self {
                    term: term.parse().ok()?,
                    number,
                })
            });
        canonical(parsed, text, "a segment (journal.EPOCH.INCARNATION.NUMBER)")
    }
}

/// A segment and how much of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLength {
    /// The segment.
    pub file: SegmentName,
    /// End of its last record that counts, without the padding behind it.
    pub length_bytes: u64,
}

/// A text is not the name of what it should name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseNameError {
    text: String,
    wanted: &'static str,
}

/// Name of the seal of the term with this epoch.
pub(crate) fn seal_name(epoch: u64) -> String {
    format!("seal.{epoch}")
}

/// The epoch that a seal's name carries; nothing if it is not the name of a seal.
pub(crate) fn seal_epoch(name: &str) -> Option<u64> {
    let epoch = name.strip_prefix("seal.")?.parse().ok()?;
    (seal_name(epoch) == name).then_some(epoch)
}

/// Lets a value through only if it prints as the text it was read from.
fn canonical<T: fmt::Display>(
    parsed: Option<T>,
    text: &str,
    wanted: &'static str,
) -> Result<T, ParseNameError> {
    parsed
        .filter(|value| value.to_string() == text)
        .ok_or_else(|| ParseNameError {
            text: text.to_owned(),
            wanted,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_and_parse() {
        let term = TermId {
            epoch: 7,
            incarnation: *b"\x00\x01456789abcdef\xff\xfe",
        };
        assert_eq!(
            term.to_string(),
            "7.00013435363738396162636465 66fffe".replace(' ', "")
        );
        assert_eq!(term.to_string().parse(), Ok(term));
        let segment = SegmentName { term, number: 12 };
        assert_eq!(segment.to_string(), format!("journal.{term}.0000000012"));
        assert_eq!(segment.to_string().parse(), Ok(segment));
        assert_eq!(seal_epoch("seal.7"), Some(7));
    }

    #[test]
    fn other_spellings_are_not_names() {
        let hex = "000134353637383961626364656667ff";
        for text in [
            format!("07.{hex}"),
            format!("+7.{hex}"),
            format!("7.{}", hex.to_uppercase()),
            "7.abc".to_owned(),
            "7".to_owned(),
        ] {
            assert!(text.parse::<TermId>().is_err(), "{text}");
        }
        for text in [
            format!("journal.7.{hex}.12"),
            format!("journal.7.{hex}.0000000000"),
            format!("journal.7.{hex}.0000000001.tmp"),
            format!("term.7.{hex}"),
        ] {
            assert!(text.parse::<SegmentName>().is_err(), "{text}");
        }
        for text in ["seal.07", "seal.7.tmp", "seal.", "seal.-1"] {
            assert_eq!(seal_epoch(text), None, "{text}");
        }
    }

    #[test]
    fn positions_order_by_epoch_first() {
        assert!(
            Position {
                epoch: 1,
                offset: 9
            } < Position {
                epoch: 2,
                offset: 1
            }
        );
        assert!(
            Position {
                epoch: 2,
                offset: 1
            } < Position {
                epoch: 2,
                offset: 2
            }
        );
    }
}
