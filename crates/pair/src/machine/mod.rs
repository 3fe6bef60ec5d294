//! The state machine of one side: everything that decides, in one place and one thread.
//!
//! ```text
//!  standby ──▶ attempting ──▶ preparing ──▶ serving ──▶ handing ──▶ standby, or the end
//!     ▲            │              │            │
//!     └────────────┴──────────────┴────────────┘   lost, replaced, stepped down
//! ```
//!
//! Inputs change what is known; then the machine looks at all of it and acts (level, not edge). It
//! must never act on a single event that could have been missed, and never let anything out of the
//! process in a role other than `serving` (rules 5 and 8).
//!
//! Over a shared store (rule 3) the gate has two halves: the fence mark, which the driver reads after every
//! fsync, and the promises of the other members of `in_sync`. With two stores (rules 1 and 2) it has two
//! disks: `replica`, `shipping`, `stores` and `reports` are about those alone.

mod action;
mod active;
mod asking;
mod broken;
mod config;
mod consent;
mod contact;
mod evidence;
mod gate;
mod input;
mod lane;
mod learn;
mod leaving;
mod notice;
mod rebuild;
mod replica;
mod reports;
mod shipping;
mod show;
mod standby;
mod stores;
mod taking;
mod talking;
mod verdict;
mod view;

use std::collections::VecDeque;

pub use action::{Action, ExitReason};
#[cfg(feature = "broken-rules")]
pub use broken::BrokenRule;
pub use config::{Config, ConfigError, Failback, LockPolicy};
pub use input::{
    CasDone, Draining, Input, LockState, Mark, Now, PeerInfo, RecordRead, StoreFacts, Survey,
    Versioned,
};
pub use notice::Notice;
pub use view::{LinkView, Role, View, Waiting};

use crate::{Cause, Record, Side, Term, WriteId};
use consent::Consent;
use contact::Contact;
use evidence::Evidence;
use gate::Damping;
use lane::{Lane, Purpose};
use rebuild::Lost;
use replica::Replica;
use reports::Reports;

/// One side of a pair.
///
/// After every call of `handle`, take actions with `poll_action` until it is empty, then wait for
/// an answer or until `poll_timeout`, whichever is first.
#[derive(Clone, Debug)]
pub struct Machine {
    config: Config,
    now: Now,
    started_ms: u64,
    phase: Phase,
    lane: Lane,
    evidence: Evidence,
    contact: Contact,
    /// Of the own term; begun anew with each.
    consent: Consent,
    damping: Damping,
    lost: Lost,
    replica: Replica,
    reports: Reports,
    newest: Newest,
    /// What the store held when this process started; nothing until it was looked at.
    store: Option<StoreFacts>,
    ports: Ports,
    peer: Option<PeerInfo>,
    /// Count of this process' writes, for their names.
    writes: u64,
    /// A stop was asked for; the arbiter is waited for until then.
    stop_by_ms: Option<u64>,
    said_goodbye: bool,
    /// The last work before the newest term that this process let go of.
    draining: Option<Draining>,
    handover: Handover,
    asking: Asking,
    /// A takeover is not tried before, after the own term file failed.
    retry_take_ms: u64,
    /// The input being handled is a definite read of the record.
    just_read: bool,
    /// The input being handled is a member's word that it still follows this term.
    answered_still: Option<Term>,
    waiting: Waiting,
    role_since_unix_ms: u64,
    shown: Option<View>,
    wake_ms: Option<u64>,
    actions: VecDeque<Action>,
    /// The rules broken on purpose, one bit each.
    #[cfg(feature = "broken-rules")]
    broken: u64,
}

/// What a side does, with what is true only then.
#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Standby,
    Attempting {
        term: Term,
        cause: Cause,
        gap_from_ms: Option<u64>,
        stage: Attempt,
    },
    Preparing {
        term: Term,
        gap_from_ms: Option<u64>,
        stage: Preparation,
    },
    Serving {
        term: Term,
        gap: Gap,
        work: Work,
    },
    Handing {
        term: Term,
        stage: LettingGo,
    },
    SteppingDown {
        term: Term,
        stage: SteppingDown,
    },
    Stopped,
}

/// Steps before a term is one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// The own term file is being created.
    CreatingFile,
    /// Replication: the own log is left by its session.
    Freezing,
    /// Replication: the history is read up to the freeze.
    Loading,
    /// The record decides what happens next: write, write again, or give up.
    Deciding,
    /// The takeover write is not settled.
    Writing,
}

