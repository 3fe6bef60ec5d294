//! The world of two sides: time, processes, and what each action of a machine does.
//!
//! It is the driver of every process, so what it may not do is what a driver may not do; but in
//! between any two of its steps a process can die or pause.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pair::{
    Action, Config, Incarnation, Input, LockPolicy, Machine, Message, Mode, Now, PeerInfo, Role,
    Side, Term, Timers,
};

use crate::arbiter::Register;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::disks::Disks;
use crate::ledger::Ledger;
use crate::network::Link;
use crate::options::{Mutation, Nature, Options, Setup};
use crate::process::{Place, Process, index};
use crate::replicated::Data;
use crate::segments::Segment;
use crate::store::Store;
use crate::tally::Tally;

/// Something that happens at a time.
pub(crate) enum Event {
    /// A process learns something.
    Learn {
        id: u8,
        input: Box<Input>,
    },
    /// A process' timer.
    Wake {
        id: u8,
    },
    /// A paused process goes on.
    Thaw {
        id: u8,
    },
    /// An operation takes effect.
    Effect {
        id: u8,
        generation: u64,
        effect: Effect,
    },
    /// A write of the record lands that its sender does not wait for any more.
    LateWrite {
        action: Action,
    },
    /// The locks of an ended process go.
    Unlock {
        id: u8,
    },
    /// The server finds out that a process has closed a term's file: that lock goes, and no other.
    Close {
        id: u8,
        term: Term,
    },
    /// The sides try to connect.
    Dial,
    /// A connection is made, or ends, at this process.
    LinkUp {
        id: u8,
        peer: u8,
        connection: u32,
    },
    LinkDown {
        id: u8,
        connection: u32,
    },
    /// A process looks whether it has heard anything on its connection.
    Silence {
        id: u8,
        connection: u32,
    },
    /// A message arrives.
    Message {
        from: u8,
        to: u8,
        message: Box<Message>,
    },
    /// Entries of a log arrive.
    Data {
        from: u8,
        to: u8,
        data: Box<Data>,
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
    Remove {
        segment: Segment,
    },
    /// More of the log is shipped.
    Ship,
    /// So much of the log that is followed is synced.
    Follow {
        session: u64,
        up_to: usize,
    },
}

/// What is yet to happen: the times in a heap, what happens beside it, so that little is moved.
#[derive(Default)]
struct Queue {
    times: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    queued: u64,
}

impl Queue {
    fn push(&mut self, at_ms: u64, event: Event) {
        self.queued += 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.events[slot] = Some(event);
            slot
        } else {
            self.events.push(Some(event));
            self.events.len() - 1
        };
        // What is queued first happens first.
        self.times.push(Reverse((at_ms, self.queued, slot)));
    }

    fn pop_until(&mut self, until_ms: u64) -> Option<(u64, Event)> {
        let Reverse((at_ms, _, slot)) = *self.times.peek()?;
        if at_ms > until_ms {
            return None;
        }
        self.times.pop();
        self.free.push(slot);
        Some((at_ms, self.events[slot].take()?))
    }
}

/// Everything.
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) store: Store,
    /// In replication, in place of the store.
    pub(crate) disks: Disks,
    pub(crate) ledger: Ledger,
    pub(crate) arbiter: Register,
    pub(crate) link: Link,
    pub(crate) nature: Nature,
    pub(crate) options: Options,
    /// Whether a test of a lock comes back with an answer.
    pub(crate) locks_answer: bool,
    pub(crate) ports_free: bool,
    /// How long the last work before a handover takes.
    pub(crate) drain_ms: u64,
    /// How long a standby reads the journal ahead.
    pub(crate) reading_ms: u64,
    /// Whether the instances know the pair's node ID before they read a record.
    pub(crate) pair_known: bool,
    pub(crate) timers: Timers,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) chance: Chance,
    /// Every process there ever was; number 1 is the first.
    pub(crate) processes: Vec<Process>,
    /// The newest process of each side, while it runs.
    pub(crate) newest: [Option<u8>; 2],
    pub(crate) places: Vec<Place>,
    /// Where a side's next process starts.
    pub(crate) homes: [usize; 2],
    pub(crate) side_files: [Option<PeerInfo>; 2],
    pub(crate) tally: Tally,
    /// Until when the arbiter is in trouble for both sides.
    pub(crate) troubled_until_ms: u64,
    /// The side whose next takeover is its process' end.
    pub(crate) doomed: Option<Side>,
    queue: Queue,
}

