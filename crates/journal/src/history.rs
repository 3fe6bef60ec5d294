//! What earlier terms left: finding it, checking it, reading it.
//!
//! The history is the files of the newest seal, to their sealed lengths, and the sealed term's own
//! segments, to their last whole record. Call it only after the fence mark of the term that is
//! replaced is set and durable. A process of that term may still write; the files are read only as
//! far as they went when this looked, and what comes later is in nobody's history.
//!
//! A segment's header may say that history begins with some segment of its term. Then everything
//! before that is retired: it may be there or not, whole or not, and is not opened. In a term's own
//! segments the last such word counts; the next seal simply no longer names what is retired.
//!
//! Nothing is changed on disk. But the sealed term's last segment and the directory are synced: its
//! last batch may be readable only because this machine's memory still has it, and the next seal
//! must not name it before it is durable. On a network file system a batch that a dead machine had
//! sent but not synced lies in the server's memory, out of this machine's reach; if the server loses
//! it, the next start finds a file shorter than sealed and refuses, naming it.

mod ahead;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use ahead::ReadAhead;

use crate::error::{Damage, Operation, ReadError};
use crate::names::{FileLength, Position, SegmentName, TermId, seal_epoch, seal_name};
use crate::reader::{Entry, Reader};
use crate::seal::{self, Seal};
use crate::segment::{Bound, Rest, SegmentReader};
use crate::storage::{Storage, path_of};

/// How often the directory is listed until a listing fits together: names that appear while it is
/// read may be missing from it though later ones are there.
const LISTINGS: usize = 3;

/// Everything that counts of earlier terms.
#[derive(Clone, Debug, Default)]
pub struct History {
    files: Vec<FileLength>,
    sealed_term: Option<TermId>,
    end: Option<Position>,
    torn: Option<TornTail>,
    retired: Vec<SegmentName>,
    leftovers: Vec<String>,
}

/// The remains of a write that did not finish; cut off, not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: SegmentName,
    /// The first byte cut off.
    pub at_byte: u64,
    /// How many bytes of the file lie behind the cut.
    pub bytes: u64,
}

impl History {
    /// The files and lengths that the next term's seal must name.
    pub fn files(&self) -> &[FileLength] {
        &self.files
    }

    /// The term whose seal this history was read by; nothing in a fresh store.
    pub fn sealed_term(&self) -> Option<TermId> {
        self.sealed_term
    }

    /// Position of the last entry; nothing if there is none.
    pub fn end(&self) -> Option<Position> {
        self.end
    }

    /// What was cut from the end, if anything was.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Retired segments that are still there, oldest first. They may be removed once a term that has
    /// sealed this history has passed its gate.
    pub fn retired(&self) -> &[SegmentName] {
        &self.retired
    }

    /// Segments that no seal names: written by terms that had lost. Never read.
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }

    /// Reads all entries (again), in order.
    pub fn entries(&self, storage: Arc<dyn Storage>) -> Result<Reader, ReadError> {
        Reader::open(storage, self.files.clone(), None, None)
    }
}

/// Finds and checks the history without looking at its entries' content.
pub fn load(storage: &Arc<dyn Storage>) -> Result<History, ReadError> {
    replay(storage, |_| {})
}

/// Finds and checks the history and hands every entry, in order, to `visit`.
///
/// On an error what was visited counts for nothing.
pub fn replay(
    storage: &Arc<dyn Storage>,
    mut visit: impl FnMut(Entry),
) -> Result<History, ReadError> {
    let listing = Listing::take(storage.as_ref())?;
    let Some(seal) = listing.newest_seal(storage.as_ref())? else {
        return Ok(History::default());
    };
    let own = OwnSegments::look(storage.as_ref(), &listing, seal.term)?;
    let sealed = if own.is_start {
        Vec::new()
    } else {
        seal.files.clone()
    };
    let mut reader = Reader::recover(
        Arc::clone(storage),
        sealed,
        own.first,
        own.seen_bytes.clone(),
    )?;
    while let Some(entry) = next(&mut reader, &seal)? {
        visit(entry);
    }
    let torn = torn_tail(storage.as_ref(), &reader, &own)?;
    let files = reader.files();
    if let Some(last) = files.last() {
        make_durable(storage.as_ref(), last.file)?;
    }
    let retired = listing.retired(&seal, &own);
    let leftovers = listing.leftovers(&seal);
    Ok(History {
        files,
        sealed_term: Some(seal.term),
        end: reader.position(),
        torn,
        retired,
        leftovers,
    })
}

