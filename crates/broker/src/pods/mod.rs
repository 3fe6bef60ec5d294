//! The pair's two pods: which of them is active, told to Services by their labels, and whether the holder's container
//! has ended, asked of the kubelet's report.
//!
//! ```text
//!   driver ── what this side knows ──┬──► labels   GET, PATCH of both pods, after the own gate opened
//!                                    └──► death    GET of the holder's pod, while it is not heard
//!                  ◄── Input::ProcessEnded ─────────┘
//! ```
//! Only in a pod, and only with the rights that a rendered pair has: get and patch of the two pods by name. Nothing
//! here is needed for a takeover, and every call has a bound.

mod death;
mod labels;

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use pair::{Incarnation, Input, Role, Side, View};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

/// Where a pod is told its own name and namespace: the downward API of every rendered pair.
const POD_NAME: &str = "POD_NAME";
const POD_NAMESPACE: &str = "POD_NAMESPACE";
/// What the kubelet reports of a container that ended: its `terminationMessagePath`, by default.
const TERMINATION_MESSAGE: &str = "/dev/termination-log";
/// One try of a call, as of any call that an arbiter gets.
const TRY: Duration = Duration::from_secs(1);

/// The two pods of a pair, as the process in one of them knows them.
pub(crate) struct Pods {
    api: Api<Pod>,
    own: String,
    peer: String,
}

/// What the pods' tasks need to know of this side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The epoch that this side serves: its gate is open, and its ports.
    serves: Option<u64>,
    /// The connected process of the other side.
    peer: Option<Incarnation>,
    /// The recorded holder that this standby does not hear: its pod and its process.
    lost: Option<(String, Incarnation)>,
}

impl Known {
    /// What a view says.
    pub(crate) fn of(view: &View, own: Incarnation) -> Self {
        let serves = view.role == Role::Serving && view.ports_open;
        let connected = view.link.connected;
        let holder = view.holder.as_ref().filter(|holder| {
            view.role == Role::Standby && holder.inc != own && connected != Some(holder.inc)
        });
        Self {
            serves: serves.then_some(view.epoch),
            peer: connected,
            lost: holder.and_then(|holder| Some((holder.pod.clone()?, holder.inc))),
        }
    }
}

impl Pods {
    /// The pods of the pair that this process is part of; nothing outside a pod, or in one that is not named as a
    /// rendered pair's are.
    pub(crate) fn of_this_process(
        client: impl FnOnce() -> Option<Client>,
        side: Side,
    ) -> Option<Self> {
        let own = std::env::var(POD_NAME).ok()?;
        let namespace = std::env::var(POD_NAMESPACE).ok()?;
        let Some(peer) = peer_of(&own, side) else {
            warn!(
                "the pod {own} is not named NAME-{side}-N: no pod is labelled, so that no Service follows the active"
            );
            return None;
        };
        Some(Self {
            api: Api::namespaced(client()?, &namespace),
            own,
            peer,
        })
    }

    /// The pod of this process.
    pub(crate) fn own(&self) -> &str {
        &self.own
    }

    /// Starts both tasks; they end with the sender of `known`.
    pub(crate) fn start(self, known: &watch::Sender<Known>, answers: mpsc::UnboundedSender<Input>) {
        let Self { api, own, peer } = self;
        tokio::spawn(death::watch(api.clone(), known.subscribe(), answers));
        tokio::spawn(labels::keep(api, own, peer, known.subscribe()));
    }
}

/// Leaves the incarnation where the kubelet finds it when the container has ended.
pub(crate) fn leave_incarnation(inc: Incarnation) {
    let text = format!("{}\n", death::message(inc));
    // Written, not made: the kubelet makes it, and without it there is nobody to read it.
    let file = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(TERMINATION_MESSAGE);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    if let Err(error) = written {
        info!(
            "the kubelet's report of an end will not name this process, for {TERMINATION_MESSAGE} cannot be written: {error}"
        );
    }
}

/// The pod of the other side, by the names that stateful sets give: `NAME-primary-0` and `NAME-backup-0`.
fn peer_of(own: &str, side: Side) -> Option<String> {
    let (set, ordinal) = own.rsplit_once('-')?;
    let pair = set.strip_suffix(side.as_str())?.strip_suffix('-')?;
    Some(format!("{pair}-{}-{ordinal}", side.other()))
}

/// Runs a call for no longer than one try may take.
async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(TRY, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(CallError::Kube(error)),
        Err(_) => Err(CallError::Slow),
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Kube(kube::Error),
    #[error("the API server has not answered within {} ms", TRY.as_millis())]
    Slow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_pod_is_known_by_its_name() {
        assert_eq!(
            peer_of("orders-primary-0", Side::Primary).as_deref(),
            Some("orders-backup-0")
        );
        assert_eq!(
            peer_of("primary-backup-0", Side::Backup).as_deref(),
            Some("primary-primary-0")
        );
        assert_eq!(peer_of("orders-primary-0", Side::Backup), None);
        assert_eq!(peer_of("primary-0", Side::Primary), None);
        assert_eq!(peer_of("something", Side::Primary), None);
    }
}
