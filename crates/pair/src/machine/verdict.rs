//! A standby's one question: may this side take over now, and if not, what does it wait for?
//!
//! The answer is computed anew from everything that is known, each time; nothing is remembered that
//! could outlive its reason.

use super::broken::BrokenRule;
use super::evidence::Holding;
use super::{LetGo, Machine, Notice, Ports, RecordState, Waiting};
use crate::{Cause, Holder, LockPolicy, Locks, Member, Record, Side, TakerPath};

/// No active works so long after it has stopped accepting; a larger difference is one of clocks.
const MAX_DRAIN_MS: u64 = 60_000;

/// Whether this side may take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may, on a record that was read after all of this was known.
    Take {
        /// By which right.
        path: TakerPath,
        /// Why.
        cause: Cause,
        /// When the old holder was last known alive.
        gap_from_ms: Option<u64>,
    },
    /// It may not.
    Wait {
        /// What for.
        waiting: Waiting,
        /// When time alone changes the answer.
        until_ms: Option<u64>,
    },
}

/// What a wait for something that will be noticed looks like.
pub(super) const fn wait(waiting: Waiting) -> Verdict {
    Verdict::Wait {
        waiting,
        until_ms: None,
    }
}

impl Machine {
    /// The handover this process made, if the record still waits for its taker.
    pub(super) fn unused_handover(&self) -> Option<LetGo> {
        self.handover
            .let_go
            .filter(|let_go| self.holds(let_go.term))
    }

    /// Whether this side may take over now.
    pub(super) fn verdict(&mut self) -> Verdict {
        let is_missing = matches!(self.newest.state, RecordState::Missing { .. });
        match (self.newest.state, &self.ports) {
            (RecordState::Unread, _) if self.lane.lost() => return wait(Waiting::Arbiter),
            (RecordState::Unread, _) => return wait(Waiting::FirstLook),
            (RecordState::NewerFormat(format), _) => return wait(Waiting::Upgrade { format }),
            (RecordState::Good | RecordState::Missing { .. }, Ports::Taken { error, .. }) => {
                return wait(Waiting::Ports(error.clone()));
            }
            (
                RecordState::Good | RecordState::Missing { .. },
                Ports::Unreserved | Ports::Reserving,
            ) => {
                return wait(Waiting::FirstLook);
            }
            (RecordState::Good | RecordState::Missing { .. }, Ports::Reserved) => {}
        }
        let verdict = match self.good_record().map(|newest| newest.record.clone()) {
            None if is_missing && self.replicates() => self.verdict_on_lost_stores(),
            None if is_missing => self.verdict_on_lost_record(),
            None => wait(Waiting::Record),
            Some(record) => match (&record.holder, record.forced_side()) {
                (None, None) => self.verdict_first_start(),
                (None, Some(side)) if self.replicates() => self.verdict_on_forced_store(side),
                (None, Some(side)) => self.verdict_forced(side),
                (Some(holder), _) => self.verdict_on(&record, holder),
            },
        };
        match verdict {
            Verdict::Take { cause, .. } if self.retry_take_ms > self.now.mono_ms => Verdict::Wait {
                waiting: Waiting::OwnTakeover(cause),
                until_ms: Some(self.retry_take_ms),
            },
            verdict @ (Verdict::Take { .. } | Verdict::Wait { .. }) => verdict,
        }
    }

    /// Nobody ever held a term: the primary at once, the backup after the cold-start wait.
    fn verdict_first_start(&self) -> Verdict {
        let Some(path) = self.path_of_first_start() else {
            return wait(Waiting::FirstLook);
        };
        let take = Verdict::Take {
            path,
            cause: Cause::FirstStart,
            gap_from_ms: None,
        };
        match self.config.side {
            Side::Primary => take,
            Side::Backup => self.no_sooner(self.cold_start_ms(), Side::Primary, take),
        }
    }

