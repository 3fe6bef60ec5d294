//! The types of values in the XML files: what `true`, `10M` or `-1` mean.

use crate::elements::Value;

/// A value of one of the types.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Bool(bool),
    Int(i64),
    Decimal(f64),
    Text(String),
    /// The value is in the children.
    Children,
}

/// `text`, already trimmed, as a value of a type; else what would fit.
pub(super) fn read(value: Value, text: &str) -> Result<Datum, String> {
    match value {
        Value::Bool => match text {
            "true" | "1" => Ok(Datum::Bool(true)),
            "false" | "0" => Ok(Datum::Bool(false)),
            _ => Err("true or false".to_owned()),
        },
        Value::Int(min, max) => text
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(Datum::Int)
            .ok_or_else(|| whole_number(min, max)),
        Value::Bytes => read_bytes(text)
            .map(Datum::Int)
            .ok_or_else(|| "a number of bytes, for example 10485760, 10M or 10MiB".to_owned()),
        Value::Decimal => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number >= 0.0)
            .map(Datum::Decimal)
            .ok_or_else(|| "a number from 0, for example 1.5".to_owned()),
        Value::Name if text.is_empty() => Err("something: it must not be empty".to_owned()),
        Value::Name | Value::Text => Ok(Datum::Text(text.to_owned())),
        Value::Choice(choices) => choices
            .iter()
            .find(|choice| choice.eq_ignore_ascii_case(text))
            .map(|choice| Datum::Text((*choice).to_owned()))
            .ok_or_else(|| format!("one of {}", choices.join(", "))),
        Value::Children => Ok(Datum::Children),
    }
}

fn whole_number(min: i64, max: i64) -> String {
    match max {
        i64::MAX => format!("a whole number from {min}"),
        _ => format!("a whole number from {min} to {max}"),
    }
}

/// `10485760`, `10K`, `10MB`, `10Gi`, `10MiB` in any case, always by 1024; `-1` for none.
fn read_bytes(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: i64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(factor)
}

impl Datum {
    /// Whether it is one of these values, however it was written.
    pub(super) fn is_one_of(&self, values: &[&str]) -> bool {
        values.iter().any(|value| match self {
            Self::Bool(flag) => flag.to_string() == *value,
            Self::Int(number) => number.to_string() == *value,
            Self::Decimal(number) => value.parse() == Ok(*number),
            Self::Text(text) => text == value,
            Self::Children => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::{FROM_MINUS_ONE, PORT};

    #[test]
    fn byte_sizes_have_many_spellings() {
        for (text, bytes) in [
            ("10485760", 10 << 20),
            ("10M", 10 << 20),
            ("10MB", 10 << 20),
            ("10Mi", 10 << 20),
            ("10mib", 10 << 20),
            ("10 m", 10 << 20),
            ("2k", 2 << 10),
            ("3GiB", 3 << 30),
            ("0", 0),
            ("-1", -1),
        ] {
            assert_eq!(read(Value::Bytes, text), Ok(Datum::Int(bytes)), "{text}");
        }
        for text in ["", "M", "-2", "10T", "1.5M", "10 M B", "99999999999G", "é"] {
            assert!(read(Value::Bytes, text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_types_are_strict() {
        assert_eq!(read(Value::Bool, "1"), Ok(Datum::Bool(true)));
        assert_eq!(read(Value::Bool, "yes"), Err("true or false".to_owned()));
        assert_eq!(
            read(FROM_MINUS_ONE, "-2"),
            Err("a whole number from -1".to_owned())
        );
        assert_eq!(
            read(PORT, "65536"),
            Err("a whole number from 1 to 65535".to_owned())
        );
        assert_eq!(read(Value::Decimal, "1.5"), Ok(Datum::Decimal(1.5)));
        assert!(read(Value::Decimal, "NaN").is_err() && read(Value::Decimal, "-1").is_err());
        assert!(read(Value::Name, "").is_err());
        let choice = Value::Choice(&["PAGE", "DROP"]);
        assert_eq!(read(choice, "drop"), Ok(Datum::Text("DROP".to_owned())));
        assert_eq!(read(choice, "x"), Err("one of PAGE, DROP".to_owned()));
    }

    #[test]
    fn values_are_compared_by_what_they_mean() {
        assert!(Datum::Bool(false).is_one_of(&["false"]));
        assert!(Datum::Decimal(0.0).is_one_of(&["0"]));
        assert!(!Datum::Int(1).is_one_of(&["-1"]));
    }
}
