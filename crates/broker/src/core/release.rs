//! Holds back what may not leave yet.
//!
//! Rule 8: every answer and delivery passes the same gate as an acknowledgement. The engine says on which
//! record an effect depends; the pair's state machine says up to which record the gate is open. Effects of one
//! session leave in their order, and no session waits for another's.

use std::collections::{BTreeMap, VecDeque};

use engine::{Effect, SessionKey};

/// How far the pair's gate is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gate {
    /// Offset of the newest entry that may be acknowledged.
    pub offset: u64,
    /// Nothing leaves after this, on the clock of the pair's state machine; `u64::MAX` where no other side has a
    /// say. It makes a process that hung hold its tongue before the state machine has even looked at the clock.
    pub fresh_until_ms: u64,
}

impl Gate {
    /// Whether effects may leave at this time.
    pub(crate) fn is_fresh(self) -> bool {
        self.fresh_until_ms == u64::MAX || crate::ha::now().mono_ms < self.fresh_until_ms
    }
}

/// Effects that wait for their record to become safe, or for a side that is sure of its term.
#[derive(Debug, Default)]
pub(crate) struct HeldBack {
    /// Number of records that are safe.
    released: u64,
    waiting: BTreeMap<SessionKey, VecDeque<(u64, Effect)>>,
}

impl HeldBack {
    /// Hands `effect` to `deliver` if it may leave now, keeps it otherwise; nothing may while the gate is not
    /// fresh.
    pub(crate) fn offer(
        &mut self,
        effect: Effect,
        is_fresh: bool,
        deliver: &mut impl FnMut(SessionKey, Effect),
    ) {
        let Some((session, after)) = address_of(&effect) else {
            return;
        };
        match self.waiting.get_mut(&session) {
            Some(queue) => queue.push_back((after, effect)),
            None if is_fresh && after <= self.released => deliver(session, effect),
            None => {
                self.waiting
                    .insert(session, VecDeque::from([(after, effect)]));
            }
        }
    }

    /// Opens the gate up to `records` and hands out everything that waited for it. Never closes it. The caller has
    /// seen that it is fresh.
    pub(crate) fn release(&mut self, records: u64, deliver: &mut impl FnMut(SessionKey, Effect)) {
        self.released = self.released.max(records);
        let released = self.released;
        self.waiting.retain(|session, queue| {
            while queue.front().is_some_and(|(after, _)| *after <= released) {
                if let Some((_, effect)) = queue.pop_front() {
                    deliver(*session, effect);
                }
            }
            !queue.is_empty()
        });
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets what waits for a session that is gone.
    pub(crate) fn forget(&mut self, session: SessionKey) {
        self.waiting.remove(&session);
    }
}

/// Whom an effect is for and the record it depends on; `None` for what does not leave the process.
pub(super) fn address_of(effect: &Effect) -> Option<(SessionKey, u64)> {
    match effect {
        Effect::Reply { session, after, .. }
        | Effect::Deliver { session, after, .. }
        | Effect::ForcedDelivery { session, after, .. }
        | Effect::ConsumerClosed { session, after, .. }
        | Effect::ProducerCredits { session, after, .. }
        | Effect::ManagementRequest { session, after, .. } => Some((*session, *after)),
        Effect::Notice(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Reply;

    fn reply(session: u64, token: u64, after: u64) -> Effect {
        Effect::Reply {
            session: SessionKey(session),
            token,
            result: Ok(Reply::Done),
            after,
        }
    }

    fn tokens(out: &[(SessionKey, Effect)]) -> Vec<u64> {
        out.iter()
            .filter_map(|(_, effect)| {
                if let Effect::Reply { token, .. } = effect {
                    Some(*token)
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn an_effect_waits_for_its_record_and_those_behind_it_for_the_effect() {
        let mut held = HeldBack::default();
        let mut out = Vec::new();
        let mut deliver = |session, effect| out.push((session, effect));
        held.offer(reply(1, 10, 2), true, &mut deliver);
        held.offer(reply(1, 11, 0), true, &mut deliver);
        held.offer(reply(2, 20, 0), true, &mut deliver);
        held.release(1, &mut deliver);
        held.release(2, &mut deliver);
        held.offer(reply(1, 12, 2), true, &mut deliver);
        assert_eq!(tokens(&out), [20, 10, 11, 12]);
    }

    #[test]
    fn an_older_release_does_not_close_the_gate() {
        let mut held = HeldBack::default();
        let mut out = Vec::new();
        let mut deliver = |session, effect| out.push((session, effect));
        held.release(5, &mut deliver);
        held.release(3, &mut deliver);
        held.offer(reply(1, 1, 5), true, &mut deliver);
        assert_eq!(tokens(&out), [1]);
    }

    #[test]
    fn nothing_leaves_while_the_gate_is_not_fresh_and_all_of_it_in_order_after_that() {
        let mut held = HeldBack::default();
        let mut out = Vec::new();
        let mut deliver = |session, effect| out.push((session, effect));
        held.release(5, &mut deliver);
        held.offer(reply(1, 1, 0), false, &mut deliver);
        held.offer(reply(1, 2, 5), true, &mut deliver);
        assert!(!held.is_empty());
        held.release(5, &mut deliver);
        held.offer(reply(1, 3, 0), true, &mut deliver);
        assert!(held.is_empty());
        assert_eq!(tokens(&out), [1, 2, 3]);
    }

    #[test]
    fn a_process_that_hung_does_not_answer_before_it_has_looked_at_the_clock() {
        let now_ms = crate::ha::now().mono_ms;
        let gate = |fresh_until_ms| Gate {
            offset: 1,
            fresh_until_ms,
        };
        assert!(gate(u64::MAX).is_fresh());
        assert!(gate(now_ms + 60_000).is_fresh());
        assert!(!gate(now_ms).is_fresh());
        assert!(!Gate::default().is_fresh());
    }

    #[test]
    fn a_forgotten_session_gets_nothing() {
        let mut held = HeldBack::default();
        let mut out = Vec::new();
        let mut deliver = |session, effect| out.push((session, effect));
        held.offer(reply(1, 1, 5), true, &mut deliver);
        held.forget(SessionKey(1));
        held.release(9, &mut deliver);
        assert!(out.is_empty());
    }
}