    /// A person said that the old holder is dead: the side they named at once, the other one only if
    /// that one does not come.
    fn verdict_forced(&self, side: Side) -> Verdict {
        let timers = self.config.timers;
        let until_ms = self.newest.seen_ms + timers.lost_after_ms + timers.cold_start_ms;
        if side != self.config.side && self.now.mono_ms < until_ms {
            return Verdict::Wait {
                waiting: Waiting::Forced { side },
                until_ms: Some(until_ms),
            };
        }
        Verdict::Take {
            path: TakerPath::Proof,
            cause: Cause::Forced,
            gap_from_ms: None,
        }
    }

    /// Rule 3, on a record that names a holder: by proof that its term is over, (b), or as a member
    /// after its silence, (a).
    fn verdict_on(&mut self, record: &Record, holder: &Holder) -> Verdict {
        let own = self.config.side;
        if let Some(stopped) = record.stopped
            && stopped != own
            && own != Side::Primary
        {
            return wait(Waiting::StoppedSide(stopped));
        }
        if self.replicates() {
            return self.verdict_on_stores(record, holder);
        }
        if holder.inc == self.config.inc {
            return self.verdict_on_own_term(holder, TakerPath::Proof);
        }
        if let Some(verdict) = self.verdict_on_resigned(record, holder) {
            return verdict;
        }
        if let Some(verdict) = self.verdict_on_ended(record, holder) {
            return verdict;
        }
        match (
            self.verdict_on_lock(record, holder),
            self.silence_until(record, holder),
        ) {
            (take @ Verdict::Take { .. }, _) | (take, None) => take,
            (Verdict::Wait { .. }, Some(until_ms)) if self.now.mono_ms >= until_ms => {
                Verdict::Take {
                    path: TakerPath::Member,
                    cause: self.cause(record, holder, Cause::ActiveSilent),
                    // Its lock may be held to this day; its last word is what counts.
                    gap_from_ms: record
                        .term()
                        .and_then(|term| self.contact.holder_heard_ms(term)),
                }
            }
            (Verdict::Wait { waiting, until_ms }, Some(silent_ms)) => {
                let timers = self.config.timers;
                let silence_ms = timers.lost_after_ms + timers.grace_ms;
                let by_lock = matches!(waiting, Waiting::HolderEnds { .. });
                let by_silence_alone = matches!(
                    waiting,
                    Waiting::BrokenLocks | Waiting::AbsentTermFile | Waiting::UnprovenLock
                );
                let holder = holder.side;
                let waiting = if by_lock {
                    Waiting::HolderLost { holder, silence_ms }
                } else if by_silence_alone {
                    Waiting::HolderSilent { holder, silence_ms }
                } else {
                    waiting
                };
                Verdict::Wait {
                    waiting,
                    until_ms: Some(until_ms.map_or(silent_ms, |ms| ms.min(silent_ms))),
                }
            }
        }
    }

    /// The holder itself has said that its term is over: that is proof. If it handed over and stays,
    /// it is the new holder's member from the first moment.
    fn verdict_on_resigned(&self, record: &Record, holder: &Holder) -> Option<Verdict> {
        let since_ms = self.contact.resigned_ms(record.term()?)?;
        let is_free = matches!(self.evidence.holding(), Holding::Free { .. });
        if self.config.lock == LockPolicy::Storage && !is_free {
            return None;
        }
        let wanted = record
            .wanted_now()
            .is_some_and(|wanted| wanted.to == self.config.side);
        let stays = self
            .contact
            .is_live(holder.inc, self.now.mono_ms, &self.config.timers);
        let path = if wanted && stays && self.is_member(record) {
            TakerPath::Member
        } else {
            TakerPath::Proof
        };
        Some(Verdict::Take {
            path,
            cause: self.cause(record, holder, Cause::ProcessEnded),
            gap_from_ms: Some(since_ms),
        })
    }

    /// The holder's process has ended, by the word of its supervisor: that is proof, as its free lock would be.
    fn verdict_on_ended(&self, record: &Record, holder: &Holder) -> Option<Verdict> {
        if !self.contact.has_ended(holder.inc) {
            return None;
        }
        let is_free = matches!(self.evidence.holding(), Holding::Free { .. });
        if self.config.lock == LockPolicy::Storage && !is_free {
            return None;
        }
        let take = Verdict::Take {
            path: TakerPath::Proof,
            cause: self.cause(record, holder, Cause::ProcessEnded),
            gap_from_ms: self.gap_from_ms(record, holder),
        };
        let is_first = holder.side == self.config.side || self.evidence.met_active;
        Some(if is_first {
            take
        } else {
            self.no_sooner(self.cold_start_ms(), holder.side, take)
        })
    }

