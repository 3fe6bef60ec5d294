//! Keeps the two processes of a pair, looks at them, and does what policy decides.
//!
//! Level, not edge: whatever happens, the whole world is looked at again and policy decides on that.
//! Everything runs on the main thread but the reads and writes of the pair record, which block.

use std::time::Duration;

use pair::Side;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::event::{Event, What};
use super::observe::Heard;
use super::process::{BrokerProcess, Ended};
use super::record::{Asked, PairRecord};
use super::snapshot::Snapshot;
use super::time::now;
use super::tracker::Tracker;
use crate::by_side::{BySide, SIDES};
use crate::policy::{Decision, Memory, Observed, RecordSeen, Role, Timestamp};

mod deciding;
mod forcing;
mod handle;
mod processes;
mod requests;
mod shutdown;
mod slot;
mod status;
mod switchover;

use forcing::{ForcedBy, Forcing};
use handle::Reply;
pub(crate) use handle::{Asking, Handle, NotDone, Plan, Request};
pub(crate) use shutdown::{StopReport, Stopped};
use slot::Slot;
use switchover::Underway;

/// Answers, records and requests that wait for the supervisor; each is handled in microseconds.
const QUEUED: usize = 64;
/// Events kept for a slow listener: more than a whole demo has.
const EVENTS_KEPT: usize = 1_024;
/// How often the record is looked at while a request may be open: brokers do not say that they refused.
const RECORD_LOOK_MS: u64 = 500;
/// The same while a person waits for the answer.
const WATCHED_LOOK_MS: u64 = 100;

/// What the blocking side reports.
enum Blocking {
    Looked(Observed<RecordSeen>),
    /// A request of policy was written, or not; and how long the primary had been stable.
    Asked {
        asked: Asked,
        stable_ms: u64,
    },
    /// A request of policy was taken back, or not.
    Withdrawn(Asked),
    /// A person's request was written, or not.
    AskedByPerson(Asked),
    /// A person's request was taken back, or not.
    WithdrawnForPerson(Asked),
    /// A person's word that the active is dead was written, or not.
    Forced(ForcedBy),
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
    /// A person's request that waits for a look at the record: where to, how long, whom to answer.
    new_switchover: Option<(Option<Side>, u64, Reply)>,
    /// A person's request that waits for its end.
    switchover: Option<Underway>,
    /// A person's forced promotion that waits for its end.
    forcing: Option<Forcing>,
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
            new_switchover: None,
            switchover: None,
            forcing: None,
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
            self.begin_switchover();
            self.follow_switchover();
            self.follow_forcing();
            self.publish();
            let happening = self.next().await;
            self.stale |= !matches!(happening, Happening::Blocking(_));
            match happening {
                Happening::Stop => break,
                Happening::Heard(heard) => self.on_heard(heard),
                Happening::Asked((request, reply)) => self.on_request(request, reply),
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
        let somebody_waits = self.switchover.is_some() || self.forcing.is_some();
        let look_ms = match (somebody_waits, failed_over) {
            (true, _) => Some(WATCHED_LOOK_MS),
            (false, true) => Some(RECORD_LOOK_MS),
            (false, false) => None,
        };
        let look = look_ms.map(|ms| now().plus_ms(ms));
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

    /// The side that serves, by its own word.
    fn active(&self) -> Option<Side> {
        // One that has hung since it was replaced is heard of as it was, for a moment.
        let serving = |side: &Side| self.slots[*side].role() == Some(Role::Serving);
        let epoch = |side: &Side| self.slots[*side].answer.as_ref().map(|page| page.epoch);
        SIDES.into_iter().filter(serving).max_by_key(epoch)
    }
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
