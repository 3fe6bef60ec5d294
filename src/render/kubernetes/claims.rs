//! The claims that the operator makes: one that both sides mount, or one for each side.
//!
//! No `volumeClaimTemplates`: they cannot grow, and one claim cannot be shared by two `StatefulSet`s.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pair::Side;

use super::Rendering;
use crate::api::spec::{HaMode, ReclaimPolicy};
use crate::by_side::SIDES;

pub(super) fn claims(it: &Rendering<'_>) -> Vec<PersistentVolumeClaim> {
    let storage = &it.pair.cluster.storage;
    match it.pair.mode {
        HaMode::SharedStore if storage.claim_name.is_some() => Vec::new(),
        HaMode::SharedStore => vec![claim(it, it.named("data"), "ReadWriteMany")],
        HaMode::Replication => SIDES
            .into_iter()
            .filter(|side| it.pair.cluster.placement[*side].claim_name.is_none())
            .map(|side| claim(it, own_claim(it, side), "ReadWriteOnce"))
            .collect(),
    }
}

/// The claim that a side mounts.
pub(super) fn name(it: &Rendering<'_>, side: Side) -> String {
    let cluster = &it.pair.cluster;
    match it.pair.mode {
        HaMode::SharedStore => cluster
            .storage
            .claim_name
            .clone()
            .unwrap_or_else(|| it.named("data")),
        HaMode::Replication => {
            let named = cluster.placement[side].claim_name.clone();
            named.unwrap_or_else(|| own_claim(it, side))
        }
    }
}

fn own_claim(it: &Rendering<'_>, side: Side) -> String {
    it.named(&format!("{side}-data"))
}

fn claim(it: &Rendering<'_>, name: String, access_mode: &str) -> PersistentVolumeClaim {
    let storage = &it.pair.cluster.storage;
    let size = Quantity(storage.size.to_string());
    let requests: BTreeMap<_, _> = std::iter::once(("storage".to_owned(), size)).collect();
    PersistentVolumeClaim {
        metadata: match storage.reclaim_policy {
            ReclaimPolicy::Retain => it.kept(name),
            ReclaimPolicy::Delete => it.owned(name),
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![access_mode.to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(requests),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: storage.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