    /// Whether this very process is in `in_sync`; a predecessor's membership is none of its own.
    pub(super) fn is_member(&self, record: &Record) -> bool {
        if self.breaks(BrokenRule::MembershipBySide) {
            let side = self.config.side;
            return record.in_sync.iter().any(|member| member.side == side);
        }
        if self.replicates() {
            let own = self.own_store_member();
            return own.is_some_and(|own| record.in_sync.contains(&own));
        }
        let own = Member::process(self.config.side, self.config.inc);
        record.in_sync.contains(&own)
    }

    /// Path (a): when this side may take over on silence, if it may at all. It may once every promise
    /// it ever gave has run out and nothing was heard of the active for long enough.
    fn silence_until(&self, record: &Record, holder: &Holder) -> Option<u64> {
        let timers = self.config.timers;
        let may_take = self.is_member(record) || self.breaks(BrokenRule::TakesThoughNoMember);
        if holder.side == self.config.side || !may_take {
            return None;
        }
        if self.config.lock == LockPolicy::Storage {
            return None;
        }
        let heard_ms = record
            .term()
            .and_then(|term| self.contact.holder_heard_ms(term))
            .unwrap_or(0)
            .max(self.newest.seen_ms);
        if self.breaks(BrokenRule::TakesWithoutWaiting) {
            return Some(heard_ms + 2 * timers.beat_ms);
        }
        let silent_ms = heard_ms + timers.lost_after_ms + timers.grace_ms;
        // Strictly after the end of the last promise.
        Some(silent_ms.max(self.contact.grant_end_ms() + 1))
    }

    /// Path (b) by the lock of the holder's term file.
    fn verdict_on_lock(&mut self, record: &Record, holder: &Holder) -> Verdict {
        let own = self.config.side;
        if self.breaks(BrokenRule::ClosedLinkIsDeath)
            && self.contact.peer() != Some(holder.inc)
            && record
                .term()
                .is_some_and(|term| self.contact.holder_heard_ms(term).is_some())
        {
            return Verdict::Take {
                path: TakerPath::Proof,
                cause: self.cause(record, holder, Cause::ProcessEnded),
                gap_from_ms: None,
            };
        }
        let is_broken = record.locks == Some(Locks::Broken) || self.evidence.is_broken();
        let since_ms = match self.evidence.holding() {
            Holding::Unknown => return wait(Waiting::FirstLook),
            // That it is refused today does not make a free one a proof tomorrow.
            Holding::Alive if is_broken => return wait(Waiting::BrokenLocks),
            Holding::Alive => {
                return wait(Waiting::HolderEnds {
                    holder: holder.side,
                });
            }
            Holding::Absent => {
                if self.evidence.notice_once()
                    && let Some(term) = record.term()
                {
                    self.notice(Notice::TermFileAbsent { term });
                }
                return wait(Waiting::AbsentTermFile);
            }
            Holding::Free { .. } if is_broken => {
                if self.evidence.notice_broken_once() {
                    self.notice(Notice::LocksBroken);
                }
                return wait(Waiting::BrokenLocks);
            }
            Holding::Free { since_ms } => since_ms,
        };
        if self.evidence.self_test.is_none() {
            return wait(Waiting::FirstLook);
        }
        if self.evidence.was_replaced_alive && !self.locks_work(record, holder) {
            return wait(Waiting::BrokenLocks);
        }
        if let Some(until_ms) = self.unproven_until(record, holder, since_ms) {
            return Verdict::Wait {
                waiting: Waiting::UnprovenLock,
                until_ms: Some(until_ms),
            };
        }
        let cause = self.cause(record, holder, Cause::ProcessEnded);
        let take = Verdict::Take {
            path: TakerPath::Proof,
            cause,
            gap_from_ms: self.gap_from_ms(record, holder),
        };
        if holder.side != own && !self.evidence.met_active {
            return self.no_sooner(self.cold_start_ms(), holder.side, take);
        }
        take
    }