/// The longest that a process pauses between two of its actions: beyond a promise and a silence.
const MAX_PAUSE_MS: u64 = 2_000;
/// A seed that starts more processes than have names starts no more.
const MAX_PROCESSES: usize = 250;

impl World {
    pub(crate) fn new(chance: Chance, nature: Nature, options: Options) -> Self {
        Self {
            now_ms: 0,
            store: Store::default(),
            disks: Disks::new(),
            ledger: Ledger::default(),
            arbiter: Register {
                unique: options.mode == Mode::Replication,
                ..Register::default()
            },
            link: Link::default(),
            nature,
            locks_answer: true,
            ports_free: true,
            drain_ms: 0,
            reading_ms: 20,
            pair_known: true,
            timers: Timers::default(),
            trace: options.traced.then(Vec::new),
            options,
            chance,
            processes: Vec::new(),
            newest: [None; 2],
            places: vec![Place::default(); 2],
            homes: [0, 1],
            side_files: [None, None],
            tally: Tally::default(),
            troubled_until_ms: 0,
            doomed: None,
            queue: Queue::default(),
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

    /// A process by its number.
    pub(crate) fn process(&mut self, id: u8) -> &mut Process {
        &mut self.processes[usize::from(id) - 1]
    }

    pub(crate) fn peek(&self, id: u8) -> &Process {
        &self.processes[usize::from(id) - 1]
    }

    /// The newest process of a side, if it runs.
    pub(crate) fn newest(&self, side: Side) -> Option<&Process> {
        self.newest[index(side)].map(|id| self.peek(id))
    }

    pub(crate) fn role(&self, side: Side) -> Option<Role> {
        self.newest(side).map(|process| process.role)
    }

    pub(crate) fn breaks(&self, mutation: Mutation) -> bool {
        self.options.breaks(mutation)
    }

    /// Starts a side's process, unless one runs.
    pub(crate) fn start(&mut self, side: Side, setup: Setup) {
        if self.newest[index(side)].is_some() || self.processes.len() >= MAX_PROCESSES {
            return;
        }
        let id = u8::try_from(self.processes.len() + 1).unwrap_or(u8::MAX);
        let clock = Clock::new(&mut self.chance);
        let config = Config {
            side,
            inc: Incarnation([id; 16]),
            pair: self.pair_known.then(|| "node".to_owned()),
            mode: self.options.mode,
            timers: self.timers,
            failback: setup.failback,
            allow_failback: setup.allow_failback,
            lock: if setup.storage_lock {
                LockPolicy::Storage
            } else {
                LockPolicy::Record
            },
            failover_on_shutdown: setup.failover_on_shutdown,
            boot_id: Some(if self.nature.same_boot {
                "boot".into()
            } else {
                format!("boot-{id}")
            }),
            process: None,
            arbiter: "DIR".to_owned(),
        };
        let mut machine = Machine::new(config, self.now(&clock)).unwrap();
        for mutation in &self.options.broken {
            if let Mutation::Machine(rule) = mutation {
                machine.break_rule(*rule);
            }
        }
        self.log(|| format!("{side:<7} starts as process {id}"));
        let place = self.homes[index(side)];
        let mut process = Process::new(id, side, machine, clock, place);
        process.replica.disk = self.disks.of_side(index(side));
        self.processes.push(process);
        self.newest[index(side)] = Some(id);
        self.dial_soon();
        self.pump(id);
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, until_ms: u64) {
        while let Some((at_ms, event)) = self.queue.pop_until(until_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            self.happen(event);
        }
        self.now_ms = until_ms;
    }

    fn now(&self, clock: &Clock) -> Now {
        Now {
            mono_ms: clock.local(self.now_ms),
            unix_ms: 1_000_000 + self.now_ms,
        }
    }

    pub(crate) fn at(&mut self, at_ms: u64, event: Event) {
        self.queue.push(at_ms, event);
    }

    pub(crate) fn effect(&mut self, id: u8, in_ms: u64, effect: Effect) {
        let generation = self.peek(id).generation;
        let event = Event::Effect {
            id,
            generation,
            effect,
        };
        self.at(self.now_ms + in_ms, event);
    }

    pub(crate) fn answer(&mut self, id: u8, input: Input) {
        let in_ms = self.chance.latency_ms();
        let input = Box::new(input);
        self.at(self.now_ms + in_ms, Event::Learn { id, input });
    }

    fn happen(&mut self, event: Event) {
        let now_ms = self.now_ms;
        match event {
            Event::LateWrite { action } => return self.land(&action),
            Event::Unlock { id } => return self.store.unlock_all(id),
            Event::Close { id, term } => {
                self.store.close(term);
                return self.store.unlock_the_one(id);
            }
            Event::Dial => return self.dial(),
            Event::Effect {
                id,
                generation,
                effect,
            } => {
                // What the kernel or the server has got already takes effect without its process.
                let process = self.peek(id);
                let until_ms = process.frozen_until_ms;
                if process.runs && until_ms > now_ms && self.chance.percent(50) {
                    let event = Event::Effect {
                        id,
                        generation,
                        effect,
                    };
                    return self.at(until_ms, event);
                }
                return self.take_effect(id, generation, effect);
            }
            Event::Learn { .. }
            | Event::Wake { .. }
            | Event::Thaw { .. }
            | Event::LinkUp { .. }
            | Event::LinkDown { .. }
            | Event::Silence { .. }
            | Event::Message { .. }
            | Event::Data { .. } => {}
        }
        let (Event::Learn { id, .. }
        | Event::Wake { id }
        | Event::Thaw { id }
        | Event::LinkUp { id, .. }
        | Event::LinkDown { id, .. }
        | Event::Silence { id, .. }
        | Event::Message { to: id, .. }
        | Event::Data { to: id, .. }) = event
        else {
            return;
        };
        let process = self.peek(id);
        if !process.runs {
            return;
        }
        if process.is_frozen(now_ms) {
            // It waits for the process: at most what comes during the longest freeze.
            return self.at(process.frozen_until_ms, event);
        }
        match event {
            Event::Learn { input, .. } => self.learn(id, *input),
            Event::Wake { .. } => {
                if process.wake_ms.is_some_and(|due_ms| due_ms <= now_ms) {
                    self.learn(id, Input::TimeOut);
                }
            }
            Event::Thaw { .. } => {
                self.process(id).stalled = false;
                self.pump(id);
            }
            Event::LinkUp {
                peer, connection, ..
            } => self.link_up(id, peer, connection),
            Event::LinkDown { connection, .. } => self.link_down(id, connection),
            Event::Silence { connection, .. } => self.listen(id, connection),
            Event::Message { from, message, .. } => self.hear(id, from, *message),
            Event::Data { from, data, .. } => self.follow(id, from, *data),
            Event::Effect { .. }
            | Event::LateWrite { .. }
            | Event::Unlock { .. }
            | Event::Close { .. }
            | Event::Dial => {}
        }
    }

    pub(crate) fn learn(&mut self, id: u8, input: Input) {
        let now = self.now(&self.peek(id).clock);
        let process = self.process(id);
        process.machine.handle(now, input);
        process.wake_ms = None;
        self.pump(id);
    }

    /// Carries out what a machine wants, until it wants no more, or its process dies or pauses.
    fn pump(&mut self, id: u8) {
        let now_ms = self.now_ms;
        loop {
            let process = self.process(id);
            if !process.runs || process.is_frozen(now_ms) {
                return;
            }
            let Some(action) = process.machine.poll_action() else {
                break;
            };
            self.show(id, &action);
            self.carry_out(id, action);
            self.next_step(id);
            if self.chance.one_in(self.nature.dies_in) {
                self.kill(id);
            } else if self.chance.one_in(self.nature.pauses_in) {
                let for_ms = self.chance.below(MAX_PAUSE_MS);
                // Of a driver that hangs the rest goes on: what it may deliver it delivers.
                if self.chance.percent(50) {
                    self.stall(id, for_ms);
                } else {
                    self.freeze(id, for_ms);
                }
            }
        }
        self.check_ports(id);
        let process = self.process(id);
        let due_ms = process.machine.poll_timeout();
        let wake_ms = due_ms.map(|due_ms| process.clock.world(due_ms).max(now_ms));
        if process.wake_ms != wake_ms {
            process.wake_ms = wake_ms;
            if let Some(wake_ms) = wake_ms {
                self.at(wake_ms, Event::Wake { id });
            }
        }
    }

    fn carry_out(&mut self, id: u8, action: Action) {
        let in_ms = self.chance.latency_ms();
        match action {
            Action::ReadRecord | Action::Cas { .. } | Action::Create { .. } => {
                self.effect(id, in_ms, Effect::Arbiter(action));
            }
            Action::ProbeLock { .. } | Action::SurveyStore | Action::SelfTestLocks => {
                self.effect(id, in_ms, Effect::Lock(action));
            }
            Action::Release {
                term,
                up_to,
                fresh_until_ms,
            } => self.release(id, term, up_to, fresh_until_ms),
            Action::Exit(_) => self.end(id),
            Action::Send { peer, message } => self.send(id, peer.0[0], message),
            // Work done in advance decides nothing but when a request is obeyed.
            Action::ReadAhead { term, .. } => {
                let input = Box::new(Input::ReadAheadDone { term });
                self.at(self.now_ms + self.reading_ms, Event::Learn { id, input });
            }
            Action::Notice(notice) => {
                self.check_handover(id, &notice);
                self.check_takeover(id, &notice);
                self.tally.note(&notice);
                self.kill_the_doomed(id, &notice);
            }
            Action::Publish(view) => self.process(id).role = view.role,
            Action::DropState { .. } => self.process(id).drop_state(action),
            Action::OpenPorts { term } => {
                // Emitted when the term's start has passed the gate.
                self.begin_to_serve(id, term);
                self.process(id).steps.push_back(action);
            }
            Action::Drain { .. } => {
                let process = self.process(id);
                process.open = false;
                process.steps.push_back(action);
            }
            action => self.process(id).steps.push_back(action),
        }
    }

    fn next_step(&mut self, id: u8) {
        let mut in_ms = self.chance.latency_ms();
        let drain_ms = self.drain_ms;
        let process = self.process(id);
        if matches!(process.steps.front(), Some(Action::Drain { .. })) {
            in_ms += drain_ms;
        }
        if process.step_under_way {
            return;
        }
        let Some(action) = process.steps.pop_front() else {
            return;
        };
        process.step_under_way = true;
        self.effect(id, in_ms, Effect::Step(action));
    }

    pub(crate) fn step_done(&mut self, id: u8, answer: Option<Input>) {
        self.process(id).step_under_way = false;
        if let Some(answer) = answer {
            self.answer(id, answer);
        }
        self.next_step(id);
    }

    /// Whether any process of a side runs.
    pub(crate) fn is_running(&self, side: Side) -> bool {
        self.processes
            .iter()
            .any(|process| process.runs && process.side == side)
    }
}
