//! The clock, and moments and spans as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

use crate::policy::Timestamp;

/// This moment.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `14:02:11.318`, in this machine's time zone.
pub(crate) fn clock(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(moment) => {
            let zoned = moment.to_zoned(TimeZone::system());
            format!("{}.{:03}", zoned.strftime("%H:%M:%S"), zoned.millisecond())
        }
        Err(_) => format!("{millis} ms"),
    }
}

/// `41 ms`, `2.5 s`, `3 min`, `5 h`, `2 d`: short, and never more exact than it matters.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// The same for something that goes on: whole seconds, so that nothing flickers.
pub(crate) fn whole_span(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{} s", ms / 1_000),
        _ => span(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (3_600_000, "1 h"),
            (200_000_000, "2 d"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
