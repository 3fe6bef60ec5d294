//! The files of the model's logs: segments of a few entries, of which old ones are retired and removed.
//!
//! A segment is retired by an entry of a later one, which has everything that still counts of it. That
//! entry has to be found for as long as the newest seal names the segment: if its own segment is
//! retired, it moves along. Only the newest seal matters to anybody who may still serve.
//!
//! I6 is looked at here: a segment that the newest seal names, or that its term wrote since, is there or
//! is retired by an entry that is on disk. What can end that is a removal, a seal, or an entry that
//! retires another; after each of them the world looks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pair::Term;

use crate::options::Mutation;
use crate::store::Store;
use crate::world::{Effect, World};

/// Entries of one segment.
const SEGMENT_ENTRIES: u64 = 8;
/// Of so many entries one retires a segment: they go faster than they come.
const RETIRE_EVERY: u64 = 4;

/// A file of a term's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    term: Term,
    number: u64,
}

impl Segment {
    /// The segment of an entry; the first entry is 1.
    const fn of(term: Term, entry: u64) -> Self {
        let number = entry.saturating_sub(1) / SEGMENT_ENTRIES + 1;
        Self { term, number }
    }

    /// Its last entry.
    const fn last_entry(self) -> u64 {
        self.number * SEGMENT_ENTRIES
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "journal.{}.p{}.{}",
            self.term.epoch, self.term.inc.0[0], self.number
        )
    }
}

/// What became of the segments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    removed: BTreeSet<Segment>,
    /// Entries of each term's log that retire segments, ascending.
    retirements: BTreeMap<Term, Vec<(u64, Vec<Segment>)>>,
    /// What each seal names, oldest first.
    named: BTreeMap<Term, Vec<Segment>>,
}

/// What a reader finds of a sealed term and of what that one built on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// What counts, oldest first.
    pub(crate) counts: Vec<Segment>,
    /// What is retired and still there.
    pub(crate) left_over: Vec<Segment>,
    /// One that counts and is not there.
    pub(crate) missing: Option<Segment>,
}

impl Segments {
    /// An entry says that segments are retired.
    fn retire(&mut self, term: Term, entry: u64, segments: Vec<Segment>) {
        let entries = self.retirements.entry(term).or_default();
        entries.push((entry, segments));
    }

    /// What the entries of a segment retire.
    fn retired_in(&self, segment: Segment) -> impl Iterator<Item = Segment> {
        let entries = self.retirements.get(&segment.term).into_iter().flatten();
        entries
            .filter(move |(entry, _)| Segment::of(segment.term, *entry) == segment)
            .flat_map(|(_, segments)| segments.iter().copied())
    }

    /// Whether an entry behind the first number, up to the second, retires anything.
    fn retires_within(&self, term: Term, behind: u64, up_to: u64) -> bool {
        let entries = self.retirements.get(&term).into_iter().flatten().rev();
        entries
            .map(|(entry, _)| *entry)
            .take_while(|entry| *entry > behind)
            .any(|entry| entry <= up_to)
    }

    /// A seal names these.
    pub(crate) fn seal(&mut self, own: Term, segments: Vec<Segment>) {
        self.named.insert(own, segments);
    }

    /// What there is to read of a sealed term whose log has so many entries, and of its seal.
    fn find(&self, sealed: Term, entries: u64) -> Found {
        let mut retired = BTreeSet::new();
        let known = self.retirements.get(&sealed).into_iter().flatten().rev();
        for (entry, segments) in known.skip_while(|(entry, _)| *entry > entries) {
            // Nobody opens what is retired, nor what is not there.
            let within = Segment::of(sealed, *entry);
            if !retired.contains(&within) && !self.removed.contains(&within) {
                retired.extend(segments.iter().copied());
            }
        }
        let named = self.named.get(&sealed).into_iter().flatten().copied();
        let own = (1..=entries.div_ceil(SEGMENT_ENTRIES)).map(|number| Segment {
            term: sealed,
            number,
        });
        let mut found = Found::default();
        for segment in named.chain(own) {
            match (retired.contains(&segment), self.removed.contains(&segment)) {
                (true, true) => {}
                (true, false) => found.left_over.push(segment),
                (false, false) => found.counts.push(segment),
                (false, true) => {
                    found.missing.get_or_insert(segment);
                }
            }
        }
        found
    }
}

