//! Everything that exists while this side serves, started and ended together.
//!
//! Ending has two forms. *Draining* (handover, clean stop): ports close, what was taken is made durable and
//! answered as far as the gate lets it, clients are sent away. *Abandoning* (another side has the record, the fence
//! mark is set): nothing further leaves this process, not even answers that were ready (rules 5 and 8).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use engine::Engine;
use journal::Writer;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::admission::{Admission, Entrance};
use super::auth::Auth;
use super::connection::{self, Shared};
use super::engine_task::{EngineTask, MAX_QUEUED_REQUESTS};
use super::log_limit::LogLimit;
use super::ports::OpenPort;
use super::release::Gate;
use super::topology::Topology;
use crate::broadcast;

/// How long to wait after the kernel refused to accept, which it does when descriptors are used up.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What a term needs to serve.
pub(crate) struct ServingParts {
    /// The queues, recovered.
    pub engine: Engine,
    /// The journal of this term.
    pub writer: Arc<Writer>,
    /// Entries of the term that precede the engine's first record.
    pub base: u64,
    /// How far the pair's gate is open; moved by the pair's driver.
    pub gate: watch::Receiver<Gate>,
    /// Ports to accept on.
    pub listeners: Vec<OpenPort>,
    /// Who may come in.
    pub auth: Auth,
    /// What clients are told about the pair.
    pub topology: watch::Receiver<Topology>,
    /// Where the pair is announced to clients that do not know it.
    pub broadcasts: Vec<broadcast::Group>,
    /// Set-up of each connection.
    pub protocol: core_protocol::server::ServerConfig,
    /// Messages in all queues, for the status page.
    pub messages: watch::Sender<Option<u64>>,
    /// Told when the queues cannot go on; the term must end then.
    pub on_failure: Box<dyn FnOnce(String) + Send>,
}

/// A term that serves.
pub(crate) struct Serving {
    writer: Arc<Writer>,
    closed: CancellationToken,
    drain: CancellationToken,
    send_away: CancellationToken,
    abandon: CancellationToken,
    acceptors: TaskTracker,
    engine: TaskTracker,
    connections: TaskTracker,
}

impl Serving {
    /// Opens the doors.
    pub(crate) fn start(parts: ServingParts) -> Self {
        let (requests, inbox) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let serving = Self {
            writer: Arc::clone(&parts.writer),
            closed: CancellationToken::new(),
            drain: CancellationToken::new(),
            send_away: CancellationToken::new(),
            abandon: CancellationToken::new(),
            acceptors: TaskTracker::new(),
            engine: TaskTracker::new(),
            connections: TaskTracker::new(),
        };
        let task = EngineTask {
            engine: parts.engine,
            writer: parts.writer,
            base: parts.base,
            requests: inbox,
            gate: parts.gate,
            drain: serving.drain.clone(),
            abandon: serving.abandon.clone(),
            messages: parts.messages,
        };
        let on_failure = parts.on_failure;
        serving.engine.spawn(async move {
            match tokio::spawn(task.run()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => on_failure(error),
                Err(error) => on_failure(format!("the engine failed: {error}")),
            }
        });
        let shared = Arc::new(Shared {
            requests,
            auth: parts.auth,
            topology: parts.topology,
            protocol: parts.protocol,
            closing: serving.send_away.clone(),
            abandon: serving.abandon.clone(),
            next_key: AtomicU64::new(1),
            closed_lines: LogLimit::default(),
            started: Instant::now(),
        });
        let admission = Admission::of_process();
        for port in parts.listeners {
            let entrance = admission.entrance(port.user.clone(), port.connections_allowed);
            let accepting = accept(
                port,
                entrance,
                Arc::clone(&shared),
                serving.closed.clone(),
                serving.connections.clone(),
            );
            serving.acceptors.spawn(accepting);
        }
        for group in parts.broadcasts {
            let announcing =
                broadcast::announce(group, shared.topology.clone(), serving.closed.clone());
            serving.acceptors.spawn(announcing);
        }
        serving.acceptors.close();
        serving.engine.close();
        serving
    }

    /// Ends in order: accepts nothing more, finishes its fsyncs, answers what the gate lets pass, sends clients
    /// away. The caller bounds the time.
    pub(crate) async fn drain(&self) {
        self.closed.cancel();
        self.acceptors.wait().await;
        self.drain.cancel();
        let writer = Arc::clone(&self.writer);
        let synced = tokio::task::spawn_blocking(move || writer.sync_barrier()).await;
        if let Ok(Err(error)) = synced {
            warn!("the journal did not finish: {error}");
        }
        self.engine.wait().await;
        self.send_away.cancel();
        self.connections.close();
        self.connections.wait().await;
        debug!("drained");
    }

    /// Ends at once: nothing further leaves this process.
    pub(crate) async fn abandon(&self) {
        self.closed.cancel();
        self.abandon.cancel();
        self.acceptors.wait().await;
        self.engine.wait().await;
        self.connections.close();
        self.connections.wait().await;
    }
}

async fn accept(
    port: OpenPort,
    entrance: Entrance,
    shared: Arc<Shared>,
    closed: CancellationToken,
    connections: TaskTracker,
) {
    let OpenPort { listener, user, .. } = port;
    let full = LogLimit::default();
    let mut stuck = false;
    loop {
        let accepted = tokio::select! {
            () = closed.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Said once, however often it is tried again.
                if !stuck {
                    warn!(
                        "{user} cannot accept connections: {error}; it goes on trying. If file descriptors are used up, raise the limit of the process (`ulimit -n`, LimitNOFILE= of systemd)"
                    );
                }
                stuck = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if std::mem::take(&mut stuck) {
            info!("{user} accepts connections again");
        }
        match entrance.admit() {
            Ok(place) => {
                // Small packets in both directions wait for each other; the client sets this too.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%remote, "no TCP_NODELAY: {error}");
                }
                let serving = connection::serve(stream, remote, Arc::clone(&shared));
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            // Closed at once: a client that waits in vain would not try the other broker.
            Err(reason) => {
                if let Some(more) = full.admit(Instant::now()) {
                    warn!(%remote, "connection refused: {reason}{more}");
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "serving_tests.rs"]
mod tests;
