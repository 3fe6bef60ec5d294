//! `tandem controller`, `switchover` and `force`: pairs in a cluster.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use pair::Side;

use super::{Exit, Refusal};
use crate::kubernetes::{self, ControllerError, Ended, Options, OrderError, PairSettings, Which};

/// A switchover takes milliseconds, a change of the status a few seconds.
const DEFAULT_TIMEOUT_SECS: u64 = 60;

/// How a controller is started.
#[derive(Debug, Args)]
pub(super) struct Controller {
    /// Look at the pairs of this namespace alone [default: all namespaces].
    #[arg(long, env = "TANDEM_WATCH_NAMESPACE")]
    watch_namespace: Option<String>,
    /// Namespace of the controller itself, where its Lease is.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Name of this controller, unlike any other's [default: host and process].
    #[arg(long, env = "POD_NAME")]
    name: Option<String>,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Image of the brokers of pairs that name none.
    #[arg(long, env = "TANDEM_BROKER_IMAGE", default_value = "tandem:latest")]
    broker_image: String,
}

/// Which pair, and for how long to wait.
#[derive(Debug, Args)]
pub(super) struct Order {
    /// Name of the pair.
    name: String,
    /// Its namespace [default: that of the kubeconfig's context].
    #[arg(short, long)]
    namespace: Option<String>,
    /// The side that shall be active, primary or backup [default: the other one].
    #[arg(long)]
    to: Option<Side>,
    /// Seconds to wait for it.
    #[arg(long, default_value_t = DEFAULT_TIMEOUT_SECS)]
    timeout: u64,
}

/// What a forced promotion is given.
#[derive(Debug, Args)]
pub(super) struct Force {
    #[command(flatten)]
    order: Order,
    /// Your word that the active has ended, or will never serve again.
    #[arg(long)]
    holder_is_dead: bool,
    /// Who says so, for the record [default: your user name and host].
    #[arg(long)]
    by: Option<String>,
}

fn on_runtime<T>(work: impl Future<Output = T>) -> Result<T, Refusal> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Refusal::new(Exit::Unavailable, &error))?;
    Ok(runtime.block_on(work))
}

pub(super) fn controller(arguments: Controller) -> Result<Exit, Refusal> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("TANDEM_LOG")
                // The client's own spans say nothing that the lines do not.
                .unwrap_or_else(|_| "info,kube=warn,kube_runtime=warn".into()),
        )
        .with_ansi(std::io::stdout().is_terminal())
        .with_target(false)
        .init();
    let options = Options {
        watch_namespace: arguments.watch_namespace,
        own_namespace: arguments.namespace,
        name: arguments.name.unwrap_or_else(own_name),
        listen: arguments.listen,
        pairs: PairSettings {
            image: arguments.broker_image,
        },
    };
    match on_runtime(kubernetes::run(options))? {
        Ok(()) => Ok(Exit::Done),
        Err(error @ ControllerError::Silence) => Err(Refusal::new(Exit::Silence, &error)),
        Err(error) => Err(Refusal::new(Exit::Unavailable, &error)),
    }
}

fn own_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

pub(super) fn switchover(order: Order) -> Result<Exit, Refusal> {
    let limit = Duration::from_secs(order.timeout);
    let which = Which {
        namespace: order.namespace,
        name: order.name,
    };
    told(on_runtime(kubernetes::switchover(which, order.to, limit))?)
}

pub(super) fn force(force: Force) -> Result<Exit, Refusal> {
    let Force {
        order,
        holder_is_dead,
        by,
    } = force;
    if !holder_is_dead {
        let text = "nothing was forced: this needs --holder-is-dead, which is your word that the active has ended, or \
                    hangs and shall not serve again. If it serves, use `tandem switchover` instead";
        return Err(Refusal::new(Exit::Refused, &text));
    }
    let limit = Duration::from_secs(order.timeout);
    let which = Which {
        namespace: order.namespace,
        name: order.name,
    };
    told(on_runtime(kubernetes::force(which, order.to, by, limit))?)
}

fn told(ended: Result<Ended, OrderError>) -> Result<Exit, Refusal> {
    match ended {
        Ok(Ended::Done(text)) => {
            anstream::println!("{text}");
            Ok(Exit::Done)
        }
        Ok(Ended::Late(text)) => Err(Refusal::new(Exit::Late, &text)),
        Err(error @ (OrderError::Refused(_) | OrderError::NoPair { .. })) => {
            Err(Refusal::new(Exit::Refused, &error))
        }
        Err(error) => Err(Refusal::new(Exit::Unavailable, &error)),
    }
}
