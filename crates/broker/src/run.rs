//! `run`: starts the broker of an instance and keeps it until it is asked to stop or must end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use arbiter::SideFile;
use broker_config::bootstrap_xml::HttpBinding;
use core_protocol::packet::Connector;
use core_protocol::server::ServerConfig;
use journal::Options;
use pair::{ExitReason, Failback, Incarnation, LockPolicy, Machine, Mode, Timers};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::broadcast;
use crate::core::{Auth, Topology};
use crate::exit;
use crate::ha::{
    self, Arbiter, Driver, DriverParts, OwnStore, Progress, Reporter, StepsParts, Store,
};
use crate::http;
use crate::instance::{ArbiterIs, Ha, Instance};
use crate::link::{Address, Group, LinkParts, LinkPort};
use crate::pods::{self, Pods};

/// Why the broker could not be started, with the exit status of that reason.
#[derive(Debug)]
pub(crate) struct StartError {
    /// The exit status.
    pub code: u8,
    /// What is wrong and what to do.
    pub text: String,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "handed to map_err as they are"
)]
impl StartError {
    fn unavailable(text: impl ToString) -> Self {
        Self {
            code: exit::UNAVAILABLE,
            text: text.to_string(),
        }
    }

    fn usage(text: impl ToString) -> Self {
        Self {
            code: exit::USAGE,
            text: text.to_string(),
        }
    }
}

/// Runs the instance in `dir`; answers with the exit status once it has ended.
pub(crate) fn run(dir: &Path) -> Result<u8, StartError> {
    let instance = Instance::read(dir).map_err(StartError::usage)?;
    if instance.ha.arbiter_is == ArbiterIs::Own {
        return Err(StartError::usage(no_arbiter(&instance)));
    }
    let _lock = lock_instance(&instance.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::unavailable(format!("no threads: {error}")))?;
    let ended = runtime.block_on(serve(instance));
    // A thread may hang on a store that does not answer; the process ends all the same.
    runtime.shutdown_background();
    ended
}

async fn serve(instance: Instance) -> Result<u8, StartError> {
    let started = Instant::now();
    let side = instance.ha.pair_side();
    let page_port = match &instance.http {
        Some(http) => Some(open_http(http).await?),
        None => None,
    };
    let link_port = open_link(&instance.ha).await?;

    crate::logging::start();
    info!(
        "AMQ221000: {side} broker {} is starting, instance {}, version {}",
        instance.configuration.name,
        instance.dir.display(),
        env!("CARGO_PKG_VERSION")
    );
    for notice in &instance.notices {
        info!("{notice}");
    }
    if !instance.harmless.is_empty() {
        info!(
            "{} settings of broker.xml have no effect here and do no harm; TANDEM_LOG=debug lists them",
            instance.harmless.len()
        );
    }
    for notice in &instance.harmless {
        debug!("{notice}");
    }
    if instance
        .configuration
        .cluster_credentials
        .are_public_defaults()
        && instance.ha.is_pair
    {
        warn!(
            "AMQ222007: cluster-user and cluster-password are the defaults that everybody knows: set them in broker.xml"
        );
    }

    let stop = CancellationToken::new();
    let (messages, counted) = watch::channel(None);
    let inc = Incarnation(crate::random::bytes().map_err(StartError::unavailable)?);
    let (reporter, page) = Reporter::new(side, inc, counted);
    let pages = page_port.map(|port| tokio::spawn(http::serve(port, page, stop.child_token())));
    // The store first: where nothing was made yet, or nothing is mounted, that is what to say.
    let store = open_store(&instance)?;
    let arbiter = Arbiter::open(&instance.ha)
        .await
        .map_err(StartError::unavailable)?;
    let driver = driver(
        &instance,
        Opened { store, arbiter },
        inc,
        link_port,
        reporter,
        messages,
        stop.clone(),
    )?;
    let signals = tokio::spawn(watch_signals(stop.clone()));

    // On a thread of the runtime's own: the main thread would be woken for every message.
    let reason = tokio::spawn(driver.run())
        .await
        .unwrap_or_else(|error| ExitReason::Store {
            step: "running the pair protocol",
            error: error.to_string(),
        });
    signals.abort();
    stop.cancel();
    if let Some(pages) = pages {
        pages.abort();
    }
    match &reason {
        ExitReason::Stopped => info!(
            "AMQ221002: {side} broker {} stopped after {} s",
            instance.configuration.name,
            started.elapsed().as_secs()
        ),
        reason @ (ExitReason::NoRecord { .. }
        | ExitReason::OtherPair { .. }
        | ExitReason::Store { .. }
        | ExitReason::Ports(_)) => error!("AMQ224097: the broker ends: {reason}"),
    }
    Ok(reason.code())
}

