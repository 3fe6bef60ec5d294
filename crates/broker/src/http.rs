//! The broker's HTTP port, open in every role: health for supervisors, the pair's state for people and tools.
//!
//! Orders never travel here: a wish for a switchover is `wanted` in the pair record (rule 6).

use std::io;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longest wait of `GET /v1/pair?after=N`, and how long it is unless `wait_ms` says less; shorter than what proxies tend to cut.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// What `GET /v1/pair` answers. Times are Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PairStatus {
    /// Grows by one with every change of this answer; `?after=N` waits for a greater one, `&wait_ms=T` so long.
    pub n: u64,
    /// `primary` or `backup`: what this broker is configured as.
    pub side: String,
    /// `starting`, `standby`, `attempting`, `preparing`, `serving`, `holding`, `handing` or `stopped`.
    pub role: String,
    /// Whether the role is one that a healthy pair stays in: serving, or a standby that watches its active.
    pub settled: bool,
    /// Epoch of the record that this broker saw last.
    pub epoch: u64,
    /// Who holds that epoch.
    pub holder: Option<Holder>,
    /// Sides that may take over: the active's own, and a standby that may do so on the active's silence.
    pub in_sync: Vec<String>,
    /// When this broker entered its role.
    pub since_ms: u64,
    /// One sentence: what this role means for the pair right now.
    pub why: String,
    /// The pair's last change of the active broker.
    pub last: Option<LastTransition>,
    /// Where the other side listens, as far as it is known.
    pub peer: Option<Peer>,
    /// The link to the other side.
    pub link: Link,
    /// Whether the active was heard over the link within `detection.timeout`; always false on the active itself.
    pub active_heard: bool,
    /// This process.
    pub pid: u32,
    /// This run of it, 32 hexadecimal digits: what `in_sync` of the record names over a shared store.
    pub inc: String,
    /// Replication: this side's store, which `in_sync` names there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Version of `tandem-broker`.
    pub version: String,
    /// Node ID: identity of the pair's data.
    pub node_id: String,
    /// Messages in all queues; only an active broker knows them.
    pub messages: Option<u64>,
    /// Replication: how far the copy of the journal has come that the standby needs; absent when none is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resync: Option<Resync>,
    /// Until when `serving` may be said, on the clock of the pair's state machine.
    #[serde(skip)]
    pub fresh_until_ms: u64,
}

impl PairStatus {
    /// The page as it may be told at this time: a process that hung must not say that it serves before its state
    /// machine has looked at the clock.
    fn told_now(&self) -> Self {
        let is_fresh =
            self.fresh_until_ms == u64::MAX || crate::ha::now().mono_ms < self.fresh_until_ms;
        let mut page = self.clone();
        if page.role == "serving" && !is_fresh {
            "holding".clone_into(&mut page.role);
            page.settled = false;
            "is not sure of its term and answers nobody: looks for the other side"
                .clone_into(&mut page.why);
        }
        page
    }
}

/// A copy of the journal on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Resync {
    /// Bytes copied so far.
    pub done_bytes: u64,
    /// Bytes that are to be copied, as far as is known.
    pub total_bytes: u64,
}

/// Holder of the pair's current epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Holder {
    /// `primary` or `backup`.
    pub side: String,
    /// Its incarnation, 32 hexadecimal digits.
    pub inc: String,
}

/// A change of the active broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LastTransition {
    /// Why it happened.
    pub cause: String,
    /// When the new active took the record.
    pub at_ms: u64,
    /// How long nobody served, as the new active saw it.
    pub gap_ms: Option<u64>,
    /// The person who forced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The link between the two brokers, over which they give each other signs of life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Link {
    /// Whether the other side's process is connected.
    pub connected: bool,
    /// Since when.
    pub since_ms: Option<u64>,
    /// Why it is not, as far as that is known.
    pub trouble: Option<String>,
}

/// The other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Peer {
    /// `host:port` of its client port.
    pub connector: String,
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<u64>,
    wait_ms: Option<u64>,
}

/// Serves until `stop` is cancelled. The listener is bound by the caller, so that a used port is an error at start.
pub(crate) async fn serve(
    listener: TcpListener,
    status: watch::Receiver<PairStatus>,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .route("/v1/pair", get(pair))
        .with_state(status);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

/// Ready means a settled role. A standby is healthy, and ready to take over.
async fn ready(State(status): State<watch::Receiver<PairStatus>>) -> (StatusCode, String) {
    let status = status.borrow().told_now();
    let code = if status.settled {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, format!("{}: {}\n", status.role, status.why))
}

/// Started means that the role was decided once: the record was read.
async fn started(State(status): State<watch::Receiver<PairStatus>>) -> (StatusCode, String) {
    let role = status.borrow().role.clone();
    let code = if role == "starting" {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (code, format!("{role}\n"))
}

async fn pair(
    State(mut status): State<watch::Receiver<PairStatus>>,
    Query(After { after, wait_ms }): Query<After>,
) -> Json<PairStatus> {
    if let Some(after) = after {
        let newer = status.wait_for(|status| status.n > after);
        // Whether the time ran out or a change came, the answer is the present state.
        let wait = wait_ms.map_or(LONGEST_WAIT, Duration::from_millis);
        let _ = tokio::time::timeout(wait.min(LONGEST_WAIT), newer).await;
    }
    Json(status.borrow().told_now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_hung_does_not_say_that_it_serves() {
        let page = |role: &str, fresh_until_ms| PairStatus {
            role: role.to_owned(),
            settled: true,
            fresh_until_ms,
            ..PairStatus::default()
        };
        let now_ms = crate::ha::now().mono_ms;
        for (role, fresh_until_ms, told) in [
            ("serving", u64::MAX, "serving"),
            ("serving", now_ms + 60_000, "serving"),
            ("serving", now_ms, "holding"),
            ("standby", 0, "standby"),
        ] {
            let told_now = page(role, fresh_until_ms).told_now();
            assert_eq!(told_now.role, told, "{role} until {fresh_until_ms}");
            assert_eq!(told_now.settled, role == told);
        }
    }
}
