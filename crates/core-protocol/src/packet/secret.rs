//! A password on its way to the check; never shown.

use std::fmt;

use crate::DecodeError;
use crate::wire::{Codec, Reader, Sink, text};

/// A text whose `Debug` shows only that it is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for comparing it with what is known. Never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// A `str` that is kept from logs.
pub(crate) struct Hidden;

impl Codec<Secret> for Hidden {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Secret, DecodeError> {
        text::read_string(reader, field).map(Secret)
    }

    fn write<S: Sink>(value: &Secret, out: &mut S) {
        text::write_string(&value.0, out);
    }
}
