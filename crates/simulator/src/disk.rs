//! What each operation does to the store and its locks, one step at a time.

use pair::{Action, Input, LockState, Mark, PeerInfo, StoreFacts, Survey, Term};

use crate::options::Mutation;
use crate::process::index;
use crate::world::{Effect, Event, World};

/// How long a listing of the store can be old, at most.
const MAX_STALE_MS: u64 = 500;
/// What a store says that fails.
const FAILED: &str = "stale handle";

/// How long one try hangs, at most, before the store is asked again.
const HANGS_MS: u64 = 100;

/// How a store behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Answers,
    /// Nothing comes back for so long.
    Hangs(u64),
    Fails,
}

impl World {
    pub(crate) fn take_effect(&mut self, id: u8, generation: u64, effect: Effect) {
        let process = self.peek(id);
        let runs = process.runs;
        let current = runs && process.generation == generation;
        match effect {
            // A write can land after its sender's death.
            Effect::Arbiter(action) if runs || self.chance.percent(50) => {
                self.arbitrate(id, action);
            }
            Effect::Lock(action) if runs => self.test_locks(id, &action),
            Effect::Step(action) if current => self.take_step(id, action),
            Effect::Step(_) if self.replicates() => {}
            Effect::Step(action) => self.land_step(id, &action),
            Effect::Ship if current => self.ship(id, true),
            Effect::Follow { session, up_to } if runs => self.followed(id, session, up_to),
            Effect::Fence { term, terms } if current => self.fence(id, term, terms),
            // Slow writes land late, too; nobody is told.
            Effect::Sync { term, entries, .. } if !current => {
                if self.replicates() {
                    return;
                }
                if self.chance.percent(30) {
                    self.sync_log(term, entries);
                }
            }
            Effect::Sync {
                term,
                entries,
                start,
            } => self.sync(id, term, entries, start),
            Effect::ReadMark {
                term,
                entries,
                start,
            } if current => self.read_mark(id, (term, entries, start)),
            // What the store was asked to remove goes without its process, too.
            Effect::Remove { segment } if runs || self.chance.percent(50) => {
                match self.store_seen_from(id) {
                    Access::Answers => self.remove_segment(segment),
                    Access::Hangs(wait_ms) => {
                        self.effect(id, wait_ms, Effect::Remove { segment });
                    }
                    // It is left over, for the next taker to find.
                    Access::Fails => {}
                }
            }
            Effect::Arbiter(_)
            | Effect::Lock(_)
            | Effect::Fence { .. }
            | Effect::ReadMark { .. }
            | Effect::Ship
            | Effect::Follow { .. }
            | Effect::Remove { .. } => {}
        }
    }

    /// How the store behaves where the process is.
    fn store_seen_from(&self, id: u8) -> Access {
        let place = &self.places[self.peek(id).place];
        if place.store_cut_ms <= self.now_ms {
            Access::Answers
        } else if place.store_fails {
            Access::Fails
        } else {
            Access::Hangs((place.store_cut_ms - self.now_ms).min(HANGS_MS))
        }
    }

    fn test_locks(&mut self, id: u8, action: &Action) {
        let seen = self.store_seen_from(id);
        if let Access::Hangs(wait_ms) = seen {
            return self.effect(id, wait_ms, Effect::Lock(action.clone()));
        }
        let answer = match action {
            Action::ProbeLock { term } => {
                let found = if self.breaks(Mutation::OneLockFile) {
                    Some(self.store.the_one_is_locked())
                } else {
                    self.store.probe(*term)
                };
                let lock = match found {
                    _ if seen != Access::Answers || !self.locks_answer => {
                        LockState::Failed(FAILED.to_owned())
                    }
                    None => LockState::Absent,
                    Some(true) if self.nature.locks_work => LockState::Held,
                    Some(_) => LockState::Free,
                };
                Input::LockProbed { term: *term, lock }
            }
            Action::SurveyStore if seen != Access::Answers || !self.locks_answer => {
                Input::StoreSurveyed(Err(FAILED.to_owned()))
            }
            Action::SurveyStore => Input::StoreSurveyed(Ok(self.survey())),
            _ => Input::LocksSelfTest(self.nature.locks_work && seen == Access::Answers),
        };
        self.answer(id, answer);
    }

