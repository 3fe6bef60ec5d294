//! What a run has found: written by a batch, one JSON value per line, kept in a file, added up by the report.

use serde::{Deserialize, Serialize};

use super::load::Account;
use super::schedule::Fault;
use super::sides::Side;
use crate::broker::Product;

/// One fault, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Played {
    /// Its place in the list of its seed, from 1.
    pub(crate) index: u32,
    /// When it happened, for a look into the logs.
    pub(crate) at: String,
    /// What was done.
    pub(crate) fault: Fault,
    /// Who served before.
    pub(crate) active_before: Side,
    /// Who serves when the pair is whole again; nobody, or two, if it never was.
    pub(crate) active_after: Option<Side>,
    /// The epoch after it, where the product has one.
    pub(crate) epoch: Option<u64>,
    /// Longest time without any sign of service: no producer was told that something is stored, no question of the sampler answered.
    pub(crate) service_gap_ms: f64,
    /// Longest time in which no producer was told anything.
    pub(crate) silence_ms: f64,
    /// Longest time between two acknowledgements of one producer: the worst producer.
    pub(crate) client_gap_max_ms: f64,
    /// The same: the producer in the middle.
    pub(crate) client_gap_median_ms: f64,
    /// From the fault to the last step that undid it.
    pub(crate) undone_ms: f64,
    /// From that step until the pair was whole; nothing if it was not within its time.
    pub(crate) whole_ms: Option<f64>,
    /// Producers that did not go on after that within their time.
    pub(crate) behind: u32,
    /// Two that answered sessions at once.
    pub(crate) two_actives: Moments,
    /// Two whose pages said at once that they serve.
    pub(crate) two_pages: Moments,
    /// Processes of the whole machine that ran or waited in the last minute: above its processors, times say little.
    pub(crate) load_average: f64,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
}

/// A proven time, and how often it was proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub(crate) count: u64,
    pub(crate) ms: f64,
}

/// The end of a batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// What became of every message; nothing if that could not be found out.
    pub(crate) account: Option<Account>,
    /// How long the load ran.
    pub(crate) seconds: f64,
    /// From the start of the load to its end, not only around faults.
    pub(crate) two_actives: Moments,
    /// The same of the pages.
    pub(crate) two_pages: Moments,
    /// Why the next fault could not be played, if that ended the batch.
    pub(crate) unplayed: Option<String>,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
}

/// What a batch tells while it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Line {
    /// A fault is over.
    Played(Box<Played>),
    /// The batch is over.
    Ended(Box<Ended>),
}

/// A batch: one pair, several faults, one account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) faults: Vec<Played>,
    /// Nothing if it broke off.
    pub(crate) ended: Option<Ended>,
}

/// A run, as it is in its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) product: Product,
    pub(crate) seed: u64,
    pub(crate) began: String,
    pub(crate) machine: String,
    pub(crate) batches: Vec<Batch>,
}

impl Batch {
    /// What must never be, whoever's broker it is.
    pub(crate) fn wrongs(&self) -> Vec<String> {
        let mut wrongs = Vec::new();
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                wrongs.push(format!("{count} {what}"));
            }
        };
        if let Some(ended) = &self.ended {
            note(ended.two_actives.count, "moments with two actives");
            note(
                ended.two_pages.count,
                "moments in which both pages said that they serve",
            );
            if let Some(account) = &ended.account {
                note(account.lost, "messages acknowledged and never received");
                note(account.torn, "transactions that arrived in part");
                note(
                    account.abandoned_arrived,
                    "messages received whose commit nobody asked for",
                );
                note(account.damaged, "messages with another body than was sent");
            }
        }
        let without_account = self
            .ended
            .as_ref()
            .is_none_or(|ended| ended.account.is_none());
        if without_account {
            wrongs.push("no account of the messages".to_owned());
        }
        wrongs
    }

    /// What is bad for whoever uses the pair, and an outcome like others where it is not ours.
    pub(crate) fn failures(&self) -> Vec<String> {
        let unplayed = self.ended.as_ref().and_then(|ended| ended.unplayed.clone());
        let mut failures: Vec<String> = unplayed.into_iter().collect();
        for fault in &self.faults {
            let which = format!("fault {} ({})", fault.index, fault.fault.kind);
            if fault.whole_ms.is_none() {
                failures.push(format!("the pair was not whole again after {which}"));
            }
            if fault.behind > 0 {
                failures.push(format!(
                    "{} producers did not go on after {which}",
                    fault.behind
                ));
            }
        }
        failures
    }
}
