//! The writes of the record that the protocol allows, each a function from the record that was read.

use super::{Cause, FORMAT, Holder, Locks, Member, Record, Refused, Transition, Wanted, WriteId};
use crate::{Incarnation, Mode, Side, StoreId, Term};

/// Replaced terms that a record lists as not known to be fenced: a taker that dies before it serves
/// adds one, so a crash loop must not make the record longer than any reader takes.
///
/// Leaving out the oldest is safe. Each of the sixteen takers listed after it either marked it, as
/// its first step, or died before that; and the taker that leaves it out marks every lower term
/// whose file is in the store, listed or not. The list is there for the newest ones, whose files a
/// network disk may not show in a listing yet.
pub(super) const MAX_UNFENCED: usize = 16;

/// The longest `refused` reason that is written: it is shown on one line of a status.
pub(super) const MAX_REASON_CHARS: usize = 240;

/// What stands for the process of a side that a person forced, before that process takes the term.
const FORCED_ID: &str = "forced";

/// What a taker writes of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taker {
    /// The new holder.
    pub holder: Holder,
    /// By which right it takes over.
    pub path: TakerPath,
    /// Why it takes over.
    pub cause: Cause,
    /// Wall-clock time, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// Whether this process saw the replaced holder's lock refused while that one lived.
    pub saw_lock_refused: bool,
}

/// By which right a side takes over; it says who must consent to what the new holder acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakerPath {
    /// As a member, on silence or after a handover: `in_sync` stays. Were it `{self}`, a taker that
    /// dies during its takeover, or whose write lands after its death, would lock out a healthy side.
    Member,
    /// On proof that the replaced term is over, or where there is none: `in_sync` is the taker alone.
    Proof,
    /// Replication, where no member is left that could take over: at the first start, after a lost record, by a
    /// person's word. `in_sync` is this store of the taker alone.
    Store(StoreId),
}

impl Member {
    /// A process as a member, in a shared store.
    pub fn process(side: Side, inc: Incarnation) -> Self {
        Self {
            side,
            id: inc.to_string(),
        }
    }
}

impl Record {
    /// A takeover (rules 2 and 3): the next epoch, the taker as holder, the replaced term in
    /// `unfenced`; requests of the old term and a clean stop are over.
    #[must_use]
    pub fn takeover(&self, taker: Taker, wid: WriteId) -> Self {
        let Taker {
            holder,
            path,
            cause,
            at_unix_ms,
            saw_lock_refused,
        } = taker;
        let mut next = self.replaced(wid);
        match path {
            TakerPath::Member => {}
            TakerPath::Proof => next.in_sync = vec![Member::process(holder.side, holder.inc)],
            TakerPath::Store(store) => next.in_sync = vec![Member::store(holder.side, store)],
        }
        next.holder = Some(holder);
        let forced = self
            .last
            .as_ref()
            .filter(|last| cause == Cause::Forced && last.cause == Cause::Forced);
        next.last = Some(Transition {
            by: forced.and_then(|forced| forced.by.clone()),
            cause,
            at: at_unix_ms,
            gap_ms: None,
        });
        next.transitions = self.transitions + 1;
        if saw_lock_refused && next.locks.is_none() {
            next.locks = Some(Locks::Seen);
        }
        next
    }

    /// A person's word that the holder is dead and that this side shall take over. Nobody holds the
    /// new epoch; the side's process takes the next one, and marks the old holder's term before it
    /// reads anything.
    #[must_use]
    pub fn forced(&self, to: Side, by: &str, at_unix_ms: u64, wid: WriteId) -> Self {
        let mut next = self.replaced(wid);
        next.holder = None;
        next.in_sync = vec![Member {
            side: to,
            id: FORCED_ID.to_owned(),
        }];
        next.last = Some(Transition {
            cause: Cause::Forced,
            at: at_unix_ms,
            gap_ms: None,
            by: Some(by.chars().take(MAX_REASON_CHARS).collect()),
        });
        next
    }

    /// What a lost record is made from: nobody holds, at the highest epoch that anything has seen, and
    /// every term that the store shows counts as not known to be fenced (rule 7).
    #[must_use]
    pub fn rebuilt(&self, newest_epoch: u64, terms: &[Term]) -> Self {
        let newest = terms.len().saturating_sub(MAX_UNFENCED);
        Self {
            epoch: self.epoch.max(newest_epoch),
            holder: None,
            in_sync: Vec::new(),
            wanted: None,
            refused: None,
            stopped: None,
            unfenced: terms[newest..].to_vec(),
            ..self.clone()
        }
    }

