//! The arbiter lane: one read or write at a time, and one write whose outcome is not settled.
//!
//! It must never take an unclear answer for a "no": an unknown answer sends the same write again
//! (A1), a conflict is settled by reading and looking for the own mark (A2). Only then does anybody
//! learn whether a write won (rule 9).

use super::action::Write;
use super::{Action, CasDone, Versioned};
use crate::{Record, Timers};

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To become the holder.
    Takeover,
    /// To ask for a failback.
    Ask,
    /// To refuse a request.
    Refuse,
    /// To empty `unfenced` and note the gap.
    FencesDone,
    /// To note a clean stop.
    Stop,
    /// To make a lost record again.
    Recreate,
    /// To write above what the standby has seen of this term.
    Raise,
    /// To count a process in.
    Admit,
    /// To count a process out.
    Remove,
    /// To note what is known of the store's locks.
    Locks,
}

/// The definite outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// What it was for.
    pub(super) purpose: Purpose,
    /// Whether it is, or was, in place.
    pub(super) won: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnderWay {
    Nothing,
    Read,
    Write,
}

#[derive(Clone, Debug)]
struct Unsettled {
    purpose: Purpose,
    write: Write,
    /// A conflict was reported: the next read settles it.
    conflict: bool,
    /// Its term is over: its outcome interests nobody any more.
    abandoned: bool,
}

