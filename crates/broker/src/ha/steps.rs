//! The steps' lane: everything that builds a term up and takes it down, one step after the other.
//!
//! A step that is under way when the term is dropped ends unanswered; what it made is dropped with it, which
//! closes the term file, the journal and the ports.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arbiter::{SideFile, SideFiles, TermFile};
use engine::EngineConfig;
use journal::{JournalEvent, Writer};
use pair::{Action, Draining, Input, Mark, Side, StoreFacts, Term};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::ahead::Ahead;
use super::replication::Replication;
use super::stall;
use super::store::{ENTRIES_BEFORE_ENGINE, Loaded, Store};
use crate::broadcast;
use crate::core::{Auth, Gate, ReservedPort, Serving, ServingParts, Topology};
use crate::instance::ClientPort;

/// How long the last work before a handover may take. Clients are without service meanwhile, and what is not
/// finished then was not acknowledged.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// How long the side file may take to be written.
pub(super) const SIDE_FILE_LIMIT: Duration = Duration::from_millis(500);

/// What the lane works with for the life of the process.
pub(crate) struct StepsParts {
    /// The journal's folder.
    pub store: Store,
    /// Where the side files are.
    pub sides: SideFiles,
    /// This side.
    pub side: Side,
    /// What this side tells of itself.
    pub side_file: SideFile,
    /// The client ports.
    pub ports: Vec<ClientPort>,
    /// Settings of the engine; the epoch is filled in for each term.
    pub engine: EngineConfig,
    /// Who may come in.
    pub auth: Auth,
    /// What clients are told of the pair.
    pub topology: watch::Receiver<Topology>,
    /// Where the active announces itself.
    pub broadcasts: Vec<broadcast::Group>,
    /// Set-up of each connection.
    pub protocol: core_protocol::server::ServerConfig,
    /// Messages in all queues.
    pub messages: watch::Sender<Option<u64>>,
}

/// One job: an action, the token that ends it unanswered, and for a term's start the gate it obeys.
pub(crate) struct Job {
    /// What to do.
    pub action: Action,
    /// Cancelled when the term is dropped.
    pub dropped: CancellationToken,
    /// Offset up to which effects may leave; only with `StartTerm`.
    pub gate: Option<watch::Receiver<Gate>>,
}

struct Started {
    writer: Arc<Writer>,
    gate: watch::Receiver<Gate>,
}

/// The lane.
pub(crate) struct Steps {
    parts: StepsParts,
    answers: mpsc::UnboundedSender<Input>,
    ahead: Ahead,
    /// In replication; a shared store has term files in its place.
    replication: Option<Replication>,
    reserved: Vec<ReservedPort>,
    term_file: Option<TermFile>,
    loaded: Option<Loaded>,
    started: Option<Started>,
    serving: Option<Serving>,
}

impl Steps {
    /// A lane that answers to `answers`.
    pub(crate) fn new(
        parts: StepsParts,
        ahead: Ahead,
        replication: Option<Replication>,
        answers: mpsc::UnboundedSender<Input>,
    ) -> Self {
        Self {
            parts,
            answers,
            ahead,
            replication,
            reserved: Vec::new(),
            term_file: None,
            loaded: None,
            started: None,
            serving: None,
        }
    }