/// Steps between having a term and serving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preparation {
    Fencing,
    Loading,
    Sealing,
    Starting,
    /// The start is on disk; the gate must pass before anybody is served.
    Gating,
}

/// The service gap of the term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// The ports are not open yet; it counts from there, if the old holder was ever seen alive.
    Open { from_ms: Option<u64> },
    /// The ports are open.
    Closed { gap_ms: Option<u64> },
}

/// What the active is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    /// Clients.
    Clients,
    /// Its last work before the other side takes over.
    DrainingFor { to: Side, since_ms: u64 },
    /// Its last work before the process ends.
    DrainingToStop,
}

/// Steps after the last work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LettingGo {
    /// The clean stop is being written to the record; the lock is kept until then.
    Recording,
    /// The term file is being closed.
    Closing,
    /// The state of the term is being dropped.
    Dropping,
}

/// Steps after the own term was replaced, or given up before it served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SteppingDown {
    Dropping,
    Closing,
}

/// What is known of the record.
#[derive(Clone, Debug)]
struct Newest {
    /// The newest record read or written; older ones count as missing (A4).
    record: Option<Versioned>,
    /// An older copy that was found in its place.
    older: Option<Record>,
    /// Since when it has named this holder, or the holder's last write was seen.
    seen_ms: u64,
    state: RecordState,
    /// A notice about its absence or format was given.
    noticed: bool,
}

/// What the last definite read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordState {
    /// No definite read yet.
    Unread,
    /// The record in `newest`.
    Good,
    /// None, or an older one with this version.
    Missing { older: Option<u64> },
    /// One of an unknown format.
    NewerFormat(u32),
}

/// The client ports of a side that does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ports {
    /// Not reserved, not asked for.
    Unreserved,
    /// Asked for.
    Reserving,
    /// Bound, not listening.
    Reserved,
    /// Could not be bound; tried again then.
    Taken { error: String, retry_ms: u64 },
}

/// What this process remembers of a handover it made.
#[derive(Clone, Debug, Default)]
struct Handover {
    /// The term it let go of.
    let_go: Option<LetGo>,
    /// The other side did not take over; until then requests wait.
    not_before_ms: u64,
    /// How often, one after the other, the other side's term ended soon after it was handed over.
    quick_ends: u32,
    /// The waiting request that people were told of.
    noticed: Option<String>,
}

/// A term that was handed over.
#[derive(Clone, Copy, Debug)]
struct LetGo {
    term: Term,
    to: Side,
    /// When the last work began: the service gap begins, too.
    since_ms: u64,
    /// The other side has until then.
    until_ms: u64,
}

/// What a returned primary remembers of its requests.
#[derive(Clone, Debug, Default)]
struct Asking {
    /// The epoch it asked in, and its request.
    asked: Option<(u64, String)>,
    /// Not before, after a handover that came to nothing.
    not_before_ms: u64,
    backoff_ms: u64,
    refusal_noticed: bool,
}

impl Machine {
    /// A side that has just started. Take its first actions at once.
    pub fn new(config: Config, now: Now) -> Result<Self, ConfigError> {
        config.check()?;
        let mut machine = Self {
            now,
            started_ms: now.mono_ms,
            phase: Phase::Standby,
            lane: Lane::new(),
            evidence: Evidence::default(),
            contact: Contact::default(),
            consent: Consent::default(),
            damping: Damping::default(),
            lost: Lost::default(),
            replica: Replica::default(),
            reports: Reports::default(),
            newest: Newest {
                record: None,
                older: None,
                seen_ms: now.mono_ms,
                state: RecordState::Unread,
                noticed: false,
            },
            store: None,
            ports: Ports::Unreserved,
            peer: None,
            writes: 0,
            stop_by_ms: None,
            said_goodbye: false,
            draining: None,
            handover: Handover::default(),
            asking: Asking::default(),
            retry_take_ms: 0,
            just_read: false,
            answered_still: None,
            waiting: Waiting::FirstLook,
            role_since_unix_ms: now.unix_ms,
            shown: None,
            wake_ms: None,
            actions: VecDeque::new(),
            config,
            #[cfg(feature = "broken-rules")]
            broken: 0,
        };
        machine.write_side_file();
        if machine.replicates() {
            machine.freeze_log();
        } else {
            machine.push(Action::InspectStore);
            machine.push(Action::SelfTestLocks);
        }
        machine.act();
        machine.show();
        Ok(machine)
    }

