//! What is known of the world, what policy decides on it, and what is written to the pair record.

use pair::Side;

use super::{Blocking, Supervisor, What};
use crate::by_side::BySide;
use crate::local::record::Asked;
use crate::local::time::now;
use crate::policy::{self, Action, Observation, Reason};

impl Supervisor {
    /// Looks at the record, once for everything that happened meanwhile.
    pub(super) fn look_at_record(&mut self) {
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

    pub(super) fn on_blocking(&mut self, done: Blocking) {
        match done {
            Blocking::Looked(seen) => {
                self.looking = false;
                self.seen_record = seen;
            }
            Blocking::Asked { asked, stable_ms } => {
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
            Blocking::Withdrawn(asked) => {
                self.asking = false;
                self.stale = true;
                if asked == Asked::Yes {
                    let what = "no longer asked to hand over: the primary does not run";
                    let side = Side::Backup;
                    self.emit(now(), What::Asked { side, what });
                }
            }
            Blocking::WithdrawnForPerson(asked) => {
                self.stale = true;
                self.switchover_withdrawn(&asked);
            }
            Blocking::Forced(forced) => {
                self.stale = true;
                self.on_forced(forced);
            }
            Blocking::AskedByPerson(asked) => {
                self.stale = true;
                self.switchover_asked(asked);
            }
        }
    }

    pub(super) fn observation(&self) -> Observation {
        Observation {
            processes: BySide::from_fn(|side| self.slots[side].policy_process()),
            brokers: BySide::from_fn(|side| self.slots[side].policy_broker()),
            record: self.seen_record.clone(),
        }
    }

    pub(super) fn decide(&mut self) {
        let decision = policy::decide(&self.plan.rules, &self.memory, &self.observation(), now());
        self.memory = decision.memory.clone();
        for action in &decision.actions {
            match action {
                Action::Start(side) => self.start(*side),
                // A look that is under way may show what was asked already.
                Action::SetWanted { to, epoch, id } if !self.asking && !self.looking => {
                    self.asking = true;
                    let stable_ms = stable_ms(&decision.reasons);
                    let (record, done) = (self.record.clone(), self.blocked.clone());
                    let (to, epoch, id) = (*to, *epoch, id.clone());
                    tokio::task::spawn_blocking(move || {
                        let asked = record.ask(to, epoch, &id);
                        let _ = done.blocking_send(Blocking::Asked { asked, stable_ms });
                    });
                }
                Action::Withdraw { epoch, id } if !self.asking && !self.looking => {
                    self.asking = true;
                    let (record, done) = (self.record.clone(), self.blocked.clone());
                    let (epoch, id) = (*epoch, id.clone());
                    tokio::task::spawn_blocking(move || {
                        let withdrawn = record.withdraw(epoch, &id);
                        let _ = done.blocking_send(Blocking::Withdrawn(withdrawn));
                    });
                }
                Action::SetWanted { .. } | Action::Withdraw { .. } => {}
            }
        }
        let refusal = decision.reasons.iter().find_map(|reason| {
            if let Reason::FailbackRefused { why, .. } = reason {
                Some(why.clone())
            } else {
                None
            }
        });
        if refusal != self.told_refusal {
            if let Some(why) = refusal.clone() {
                self.emit(
                    now(),
                    What::HandoverRefused {
                        side: Side::Backup,
                        why,
                    },
                );
            }
            self.told_refusal = refusal;
        }
        self.decision = Some(decision);
    }
}

/// How long the primary has been stable, if that is why something is asked.
fn stable_ms(reasons: &[Reason]) -> u64 {
    let due = reasons.iter().find_map(|reason| {
        if let Reason::FailbackDue { stable_ms } = reason {
            Some(*stable_ms)
        } else {
            None
        }
    });
    due.unwrap_or_default()
}