/// The arbiter lane of one side.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    under_way: UnderWay,
    unsettled: Option<Unsettled>,
    next_read_ms: u64,
    not_before_ms: u64,
    backoff_ms: u64,
    lost: bool,
    /// When the last definite answer came.
    answered_ms: Option<u64>,
    /// The last write was refused by oneself: no other is begun before the next read.
    held: bool,
    /// No write was won since one was refused.
    refused: bool,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            under_way: UnderWay::Nothing,
            unsettled: None,
            next_read_ms: 0,
            not_before_ms: 0,
            backoff_ms: 0,
            lost: false,
            answered_ms: None,
            held: false,
            refused: false,
        }
    }

    /// Whether a new write may be begun: nothing is under way and nothing unsettled.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == UnderWay::Nothing && self.unsettled.is_none() && !self.held
    }

    /// The write whose outcome is not known yet.
    pub(super) fn unsettled(&self) -> Option<Purpose> {
        self.unsettled
            .as_ref()
            .filter(|it| !it.abandoned)
            .map(|it| it.purpose)
    }

    /// Wants a read as soon as the lane is free.
    pub(super) fn read_soon(&mut self, now_ms: u64) {
        self.next_read_ms = self.next_read_ms.min(now_ms);
    }

    /// Begins a write. The lane must be idle.
    pub(super) fn begin(&mut self, purpose: Purpose, write: Write) -> Action {
        let action = write.action();
        self.unsettled = Some(Unsettled {
            purpose,
            write,
            conflict: false,
            abandoned: false,
        });
        self.under_way = UnderWay::Write;
        action
    }

    /// Forgets the outstanding write of a term that is over. If it lands, it lands on the base it
    /// was made from, where it says nothing but the truth of that term.
    pub(super) fn abandon(&mut self) {
        if self.under_way == UnderWay::Write {
            if let Some(unsettled) = &mut self.unsettled {
                unsettled.abandoned = true;
            }
        } else {
            self.unsettled = None;
        }
    }

    /// What is to be sent at this time, or else when to ask again.
    pub(super) fn poll(&mut self, now_ms: u64) -> Result<Action, Option<u64>> {
        if self.under_way != UnderWay::Nothing {
            return Err(None);
        }
        let due_ms = match &self.unsettled {
            Some(_) => self.not_before_ms,
            None => self.not_before_ms.max(self.next_read_ms),
        };
        if due_ms > now_ms {
            return Err(Some(due_ms));
        }
        if let Some(Unsettled {
            write,
            conflict: false,
            ..
        }) = &self.unsettled
        {
            self.under_way = UnderWay::Write;
            return Ok(write.action());
        }
        self.under_way = UnderWay::Read;
        Ok(Action::ReadRecord)
    }

    /// Takes the answer to a write. A won write is returned as the newest record.
    pub(super) fn write_answered(
        &mut self,
        now_ms: u64,
        timers: &Timers,
        answer: &CasDone,
    ) -> Option<(Settled, Versioned)> {
        if self.under_way != UnderWay::Write {
            return None;
        }
        self.under_way = UnderWay::Nothing;
        let mut unsettled = self.unsettled.take()?;
        if unsettled.abandoned {
            self.read_soon(now_ms);
            return None;
        }
        match answer {
            CasDone::Won { version } => {
                self.answered(now_ms);
                self.refused = false;
                self.next_read_ms = now_ms + timers.look_ms;
                let record = unsettled.write.record().clone();
                let settled = Settled {
                    purpose: unsettled.purpose,
                    won: true,
                };
                return Some((
                    settled,
                    Versioned {
                        version: *version,
                        record,
                    },
                ));
            }
            CasDone::Conflict => {
                self.answered(now_ms);
                unsettled.conflict = true;
            }
            CasDone::Unknown(_) => self.failed(now_ms, timers),
            CasDone::Refused(_) => {}
        }
        self.unsettled = Some(unsettled);
        None
    }

    /// Takes it that the write could not be sent, ever. The next one waits; true the first time.
    pub(super) fn write_refused(
        &mut self,
        now_ms: u64,
        timers: &Timers,
    ) -> (Option<Settled>, bool) {
        self.under_way = UnderWay::Nothing;
        self.held = true;
        self.next_read_ms = now_ms + timers.retry_max_ms;
        let purpose = self
            .unsettled
            .take()
            .filter(|it| !it.abandoned)
            .map(|it| it.purpose);
        let settled = purpose.map(|purpose| Settled {
            purpose,
            won: false,
        });
        (settled, !std::mem::replace(&mut self.refused, true))
    }

    /// Takes a definite answer to a read; `found` is the record in place, if there is one.
    pub(super) fn read_answered(
        &mut self,
        now_ms: u64,
        timers: &Timers,
        found: Option<&Record>,
    ) -> Option<Settled> {
        self.under_way = UnderWay::Nothing;
        self.held = false;
        self.answered(now_ms);
        self.next_read_ms = now_ms + timers.look_ms;
        let Unsettled { purpose, write, .. } = self.unsettled.take()?;
        let mine = write.record();
        let won = found.is_some_and(|found| match purpose {
            // A request keeps the `wid` of the record it is written on; its own name marks it.
            Purpose::Ask => found.wanted == mine.wanted,
            Purpose::Takeover
            | Purpose::Refuse
            | Purpose::FencesDone
            | Purpose::Stop
            | Purpose::Recreate
            | Purpose::Raise
            | Purpose::Admit
            | Purpose::Remove
            | Purpose::Locks => found.wid == mine.wid,
        });
        Some(Settled { purpose, won })
    }

    /// Takes an indefinite answer to a read.
    pub(super) fn read_failed(&mut self, now_ms: u64, timers: &Timers) {
        self.under_way = UnderWay::Nothing;
        self.failed(now_ms, timers);
    }

    /// Whether the last answer was indefinite.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// When the last definite answer came.
    pub(super) fn answered_ms(&self) -> Option<u64> {
        self.answered_ms
    }

    fn answered(&mut self, now_ms: u64) {
        self.answered_ms = Some(now_ms);
        self.lost = false;
        self.backoff_ms = 0;
        self.not_before_ms = 0;
    }

    fn failed(&mut self, now_ms: u64, timers: &Timers) {
        self.lost = true;
        self.backoff_ms = (self.backoff_ms * 2).clamp(timers.retry_ms, timers.retry_max_ms);
        self.not_before_ms = now_ms + self.backoff_ms;
    }
}
