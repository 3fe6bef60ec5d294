//! Keeps a drain from stopping both brokers at once.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Rendering;

/// A drained active hands over while it stops, so one may go as long as the other is ready. A pod that is not ready is no
/// reason to keep a node from being drained.
pub(super) fn budget(it: &Rendering<'_>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: it.owned(it.pair.name.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(it.selector()),
                ..LabelSelector::default()
            }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