impl Store {
    /// The segments that a taker finds, as far as the sealed term's entries are on disk.
    fn find_segments(&self, own: Term) -> Found {
        self.newest_seal_below(own.epoch)
            .map_or_else(Found::default, |sealed| {
                self.segments.find(sealed, self.durable(sealed))
            })
    }

    /// I6: what the newest seal needs and is not there.
    fn missing_segment(&self) -> Option<(Term, Segment)> {
        let sealed = self.newest_seal_below(u64::MAX)?;
        let found = self.segments.find(sealed, self.durable(sealed));
        Some((sealed, found.missing?))
    }
}

impl World {
    /// I6.
    pub(crate) fn check_segments(&mut self) {
        if let Some((sealed, segment)) = self.store.missing_segment() {
            self.ledger.violated(format!(
                "I6: {segment} is gone, which the seal of term {sealed} needs"
            ));
        }
    }

    /// An fsync has reached the disk.
    pub(crate) fn sync_log(&mut self, term: Term, entries: u64) {
        let before = self.store.durable(term);
        self.store.sync(term, entries);
        if self.store.segments.retires_within(term, before, entries) {
            self.check_segments();
        }
    }

    /// A taker looks which files it builds on; what it finds retired it removes once its term serves.
    /// False if one is not there.
    pub(crate) fn find_segments(&mut self, id: u8, own: Term) -> bool {
        let found = self.store.find_segments(own);
        let process = self.process(id);
        process.segments = found.counts.into();
        process.retiring = found.left_over.into_iter().map(|it| (1, it)).collect();
        process.next_own = 1;
        // One who is late may miss what a newer term has retired; it does not go on.
        self.check_segments();
        found.missing.is_none()
    }

    /// A process has written an entry; now and then that one retires the oldest segment.
    pub(crate) fn retire_segment(&mut self, id: u8, term: Term, entry: u64) {
        if !entry.is_multiple_of(RETIRE_EVERY) {
            return;
        }
        let process = self.process(id);
        let own = Segment {
            term,
            number: process.next_own,
        };
        let segment = if let Some(oldest) = process.segments.pop_front() {
            oldest
        } else if own.last_entry() < entry {
            process.next_own += 1;
            own
        } else {
            return;
        };
        process.retiring.push_back((entry, segment));
        let mut retired = vec![segment];
        // What an earlier term has retired the own seal does not name any more.
        if !self.breaks(Mutation::DropsRetirements) && segment.term == term {
            retired.extend(self.store.segments.retired_in(segment));
        }
        self.store.segments.retire(term, entry, retired);
        self.tally.segments_retired += 1;
        let side = self.peek(id).side;
        self.log(|| format!("{side:<7} retires {segment} with its entry {entry}"));
        if self.breaks(Mutation::RemovesBeforeSync) {
            self.remove_retired(id, entry);
        }
    }

    /// Removes what entries up to this one have retired (rule 8: they have passed the gate).
    pub(crate) fn remove_retired(&mut self, id: u8, up_to: u64) {
        loop {
            let retiring = &mut self.process(id).retiring;
            let next = retiring.pop_front_if(|(entry, _)| *entry <= up_to);
            let Some((_, segment)) = next else { return };
            let in_ms = self.chance.latency_ms();
            self.effect(id, in_ms, Effect::Remove { segment });
        }
    }

    /// A segment is removed.
    pub(crate) fn remove_segment(&mut self, segment: Segment) {
        self.store.segments.removed.insert(segment);
        self.tally.segments_removed += 1;
        self.check_segments();
    }
}
