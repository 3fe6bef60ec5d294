//! Sizes and amounts as Kubernetes writes them: `10Gi`, `500M`, `250m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest number in a quantity that means anything.
const MAX_DIGITS: usize = 18;

/// Suffixes a number may have.
const SUFFIXES: [&str; 16] = [
    "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
];

/// An amount, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quantity(String);

/// A text that is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a quantity: write a number with a suffix, such as 512Mi, 10Gi or 500m")]
pub(crate) struct BadQuantity {
    text: String,
}

impl Quantity {
    /// A quantity that is written in this program; never a user's text.
    pub(crate) fn literal(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// Its value in thousandths, rounded down; for comparisons.
    pub(crate) fn milli(&self) -> u128 {
        let end = self
            .0
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(self.0.len());
        let (number, suffix) = self.0.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: u128 = format!("{whole}{fraction}").parse().unwrap_or_default();
        let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or_default());
        // Numerator and denominator of the suffix, in thousandths.
        let (times, over) = match suffix {
            "n" => (1, 1_000_000),
            "u" => (1, 1_000),
            "m" => (1, 1),
            "k" => (1_000_000, 1),
            "M" => (1_000_000_000, 1),
            "G" => (10u128.pow(12), 1),
            "T" => (10u128.pow(15), 1),
            "P" => (10u128.pow(18), 1),
            "E" => (10u128.pow(21), 1),
            "Ki" => (1_000 << 10, 1),
            "Mi" => (1_000 << 20, 1),
            "Gi" => (1_000 << 30, 1),
            "Ti" => (1_000 << 40, 1),
            "Pi" => (1_000 << 50, 1),
            "Ei" => (1_000 << 60, 1),
            _ => (1_000, 1),
        };
        digits.saturating_mul(times) / (over * scale)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "maxLength": 20,
            "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
            "x-kubernetes-int-or-string": true,
        })
    }
}

impl FromStr for Quantity {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let has_digits = !whole.is_empty() || !fraction.is_empty();
        let is_number = has_digits && number.len() <= MAX_DIGITS && !fraction.contains('.');
        if is_number && SUFFIXES.contains(&suffix) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadQuantity {
                text: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantityVisitor;

        impl Visitor<'_> for QuantityVisitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 10Gi")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(QuantityVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_whatever_their_suffix() {
        let milli = |text: &str| text.parse::<Quantity>().unwrap().milli();
        assert_eq!(milli("1Gi"), milli("1024Mi"));
        assert_eq!(milli("1.5G"), milli("1500M"));
        assert_eq!(milli("500m"), milli(".5"));
        assert!(milli("1G") < milli("1Gi") && milli("10Gi") > milli("9.5Gi"));
    }

    #[test]
    fn reads_kubernetes_quantities_and_nothing_else() {
        for text in ["1", "10Gi", "1.5G", "500m", ".5", "100k", "1Ei"] {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), text);
        }
        for text in ["", "Gi", "10 Gi", "10GB", "-1", "1.2.3", "ten", "."] {
            let error = text.parse::<Quantity>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{text:?} is not a quantity")),
                "{error}"
            );
        }
    }
}
