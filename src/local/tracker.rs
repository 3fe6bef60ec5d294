//! From what brokers say, one answer after the other, to what happened.
//!
//! Answers may skip roles that lasted shorter than a question takes; a person is told of the roles
//! that matter, once each. The service gap is known a moment after the takeover, when the new active
//! has written it down: the line waits for it, shortly.

use pair::{Cause, Side};
use status_client::{LastTransition, Page};

use super::event::{Event, What};
use crate::by_side::BySide;
use crate::policy::{Role, Timestamp};

/// How long the line of a takeover waits for its gap.
const GAP_WAIT_MS: u64 = 400;

/// What was told of each side so far.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    sides: BySide<Told>,
}

#[derive(Debug, Default)]
struct Told {
    role: Option<Role>,
    epoch: u64,
    /// A takeover whose gap is not known yet, and until when it may wait.
    pending: Option<(Event, Timestamp)>,
}

impl Tracker {
    /// A broker answered.
    pub(crate) fn heard(&mut self, side: Side, answer: &Page, now: Timestamp) -> Vec<Event> {
        let told = &mut self.sides[side];
        let Ok(role) = answer.role.parse::<Role>() else {
            return Vec::new();
        };
        let mut events = Vec::new();
        if let Some((mut event, until)) = told.pending.take() {
            let gap = answer.last.as_ref().and_then(|last| last.gap_ms);
            let same_term = told.epoch == answer.epoch;
            if let (Some(gap), true, What::Became { gap_ms, .. }) =
                (gap, same_term, &mut event.what)
            {
                *gap_ms = Some(gap);
                events.push(event);
            } else if same_term && role == Role::Serving {
                told.pending = Some((event, until));
            } else {
                events.push(event);
            }
        }
        let is_new = match role {
            Role::Serving => told.role != Some(Role::Serving) || told.epoch != answer.epoch,
            Role::Standby => {
                told.role != Some(Role::Standby) && (answer.settled || told.role.is_some())
            }
            Role::Starting
            | Role::Attempting
            | Role::Preparing
            | Role::Holding
            | Role::Handing
            | Role::Stopped => false,
        };
        if !is_new {
            return events;
        }
        let last = answer.last.as_ref().filter(|_| role == Role::Serving);
        let event = Event {
            // A standby is told when it has settled, which is later than its role began.
            at: match (role, answer.since_ms) {
                (Role::Serving, 1..) => Timestamp(answer.since_ms),
                _ => now,
            },
            what: What::Became {
                side,
                from: told.role,
                to: role,
                epoch: answer.epoch,
                cause: last.map(LastTransition::cause),
                gap_ms: last.and_then(|last| last.gap_ms),
            },
        };
        told.role = Some(role);
        told.epoch = answer.epoch;
        if last.is_some_and(|last| last.gap_ms.is_none() && has_gap(&last.cause())) {
            told.pending = Some((event, now.plus_ms(GAP_WAIT_MS)));
        } else {
            events.push(event);
        }
        events
    }

    /// A process ended: the next one begins with nothing.
    pub(crate) fn ended(&mut self, side: Side) -> Vec<Event> {
        let told = std::mem::take(&mut self.sides[side]);
        told.pending.into_iter().map(|(event, _)| event).collect()
    }

    /// Lines that have waited long enough.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<Event> {
        let sides = [&mut self.sides.primary, &mut self.sides.backup];
        let due = sides
            .into_iter()
            .filter_map(|told| told.pending.take_if(|(_, at)| *at <= now));
        due.map(|(event, _)| event).collect()
    }

    /// When the next line is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let sides = [&self.sides.primary, &self.sides.backup];
        sides
            .into_iter()
            .filter_map(|told| told.pending.as_ref().map(|(_, at)| *at))
            .min()
    }
}