    /// Since when nobody serves: when the old holder began its last work, or else when it was last
    /// seen alive. The first is told by another machine's clock, so it is believed only where it can
    /// be true.
    pub(super) fn gap_from_ms(&self, record: &Record, holder: &Holder) -> Option<u64> {
        let peer = self.peer.as_ref().filter(|peer| peer.inc == holder.inc);
        let draining = peer
            .and_then(|peer| peer.draining)
            .filter(|draining| draining.epoch == record.epoch);
        let ago_ms = draining
            .and_then(|draining| self.now.unix_ms.checked_sub(draining.since_unix_ms))
            .filter(|ago_ms| *ago_ms <= MAX_DRAIN_MS);
        let drained_ms = ago_ms.map(|ago_ms| self.now.mono_ms.saturating_sub(ago_ms));
        let heard_ms = record
            .term()
            .and_then(|term| self.contact.holder_heard_ms(term));
        let seen_ms = self.evidence.last_alive_ms().max(heard_ms);
        drained_ms.into_iter().chain(seen_ms).min()
    }

    /// The recorded holder is this very process, which ended that term itself: no lock is needed.
    /// After a handover the other side goes first.
    pub(super) fn verdict_on_own_term(&self, holder: &Holder, path: TakerPath) -> Verdict {
        let take = |gap_from_ms| Verdict::Take {
            path,
            cause: Cause::TakenBack,
            gap_from_ms,
        };
        match self.unused_handover() {
            Some(let_go) if self.now.mono_ms < let_go.until_ms => Verdict::Wait {
                waiting: Waiting::OtherTakes {
                    side: holder.side.other(),
                },
                until_ms: Some(let_go.until_ms),
            },
            Some(let_go) => take(Some(let_go.since_ms)),
            None => take(None),
        }
    }

    /// Until when a free lock of unknown worth proves nothing; nothing if it does.
    fn unproven_until(&mut self, record: &Record, holder: &Holder, since_ms: u64) -> Option<u64> {
        if self.locks_work(record, holder) {
            return None;
        }
        let timers = self.config.timers;
        let wait_ms = timers.lost_after_ms + timers.promise_ms.max(record.promise_ms);
        if self.evidence.notice_once()
            && let Some(term) = record.term()
        {
            self.notice(Notice::LocksUnproven { term, wait_ms });
        }
        Some(since_ms + wait_ms).filter(|until_ms| self.now.mono_ms < *until_ms)
    }

    /// Whether a free lock of this holder proves its end.
    fn locks_work(&self, record: &Record, holder: &Holder) -> bool {
        self.breaks(BrokenRule::TrustsAnyLock)
            || self
                .evidence
                .locks_work(record, holder, self.config.boot_id.as_deref())
    }

    /// End of the cold-start wait, which runs from the start of the process.
    pub(super) fn cold_start_ms(&self) -> u64 {
        let timers = self.config.timers;
        self.started_ms + timers.lost_after_ms + timers.cold_start_ms
    }

    pub(super) fn no_sooner(&self, until_ms: u64, first: Side, then: Verdict) -> Verdict {
        if self.now.mono_ms < until_ms {
            return Verdict::Wait {
                waiting: Waiting::ColdStart { first },
                until_ms: Some(until_ms),
            };
        }
        then
    }

    /// Why this side would replace another process.
    pub(super) fn cause(&self, record: &Record, holder: &Holder, otherwise: Cause) -> Cause {
        let wanted = record
            .wanted_now()
            .is_some_and(|wanted| wanted.to == self.config.side);
        let said_goodbye = self.peer.as_ref().is_some_and(|peer| {
            peer.leaving && peer.inc == holder.inc && holder.side != self.config.side
        });
        match self.config.side {
            Side::Primary if wanted => Cause::Failback,
            Side::Backup if wanted => Cause::Switchover,
            Side::Primary | Side::Backup if !self.evidence.met_active => Cause::ColdStart,
            Side::Primary | Side::Backup if said_goodbye => Cause::Shutdown,
            Side::Primary | Side::Backup => otherwise,
        }
    }
}
