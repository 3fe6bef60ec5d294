//! What the controller counts, for `/metrics`: its own work, and how each pair stands.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::api::status::{BrokerPairStatus, SideName, StandbyState};

/// A pair.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PairLabels {
    namespace: String,
    pair: String,
}

/// A pair's side.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SideLabels {
    namespace: String,
    pair: String,
    side: SideLabel,
}

/// Why a reconciliation failed, in one word.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabels {
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
#[expect(
    non_camel_case_types,
    reason = "the values of the label as they are written"
)]
enum SideLabel {
    primary,
    backup,
}

/// The handles; made once.
pub(crate) struct Metrics {
    registry: Registry,
    reconciles: Counter,
    errors: Family<ErrorLabels, Counter>,
    seconds: Histogram,
    leads: Gauge,
    pairs: Gauge,
    active: Family<SideLabels, Gauge>,
    in_sync: Family<PairLabels, Gauge>,
    standby_ready: Family<PairLabels, Gauge>,
    epoch: Family<PairLabels, Gauge<i64, AtomicI64>>,
    transitions: Family<PairLabels, Gauge<i64, AtomicI64>>,
    gap: Family<PairLabels, Gauge<f64, AtomicU64>>,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tandem");
        let metrics = Self {
            reconciles: Counter::default(),
            errors: Family::default(),
            // 1 ms to 16 s.
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            leads: Gauge::default(),
            pairs: Gauge::default(),
            active: Family::default(),
            in_sync: Family::default(),
            standby_ready: Family::default(),
            epoch: Family::default(),
            transitions: Family::default(),
            gap: Family::default(),
            registry: Registry::default(),
        };
        registry.register("reconciles", "Pairs looked at", metrics.reconciles.clone());
        registry.register(
            "reconcile_errors",
            "Looks at a pair that ended early, by reason",
            metrics.errors.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Time of a look at a pair",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register(
            "controller_leads",
            "Whether this controller is the one that works",
            metrics.leads.clone(),
        );
        registry.register("pairs", "Pairs that are known", metrics.pairs.clone());
        registry.register(
            "pair_active",
            "1 for the side that is known to serve",
            metrics.active.clone(),
        );
        registry.register(
            "pair_in_sync",
            "Whether the standby takes over whatever happens to the active; absent while that is not known",
            metrics.in_sync.clone(),
        );
        registry.register(
            "pair_standby_ready",
            "Whether the standby takes over when the active's process ends",
            metrics.standby_ready.clone(),
        );
        registry.register(
            "pair_epoch",
            "Number of the current term",
            metrics.epoch.clone(),
        );
        registry.register(
            "pair_transitions",
            "Changes of the active since the pair was made",
            metrics.transitions.clone(),
        );
        registry.register_with_unit(
            "pair_last_gap",
            "How long nobody served at the last change of the active",
            Unit::Seconds,
            metrics.gap.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }

    /// A look at a pair ended; `failed` is its error's word.
    pub(crate) fn looked(&self, took: Duration, failed: Option<&'static str>) {
        self.reconciles.inc();
        self.seconds.observe(took.as_secs_f64());
        if let Some(reason) = failed {
            self.errors.get_or_create(&ErrorLabels { reason }).inc();
        }
    }

    /// Whether this controller works, and how many pairs it knows.
    pub(crate) fn knows(&self, leads: bool, pairs: usize) {
        self.leads.set(i64::from(leads));
        self.pairs.set(i64::try_from(pairs).unwrap_or(i64::MAX));
    }