    fn survey(&self) -> Survey {
        let terms: Vec<Term> = self.store.terms().collect();
        let works = self.nature.locks_work && !self.breaks(Mutation::SurveysNoLocks);
        let mut unmarked = terms.iter().copied();
        let living = unmarked.find(|term| {
            self.store.mark(*term) == Some(false) && works && self.store.probe(*term) == Some(true)
        });
        let newest = terms.last().map_or(0, |term| term.epoch);
        Survey {
            newest_epoch: newest.max(self.store.newest_epoch()),
            terms,
            living,
        }
    }

    fn take_step(&mut self, id: u8, action: Action) {
        let touches_store = !matches!(
            action,
            Action::ReservePorts
                | Action::WriteSideFile { .. }
                | Action::OpenPorts { .. }
                | Action::Drain { .. }
                | Action::DropState { .. }
        );
        if touches_store {
            match self.store_seen_from(id) {
                Access::Answers => {}
                Access::Hangs(wait_ms) => return self.effect(id, wait_ms, Effect::Step(action)),
                Access::Fails => return self.fail_step(id, &action),
            }
        }
        if self.replicates() && self.take_disk_step(id, &action) {
            return;
        }
        let in_ms = self.chance.latency_ms();
        let answer = match action {
            Action::InspectStore => {
                let newest_epoch = self.store.newest_epoch();
                Some(Input::StoreInspected(Ok(StoreFacts { newest_epoch })))
            }
            Action::ReservePorts => Some(Input::PortsReserved(if self.ports_free {
                Ok(())
            } else {
                Err("port 61616 is in use".to_owned())
            })),
            Action::WriteSideFile { leaving, draining } => {
                let process = self.peek(id);
                let (side, inc) = (process.side, process.inc());
                self.side_files[index(side)] = Some(PeerInfo {
                    connector: format!("{side}:1"),
                    inc,
                    leaving,
                    draining,
                    alive: true,
                });
                None
            }
            Action::CreateTermFile { term } => Some(self.create_term_file(id, term)),
            Action::DeleteTermFile { .. } => {
                self.land_step(id, &action);
                None
            }
            Action::Fence { term, terms } => return self.begin_fencing(id, in_ms, term, terms),
            Action::LoadHistory { term, at_least } => return self.load(id, term, at_least),
            Action::Seal { term } => {
                let result = if self.seal(id, term) {
                    Ok(())
                } else {
                    Err("sealed by another".to_owned())
                };
                Some(Input::Sealed { term, result })
            }
            Action::StartTerm { term } => return self.start_term(id, in_ms, term),
            Action::OpenPorts { term } => {
                let process = self.process(id);
                process.open = !process
                    .steps
                    .iter()
                    .any(|it| matches!(it, Action::Drain { .. }));
                Some(Input::PortsOpened {
                    term,
                    result: Ok(()),
                })
            }
            Action::Drain { term } => {
                if self.peek(id).unsynced > 0 {
                    let again = Effect::Step(Action::Drain { term });
                    return self.effect(id, in_ms + 1, again);
                }
                Some(Input::Drained { term })
            }
            Action::CloseTermFile { term } => {
                self.land_step(id, &action);
                Some(Input::TermClosed { term })
            }
            Action::DropState { term } => Some(Input::StateDropped { term }),
            other => panic!("{other:?} is no step"),
        };
        self.step_done(id, answer);
    }

    /// Seals what the process has read, unless another term has sealed that epoch.
    fn seal(&mut self, id: u8, term: Term) -> bool {
        let process = self.peek(id);
        let (history, segments) = (process.history.clone(), process.segments.clone());
        let sealed = self.store.seal(term, history, segments.into());
        self.check_segments();
        sealed
    }

    fn start_term(&mut self, id: u8, in_ms: u64, term: Term) {
        // Its first, unless a rule is broken.
        let entries = self.store.durable(term) + 1;
        let process = self.process(id);
        process.term = Some(term);
        process.written = entries;
        process.unsynced = 0;
        process.released = 0;
        self.store.write(term, entries);
        if self.breaks(Mutation::StartUnsynced) {
            let result = Ok(self.mark(term));
            return self.step_done(id, Some(Input::TermStarted { term, result }));
        }
        let sync = Effect::Sync {
            term,
            entries,
            start: true,
        };
        self.effect(id, in_ms, sync);
    }

