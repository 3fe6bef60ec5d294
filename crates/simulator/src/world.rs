//! The world of two sides: time, processes, the arbiter, and what each action does.

use std::collections::{BTreeMap, VecDeque};

use crate::chance::Chance;
use crate::store::{History, Store};
use pair::{
    Action, BrokenRule, Config, Failback, Incarnation, Input, Machine, Mode, Now, PeerInfo, Record,
    Role, Side, Term, Timers, Versioned,
};

/// A rule of the driver or of the machine that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The mark is not looked at.
    GateWithoutMark,
    /// The mark is read before the fsync returns.
    MarkBeforeSync,
    /// What is there before the replaced terms are fenced counts as the history.
    LoadBeforeFence,
    /// Only the direct predecessor is fenced.
    FencesOnlyPredecessor,
    /// Only the terms that the record lists are fenced, whatever else lies in the store.
    FencesOnlyListed,
    /// The machine goes on in the epoch it finds.
    Machine(BrokenRule),
}

/// How the arbiter behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arbiter {
    /// It answers.
    Answers,
    /// It does nothing and gives no definite answer.
    Away,
    /// It does what it is asked, and its answers are lost.
    Mute,
    /// It does not come back with an answer, definite or not, until it does something else.
    Hangs,
    /// Records are too large to be written.
    Full,
}

/// Settings of a side's process in the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) failback: Failback,
    pub(crate) allow_failback: bool,
    pub(crate) failover_on_shutdown: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            failback: Failback::Broker,
            allow_failback: true,
            failover_on_shutdown: true,
        }
    }
}

/// One process.
pub(crate) struct Process {
    pub(crate) id: u8,
    pub(crate) machine: Machine,
    pub(crate) frozen_until_ms: u64,
    pub(crate) wake_ms: Option<u64>,
    /// Steps not begun yet; the first is under way if `step_under_way`.
    pub(crate) steps: VecDeque<Action>,
    pub(crate) step_under_way: bool,
    /// Grows with every `DropState`: what was begun before ends unanswered.
    pub(crate) generation: u64,
    pub(crate) history: History,
    /// Entries written to the own log, on disk or not.
    pub(crate) written: u64,
    pub(crate) unsynced: u64,
    pub(crate) open: bool,
    pub(crate) shown: String,
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A process learns something.
    Learn {
        side: Side,
        id: u8,
        input: Box<Input>,
    },
    /// A process' timer.
    Wake { side: Side, id: u8 },
    /// An operation takes effect.
    Effect {
        side: Side,
        id: u8,
        generation: u64,
        effect: Effect,
    },
}

/// An operation on what lies outside the processes.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Arbiter(Action),
    Lock(Action),
    Step(Action),
    Fence {
        term: Term,
        terms: Vec<Term>,
    },
    Sync {
        term: Term,
        entries: u64,
        start: bool,
    },
    ReadMark {
        term: Term,
        entries: u64,
        start: bool,
    },
}

/// Everything.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a test"
)]
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) store: Store,
    pub(crate) record: Option<Versioned>,
    /// Every record there ever was, in the order in which they were written.
    pub(crate) records: Vec<Versioned>,
    pub(crate) arbiter: Arbiter,
    /// The next write's answer is lost, once.
    pub(crate) mute_once: bool,
    pub(crate) locks_work: bool,
    /// Whether a test of a lock comes back with an answer.
    pub(crate) locks_answer: bool,
    pub(crate) same_boot: bool,
    pub(crate) ports_free: bool,
    /// How long the last work before a handover takes.
    pub(crate) drain_ms: u64,
    /// Whether the instances know the pair's node ID before they read a record.
    pub(crate) pair_known: bool,
    pub(crate) timers: Timers,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) chance: Chance,
    pub(crate) processes: BTreeMap<Side, Process>,
    pub(crate) side_files: BTreeMap<Side, PeerInfo>,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    started: u8,
}

impl World {
    pub(crate) fn new(chance: Chance) -> Self {
        Self {
            now_ms: 0,
            store: Store::default(),
            record: None,
            records: Vec::new(),
            arbiter: Arbiter::Answers,
            mute_once: false,
            locks_work: true,
            locks_answer: true,
            same_boot: true,
            ports_free: true,
            drain_ms: 0,
            pair_known: true,
            timers: Timers::default(),
            mutation: None,
            trace: None,
            chance,
            processes: BTreeMap::new(),
            side_files: BTreeMap::new(),
            queue: BTreeMap::new(),
            queued: 0,
            started: 0,
        }
    }

    pub(crate) fn log(&mut self, line: impl FnOnce() -> String) {
        let now_ms = self.now_ms;
        if let Some(trace) = &mut self.trace {
            trace.push(format!(
                "{:>4}.{:03}  {}",
                now_ms / 1_000,
                now_ms % 1_000,
                line()
            ));
        }
    }

