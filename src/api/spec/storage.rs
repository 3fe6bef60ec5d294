//! Where the data of a pair lives on Kubernetes.

use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::quantity::Quantity;

/// Where the data lives.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)").message("storageClassName cannot be changed: the data would stay behind").field_path(".storageClassName"),
    Rule::new("has(self.claimName) == has(oldSelf.claimName) && (!has(self.claimName) || self.claimName == oldSelf.claimName)").message("claimName cannot be changed: the data would stay behind").field_path(".claimName"),
    Rule::new("quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0").message("size can grow, not shrink").field_path(".size"),
    Rule::new("!has(self.claimName) || !has(self.storageClassName)").message("a claim that exists has its storage class already: leave storageClassName out").field_path(".storageClassName"),
]))]
pub(crate) struct Storage {
    /// Size of each claim; can grow where the storage class allows it.
    pub(crate) size: Quantity,
    /// Storage class of each claim; it must offer ReadWriteMany for a shared store. Default: the cluster's. Cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[expect(
        clippy::struct_field_names,
        reason = "the name that Kubernetes users know"
    )]
    pub(crate) storage_class_name: Option<String>,
    /// A claim that exists, for a shared store; it is used as it is and never deleted. Default: the operator makes one. Cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub(crate) claim_name: Option<String>,
    /// What happens to the claims that the operator made when the pair is deleted. Retain: they stay. Delete: they go too, and the messages with them.
    pub(crate) reclaim_policy: ReclaimPolicy,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            size: Quantity::literal("10Gi"),
            storage_class_name: None,
            claim_name: None,
            reclaim_policy: ReclaimPolicy::Retain,
        }
    }
}

/// What happens to the data when the pair is deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReclaimPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It is deleted too.
    Delete,
}
