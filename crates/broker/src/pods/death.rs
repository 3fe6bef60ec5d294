//! Proof of death by the kubelet: the container of the holder's incarnation has terminated.
//!
//! The kubelet reports a container as terminated only after its last process is gone, and with it what the process left
//! as its termination message: its incarnation, written at its start. So the report is about this very run. Everything
//! else that can be seen of a pod (deleted, being deleted, failed, unknown, its node not ready) is no proof: its process
//! may run on, on a machine that nobody hears.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::Api;
use pair::{Incarnation, Input};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info};

use super::{Known, bounded};

/// Name of the broker's container in a rendered pod.
const CONTAINER: &str = "broker";
/// What the kubelet writes of a container that it has lost: it has seen no end.
const UNKNOWN: &str = "ContainerStatusUnknown";
/// Start of the termination message.
const INCARNATION: &str = "incarnation=";
/// First pause between two looks; doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The termination message of this run of a process.
pub(super) fn message(inc: Incarnation) -> String {
    format!("{INCARNATION}{inc}")
}

/// Looks at the pod of a holder that is not heard, until it is heard again, another one holds, or its end is proven.
pub(super) async fn watch(
    api: Api<Pod>,
    mut known: watch::Receiver<Known>,
    answers: mpsc::UnboundedSender<Input>,
) {
    loop {
        let lost = known.borrow_and_update().lost.clone();
        if let Some((pod, inc)) = lost {
            let still = wait_for(&mut known, |known| known.lost != Some((pod.clone(), inc)));
            tokio::select! {
                changed = still => if changed.is_err() { return },
                () = until_dead(&api, &pod, inc) => {
                    info!("the kubelet reports that the container of {inc} in pod {pod} has ended");
                    if answers.send(Input::ProcessEnded { inc }).is_err() {
                        return;
                    }
                    if wait_for(&mut known, |known| known.lost != Some((pod.clone(), inc)))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        } else if known.changed().await.is_err() {
            return;
        }
    }
}

async fn wait_for(
    known: &mut watch::Receiver<Known>,
    what: impl FnMut(&Known) -> bool,
) -> Result<(), watch::error::RecvError> {
    known.wait_for(what).await.map(|_| ())
}

async fn until_dead(api: &Api<Pod>, pod: &str, inc: Incarnation) {
    let mut pause = PAUSE;
    loop {
        match bounded(api.get(pod)).await {
            Ok(found) if has_ended(&found, inc) => return,
            Ok(_) => {}
            // A pod that is not there says nothing about its process.
            Err(error) => debug!("the pod {pod} cannot be looked at: {error}"),
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Whether the kubelet reports the end of the container that ran this incarnation.
fn has_ended(pod: &Pod, inc: Incarnation) -> bool {
    let status = pod.status.as_ref();
    let statuses = status.and_then(|status| status.container_statuses.as_ref());
    let broker = statuses
        .into_iter()
        .flatten()
        .find(|status| status.name == CONTAINER);
    let ends = broker.map(|status| [&status.state, &status.last_state]);
    ends.into_iter()
        .flatten()
        .filter_map(|state| state.as_ref()?.terminated.as_ref())
        .any(|terminated| is_of(terminated, inc))
}

fn is_of(terminated: &ContainerStateTerminated, inc: Incarnation) -> bool {
    let said = terminated.message.as_deref().unwrap_or("");
    terminated.reason.as_deref() != Some(UNKNOWN) && said.trim_end() == message(inc)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{
        ContainerState, ContainerStateRunning, ContainerStatus, PodStatus,
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    const INC: Incarnation = Incarnation([0xab; 16]);

    fn ended(message: &str, reason: &str) -> ContainerState {
        ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: 137,
                message: Some(message.to_owned()),
                reason: Some(reason.to_owned()),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        }
    }

    fn runs() -> ContainerState {
        ContainerState {
            running: Some(ContainerStateRunning::default()),
            ..ContainerState::default()
        }
    }

    fn pod(name: &str, state: ContainerState, last_state: Option<ContainerState>) -> Pod {
        let broker = ContainerStatus {
            name: name.to_owned(),
            state: Some(state),
            last_state,
            ..ContainerStatus::default()
        };
        Pod {
            status: Some(PodStatus {
                container_statuses: Some(vec![broker]),
                ..PodStatus::default()
            }),
            ..Pod::default()
        }
    }

    fn message_of(inc: Incarnation) -> String {
        format!("{}\n", message(inc))
    }

    #[test]
    fn the_kubelets_report_about_this_run_is_proof() {
        let state = ended(&message_of(INC), "Error");
        assert!(has_ended(&pod("broker", state.clone(), None), INC));
        // The container was started again in its pod, as another incarnation.
        assert!(has_ended(&pod("broker", runs(), Some(state)), INC));
    }

    #[test]
    fn a_report_about_another_run_is_none() {
        let other = Incarnation([1; 16]);
        let state = ended(&message_of(other), "Error");
        assert!(!has_ended(&pod("broker", state, None), INC));
        assert!(!has_ended(&pod("broker", ended("", "Error"), None), INC));
        // A log line that names it, as with terminationMessagePolicy FallbackToLogsOnError.
        let log = format!("INFO holds epoch 4, {}", message(INC));
        assert!(!has_ended(&pod("broker", ended(&log, "Error"), None), INC));
        let longer = format!("{}0", message(INC));
        assert!(!has_ended(
            &pod("broker", ended(&longer, "Error"), None),
            INC
        ));
    }

    #[test]
    fn a_report_about_another_container_is_none() {
        let state = ended(&message_of(INC), "Completed");
        assert!(!has_ended(&pod("sidecar", state, None), INC));
    }

    #[test]
    fn a_container_that_the_kubelet_lost_is_none() {
        let state = ended(&message_of(INC), UNKNOWN);
        assert!(!has_ended(&pod("broker", state.clone(), None), INC));
        assert!(!has_ended(&pod("broker", runs(), Some(state)), INC));
    }

    #[test]
    fn a_pod_that_is_being_deleted_is_none() {
        let mut pod = pod("broker", runs(), None);
        pod.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        pod.metadata.deletion_grace_period_seconds = Some(0);
        assert!(!has_ended(&pod, INC));
    }

    #[test]
    fn a_failed_pod_is_none() {
        let mut pod = pod("broker", runs(), None);
        let status = pod.status.get_or_insert_default();
        status.phase = Some("Failed".to_owned());
        status.reason = Some("NodeLost".to_owned());
        assert!(!has_ended(&pod, INC));
        // Evicted or collected: no container is reported at all.
        pod.status.get_or_insert_default().container_statuses = None;
        assert!(!has_ended(&pod, INC));
    }

    #[test]
    fn a_new_pod_of_the_same_name_is_none() {
        assert!(!has_ended(&Pod::default(), INC));
        assert!(!has_ended(&pod("broker", runs(), None), INC));
    }
}
