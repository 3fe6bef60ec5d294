//! The operator: pairs as Kubernetes has them, run by the same policy as on one machine.
//!
//! ```text
//!   watches ──▶ pairs to look at ──▶ reconcile (one look at one pair) ──▶ objects, wanted, status, events
//!                                        ▲ only the leader looks
//!   leader election · health and metrics · watchdog
//! ```
//! Nothing of a failover needs this process: the brokers and their Lease decide who is active. While it is away nothing is
//! created, changed or failed back, and the status stands still.

mod apply;
mod desired;
mod events;
mod health;
mod leader;
mod metrics;
mod observe;
mod orders;
mod reconcile;
mod record;
mod watches;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use kube::runtime::controller::{Config as ControllerConfig, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::api::BrokerPair;
use apply::Applier;
use health::Pulse;
use leader::Candidate;
use metrics::Metrics;
use reconcile::{Context, after_error, reconcile};
use watches::Watches;

pub(crate) use desired::Settings as PairSettings;
pub(crate) use orders::{Ended, OrderError, Which, force, switchover};

/// Pairs that are looked at at the same time.
const CONCURRENCY: u16 = 8;
/// Changes of a pair within this time are one reason to look.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Pairs that wait to be told to the controller.
const WAITING: usize = 1_024;
/// How long a stop may take: looks that are under way are finished, the Lease is given back.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often it is counted how many pairs are known.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// What a controller is started with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The only namespace it looks at; absent: all of them.
    pub(crate) watch_namespace: Option<String>,
    /// Its own namespace, where the Lease of the leader is.
    pub(crate) own_namespace: String,
    /// Its name, which no other has: its pod's.
    pub(crate) name: String,
    /// Where health and metrics are served.
    pub(crate) listen: SocketAddr,
    /// What pairs are made with.
    pub(crate) pairs: PairSettings,
}

/// Why a controller ended, other than by being asked to.
#[derive(Debug, Error)]
pub(crate) enum ControllerError {
    /// No way to the API server.
    #[error(transparent)]
    Connect(#[from] arbiter::lease::ConnectError),
    /// The pairs cannot be listed.
    #[error(
        "BrokerPairs cannot be listed: {source}; are the definitions installed (`tandem crds | kubectl apply --server-side -f -`), and may this account list them?"
    )]
    NoPairs {
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// The port of health and metrics.
    #[error("cannot listen on {address} for health and metrics: {source}")]
    Port {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] std::io::Error),
    /// The watchdog.
    #[error("nothing was heard of the API server for {} s: ends, to be started anew", health::SILENCE.as_secs())]
    Silence,
}