    /// What a step does to the store without its process, which is not told: it may have died.
    fn land_step(&mut self, id: u8, action: &Action) {
        let runs = self.peek(id).runs;
        if !runs && !self.chance.percent(30) {
            return;
        }
        match action {
            // A file that is made for a dead process has no lock.
            Action::CreateTermFile { term } if !runs => {
                self.store.create(*term, None);
            }
            Action::DeleteTermFile { term } => {
                self.store.delete(*term);
                if self.breaks(Mutation::OneLockFile) {
                    self.store.delete_the_one();
                }
            }
            Action::CloseTermFile { term } => {
                self.store.close(*term);
                self.store.unlock_the_one(id);
            }
            Action::Seal { term } if !runs => {
                self.seal(id, *term);
            }
            _ => {}
        }
    }

    /// The store says no.
    fn fail_step(&mut self, id: u8, action: &Action) {
        let failed = FAILED.to_owned();
        let answer = match *action {
            Action::InspectStore => Input::StoreInspected(Err(failed)),
            Action::FreezeLog | Action::RenewStore => Input::LogFrozen(Err(failed)),
            Action::FollowLog { .. } => Input::LogFailed(failed),
            Action::CreateTermFile { term } => Input::TermFileCreated {
                term,
                result: Err(failed),
            },
            Action::Fence { term, .. } => Input::Fenced {
                term,
                result: Err(failed),
            },
            Action::LoadHistory { term, .. } => Input::HistoryLoaded {
                term,
                result: Err(failed),
            },
            Action::Seal { term } => Input::Sealed {
                term,
                result: Err(failed),
            },
            Action::StartTerm { term } => Input::TermStarted {
                term,
                result: Err(failed),
            },
            // The descriptor is closed here; the server finds out by itself.
            Action::CloseTermFile { term } => {
                let at_ms = self.now_ms + self.nature.linger_ms;
                self.at(at_ms, Event::Close { id, term });
                Input::TermClosed { term }
            }
            _ => return self.step_done(id, None),
        };
        self.step_done(id, Some(answer));
    }

    fn create_term_file(&mut self, id: u8, term: Term) -> Input {
        let mut created = self.store.create(term, Some(id));
        if self.breaks(Mutation::OneLockFile) {
            created = self.store.lock_the_one(id);
        }
        if self.breaks(Mutation::LoadBeforeFence) {
            self.process(id).history = self.store.load(term, &mut self.chance);
            self.find_segments(id, term);
        }
        let result = if created {
            Ok(())
        } else {
            Err("it exists".to_owned())
        };
        Input::TermFileCreated { term, result }
    }

    fn begin_fencing(&mut self, id: u8, in_ms: u64, term: Term, mut terms: Vec<Term>) {
        if self.breaks(Mutation::FencesOnlyPredecessor) {
            terms = terms.last().copied().into_iter().collect();
        } else if !self.breaks(Mutation::FencesOnlyListed) {
            if let Some(newer) = self.store.file_above(term) {
                let result = Err(format!("{newer} is newer"));
                return self.step_done(id, Some(Input::Fenced { term, result }));
            }
            let lower = self.store.files_below(term);
            let mut lower: Vec<Term> = lower.filter(|lower| !terms.contains(lower)).collect();
            terms.append(&mut lower);
        }
        let in_ms = self.stops_before_marking(id).unwrap_or(in_ms);
        self.effect(id, in_ms, Effect::Fence { term, terms });
    }

    /// Marks one term after the other; a process can stop between any two.
    fn fence(&mut self, id: u8, term: Term, mut terms: Vec<Term>) {
        match self.store_seen_from(id) {
            Access::Hangs(wait_ms) => {
                return self.effect(id, wait_ms, Effect::Fence { term, terms });
            }
            Access::Fails => return self.fail_step(id, &Action::Fence { term, terms }),
            Access::Answers => {}
        }
        let Some(next) = terms.pop() else {
            if self.breaks(Mutation::OneMark) {
                self.store.mark_the_one(term);
            }
            let result = Ok(());
            return self.step_done(id, Some(Input::Fenced { term, result }));
        };
        self.store.fence(next);
        let in_ms = self.chance.latency_ms();
        self.effect(id, in_ms, Effect::Fence { term, terms });
    }

