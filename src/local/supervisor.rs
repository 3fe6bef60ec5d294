//! Keeps the two processes of a pair, looks at them, and does what policy decides.
//!
//! Level, not edge: whatever happens, the whole world is looked at again and policy decides on that.
//! Everything runs on the main thread but the reads and writes of the pair record, which block.

use std::time::Duration;

use nix::sys::signal::Signal;
use pair::Side;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::event::{Event, What};
use super::observe::{self, Heard};
use super::process::{self, BrokerProcess, Ended};
use super::record::{Asked, PairRecord};
use super::snapshot::Snapshot;
use super::time::now;
use super::tracker::Tracker;
use crate::by_side::{BySide, SIDES};
use crate::policy::{
    self, Action, Decision, Memory, Observation, Observed, Reason, RecordSeen, Role, Timestamp,
};

mod handle;
mod requests;
mod shutdown;
mod slot;
mod status;

pub(crate) use handle::{Asking, Handle, Plan, Request};
pub(crate) use shutdown::{StopReport, Stopped};
use slot::Slot;

/// Answers, records and requests that wait for the supervisor; each is handled in microseconds.
const QUEUED: usize = 64;
/// Events kept for a slow listener: more than a whole demo has.
const EVENTS_KEPT: usize = 1_024;
/// How often the record is looked at while a request is open: brokers do not say that they refused.
const RECORD_LOOK_MS: u64 = 500;
/// Lines of a broker's output that are shown when it ended and nobody knows why.
const SHOWN_LINES: usize = 12;
/// Ends in a row, without a single answer, after which a pair that never worked is given up.
const HOPELESS_STARTS: u32 = 3;

/// What the blocking side reports.
enum Blocking {
    Looked(Observed<RecordSeen>),
    Asked(Asked, u64),
}

/// The supervisor of one pair.
pub(crate) struct Supervisor {
    plan: Plan,
    slots: BySide<Slot>,
    record: PairRecord,
    seen_record: Observed<RecordSeen>,
    memory: Memory,
    decision: Option<Decision>,
    tracker: Tracker,
    /// A look at the record is under way.
    looking: bool,
    /// Something happened since the last look began.
    stale: bool,
    /// A request is being written.
    asking: bool,
    told_refusal: Option<String>,
    stop: CancellationToken,
    events: broadcast::Sender<Event>,
    snapshot: watch::Sender<Snapshot>,
    requests: mpsc::Receiver<Asking>,
    heard: mpsc::Receiver<Heard>,
    tell: mpsc::Sender<Heard>,
    blocking: mpsc::Receiver<Blocking>,
    blocked: mpsc::Sender<Blocking>,
}

/// One thing that wakes the supervisor.
enum Happening {
    Stop,
    Heard(Heard),
    Asked(Asking),
    Ended(Side, Ended),
    Blocking(Blocking),
    Time,
}

impl Supervisor {
    /// A supervisor that has started nothing yet. `stop` ends it, and it cancels `stop` when it is
    /// asked to end.
    pub(crate) fn new(plan: Plan, record: PairRecord, stop: CancellationToken) -> (Self, Handle) {
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let (snapshot, seen) = watch::channel(Snapshot::default());
        let (asks, requests) = mpsc::channel(QUEUED);
        let (tell, heard) = mpsc::channel(QUEUED);
        let (blocked, blocking) = mpsc::channel(QUEUED);
        let handle = Handle {
            requests: asks,
            events: events.clone(),
            snapshot: seen,
        };
        let supervisor = Self {
            plan,
            slots: BySide::from_fn(|_| Slot::default()),
            record,
            seen_record: Observed::Absent,
            memory: Memory::default(),
            decision: None,
            tracker: Tracker::default(),
            looking: false,
            stale: true,
            asking: false,
            told_refusal: None,
            stop,
            events,
            snapshot,
            requests,
            heard,
            tell,
            blocking,
            blocked,
        };
        (supervisor, handle)
    }

    /// Starts both brokers and keeps them until it is stopped; then stops the standby first, so
    /// that nothing fails over. `force` ends both at once.
    pub(crate) async fn run(mut self, force: CancellationToken) -> StopReport {
        for side in SIDES {
            self.start(side);
        }
        let mut hopeless = None;
        loop {
            self.look_at_record();
            self.decide();
            self.publish();
            let happening = self.next().await;
            self.stale |= !matches!(happening, Happening::Blocking(_));
            match happening {
                Happening::Stop => break,
                Happening::Heard(heard) => self.on_heard(heard),
                Happening::Asked((request, reply)) => {
                    let answer = self.on_request(request);
                    // Who asked may be gone.
                    let _ = reply.send(answer);
                }
                Happening::Ended(side, ended) => {
                    self.on_ended(side, &ended);
                    hopeless = self.hopeless();
                    if hopeless.is_some() {
                        break;
                    }
                }
                Happening::Blocking(done) => self.on_blocking(done),
                Happening::Time => self.on_time(),
            }
        }
        self.shut_down(force, hopeless).await
    }