/// Whether somebody served before, so that there was a gap to measure.
fn has_gap(cause: &Cause) -> bool {
    match cause {
        Cause::FirstStart | Cause::ColdStart => false,
        Cause::ProcessEnded
        | Cause::Shutdown
        | Cause::Failback
        | Cause::Switchover
        | Cause::TakenBack
        | Cause::ActiveSilent
        | Cause::RecordLost
        | Cause::Forced
        | Cause::Other(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(role: &str, epoch: u64, cause: &str, gap_ms: Option<u64>) -> Page {
        Page {
            role: role.to_owned(),
            settled: true,
            epoch,
            since_ms: 100,
            last: Some(LastTransition {
                cause: cause.to_owned(),
                at_ms: 90,
                gap_ms,
                by: None,
            }),
            ..Page::default()
        }
    }

    fn lines(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| event.what.to_string()).collect()
    }

    #[test]
    fn a_takeover_waits_for_its_gap_and_is_told_once() {
        let mut tracker = Tracker::default();
        let now = Timestamp(1_000);
        let hear =
            |tracker: &mut Tracker, answer: &Page| lines(&tracker.heard(Side::Backup, answer, now));
        assert_eq!(
            hear(&mut tracker, &answer("standby", 1, "first-start", None)),
            ["starting → standby"]
        );
        assert!(hear(&mut tracker, &answer("attempting", 1, "first-start", None)).is_empty());
        assert!(hear(&mut tracker, &answer("serving", 2, "process-ended", None)).is_empty());
        assert_eq!(tracker.next_due(), Some(Timestamp(1_400)));
        assert!(tracker.due(Timestamp(1_399)).is_empty());
        assert_eq!(
            hear(
                &mut tracker,
                &answer("serving", 2, "process-ended", Some(41))
            ),
            ["standby → active  epoch 2  (the primary's process ended; service gap 41 ms)"]
        );
        assert!(
            hear(
                &mut tracker,
                &answer("serving", 2, "process-ended", Some(41))
            )
            .is_empty()
        );
        assert_eq!(tracker.next_due(), None);
    }

    #[test]
    fn a_gap_that_never_comes_does_not_hide_the_takeover() {
        let mut tracker = Tracker::default();
        let serving = answer("serving", 2, "process-ended", None);
        assert!(
            tracker
                .heard(Side::Backup, &serving, Timestamp(1_000))
                .is_empty()
        );
        let expected = ["starting → active  epoch 2  (the primary's process ended)"];
        assert_eq!(lines(&tracker.due(Timestamp(1_400))), expected);
        assert!(
            tracker
                .heard(Side::Backup, &serving, Timestamp(1_500))
                .is_empty()
        );
        assert!(
            tracker
                .heard(Side::Primary, &serving, Timestamp(1_500))
                .is_empty()
        );
        let ended = tracker.ended(Side::Primary);
        assert_eq!(
            lines(&ended),
            ["starting → active  epoch 2  (the backup's process ended)"]
        );
    }

    #[test]
    fn a_first_start_has_no_gap_and_a_standby_is_told_when_it_is_one() {
        let mut tracker = Tracker::default();
        let first = answer("serving", 1, "first-start", None);
        assert_eq!(
            lines(&tracker.heard(Side::Primary, &first, Timestamp(0))),
            ["starting → active  epoch 1  (first start of the pair)"]
        );
        let mut standby = answer("standby", 1, "first-start", None);
        standby.settled = false;
        assert!(
            tracker
                .heard(Side::Backup, &standby, Timestamp(0))
                .is_empty()
        );
        standby.settled = true;
        assert_eq!(tracker.heard(Side::Backup, &standby, Timestamp(0)).len(), 1);
        // An active that hands over is a standby from that moment on.
        let handed = answer("standby", 2, "failback", Some(3));
        let expected = ["active → standby"];
        assert_eq!(
            lines(&tracker.heard(Side::Primary, &handed, Timestamp(0))),
            expected
        );
    }
}
