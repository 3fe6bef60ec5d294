//! Counting received packets for `PACKETS_CONFIRMED`.
//!
//! A request counts when it is completed, which for an answered one is just before its answer is
//! written. Confirmations are a count, so a request is counted only after all before it are: otherwise
//! the client would take an earlier, unfinished send for done.

use std::collections::VecDeque;

/// The receiving half of a session's confirmation window.
#[derive(Debug)]
pub(super) struct Confirmation {
    window_bytes: usize,
    /// Received and not counted yet, oldest first; as many as the broker has requests in work.
    uncounted: VecDeque<Received>,
    counted: i32,
    unconfirmed_bytes: usize,
    unconfirmed: bool,
}

#[derive(Debug)]
struct Received {
    bytes: usize,
    state: State,
    /// Some requests are answered and yet not counted.
    counts: bool,
}

#[derive(Debug, PartialEq)]
enum State {
    InWork,
    Done,
}

impl Confirmation {
    /// None for the window that says "never".
    pub(super) fn new(window: i32) -> Option<Self> {
        Some(Self {
            window_bytes: usize::try_from(window).ok()?,
            uncounted: VecDeque::new(),
            counted: 0,
            unconfirmed_bytes: 0,
            unconfirmed: false,
        })
    }

    /// A request came in. One that is not answered is done by being handed on.
    pub(super) fn received(&mut self, bytes: usize, answered: bool, counts: bool) {
        let state = if answered { State::InWork } else { State::Done };
        self.uncounted.push_back(Received {
            bytes,
            state,
            counts,
        });
        self.advance();
    }

    /// The oldest request in work is being answered; one that failed is never counted.
    pub(super) fn answered(&mut self, failed: bool) {
        if let Some(oldest) = self
            .uncounted
            .iter_mut()
            .find(|one| one.state == State::InWork)
        {
            oldest.state = State::Done;
            oldest.counts &= !failed;
        }
        self.advance();
    }

    /// Whether the window is full.
    pub(super) fn is_due(&self) -> bool {
        self.unconfirmed && self.unconfirmed_bytes >= self.window_bytes
    }

    /// Whether anything was counted since the last confirmation.
    pub(super) fn is_open(&self) -> bool {
        self.unconfirmed
    }

    /// The command id to confirm, if there is anything new.
    pub(super) fn take(&mut self) -> Option<i32> {
        if !self.unconfirmed {
            return None;
        }
        self.unconfirmed = false;
        self.unconfirmed_bytes = 0;
        Some(self.counted.wrapping_sub(1))
    }

    fn advance(&mut self) {
        while let Some(front) = self
            .uncounted
            .pop_front_if(|front| front.state == State::Done)
        {
            if front.counts {
                self.counted = self.counted.wrapping_add(1);
                self.unconfirmed_bytes = self.unconfirmed_bytes.saturating_add(front.bytes);
                self.unconfirmed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_minus_one_confirms_nothing() {
        assert!(Confirmation::new(-1).is_none());
    }

    #[test]
    fn a_request_in_work_holds_back_what_came_after_it() {
        let mut confirmation = Confirmation::new(100).unwrap();
        confirmation.received(60, true, true);
        confirmation.received(60, false, true);
        assert!(!confirmation.is_open());
        confirmation.answered(false);
        assert!(confirmation.is_due());
        assert_eq!(confirmation.take(), Some(1));
        assert_eq!(confirmation.take(), None);
        assert!(!confirmation.is_due());
    }

    #[test]
    fn a_failed_request_and_one_that_does_not_count_are_passed_over() {
        let mut confirmation = Confirmation::new(100).unwrap();
        confirmation.received(60, true, true);
        confirmation.received(60, true, false);
        confirmation.received(60, true, true);
        confirmation.answered(true);
        confirmation.answered(false);
        assert!(!confirmation.is_open());
        confirmation.answered(false);
        assert_eq!(confirmation.take(), Some(0));
    }
}
