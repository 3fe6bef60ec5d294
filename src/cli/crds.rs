//! `tandem crds`: the custom resource definitions, for `kubectl apply`.

use std::io::Write;

use super::{Exit, Refusal};
use crate::api::crd;

/// Prints them.
pub(super) fn main() -> Result<Exit, Refusal> {
    let text = crd::text().map_err(|error| Refusal::new(Exit::Refused, &error))?;
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Refusal::new(Exit::Unavailable, &error))?;
    Ok(Exit::Done)
}
