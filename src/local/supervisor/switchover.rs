//! A person's request to move the active role, from the question to its end.
//!
//! Policy says whether it can be asked and what became of it; here it is written to the pair record,
//! followed, and told in sentences.

use pair::Side;

use super::handle::Reply;
use super::{Blocking, NotDone, Supervisor, What};
use crate::local::record::Asked;
use crate::local::time::{now, span};
use crate::policy::Timestamp;
use crate::policy::switchover::{self, Fate, NotAsked, Request, Served};

/// How long a request that was withdrawn is still followed: the active may just have begun, and a
/// handover takes no longer.
const WITHDRAWN_WATCH_MS: u64 = 2_000;

/// A request that waits for its end.
#[derive(Debug)]
pub(super) struct Underway {
    request: Request,
    stage: Stage,
    limit_ms: u64,
    deadline: Timestamp,
    reply: Reply,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is in the record, or will be.
    Waiting,
    /// Its time is over; it is being taken out of the record.
    Withdrawing,
    /// It is out of the record.
    Withdrawn,
}

impl Supervisor {
    /// Takes a request; it is judged on the next look at the record. The answer comes when the role
    /// has moved, or will not.
    pub(super) fn switch_over(&mut self, to: Option<Side>, limit_ms: u64, reply: Reply) {
        // Whoever asked before and has gone does not wait any more.
        self.switchover.take_if(|it| it.reply.is_closed());
        if self.switchover.is_some() || self.new_switchover.is_some() {
            let why = "a switchover is under way: wait for its end".to_owned();
            let _ = reply.send(Err(NotDone::Refused(why)));
            return;
        }
        self.new_switchover = Some((to, limit_ms, reply));
    }

    /// Asks the active to hand over, once the record is known as it is now.
    pub(super) fn begin_switchover(&mut self) {
        if self.looking {
            return;
        }
        let Some((to, limit_ms, reply)) = self.new_switchover.take() else {
            return;
        };
        let at = now();
        let request = match switchover::check(&self.observation(), to, at) {
            Ok(request) => request,
            Err(NotAsked::AlreadyActive(side)) => {
                let text = format!("the {side} is active already: nothing was asked");
                let _ = reply.send(Ok(text));
                return;
            }
            Err(NotAsked::Refused(why)) => {
                let why = format!("{why}. Nothing was asked");
                let _ = reply.send(Err(NotDone::Refused(why)));
                return;
            }
        };
        if !request.is_asked {
            self.write_request(&request);
        }
        self.switchover = Some(Underway {
            request,
            stage: Stage::Waiting,
            limit_ms,
            deadline: at.plus_ms(limit_ms),
            reply,
        });
    }

    /// Takes a request out of the record: it must not move the role when nobody expects it any more.
    fn withdraw(&mut self) {
        let Some(underway) = &mut self.switchover else {
            return;
        };
        underway.stage = Stage::Withdrawing;
        let (record, done) = (self.record.clone(), self.blocked.clone());
        let request = underway.request.clone();
        tokio::task::spawn_blocking(move || {
            let withdrawn = record.withdraw(request.epoch, &request.id);
            // The supervisor may have ended.
            let _ = done.blocking_send(Blocking::WithdrawnForPerson(withdrawn));
        });
    }

    /// The request is out of the record, by this or because it has an answer; or it could not be written.
    pub(super) fn switchover_withdrawn(&mut self, withdrawn: &Asked) {
        let Some(underway) = &mut self.switchover else {
            return;
        };
        match withdrawn {
            Asked::Yes | Asked::Changed => {
                underway.stage = Stage::Withdrawn;
                underway.deadline = now().plus_ms(WITHDRAWN_WATCH_MS);
            }
            Asked::Failed(why) => {
                let (from, limit) = (underway.request.to.other(), span(underway.limit_ms));
                let why = format!(
                    "the {from} has not handed over within {limit}, and the request could not be \
                     withdrawn ({why}): it may still be answered"
                );
                self.end_switchover(Err(NotDone::Late(why)));
            }
        }
    }

    fn write_request(&self, request: &Request) {
        let (record, done) = (self.record.clone(), self.blocked.clone());
        let request = request.clone();
        tokio::task::spawn_blocking(move || {
            let asked = record.ask(request.to, request.epoch, &request.id);
            // The supervisor may have ended.
            let _ = done.blocking_send(Blocking::AskedByPerson(asked));
        });
    }

