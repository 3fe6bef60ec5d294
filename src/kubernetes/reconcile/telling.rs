//! How a pair stands, for people: the conditions that only a cluster has, the status and the events.

use std::sync::PoisonError;

use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource};
use serde_json::json;
use tracing::{info, warn};

use super::{Context, Look, LookError, Remembered, TRY, bounded};
use crate::api::BrokerPair;
use crate::api::status::{BrokerPairStatus, Condition, ConditionType, Truth};
use crate::by_side::{BySide, SIDES};
use crate::kubernetes::apply::MANAGER;
use crate::kubernetes::events;
use crate::kubernetes::observe::{self, SideObjects};
use crate::kubernetes::record::Found;
use crate::policy::Observed;
use crate::policy::rollout::{PodState, Step};

impl Look<'_> {
    pub(super) fn config_applied(
        &self,
        applied: &Result<(), LookError>,
        is_rendered: bool,
        objects: &BySide<SideObjects>,
        pods: BySide<PodState>,
    ) -> Condition {
        let is_unseen = SIDES
            .into_iter()
            .any(|side| observe::is_unseen(&objects[side]));
        let is_old = SIDES
            .into_iter()
            .find(|side| pods[*side] != PodState::Current);
        let manual = self.pair.spec.updates.policy == crate::api::spec::UpdatePolicy::Manual;
        let (status, reason, message) = match (applied, is_old) {
            _ if self.pair.spec.paused => (
                Truth::Unknown,
                "Paused",
                "spec.paused is set: changes are not applied".to_owned(),
            ),
            (Err(LookError::Desired(error)), _) => (Truth::False, error.word(), error.to_string()),
            (Err(error), _) => (Truth::False, "NotApplied", error.to_string()),
            (Ok(()), _) if is_unseen => (
                Truth::False,
                "Applying",
                "the stateful sets take up the newest spec".to_owned(),
            ),
            (Ok(()), Some(side)) if manual => (
                Truth::False,
                "RestartNeeded",
                format!(
                    "the {side} runs with an older spec; updates.policy is Manual: delete its pod, the standby's first"
                ),
            ),
            (Ok(()), Some(side)) => (
                Truth::False,
                "RollingOut",
                format!("the {side} runs with an older spec until its pod is replaced"),
            ),
            (Ok(()), None) if !is_rendered => (
                Truth::Unknown,
                "NotRendered",
                "this version does not make the brokers' pods: whether they run with what the spec says is not known"
                    .to_owned(),
            ),
            (Ok(()), None) => (
                Truth::True,
                "Applied",
                "both brokers run with what the spec says".to_owned(),
            ),
        };
        Condition {
            kind: ConditionType::ConfigApplied,
            status,
            reason: reason.to_owned(),
            message,
        }
    }

    /// Writes status and events, if there is anything to say.
    pub(super) async fn tell(
        &self,
        told: &BrokerPairStatus,
        found: &Found,
    ) -> Result<(), LookError> {
        let Context { metrics, .. } = self.context;
        metrics.stands(&self.namespace, &self.name, told, found.transitions);
        let gap = match &found.seen {
            Observed::Known(record) => record.last.as_ref().and_then(|last| last.gap_ms),
            Observed::Absent | Observed::Unknown { .. } => None,
        };
        metrics.gap(&self.namespace, &self.name, gap);
        if *told != self.before {
            let api: Api<BrokerPair> =
                Api::namespaced(self.context.client.clone(), &self.namespace);
            let patch = json!({
                "apiVersion": crate::api::API_VERSION,
                "kind": crate::api::KIND,
                "metadata": {"name": self.name, "uid": self.pair.metadata.uid},
                "status": told,
            });
            let params = PatchParams::apply(MANAGER).force();
            let patch = Patch::Apply(&patch);
            bounded(
                "writing the status",
                api.patch_status(&self.name, &params, &patch),
            )
            .await?;
            for told in events::between(&self.before, told) {
                self.event(&told).await;
            }
        }
        let remembered = Remembered {
            policy: self.memory.clone(),
            written: Some(told.clone()),
        };
        self.context
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((self.namespace.clone(), self.name.clone()), remembered);
        Ok(())
    }

    /// Tells an event; one that cannot be written is only logged.
    pub(super) async fn event(&self, told: &events::Told) {
        let event = Event {
            type_: if told.is_warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: told.reason.to_owned(),
            note: Some(told.note.chars().take(1_000).collect()),
            action: "Watch".to_owned(),
            secondary: None,
        };
        info!(pair = %self.name, namespace = %self.namespace, "{}: {}", told.reason, told.note);
        let reference = self.pair.object_ref(&());
        let publish = self.context.recorder.publish(&event, &reference);
        if let Ok(Err(error)) = tokio::time::timeout(TRY, publish).await {
            warn!(pair = %self.name, "an event is not written: {error}");
        }
    }
}

/// Whether something is on its way, and what.
pub(super) fn progressing(step: &Step, objects: &BySide<SideObjects>, paused: bool) -> Condition {
    let missing = SIDES.into_iter().find(|side| objects[*side].pod.is_none());
    let (status, reason, message) = match (step, missing) {
        _ if paused => (Truth::False, "Paused", "spec.paused is set".to_owned()),
        (Step::Replace(side), _) => (
            Truth::True,
            "Replacing",
            format!("the pod of the {side} is replaced"),
        ),
        (Step::Move { to, .. }, _) => (Truth::True, "Moving", format!("the {to} takes over")),
        (Step::Wait(why), _) => (Truth::True, "RollingOut", why.to_string()),
        (Step::Done, Some(side)) => (
            Truth::True,
            "Starting",
            format!("the pod of the {side} is not there yet"),
        ),
        (Step::Done, None) => (Truth::False, "Done", "nothing is on its way".to_owned()),
    };
    Condition {
        kind: ConditionType::Progressing,
        status,
        reason: reason.to_owned(),
        message,
    }
}