    /// The side that a person has forced, until its process takes the term.
    pub fn forced_side(&self) -> Option<Side> {
        let member = self.in_sync.first()?;
        (self.holder.is_none() && member.id == FORCED_ID).then_some(member.side)
    }

    /// The next epoch, in which the current term is replaced.
    fn replaced(&self, wid: WriteId) -> Self {
        let mut next = self.written(wid);
        // A second term of one process may leave its first one unfenced only once. Two stores have no
        // marks: there `in_sync` alone keeps a replaced term from acknowledging anything.
        let fences = self.mode == Mode::SharedStore;
        let replaced = self.term().filter(|term| !self.unfenced.contains(term));
        if let Some(replaced) = replaced.filter(|_| fences) {
            next.unfenced.push(replaced);
        }
        let too_many = next.unfenced.len().saturating_sub(MAX_UNFENCED);
        next.unfenced.drain(..too_many);
        next.epoch = self.epoch + 1;
        next.wanted = None;
        next.refused = None;
        next.stopped = None;
        next
    }

    /// The holder counts one more process in: from here on it may take over by its promise, and the
    /// holder acknowledges nothing without that promise (rule 3).
    #[must_use]
    pub fn admitted(
        &self,
        member: Member,
        promise_ms: u64,
        locks: Option<Locks>,
        wid: WriteId,
    ) -> Self {
        let mut next = self.written(wid).with_locks_seen(locks);
        if !next.in_sync.contains(&member) {
            next.in_sync.push(member);
        }
        next.promise_ms = next.promise_ms.max(promise_ms);
        next
    }

    /// The holder counts a process out: it may not take over by its promise any more.
    #[must_use]
    pub fn removed(&self, member: &Member, wid: WriteId) -> Self {
        let mut next = self.written(wid);
        next.in_sync.retain(|it| it != member);
        next
    }

    /// The holder writes down what its standby has seen of the store's locks.
    #[must_use]
    pub fn locks_known(&self, locks: Locks, wid: WriteId) -> Self {
        self.written(wid).with_locks_seen(Some(locks))
    }

    /// Locks once known to be broken stay so: that they were refused now and then proves nothing.
    fn with_locks_seen(self, locks: Option<Locks>) -> Self {
        let locks = match (self.locks, locks) {
            (Some(Locks::Broken), _) | (_, Some(Locks::Broken)) => Some(Locks::Broken),
            (known, seen) => known.or(seen),
        };
        Self { locks, ..self }
    }

    /// A request for a switchover. It keeps `serial` and `wid`: who asks is no holder.
    #[must_use]
    pub fn with_wanted(&self, wanted: Wanted) -> Self {
        Self {
            wanted: Some(wanted),
            ..self.clone()
        }
    }

    /// The active's refusal of a request, which ends it.
    #[must_use]
    pub fn with_refused(&self, id: &str, reason: &str, wid: WriteId) -> Self {
        let mut next = self.written(wid);
        next.wanted = None;
        let reason = reason.chars().take(MAX_REASON_CHARS).collect();
        next.refused = Some(Refused {
            id: id.to_owned(),
            reason,
        });
        next
    }

    /// The holder's clean stop without a failover.
    #[must_use]
    pub fn with_stopped(&self, side: Side, wid: WriteId) -> Self {
        let mut next = self.written(wid);
        next.stopped = Some(side);
        next.wanted = None;
        next
    }

    /// The serving holder's one further write: every replaced term is fenced, the gap is known.
    #[must_use]
    pub fn fences_done(&self, gap_ms: Option<u64>, wid: WriteId) -> Self {
        let mut next = self.written(wid);
        next.unfenced.clear();
        if let Some(last) = &mut next.last {
            last.gap_ms = gap_ms;
        }
        next
    }

    /// The living holder's copy, written again after the record was lost or rolled back (rule 7).
    #[must_use]
    pub fn recreated(&self, wid: WriteId) -> Self {
        self.written(wid)
    }

    /// The holder's record, above a `serial` that its standby has seen in a record of the same term
    /// that is not in place any more (A4). It says what it said: what that other one said is undone.
    #[must_use]
    pub fn raised(&self, above: u64, wid: WriteId) -> Self {
        let mut next = self.written(wid);
        next.serial = next.serial.max(above.saturating_add(1));
        next
    }

    /// This record with the marks of one more write of a broker.
    fn written(&self, wid: WriteId) -> Self {
        Self {
            serial: self.serial + 1,
            wid: Some(wid),
            format: FORMAT,
            ..self.clone()
        }
    }
}
