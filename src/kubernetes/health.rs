//! The controller's HTTP port: `/livez`, `/readyz`, `/metrics`; and the watchdog behind the first.
//!
//! A controller that no longer hears from the API server is of no use, and its watches may be stuck for good: it ends,
//! and is started again (exit status 75). "Heard" is the last list, watch event or look at a pair that succeeded, not
//! that this process answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// A controller that has heard nothing for so long ends. Watches are begun anew every 200 s at the latest, and every
/// pair is looked at every minute.
pub(crate) const SILENCE: Duration = Duration::from_mins(5);
/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When the API server was last heard.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    /// Milliseconds after the start.
    heard_ms: AtomicU64,
    /// The first list has come: everything is known.
    is_ready: std::sync::atomic::AtomicBool,
}

impl Pulse {
    /// Heard now; not ready.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            heard_ms: AtomicU64::new(0),
            is_ready: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// The API server answered, or told something.
    pub(crate) fn beat(&self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// All pairs are known.
    pub(crate) fn ready(&self) {
        self.beat();
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// For how long nothing was heard.
    pub(crate) fn silence(&self) -> Duration {
        let heard = Duration::from_millis(self.heard_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(heard)
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }
}

/// Returns when nothing was heard for too long.
pub(crate) async fn watchdog(pulse: Arc<Pulse>) {
    while pulse.silence() < SILENCE {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

struct Pages {
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
}

/// Serves until it is stopped. The listener is bound by the caller, so that a used port is an error at start.
pub(crate) async fn serve(
    listener: TcpListener,
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(page))
        .with_state(Arc::new(Pages { pulse, metrics }));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

async fn live(State(pages): State<Arc<Pages>>) -> (StatusCode, String) {
    let silence = pages.pulse.silence();
    let code = if silence < SILENCE {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        code,
        format!("the API server was heard {} s ago\n", silence.as_secs()),
    )
}

async fn ready(State(pages): State<Arc<Pages>>) -> (StatusCode, &'static str) {
    if pages.pulse.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the pairs are not known yet\n",
        )
    }
}

async fn page(State(pages): State<Arc<Pages>>) -> Response {
    match pages.metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_controller_that_hears_nothing_ends() {
        let pulse = Arc::new(Pulse::new());
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_mins(2)).await;
        pulse.beat();
        watchdog(Arc::clone(&pulse)).await;
        assert!(
            begun.elapsed() >= Duration::from_mins(7),
            "{:?}",
            begun.elapsed()
        );
        assert!(begun.elapsed() <= Duration::from_mins(7) + 2 * LOOK_EVERY);
    }
}
