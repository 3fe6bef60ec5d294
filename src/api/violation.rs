//! What is wrong in a manifest: where, in which field, and what to do about it.

use std::fmt;

/// A place in a file; lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Line.
    pub(crate) line: u64,
    /// Column.
    pub(crate) column: u64,
}

/// One thing that is wrong in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Where, if the place is known.
    pub(crate) at: Option<Position>,
    /// The field, as `spec.ha.mode`; empty for the file as a whole.
    pub(crate) path: String,
    /// What is wrong with it and what to do.
    pub(crate) message: String,
}

/// Everything that is wrong in one file, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Violations {
    /// The file, as the user named it.
    pub(crate) file: String,
    /// In the order of the file.
    pub(crate) list: Vec<Violation>,
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            f.write_str(&self.file)?;
            if let Some(Position { line, column }) = violation.at {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
            if !violation.path.is_empty() {
                write!(f, "{}: ", violation.path)?;
            }
            f.write_str(&violation.message)?;
        }
        Ok(())
    }
}
