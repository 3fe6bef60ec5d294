//! Durations as Go and Kubernetes write them: `250ms`, `1.5s`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A longer duration than a year is a mistyped unit.
const MAX_NANOS: u128 = 366 * 24 * 3_600 * 1_000_000_000;

/// More digits than any duration has; keeps the arithmetic far from its limits.
const MAX_DIGITS: usize = 18;

/// A duration that is never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct GoDuration(Duration);

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: write a number with a unit, such as 250ms, 2s or 1h30m")]
pub(crate) struct BadDuration {
    text: String,
}

/// Units from the longest to the shortest, with their nanoseconds.
const UNITS: [(&str, u128); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

impl GoDuration {
    /// The duration of so many milliseconds.
    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Whole milliseconds, rounded up: a wait never becomes shorter than written.
    pub(crate) fn as_millis(self) -> u64 {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        u64::try_from(millis).unwrap_or(u64::MAX)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "pattern": r"^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|m|s|ms|us|µs|ns))+)$",
        })
    }
}

impl FromStr for GoDuration {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        parse_nanos(text)
            .filter(|nanos| *nanos <= MAX_NANOS)
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map(|nanos| Self(Duration::from_nanos(nanos)))
            .ok_or_else(|| BadDuration {
                text: text.chars().take(64).collect(),
            })
    }
}

/// Nanoseconds of a text such as `1h2.5s`; `0` alone needs no unit.
fn parse_nanos(text: &str) -> Option<u128> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut nanos = 0u128;
    while !rest.is_empty() {
        let (whole, after) = digits(rest)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after)?,
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, unit_nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos += number(whole)? * unit_nanos;
        let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
        nanos += number(fraction)? * unit_nanos / scale;
        rest = after;
    }
    (!text.is_empty()).then_some(nanos)
}

/// The leading digits and what follows them; `None` if there are too many.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (end <= MAX_DIGITS).then(|| text.split_at(end))
}

fn number(digits: &str) -> Option<u128> {
    if digits.is_empty() {
        Some(0)
    } else {
        digits.parse().ok()
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        for (unit, unit_nanos) in UNITS {
            let count = nanos / unit_nanos;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                nanos %= unit_nanos;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for GoDuration {
    type Error = BadDuration;

    fn try_from(text: String) -> Result<Self, BadDuration> {
        text.parse()
    }
}

impl From<GoDuration> for String {
    fn from(duration: GoDuration) -> Self {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Option<u64> {
        text.parse::<GoDuration>().ok().map(GoDuration::as_millis)
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("2s", 2_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1h30m", 5_400_000),
            ("1m0.25s", 60_250),
            ("1us", 1),
            ("2000000ns", 2),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration_and_names_it() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1 s",
            "1d",
            "1s ",
            "1.s.",
            "99999999999999999999s",
        ] {
            let error = text.parse::<GoDuration>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{text:?} is not a duration")),
                "{error}"
            );
        }
        assert_eq!(millis("9000h"), None, "more than a year");
    }

    #[test]
    fn prints_what_it_reads_back() {
        for text in ["0s", "250ms", "2s", "1s500ms", "1h30m", "1ns"] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
    }
}
