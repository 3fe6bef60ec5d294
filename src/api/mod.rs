//! `BrokerPair` as users write it, and everything between their file and a pair that may be built.
//!
//! ```text
//!   pair.yaml ──yaml──▶ positioned tree ──decode──▶ BrokerPair ──validate──▶ ValidatedPair
//! ```
//!
//! Nobody behind this module looks into the raw [`BrokerPair`]: the builders accept only the
//! validated type. The module reads texts that are handed in; it must never open a file itself.

pub(crate) mod base64;
pub(crate) mod decode;
pub(crate) mod duration;
pub(crate) mod manifest;
pub(crate) mod quantity;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod violation;
pub(crate) mod yaml;

use serde::{Deserialize, Serialize};

pub(crate) use spec::BrokerPairSpec;

/// The API group and version of this `BrokerPair`.
pub(crate) const API_VERSION: &str = "tandem.dev/v1alpha1";

/// The kind of a pair.
pub(crate) const KIND: &str = "BrokerPair";

/// One pair of brokers, as a user writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BrokerPair {
    /// `tandem.dev/v1alpha1`.
    pub(crate) api_version: String,
    /// `BrokerPair`.
    pub(crate) kind: String,
    /// Name of the pair and what Kubernetes keeps beside it.
    pub(crate) metadata: Metadata,
    /// What the user wants.
    pub(crate) spec: BrokerPairSpec,
}

/// The part of an object's metadata that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// Name of the object.
    pub(crate) name: String,
    /// Its namespace; means nothing on one machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
}
