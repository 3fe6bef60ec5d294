//! What one side is told before it starts: who it is, and its settings.

use crate::{BadTimers, Incarnation, Mode, Record, Side, Timers};

/// What one side is told before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// This side.
    pub side: Side,
    /// This run of its process.
    pub inc: Incarnation,
    /// Node ID that the record must carry; where nothing is known, that of the first record read.
    pub pair: Option<String>,
    /// How the sides share their data.
    pub mode: Mode,
    /// Times.
    pub timers: Timers,
    /// Who asks for a failback.
    pub failback: Failback,
    /// Whether this side, as the active, grants a returned primary's request.
    pub allow_failback: bool,
    /// What a takeover of a silent active needs.
    pub lock: LockPolicy,
    /// Whether a stop of this side, as the active, lets the other side take over.
    pub failover_on_shutdown: bool,
    /// Boot identifier of the kernel, if it could be read.
    pub boot_id: Option<String>,
    /// Host and process, or pod, for people who read the record.
    pub process: Option<String>,
    /// Name of the arbiter in messages, such as its directory.
    pub arbiter: String,
}

/// What a takeover needs over a shared store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockPolicy {
    /// The record: after promises ran out, or by the lock of the holder's term file.
    Record,
    /// That lock in every case.
    Storage,
}

/// Who asks for a failback to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// The returned primary itself, once it is a settled standby.
    Broker,
    /// The operator or `tandem local`, and nobody else.
    Managed,
}

/// A configuration this program cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Times that do not go together.
    #[error(transparent)]
    Timers(#[from] BadTimers),
}

impl Config {
    /// Refuses what this program cannot run.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        Timers::new(self.timers.beat_ms, self.timers.lost_after_ms)?;
        Ok(())
    }

    /// Whether the record belongs to this instance.
    pub(super) fn fits(&self, record: &Record) -> bool {
        self.mode == record.mode && self.pair.as_ref().is_none_or(|pair| *pair == record.pair)
    }
}
