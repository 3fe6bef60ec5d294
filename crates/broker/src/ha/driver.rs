//! The driver: feeds the pair's state machine and hands its actions to the lanes.

use std::sync::mpsc as blocking;
use std::time::Duration;

use arbiter::SideFiles;
use core_protocol::packet::Connector;
use pair::{Action, ExitReason, Incarnation, Input, Machine, Now, Side, Term, View};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::ahead::Ahead;
use super::arbiter::{Arbiter, Register};
use super::clock::now;
use super::lanes::{self, ArbiterJob, LockJob};
use super::lease_lane;
use super::notices;
use super::replication::{OwnStore, Progress, Replication};
use super::status::Reporter;
use super::steps::{Job, Steps, StepsParts};
use crate::core::{Gate, Topology};
use crate::link::{Address, Link, LinkInputs, LinkKnowledge, LinkParts};
use crate::pods::{self, Pods};

/// How long the process waits for its last steps.
const LAST_STEPS: Duration = Duration::from_millis(500);

/// What the driver works with.
pub(crate) struct DriverParts {
    /// The machine of this side.
    pub machine: Machine,
    /// Where the record is.
    pub arbiter: Arbiter,
    /// The steps' lane.
    pub steps: StepsParts,
    /// What clients are told of the pair.
    pub topology: watch::Sender<Topology>,
    /// This broker's connector; absent if it is not clustered.
    pub connector: Option<Connector>,
    /// The link to the other side; absent for a broker alone.
    pub link: Option<LinkParts>,
    /// The pair's pods, where this process is in one of them.
    pub pods: Option<Pods>,
    /// In replication: the own store, and where the progress of a copy is shown.
    pub replication: Option<(OwnStore, Progress)>,
    /// The status page.
    pub reporter: Reporter,
    /// Cancelled when the process is asked to stop.
    pub stop: CancellationToken,
}

/// What the driver keeps of the own term.
struct OwnTerm {
    term: Term,
    dropped: CancellationToken,
    gate: watch::Sender<Gate>,
}

/// Runs the pair protocol of this side.
pub(crate) struct Driver {
    machine: Machine,
    arbiter: mpsc::UnboundedSender<ArbiterJob>,
    locks: blocking::Sender<LockJob>,
    steps: mpsc::UnboundedSender<Job>,
    steps_task: JoinHandle<()>,
    ahead: Ahead,
    answers: mpsc::UnboundedReceiver<Input>,
    link: Option<(Link, LinkInputs)>,
    /// Node ID of the pair, for the link.
    pair: watch::Sender<Option<String>>,
    own: Option<OwnTerm>,
    /// There are no term files then.
    replicates: bool,
    topology: watch::Sender<Topology>,
    connector: Option<Connector>,
    /// What the pods' tasks need to know.
    pods: watch::Sender<pods::Known>,
    inc: Incarnation,
    reporter: Reporter,
    settled: bool,
    stop: CancellationToken,
}

impl Driver {
    /// Starts the lanes.
    pub(crate) fn start(parts: DriverParts) -> std::io::Result<Self> {
        let (answer, answers) = mpsc::unbounded_channel();
        let (to_steps, jobs) = mpsc::unbounded_channel();
        let side = parts.steps.side;
        let store = parts.steps.store.clone();
        let (pair, known_pair) = watch::channel(None);
        let (peer_address, known_address) = watch::channel(None);
        let link = parts.link.map(|link| {
            let knowledge = LinkKnowledge {
                peer: known_address,
                pair: known_pair,
            };
            Link::start(link, knowledge)
        });
        let (known, _) = watch::channel(pods::Known::default());
        if let Some(pods) = parts.pods {
            pods.start(&known, answer.clone());
        }
        let inc = parts.steps.side_file.inc;
        let ahead = Ahead::start(store.clone(), parts.steps.engine.clone(), answer.clone())?;
        let replication =
            parts
                .replication
                .zip(link.as_ref())
                .map(|((own, progress), (link, _))| {
                    Replication::new(
                        store.clone(),
                        own,
                        link.data(),
                        ahead.clone(),
                        answer.clone(),
                        progress,
                    )
                });
        let replicates = replication.is_some();
        let steps = Steps::new(parts.steps, ahead.clone(), replication, answer.clone());
        let steps_task = tokio::spawn(steps.run(jobs));
        Ok(Self {
            machine: parts.machine,
            arbiter: arbiter_lane(
                parts.arbiter.register,
                parts.arbiter.sides,
                side,
                answer.clone(),
                peer_address,
            )?,
            locks: lanes::locks(store, answer)?,
            steps: to_steps,
            steps_task,
            ahead,
            answers,
            link,
            pair,
            own: None,
            replicates,
            topology: parts.topology,
            connector: parts.connector,
            pods: known,
            inc,
            reporter: parts.reporter,
            settled: false,
            stop: parts.stop,
        })
    }

