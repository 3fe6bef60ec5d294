//! Which terms a history is made of, and how far each goes: what two sides compare to find what they
//! have in common.

use std::sync::Arc;

use super::Place;
use crate::error::ReadError;
use crate::history::{self, History};
use crate::names::{SegmentName, TermId};
use crate::storage::Storage;

/// A term of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermEnd {
    /// The term.
    pub term: TermId,
    /// Offset of its first entry that is still there: 1, or more if the ones before were retired.
    pub first: u64,
    /// Offset of its last entry that counts.
    pub last: u64,
}

/// The terms of a history, oldest first; those without an entry are none. Reads every file to its end.
pub fn ends(storage: &Arc<dyn Storage>) -> Result<(History, Vec<TermEnd>), ReadError> {
    let mut spans: Vec<(u64, u64, u64)> = Vec::new();
    let history = history::replay(storage, |entry| {
        let (epoch, offset) = (entry.position.epoch, entry.position.offset);
        match spans.last_mut() {
            Some((last_epoch, _, last)) if *last_epoch == epoch => *last = offset,
            _ => spans.push((epoch, offset, offset)),
        }
    })?;
    let term_of = |epoch| {
        let mut files = history.files().iter();
        files
            .find(|file| file.file.term.epoch == epoch)
            .map(|file| file.file.term)
    };
    let ends = spans
        .into_iter()
        .filter_map(|(epoch, first, last)| {
            let term = term_of(epoch)?;
            Some(TermEnd { term, first, last })
        })
        .collect();
    Ok((history, ends))
}

/// Notes that a term goes as far as this entry; terms come in order.
pub(super) fn extend(ends: &mut Vec<TermEnd>, file: SegmentName, first: u64, last: u64) {
    match ends.iter_mut().find(|end| end.term == file.term) {
        Some(end) => end.last = end.last.max(last),
        None => ends.push(TermEnd {
            term: file.term,
            first,
            last,
        }),
    }
}

/// The part of a list that two histories have in common, if they have it up to this place.
pub(super) fn up_to(ends: &[TermEnd], cut: Option<Place>) -> Vec<TermEnd> {
    let Some(cut) = cut else {
        return Vec::new();
    };
    ends.iter()
        .filter(|end| end.term.epoch < cut.term.epoch || end.term == cut.term)
        .map(|end| TermEnd {
            last: if end.term == cut.term {
                end.last.min(cut.offset)
            } else {
                end.last
            },
            ..*end
        })
        .filter(|end| end.last >= end.first)
        .collect()
}

/// Entries of a list that lie behind this place.
pub(super) fn beyond(ends: &[TermEnd], cut: Option<Place>) -> u64 {
    let count = |ends: &[TermEnd]| -> u64 { ends.iter().map(|end| end.last + 1 - end.first).sum() };
    count(ends) - count(&up_to(ends, cut))
}
