//! The labels that Services follow: `tandem.dev/role`, and beside it the epoch of whoever wrote it.
//!
//! The taker labels both pods once its gate has opened. A write names the version of the pod that it was decided on, so
//! one that was held up lands only where nothing has changed since; and nobody overwrites a higher epoch. So an old
//! active that wakes up never makes itself active again.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::{CallError, Known, bounded};

/// Whether a pod's broker serves: `active` or `standby`.
const ROLE: &str = "tandem.dev/role";
/// The epoch of the broker that wrote the role.
const EPOCH: &str = "tandem.dev/epoch";
/// First pause after a failure; doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Conflicts in a row after which it pauses: somebody else writes all the time.
const CONFLICTS: u32 = 4;

/// Labels both pods for every term of this side, and again when the other side's process is another one.
pub(super) async fn keep(
    api: Api<Pod>,
    own: String,
    peer: String,
    mut known: watch::Receiver<Known>,
) {
    loop {
        let now = known.borrow_and_update().clone();
        let changed = known.wait_for(|known| (known.serves, known.peer) != (now.serves, now.peer));
        let Some(epoch) = now.serves else {
            if changed.await.is_err() {
                return;
            }
            continue;
        };
        let label = async {
            tokio::join!(
                label(&api, &own, "active", epoch),
                label(&api, &peer, "standby", epoch)
            );
            std::future::pending::<()>().await;
        };
        // A term that is over labels nothing more.
        tokio::select! {
            changed = changed => if changed.is_err() { return },
            () = label => {}
        }
    }
}

/// Labels one pod, until it is labelled, is not there, or is labelled by a higher epoch.
async fn label(api: &Api<Pod>, pod: &str, role: &str, epoch: u64) {
    let mut pause = PAUSE;
    let mut conflicts = 0;
    let mut is_told = false;
    loop {
        match try_label(api, pod, role, epoch).await {
            Ok(Done::Labelled) => return info!("pod {pod} is labelled {role} (epoch {epoch})"),
            Ok(Done::Already) => return,
            Ok(Done::Newer(newer)) => {
                return info!(
                    "pod {pod} keeps the label of epoch {newer}, which is newer than {epoch}"
                );
            }
            Ok(Done::NotThere) => return debug!("there is no pod {pod} to be labelled"),
            Err(CallError::Kube(kube::Error::Api(status)))
                if status.is_conflict() && conflicts < CONFLICTS =>
            {
                conflicts += 1;
                continue;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    warn!(
                        "pod {pod} is not labelled {role}, so Services do not follow yet: {error}; tried on"
                    );
                }
            }
        }
        conflicts = 0;
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

enum Done {
    Labelled,
    Already,
    Newer(u64),
    NotThere,
}

async fn try_label(api: &Api<Pod>, name: &str, role: &str, epoch: u64) -> Result<Done, CallError> {
    let pod = match bounded(api.get(name)).await {
        Ok(pod) => pod,
        Err(CallError::Kube(kube::Error::Api(status))) if status.is_not_found() => {
            return Ok(Done::NotThere);
        }
        Err(error) => return Err(error),
    };
    match decide(&pod, role, epoch) {
        Err(done) => Ok(done),
        Ok(patch) => {
            let patch = Patch::Merge(patch);
            bounded(api.patch(name, &PatchParams::default(), &patch))
                .await
                .map(|_| Done::Labelled)
        }
    }
}

/// The patch that labels the pod as it was seen, or why there is none.
fn decide(pod: &Pod, role: &str, epoch: u64) -> Result<Value, Done> {
    let labels = pod.metadata.labels.as_ref();
    let value = |key| {
        labels
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
    };
    // An epoch that cannot be read was not written by a broker.
    let labelled = value(EPOCH).and_then(|text| text.parse::<u64>().ok());
    match labelled {
        Some(newer) if newer > epoch => return Err(Done::Newer(newer)),
        Some(same) if same == epoch && value(ROLE) == Some(role) => return Err(Done::Already),
        Some(_) | None => {}
    }
    Ok(json!({"metadata": {
        "uid": pod.metadata.uid,
        "resourceVersion": pod.metadata.resource_version,
        "labels": {ROLE: role, EPOCH: epoch.to_string()},
    }}))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn pod(labels: &[(&str, &str)]) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.uid = Some("u".to_owned());
        pod.metadata.resource_version = Some("12".to_owned());
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        pod.metadata.labels = Some(labels.collect::<BTreeMap<_, _>>());
        pod
    }

    #[test]
    fn a_write_lands_only_on_the_pod_as_it_was_seen() {
        let Ok(patch) = decide(&pod(&[]), "active", 7) else {
            panic!("nothing is written");
        };
        assert_eq!(patch["metadata"]["resourceVersion"], "12");
        assert_eq!(patch["metadata"]["uid"], "u");
        assert_eq!(patch["metadata"]["labels"][ROLE], "active");
        assert_eq!(patch["metadata"]["labels"][EPOCH], "7");
    }

    #[test]
    fn a_higher_epoch_is_never_overwritten() {
        for role in ["active", "standby"] {
            let seen = pod(&[(ROLE, "standby"), (EPOCH, "8")]);
            assert!(matches!(decide(&seen, role, 7), Err(Done::Newer(8))));
        }
        let seen = pod(&[(ROLE, "active"), (EPOCH, "6")]);
        assert!(decide(&seen, "standby", 7).is_ok());
        let seen = pod(&[(ROLE, "active"), (EPOCH, "six")]);
        assert!(decide(&seen, "standby", 7).is_ok());
    }

    #[test]
    fn what_is_right_already_is_not_written() {
        let seen = pod(&[(ROLE, "active"), (EPOCH, "7")]);
        assert!(matches!(decide(&seen, "active", 7), Err(Done::Already)));
        let seen = pod(&[(ROLE, "standby"), (EPOCH, "7")]);
        assert!(decide(&seen, "active", 7).is_ok());
    }
}