async fn open_http(http: &HttpBinding) -> Result<TcpListener, StartError> {
    let HttpBinding { host, port } = http;
    TcpListener::bind((host.as_str(), *port)).await.map_err(|error| {
        StartError::unavailable(if error.kind() == io::ErrorKind::AddrInUse {
            format!(
                "port {port} on {host} (HTTP, etc/bootstrap.xml) is in use by another process: is this broker running already? `ss -ltnp 'sport = :{port}'` names it"
            )
        } else {
            format!("cannot open port {port} on {host} (HTTP, etc/bootstrap.xml): {error}")
        })
    })
}

/// Opens the port of the link; `None` for a broker alone.
async fn open_link(ha: &Ha) -> Result<Option<LinkPort>, StartError> {
    let (Some(connector), Some(port)) = (&ha.connector, ha.link_port) else {
        return Ok(None);
    };
    let port = LinkPort::open(&connector.host, port).await;
    port.map(Some).map_err(StartError::unavailable)
}

/// What a broker needs before it can take part in its pair.
struct Opened {
    store: Store,
    arbiter: Arbiter,
}

fn open_store(instance: &Instance) -> Result<Store, StartError> {
    let journal = &instance.ha.journal;
    let options = Options {
        segment_bytes: instance.configuration.journal.file_size_bytes,
        ..Options::default()
    };
    Store::open(journal, options).map_err(|error: io::Error| {
        StartError::unavailable(format!(
            "the store {} cannot be used: {error}: is it mounted? A new store is made by `create` of the primary, or by `tandem-broker pair init {}`",
            journal.display(),
            instance.dir.display()
        ))
    })
}

fn driver(
    instance: &Instance,
    Opened { store, arbiter }: Opened,
    inc: Incarnation,
    link_port: Option<LinkPort>,
    reporter: Reporter,
    messages: watch::Sender<Option<u64>>,
    stop: CancellationToken,
) -> Result<Driver, StartError> {
    let ha = &instance.ha;
    let side = ha.pair_side();
    let replication = match ha.mode {
        Mode::SharedStore => None,
        Mode::Replication => {
            let own = OwnStore::open(&ha.journal).map_err(StartError::unavailable)?;
            store.recover().map_err(StartError::unavailable)?;
            reporter.is_member(own.id());
            let (progress, shown) = Progress::new();
            reporter.show_resync(shown);
            Some((own, progress))
        }
    };
    let (heartbeat_ms, timeout_ms) = ha.detection_ms;
    let timers = Timers::new(heartbeat_ms, timeout_ms).map_err(StartError::usage)?;
    let client = arbiter.client.clone();
    let pods = Pods::of_this_process(|| client, side).filter(|_| arbiter.is_watched());
    if pods.is_some() {
        pods::leave_incarnation(inc);
    }
    let machine = Machine::new(
        pair::Config {
            side,
            inc,
            pair: None,
            mode: ha.mode,
            timers: if arbiter.is_watched() {
                timers.watched()
            } else {
                timers
            },
            failback: match ha.failback {
                broker_config::tandem_properties::Failback::Broker => Failback::Broker,
                broker_config::tandem_properties::Failback::Managed => Failback::Managed,
            },
            allow_failback: ha.allow_failback,
            lock: match ha.lock {
                broker_config::tandem_properties::LockPolicy::Record => LockPolicy::Record,
                broker_config::tandem_properties::LockPolicy::Storage => LockPolicy::Storage,
            },
            failover_on_shutdown: ha.failover_on_shutdown,
            boot_id: ha::boot_id(),
            process: Some(pods.as_ref().map_or_else(
                || format!("pid {}", std::process::id()),
                |pods| pods.own().to_owned(),
            )),
            arbiter: ha.arbiter.to_string(),
        },
        ha::now(),
    )
    .map_err(StartError::usage)?;

    let (topology, announced) = watch::channel(Topology::default());
    let limits = instance.configuration.limits;
    let steps = StepsParts {
        store,
        sides: arbiter.sides.clone(),
        side,
        side_file: side_file(instance, inc),
        ports: instance.ports.clone(),
        engine: crate::settings::engine(&instance.configuration),
        auth: Auth::new(instance.authenticator.clone()),
        topology: announced,
        broadcasts: broadcast::Group::all(&instance.configuration),
        protocol: ServerConfig {
            ttl_override_ms: (limits.connection_ttl_override_ms >= 0)
                .then_some(limits.connection_ttl_override_ms),
            ..ServerConfig::default()
        },
        messages,
    };
    let connector = ha
        .connector
        .as_ref()
        .map(|connector| Connector::tcp(&connector.name, &connector.host, connector.port));
    Driver::start(DriverParts {
        machine,
        arbiter,
        steps,
        topology,
        connector,
        link: link_port.map(|port| link_parts(instance, inc, port)),
        pods,
        replication,
        reporter,
        stop,
    })
    .map_err(|error| StartError::unavailable(format!("no threads: {error}")))
}