fn next(reader: &mut Reader, seal: &Seal) -> Result<Option<Entry>, ReadError> {
    reader.next_entry().map_err(|error| match error {
        ReadError::Missing { path, .. } => ReadError::Missing {
            path,
            needed_by: seal_name(seal.term.epoch),
        },
        error @ (ReadError::Io { .. }
        | ReadError::Damaged { .. }
        | ReadError::Unsupported { .. }
        | ReadError::Unsealed { .. }) => error,
    })
}

/// The sealed term's own segments as they were when recovery looked.
struct OwnSegments {
    /// The first that counts.
    first: SegmentName,
    /// Whether history begins with it, so that sealed files and earlier segments are retired.
    is_start: bool,
    /// The length of each from the first to the newest one listed.
    ///
    /// Everything written behind these lengths came after the look and is nobody's. Taken after the
    /// listing: a segment that has a successor in the listing was complete before.
    seen_bytes: Vec<u64>,
}

impl OwnSegments {
    fn look(storage: &dyn Storage, listing: &Listing, term: TermId) -> Result<Self, ReadError> {
        let mut lengths = BTreeMap::new();
        let mut start = None;
        for name in listing.segments_of(term) {
            // One that has gone since was retired, or is missed below.
            let Some(segment) = SegmentReader::open(storage, name, Bound::Open)? else {
                continue;
            };
            lengths.insert(name.number, segment.length_bytes()?);
            start = segment.start()?.or(start);
        }
        let first = SegmentName {
            term,
            number: start.unwrap_or(1),
        };
        let Some(newest) = listing.segments_of(term).last() else {
            return Ok(Self {
                first,
                is_start: false,
                seen_bytes: Vec::new(),
            });
        };
        let length = |number| {
            let name = SegmentName { term, number };
            lengths
                .get(&number)
                .copied()
                .ok_or_else(|| missing(storage, name, newest))
        };
        Ok(Self {
            first,
            is_start: start.is_some(),
            seen_bytes: (first.number..=newest.number)
                .map(length)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The newest one; one before the first if there is none.
    fn newest(&self) -> SegmentName {
        SegmentName {
            number: self.first.number + self.seen_bytes.len() as u64 - 1,
            ..self.first
        }
    }
}

fn missing(storage: &dyn Storage, name: SegmentName, newest: SegmentName) -> ReadError {
    ReadError::Missing {
        path: path_of(storage, &name),
        needed_by: newest.to_string(),
    }
}

/// Judges what lies behind the last whole record of the sealed term.
fn torn_tail(
    storage: &dyn Storage,
    reader: &Reader,
    own: &OwnSegments,
) -> Result<Option<TornTail>, ReadError> {
    let newest = own.newest();
    let Some((reached, rest)) = reader.reached()? else {
        // The reader found no first segment: it has gone since it was listed, or none was.
        return if own.seen_bytes.is_empty() {
            Ok(None)
        } else {
            Err(missing(storage, own.first, newest))
        };
    };
    let is_last = reached.name() == newest;
    let torn = match rest {
        Rest::Clean => None,
        Rest::Torn { at_byte, bytes } if is_last => Some(TornTail {
            file: reached.name(),
            at_byte,
            bytes,
        }),
        Rest::Torn { .. } | Rest::LaterBatch => {
            return Err(reached.damaged(reached.cursor(), Damage::Record));
        }
    };
    if is_last {
        return Ok(torn);
    }
    // The reader could not go on to the next segment, so its header is not whole.
    let name = reached.name().successor();
    let next = reader
        .open_followed(name)?
        .ok_or_else(|| missing(storage, name, newest))?;
    match next.rest()? {
        Rest::Clean if name == newest => Ok(None),
        Rest::Torn { at_byte, bytes } if name == newest => Ok(Some(TornTail {
            file: name,
            at_byte,
            bytes,
        })),
        Rest::Clean | Rest::Torn { .. } | Rest::LaterBatch => Err(next.damaged(0, Damage::Header)),
    }
}

fn make_durable(storage: &dyn Storage, last: SegmentName) -> Result<(), ReadError> {
    let path = path_of(storage, &last);
    let name = last.to_string();
    let opened = storage.open(&name);
    let file = opened.map_err(|source| ReadError::Io {
        operation: Operation::Open,
        path: path.clone(),
        source,
    })?;
    file.sync_data().map_err(|source| ReadError::Io {
        operation: Operation::Sync,
        path,
        source,
    })?;
    storage.sync_directory().map_err(|source| ReadError::Io {
        operation: Operation::SyncDirectory,
        path: storage.path().to_owned(),
        source,
    })
}

/// The names in the directory that are the journal's.
pub(crate) struct Listing {
    newest_seal: Option<u64>,
    segments: BTreeMap<SegmentName, String>,
}

impl Listing {
    /// Lists until every segment's epoch has a seal at or above it.
    fn take(storage: &dyn Storage) -> Result<Self, ReadError> {
        let mut listing = Self::once(storage)?;
        for _ in 1..LISTINGS {
            if listing.unsealed().is_none() {
                break;
            }
            listing = Self::once(storage)?;
        }
        match listing.unsealed() {
            None => Ok(listing),
            Some(segment) => Err(ReadError::Unsealed {
                path: path_of(storage, &segment),
                seal: seal_name(segment.term.epoch),
            }),
        }
    }

    /// Lists once; what it shows may not fit together.
    pub(crate) fn once(storage: &dyn Storage) -> Result<Self, ReadError> {
        let names = storage.list().map_err(|source| ReadError::Io {
            operation: Operation::List,
            path: storage.path().to_owned(),
            source,
        })?;
        let newest_seal = names.iter().filter_map(|name| seal_epoch(name)).max();
        let segments = names
            .into_iter()
            .filter_map(|name| Some((name.parse().ok()?, name)))
            .collect();
        Ok(Self {
            newest_seal,
            segments,
        })
    }

    /// A segment newer than every seal; its term wrote its own seal before it.
    fn unsealed(&self) -> Option<SegmentName> {
        let newest = self.segments.keys().next_back()?;
        self.newest_seal
            .is_none_or(|seal| newest.term.epoch > seal)
            .then_some(*newest)
    }

    pub(crate) fn newest_seal(&self, storage: &dyn Storage) -> Result<Option<Seal>, ReadError> {
        let Some(epoch) = self.newest_seal else {
            return Ok(None);
        };
        let missing = || ReadError::Missing {
            path: path_of(storage, &seal_name(epoch)),
            needed_by: "the directory's listing".to_owned(),
        };
        seal::read(storage, epoch)?.ok_or_else(missing).map(Some)
    }

    pub(crate) fn newest_seal_epoch(&self) -> Option<u64> {
        self.newest_seal
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&self) -> impl Iterator<Item = SegmentName> {
        self.segments.keys().copied()
    }

    /// The segments of a term, oldest first.
    pub(crate) fn segments_of(&self, term: TermId) -> impl Iterator<Item = SegmentName> {
        self.segments
            .keys()
            .filter(move |segment| segment.term == term)
            .copied()
    }

    fn retired(&self, seal: &Seal, own: &OwnSegments) -> Vec<SegmentName> {
        let is_retired = |segment: &&SegmentName| {
            own.is_start
                && **segment < own.first
                && (segment.term == seal.term
                    || seal.files.iter().any(|file| file.file == **segment))
        };
        self.segments.keys().filter(is_retired).copied().collect()
    }

    fn leftovers(&self, seal: &Seal) -> Vec<String> {
        let needed = |segment: &SegmentName| {
            segment.term == seal.term || seal.files.iter().any(|file| file.file == *segment)
        };
        self.segments
            .iter()
            .filter(|(segment, _)| !needed(segment))
            .map(|(_, name)| name.clone())
            .collect()
    }
}
