//! `broker.xml`: its text to a [`crate::Configuration`] and back.

mod parse;
mod write;

pub use crate::xml::{ConfigError, ConfigErrors, Notice, NoticeKind, Problem};
pub use parse::{Parsed, parse};
pub use write::write;