/// What a replicated pair lacks that has no pair record in common.
fn no_arbiter(instance: &Instance) -> String {
    format!(
        "the pair has no arbiter, and this version does not run a replicated pair without one: put the same line `arbiter=directory:PATH` into {} and into that file of the other broker, with a folder that both see (on two machines: of a third one), then run `tandem-broker pair init {}` once",
        instance.dir.join("etc/tandem.properties").display(),
        instance.dir.display()
    )
}

fn link_parts(instance: &Instance, inc: Incarnation, port: LinkPort) -> LinkParts {
    let ha = &instance.ha;
    let (beat_ms, lost_after_ms) = ha.detection_ms;
    LinkParts {
        side: ha.pair_side(),
        inc,
        mode: ha.mode,
        name: instance.configuration.name.clone(),
        credentials: instance.configuration.cluster_credentials.clone(),
        beat_ms,
        lost_after_ms,
        static_peers: ha
            .static_peers
            .iter()
            .filter_map(|connector| Address::beside(&connector.host, connector.port))
            .collect(),
        discovery: ha
            .discovery
            .as_ref()
            .zip(ha.connector.as_ref())
            .map(|(group, connector)| Group::new(group, connector)),
        port,
    }
}

fn side_file(instance: &Instance, inc: Incarnation) -> SideFile {
    let port = instance.ports.first();
    let (host, port) = match (&instance.ha.connector, port) {
        (Some(connector), _) => (connector.host.clone(), connector.port),
        (None, Some(port)) => (port.host.clone(), port.port),
        (None, None) => (String::new(), 0),
    };
    SideFile::new(
        inc,
        &instance.configuration.name,
        (&host, port),
        instance.ha.link_port,
        &instance
            .http
            .as_ref()
            .map_or_else(String::new, |http| format!("{}:{}", http.host, http.port)),
        std::process::id(),
    )
}

/// Cancels `stop` at the first SIGTERM or SIGINT; the second one ends the process at once.
async fn watch_signals(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        warn!("signals cannot be received: only SIGKILL will end this broker");
        return;
    };
    for first in [true, false] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if first {
            info!("asked to stop");
            stop.cancel();
        }
    }
    warn!("asked to stop again: ends at once");
    std::process::exit(exit::INTERRUPTED);
}

/// Makes sure that an instance runs once: two processes of one side are a mistake that the pair protocol survives
/// but nobody wants.
fn lock_instance(dir: &Path) -> Result<File, StartError> {
    let folder = dir.join("lock");
    let path = folder.join("broker.pid");
    let failed = |what: &str, path: &PathBuf, error: &dyn std::fmt::Display| {
        StartError::unavailable(format!("cannot {what} {}: {error}", path.display()))
    };
    fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, &error))?;
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| failed("open", &path, &error))?;
    if !arbiter::lock::try_exclusive(&file).map_err(|error| failed("lock", &path, &error))? {
        let pid = fs::read_to_string(&path).unwrap_or_default();
        return Err(StartError::unavailable(format!(
            "the instance {} runs already (process {}); stop that one first",
            dir.display(),
            pid.trim()
        )));
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|error| failed("write", &path, &error))?;
    Ok(file)
}
