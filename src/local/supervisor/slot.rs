//! One side of the pair, as its supervisor knows it.

use status_client::Page;
use tokio::task::JoinHandle;

use crate::local::event::role_word;
use crate::local::observe;
use crate::local::process::BrokerProcess;
use crate::policy::{self, Observed, Process, Role, Timestamp};

/// One side, as its supervisor knows it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) process: Option<BrokerProcess>,
    /// A person wants it down.
    pub(super) held_down: bool,
    /// Its end was asked for here.
    pub(super) end_asked: bool,
    /// When a stop turns into a kill.
    pub(super) kill_at: Option<Timestamp>,
    pub(super) last_end: Option<(Timestamp, u64)>,
    pub(super) answer: Option<Page>,
    /// What the record names for it, by its own word: this run of its process, or its store.
    pub(super) member: Option<String>,
    pub(super) silence: String,
    /// Ends in a row without an answer before.
    pub(super) mute_ends: u32,
    pub(super) watcher: Option<JoinHandle<()>>,
}

impl Slot {
    /// Whether this process ever answered.
    pub(super) fn has_answered(&self) -> bool {
        self.member.is_some()
    }

    /// Its role, if it says so.
    pub(super) fn role(&self) -> Option<Role> {
        self.answer
            .as_ref()
            .and_then(|answer| answer.role.parse().ok())
    }

    /// Its process, as policy sees it.
    pub(super) fn policy_process(&self) -> Process {
        match (&self.process, self.held_down, self.last_end) {
            (Some(_), _, _) => Process::Running,
            (None, true, _) | (None, false, None) => Process::HeldDown,
            (None, false, Some((at, ran_ms))) => Process::Ended { at, ran_ms },
        }
    }

    /// Its broker, as policy sees it.
    pub(super) fn policy_broker(&self) -> Observed<policy::Broker> {
        match (&self.process, &self.answer) {
            (None, _) => Observed::Absent,
            (Some(_), Some(answer)) => observe::broker(answer),
            (Some(_), None) => Observed::Unknown {
                why: self.silence.clone(),
            },
        }
    }

    /// Its role and what that means, in words.
    pub(super) fn role_and_why(&self) -> (String, String) {
        if self.process.is_none() {
            let why = if self.held_down {
                "stays down until it is started"
            } else {
                "is started again shortly"
            };
            return ("down".to_owned(), why.to_owned());
        }
        let Some(answer) = &self.answer else {
            let (role, why) = match (self.end_asked, self.has_answered()) {
                (true, _) => ("stopping", "finishes its work"),
                (false, true) => ("silent", self.silence.as_str()),
                (false, false) => ("starting", "has not opened its HTTP port yet"),
            };
            return (role.to_owned(), why.to_owned());
        };
        let role = self
            .role()
            .map_or_else(|| answer.role.clone(), |role| role_word(role).into());
        (role, answer.why.clone())
    }
}
