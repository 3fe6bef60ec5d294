//! The account of every message of the demo, and of the pauses its clients saw.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pauses shorter than this are pacing and noise.
const MIN_PAUSE_MS: u64 = 10;
/// Pauses kept; far more than transitions, and a bound for a machine that is slow all the time.
const MAX_PAUSES: usize = 100_000;
/// How far a transition's moment may lie beside the pause it caused: clocks are read at both ends.
const SLACK_MS: u64 = 20;

/// The ledger that sender, receiver and report share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Ledger>>);

impl Shared {
    /// The ledger, for a moment.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened to each message, by its number.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: Vec<Fate>,
    /// Sends whose outcome was unknown and that were repeated.
    repeated: u64,
    acknowledgements: Pauses,
    arrivals: Pauses,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    acknowledged: bool,
    arrivals: u32,
}

/// The sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Numbers given to the sender.
    pub(crate) sent: u64,
    /// Confirmed by a broker.
    pub(crate) acknowledged: u64,
    /// Different messages that arrived.
    pub(crate) received: u64,
    /// Confirmed and never arrived.
    pub(crate) lost: u64,
    /// Arrivals beyond the first of each message.
    pub(crate) duplicated: u64,
    /// Sends that were repeated because a broker died with the answer.
    pub(crate) repeated: u64,
}

/// Moments of something that happens all the time, kept as the pauses in between.
#[derive(Debug, Default)]
struct Pauses {
    last_ms: Option<u64>,
    list: Vec<(u64, u64)>,
}

impl Ledger {
    /// The number of the next message.
    pub(crate) fn begin(&mut self) -> u64 {
        self.messages.push(Fate::default());
        self.messages.len() as u64 - 1
    }

    /// A broker has confirmed it.
    pub(crate) fn acknowledged(&mut self, number: u64, at_ms: u64) {
        if let Some(fate) = self.fate(number) {
            fate.acknowledged = true;
        }
        self.acknowledgements.mark(at_ms);
    }

    /// Its outcome was unknown: it is sent again.
    pub(crate) fn repeats(&mut self) {
        self.repeated += 1;
    }

    /// It arrived.
    pub(crate) fn arrived(&mut self, number: u64, at_ms: u64) {
        if let Some(fate) = self.fate(number) {
            fate.arrivals = fate.arrivals.saturating_add(1);
        }
        self.arrivals.mark(at_ms);
    }

    /// The sums so far.
    pub(crate) fn account(&self) -> Account {
        let mut account = Account {
            repeated: self.repeated,
            ..Account::default()
        };
        for fate in &self.messages {
            account.sent += 1;
            account.acknowledged += u64::from(fate.acknowledged);
            account.received += u64::from(fate.arrivals > 0);
            account.lost += u64::from(fate.acknowledged && fate.arrivals == 0);
            account.duplicated += u64::from(fate.arrivals.saturating_sub(1));
        }
        account
    }

    /// The numbers of lost messages, the first few.
    pub(crate) fn lost_numbers(&self, at_most: usize) -> Vec<u64> {
        let numbered = (0u64..).zip(&self.messages);
        let lost = numbered.filter(|(_, fate)| fate.acknowledged && fate.arrivals == 0);
        lost.map(|(number, _)| number).take(at_most).collect()
    }

    /// The sender's and the receiver's pause around a moment; 0 if it was too short to notice.
    pub(crate) fn pauses_around(&self, at_ms: u64) -> (u64, u64) {
        (
            self.acknowledgements.around(at_ms),
            self.arrivals.around(at_ms),
        )
    }

    fn fate(&mut self, number: u64) -> Option<&mut Fate> {
        usize::try_from(number)
            .ok()
            .and_then(|index| self.messages.get_mut(index))
    }
}

impl Pauses {
    fn mark(&mut self, at_ms: u64) {
        if let Some(last_ms) = self.last_ms.replace(at_ms)
            && at_ms.saturating_sub(last_ms) >= MIN_PAUSE_MS
            && self.list.len() < MAX_PAUSES
        {
            self.list.push((last_ms, at_ms));
        }
    }

    fn around(&self, at_ms: u64) -> u64 {
        let around = self.list.iter().filter(|(from, to)| {
            *from <= at_ms.saturating_add(SLACK_MS) && to.saturating_add(SLACK_MS) >= at_ms
        });
        around.map(|(from, to)| to - from).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_accounted_for() {
        let mut ledger = Ledger::default();
        for _ in 0..5 {
            ledger.begin();
        }
        // 0 is fine, 1 came twice, 2 is lost, 3 arrived though its outcome is unknown, 4 is open.
        for number in [0, 1, 2] {
            ledger.acknowledged(number, 0);
        }
        ledger.repeats();
        for number in [0, 1, 1, 3] {
            ledger.arrived(number, 0);
        }
        ledger.arrived(99, 0);
        let expected = Account {
            sent: 5,
            acknowledged: 3,
            received: 3,
            lost: 1,
            duplicated: 1,
            repeated: 1,
        };
        assert_eq!(ledger.account(), expected);
        assert_eq!(ledger.lost_numbers(3), [2]);
    }

    #[test]
    fn the_pause_around_a_transition_is_found() {
        let mut ledger = Ledger::default();
        ledger.begin();
        for at_ms in [100, 105, 115, 300, 305, 340] {
            ledger.acknowledged(0, at_ms);
        }
        assert_eq!(ledger.pauses_around(200), (185, 0));
        assert_eq!(ledger.pauses_around(320), (185, 0), "within the slack");
        assert_eq!(ledger.pauses_around(330), (35, 0));
        assert_eq!(ledger.pauses_around(1_000), (0, 0));
    }
}
