//! The standby's thread: keeps this side's directory as the active's is, and tells how far it is on disk.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use journal::mirror::{AsideLimits, Begun, FollowError, Follower, Place, TermEnd};
use pair::{Cut, Incarnation, Input, Position, Term};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::wire::{self, Said};
use super::{Progress, SEND_LIMIT, SILENCE, Stop};
use crate::ha::ahead::Ahead;
use crate::ha::store::{Store, term_id};
use crate::link::{DataConnection, DataLink};

/// Pause before a connection is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// Time between two signs that a copy goes on.
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// Connections that failed, one after the other, until people are told.
const TELL_AFTER: u32 = 20;

/// What is to be followed.
pub(super) struct Job {
    pub(super) session: u64,
    pub(super) peer: Incarnation,
    pub(super) term: Term,
    pub(super) cut: Cut,
    /// The terms on disk.
    pub(super) ends: Vec<TermEnd>,
    pub(super) store: Store,
    pub(super) link: DataLink,
    pub(super) ahead: Ahead,
    pub(super) answers: mpsc::UnboundedSender<Input>,
    pub(super) progress: Progress,
}

/// A session that is followed.
pub(super) struct Following {
    stop: Stop,
    thread: Option<JoinHandle<Result<Option<Vec<TermEnd>>, String>>>,
}

impl Following {
    /// Begins to follow. To be called on a thread of the runtime.
    pub(super) fn start(job: Job) -> std::io::Result<Self> {
        let stop = Stop::default();
        let stopped = stop.clone();
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("follow".to_owned())
            .spawn(move || Follow::new(job, stopped, runtime).run())?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends it, a write that is under way included; the terms on disk, if they are known for certain. Blocks.
    pub(super) fn stop(mut self) -> Result<Option<Vec<TermEnd>>, String> {
        self.stop.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ends)) => ends,
            Some(Err(_)) => Err("following the active's journal has failed".to_owned()),
            None => Ok(None),
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Why a connection is over.
enum Broken {
    /// It is to end.
    Stopped,
    /// Another one may do better.
    Connection(String),
    /// The own disk failed.
    Disk(String),
}

struct Follow {
    job: Job,
    stop: Stop,
    runtime: Handle,
    cut: Option<Place>,
    /// The terms on disk, as far as they are known for certain.
    ends: Vec<TermEnd>,
    /// Part of a batch may be written.
    is_open: bool,
    /// Everything up to `cut` was copied within this session.
    has_caught_up: bool,
    /// When something was told last.
    told: Instant,
}

impl Follow {
    fn new(job: Job, stop: Stop, runtime: Handle) -> Self {
        let cut = match job.cut {
            Cut::After(position) => Some(Place {
                term: term_id(position.term),
                offset: position.seq,
            }),
            Cut::Everything { .. } => None,
        };
        Self {
            ends: job.ends.clone(),
            job,
            stop,
            runtime,
            cut,
            is_open: false,
            has_caught_up: false,
            told: Instant::now(),
        }
    }

    fn run(mut self) -> Result<Option<Vec<TermEnd>>, String> {
        let mut failures = 0;
        while !self.stop.is_stopped() {
            match self.connect_and_follow(&mut failures) {
                Ok(()) | Err(Broken::Stopped) => {}
                Err(Broken::Connection(error)) => {
                    failures += 1;
                    debug!("the active's journal cannot be followed: {error}");
                    if failures % TELL_AFTER == 0 {
                        warn!(
                            "the active's journal cannot be followed, it is tried again: {error}"
                        );
                    }
                    self.runtime.block_on(self.stop.pause(PAUSE));
                }
                Err(Broken::Disk(error)) => {
                    let _ = self.job.answers.send(Input::LogFailed(error.clone()));
                    return Err(error);
                }
            }
            self.job.progress.ends();
        }
        Ok((!self.is_open).then_some(self.ends))
    }