/// Runs until it is asked to stop.
pub(crate) async fn run(options: Options) -> Result<(), ControllerError> {
    let address = options.listen;
    let port = TcpListener::bind(address)
        .await
        .map_err(|source| ControllerError::Port { address, source })?;
    let client = arbiter::lease::connect().await?;
    let pairs: Api<BrokerPair> = match &options.watch_namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let one = kube::api::ListParams::default().limit(1);
    if let Err(source) = pairs.list(&one).await {
        let source = Box::new(source);
        return Err(ControllerError::NoPairs { source });
    }

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let pulse = Arc::new(Pulse::new());
    let metrics = Arc::new(Metrics::new());
    let pages = health::serve(
        port,
        Arc::clone(&pulse),
        Arc::clone(&metrics),
        stop.child_token(),
    );
    tasks.spawn(async move {
        if let Err(error) = pages.await {
            warn!("health and metrics are not served any more: {error}");
        }
    });
    info!(
        "controller {} starts, version {}; health and metrics at http://{address}",
        options.name,
        env!("CARGO_PKG_VERSION")
    );

    let (leads, is_leader) = watch::channel(false);
    let candidate = Candidate::new(client.clone(), &options.own_namespace, options.name.clone());
    let election = tasks.spawn(candidate.run(leads, stop.child_token()));
    let watching = CancellationToken::new();
    let mut control = std::pin::pin!(control(
        &options, client, pairs, pulse, metrics, is_leader, &stop, &watching
    ));
    let ended = tokio::select! {
        ended = &mut control => ended,
        // Without it nobody would renew, and nobody would say so.
        _ = election => Err(ControllerError::Silence),
        signal = asked_to_stop() => {
            stop.cancel();
            let finished = tokio::time::timeout(STOP_LIMIT, control).await;
            signal.and(finished.unwrap_or(Ok(())))
        }
    };
    stop.cancel();
    watching.cancel();
    tasks.close();
    if tokio::time::timeout(STOP_LIMIT, tasks.wait())
        .await
        .is_err()
    {
        warn!("the last work is given up");
    }
    match &ended {
        Ok(()) => info!("the controller stopped"),
        Err(error) => error!("the controller ends: {error}"),
    }
    ended
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a controller, put together once"
)]
async fn control(
    options: &Options,
    client: Client,
    pairs: Api<BrokerPair>,
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
    leads: watch::Receiver<bool>,
    stop: &CancellationToken,
    watching: &CancellationToken,
) -> Result<(), ControllerError> {
    let (tell, told) = mpsc::channel::<ObjectRef<BrokerPair>>(WAITING);
    let applier = Arc::new(Applier::new(client.clone()));
    let tracker = TaskTracker::new();
    let stores = Watches {
        client: client.clone(),
        namespace: options.watch_namespace.clone(),
        applier: Arc::clone(&applier),
        pulse: Arc::clone(&pulse),
        tell,
    }
    .start(&tracker, watching);
    let reporter = Reporter {
        controller: "tandem-controller".to_owned(),
        instance: Some(options.name.clone()),
    };
    let context = Arc::new(Context {
        client: client.clone(),
        stores: stores.clone(),
        applier,
        recorder: Recorder::new(client, reporter),
        metrics: Arc::clone(&metrics),
        pulse: Arc::clone(&pulse),
        leads: leads.clone(),
        settings: options.pairs.clone(),
        remembered: Mutex::new(BTreeMap::new()),
    });

    // What is not known yet must not be taken for absent.
    let ready = async {
        let (pods, sets) = tokio::join!(
            stores.pods.wait_until_ready(),
            stores.sets.wait_until_ready()
        );
        pods.is_ok() && sets.is_ok()
    };
    tokio::select! {
        is_ready = ready => debug!("pods and stateful sets are known: {is_ready}"),
        () = health::watchdog(Arc::clone(&pulse)) => return Err(ControllerError::Silence),
    }

    let config = ControllerConfig::default()
        .concurrency(CONCURRENCY)
        .debounce(DEBOUNCE);
    let controller = Controller::new(pairs, watches::config())
        .with_config(config)
        .reconcile_on(tokio_stream_of(told))
        .reconcile_all_on(changes_of(leads.clone()));
    let known = controller.store();
    let stopped = stop.clone();
    let looks = controller
        .graceful_shutdown_on(async move { stopped.cancelled().await })
        .run(reconcile, after_error, Arc::clone(&context))
        .for_each(|looked| async {
            if let Err(error) = looked {
                debug!("{error}");
            }
        });
    let counts = async {
        known.wait_until_ready().await.ok();
        pulse.ready();
        loop {
            let there = known.state();
            metrics.knows(*leads.borrow(), there.len());
            context.keep_only(&there);
            tokio::time::sleep(COUNT_EVERY).await;
        }
    };
    tokio::select! {
        () = looks => Ok(()),
        () = counts => Ok(()),
        () = health::watchdog(Arc::clone(&pulse)) => Err(ControllerError::Silence),
    }
}

/// What is received, as a stream.
fn tokio_stream_of<T: Send + 'static>(
    receiver: mpsc::Receiver<T>,
) -> impl futures_util::Stream<Item = T> + Send + 'static {
    futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    })
}

/// Something for each change of a value.
fn changes_of(
    receiver: watch::Receiver<bool>,
) -> impl futures_util::Stream<Item = ()> + Send + 'static {
    futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.changed().await.ok().map(|()| ((), receiver))
    })
}

/// Returns at the first SIGTERM or SIGINT.
async fn asked_to_stop() -> Result<(), ControllerError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ControllerError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ControllerError::Signals)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("asked to stop");
    Ok(())
}
