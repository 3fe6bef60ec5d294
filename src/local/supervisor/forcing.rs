//! A person's word that the active is dead, from the question to the moment the other side serves.
//!
//! A process that runs is no sign of life, for it may hang; an answer of its HTTP port is one, asked for at
//! that very moment, and so is that the standby hears it. All of that is judged where the record is written
//! ([`arbiter::force()`]); here it is asked, followed, and told in sentences.

use arbiter::{Forced, ForcedKind, Said, Seen};
use pair::Side;
use tokio::runtime::Handle as Runtime;

use super::handle::Reply;
use super::{Blocking, NotDone, Supervisor, What};
use crate::local::record::{PairRecord, Word};
use crate::local::time::{now, span};
use crate::policy::{Role, Timestamp};

/// A forced promotion that waits for its end.
#[derive(Debug)]
pub(super) struct Forcing {
    side: Side,
    limit_ms: u64,
    deadline: Timestamp,
    /// Once it is written: its epoch, and whether the other side's broker answered then.
    written: Option<(u64, bool)>,
    reply: Reply,
}

/// How the writing ended, and whether the other side's broker answered meanwhile.
pub(super) struct ForcedBy {
    forced: Result<Forced, String>,
    other_answers: bool,
}

impl Supervisor {
    /// Takes a request to force a side, the one that does not hold the role if none is named.
    pub(super) fn force(&mut self, to: Option<Side>, word: Word, limit_ms: u64, reply: Reply) {
        // Whoever asked before and has gone does not wait any more.
        self.forcing.take_if(|it| it.reply.is_closed());
        let holder = self.seen_record.known().and_then(|record| record.holder);
        let refused = |why: &str| Err(NotDone::Refused(format!("{why}. Nothing was forced")));
        let side = match to.or_else(|| holder.map(Side::other)) {
            _ if self.forcing.is_some() => {
                let _ = reply.send(refused("a side is being forced: wait for the end of that"));
                return;
            }
            None => {
                let why = "nobody holds the role: name the side that shall take over";
                let _ = reply.send(refused(why));
                return;
            }
            Some(side) => side,
        };
        self.forcing = Some(Forcing {
            side,
            limit_ms,
            deadline: now().plus_ms(limit_ms),
            written: None,
            reply,
        });
        let (record, done) = (self.record.clone(), self.blocked.clone());
        let store = self.plan.dir.store();
        let ask = |side: Side| {
            let (host, port) = (self.plan.host.clone(), self.plan.http_ports[side]);
            let runtime = Runtime::current();
            move || said(&runtime, &host, port, side)
        };
        let (own, other) = (ask(side), ask(side.other()));
        tokio::task::spawn_blocking(move || {
            let forced = write(&record, &store, side, &word, own, other);
            // The supervisor may have ended.
            let _ = done.blocking_send(Blocking::Forced(forced));
        });
    }

    /// The record says that the side is forced, or it was refused.
    pub(super) fn on_forced(&mut self, done: ForcedBy) {
        let Some(forcing) = &mut self.forcing else {
            return;
        };
        let side = forcing.side;
        match done.forced {
            Ok(forced) => {
                forcing.written = Some((forced.epoch, done.other_answers));
                let what = match forced.kind {
                    ForcedKind::Usual | ForcedKind::RolledBack { .. } => {
                        "forced: takes over by a person's word that the active is dead"
                    }
                    ForcedKind::Again => "was forced before and has not taken over yet",
                    ForcedKind::Remade | ForcedKind::RemadeWithNewPair => {
                        "forced: the pair record was gone and is made again from the store"
                    }
                };
                self.emit(now(), What::Asked { side, what });
            }
            Err(why) => self.end_forcing(Err(NotDone::Refused(why))),
        }
    }

    /// Looks whether the side serves, and answers whoever waits for it.
    pub(super) fn follow_forcing(&mut self) {
        let Some(forcing) = &self.forcing else {
            return;
        };
        let Some((epoch, other_answers)) = forcing.written else {
            return;
        };
        let side = forcing.side;
        let is_late = now() >= forcing.deadline;
        let slot = &self.slots[side];
        let serves = slot
            .answer
            .as_ref()
            .filter(|page| page.role.parse() == Ok(Role::Serving) && page.epoch > epoch);
        let log = self.plan.dir.log(side);
        let answer = match (serves, &slot.process) {
            // The line of the new active comes before the sentence that ends it all.
            (Some(page), _) if self.tracker.next_due().is_none() || is_late => Ok(format!(
                "the {side} is active in epoch {}; {}",
                page.epoch,
                self.what_of_the_other(side.other(), other_answers)
            )),
            (None, None) if slot.held_down => Ok(format!(
                "the {side} is forced in epoch {epoch} and does not run: it takes over when it is started, \
                 with `tandem local start {side}`"
            )),
            (None, _) if is_late => Err(NotDone::Late(format!(
                "the {side} is forced in epoch {epoch} and does not serve after {}: `tandem local status` \
                 shows what it does, {} what it says",
                span(forcing.limit_ms),
                log.display()
            ))),
            (Some(_) | None, _) => return,
        };
        self.end_forcing(answer);
    }

    fn what_of_the_other(&self, other: Side, answers: bool) -> String {
        match &self.slots[other].process {
            None => format!("the {other} does not run"),
            Some(_) if answers => format!("the {other} is its standby, or soon will be"),
            Some(process) => format!(
                "the {other} (process {}) runs and does not answer: it becomes the standby if it wakes up, \
                 `tandem local kill {other}` ends it",
                process.pid()
            ),
        }
    }

    fn end_forcing(&mut self, answer: Result<String, NotDone>) {
        if let Some(forcing) = self.forcing.take() {
            // Who asked may be gone.
            let _ = forcing.reply.send(answer);
        }
    }
}

fn write(
    record: &PairRecord,
    store: &std::path::Path,
    side: Side,
    word: &Word,
    own: impl Fn() -> Option<Said>,
    other: impl Fn() -> Option<Said>,
) -> ForcedBy {
    let mut other_answers = false;
    let forced = record.force(store, side, word, || {
        let seen = Seen {
            own: own(),
            other: other(),
            // Each term that wrote into the store has a file there, and that is looked at anyway.
            newest_epoch: 0,
        };
        other_answers = seen.other.is_some();
        seen
    });
    ForcedBy {
        forced,
        other_answers,
    }
}

/// What a broker says at this moment. What the supervisor heard last may be from before it froze.
fn said(runtime: &Runtime, host: &str, port: u16, side: Side) -> Option<Said> {
    let page = runtime
        .block_on(status_client::ask(host, port, None))
        .ok()?;
    page.is_of(side).then(|| Said {
        role: page.role(),
        pair: page.node_id,
        epoch: page.epoch,
        active_heard: page.active_heard,
    })
}
