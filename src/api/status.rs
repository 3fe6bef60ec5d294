//! What is said of a pair: conditions of positive polarity, each with a reason and a sentence.

use serde::{Deserialize, Serialize};

/// A statement about a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    /// What is stated.
    #[serde(rename = "type")]
    pub(crate) kind: ConditionType,
    /// Whether it holds.
    pub(crate) status: Truth,
    /// One word for programs.
    pub(crate) reason: String,
    /// One sentence for people.
    pub(crate) message: String,
}

/// What can be stated about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ConditionType {
    /// One broker serves, the other is ready to take over.
    Ready,
    /// One broker serves.
    Available,
    /// The standby is in sync: it takes over whatever happens to the active, and nothing acknowledged is lost.
    Protected,
    /// The primary shall become active again and is not yet.
    FailbackPending,
    /// Policy leaves the pair alone.
    Paused,
}

/// Whether a statement holds; what is not known is never taken for false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can tell now.
    Unknown,
}

impl std::fmt::Display for ConditionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ready => "Ready",
            Self::Available => "Available",
            Self::Protected => "Protected",
            Self::FailbackPending => "FailbackPending",
            Self::Paused => "Paused",
        })
    }
}

impl std::fmt::Display for Truth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        })
    }
}
