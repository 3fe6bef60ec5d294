//! What the handles of a client and its driver share: the way to the driver, and notes to it.
//!
//! Commands wait for room and are answered. Notes are for what must never wait or fail: dropped
//! handles and credits to move. They coalesce, so their number is bounded by the live handles.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock};

use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::time::Instant;

use crate::driver::command::{Action, Answer, Command};
use crate::error::{AttemptError, CallError};
use crate::events::{EVENTS_KEPT, Event};
use crate::lock;
use crate::options::{ClientOptions, Endpoint};

/// Something the driver should look at when it has time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    /// The consumer's inbox has credits to give back.
    Flow { channel: i64, consumer_id: i64 },
    /// Producers of the address wait for credits.
    WantCredits { channel: i64, address: String },
    /// The producer's handle is gone.
    ProducerDropped { channel: i64, producer_id: i32 },
    /// The consumer's handle is gone.
    ConsumerDropped { channel: i64, consumer_id: i64 },
    /// The session's last handle is gone.
    SessionDropped { channel: i64 },
}

/// Shared by every handle of one client.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: ClientOptions,
    pub(crate) events: broadcast::Sender<Event>,
    /// Where the client is connected; `None` while it reconnects.
    pub(crate) endpoint: Mutex<Option<Endpoint>>,
    /// The failure of the last reconnection attempt.
    pub(crate) last_attempt: Mutex<Option<AttemptError>>,
    commands: mpsc::Sender<Command>,
    notes: Mutex<BTreeSet<Note>>,
    pub(crate) bell: Notify,
    closed: OnceLock<String>,
}

impl Shared {
    pub(crate) fn new(options: ClientOptions, commands: mpsc::Sender<Command>) -> Self {
        Self {
            options,
            events: broadcast::Sender::new(EVENTS_KEPT),
            endpoint: Mutex::default(),
            last_attempt: Mutex::default(),
            commands,
            notes: Mutex::default(),
            bell: Notify::new(),
            closed: OnceLock::new(),
        }
    }

    /// Hands an action to the driver and waits for its outcome. Always ends: the driver answers
    /// within the failover and call timeouts, or is gone.
    ///
    /// Dropping the returned future leaves the outcome unknown.
    pub(crate) async fn call(&self, action: Action) -> Result<Answer, CallError> {
        let (reply, outcome) = oneshot::channel();
        let expires = Instant::now() + self.options.call_failover_timeout();
        let command = Command {
            action,
            expires,
            reply,
        };
        if self.commands.send(command).await.is_err() {
            return Err(self.closed_error());
        }
        match outcome.await {
            Ok(result) => result,
            Err(_) => Err(self.closed_error()),
        }
    }

    /// Leaves a note for the driver.
    pub(crate) fn note(&self, note: Note) {
        lock(&self.notes).insert(note);
        self.bell.notify_one();
    }

    /// Takes all notes.
    pub(crate) fn take_notes(&self) -> BTreeSet<Note> {
        std::mem::take(&mut *lock(&self.notes))
    }

    /// Records why the client is closed; the first reason stays.
    pub(crate) fn set_closed(&self, why: String) {
        // A second reason is of no interest.
        let _ = self.closed.set(why);
    }

    pub(crate) fn closed_error(&self) -> CallError {
        let why = self.closed.get().cloned();
        CallError::Closed {
            why: why.unwrap_or_else(|| "its handle was dropped".to_owned()),
        }
    }
}
