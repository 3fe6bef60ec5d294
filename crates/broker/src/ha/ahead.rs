//! Reads the active's journal ahead while this side stands by, so that a takeover with very many messages queued
//! reads only the tail.
//!
//! Everything here is an advance on work that the takeover does anyway: what was read counts only after the takeover
//! has fenced the term and found that it fits; otherwise all is read anew. It has a thread of its own, on which a store
//! that hangs stops nothing else.

use std::sync::mpsc as blocking;

use engine::{Engine, EngineConfig};
use journal::{Entry, ReadAhead};
use pair::{Input, Term};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::store::{Store, TERM_START};

/// Entries read between two looks whether the takeover wants what there is.
const CHUNK: usize = 4096;

/// What has been read of a term that another process holds.
pub(crate) struct Reading {
    term: Term,
    pub(super) ahead: ReadAhead,
    pub(super) engine: Engine,
    /// Entries that the engine has taken.
    pub(super) entries: u64,
}

/// What the thread can be asked.
enum Job {
    /// Read on, as far as this entry of the term.
    Read(Term, u64),
    /// Hand over what there is.
    Take(oneshot::Sender<Option<Reading>>),
}

/// The lane that reads ahead.
#[derive(Clone)]
pub(crate) struct Ahead {
    jobs: blocking::Sender<Job>,
}

impl Ahead {
    /// Starts the thread.
    pub(crate) fn start(
        store: Store,
        config: EngineConfig,
        answer: mpsc::UnboundedSender<Input>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = blocking::channel();
        std::thread::Builder::new()
            .name("read-ahead".to_owned())
            .spawn(move || {
                let mut lane = Lane {
                    store,
                    config,
                    inbox,
                    reading: None,
                    given_up: None,
                    answer,
                    answered: None,
                };
                lane.run();
            })?;
        Ok(Self { jobs })
    }

    /// So many entries of this term are on disk.
    pub(crate) fn read(&self, term: Term, durable: u64) {
        // Without its thread nothing is read ahead.
        let _ = self.jobs.send(Job::Read(term, durable));
    }

    /// What was read so far; nothing if that is nothing.
    pub(crate) async fn take(&self) -> Option<Reading> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Take(reply)).ok()?;
        answer.await.ok().flatten()
    }
}

struct Lane {
    store: Store,
    config: EngineConfig,
    inbox: blocking::Receiver<Job>,
    reading: Option<Reading>,
    /// A term whose journal cannot be read ahead: that is not tried again.
    given_up: Option<Term>,
    answer: mpsc::UnboundedSender<Input>,
    /// The term of which it was said that there is no more to read at first.
    answered: Option<Term>,
}

impl Lane {
    fn run(&mut self) {
        while let Ok(job) = self.inbox.recv() {
            let mut wanted = None;
            self.note(job, &mut wanted);
            while let Some((term, durable)) = wanted {
                // The newest word counts, and whoever takes over waits for nothing else.
                while let Ok(job) = self.inbox.try_recv() {
                    self.note(job, &mut wanted);
                }
                if wanted == Some((term, durable)) && !self.read(term, durable) {
                    wanted = None;
                    if self.answered.replace(term) != Some(term) {
                        // The driver may have ended.
                        let _ = self.answer.send(Input::ReadAheadDone { term });
                    }
                }
            }
        }
    }

    fn note(&mut self, job: Job, wanted: &mut Option<(Term, u64)>) {
        match job {
            Job::Read(term, durable) => *wanted = Some((term, durable)),
            Job::Take(reply) => {
                *wanted = None;
                // Who asked may have been dropped with its term.
                let _ = reply.send(self.reading.take());
            }
        }
    }

    /// Reads a chunk; false if there is no more now.
    fn read(&mut self, term: Term, durable: u64) -> bool {
        if self.given_up == Some(term) {
            return false;
        }
        let reading = match self.reading.take().filter(|reading| reading.term == term) {
            Some(reading) => Ok(Some(reading)),
            None => self.begin(term),
        };
        let done = reading.and_then(|reading| {
            let Some(mut reading) = reading else {
                return Ok(false);
            };
            let more = reading.advance(durable)?;
            self.reading = Some(reading);
            Ok(more)
        });
        done.unwrap_or_else(|error| {
            // The takeover reads the journal by itself, and says what is wrong with it.
            debug!("epoch {} is not read ahead: {error}", term.epoch);
            self.given_up = Some(term);
            false
        })
    }

    fn begin(&self, term: Term) -> Result<Option<Reading>, String> {
        let config = EngineConfig {
            epoch: term.epoch,
            ..self.config.clone()
        };
        let ahead = self.store.read_ahead(term)?;
        Ok(ahead.map(|ahead| Reading {
            term,
            ahead,
            engine: Engine::new(config),
            entries: 0,
        }))
    }
}

impl Reading {
    /// Reads a chunk; false if there is no more now.
    fn advance(&mut self, durable: u64) -> Result<bool, String> {
        let Self {
            ahead,
            engine,
            entries,
            ..
        } = self;
        let mut refused = None;
        let taken = ahead
            .advance(durable, CHUNK, |entry| {
                *entries += 1;
                if refused.is_none() {
                    refused = recover(engine, entry).err();
                }
            })
            .map_err(|error| error.to_string())?;
        refused.map_or(Ok(taken == CHUNK), Err)
    }
}

/// Lets the engine take an entry of an earlier term.
pub(super) fn recover(engine: &mut Engine, entry: Entry) -> Result<(), String> {
    if entry.kind == TERM_START {
        return Ok(());
    }
    engine
        .recover(entry.kind, entry.payload)
        .map_err(|error| format!("entry {} of the journal: {error}", entry.position))
}
