//! When two brokers served at once, from the moments at which each answered. Pure.
//!
//! An answer proves that its broker served at some moment between question and answer. One answer of each side, however close to
//! each other, proves nothing: the role may have moved in between. Proof of two actives is an answer of one side, then one of the
//! other, then again one of the first: asked for only after the one before had come, and all within [`WINDOW_US`], in which no
//! role moves there and back again.

/// Three answers are one moment of two actives if they all lie within this time.
pub(crate) const WINDOW_US: u64 = 200_000;
/// An answer that took longer tells nothing about a moment: a frozen broker may have had the question all the time.
pub(crate) const FRESH_US: u64 = 100_000;

/// One question that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) asked_us: u64,
    pub(crate) answered_us: u64,
}

impl Answer {
    /// Whether it came soon enough to tell of a moment.
    pub(crate) fn is_fresh(self) -> bool {
        self.answered_us.saturating_sub(self.asked_us) <= FRESH_US
    }
}

/// Proven time of two actives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// Answers of one side between two of the other.
    pub(crate) moments: u64,
    /// The time between the two answers around such a moment, each instant counted once.
    pub(crate) total_us: u64,
}

/// Looks at the answers of both sides, each in order of time.
pub(crate) fn overlap(one: &[Answer], other: &[Answer]) -> Overlap {
    let mut spans = Vec::new();
    let moments = between(one, other, &mut spans) + between(other, one, &mut spans);
    spans.sort_unstable();
    let mut total_us = 0;
    let mut covered_to = 0;
    for (begin, end) in spans {
        total_us += end.saturating_sub(covered_to.max(begin));
        covered_to = covered_to.max(end);
    }
    Overlap { moments, total_us }
}

/// Counts the answers of `inner` that lie between two of `outer`, and notes the time between those two.
fn between(outer: &[Answer], inner: &[Answer], spans: &mut Vec<(u64, u64)>) -> u64 {
    let outer: Vec<Answer> = outer.iter().copied().filter(|a| a.is_fresh()).collect();
    let inner: Vec<Answer> = inner.iter().copied().filter(|a| a.is_fresh()).collect();
    let mut moments = 0;
    for pair in outer.windows(2) {
        let [before, after] = pair else { continue };
        if after.answered_us.saturating_sub(before.asked_us) > WINDOW_US {
            continue;
        }
        let from = inner.partition_point(|answer| answer.asked_us < before.answered_us);
        let count = inner
            .iter()
            .skip(from)
            .take_while(|answer| answer.answered_us <= after.asked_us)
            .count();
        if count > 0 {
            moments += u64::try_from(count).unwrap_or(u64::MAX);
            spans.push((before.answered_us, after.asked_us));
        }
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Answer {
        Answer {
            asked_us: ms * 1_000,
            answered_us: ms * 1_000 + 500,
        }
    }

    fn all(ms: impl IntoIterator<Item = u64>) -> Vec<Answer> {
        ms.into_iter().map(at).collect()
    }

    #[test]
    fn a_role_that_moves_is_not_two_actives() {
        let old = all((0..100).step_by(20));
        let new = all((81..200).step_by(20));
        assert_eq!(overlap(&old, &new), Overlap::default());
        assert_eq!(overlap(&new, &old), Overlap::default());
    }

    #[test]
    fn one_answer_of_a_woken_broker_between_two_of_the_new_active_is() {
        let active = all([0, 20, 40, 60]);
        let woken = all([30]);
        let expected = Overlap {
            moments: 1,
            total_us: 19_500,
        };
        assert_eq!(overlap(&active, &woken), expected);
        assert_eq!(overlap(&woken, &active), expected);
    }

    #[test]
    fn an_answer_to_an_old_question_is_not() {
        let active = all((0..400).step_by(20));
        let woken = [Answer {
            asked_us: 5_000,
            answered_us: 330_000,
        }];
        assert_eq!(overlap(&active, &woken), Overlap::default());
    }

    #[test]
    fn a_role_that_moves_and_later_comes_back_is_not() {
        let primary = all([0, 20, 40, 1_000, 1_020]);
        let backup = all([200, 220, 240]);
        assert_eq!(overlap(&primary, &backup), Overlap::default());
    }

    #[test]
    fn two_that_serve_all_the_time_are_counted_once_for_each_instant() {
        let one = all((0..1_000).step_by(20));
        let other = all((10..1_000).step_by(20));
        let found = overlap(&one, &other);
        assert!(found.moments > 90, "{found:?}");
        assert!((950_000..=1_000_000).contains(&found.total_us), "{found:?}");
    }
}
