//! `tandem local demo`: a pair, a sender and a receiver, a kill, a return, and the account of every
//! message.
//!
//! ```text
//!   script ─▶ supervisor ─▶ brokers ◀── sender, receiver
//!     │           │ events                   │
//!     └───────────┴──────▶ view, report ◀────┘ ledger
//! ```

mod ledger;
mod report;
mod script;
mod traffic;

use std::path::PathBuf;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::event::Event;
use super::setup::{self, Options, SetupError};
use super::supervisor::{StopReport, Supervisor};
use super::time::now;
use super::view::{Tone, View};
use crate::api::validate::ValidatedPair;

pub(crate) use script::Failure;

/// Sayings of the script that wait to be printed.
const QUEUED: usize = 64;

/// How the demo shall be played.
#[derive(Clone, Debug)]
pub(crate) struct DemoOptions {
    /// The pair. Without a folder a fresh temporary one is used.
    pub(crate) pair: Options,
    /// Messages per second.
    pub(crate) rate: u32,
    /// Seconds of traffic between two steps.
    pub(crate) seconds: u32,
}

/// Why a demo could not be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The pair could not be started.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// There is no queue to send to.
    #[error(
        "the demo needs an address with one anycast queue and none else; add to the manifest's spec:\n  \
         addresses: [{{name: exampleQueue, anycast: [{{name: exampleQueue}}]}}]"
    )]
    NoQueue,
    /// The temporary folder could not be made.
    #[error("cannot make a temporary folder in {}: {source}; name one with --dir", parent.display())]
    Temporary {
        /// Where.
        parent: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How a demo ended.
#[derive(Debug)]
pub(crate) enum DemoEnd {
    /// Every step happened and nothing is lost.
    Good,
    /// Something is lost, or a step did not happen in its time.
    Bad,
    /// It was interrupted.
    Interrupted,
}

/// What the script says while it plays.
pub(crate) enum Saying {
    /// A step begins.
    Step(String),
    /// Something about it.
    Note(String),
}

/// A folder that is removed at the end, unless somebody should look into it.
struct Temporary(PathBuf);

/// Plays the demo. `stop` interrupts it, `force` ends it at once.
pub(crate) async fn play(
    options: &DemoOptions,
    stop: CancellationToken,
    force: CancellationToken,
) -> Result<DemoEnd, DemoError> {
    let interrupted = stop.clone();
    // The demo's own end stops the pair too; that is no interruption.
    let stop = stop.child_token();
    let pair = setup::read(&options.pair.manifest)?;
    let queue = traffic::queue(&pair).ok_or(DemoError::NoQueue)?;
    let (setup_options, temporary) = in_a_folder(&options.pair)?;
    let prepared = setup::prepare(&setup_options);
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            temporary.into_iter().for_each(Temporary::remove);
            return Err(error.into());
        }
    };
    let mut view = View::new();
    header(&mut view, options, &prepared.pair, &queue);

    let plan = prepared.plan.clone();
    let traffic_plan =
        traffic::Plan::new(&plan, &prepared.pair, &prepared.users, queue, options.rate);
    let (supervisor, handle) = Supervisor::new(prepared.plan, prepared.record, stop.clone());
    let mut events = handle.events();
    let mut snapshots = handle.snapshot.clone();
    let ledger = traffic_plan.ledger();
    let (say, mut said) = mpsc::channel(QUEUED);
    let script = script::Script::new(handle, traffic_plan, &prepared.pair, options.seconds, say);

    let mut record: Vec<Event> = Vec::new();
    let mut outcome = None;
    let began = now();
    let stop_report = {
        let supervising = supervisor.run(force);
        let playing = script.play();
        tokio::pin!(supervising, playing);
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(250));
        loop {
            tokio::select! {
                biased;
                Ok(event) = events.recv() => {
                    view.event(&event);
                    record.push(event);
                }
                Some(saying) = said.recv() => speak(&mut view, saying),
                report = &mut supervising => break report,
                end = &mut playing, if outcome.is_none() && !interrupted.is_cancelled() => {
                    outcome = Some(end);
                    stop.cancel();
                }
                Ok(()) = snapshots.changed() => {}
                _ = tick.tick() => {}
            }
            while let Ok(event) = events.try_recv() {
                view.event(&event);
                record.push(event);
            }
            if view.is_live() {
                let snapshot = snapshots.borrow().clone();
                let mut footer = view.sides(&snapshot, now());
                footer.push(report::progress(&view, &ledger));
                view.draw(footer);
            }
        }
    };
    while let Ok(event) = events.try_recv() {
        view.event(&event);
        record.push(event);
    }
    view.undraw();
    let end = conclude(&mut view, &ledger, &record, began, outcome, &stop_report);
    if let Some(temporary) = temporary {
        match end {
            DemoEnd::Good | DemoEnd::Interrupted => temporary.remove(),
            DemoEnd::Bad => {
                let text = format!("Everything it left is in {}", temporary.0.display());
                view.line(&text);
            }
        }
    }
    drop(prepared.lock);
    Ok(end)
}

fn conclude(
    view: &mut View,
    ledger: &ledger::Shared,
    record: &[Event],
    began: crate::policy::Timestamp,
    outcome: Option<Result<(), Failure>>,
    stop_report: &StopReport,
) -> DemoEnd {
    if let Some(why) = &stop_report.gave_up {
        view.line(&view.paint(Tone::Bad, &format!("The demo failed: {why}")));
        return DemoEnd::Bad;
    }
    let Some(outcome) = outcome else {
        view.line("Interrupted: both brokers are stopped.");
        return DemoEnd::Interrupted;
    };
    report::print(view, ledger, record, began, &outcome)
}

fn speak(view: &mut View, saying: Saying) {
    match saying {
        Saying::Step(text) => {
            view.line("");
            let text = view.paint(Tone::Strong, &text);
            view.line(&text);
        }
        Saying::Note(text) => {
            let text = view.paint(Tone::Faint, &format!("  {text}"));
            view.line(&text);
        }
    }
}

fn header(view: &mut View, options: &DemoOptions, pair: &ValidatedPair, queue: &str) {
    let data = pair.mode.in_words();
    let title = format!(
        "Pair {}: two brokers {data}, and the clients go on.",
        pair.name
    );
    view.line(&view.paint(Tone::Strong, &title));
    view.line(&format!(
        "A sender puts {} numbered, durable messages a second into {queue}, a receiver takes them out.",
        options.rate
    ));
    view.line(
        "The active broker is killed, the other takes over; it returns, and gets its role back.",
    );
}

/// The demo's folder: the one that was named, or a fresh one.
fn in_a_folder(options: &Options) -> Result<(Options, Option<Temporary>), DemoError> {
    if options.dir.is_some() {
        return Ok((options.clone(), None));
    }
    let parent = std::env::temp_dir();
    let made = nix::unistd::mkdtemp(&parent.join("tandem-demo-XXXXXX")).map_err(|error| {
        DemoError::Temporary {
            parent,
            source: error.into(),
        }
    })?;
    let options = Options {
        dir: Some(made.clone()),
        ..options.clone()
    };
    Ok((options, Some(Temporary(made))))
}

impl Temporary {
    fn remove(self) {
        // It is in the folder for temporary files: what cannot be removed is removed some day.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