    /// Runs until the machine says that the process ends, and why.
    pub(crate) async fn run(mut self) -> ExitReason {
        let reason = self.drive().await;
        // After an orderly stop nothing of the term is left. Otherwise clients must be gone before the lock is
        // (rules 5 and 8).
        if !matches!(reason, ExitReason::Stopped)
            && let Some(own) = self.own.take()
        {
            own.dropped.cancel();
            self.step(Action::DropState { term: own.term });
        }
        // What was asked for before the end, such as the side file's last words, is still done.
        let Self {
            steps,
            steps_task,
            link,
            ..
        } = self;
        drop(steps);
        if tokio::time::timeout(LAST_STEPS, steps_task).await.is_err() {
            debug!("the last steps are given up");
        }
        if let Some((link, _)) = link {
            link.close().await;
        }
        reason
    }

    async fn drive(&mut self) -> ExitReason {
        let mut stop_told = false;
        loop {
            while let Some(action) = self.machine.poll_action() {
                if let Some(reason) = self.carry_out(action) {
                    return reason;
                }
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if !stop_told => {
                    stop_told = true;
                    self.machine.handle(now(), Input::StopRequested);
                }
                // Few, and about the time they come in: before the journal's reports, of which there may be many.
                Some(input) = from_link(self.link.as_mut()) => self.machine.handle(now(), input),
                input = self.answers.recv() => match input {
                    Some(input) => self.machine.handle(now(), input),
                    None => {
                        return ExitReason::Store {
                            step: "running the pair protocol",
                            error: "a part of the broker ended".to_owned(),
                        };
                    }
                },
                () = tokio::time::sleep(wake) => self.machine.handle(now(), Input::TimeOut),
            }
        }
    }

    fn wake(&self) -> Duration {
        let Now { mono_ms, .. } = now();
        self.machine
            .poll_timeout()
            .map_or(Duration::from_secs(1), |at| {
                Duration::from_millis(at.saturating_sub(mono_ms))
            })
    }

    /// Hands an action to whoever does it; `Some` when the process is to end.
    fn carry_out(&mut self, action: Action) -> Option<ExitReason> {
        match action {
            Action::ReadRecord => self.ask_arbiter(ArbiterJob::Read),
            Action::Cas { base, record } => self.ask_arbiter(ArbiterJob::Cas(base, record)),
            Action::Create { record } => self.ask_arbiter(ArbiterJob::Create(record)),
            Action::ProbeLock { term } => self.ask_locks(LockJob::Probe(term)),
            Action::SurveyStore => self.ask_locks(LockJob::Survey),
            Action::SelfTestLocks => self.ask_locks(LockJob::SelfTest),
            Action::Release {
                term,
                up_to,
                fresh_until_ms,
            } => {
                let gate = Gate {
                    offset: up_to,
                    fresh_until_ms,
                };
                self.open_gate(term, gate);
                self.reporter.serves_until(fresh_until_ms);
            }
            Action::Exit(reason) => return Some(reason),
            Action::ReadAhead { term, durable } => self.ahead.read(term, durable),
            Action::Send { peer, message } => {
                if let Some((link, _)) = &self.link {
                    link.send(peer, message);
                }
            }
            Action::Notice(notice) => notices::log(self.reporter.side(), &notice),
            Action::Publish(view) => self.publish(&view),
            Action::CreateTermFile { term } => {
                self.begin_term(term);
                self.step(Action::CreateTermFile { term });
            }
            Action::LoadHistory { term, at_least } => {
                if self.replicates {
                    self.begin_term(term);
                }
                self.step(Action::LoadHistory { term, at_least });
            }
            Action::DropState { term } => {
                // Closing the gate and cancelling are what makes it immediate (rules 5 and 8); the lane only
                // tidies up.
                if let Some(own) = self.own.take_if(|own| own.term == term) {
                    own.dropped.cancel();
                }
                self.step(Action::DropState { term });
            }
            step @ (Action::InspectStore
            | Action::ReservePorts
            | Action::WriteSideFile { .. }
            | Action::DeleteTermFile { .. }
            | Action::Fence { .. }
            | Action::Seal { .. }
            | Action::StartTerm { .. }
            | Action::OpenPorts { .. }
            | Action::Drain { .. }
            | Action::CloseTermFile { .. }
            | Action::FreezeLog
            | Action::FollowLog { .. }
            | Action::ShipLog { .. }
            | Action::RenewStore
            | Action::KeepRecord { .. }) => self.step(step),
        }
        None
    }

