//! What each operation does to the arbiter, the locks and the store.

use crate::world::{Arbiter, Effect, Event, Mutation, World};
use pair::{
    Action, CasDone, Incarnation, Input, LockState, Mark, PeerInfo, Record, RecordRead, Side,
    StoreFacts, Term, Versioned,
};

impl World {
    pub(crate) fn arbitrate(&mut self, side: Side, id: u8, action: &Action) {
        if self.arbiter == Arbiter::Hangs {
            return self.effect(side, 100, Effect::Arbiter(action.clone()));
        }
        let away = self.arbiter == Arbiter::Away;
        let lost = || "no answer".to_owned();
        let newest = self.record.as_ref().map_or(0, |newest| newest.version);
        let answer = match action {
            Action::Cas { .. } | Action::Create { .. } if away => {
                Input::CasDone(CasDone::Unknown(lost()))
            }
            Action::Cas { .. } | Action::Create { .. } if self.arbiter == Arbiter::Full => {
                Input::CasDone(CasDone::Refused("it is too large".to_owned()))
            }
            Action::Cas { base, record } if *base == newest => self.replace(newest + 1, record),
            Action::Create { record } if newest == 0 => self.replace(1, record),
            Action::Cas { .. } | Action::Create { .. } => Input::CasDone(CasDone::Conflict),
            _ if away || self.arbiter == Arbiter::Mute => {
                Input::RecordRead(RecordRead::Failed(lost()))
            }
            _ => {
                let alive = self.is_running(side.other());
                let peer = self.side_files.get(&side.other()).cloned();
                let peer = peer.map(|peer| PeerInfo { alive, ..peer });
                let now_ms = self.now_ms;
                let input = Box::new(Input::PeerFile(peer));
                self.at(now_ms, Event::Learn { side, id, input });
                let found = self.record.clone().map(Box::new);
                Input::RecordRead(found.map_or(RecordRead::Missing, RecordRead::Found))
            }
        };
        let is_write = matches!(answer, Input::CasDone(_));
        let mute = self.arbiter == Arbiter::Mute
            || (is_write && (std::mem::take(&mut self.mute_once) || self.chance.percent(5)));
        let answer = match answer {
            Input::CasDone(done) if mute && !matches!(done, CasDone::Refused(_)) => {
                Input::CasDone(CasDone::Unknown(lost()))
            }
            answer => answer,
        };
        self.answer(side, id, answer);
    }

    fn replace(&mut self, version: u64, record: &Record) -> Input {
        self.place(Versioned {
            version,
            record: record.clone(),
        });
        Input::CasDone(CasDone::Won { version })
    }

    pub(crate) fn test_locks(&mut self, side: Side, id: u8, action: &Action) {
        let answer = match action {
            Action::ProbeLock { term } => {
                let lock = match self.store.probe(*term) {
                    _ if !self.locks_answer => LockState::Failed("stale handle".to_owned()),
                    None => LockState::Absent,
                    Some(true) if self.locks_work => LockState::Held,
                    Some(_) => LockState::Free,
                };
                Input::LockProbed { term: *term, lock }
            }
            _ => Input::LocksSelfTest(self.locks_work),
        };
        self.answer(side, id, answer);
    }