    pub(crate) fn is_running(&self, side: Side) -> bool {
        self.processes.contains_key(&side)
    }

    pub(crate) fn role(&self, side: Side) -> Option<Role> {
        self.processes
            .get(&side)
            .map(|process| process.machine.view().role)
    }

    /// Starts a side's process, unless it runs.
    pub(crate) fn start(&mut self, side: Side, setup: Setup) {
        if self.is_running(side) {
            return;
        }
        self.started += 1;
        let id = self.started;
        let config = Config {
            side,
            inc: Incarnation([id; 16]),
            pair: self.pair_known.then(|| "node".to_owned()),
            mode: Mode::SharedStore,
            timers: self.timers,
            failback: setup.failback,
            allow_failback: setup.allow_failback,
            lock: pair::LockPolicy::Record,
            failover_on_shutdown: setup.failover_on_shutdown,
            boot_id: Some(if self.same_boot {
                "boot".into()
            } else {
                format!("boot-{id}")
            }),
            process: None,
            arbiter: "DIR".to_owned(),
        };
        let mut machine = Machine::new(config, self.now()).unwrap();
        if let Some(Mutation::Machine(broken)) = self.mutation {
            machine.break_rule(broken);
        }
        self.log(|| format!("{side:<7} starts as process {id}"));
        let process = Process {
            id,
            machine,
            frozen_until_ms: 0,
            wake_ms: None,
            steps: VecDeque::new(),
            step_under_way: false,
            generation: 0,
            history: History::new(),
            written: 0,
            unsynced: 0,
            open: false,
            shown: String::new(),
        };
        self.processes.insert(side, process);
        self.pump(side);
    }

    /// A client writes to a side; refused unless its ports are open.
    pub(crate) fn client_writes(&mut self, side: Side) {
        let latency_ms = self.chance.latency_ms();
        let Some(process) = self.processes.get_mut(&side) else {
            return;
        };
        let frozen = process.frozen_until_ms > self.now_ms;
        let Some(term) = process.machine.record().and_then(Record::term) else {
            return;
        };
        if !process.open || frozen {
            return;
        }
        process.written += 1;
        process.unsynced += 1;
        let entries = process.written;
        let start = false;
        let first = match self.mutation {
            Some(Mutation::MarkBeforeSync) => Effect::ReadMark {
                term,
                entries,
                start,
            },
            _ => Effect::Sync {
                term,
                entries,
                start,
            },
        };
        self.effect(side, latency_ms, first);
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, until_ms: u64) {
        while let Some(entry) = self.queue.first_entry() {
            let at_ms = entry.key().0;
            if at_ms > until_ms {
                break;
            }
            let event = entry.remove();
            self.now_ms = self.now_ms.max(at_ms);
            self.happen(event);
        }
        self.now_ms = until_ms;
    }

    fn now(&self) -> Now {
        Now {
            mono_ms: self.now_ms,
            unix_ms: 1_000_000 + self.now_ms,
        }
    }

    pub(crate) fn at(&mut self, at_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((at_ms, self.queued), event);
    }

    pub(crate) fn effect(&mut self, side: Side, in_ms: u64, effect: Effect) {
        let Some(process) = self.processes.get(&side) else {
            return;
        };
        let (id, generation) = (process.id, process.generation);
        self.at(
            self.now_ms + in_ms,
            Event::Effect {
                side,
                id,
                generation,
                effect,
            },
        );
    }

    pub(crate) fn answer(&mut self, side: Side, id: u8, input: Input) {
        let in_ms = self.chance.latency_ms();
        self.at(
            self.now_ms + in_ms,
            Event::Learn {
                side,
                id,
                input: Box::new(input),
            },
        );
    }

    pub(crate) fn process(&mut self, side: Side, id: u8) -> Option<&mut Process> {
        self.processes
            .get_mut(&side)
            .filter(|process| process.id == id)
    }

    fn happen(&mut self, event: Event) {
        let now_ms = self.now_ms;
        let (side, id) = match &event {
            Event::Learn { side, id, .. }
            | Event::Wake { side, id }
            | Event::Effect { side, id, .. } => (*side, *id),
        };
        let frozen_until_ms = self
            .process(side, id)
            .map(|process| process.frozen_until_ms);
        let frozen_until_ms = frozen_until_ms.filter(|until_ms| *until_ms > now_ms);
        match event {
            Event::Effect {
                generation, effect, ..
            } => {
                // What the kernel or the server has got already takes effect without its process.
                let deferred = frozen_until_ms.is_some() && self.chance.percent(50);
                if let (true, Some(until_ms)) = (deferred, frozen_until_ms) {
                    self.at(
                        until_ms,
                        Event::Effect {
                            side,
                            id,
                            generation,
                            effect,
                        },
                    );
                } else {
                    self.take_effect(side, id, generation, effect);
                }
            }
            event @ (Event::Learn { .. } | Event::Wake { .. }) if frozen_until_ms.is_some() => {
                self.at(frozen_until_ms.unwrap_or(now_ms), event);
            }
            Event::Learn { input, .. } => self.learn(side, id, *input),
            Event::Wake { .. } => {
                let due = self.process(side, id).and_then(|process| process.wake_ms);
                if due.is_some_and(|due_ms| due_ms <= now_ms) {
                    self.learn(side, id, Input::TimeOut);
                }
            }
        }
    }