    /// Works until the driver goes away.
    pub(crate) async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(Job {
            action,
            dropped,
            gate,
        }) = jobs.recv().await
        {
            // What takes a term down, and what has nothing to do with one.
            let is_whole = matches!(
                action,
                Action::DropState { .. }
                    | Action::FreezeLog
                    | Action::RenewStore
                    | Action::KeepRecord { .. }
            );
            let answer = if is_whole {
                self.step(action, gate).await
            } else {
                tokio::select! {
                    biased;
                    () = dropped.cancelled() => None,
                    answer = self.step(action, gate) => answer,
                }
            };
            if let Some(answer) = answer
                && self.answers.send(answer).is_err()
            {
                return;
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per action, each short")]
    async fn step(&mut self, action: Action, gate: Option<watch::Receiver<Gate>>) -> Option<Input> {
        match action {
            Action::InspectStore => {
                let store = self.parts.store.clone();
                let newest = bounded(move || store.newest_epoch()).await;
                Some(Input::StoreInspected(
                    newest.map(|newest_epoch| StoreFacts { newest_epoch }),
                ))
            }
            Action::ReservePorts => Some(Input::PortsReserved(self.reserve_ports())),
            Action::WriteSideFile { leaving, draining } => {
                self.write_side_file(leaving, draining).await;
                None
            }
            Action::CreateTermFile { term } => {
                let dir = self.parts.store.dir().to_owned();
                let created = bounded(move || TermFile::create(&dir, term)).await;
                let result = created.map(|file| self.term_file = Some(file));
                Some(Input::TermFileCreated { term, result })
            }
            Action::DeleteTermFile { term } => {
                self.term_file = None;
                let dir = self.parts.store.dir().to_owned();
                if let Err(error) = bounded(move || TermFile::delete(&dir, term)).await {
                    warn!("an unused term file stays: {error}");
                }
                None
            }
            Action::Fence { term, terms } => {
                let dir = self.parts.store.dir().to_owned();
                let result = bounded(move || {
                    for replaced in terms {
                        TermFile::fence(&dir, replaced)?;
                    }
                    TermFile::fence_below(&dir, term)
                })
                .await;
                Some(Input::Fenced { term, result })
            }
            Action::LoadHistory { term, at_least } => {
                let store = self.parts.store.clone();
                let config = EngineConfig {
                    epoch: term.epoch,
                    ..self.parts.engine.clone()
                };
                let ahead = self.ahead.take().await;
                let progress = Arc::new(AtomicU64::new(0));
                let read = Arc::clone(&progress);
                let load = blocking(move || store.load(&config, at_least, ahead, &read));
                let result = stall::while_it_goes_on(load, &progress).await;
                let result = result.map(|loaded| self.loaded = Some(loaded));
                Some(Input::HistoryLoaded { term, result })
            }
            Action::Seal { term } => {
                let Some(loaded) = self.loaded.take() else {
                    let result = Err("nothing was loaded".to_owned());
                    return Some(Input::Sealed { term, result });
                };
                let store = self.parts.store.clone();
                let sealed = bounded(move || store.seal(term, &loaded).map(|()| loaded)).await;
                let result = sealed.map(|loaded| self.loaded = Some(loaded));
                Some(Input::Sealed { term, result })
            }
            Action::StartTerm { term } => {
                let result = self.start_term(term, gate).await;
                Some(Input::TermStarted { term, result })
            }
            Action::OpenPorts { term } => {
                let result = self.open_ports(term);
                Some(Input::PortsOpened { term, result })
            }
            Action::Drain { term } => {
                if let Some(serving) = &self.serving
                    && tokio::time::timeout(DRAIN_LIMIT, serving.drain())
                        .await
                        .is_err()
                {
                    warn!(
                        "the last work took longer than {} ms and is given up",
                        DRAIN_LIMIT.as_millis()
                    );
                    serving.abandon().await;
                }
                self.serving = None;
                self.started = None;
                Some(Input::Drained { term })
            }
            Action::CloseTermFile { term } => {
                // Closing a file of a network disk may wait for its server.
                let file = self.term_file.take();
                let close = move || {
                    drop(file);
                    Ok::<(), String>(())
                };
                if let Err(error) = bounded(close).await {
                    warn!(
                        "the term file of epoch {} is not closed yet: {error}",
                        term.epoch
                    );
                }
                Some(Input::TermClosed { term })
            }
            Action::DropState { term } => {
                if let Some(replication) = &mut self.replication {
                    replication.stop_shipping();
                }
                self.started = None;
                self.loaded = None;
                if let Some(serving) = self.serving.take() {
                    serving.abandon().await;
                }
                Some(Input::StateDropped { term })
            }
            // The driver carries these out itself or gives them to another lane.
            Action::ReadRecord
            | Action::Cas { .. }
            | Action::Create { .. }
            | Action::ProbeLock { .. }
            | Action::SelfTestLocks
            | Action::SurveyStore
            | Action::Release { .. }
            | Action::Exit(_)
            | Action::Send { .. }
            | Action::ReadAhead { .. }
            | Action::Notice(_)
            | Action::Publish(_) => None,
            Action::FreezeLog => {
                let frozen = self.with_replication(Replication::freeze).await?;
                Some(Input::LogFrozen(frozen))
            }
            Action::RenewStore => {
                let frozen = self.with_replication(Replication::renew).await?;
                Some(Input::LogFrozen(frozen))
            }
            Action::KeepRecord { record } => {
                let keep = move |replication: &mut Replication| {
                    replication.keep(&record);
                    Ok(())
                };
                // What it could not do, it has said.
                let _kept = self.with_replication(keep).await;
                None
            }
            Action::FollowLog {
                session,
                peer,
                term,
                cut,
            } => {
                if let Some(replication) = &mut self.replication {
                    replication.follow(session, peer, term, cut);
                }
                None
            }
            Action::ShipLog {
                session,
                peer,
                term,
                cut: _,
            } => {
                // The follower asks for what it lacks, so the cut is its business.
                if let Some(replication) = &mut self.replication {
                    replication.ship(session, peer, term);
                }
                None
            }
        }
    }

    /// Does something that blocks, beside the runtime's threads; nothing without replication.
    async fn with_replication<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Replication) -> Result<T, String> + Send + 'static,
    ) -> Option<Result<T, String>> {
        let mut replication = self.replication.take()?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut replication);
            (replication, done)
        });
        match done.await {
            Ok((replication, done)) => {
                self.replication = Some(replication);
                Some(done)
            }
            Err(error) => Some(Err(format!("the step failed: {error}"))),
        }
    }

    fn reserve_ports(&mut self) -> Result<(), String> {
        self.reserved.clear();
        for port in &self.parts.ports {
            let reserved = ReservedPort::reserve(&port.host, port.port, &port.user())
                .map_err(|error| error.to_string())?;
            self.reserved
                .push(reserved.allowing(port.connections_allowed));
        }
        Ok(())
    }

    async fn write_side_file(&self, leaving: bool, draining: Option<Draining>) {
        let sides = self.parts.sides.clone();
        let side = self.parts.side;
        let file = self.parts.side_file.clone().leaving(leaving);
        let file = file.draining(draining);
        let connector = file.connector();
        // Only hints for the other side: a folder that hangs must not keep a drain or a stop waiting.
        let written = blocking(move || sides.write(side, &file));
        let written = tokio::time::timeout(SIDE_FILE_LIMIT, written).await;
        match written.unwrap_or_else(|_| Err("its folder does not answer".to_owned())) {
            Ok(()) if leaving || draining.is_some() => {}
            Ok(()) => match side {
                Side::Primary => info!("left connector {connector} for the backup"),
                Side::Backup => info!("AMQ221031: backup announced, at {connector}"),
            },
            // The other side's clients then do not learn this address; nothing else depends on it.
            Err(error) => warn!("the other side cannot be told where this one is: {error}"),
        }
    }

    async fn start_term(
        &mut self,
        term: Term,
        gate: Option<watch::Receiver<Gate>>,
    ) -> Result<Mark, String> {
        let gate = gate.ok_or_else(|| "the term has no gate".to_owned())?;
        // In replication there are no term files: `in_sync` alone keeps a replaced term from acknowledging anything.
        let dir = self
            .replication
            .is_none()
            .then(|| self.parts.store.dir().to_owned());
        let answers = self.answers.clone();
        let (first, started) = tokio::sync::oneshot::channel();
        let mut first = Some(first);
        let progress = Arc::new(AtomicU64::new(0));
        let reported = Arc::clone(&progress);
        // Rule 3: the mark is read after the fsync has returned, through a new open.
        let on_event = move |event: JournalEvent| {
            let (up_to, mark) = match event {
                JournalEvent::Synced(synced) => match mark_in(dir.as_deref(), term) {
                    Ok(mark) => (synced.durable.offset, mark),
                    Err(error) => {
                        let error = format!("the fence mark of epoch {}: {error}", term.epoch);
                        let _ = answers.send(Input::JournalFailed { term, error });
                        return;
                    }
                },
                JournalEvent::Failed(error) => {
                    // The line of the end says it, if this ends the broker.
                    debug!("the journal failed: {error}");
                    let error = error.to_string();
                    let _ = answers.send(Input::JournalFailed { term, error });
                    return;
                }
            };
            reported.store(up_to, Ordering::Relaxed);
            // The first answer is that of this step; the lane sends it.
            if let Some(first) = first.take() {
                let _ = first.send(mark);
            } else {
                let _ = answers.send(Input::Synced { term, up_to, mark });
            }
        };
        let store = self.parts.store.clone();
        // A shared store is sealed in a step of its own.
        let seal = match (&self.replication, &self.loaded) {
            (Some(_), Some(loaded)) => Some(loaded.seal(term)),
            (Some(_), None) => return Err("nothing was loaded".to_owned()),
            (None, _) => None,
        };
        let started_writer = bounded(move || {
            if let Some(seal) = &seal {
                store.write_seal(seal)?;
            }
            store.start_term(term, on_event)
        });
        let writer = Arc::new(started_writer.await?);
        if let Some(replication) = &mut self.replication {
            replication.started(term, writer.view());
        }
        tokio::spawn(stall::watch(
            term,
            Arc::downgrade(&writer),
            progress,
            self.answers.clone(),
        ));
        self.started = Some(Started { writer, gate });
        started
            .await
            .map_err(|_| "the journal ended before the term began".to_owned())
    }

    fn open_ports(&mut self, term: Term) -> Result<(), String> {
        let Some(Started { writer, gate }) = self.started.take() else {
            return Err("the term was not started".to_owned());
        };
        let Some(Loaded { engine, .. }) = self.loaded.take() else {
            return Err("nothing was loaded".to_owned());
        };
        if self.reserved.is_empty() {
            self.reserve_ports()?;
        }
        let mut listeners = Vec::new();
        for port in self.reserved.drain(..) {
            listeners.push(port.open().map_err(|error| error.to_string())?);
        }
        for port in &self.parts.ports {
            info!(
                "AMQ221020: acceptor started at {}:{} for CORE",
                port.host, port.port
            );
        }
        let answers = self.answers.clone();
        // The count of an earlier term is not this one's.
        self.parts.messages.send_replace(None);
        self.serving = Some(Serving::start(ServingParts {
            engine,
            writer,
            base: ENTRIES_BEFORE_ENGINE,
            gate,
            listeners,
            auth: self.parts.auth.clone(),
            topology: self.parts.topology.clone(),
            broadcasts: self.parts.broadcasts.clone(),
            protocol: self.parts.protocol.clone(),
            messages: self.parts.messages.clone(),
            on_failure: Box::new(move |error| {
                // A term that is being dropped is not answered any more.
                let _ = answers.send(Input::JournalFailed { term, error });
            }),
        }));
        Ok(())
    }
}

/// The mark of a term whose file is in that folder; without one there are no marks.
fn mark_in(dir: Option<&Path>, term: Term) -> Result<Mark, arbiter::TermFileError> {
    let Some(dir) = dir else {
        return Ok(Mark::Clear);
    };
    Ok(match TermFile::mark(dir, term)? {
        arbiter::Mark::Open => Mark::Clear,
        arbiter::Mark::Fenced => Mark::Fenced,
        arbiter::Mark::Missing => Mark::Missing,
    })
}

/// As [`blocking`], given up after a time in which every store answers that still works: the pair must not be without
/// service for as long as a server is away.
async fn bounded<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    let limit = stall::STALL_AFTER;
    tokio::time::timeout(limit, blocking(work))
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "the store has not answered for {} s: is it cut off?",
                limit.as_secs()
            ))
        })
}

/// Runs what may block on the store beside the runtime's own threads.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(format!("the step failed: {error}")),
    }
}