    /// What is done from now on is done for this term, until that is dropped.
    fn begin_term(&mut self, term: Term) {
        let (gate, _) = watch::channel(Gate::default());
        self.own = Some(OwnTerm {
            term,
            dropped: CancellationToken::new(),
            gate,
        });
    }

    fn ask_arbiter(&self, job: ArbiterJob) {
        if self.arbiter.send(job).is_err() {
            warn!("the arbiter's lane has ended");
        }
    }

    fn ask_locks(&self, job: LockJob) {
        if self.locks.send(job).is_err() {
            warn!("the locks' thread has ended");
        }
    }

    fn step(&self, action: Action) {
        let own = self.own.as_ref();
        let starts = matches!(action, Action::StartTerm { .. });
        let gate = own.filter(|_| starts).map(|own| own.gate.subscribe());
        let dropped = own.map_or_else(CancellationToken::new, |own| own.dropped.clone());
        if self
            .steps
            .send(Job {
                action,
                dropped,
                gate,
            })
            .is_err()
        {
            warn!("the steps' task has ended");
        }
    }

    fn open_gate(&self, term: Term, next: Gate) {
        if let Some(own) = self.own.as_ref().filter(|own| own.term == term) {
            own.gate
                .send_if_modified(|gate| std::mem::replace(gate, next) != next);
        }
    }

    fn publish(&mut self, view: &View) {
        debug!(role = %view.role, epoch = view.epoch, "{}", view.why);
        if view.settled && !std::mem::replace(&mut self.settled, view.settled) {
            notices::log_standby(self.reporter.side(), view);
        }
        self.settled = view.settled;
        self.reporter.publish(view);
        let known = pods::Known::of(view, self.inc);
        self.pods
            .send_if_modified(|before| std::mem::replace(before, known.clone()) != known);
        let Some(node_id) = &view.pair else { return };
        self.pair.send_if_modified(|pair| {
            let is_new = pair.as_ref() != Some(node_id);
            if is_new {
                *pair = Some(node_id.clone());
            }
            is_new
        });
        let standby = self.connector.as_ref().and_then(|own| {
            let peer = view.peer.as_ref()?;
            let (host, port) = peer.connector.rsplit_once(':')?;
            Some(Connector::tcp(&own.name, host, port.parse().ok()?))
        });
        let active = self.connector.clone();
        self.topology.send_if_modified(|topology| {
            let same = topology.node_id == *node_id
                && topology.active == active
                && topology.standby == standby
                && topology.epoch == view.epoch;
            if same {
                return false;
            }
            let newer = topology.event_id + 1;
            *topology = Topology {
                node_id: node_id.clone(),
                epoch: view.epoch,
                event_id: i64::try_from(now().unix_ms).unwrap_or(i64::MAX).max(newer),
                active: active.clone(),
                standby: standby.clone(),
            };
            true
        });
    }
}

/// Starts the lane that fits the register.
fn arbiter_lane(
    register: Register,
    sides: SideFiles,
    side: Side,
    answers: mpsc::UnboundedSender<Input>,
    peer_address: watch::Sender<Option<Address>>,
) -> std::io::Result<mpsc::UnboundedSender<ArbiterJob>> {
    let peer = lanes::Sides {
        files: sides,
        side,
        address: peer_address,
    };
    match register {
        Register::Folder(arbiter) => lanes::arbiter(arbiter, peer, answers),
        Register::Lease(arbiter) => Ok(lease_lane::start(arbiter, peer, answers)),
    }
}

/// The next report of the link; never any without one.
async fn from_link(link: Option<&mut (Link, LinkInputs)>) -> Option<Input> {
    match link {
        Some((_, inputs)) => inputs.next().await,
        None => std::future::pending().await,
    }
}