    async fn next(&mut self) -> Happening {
        let wake = self
            .next_wake()
            .map(|at| Duration::from_millis(at.ms_since(now())));
        let Self {
            slots,
            requests,
            heard,
            blocking,
            stop,
            ..
        } = self;
        tokio::select! {
            // A stop is looked at first: nothing is started once it is asked for.
            biased;
            () = stop.cancelled() => Happening::Stop,
            (side, ended) = any_end(slots) => Happening::Ended(side, ended),
            Some(asking) = requests.recv() => Happening::Asked(asking),
            Some(heard) = heard.recv() => Happening::Heard(heard),
            Some(done) = blocking.recv() => Happening::Blocking(done),
            () = sleep(wake) => Happening::Time,
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let decided = self.decision.as_ref().and_then(|decision| decision.wake_at);
        let kills = SIDES.map(|side| self.slots[side].kill_at);
        let failed_over = self
            .seen_record
            .known()
            .is_some_and(|record| record.holder == Some(Side::Backup));
        let look = failed_over.then(|| now().plus_ms(RECORD_LOOK_MS));
        [decided, self.tracker.next_due(), look]
            .into_iter()
            .chain(kills)
            .flatten()
            .min()
    }

    fn emit(&self, at: Timestamp, what: What) {
        // Nobody may be listening.
        let _ = self.events.send(Event { at, what });
    }

    fn emit_all(&self, events: Vec<Event>) {
        for event in events {
            self.emit(event.at, event.what);
        }
    }

    /// Starts a side's broker unless it runs.
    fn start(&mut self, side: Side) {
        if self.slots[side].process.is_some() {
            return;
        }
        let (instance, log) = (self.plan.dir.instance(side), self.plan.dir.log(side));
        match BrokerProcess::spawn(&self.plan.program, &instance, &log) {
            Ok(process) => {
                let (pid, at) = (process.pid(), process.started());
                let address = (self.plan.host.clone(), self.plan.http_ports[side]);
                let watch = observe::watch(side, pid, address, self.tell.clone());
                let slot = &mut self.slots[side];
                *slot = Slot {
                    process: Some(process),
                    mute_ends: slot.mute_ends,
                    silence: "has just been started".to_owned(),
                    watcher: Some(tokio::spawn(watch)),
                    ..Slot::default()
                };
                self.emit(at, What::Started { side, pid });
            }
            Err(error) => {
                let at = now();
                let slot = &mut self.slots[side];
                slot.last_end = Some((at, 0));
                slot.mute_ends += 1;
                self.emit(
                    at,
                    What::NotStarted {
                        side,
                        why: error.to_string(),
                    },
                );
            }
        }
    }

    fn on_heard(&mut self, heard: Heard) {
        let Heard { side, pid, answer } = heard;
        let slot = &mut self.slots[side];
        if slot
            .process
            .as_ref()
            .is_none_or(|process| process.pid() != pid)
        {
            // An answer that was on its way when its process ended.
            return;
        }
        match answer {
            Ok(answer) => {
                slot.mute_ends = 0;
                slot.has_answered = true;
                let events = self.tracker.heard(side, &answer, now());
                self.slots[side].answer = Some(answer);
                self.emit_all(events);
            }
            Err(error) => {
                slot.answer = None;
                slot.silence = error.to_string();
            }
        }
    }

    fn on_ended(&mut self, side: Side, ended: &Ended) {
        let log = self.plan.dir.log(side);
        let slot = &mut self.slots[side];
        if !slot.has_answered {
            slot.mute_ends += 1;
        }
        if let Some(watcher) = slot.watcher.take() {
            watcher.abort();
        }
        let asked = slot.end_asked;
        let log_start = slot.process.as_ref().map_or(0, BrokerProcess::log_start);
        *slot = Slot {
            held_down: slot.held_down,
            last_end: Some((ended.at, ended.ran_ms)),
            mute_ends: slot.mute_ends,
            ..Slot::default()
        };
        let events = self.tracker.ended(side);
        self.emit_all(events);
        // A killed broker printed nothing about its end.
        let failed = ended
            .status
            .is_some_and(|status| status.code().is_some_and(|code| code != 0));
        let last_lines = if failed && !asked {
            process::last_lines(&log, log_start, SHOWN_LINES)
        } else {
            None
        };
        self.emit(
            ended.at,
            What::Ended {
                side,
                how: ended.how(),
                asked,
                last_lines,
            },
        );
    }

    /// Why a pair that never worked is given up.
    fn hopeless(&self) -> Option<String> {
        let no_hope = |side: &Side| {
            let slot = &self.slots[*side];
            slot.process.is_none() && slot.mute_ends >= HOPELESS_STARTS
        };
        SIDES.iter().all(no_hope).then(|| {
            format!(
                "both brokers ended {HOPELESS_STARTS} times before they answered; their output is \
                 in {} and {}",
                self.plan.dir.log(Side::Primary).display(),
                self.plan.dir.log(Side::Backup).display()
            )
        })
    }

    fn on_time(&mut self) {
        let at = now();
        let events = self.tracker.due(at);
        self.emit_all(events);
        for side in SIDES {
            let slot = &mut self.slots[side];
            if slot.kill_at.take_if(|kill_at| *kill_at <= at).is_some() {
                if let Some(process) = &slot.process {
                    process.signal(Signal::SIGKILL);
                }
                self.emit(
                    at,
                    What::Warning(format!("the {side} did not stop in time: killed")),
                );
            }
        }
    }

    /// Looks at the record, once for everything that happened meanwhile.
    fn look_at_record(&mut self) {
        if self.looking || !std::mem::take(&mut self.stale) {
            return;
        }
        self.looking = true;
        let (record, done) = (self.record.clone(), self.blocked.clone());
        tokio::task::spawn_blocking(move || {
            // The supervisor may have ended.
            let _ = done.blocking_send(Blocking::Looked(record.look()));
        });
    }

    fn on_blocking(&mut self, done: Blocking) {
        match done {
            Blocking::Looked(seen) => {
                self.looking = false;
                self.seen_record = seen;
            }
            Blocking::Asked(asked, stable_ms) => {
                self.asking = false;
                self.stale = true;
                match asked {
                    Asked::Yes => self.emit(now(), What::FailbackAsked { stable_ms }),
                    Asked::Changed => {}
                    Asked::Failed(why) => self.emit(
                        now(),
                        What::Warning(format!("could not ask for the failback: {why}")),
                    ),
                }
            }
        }
    }

    fn observation(&self) -> Observation {
        Observation {
            processes: BySide::from_fn(|side| self.slots[side].policy_process()),
            brokers: BySide::from_fn(|side| self.slots[side].policy_broker()),
            record: self.seen_record.clone(),
        }
    }

    fn decide(&mut self) {
        let decision = policy::decide(&self.plan.rules, &self.memory, &self.observation(), now());
        self.memory = decision.memory.clone();
        for action in &decision.actions {
            match action {
                Action::Start(side) => self.start(*side),
                Action::SetWanted { to, epoch, id } if !self.asking => {
                    self.asking = true;
                    let stable_ms = stable_ms(&decision.reasons);
                    let (record, done) = (self.record.clone(), self.blocked.clone());
                    let (to, epoch, id) = (*to, *epoch, id.clone());
                    tokio::task::spawn_blocking(move || {
                        let asked = record.ask(to, epoch, &id);
                        let _ = done.blocking_send(Blocking::Asked(asked, stable_ms));
                    });
                }
                Action::SetWanted { .. } => {}
            }
        }
        let refusal = decision.reasons.iter().find_map(|reason| match reason {
            Reason::FailbackRefused(why) => Some(why.clone()),
            Reason::Paused
            | Reason::FailbackDue { .. }
            | Reason::FailbackWaits { .. }
            | Reason::FailbackBlocked(_)
            | Reason::FailbackRequested
            | Reason::FailbackManual
            | Reason::Restart { .. }
            | Reason::RestartWaits { .. } => None,
        });
        if refusal != self.told_refusal {
            if let Some(why) = refusal.clone() {
                self.emit(now(), What::FailbackRefused { why });
            }
            self.told_refusal = refusal;
        }
        self.decision = Some(decision);
    }

    /// The side that serves, by its own word.
    fn active(&self) -> Option<Side> {
        SIDES
            .into_iter()
            .find(|side| self.slots[*side].role() == Some(Role::Serving))
    }
}

fn stable_ms(reasons: &[Reason]) -> u64 {
    let due = reasons.iter().find_map(|reason| match reason {
        Reason::FailbackDue { stable_ms } => Some(*stable_ms),
        Reason::Paused
        | Reason::FailbackWaits { .. }
        | Reason::FailbackBlocked(_)
        | Reason::FailbackRequested
        | Reason::FailbackRefused(_)
        | Reason::FailbackManual
        | Reason::Restart { .. }
        | Reason::RestartWaits { .. } => None,
    });
    due.unwrap_or_default()
}

/// The next end of either process; never, while none runs.
async fn any_end(slots: &mut BySide<Slot>) -> (Side, Ended) {
    let BySide { primary, backup } = slots;
    tokio::select! {
        ended = end_of(primary) => (Side::Primary, ended),
        ended = end_of(backup) => (Side::Backup, ended),
    }
}

async fn end_of(slot: &mut Slot) -> Ended {
    match &mut slot.process {
        Some(process) => process.wait().await,
        None => std::future::pending().await,
    }
}

async fn sleep(wake: Option<Duration>) {
    match wake {
        Some(wake) => tokio::time::sleep(wake).await,
        None => std::future::pending().await,
    }
}