    /// How a pair stands. What is not known has no value.
    pub(crate) fn stands(
        &self,
        namespace: &str,
        name: &str,
        status: &BrokerPairStatus,
        transitions: Option<u64>,
    ) {
        let pair = PairLabels {
            namespace: namespace.to_owned(),
            pair: name.to_owned(),
        };
        let active = status.active.as_ref().map(|active| active.side);
        for (side, label) in [
            (SideName::Primary, SideLabel::primary),
            (SideName::Backup, SideLabel::backup),
        ] {
            let labels = SideLabels {
                namespace: pair.namespace.clone(),
                pair: pair.pair.clone(),
                side: label,
            };
            let serves = i64::from(active == Some(side));
            self.active.get_or_create(&labels).set(serves);
        }
        let standby = status.standby.as_ref();
        set(
            &self.in_sync,
            &pair,
            standby.and_then(|standby| standby.in_sync).map(i64::from),
        );
        let is_ready = standby.map(|standby| i64::from(standby.state == StandbyState::Ready));
        set(&self.standby_ready, &pair, is_ready);
        set(
            &self.epoch,
            &pair,
            status.active.as_ref().map(|active| active.epoch),
        );
        let transitions = transitions.and_then(|count| i64::try_from(count).ok());
        set(&self.transitions, &pair, transitions);
    }

    /// The last gap of a pair, once it is known.
    pub(crate) fn gap(&self, namespace: &str, name: &str, gap_ms: Option<u64>) {
        let pair = PairLabels {
            namespace: namespace.to_owned(),
            pair: name.to_owned(),
        };
        match gap_ms {
            Some(ms) => {
                let seconds = Duration::from_millis(ms).as_secs_f64();
                self.gap.get_or_create(&pair).set(seconds);
            }
            None => {
                self.gap.remove(&pair);
            }
        }
    }

    /// A pair is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        let pair = PairLabels {
            namespace: namespace.to_owned(),
            pair: name.to_owned(),
        };
        for side in [SideLabel::primary, SideLabel::backup] {
            self.active.remove(&SideLabels {
                namespace: pair.namespace.clone(),
                pair: pair.pair.clone(),
                side,
            });
        }
        self.in_sync.remove(&pair);
        self.standby_ready.remove(&pair);
        self.epoch.remove(&pair);
        self.transitions.remove(&pair);
        self.gap.remove(&pair);
    }

    /// The page.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn set(family: &Family<PairLabels, Gauge<i64, AtomicI64>>, pair: &PairLabels, value: Option<i64>) {
    match value {
        Some(value) => {
            family.get_or_create(pair).set(value);
        }
        None => {
            family.remove(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{ActiveStatus, StandbyStatus};

    #[test]
    fn what_is_not_known_has_no_value() {
        let metrics = Metrics::new();
        let known = BrokerPairStatus {
            active: Some(ActiveStatus {
                side: SideName::Backup,
                pod: None,
                since: None,
                epoch: 4,
            }),
            standby: Some(StandbyStatus {
                side: SideName::Primary,
                pod: None,
                state: StandbyState::Ready,
                in_sync: Some(true),
            }),
            ..BrokerPairStatus::default()
        };
        metrics.stands("shop", "orders", &known, Some(3));
        metrics.gap("shop", "orders", Some(38));
        let text = metrics.text().unwrap();
        for line in [
            r#"tandem_pair_active{namespace="shop",pair="orders",side="backup"} 1"#,
            r#"tandem_pair_active{namespace="shop",pair="orders",side="primary"} 0"#,
            r#"tandem_pair_in_sync{namespace="shop",pair="orders"} 1"#,
            r#"tandem_pair_transitions{namespace="shop",pair="orders"} 3"#,
            r#"tandem_pair_last_gap_seconds{namespace="shop",pair="orders"} 0.038"#,
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        metrics.stands("shop", "orders", &BrokerPairStatus::default(), None);
        let text = metrics.text().unwrap();
        assert!(!text.contains("tandem_pair_in_sync{"), "{text}");
        assert!(!text.contains("tandem_pair_epoch{"), "{text}");
        metrics.forget("shop", "orders");
        assert!(!metrics.text().unwrap().contains("orders"));
    }

    #[test]
    fn work_is_counted() {
        let metrics = Metrics::new();
        metrics.looked(Duration::from_millis(3), None);
        metrics.looked(Duration::from_millis(3), Some("api"));
        metrics.knows(true, 2);
        let text = metrics.text().unwrap();
        for line in [
            "tandem_reconciles_total 2",
            r#"tandem_reconcile_errors_total{reason="api"} 1"#,
            "tandem_reconcile_duration_seconds_count 2",
            "tandem_controller_leads 1",
            "tandem_pairs 2",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }
}
