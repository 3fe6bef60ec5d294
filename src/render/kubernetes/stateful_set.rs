//! One side: a `StatefulSet` of one broker.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use pair::Side;

use super::config::File;
use super::{PAIR_LABEL, Rendering, SIDE_LABEL, pod};
use crate::by_side::BySide;

/// Updates are `OnDelete`: the order in which brokers restart is the operator's, standby first.
pub(super) fn stateful_set(
    it: &Rendering<'_>,
    files: &BySide<Vec<File>>,
    side: Side,
) -> StatefulSet {
    let labels = it.side_labels(side);
    let selector = labels
        .iter()
        .filter(|(name, _)| [PAIR_LABEL, SIDE_LABEL].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    StatefulSet {
        metadata: ObjectMeta {
            labels: Some(labels),
            ..it.owned(it.named(side.as_str()))
        },
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::from(!it.pair.cluster.stopped)),
            selector: LabelSelector {
                match_labels: Some(selector),
                ..LabelSelector::default()
            },
            service_name: Some(it.named("brokers")),
            template: pod::template(it, &files[side], side),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            revision_history_limit: Some(3),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}
