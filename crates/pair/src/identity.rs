//! Names of the things a pair is made of: its two sides, the runs of their processes, the terms.
//!
//! Pod names, pod identifiers and process numbers are reused, so none of them is ever taken for the
//! identity of a process: that is its incarnation alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the two places of a pair, fixed by configuration; which one is active changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The side that is preferred as the active one.
    Primary,
    /// The other side.
    Backup,
}

impl Side {
    /// The other side of the pair.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Backup,
            Self::Backup => Self::Primary,
        }
    }

    /// The side's name as it is written in the record, in file names and in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a side of a pair: use `primary` or `backup`")]
pub struct BadSide(pub String);

impl FromStr for Side {
    type Err = BadSide;

    fn from_str(text: &str) -> Result<Self, BadSide> {
        match text {
            "primary" => Ok(Self::Primary),
            "backup" => Ok(Self::Backup),
            other => Err(BadSide(other.to_owned())),
        }
    }
}

/// How the two sides share their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Both sides open the same directory.
    SharedStore,
    /// Each side has a directory of its own and the active sends its log to the standby.
    Replication,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SharedStore => "shared-store",
            Self::Replication => "replication",
        })
    }
}

/// One run of one side's process: 128 random bits made at its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Incarnation(pub [u8; 16]);

impl Incarnation {
    /// Enough of the text to tell incarnations apart in a log line.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Compared and shown all the time: one write instead of thirty-two.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (out, byte) in text.chunks_exact_mut(2).zip(self.0) {
            out[0] = DIGITS[usize::from(byte >> 4)];
            out[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({self})")
    }
}

/// A text that is not an incarnation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an incarnation: 32 lower-case hexadecimal digits are expected")]
pub struct BadIncarnation(pub String);

impl FromStr for Incarnation {
    type Err = BadIncarnation;

    fn from_str(text: &str) -> Result<Self, BadIncarnation> {
        let bad = || BadIncarnation(text.chars().take(64).collect());
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(bad()),
        };
        let bytes = text.as_bytes();
        if bytes.len() != 32 {
            return Err(bad());
        }
        let mut inc = [0; 16];
        for (out, pair) in inc.iter_mut().zip(bytes.chunks_exact(2)) {
            *out = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(inc))
    }
}

impl TryFrom<String> for Incarnation {
    type Error = BadIncarnation;

    fn try_from(text: String) -> Result<Self, BadIncarnation> {
        text.parse()
    }
}

impl From<Incarnation> for String {
    fn from(inc: Incarnation) -> Self {
        inc.to_string()
    }
}

/// One term of one holder. Two takers may try the same epoch; only together with the incarnation is
/// a term one thing, with one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term {
    /// Number of the term; grows with every takeover.
    pub epoch: u64,
    /// The process that holds, or held, or tried to hold it.
    pub inc: Incarnation,
}

impl Term {
    /// Name of the term's file in the store.
    pub fn file_name(&self) -> String {
        format!("term.{self}")
    }

    /// The term whose file has this name; `None` for every other file.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (epoch, inc) = name.strip_prefix("term.")?.split_once('.')?;
        let term = Self {
            epoch: epoch.parse().ok()?,
            inc: inc.parse().ok()?,
        };
        // One term has one name: no leading zeros, no plus sign.
        (term.file_name() == name).then_some(term)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.inc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_file_name_reads_back_and_has_one_spelling() {
        let term = Term {
            epoch: 7,
            inc: Incarnation([0xa5; 16]),
        };
        assert_eq!(term.file_name(), format!("term.7.{}", "a5".repeat(16)));
        assert_eq!(Term::from_file_name(&term.file_name()), Some(term));
        for other in ["term.7", "term.07.", "record.7", "term.+7.", "seal.7"] {
            let name = format!("{other}{}", "a5".repeat(16));
            assert_eq!(Term::from_file_name(&name), None, "{name}");
        }
        let upper = format!("term.7.{}", "A5".repeat(16));
        assert_eq!(Term::from_file_name(&upper), None);
    }

    proptest::proptest! {
        #[test]
        fn every_term_reads_back_and_no_name_reads_as_two(epoch: u64, inc: [u8; 16], name: String) {
            let term = Term { epoch, inc: Incarnation(inc) };
            proptest::prop_assert_eq!(Term::from_file_name(&term.file_name()), Some(term));
            if let Some(read) = Term::from_file_name(&name) {
                proptest::prop_assert_eq!(read.file_name(), name);
            }
        }
    }

    #[test]
    fn an_incarnation_is_32_lower_case_digits() {
        let text = "000102030405060708090a0b0c0d0e0f";
        let inc: Incarnation = text.parse().unwrap();
        assert_eq!(inc.to_string(), text);
        assert_eq!(inc.short(), "00010203");
        for bad in [
            "",
            "00",
            "zz0102030405060708090a0b0c0d0e0f",
            &text.to_uppercase(),
        ] {
            assert_eq!(
                bad.parse::<Incarnation>(),
                Err(BadIncarnation(bad.to_owned()))
            );
        }
    }
}
