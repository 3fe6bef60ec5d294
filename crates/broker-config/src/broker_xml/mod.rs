//! `broker.xml`: its text to a [`crate::Configuration`] and back.

mod error;
mod parse;
mod source;
mod values;
mod write;

pub use error::{ConfigError, ConfigErrors, Notice, NoticeKind, Problem};
pub use parse::{Parsed, parse};
pub use write::write;