    /// The request is in the record, or it could not be written.
    pub(super) fn switchover_asked(&mut self, asked: Asked) {
        let Some(underway) = &self.switchover else {
            return;
        };
        let (from, to) = (underway.request.to.other(), underway.request.to);
        match asked {
            Asked::Yes => {
                let what = match to {
                    Side::Primary => "asked to hand over to the primary",
                    Side::Backup => "asked to hand over to the backup",
                };
                self.emit(now(), What::Asked { side: from, what });
            }
            Asked::Changed => self.end_switchover(Err(NotDone::Refused(
                "the active changed, or somebody else asked, at that very moment, so nothing was asked: look \
                 at the status, and ask again"
                    .to_owned(),
            ))),
            // It may be in the record all the same: only the record tells.
            Asked::Failed(why) => self.emit(
                now(),
                What::Warning(format!("cannot tell whether the switchover was asked for: {why}")),
            ),
        }
    }

    /// Looks at what became of a request, and answers whoever waits for it.
    pub(super) fn follow_switchover(&mut self) {
        let Some(underway) = &self.switchover else {
            return;
        };
        let at = now();
        let fate = switchover::fate(&underway.request, &self.observation(), at);
        let (from, to) = (underway.request.to.other(), underway.request.to);
        let is_late = at >= underway.deadline;
        let limit = span(underway.limit_ms);
        let log = self.plan.dir.log(from);
        let log = log.display();
        let answer = match fate {
            // The line of the new active comes before the sentence that ends it all.
            Fate::Done(served) if self.tracker.next_due().is_none() || is_late => {
                Ok(moved(to, served, &format!("the {from} is its standby")))
            }
            Fate::Serving(served) if is_late => {
                let not_yet = format!("the {from} is no settled standby yet");
                Ok(moved(to, served, &not_yet))
            }
            Fate::Asked if is_late && underway.stage == Stage::Withdrawing => return,
            Fate::Asked if is_late && underway.request.is_asked => Err(NotDone::Late(format!(
                "the {from} has not handed over within {limit}; the request was there before and stays: \
                 {log} says what it waits for"
            ))),
            Fate::Asked if is_late && underway.stage == Stage::Waiting => return self.withdraw(),
            Fate::Asked if is_late => Err(NotDone::Late(format!(
                "the {from} has not handed over within {limit}, so the request was withdrawn and nothing \
                 has changed: {log} says what it waited for"
            ))),
            Fate::Taken if is_late => Err(NotDone::Late(format!(
                "the {to} has taken the role and does not serve after {limit}: `tandem local status` \
                 shows what it does, {} what it says",
                self.plan.dir.log(to).display()
            ))),
            Fate::Asked | Fate::Taken | Fate::Serving(_) | Fate::Done(_) => return,
            Fate::Refused(why) => {
                let why_then = why.clone();
                self.emit(at, What::HandoverRefused { side: from, why });
                Err(NotDone::Refused(format!(
                    "the {from}, which is active, refused to hand over: {why_then}. It serves on and \
                     nothing has changed; ask again when that is over"
                )))
            }
            Fate::NotTaken => Err(NotDone::Refused(format!(
                "the {to} did not take over in its time, so the {from} took its role back and serves \
                 on: {} says why",
                self.plan.dir.log(to).display()
            ))),
            Fate::Void { holder, epoch } => {
                let who = holder.map_or_else(|| "nobody".to_owned(), |side| format!("the {side}"));
                Err(NotDone::Refused(format!(
                    "the request is void, for the active ended before it answered: {who} is active \
                     now, in epoch {epoch}"
                )))
            }
        };
        self.end_switchover(answer);
    }

    fn end_switchover(&mut self, answer: Result<String, NotDone>) {
        if let Some(underway) = self.switchover.take() {
            // Who asked may be gone.
            let _ = underway.reply.send(answer);
        }
    }
}

/// The sentence that ends a switchover.
fn moved(to: Side, served: Served, other: &str) -> String {
    let Served { epoch, gap_ms } = served;
    let gap = gap_ms.map_or_else(String::new, |gap_ms| {
        format!(", after a service gap of {}", span(gap_ms))
    });
    format!("the {to} is active in epoch {epoch}{gap}; {other}")
}
