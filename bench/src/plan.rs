//! Which measurements there are, and how long and how often each is done.

use crate::order::{Kind, Load, Order, Time};

/// The names of the groups, in the order in which they are measured.
pub(crate) const GROUPS: [&str; 9] = [
    "disk",
    "start",
    "idle",
    "gap",
    "send",
    "receive",
    "transacted",
    "topic",
    "gap-backlog",
];

/// What a group of measurements needs before the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Whatever there is.
    Nothing,
    /// A new pair.
    NewPair { backlog: u32 },
    /// A pair that has carried a load for some time, so that the code of a Java broker is compiled.
    WarmPair,
}

/// Whether more of it is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
    /// A count of what must not be: summed over all runs.
    Zero,
    /// A count that is told, and not judged: summed over all runs.
    Told,
}

/// One value of a measurement, as a row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    /// Its name in what a worker answers.
    pub(crate) key: &'static str,
    /// What the row says after the measurement's name.
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    /// What the measured value is multiplied by to have that unit.
    pub(crate) factor: f64,
    pub(crate) better: Better,
}

const fn metric(
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    factor: f64,
    better: Better,
) -> Metric {
    Metric {
        key,
        title,
        unit,
        factor,
        better,
    }
}

const START: &[Metric] = &[
    metric(
        "accepted_ms",
        "first connection accepted",
        "ms",
        1.0,
        Better::Less,
    ),
    metric("session_ms", "first session open", "ms", 1.0, Better::Less),
];
const PAIR_START: &[Metric] = &[metric(
    "session_ms",
    "first session open",
    "ms",
    1.0,
    Better::Less,
)];
const IDLE: &[Metric] = &[
    metric("active_mib", "the active", "MiB", 1.0, Better::Less),
    metric("standby_mib", "the standby", "MiB", 1.0, Better::Less),
];
const GAP: &[Metric] = &[
    metric(
        "kill_gap_ms",
        "client gap at kill -9",
        "ms",
        1.0,
        Better::Less,
    ),
    metric(
        "failback_gap_ms",
        "client gap at failback",
        "ms",
        1.0,
        Better::Less,
    ),
    metric(
        "failback_s",
        "restart to failed back",
        "s",
        1.0,
        Better::Less,
    ),
    metric("acknowledged", "acknowledged (sum)", "", 1.0, Better::Told),
    metric("lost", "lost (sum)", "", 1.0, Better::Zero),
    metric("duplicates", "duplicated (sum)", "", 1.0, Better::Zero),
];
const SENDS: &[Metric] = &[
    metric("per_second", "messages", "/s", 1.0, Better::More),
    metric("send_p50_us", "send p50", "ms", 1e-3, Better::Less),
    metric("send_p99_us", "send p99", "ms", 1e-3, Better::Less),
    metric("lost", "lost (sum)", "", 1.0, Better::Zero),
];
const RECEIVES: &[Metric] = &[
    metric("per_second", "messages", "/s", 1.0, Better::More),
    metric("send_p99_us", "send p99", "ms", 1e-3, Better::Less),
    metric(
        "delivery_p50_us",
        "send to receive p50",
        "ms",
        1e-3,
        Better::Less,
    ),
    metric(
        "delivery_p99_us",
        "send to receive p99",
        "ms",
        1e-3,
        Better::Less,
    ),
    metric("lost", "lost (sum)", "", 1.0, Better::Zero),
];
const RUST_RECEIVES: &[Metric] = &[
    metric("per_second", "messages", "/s", 1.0, Better::More),
    metric("send_p99_us", "send p99", "ms", 1e-3, Better::Less),
    metric("lost", "lost (sum)", "", 1.0, Better::Zero),
];
const BATCHES: &[Metric] = &[
    metric("per_second", "messages", "/s", 1.0, Better::More),
    metric("send_p50_us", "batch p50", "ms", 1e-3, Better::Less),
    metric("send_p99_us", "batch p99", "ms", 1e-3, Better::Less),
    metric("lost", "lost (sum)", "", 1.0, Better::Zero),
];
const TOPIC: &[Metric] = &[
    metric("per_second", "deliveries", "/s", 1.0, Better::More),
    metric(
        "delivery_p50_us",
        "send to receive p50",
        "ms",
        1e-3,
        Better::Less,
    ),
    metric(
        "delivery_p99_us",
        "send to receive p99",
        "ms",
        1e-3,
        Better::Less,
    ),
];

/// One measurement, done alternately for both products.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    pub(crate) group: &'static str,
    pub(crate) title: String,
    pub(crate) before: Before,
    pub(crate) order: Order,
    /// How often, for each product.
    pub(crate) runs: u32,
    /// About how long one run of one product takes, in seconds: so that the end comes in time.
    pub(crate) estimate_s: u32,
    pub(crate) metrics: &'static [Metric],
}

/// Bytes that the disk is measured with, and what they stand for.
pub(crate) const DISK: [(u32, &str); 4] = [
    (100, "100 B: one message, one producer"),
    (1_024, "1 KiB: one message, one producer"),
    (
        16 * 1_024,
        "16 KiB: 16 producers' messages of 1 KiB in one write",
    ),
    (1_024 * 1_024, "1 MiB: one message"),
];

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) quick: bool,
    /// How often each measurement is done, if somebody said so.
    pub(crate) runs: Option<u32>,
}

impl Depth {
    /// How long a load is measured.
    pub(crate) fn time(self) -> Time {
        if self.quick {
            Time {
                warm_ms: 1_000,
                measured_ms: 2_000,
            }
        } else {
            Time {
                warm_ms: 3_000,
                measured_ms: 10_000,
            }
        }
    }

