//! The times of the protocol: two settings, and constants that follow from them or stand alone.
//!
//! Changing a setting never shortens a promise already given: a process waits for the larger of its
//! own and the record's.

/// The times one side works with, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// How often a sign of life is sent; setting `detection.heartbeat`.
    pub beat_ms: u64,
    /// How often the record is read while nothing hints at a change of it: every `beat` where changes are
    /// found by looking, seldom where a watch tells of them (A6).
    pub look_ms: u64,
    /// Silence until a side counts as lost; setting `detection.timeout`.
    pub lost_after_ms: u64,
    /// The longest promise of this side; follows `detection.timeout`.
    pub promise_ms: u64,
    /// How much earlier than its end the holder stops to count on a promise: it covers clocks that run
    /// apart by 2 % and a beat's delay.
    pub margin_ms: u64,
    /// Head start of a living active before a member takes over on silence.
    pub grace_ms: u64,
    /// How long before a promise ends its member is removed, so that a holder need not stop for it.
    pub remove_lead_ms: u64,
    /// How long a holder that is not sure of its term keeps its clients waiting.
    pub hold_close_ms: u64,
    /// First wait before a removed side is admitted again; doubles when it repeats.
    pub readmit_ms: u64,
    /// The longest such wait.
    pub readmit_max_ms: u64,
    /// A side that was a member for so long begins with the first wait again.
    pub readmit_forget_ms: u64,
    /// What a side that was not the holder waits beyond `lost_after` at a cold start.
    pub cold_start_ms: u64,
    /// How often a standby tests the holder's lock while it has just lost sight of it.
    pub probe_ms: u64,
    /// For how long it does so; then it tests every `beat`.
    pub probe_burst_ms: u64,
    /// How often it does so while it hears the holder.
    pub probe_heard_ms: u64,
    /// How long a side that handed over leaves the term to the other.
    pub handover_ms: u64,
    /// How long a request to hand over waits after the other side did not take.
    pub unused_handover_ms: u64,
    /// A term that ends within this time after it was handed over ended soon.
    pub quick_end_ms: u64,
    /// First wait before a returned primary asks again after a handover it did not use; doubles.
    pub ask_again_ms: u64,
    /// The longest such wait.
    pub ask_again_max_ms: u64,
    /// First wait before something that failed (arbiter, ports, term file) is tried again; doubles.
    pub retry_ms: u64,
    /// The longest such wait.
    pub retry_max_ms: u64,
    /// The longest a requested stop waits for the arbiter.
    pub stop_ms: u64,
}

/// A heartbeat below this would be noise of the scheduler; above `MAX_TIMEOUT_MS` nothing is an
/// outage any more.
const MIN_BEAT_MS: u64 = 10;
const MAX_TIMEOUT_MS: u64 = 600_000;

/// How often a watched record is read all the same: a standby may only say that it would take over while it
/// knows that the arbiter answers, and a watch can be silent for another reason than that nothing happens.
const WATCHED_LOOK_MS: u64 = 5_000;

impl Default for Timers {
    fn default() -> Self {
        Self {
            beat_ms: 250,
            look_ms: 250,
            lost_after_ms: 2_000,
            promise_ms: 2_000,
            margin_ms: 200,
            grace_ms: 500,
            remove_lead_ms: 500,
            hold_close_ms: 3_000,
            readmit_ms: 1_000,
            readmit_max_ms: 60_000,
            readmit_forget_ms: 600_000,
            cold_start_ms: 3_000,
            probe_ms: 20,
            probe_burst_ms: 1_000,
            probe_heard_ms: 1_000,
            handover_ms: 2_000,
            unused_handover_ms: 5_000,
            quick_end_ms: 60_000,
            ask_again_ms: 10_000,
            ask_again_max_ms: 60_000,
            retry_ms: 50,
            retry_max_ms: 1_000,
            stop_ms: 5_000,
        }
    }
}

impl Timers {
    /// The same where a watch tells of changes of the record.
    #[must_use]
    pub fn watched(self) -> Self {
        Self {
            look_ms: WATCHED_LOOK_MS.max(self.beat_ms),
            ..self
        }
    }

    /// The times that follow from the two settings.
    pub fn new(heartbeat_ms: u64, timeout_ms: u64) -> Result<Self, BadTimers> {
        if heartbeat_ms < MIN_BEAT_MS {
            return Err(BadTimers::BeatTooShort {
                beat_ms: heartbeat_ms,
            });
        }
        if timeout_ms > MAX_TIMEOUT_MS {
            return Err(BadTimers::TimeoutTooLong { timeout_ms });
        }
        // Below four beats a single late one would count as a lost side.
        let least_ms = heartbeat_ms.saturating_mul(4);
        if timeout_ms < least_ms {
            return Err(BadTimers::TimeoutTooShort {
                timeout_ms,
                beat_ms: heartbeat_ms,
                least_ms,
            });
        }
        Ok(Self {
            beat_ms: heartbeat_ms,
            look_ms: heartbeat_ms,
            lost_after_ms: timeout_ms,
            promise_ms: timeout_ms,
            // At least what two clocks that run 2 % wrong need, and a beat's delay.
            margin_ms: (timeout_ms / 10).max(timeout_ms / 25 + heartbeat_ms / 4),
            remove_lead_ms: (2 * heartbeat_ms).min(timeout_ms / 4),
            probe_heard_ms: (timeout_ms / 2).min(1_000),
            ..Self::default()
        })
    }
}

/// Settings of times that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTimers {
    /// The heartbeat is too short.
    #[error("detection.heartbeat={beat_ms}ms is too short: use {MIN_BEAT_MS}ms or more")]
    BeatTooShort {
        /// The setting.
        beat_ms: u64,
    },
    /// The timeout is too short for the heartbeat.
    #[error(
        "detection.timeout={timeout_ms}ms is too short for detection.heartbeat={beat_ms}ms: \
         use {least_ms}ms or more (four heartbeats), or a shorter heartbeat"
    )]
    TimeoutTooShort {
        /// The setting.
        timeout_ms: u64,
        /// The heartbeat it must be four times of.
        beat_ms: u64,
        /// The least timeout with this heartbeat.
        least_ms: u64,
    },
    /// The timeout is too long.
    #[error("detection.timeout={timeout_ms}ms is too long: use {MAX_TIMEOUT_MS}ms or less")]
    TimeoutTooLong {
        /// The setting.
        timeout_ms: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_keep_their_relations() {
        assert_eq!(Timers::new(250, 2_000), Ok(Timers::default()));
        let longer = Timers::new(500, 4_000).unwrap();
        assert_eq!(
            (longer.beat_ms, longer.lost_after_ms, longer.promise_ms),
            (500, 4_000, 4_000)
        );
        for (beat, timeout, text) in [
            (
                9,
                2_000,
                "detection.heartbeat=9ms is too short: use 10ms or more",
            ),
            (
                600,
                2_000,
                "detection.timeout=2000ms is too short for detection.heartbeat=600ms: \
                 use 2400ms or more (four heartbeats), or a shorter heartbeat",
            ),
            (
                250,
                700_000,
                "detection.timeout=700000ms is too long: use 600000ms or less",
            ),
        ] {
            assert_eq!(Timers::new(beat, timeout).unwrap_err().to_string(), text);
        }
    }
}
