//! What is known of a pair at one moment: its pods as Kubernetes has them, and what the brokers in them say.
//!
//! A broker is asked at the address of its pod each time something is decided. One that does not answer is unknown,
//! never dead; only a pod that is not there, or whose container has ended, is a broker that does not run.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use pair::Side;
use status_client::Page;

use crate::by_side::BySide;
use crate::local;
use crate::policy::rollout::PodState;
use crate::policy::{Broker, Observed};

/// The broker's container in its pod.
const CONTAINER: &str = "broker";
/// Port of its status page.
const HTTP_PORT: u16 = 8161;
/// How long a broker may take to answer: it answers in milliseconds, and one that hangs must not hold everything up.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// The revision of its stateful set that a pod was made from.
const REVISION: &str = "controller-revision-hash";

/// One side as Kubernetes has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SideObjects {
    /// Its pod.
    pub(crate) pod: Option<Pod>,
    /// Its stateful set.
    pub(crate) set: Option<StatefulSet>,
}

/// Asks both brokers.
pub(crate) async fn brokers(objects: &BySide<SideObjects>) -> BySide<Observed<Broker>> {
    let (primary, backup) = tokio::join!(
        broker(objects.primary.pod.as_ref(), Side::Primary),
        broker(objects.backup.pod.as_ref(), Side::Backup),
    );
    BySide { primary, backup }
}

async fn broker(pod: Option<&Pod>, side: Side) -> Observed<Broker> {
    let address = match whereabouts(pod) {
        Observed::Known(address) => address,
        Observed::Absent => return Observed::Absent,
        Observed::Unknown { why } => return Observed::Unknown { why },
    };
    let answer = status_client::ask(&address, HTTP_PORT, None);
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(Ok(page)) if page.is_of(side) => of_page(&page),
        Ok(Ok(page)) => Observed::Unknown {
            why: format!("the {} answers at {address}", page.side),
        },
        Ok(Err(error)) => Observed::Unknown {
            why: error.to_string(),
        },
        Err(_) => Observed::Unknown {
            why: format!("no answer within {} ms", ANSWER_LIMIT.as_millis()),
        },
    }
}

/// What policy sees of a broker in a container by its page.
pub(crate) fn of_page(page: &Page) -> Observed<Broker> {
    let mut seen = local::observe::broker(page);
    // In a container every process has the number 1; the incarnation tells two of them apart.
    let number = page.inc.get(..8);
    let number = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    if let (Observed::Known(seen), Some(number)) = (&mut seen, number) {
        seen.pid = number;
    }
    seen
}

/// Where the broker of a pod answers; absent if it certainly does not run.
fn whereabouts(pod: Option<&Pod>) -> Observed<String> {
    let Some(pod) = pod else {
        return Observed::Absent;
    };
    let status = pod.status.as_ref();
    let statuses = status.and_then(|status| status.container_statuses.as_ref());
    let container = statuses
        .into_iter()
        .flatten()
        .find(|container| container.name == CONTAINER);
    let address = status.and_then(|status| status.pod_ip.clone());
    match (container.map(state), address) {
        (Some(Container::Runs), Some(address)) => Observed::Known(address),
        (Some(Container::DoesNotRun), _) => Observed::Absent,
        // Nothing was started yet, and nothing is reported of it.
        (None, None) if pod.metadata.deletion_timestamp.is_none() => Observed::Absent,
        (Some(Container::Runs) | None, _) => Observed::Unknown {
            why: "its pod has no address".to_owned(),
        },
        (Some(Container::Lost), _) => Observed::Unknown {
            why: "its node does not report it any more".to_owned(),
        },
    }
}

enum Container {
    Runs,
    DoesNotRun,
    Lost,
}

fn state(container: &ContainerStatus) -> Container {
    let Some(state) = &container.state else {
        return Container::DoesNotRun;
    };
    match (&state.running, &state.terminated) {
        (Some(_), _) => Container::Runs,
        (None, Some(ended)) if ended.reason.as_deref() == Some("ContainerStatusUnknown") => {
            Container::Lost
        }
        (None, Some(_) | None) => Container::DoesNotRun,
    }
}

