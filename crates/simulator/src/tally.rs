//! What happened in worlds, counted: a world in which hardly anything happens proves nothing.

use std::fmt;

use pair::{Cause, Notice};

use crate::plan::Fault;

/// Sums of one world, or of many.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Worlds.
    pub seeds: u64,
    /// Terms that served.
    pub terms_served: u64,
    /// Entries acknowledged.
    pub acknowledged: u64,
    /// Answers that depended on no entry.
    pub deliveries: u64,
    /// Writes of the record by the brokers.
    pub writes: u64,
    /// Segments that were retired.
    pub segments_retired: u64,
    /// Segments that were removed.
    pub segments_removed: u64,
    /// Failed fsyncs.
    pub sync_errors: u64,
    /// Takeovers by cause, in the order in which causes were met.
    pub takeovers: Vec<(Cause, u64)>,
    /// Faults by kind.
    pub faults: Vec<u64>,
}

impl Tally {
    pub(crate) fn note(&mut self, notice: &Notice) {
        if let Notice::TookOver { cause, .. } = notice {
            self.took_over(cause, 1);
        }
    }

    fn took_over(&mut self, cause: &Cause, times: u64) {
        match self.takeovers.iter_mut().find(|(it, _)| it == cause) {
            Some((_, count)) => *count += times,
            None => self.takeovers.push((cause.clone(), times)),
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.resize(Fault::ALL.len(), 0);
        self.faults[fault as usize] += 1;
    }

    /// Adds other worlds.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.terms_served += other.terms_served;
        self.acknowledged += other.acknowledged;
        self.deliveries += other.deliveries;
        self.writes += other.writes;
        self.segments_retired += other.segments_retired;
        self.segments_removed += other.segments_removed;
        self.sync_errors += other.sync_errors;
        for (cause, times) in &other.takeovers {
            self.took_over(cause, *times);
        }
        self.faults.resize(Fault::ALL.len(), 0);
        for (sum, count) in self.faults.iter_mut().zip(&other.faults) {
            *sum += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seeds                {:>12}", self.seeds)?;
        writeln!(f, "terms served         {:>12}", self.terms_served)?;
        writeln!(f, "acknowledged entries {:>12}", self.acknowledged)?;
        writeln!(f, "deliveries           {:>12}", self.deliveries)?;
        writeln!(f, "writes of the record {:>12}", self.writes)?;
        writeln!(f, "segments retired     {:>12}", self.segments_retired)?;
        writeln!(f, "segments removed     {:>12}", self.segments_removed)?;
        writeln!(f, "takeovers by cause")?;
        let mut takeovers = self.takeovers.clone();
        takeovers.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        for (cause, times) in &takeovers {
            writeln!(f, "  {:<18} {times:>12}", cause.as_str())?;
        }
        writeln!(f, "faults by kind")?;
        for (fault, times) in Fault::ALL.iter().zip(&self.faults) {
            writeln!(f, "  {:<18} {times:>12}", fault.name())?;
        }
        writeln!(f, "  {:<18} {:>12}", "fsync error", self.sync_errors)
    }
}