    #[expect(clippy::too_many_lines, reason = "one short arm for each step")]
    pub(crate) fn take_step(&mut self, side: Side, id: u8, action: Action) {
        let mutation = self.mutation;
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
                let connector = format!("{side}:1");
                let inc = Incarnation([id; 16]);
                self.side_files.insert(
                    side,
                    PeerInfo {
                        connector,
                        inc,
                        leaving,
                        draining,
                        alive: true,
                    },
                );
                None
            }
            Action::CreateTermFile { term } => {
                let created = self.store.create(term, id);
                let history = self.store.load(term);
                if let Some(process) = self.process(side, id) {
                    process.history = history;
                }
                let result = if created {
                    Ok(())
                } else {
                    Err("it exists".to_owned())
                };
                Some(Input::TermFileCreated { term, result })
            }
            Action::DeleteTermFile { term } => {
                self.store.delete(term);
                None
            }
            Action::Fence { term, mut terms } => {
                match mutation {
                    Some(Mutation::FencesOnlyPredecessor) => {
                        terms = terms.last().copied().into_iter().collect();
                    }
                    Some(Mutation::FencesOnlyListed) => {}
                    _ => {
                        if let Some(newer) = self.store.file_above(term) {
                            let result = Err(format!("{newer} is newer"));
                            return self.step_done(side, id, Some(Input::Fenced { term, result }));
                        }
                        let mut lower = self.store.files_below(term);
                        lower.retain(|lower| !terms.contains(lower));
                        terms.append(&mut lower);
                    }
                }
                return self.effect(side, in_ms, Effect::Fence { term, terms });
            }
            Action::LoadHistory { term, .. } => {
                let history = self.store.load(term);
                if mutation != Some(Mutation::LoadBeforeFence)
                    && let Some(process) = self.process(side, id)
                {
                    process.history = history;
                }
                Some(Input::HistoryLoaded {
                    term,
                    result: Ok(()),
                })
            }
            Action::Seal { term } => {
                let history = self.process(side, id).map(|it| it.history.clone());
                let sealed = self.store.seal(term, history.unwrap_or_default());
                let result = if sealed {
                    Ok(())
                } else {
                    Err("sealed by another".to_owned())
                };
                Some(Input::Sealed { term, result })
            }
            Action::StartTerm { term } => {
                if let Some(process) = self.process(side, id) {
                    process.written = 1;
                    process.unsynced = 0;
                }
                let effect = Effect::Sync {
                    term,
                    entries: 1,
                    start: true,
                };
                return self.effect(side, in_ms, effect);
            }
            Action::OpenPorts { term } => {
                if let Some(process) = self.process(side, id) {
                    process.open = !process
                        .steps
                        .iter()
                        .any(|it| matches!(it, Action::Drain { .. }));
                }
                Some(Input::PortsOpened {
                    term,
                    result: Ok(()),
                })
            }
            Action::Drain { term } => {
                if self
                    .process(side, id)
                    .is_some_and(|process| process.unsynced > 0)
                {
                    let again = Effect::Step(Action::Drain { term });
                    return self.effect(side, in_ms + 1, again);
                }
                Some(Input::Drained { term })
            }
            Action::CloseTermFile { term } => {
                self.store.close(term);
                Some(Input::TermClosed { term })
            }
            Action::DropState { term } => Some(Input::StateDropped { term }),
            other => panic!("{other:?} is no step"),
        };
        self.step_done(side, id, answer);
    }

    /// Marks one term after the other; a process can stop between any two.
    pub(crate) fn fence(&mut self, side: Side, id: u8, term: Term, mut terms: Vec<Term>) {
        if terms.is_empty() {
            return self.step_done(
                side,
                id,
                Some(Input::Fenced {
                    term,
                    result: Ok(()),
                }),
            );
        }
        self.store.fence(terms.remove(0));
        let in_ms = self.chance.latency_ms();
        self.effect(side, in_ms, Effect::Fence { term, terms });
    }

    pub(crate) fn sync(&mut self, side: Side, id: u8, term: Term, entries: u64, start: bool) {
        self.store.sync(term, entries);
        if self.mutation == Some(Mutation::MarkBeforeSync) && !start {
            // The mark was read before.
            return self.synced(side, id, (term, entries), Mark::Clear);
        }
        let in_ms = self.chance.latency_ms();
        self.effect(
            side,
            in_ms,
            Effect::ReadMark {
                term,
                entries,
                start,
            },
        );
    }

    pub(crate) fn read_mark(
        &mut self,
        side: Side,
        id: u8,
        (term, entries, start): (Term, u64, bool),
    ) {
        let mark = match self.store.mark(term) {
            _ if self.mutation == Some(Mutation::GateWithoutMark) => Mark::Clear,
            None => Mark::Missing,
            Some(true) => Mark::Fenced,
            Some(false) => Mark::Clear,
        };
        if start {
            let result = Ok(mark);
            self.step_done(side, id, Some(Input::TermStarted { term, result }));
        } else if self.mutation == Some(Mutation::MarkBeforeSync) && mark == Mark::Clear {
            let in_ms = self.chance.latency_ms();
            self.effect(
                side,
                in_ms,
                Effect::Sync {
                    term,
                    entries,
                    start,
                },
            );
        } else {
            self.synced(side, id, (term, entries), mark);
        }
    }

    fn synced(&mut self, side: Side, id: u8, (term, entries): (Term, u64), mark: Mark) {
        if let Some(process) = self.process(side, id) {
            process.unsynced = process.unsynced.saturating_sub(1);
        }
        let input = Box::new(Input::Synced {
            term,
            up_to: entries,
            mark,
        });
        self.at(self.now_ms, Event::Learn { side, id, input });
    }
}
