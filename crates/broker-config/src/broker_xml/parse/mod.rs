//! Reads `broker.xml`.
//!
//! Placeholders first, then XML, then every element and attribute by the table of elements, then
//! the references between them. All mistakes of a file are found in one reading; only what is not
//! XML at all ends it at the first.

mod addresses;
mod cluster;
mod core;
mod ha;
mod security;
mod settings;
mod transport;

use crate::configuration::Configuration;
use crate::xml::{self, ConfigErrors, Lookup, Notice};

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The values.
    pub configuration: Configuration,
    /// What is worth knowing although nothing is wrong, in the order of the file.
    pub notices: Vec<Notice>,
}

/// Reads the text of a `broker.xml`.
///
/// `file` is only named in messages. `lookup` gives the value of a placeholder's name: a property
/// of the instance, else a variable of the environment.
pub fn parse(file: &str, text: &str, lookup: &Lookup<'_>) -> Result<Parsed, ConfigErrors> {
    let (configuration, notices) =
        xml::read(file, text, lookup, "configuration", core::configuration)?;
    Ok(Parsed {
        configuration,
        notices,
    })
}