    /// Learns something and decides. Answers that belong to nothing under way are ignored.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = Now {
            mono_ms: now.mono_ms.max(self.now.mono_ms),
            unix_ms: now.unix_ms,
        };
        if self.phase == Phase::Stopped {
            return;
        }
        self.just_read = false;
        self.answered_still = None;
        self.learn(input);
        self.act();
        self.show();
    }

    /// The next thing to be done. Call until it returns nothing.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call `handle` with `TimeOut`, on the clock of `Now::mono_ms`. Ask again after every
    /// call of `handle`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.wake_ms
    }

    /// The newest record this side has read or written.
    pub fn record(&self) -> Option<&Record> {
        self.newest.record.as_ref().map(|newest| &newest.record)
    }

    /// Looks at everything that is known and does what follows.
    fn act(&mut self) {
        // One step opens the way for the next: at most the number of phases follow each other.
        for _ in 0..8 {
            self.wake_ms = None;
            if self.phase == Phase::Stopped {
                return;
            }
            if !self.step() {
                break;
            }
        }
        self.talk();
        self.poll_lanes();
    }

    /// Takes one step of the current phase; true if another may follow at once.
    fn step(&mut self) -> bool {
        match self.phase.clone() {
            Phase::Standby => self.step_standby(),
            Phase::Attempting {
                term,
                cause,
                gap_from_ms,
                stage,
            } => self.step_attempting(term, cause, gap_from_ms, stage),
            Phase::Preparing { term, stage, .. } => self.step_preparing(term, stage),
            Phase::Serving { term, gap, work } => self.step_serving(term, gap, &work),
            Phase::Handing { term, stage } => self.step_handing(term, stage),
            Phase::SteppingDown { .. } | Phase::Stopped => false,
        }
    }

    /// Sends what the arbiter lane and the lock lane have due.
    fn poll_lanes(&mut self) {
        // Nothing is read before the store was looked at: data that appears later is not a sign of
        // a lost record, it is another side's first term.
        if self.store.is_some() {
            match self.lane.poll(self.now.mono_ms) {
                Ok(action) => self.push(action),
                Err(due_ms) => self.wake(due_ms),
            }
        }
        if self.phase == Phase::Standby && !self.replicates() {
            self.poll_lock_lane();
        }
    }

    /// The lock lane has one job at a time: the holder's lock, or, where the record is lost, every
    /// term's.
    fn poll_lock_lane(&mut self) {
        let (now_ms, timers) = (self.now.mono_ms, self.config.timers);
        if matches!(self.newest.state, RecordState::Missing { .. }) {
            if self.evidence.is_probing() {
                return;
            }
            match self.lost.poll(now_ms) {
                Ok(()) => self.push(Action::SurveyStore),
                Err(due_ms) => self.wake(due_ms),
            }
        } else if !self.lost.is_asking() {
            let heard_ms = self.heard_until_ms();
            match self.evidence.poll(now_ms, &timers, heard_ms) {
                Ok(term) => self.push(Action::ProbeLock { term }),
                Err(due_ms) => self.wake(due_ms),
            }
        }
    }

    fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn notice(&mut self, notice: Notice) {
        self.push(Action::Notice(notice));
    }

    fn wake(&mut self, due_ms: Option<u64>) {
        self.wake_ms = match (self.wake_ms, due_ms) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Names the next write of this process.
    fn next_wid(&mut self) -> WriteId {
        self.writes += 1;
        WriteId {
            inc: self.config.inc,
            n: self.writes,
        }
    }

    /// Sends a compare-and-set on the newest record. The lane must be idle.
    fn cas(&mut self, purpose: Purpose, base: u64, record: Record) {
        let write = action::Write::Cas(Versioned {
            version: base,
            record,
        });
        let action = self.lane.begin(purpose, write);
        self.push(action);
    }

    /// The record to act upon: the newest, if the last definite read found it.
    fn good_record(&self) -> Option<&Versioned> {
        self.newest
            .record
            .as_ref()
            .filter(|_| self.newest.state == RecordState::Good)
    }
}