/// How a side's pod stands to what its stateful set says.
pub(crate) fn pod_state(objects: &SideObjects) -> PodState {
    let Some(pod) = &objects.pod else {
        return PodState::Current;
    };
    if pod.metadata.deletion_timestamp.is_some() {
        return PodState::Leaving;
    }
    let set = objects.set.as_ref();
    let status = set.and_then(|set| set.status.as_ref());
    let generation = set.and_then(|set| set.metadata.generation);
    // Until its controller has seen the newest spec, its revision is the old one's.
    let is_seen = status.is_some_and(|status| status.observed_generation == generation);
    let wanted = status.and_then(|status| status.update_revision.as_ref());
    let labels = pod.metadata.labels.as_ref();
    let has = labels.and_then(|labels| labels.get(REVISION));
    match (is_seen, wanted, has) {
        (true, Some(wanted), Some(has)) if wanted != has => PodState::Stale,
        (_, _, _) => PodState::Current,
    }
}

/// Whether a stateful set's controller has yet to see its newest spec.
pub(crate) fn is_unseen(objects: &SideObjects) -> bool {
    objects.set.as_ref().is_some_and(|set| {
        let status = set.status.as_ref();
        status.and_then(|status| status.observed_generation) != set.metadata.generation
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::StatefulSetStatus;
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "orders-primary-0", "labels": {REVISION: "one"}},
            "status": status,
        }))
        .unwrap()
    }

    fn container(state: &Value) -> Value {
        json!([{"name": "broker", "ready": true, "image": "i", "imageID": "", "restartCount": 0, "state": state}])
    }

    #[test]
    fn only_a_container_that_ended_or_never_was_does_not_run() {
        let runs = container(&json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}));
        let seen = |status: Value| whereabouts(Some(&pod(&status)));
        assert_eq!(
            seen(json!({"podIP": "10.0.0.1", "containerStatuses": runs})),
            Observed::Known("10.0.0.1".to_owned())
        );
        assert_eq!(whereabouts(None), Observed::Absent);
        assert_eq!(seen(json!({"phase": "Pending"})), Observed::Absent);
        let ended =
            |reason: &str| container(&json!({"terminated": {"exitCode": 1, "reason": reason}}));
        assert_eq!(
            seen(json!({"podIP": "10.0.0.1", "containerStatuses": ended("Error")})),
            Observed::Absent
        );
        let lost = seen(json!({"containerStatuses": ended("ContainerStatusUnknown")}));
        assert!(matches!(lost, Observed::Unknown { .. }), "{lost:?}");
        let nowhere = seen(json!({"containerStatuses": runs}));
        assert!(matches!(nowhere, Observed::Unknown { .. }), "{nowhere:?}");
    }

    #[test]
    fn two_processes_in_one_container_are_told_apart() {
        let page = |inc: &str| Page {
            role: "standby".to_owned(),
            pid: 1,
            inc: inc.to_owned(),
            ..Page::default()
        };
        let number = |inc: &str| of_page(&page(inc)).known().unwrap().pid;
        assert_ne!(number(&"01".repeat(16)), number(&"02".repeat(16)));
    }

    #[test]
    fn a_pod_is_stale_once_its_set_says_so() {
        let set = |revision: &str, observed| StatefulSet {
            metadata: serde_json::from_value(json!({"generation": 2})).unwrap(),
            status: Some(StatefulSetStatus {
                observed_generation: Some(observed),
                update_revision: Some(revision.to_owned()),
                ..StatefulSetStatus::default()
            }),
            ..StatefulSet::default()
        };
        let mut objects = SideObjects {
            pod: Some(pod(&json!({}))),
            set: Some(set("two", 2)),
        };
        assert_eq!(pod_state(&objects), PodState::Stale);
        objects.set = Some(set("two", 1));
        assert_eq!(pod_state(&objects), PodState::Current, "not seen yet");
        assert!(is_unseen(&objects));
        objects.set = Some(set("one", 2));
        assert_eq!(pod_state(&objects), PodState::Current);
        objects.pod = None;
        objects.set = Some(set("two", 2));
        assert_eq!(pod_state(&objects), PodState::Current);
    }
}
