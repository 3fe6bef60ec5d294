//! Replication: the active's journal goes to the standby's disk, over a connection of its own.
//!
//! ```text
//!   active: ship thread ── manifest, files, batches ──► standby: follow thread ──► journal::mirror
//!           (reads files,                                 (writes, syncs)      ──► Input::LogProgress
//!            taps the writer)  ◄── wants ──
//! ```
//! Both are threads with sockets that block: a batch passes through as few hands as can be, since clients wait
//! for it. What may be confirmed or acknowledged is decided by the state machine alone.

mod follow;
mod own;
mod progress;
mod ship;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use journal::WriterView;
use journal::mirror::TermEnd;
use pair::{Cut, Incarnation, Input, LogFacts, Record, Term};
use tokio::sync::mpsc;
use tracing::warn;

use super::ahead::Ahead;
use super::stall::STALL_AFTER;
use super::store::Store;
use crate::link::{Closer, DataLink};
use follow::Following;
pub(crate) use own::OwnStore;
pub(crate) use progress::Progress;
use ship::Shipping;

/// How long an end of a connection may be silent until it counts as broken.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a call may wait until the other end takes what is sent: longer than any commit takes.
const SEND_LIMIT: Duration = Duration::from_secs(20);

/// Replication, as one side's process has it.
pub(crate) struct Replication {
    store: Store,
    own: OwnStore,
    link: DataLink,
    ahead: Ahead,
    answers: mpsc::UnboundedSender<Input>,
    progress: Progress,
    following: Option<Following>,
    shipping: Option<Shipping>,
    /// The own term's journal.
    writer: Option<(Term, WriterView)>,
    /// The terms on disk, if nothing has changed since they were known.
    ends: Option<Vec<TermEnd>>,
}

impl Replication {
    /// Replication of a store, which nobody reads yet.
    pub(crate) fn new(
        store: Store,
        own: OwnStore,
        link: DataLink,
        ahead: Ahead,
        answers: mpsc::UnboundedSender<Input>,
        progress: Progress,
    ) -> Self {
        Self {
            store,
            own,
            link,
            ahead,
            answers,
            progress,
            following: None,
            shipping: None,
            writer: None,
            ends: None,
        }
    }

    /// Ends whatever is written, and says what is on disk. Blocks.
    pub(crate) fn freeze(&mut self) -> Result<LogFacts, String> {
        self.stop_shipping();
        if let Some(following) = self.following.take() {
            self.ends = following.stop()?;
        }
        if let Some((_, writer)) = self.writer.take() {
            self.ends = None;
            if !writer.wait_ended(STALL_AFTER) {
                return Err(format!(
                    "the journal has not ended for {} s: does the disk answer?",
                    STALL_AFTER.as_secs()
                ));
            }
        }
        let ends = match self.ends.take() {
            Some(ends) => ends,
            None => self.store.ends()?,
        };
        let facts = self.own.facts(&ends);
        self.ends = Some(ends);
        Ok(facts)
    }

    /// Gives the store another identity, and says what is on disk. Blocks.
    pub(crate) fn renew(&mut self) -> Result<LogFacts, String> {
        self.own.renew()?;
        self.freeze()
    }

    /// Keeps the newest record that is known. Blocks.
    pub(crate) fn keep(&mut self, record: &Record) {
        // It helps after a loss of the arbiter's; nothing else depends on it.
        if let Err(error) = self.own.keep(record) {
            warn!("the pair record cannot be kept beside the journal: {error}");
        }
    }

    /// Follows that process' log from now on.
    pub(crate) fn follow(&mut self, session: u64, peer: Incarnation, term: Term, cut: Cut) {
        self.following = None;
        let Some(ends) = self.ends.take() else {
            warn!("session {session} was to be followed, but the own log is not known");
            return;
        };
        let job = follow::Job {
            session,
            peer,
            term,
            cut,
            ends,
            store: self.store.clone(),
            link: self.link.clone(),
            ahead: self.ahead.clone(),
            answers: self.answers.clone(),
            progress: self.progress.clone(),
        };
        match Following::start(job) {
            Ok(following) => self.following = Some(following),
            Err(error) => {
                let _ = self.answers.send(Input::LogFailed(error.to_string()));
            }
        }
    }

    /// The own term's journal runs.
    pub(crate) fn started(&mut self, term: Term, writer: WriterView) {
        self.ends = None;
        self.writer = Some((term, writer));
    }

    /// Ships the own term's log to that process from now on.
    pub(crate) fn ship(&mut self, session: u64, peer: Incarnation, term: Term) {
        self.stop_shipping();
        let Some((_, writer)) = self.writer.as_ref().filter(|(own, _)| *own == term) else {
            warn!("session {session} is of a term that has no journal here");
            return;
        };
        let connections = self.link.expect(peer, session);
        self.shipping = Some(Shipping::start(
            self.store.clone(),
            writer.clone(),
            connections,
            self.progress.clone(),
        ));
    }

    /// Ships nothing any more.
    pub(crate) fn stop_shipping(&mut self) {
        if let Some(shipping) = self.shipping.take() {
            self.link.shut();
            shipping.stop();
        }
    }
}

/// What ends a thread that may wait at a socket.
#[derive(Clone, Default)]
struct Stop {
    shared: Arc<StopShared>,
}

#[derive(Default)]
struct StopShared {
    is_stopped: AtomicBool,
    closer: Mutex<Option<Closer>>,
    wake: tokio::sync::Notify,
}

impl Stop {
    fn stop(&self) {
        self.shared.is_stopped.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        if let Some(closer) = self.closer().take() {
            closer.close();
        }
    }

    fn is_stopped(&self) -> bool {
        self.shared.is_stopped.load(Ordering::Acquire)
    }

    /// The socket that the thread waits at from now on. One that is stopped already is closed at once.
    fn waits_at(&self, next: Closer) {
        let mut closer = self.closer();
        *closer = Some(next);
        if self.is_stopped()
            && let Some(closer) = closer.take()
        {
            closer.close();
        }
    }

    /// Returns when stopped, or after that time.
    async fn pause(&self, time: Duration) {
        if !self.is_stopped() {
            let _ = tokio::time::timeout(time, self.shared.wake.notified()).await;
        }
    }

    fn closer(&self) -> std::sync::MutexGuard<'_, Option<Closer>> {
        let closer = self.shared.closer.lock();
        closer.unwrap_or_else(PoisonError::into_inner)
    }
}
