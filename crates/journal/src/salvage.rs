//! What is whole of a journal that is damaged, for a person who wants the rest.
//!
//! Never for a broker: what is passed over may have been a removal as well as a message. It reads the files
//! that [`crate::history`] would, goes on behind every damage at the next record or batch whose checksum
//! holds, and says exactly what it passed over. It changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Damage, ReadError};
use crate::history::Listing;
use crate::names::{SegmentName, seal_name};
use crate::reader::Entry;
use crate::segment::{Bound, Rest, SegmentReader};
use crate::storage::{Storage, path_of};

/// A stretch of a file that was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// The first byte passed over.
    pub from_byte: u64,
    /// The first byte that was read again, or the end.
    pub to_byte: u64,
    /// What is wrong there.
    pub why: String,
}

/// What a salvage has read, and what not.
#[derive(Debug, Clone, Default)]
pub struct Salvage {
    /// Entries handed out.
    pub entries: u64,
    /// Files looked into.
    pub files: u64,
    /// What was passed over, in the order of the files; empty if the journal is whole.
    pub skipped: Vec<Skipped>,
    /// A write at the very end that did not finish; nothing of it was ever acknowledged.
    pub torn: Option<Skipped>,
}

/// A file and how much of it counts; without a length, all there is.
type Part = (SegmentName, Option<u64>);

/// Hands every whole entry to `visit`, in order.
///
/// Fails only if the directory cannot be listed or a newer version wrote a file: then nothing is damaged.
pub fn salvage(
    storage: &Arc<dyn Storage>,
    mut visit: impl FnMut(Entry),
) -> Result<Salvage, ReadError> {
    let storage = storage.as_ref();
    let listing = Listing::once(storage)?;
    let mut salvage = Salvage::default();
    let parts = salvage.parts(storage, &listing)?;
    let last = parts.last().map(|(name, _)| *name);
    for (name, sealed_bytes) in parts {
        salvage.read(storage, name, sealed_bytes, Some(name) == last, &mut visit)?;
    }
    Ok(salvage)
}

impl Salvage {
    /// The files that count, as far as that can be told.
    fn parts(&mut self, storage: &dyn Storage, listing: &Listing) -> Result<Vec<Part>, ReadError> {
        let every = || listing.segments().map(|name| (name, None)).collect();
        let seal = match listing.newest_seal(storage) {
            Ok(Some(seal)) => seal,
            Ok(None) => return Ok(every()),
            Err(error @ ReadError::Unsupported { .. }) => return Err(error),
            Err(error) => {
                let name = listing.newest_seal_epoch().map(seal_name);
                self.skipped.push(Skipped {
                    path: path_of(storage, &name.unwrap_or_default()),
                    from_byte: 0,
                    to_byte: 0,
                    why: format!(
                        "{error}; without it nobody knows how much of each file counts, so all of every file is read"
                    ),
                });
                return Ok(every());
            }
        };
        let own: Vec<SegmentName> = listing.segments_of(seal.term).collect();
        let mut start = None;
        for name in &own {
            if let Ok(Some(segment)) = SegmentReader::open(storage, *name, Bound::Open) {
                start = segment.start().ok().flatten().or(start);
            }
        }
        let first = start.unwrap_or(1);
        let mut parts: Vec<Part> = Vec::new();
        if start.is_none() {
            let sealed = seal.files.iter();
            parts.extend(sealed.map(|file| (file.file, Some(file.length_bytes))));
        }
        if let Some(newest) = own.last() {
            let numbers = first..=newest.number;
            parts.extend(numbers.map(|number| {
                let term = seal.term;
                (SegmentName { term, number }, None)
            }));
        }
        Ok(parts)
    }

    fn read(
        &mut self,
        storage: &dyn Storage,
        name: SegmentName,
        sealed_bytes: Option<u64>,
        is_last: bool,
        visit: &mut dyn FnMut(Entry),
    ) -> Result<(), ReadError> {
        let path = path_of(storage, &name);
        let skipped = |from_byte, to_byte, why: String| Skipped {
            path: path.clone(),
            from_byte,
            to_byte,
            why,
        };
        let bound = sealed_bytes.map_or(Bound::Open, Bound::Sealed);
        let opened = SegmentReader::open(storage, name, bound).and_then(|segment| {
            segment
                .map(|segment| Ok((segment.length_bytes()?, segment)))
                .transpose()
        });
        let (length, mut segment) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                let end = sealed_bytes.unwrap_or_default();
                self.skipped
                    .push(skipped(0, end, "the file is missing".to_owned()));
                return Ok(());
            }
            Err(error) => {
                let end = sealed_bytes.unwrap_or_default();
                self.skipped.push(skipped(0, end, error.to_string()));
                return Ok(());
            }
        };
        if sealed_bytes.is_none() {
            // A file that grows meanwhile is read as far as it went at first.
            segment.bind(length);
        }
        self.files += 1;
        loop {
            let from = segment.cursor();
            let why = match segment.next_entry() {
                Ok(Some(entry)) => {
                    self.entries += 1;
                    visit(entry);
                    continue;
                }
                Ok(None) if from >= length => break,
                Ok(None) => None,
                Err(ReadError::Damaged { damage, .. }) => Some(damage),
                Err(error @ ReadError::Unsupported { .. }) => return Err(error),
                Err(error) => {
                    self.skipped.push(skipped(from, length, error.to_string()));
                    return Ok(());
                }
            };
            let rest = if why.is_some() {
                Ok(Rest::LaterBatch)
            } else {
                segment.rest()
            };
            match rest {
                Ok(Rest::Clean) => break,
                Ok(Rest::Torn { .. }) if is_last && sealed_bytes.is_none() => {
                    let why = "a write that did not finish".to_owned();
                    self.torn = Some(skipped(from, length, why));
                    return Ok(());
                }
                Ok(Rest::Torn { .. } | Rest::LaterBatch) => {}
                Err(error) => {
                    self.skipped.push(skipped(from, length, error.to_string()));
                    return Ok(());
                }
            }
            let why = why.unwrap_or(Damage::Record).to_string();
            match segment.resume() {
                Ok(Some(to)) => self.skipped.push(skipped(from, to, why)),
                Ok(None) => {
                    self.skipped.push(skipped(from, length, why));
                    return Ok(());
                }
                Err(error) => {
                    self.skipped.push(skipped(from, length, error.to_string()));
                    return Ok(());
                }
            }
        }
        match sealed_bytes {
            Some(end) if length < end => {
                let why = "the file is shorter than its seal says".to_owned();
                self.skipped.push(skipped(length, end, why));
            }
            _ => {}
        }
        Ok(())
    }
}