    /// How often each measurement is done for each product.
    pub(crate) fn runs(self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// How long the whole program may take, in seconds.
    pub(crate) fn limit_s(self) -> u32 {
        if self.quick {
            300 * self.runs()
        } else {
            1_200 * self.runs()
        }
    }

    /// What a pair carries before loads are measured.
    pub(crate) fn warm_up(self) -> Load {
        Load {
            kind: Kind::Receive,
            clients: 16,
            size: 1_024,
            time: Time {
                warm_ms: 0,
                measured_ms: if self.quick { 5_000 } else { 20_000 },
            },
        }
    }

    /// How long each size is written to the disk, in seconds.
    pub(crate) fn disk_s(self) -> u32 {
        if self.quick { 1 } else { 5 }
    }

    /// Everything but the disk.
    pub(crate) fn measurements(self) -> Vec<Measurement> {
        let mut all = vec![
            Measurement {
                group: "start",
                title: "start of a broker on an empty store".to_owned(),
                before: Before::Nothing,
                order: Order::Start,
                runs: self.runs(),
                estimate_s: 6,
                metrics: START,
            },
            Measurement {
                group: "idle",
                title: "memory 10 s after the start of a pair".to_owned(),
                before: Before::NewPair { backlog: 0 },
                order: Order::Idle,
                runs: 1,
                estimate_s: 8,
                metrics: IDLE,
            },
            Measurement {
                group: "start",
                title: "both sides of a pair killed and started at once".to_owned(),
                before: Before::Nothing,
                order: Order::PairStart,
                runs: self.runs(),
                estimate_s: 7,
                metrics: PAIR_START,
            },
        ];
        all.extend(self.gaps("gap", 0));
        all.extend(self.loads());
        if !self.quick {
            all.extend(self.gaps("gap-backlog", 1_000_000));
        }
        all
    }

    fn gaps(self, group: &'static str, backlog: u32) -> impl Iterator<Item = Measurement> {
        [(100, true), (1_000, false)]
            .into_iter()
            .map(move |(retry_interval_ms, first)| {
                let queued = if backlog == 0 {
                    String::new()
                } else {
                    format!(", {backlog} messages queued")
                };
                Measurement {
                    group,
                    title: format!("failover, retryInterval={retry_interval_ms}{queued}"),
                    before: if backlog > 0 && first {
                        Before::NewPair { backlog }
                    } else {
                        Before::Nothing
                    },
                    order: Order::Gap { retry_interval_ms },
                    runs: self.runs(),
                    estimate_s: 22,
                    metrics: GAP,
                }
            })
    }

    fn loads(self) -> Vec<Measurement> {
        let time = self.time();
        let mut all = Vec::new();
        let mut add = |group, title: String, order, metrics| {
            all.push(Measurement {
                group,
                title,
                before: Before::WarmPair,
                order,
                runs: self.runs(),
                estimate_s: 3 + (time.warm_ms + time.measured_ms) / 1_000,
                metrics,
            });
        };
        let load = |kind, clients, size| Load {
            kind,
            clients,
            size,
            time,
        };
        let sizes = [(100, "100 B"), (1_024, "1 KiB"), (1_024 * 1_024, "1 MiB")];
        for (size, called) in sizes {
            for clients in [1, 16] {
                let title = format!("durable sends, {}, {called}", producers(clients));
                let order = Order::Load(load(Kind::Send, clients, size));
                add("send", title, order, SENDS);
            }
        }
        for clients in [1, 16] {
            let title = format!("durable sends, {}, 1 KiB, Rust client", producers(clients));
            let order = Order::RustLoad(load(Kind::Send, clients, 1_024));
            add("send", title, order, SENDS);
        }
        for clients in [1, 16] {
            let title = format!(
                "durable sends and receives, {} and as many consumers, 1 KiB",
                producers(clients)
            );
            let order = Order::Load(load(Kind::Receive, clients, 1_024));
            add("receive", title, order, RECEIVES);
        }
        let title =
            "durable sends and receives, 16 producers and as many consumers, 1 KiB, Rust client";
        let order = Order::RustLoad(load(Kind::Receive, 16, 1_024));
        add("receive", title.to_owned(), order, RUST_RECEIVES);
        for clients in [1, 16] {
            let title = format!("transactions of 100 sends, {}, 1 KiB", producers(clients));
            let order = Order::Load(load(Kind::Transacted, clients, 1_024));
            add("transacted", title, order, BATCHES);
        }
        let order = Order::Topic {
            subscribers: 100,
            size: 1_024,
            time,
        };
        let title = "topic, 1 producer, 100 subscribers, 1 KiB durable";
        add("topic", title.to_owned(), order, TOPIC);
        all
    }
}

fn producers(count: u32) -> String {
    if count == 1 {
        "1 producer".to_owned()
    } else {
        format!("{count} producers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_belongs_to_a_group_that_can_be_named() {
        for quick in [true, false] {
            for measurement in (Depth { quick, runs: None }).measurements() {
                assert!(GROUPS.contains(&measurement.group), "{measurement:?}");
            }
        }
    }

    #[test]
    fn a_quick_run_fits_into_its_limit() {
        let depth = Depth {
            quick: true,
            runs: None,
        };
        let both: u32 = depth
            .measurements()
            .iter()
            .map(|measurement| 2 * measurement.runs * measurement.estimate_s)
            .sum();
        assert!(both < depth.limit_s(), "about {both} s");
    }
}