    fn connect_and_follow(&mut self, failures: &mut u32) -> Result<(), Broken> {
        let (link, peer, session) = (self.job.link.clone(), self.job.peer, self.job.session);
        let stop = self.stop.clone();
        let dialled = self.runtime.block_on(async move {
            tokio::select! {
                dialled = link.dial(peer, session) => dialled.map_err(Broken::Connection),
                () = stop.pause(Duration::MAX) => Err(Broken::Stopped),
            }
        });
        let mut connection = dialled?;
        let failed = |error: std::io::Error| Broken::Connection(error.to_string());
        self.stop.waits_at(connection.closer().map_err(failed)?);
        connection.set_limits(SILENCE, SEND_LIMIT).map_err(failed)?;
        let Said::Manifest(manifest) = self.hear(&mut connection)? else {
            return Err(Broken::Connection("it did not say what it has".to_owned()));
        };
        if manifest.term != term_id(self.job.term) {
            return Err(Broken::Connection("it is of another term now".to_owned()));
        }
        let Begun {
            mut follower,
            wants,
            missing_bytes,
            beyond,
        } = Follower::begin(
            self.job.store.storage(),
            manifest,
            self.cut,
            &self.ends,
            AsideLimits::default(),
        )
        .map_err(broken)?;
        if !self.has_caught_up {
            info!(
                "follows the active's journal: {missing_bytes} bytes of {} files are missing here",
                wants.len()
            );
        }
        self.job.progress.begins(missing_bytes);
        wire::send(&mut connection, &Said::Wants(wants)).map_err(failed)?;
        loop {
            match self.hear(&mut connection)? {
                Said::Piece(piece) => {
                    self.is_open |= follower.is_live();
                    let has_synced = follower.take(&piece).map_err(broken)?;
                    if has_synced {
                        self.note(&follower);
                    } else if !follower.is_live() {
                        self.job.progress.adds(piece.bytes.len() as u64);
                        self.goes_on();
                    }
                }
                Said::Live => {
                    // Half a commit is carried to its end by the next look at the disk.
                    self.is_open = true;
                    let committed = follower.go_live().map_err(broken)?;
                    self.job.progress.ends();
                    *failures = 0;
                    if beyond > 0 {
                        warn!(
                            "this side had {beyond} journal entries that the active's history lacks: they were never acknowledged by both; kept aside, not merged: {}",
                            committed.aside.join(", ")
                        );
                    }
                    if !self.has_caught_up {
                        info!(
                            "AMQ221024: the copy of the active's journal is complete, {} bytes were fetched",
                            follower.taken_bytes()
                        );
                    }
                    self.has_caught_up = true;
                    self.note(&follower);
                }
                Said::Front(front) => follower.front(front).map_err(broken)?,
                Said::Alive => {}
                Said::Manifest(_) | Said::Wants(_) => {
                    return Err(Broken::Connection("it says things out of turn".to_owned()));
                }
            }
        }
    }

    fn hear(&self, connection: &mut DataConnection) -> Result<Said, Broken> {
        wire::receive(connection).map_err(|error| {
            if self.stop.is_stopped() {
                Broken::Stopped
            } else {
                Broken::Connection(error.to_string())
            }
        })
    }

    /// A copy that takes its time is no session that is stuck.
    fn goes_on(&mut self) {
        if self.told.elapsed() < SIGN_EVERY {
            return;
        }
        let (end, incomplete) = match self.job.cut {
            Cut::After(position) => (position, false),
            Cut::Everything { .. } => {
                let term = self.job.term;
                (Position { term, seq: 0 }, true)
            }
        };
        self.tell(end, incomplete);
    }

    fn tell(&mut self, end: Position, incomplete: bool) {
        self.told = Instant::now();
        if !incomplete && end.term == self.job.term {
            // What is on this disk is read into queues now, or a takeover would have to.
            self.job.ahead.read(end.term, end.seq);
        }
        let session = self.job.session;
        let _ = self.job.answers.send(Input::LogProgress {
            session,
            end,
            incomplete,
        });
    }

    /// What is on disk now is told, and the next connection begins there.
    fn note(&mut self, follower: &Follower) {
        if let Some(ends) = follower.ends() {
            self.ends.clear();
            self.ends.extend_from_slice(ends);
            self.is_open = !follower.is_between_batches();
        }
        let Some(end) = follower.end() else { return };
        self.cut = Some(end);
        let end = Position {
            term: Term {
                epoch: end.term.epoch,
                inc: Incarnation(end.term.incarnation),
            },
            seq: end.offset,
        };
        self.tell(end, false);
    }
}

fn broken(error: FollowError) -> Broken {
    match error {
        FollowError::Write(error) => Broken::Disk(error.to_string()),
        FollowError::Read(error) => Broken::Disk(error.to_string()),
        error @ FollowError::Stream { .. } => Broken::Connection(error.to_string()),
    }
}
