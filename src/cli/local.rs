//! `tandem local …`: a pair on this machine.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use pair::Side;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::ask::{order, status};
use super::{Exit, Refusal, run};
use crate::api::duration::{BadDuration, GoDuration};
use crate::local::control::{Order, Target};
use crate::local::demo::{self, DemoEnd, DemoError, DemoOptions};
use crate::local::program;
use crate::local::setup::{Options, SetupError};
use crate::render::placement::BACKUP_PORT_OFFSET;

/// What can be done with a pair on this machine.
#[derive(Debug, Subcommand)]
pub(super) enum Local {
    /// Run the pair of a manifest and show what happens to it, until Ctrl-C.
    ///
    /// The brokers end with this program, however it ends; the data stays, and the next run goes on from
    /// there. A broker that ends by itself, or by `tandem local kill`, is started again after a pause of 1 s
    /// (doubling up to 30 s while it keeps ending soon).
    Run(Where),
    /// Run a pair with a sender and a receiver, kill the active broker, and account for every message.
    Demo(Demo),
    /// Show how a running pair stands.
    Status(Status),
    /// Kill a broker (SIGKILL): its standby takes over, and it is started again a second later.
    Kill(Kill),
    /// Stop a broker in order and keep it down, or stop the whole pair.
    Stop(Stop),
    /// Start a broker that is down.
    Start(Start),
    /// Move the active role to the other side, and wait until it has moved.
    ///
    /// The active finishes its work, hands over and becomes the standby; clients go on with the other
    /// broker. After a switchover to the backup there is no automatic failback until the backup's
    /// process ends or the role is switched back.
    Switchover(Switchover),
    /// Let a side take over because the active is dead, by your word, and wait until it serves.
    ///
    /// For what the pair cannot decide by itself: the active hangs and the store's locks are needed
    /// (`spec.ha.lock: Storage`), or the file of its term is gone. Nothing acknowledged is lost, even if the active
    /// still lives: its term is fenced before anything is read. It is refused all the same while the active
    /// answers or its standby hears it; a process that merely runs is no sign of life, for it may hang.
    Force(Force),
}

/// Where a pair runs.
#[derive(Debug, Args)]
pub(super) struct Where {
    /// The pair's manifest: one BrokerPair, and the Secrets it refers to.
    manifest: PathBuf,
    /// Folder of the pair's data [default: NAME in the user's state folder, ~/.local/state/tandem].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The broker program [default: tandem-broker beside this program, or in PATH].
    #[arg(long, env = program::VARIABLE)]
    broker: Option<PathBuf>,
    /// Add this to every port, the manifest's and 8161 for HTTP.
    #[arg(long, default_value_t = 0)]
    port_offset: u16,
    /// Add this to the primary's ports for the backup.
    #[arg(long, default_value_t = BACKUP_PORT_OFFSET)]
    backup_port_offset: u16,
}

/// How the demo is played.
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    place: Where,
    /// Messages per second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Seconds of traffic between two steps.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
}

/// Which running pair is meant.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Folder of the pair [default: the only pair that runs].
    #[arg(long, conflicts_with = "name")]
    pub(super) dir: Option<PathBuf>,
    /// Name of the pair, for several that run.
    #[arg(long)]
    pub(super) name: Option<String>,
}

/// What is shown.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    which: Which,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Who is killed.
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// Whom to kill.
    #[arg(value_enum, default_value_t = Target::Active)]
    target: Target,
    /// Keep it down until `tandem local start`.
    #[arg(long)]
    no_restart: bool,
    #[command(flatten)]
    which: Which,
}

/// Who is stopped.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// Whom to stop; `pair` ends its supervisor too.
    #[arg(value_enum, default_value_t = Target::Pair)]
    target: Target,
    #[command(flatten)]
    which: Which,
}

/// Who is started.
#[derive(Debug, Args)]
pub(super) struct Start {
    /// Whom to start [default: whoever is down].
    #[arg(value_enum)]
    target: Option<Target>,
    #[command(flatten)]
    which: Which,
}

/// Where the active role moves.
#[derive(Debug, Args)]
pub(super) struct Switchover {
    /// The side that shall be active [default: the one that is not].
    #[arg(value_parser = PossibleValuesParser::new(["primary", "backup"]).try_map(|side| side.parse::<Side>()))]
    to: Option<Side>,
    /// How long to wait for it, such as 500ms, 10s or 2m.
    #[arg(long, default_value = "10s", value_parser = limit)]
    timeout: GoDuration,
    #[command(flatten)]
    which: Which,
}

/// Who takes over, and by whose word.
#[derive(Debug, Args)]
pub(super) struct Force {
    /// The side that shall take over [default: the standby].
    #[arg(value_parser = PossibleValuesParser::new(["primary", "backup"]).try_map(|side| side.parse::<Side>()))]
    side: Option<Side>,
    /// Your word that the active has ended, or will never serve again.
    #[arg(long)]
    holder_is_dead: bool,
    /// In a replicated pair: messages may be lost that only the other side's disk has.
    #[arg(long)]
    accept_data_loss: bool,
    /// Who says so, for the record [default: your user name and host].
    #[arg(long)]
    by: Option<String>,
    /// How long to wait until it serves, such as 10s or 2m.
    #[arg(long, default_value = "30s", value_parser = limit)]
    timeout: GoDuration,
    #[command(flatten)]
    which: Which,
}

