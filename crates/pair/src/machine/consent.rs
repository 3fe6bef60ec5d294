//! Promises of the other side's processes, and whose consent an acknowledgement needs.
//!
//! A promise counts from the moment it was asked for, on this process' clock, less a margin for
//! clocks that run apart; never from the moment it arrived (rule 3). It counts only for the process
//! that gave it and only in the term it was given to.

use std::collections::BTreeMap;

use crate::{Grant, Incarnation, Term, Timers};

/// Processes whose promises are kept: the connected one, one that was before it, and room for one
/// that comes meanwhile. More come only from restarts, which replace each other.
const MAX_PROMISES: usize = 4;

/// The consent that this holder's acknowledgements need beyond its own fence mark.
#[derive(Clone, Debug, Default)]
pub(super) struct Consent {
    promises: BTreeMap<Incarnation, u64>,
    /// A process that is being admitted: in the gate, and maybe in the record (rule 9).
    pub(super) admitting: Option<Incarnation>,
    /// Entries of the own log that are on disk, with a clear mark read after that.
    synced: u64,
    /// What was let out last: entries, and until when what depends on none may leave.
    released: (u64, u64),
    /// Since when the gate does not pass.
    pub(super) holding_ms: Option<u64>,
    /// Since when the started term waits for its gate.
    pub(super) gating_ms: Option<u64>,
    /// Number of the last question whether a member still follows, and when it was sent.
    pub(super) still: Option<(u64, u64)>,
}

impl Consent {
    /// Takes a promise given to this term.
    pub(super) fn granted(&mut self, own: Term, grant: &Grant, now_ms: u64, timers: &Timers) {
        // Its own question cannot lie in the future; a number that does would be worth for ever.
        if grant.term != own || grant.asked_ms > now_ms {
            return;
        }
        // A promise for longer than this side would ask for is not believed.
        let length_ms = grant.promise_ms.min(timers.promise_ms);
        let until_ms = (grant.asked_ms + length_ms).saturating_sub(timers.margin_ms);
        let is_new = !self.promises.contains_key(&grant.grantor);
        if is_new && self.promises.len() >= MAX_PROMISES {
            self.promises.retain(|_, until_ms| *until_ms > now_ms);
        }
        if is_new && self.promises.len() >= MAX_PROMISES {
            return;
        }
        let known_ms = self.promises.entry(grant.grantor).or_default();
        *known_ms = until_ms.max(*known_ms);
    }

    /// Until when this process has promised not to take over; 0 if it never did.
    pub(super) fn promised_until(&self, inc: Incarnation) -> u64 {
        self.promises.get(&inc).copied().unwrap_or(0)
    }

    /// The promise that lasts longest, whoever gave it: of a broken rule.
    pub(super) fn newest_promise(&self) -> u64 {
        self.promises.values().copied().max().unwrap_or(0)
    }

    /// So many entries are on disk, and the own mark was clear after that.
    pub(super) fn synced(&mut self, up_to: u64) {
        self.synced = self.synced.max(up_to);
    }

    /// Entries of the own log that are on disk.
    pub(super) fn head(&self) -> u64 {
        self.synced
    }

    /// The gate passes until then: what is to be let out, if that is more than before.
    pub(super) fn pass(&mut self, until_ms: u64) -> Option<(u64, u64)> {
        let next = (self.synced, until_ms);
        (std::mem::replace(&mut self.released, next) != next).then_some(next)
    }

    /// Others have confirmed up to there, and what depends on no entry may leave until then: what is to
    /// be let out, if that changed. What was let out stays.
    pub(super) fn pass_up_to(&mut self, up_to: u64, until_ms: u64) -> Option<(u64, u64)> {
        let up_to = self.synced.min(up_to).max(self.released.0);
        let next = (up_to, until_ms);
        (std::mem::replace(&mut self.released, next) != next).then_some(next)
    }

    /// The gate does not pass: what was let out stays, nothing fresh leaves.
    pub(super) fn hold(&mut self) -> Option<(u64, u64)> {
        let next = (self.released.0, 0);
        (std::mem::replace(&mut self.released, next) != next).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 10_000;

    fn term(epoch: u64) -> Term {
        let inc = Incarnation([1; 16]);
        Term { epoch, inc }
    }

    fn grant(grantor: u8, asked_ms: u64, promise_ms: u64) -> Grant {
        Grant {
            asked_ms,
            term: term(5),
            grantor: Incarnation([grantor; 16]),
            promise_ms,
        }
    }

    /// Until when process 2 has promised, after these promises.
    fn until_after(grants: &[Grant]) -> u64 {
        let mut consent = Consent::default();
        for grant in grants {
            consent.granted(term(5), grant, NOW_MS, &Timers::default());
        }
        consent.promised_until(Incarnation([2; 16]))
    }

    #[test]
    fn a_promise_counts_from_its_asking_less_the_margin() {
        assert_eq!(until_after(&[grant(2, 9_000, 2_000)]), 10_800);
        // An older answer that comes later takes nothing away.
        let late = [grant(2, 9_500, 2_000), grant(2, 9_000, 2_000)];
        assert_eq!(until_after(&late), 11_300);
    }

    #[test]
    fn a_promise_to_another_term_or_to_a_question_not_yet_asked_counts_nothing() {
        let foreign = Grant {
            term: term(4),
            ..grant(2, 9_000, 2_000)
        };
        assert_eq!(until_after(&[foreign]), 0);
        assert_eq!(until_after(&[grant(2, NOW_MS + 1, 2_000)]), 0);
        assert_eq!(until_after(&[grant(3, 9_000, 2_000)]), 0);
    }

    #[test]
    fn a_promise_is_worth_no_more_than_was_asked_for_and_no_more_than_it_says() {
        assert_eq!(until_after(&[grant(2, 9_000, 60_000)]), 10_800);
        assert_eq!(until_after(&[grant(2, 9_000, 1_000)]), 9_800);
    }

    #[test]
    fn four_promises_are_kept_and_a_fifth_takes_the_place_of_one_that_ended() {
        let mut consent = Consent::default();
        let timers = Timers::default();
        let mut take = |grantor, asked_ms, now_ms| {
            consent.granted(term(5), &grant(grantor, asked_ms, 2_000), now_ms, &timers);
            consent.promised_until(Incarnation([grantor; 16]))
        };
        for grantor in 2..=5 {
            assert_eq!(take(grantor, 9_000, NOW_MS), 10_800);
        }
        assert_eq!(take(6, 9_000, NOW_MS), 0, "there is no room");
        assert_eq!(take(2, 10_700, 10_700), 12_500, "who is known has room");
        assert_eq!(take(6, 10_900, 10_900), 12_700, "the others have ended");
    }
}
