//! What is wrong with a command line of `create`.

use thiserror::Error;

use crate::suggest;

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgsError {
    /// A flag nobody knows.
    #[error("unknown option '{flag}'{}", suggest::phrase(.suggestion.as_deref()))]
    Unknown {
        /// The flag.
        flag: String,
        /// One that looks like it.
        suggestion: Option<String>,
    },
    /// A flag whose value is missing.
    #[error("option '{flag}' needs a value: {flag} {value}")]
    NoValue {
        /// The flag.
        flag: &'static str,
        /// What its value is called.
        value: &'static str,
    },
    /// A flag whose value is of another kind.
    #[error("option '{flag}' is '{value}', but must be {expected}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
        /// What would fit.
        expected: &'static str,
    },
    /// A flag that is there twice.
    #[error("option '{flag}' is given twice")]
    Twice {
        /// The flag.
        flag: &'static str,
    },
    /// A flag that Artemis has and this broker has not.
    #[error("option '{flag}' is not served: {why}")]
    Refused {
        /// The flag.
        flag: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Two flags that contradict each other.
    #[error("options '{one}' and '{other}' contradict each other")]
    Contradiction {
        /// The first.
        one: &'static str,
        /// The second.
        other: &'static str,
    },
    /// A word too many.
    #[error("'{word}' is one word too many: the folder is '{folder}' already{}", flag_value(.word))]
    Surplus {
        /// The word.
        word: String,
        /// The first such word.
        folder: String,
    },
    /// No folder.
    #[error("the folder of the instance is missing: tandem-broker create [OPTIONS] FOLDER")]
    NoFolder,
    /// Things that Artemis would ask for.
    #[error("{} missing; or add --silent for Artemis' default answers", list(.0))]
    Missing(Vec<&'static str>),
    /// The offset leads beyond the last port.
    #[error("port {port} with an offset of {offset} is beyond 65535")]
    Offset {
        /// The port.
        port: u16,
        /// The offset.
        offset: u16,
    },
}

fn list(flags: &[&str]) -> String {
    let names = flags
        .iter()
        .map(|flag| format!("'{flag}'"))
        .collect::<Vec<_>>()
        .join(", ");
    if flags.len() == 1 {
        format!("option {names} is")
    } else {
        format!("options {names} are")
    }
}

fn flag_value(word: &str) -> &'static str {
    if super::boolean(word).is_some() {
        "; to give a flag a value, write it as --flag=value, or put the folder last"
    } else {
        ""
    }
}
