//! `BrokerPair` as users write it, and everything between their file and a pair that may be built.
//!
//! ```text
//!   pair.yaml ──yaml──▶ positioned tree ──decode──▶ BrokerPair ──validate──▶ ValidatedPair
//!   API server ───────────────────────────────────▶ BrokerPair ──validate──▶ ValidatedPair
//! ```
//!
//! Nobody behind this module looks into the raw [`BrokerPair`]: the builders accept only the
//! validated type. The module reads texts that are handed in; it must never open a file itself.

pub(crate) mod base64;
pub(crate) mod crd;
pub(crate) mod decode;
pub(crate) mod duration;
pub(crate) mod manifest;
pub(crate) mod quantity;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod violation;
pub(crate) mod yaml;

pub(crate) use spec::BrokerPair;

/// The API group and version of this `BrokerPair`.
pub(crate) const API_VERSION: &str = "tandem.dev/v1alpha1";

/// The kind of a pair.
pub(crate) const KIND: &str = "BrokerPair";
