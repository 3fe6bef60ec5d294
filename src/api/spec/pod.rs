//! What the brokers' pods look like and where they run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, PodSecurityContext, SecurityContext, Toleration, TopologySpreadConstraint,
};
use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::duration::GoDuration;
use crate::api::quantity::Quantity;

/// A reference to an object of the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectName {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) name: String,
}

/// When an image is pulled.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ImagePullPolicy {
    /// At every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Not at all: the node must have it.
    Never,
}

impl ImagePullPolicy {
    /// The word that Kubernetes has for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Resources of a container.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Resources {
    /// What is set aside for it.
    pub(crate) requests: BTreeMap<String, Quantity>,
    /// What it may use at most.
    pub(crate) limits: BTreeMap<String, Quantity>,
}

/// How changes that need a restart reach the brokers.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Updates {
    /// Automatic: the standby is restarted first, then the active role moves, then the former active is restarted. Manual: a broker gets the change when somebody deletes its pod.
    pub(crate) policy: UpdatePolicy,
}

/// Who restarts the brokers for a change.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UpdatePolicy {
    /// The operator, standby first.
    #[default]
    Automatic,
    /// A person.
    Manual,
}

/// Where one side runs, and on which claim.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new("has(self.claimName) == has(oldSelf.claimName) && (!has(self.claimName) || self.claimName == oldSelf.claimName)").message("claimName cannot be changed: the data would stay behind").field_path(".claimName"),
]))]
pub(crate) struct SidePlacement {
    /// A claim that exists, for replication; it is used as it is and never deleted. Default: the operator makes one. Cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub(crate) claim_name: Option<String>,
    /// Labels that this side's node must have, beside those of template.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) node_selector: BTreeMap<String, String>,
    /// Affinity of this side; replaces that of template and the default, by which the two sides keep apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) affinity: Option<Affinity>,
    /// Taints that this side tolerates, beside those of template.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tolerations: Vec<Toleration>,
}

/// What both brokers' pods have beyond what the pair needs.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodTemplate {
    /// Further labels; those of Tandem's own domain and app.kubernetes.io cannot be changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Further annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Further environment variables of the broker; those whose names begin with TANDEM_ are its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub(crate) env: Vec<EnvVar>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) node_selector: BTreeMap<String, String>,
    /// Affinity; replaces the default, by which the two sides keep apart where they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) affinity: Option<Affinity>,
    /// Taints that the pods tolerate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tolerations: Vec<Toleration>,
    /// Topology spread; replaces the default, which is over zones where that can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// Priority class of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub(crate) priority_class_name: Option<String>,
    /// How long a broker may take to stop before it is killed. Default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) termination_grace_period: Option<GoDuration>,
    /// Replaces the pods' security context. The default satisfies the restricted Pod Security Standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) security_context: Option<PodSecurityContext>,
    /// Replaces the broker container's security context. The default satisfies the restricted Pod Security Standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container_security_context: Option<SecurityContext>,
}