/// A healthy switchover takes milliseconds; whoever waits longer than this wants to be told earlier.
const MAX_LIMIT: GoDuration = GoDuration::from_millis(3_600_000);

fn limit(text: &str) -> Result<GoDuration, String> {
    let limit: GoDuration = text
        .parse()
        .map_err(|error: BadDuration| error.to_string())?;
    if limit > MAX_LIMIT {
        return Err(format!("{text} is too long: at most {MAX_LIMIT}"));
    }
    Ok(limit)
}

impl From<Where> for Options {
    fn from(place: Where) -> Self {
        let Where {
            manifest,
            dir,
            broker,
            port_offset,
            backup_port_offset,
        } = place;
        Self {
            manifest,
            dir,
            broker,
            port_offset,
            backup_port_offset,
        }
    }
}

/// Does what was asked.
pub(super) fn main(command: Local) -> Result<Exit, Refusal> {
    match command {
        Local::Run(place) => block_on(run::run(place.into())),
        Local::Demo(Demo {
            place,
            rate,
            seconds,
        }) => block_on(play(DemoOptions {
            pair: place.into(),
            rate,
            seconds,
        })),
        Local::Status(Status { which, output }) => status(&which, output),
        Local::Kill(Kill {
            target,
            no_restart,
            which,
        }) => order(
            &which,
            &Order::Kill {
                target,
                restart: !no_restart,
            },
        ),
        Local::Stop(Stop { target, which }) => order(&which, &Order::Stop { target }),
        Local::Start(Start { target, which }) => order(&which, &Order::Start { target }),
        Local::Switchover(Switchover { to, timeout, which }) => order(
            &which,
            &Order::Switchover {
                to,
                limit_ms: timeout.as_millis(),
            },
        ),
        Local::Force(command) => force(command),
    }
}

fn force(command: Force) -> Result<Exit, Refusal> {
    let Force {
        side,
        holder_is_dead,
        accept_data_loss,
        by,
        timeout,
        which,
    } = command;
    if !holder_is_dead {
        let why = "nothing was forced: this needs --holder-is-dead, which is your word that the active has ended, or \
                   hangs and shall not serve again. Its standby then takes over whatever the active's lock says, and \
                   the old active acknowledges nothing more. If it serves, use `tandem local switchover` instead";
        return Err(Refusal::new(Exit::Refused, &why));
    }
    order(
        &which,
        &Order::Force {
            to: side,
            accepts_data_loss: accept_data_loss,
            by: by.unwrap_or_else(arbiter::person),
            limit_ms: timeout.as_millis(),
        },
    )
}

/// Everything runs on the main thread: brokers die with the thread that started them.
fn block_on<T>(future: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Refusal::new(Exit::Unavailable, &error))?;
    let result = runtime.block_on(future);
    // A file operation on a store that does not answer must not keep the program.
    runtime.shutdown_background();
    result
}

async fn play(options: DemoOptions) -> Result<Exit, Refusal> {
    let (stop, force) = stop_signals()?;
    match demo::play(&options, stop, force).await {
        Ok(DemoEnd::Good) => Ok(Exit::Done),
        Ok(DemoEnd::Bad) => Ok(Exit::DemoFailed),
        Ok(DemoEnd::Interrupted) => Ok(Exit::Interrupted),
        Err(DemoError::Setup(error)) => Err(not_started(&error)),
        Err(error @ DemoError::NoQueue) => Err(Refusal::new(Exit::Refused, &error)),
        Err(error @ DemoError::Temporary { .. }) => Err(Refusal::new(Exit::Unavailable, &error)),
    }
}

/// Why a pair was not started, with the exit status of that.
pub(super) fn not_started(error: &SetupError) -> Refusal {
    let exit = if error.is_wrong_input() {
        Exit::Refused
    } else {
        Exit::Unavailable
    };
    Refusal::new(exit, error)
}

/// Two tokens: the first signal asks for an orderly end, the second for an end at once.
pub(super) fn stop_signals() -> Result<(CancellationToken, CancellationToken), Refusal> {
    let (stop, force) = (CancellationToken::new(), CancellationToken::new());
    let listen = |kind| signal(kind).map_err(|error| Refusal::new(Exit::Unavailable, &error));
    let signals = [
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
        listen(SignalKind::hangup())?,
    ];
    tokio::spawn(watch_signals(signals, stop.clone(), force.clone()));
    Ok((stop, force))
}

async fn watch_signals(signals: [Signal; 3], stop: CancellationToken, force: CancellationToken) {
    let [mut interrupt, mut terminate, mut hangup] = signals;
    for token in [stop, force] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        token.cancel();
    }
}