    fn load(&mut self, id: u8, term: Term, at_least: Option<(Term, u64)>) {
        if let Some((of, head)) = at_least {
            let on_disk = self.store.durable(of);
            if on_disk < head {
                self.ledger.violated(format!(
                    "I1: the holder of term {of} claims {head} entries, {on_disk} are on disk"
                ));
            }
            if self.nature.stale_listings && self.chance.percent(30) {
                // Fewer entries than were on disk already: it is looked again.
                let in_ms = self.chance.below(MAX_STALE_MS);
                let again = Effect::Step(Action::LoadHistory { term, at_least });
                return self.effect(id, in_ms, again);
            }
        }
        let mut result = Ok(());
        if !self.breaks(Mutation::LoadBeforeFence) {
            self.process(id).history = if self.breaks(Mutation::OneJournal) {
                self.store.load_all(term, &mut self.chance)
            } else if self.breaks(Mutation::NoSealedLengths) {
                self.store.load_unsealed(term, &mut self.chance)
            } else {
                self.store.load(term, &mut self.chance)
            };
            if !self.find_segments(id, term) {
                result = Err("a segment is missing".to_owned());
            }
        }
        self.step_done(id, Some(Input::HistoryLoaded { term, result }));
    }

    fn sync(&mut self, id: u8, term: Term, entries: u64, start: bool) {
        let sync = Effect::Sync {
            term,
            entries,
            start,
        };
        match self.store_seen_from(id) {
            Access::Hangs(wait_ms) => return self.effect(id, wait_ms, sync),
            Access::Fails => return self.journal_failed(id, term, start),
            Access::Answers => {}
        }
        if self.chance.one_in(self.nature.sync_fails_in) {
            if self.chance.percent(50) && !self.replicates() {
                self.sync_log(term, entries);
            }
            self.tally.sync_errors += 1;
            return self.journal_failed(id, term, start);
        }
        if self.replicates() {
            return self.sync_disk(id, term, entries, start);
        }
        self.sync_log(term, entries);
        if self.breaks(Mutation::RemovesBeforeGate) {
            self.remove_retired(id, entries);
        }
        if !start && self.breaks(Mutation::GateBeforeSync) {
            let process = self.process(id);
            process.unsynced = process.unsynced.saturating_sub(1);
            let up_to = process.released.min(entries);
            return self.ledger.acknowledge(term, up_to, &self.store);
        }
        if !start && self.breaks(Mutation::MarkBeforeSync) {
            // The mark was read before.
            return self.synced(id, term, entries, Mark::Clear);
        }
        let in_ms = self.chance.latency_ms();
        let read = Effect::ReadMark {
            term,
            entries,
            start,
        };
        self.effect(id, in_ms, read);
    }

    fn read_mark(&mut self, id: u8, (term, entries, start): (Term, u64, bool)) {
        match self.store_seen_from(id) {
            Access::Hangs(wait_ms) => {
                let again = Effect::ReadMark {
                    term,
                    entries,
                    start,
                };
                return self.effect(id, wait_ms, again);
            }
            Access::Fails => return self.journal_failed(id, term, start),
            Access::Answers => {}
        }
        let mark = self.mark(term);
        if start {
            let result = Ok(mark);
            return self.step_done(id, Some(Input::TermStarted { term, result }));
        }
        let early = self.breaks(Mutation::MarkBeforeSync) || self.breaks(Mutation::GateBeforeSync);
        if early && mark == Mark::Clear {
            let in_ms = self.chance.latency_ms();
            let sync = Effect::Sync {
                term,
                entries,
                start,
            };
            self.effect(id, in_ms, sync);
            if self.breaks(Mutation::MarkBeforeSync) {
                return;
            }
        }
        self.synced(id, term, entries, mark);
    }

    fn mark(&self, term: Term) -> Mark {
        if !self.options.fence_mark || self.breaks(Mutation::GateWithoutMark) {
            return Mark::Clear;
        }
        let found = self.store.mark(term);
        match found {
            Some(_) if self.breaks(Mutation::OneMark) => {
                if self.store.the_one_marks(term) {
                    Mark::Fenced
                } else {
                    Mark::Clear
                }
            }
            None => Mark::Missing,
            Some(true) => Mark::Fenced,
            Some(false) => Mark::Clear,
        }
    }

    fn synced(&mut self, id: u8, term: Term, entries: u64, mark: Mark) {
        if !self.breaks(Mutation::GateBeforeSync) {
            let process = self.process(id);
            process.unsynced = process.unsynced.saturating_sub(1);
        }
        let input = Box::new(Input::Synced {
            term,
            up_to: entries,
            mark,
        });
        self.at(self.now_ms, Event::Learn { id, input });
    }

    fn journal_failed(&mut self, id: u8, term: Term, start: bool) {
        let error = "input/output error".to_owned();
        if start {
            let result = Err(error);
            self.step_done(id, Some(Input::TermStarted { term, result }));
        } else {
            let process = self.process(id);
            process.unsynced = process.unsynced.saturating_sub(1);
            self.answer(id, Input::JournalFailed { term, error });
        }
    }
}