    pub(crate) fn learn(&mut self, side: Side, id: u8, input: Input) {
        let now = self.now();
        if let Some(process) = self.process(side, id) {
            process.machine.handle(now, input);
            process.wake_ms = None;
            self.pump(side);
        }
    }

    /// Carries out what a machine wants.
    fn pump(&mut self, side: Side) {
        loop {
            let Some(process) = self.processes.get_mut(&side) else {
                return;
            };
            let id = process.id;
            let Some(action) = process.machine.poll_action() else {
                break;
            };
            self.show(side, &action);
            let in_ms = self.chance.latency_ms();
            let Some(process) = self.processes.get_mut(&side) else {
                return;
            };
            match action {
                Action::ReadRecord | Action::Cas { .. } | Action::Create { .. } => {
                    self.effect(side, in_ms, Effect::Arbiter(action));
                }
                Action::ProbeLock { .. } | Action::SelfTestLocks => {
                    self.effect(side, in_ms, Effect::Lock(action));
                }
                Action::Release { term, up_to, .. } => self.store.acknowledge(term, up_to),
                Action::Exit(_) => {
                    self.processes.remove(&side);
                    self.store.unlock_all(id);
                    return;
                }
                Action::Send { .. } | Action::Notice(_) | Action::Publish(_) => {}
                Action::DropState { .. } => {
                    process.generation += 1;
                    process.open = false;
                    process.unsynced = 0;
                    process.step_under_way = false;
                    process.steps.clear();
                    process.steps.push_back(action);
                }
                Action::OpenPorts { term } => {
                    // Emitted when the term's start has passed the gate.
                    process.steps.push_back(action);
                    self.store.serve(term);
                }
                Action::Drain { .. } => {
                    process.open = false;
                    process.steps.push_back(action);
                }
                action => process.steps.push_back(action),
            }
            self.next_step(side);
        }
        let Some(process) = self.processes.get_mut(&side) else {
            return;
        };
        let wake_ms = process.machine.poll_timeout();
        if wake_ms != process.wake_ms {
            process.wake_ms = wake_ms.map(|wake_ms| wake_ms.max(self.now_ms));
            let (id, wake_ms) = (process.id, process.wake_ms);
            if let Some(wake_ms) = wake_ms {
                self.at(wake_ms, Event::Wake { side, id });
            }
        }
    }

    fn next_step(&mut self, side: Side) {
        let mut in_ms = self.chance.latency_ms();
        let Some(process) = self.processes.get_mut(&side) else {
            return;
        };
        if matches!(process.steps.front(), Some(Action::Drain { .. })) {
            in_ms += self.drain_ms;
        }
        if process.step_under_way {
            return;
        }
        let Some(action) = process.steps.pop_front() else {
            return;
        };
        process.step_under_way = true;
        self.effect(side, in_ms, Effect::Step(action));
    }

    pub(crate) fn step_done(&mut self, side: Side, id: u8, answer: Option<Input>) {
        if let Some(process) = self.process(side, id) {
            process.step_under_way = false;
            if let Some(answer) = answer {
                self.answer(side, id, answer);
            }
            self.next_step(side);
        }
    }

    fn take_effect(&mut self, side: Side, id: u8, generation: u64, effect: Effect) {
        let alive = self.process(side, id).is_some();
        let current = self
            .process(side, id)
            .is_some_and(|it| it.generation == generation);
        match effect {
            // A write can land after its sender's death.
            Effect::Arbiter(action) if alive || self.chance.percent(50) => {
                self.arbitrate(side, id, &action);
            }
            Effect::Lock(action) if alive => self.test_locks(side, id, &action),
            Effect::Step(action) if current => self.take_step(side, id, action),
            Effect::Fence { term, terms } if current => self.fence(side, id, term, terms),
            // Slow writes land late, too; nobody is told.
            Effect::Sync { term, entries, .. } if !current => {
                if self.chance.percent(30) {
                    self.store.sync(term, entries);
                }
            }
            Effect::Sync {
                term,
                entries,
                start,
            } => self.sync(side, id, term, entries, start),
            Effect::ReadMark {
                term,
                entries,
                start,
            } if current => {
                self.read_mark(side, id, (term, entries, start));
            }
            Effect::Arbiter(_)
            | Effect::Lock(_)
            | Effect::Step(_)
            | Effect::Fence { .. }
            | Effect::ReadMark { .. } => {}
        }
    }
}
