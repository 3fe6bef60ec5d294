//! The store as a term sees it: what earlier terms left, the own seal, the own journal. It is shared by both sides, or
//! this side's own, which then holds the same files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::{Engine, EngineConfig};
use journal::mirror::{self, TermEnd};
use journal::salvage::Salvage;
use journal::{
    Directory, Entry, FileLength, History, JournalEvent, Options, Position, ReadAhead, Record,
    Seal, SegmentName, Storage, TermId, Writer,
};
use pair::Term;
use tracing::{debug, info, warn};

use super::ahead::{Reading, recover};

/// Kind of a term's first entry; the engine's kinds are numbered from 1.
pub(crate) const TERM_START: u8 = 0;
/// Entries of a term before the engine's first record: its start.
pub(crate) const ENTRIES_BEFORE_ENGINE: u64 = 1;

/// How long a network disk may show an older state: longer than NFS caches attributes (60 s by default) when told
/// nothing.
const STALE_LIMIT: std::time::Duration = std::time::Duration::from_secs(65);
/// Pause between two looks.
const STALE_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// The folder of the journal.
#[derive(Clone)]
pub(crate) struct Store {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    options: Options,
    /// Files that the last look found to be retired. The term that this side then begins removes them.
    retired: Arc<Mutex<Vec<SegmentName>>>,
}

/// What is in a store.
pub(crate) struct Contents {
    /// The files it is made of.
    pub history: History,
    /// The queues, not yet serving.
    pub engine: Engine,
    /// Entries of the journal.
    pub entries: u64,
}

/// What a taker has read.
pub(crate) struct Loaded {
    /// The queues as the replaced terms left them.
    pub engine: Engine,
    /// What the own seal will name.
    files: Vec<FileLength>,
}

impl Loaded {
    /// What the own term builds on.
    pub(super) fn seal(&self, term: Term) -> Seal {
        Seal {
            term: term_id(term),
            files: self.files.clone(),
        }
    }
}

impl Store {
    /// The store in `dir`, which exists.
    pub(crate) fn open(dir: &Path, options: Options) -> std::io::Result<Self> {
        let storage: Arc<dyn Storage> = Arc::new(Directory::open(dir)?);
        Ok(Self {
            storage,
            dir: dir.to_owned(),
            options,
            retired: Arc::default(),
        })
    }

    /// Whether any term has written here. Term files alone are no data.
    pub(crate) fn has_data(&self) -> Result<bool, String> {
        Ok(self.newest_epoch()? > 0)
    }

    /// The highest epoch of a seal or a journal file; 0 if no term has written here.
    pub(crate) fn newest_epoch(&self) -> Result<u64, String> {
        let names = self.names()?;
        Ok(names
            .iter()
            .filter_map(|name| epoch_of(name))
            .max()
            .unwrap_or(0))
    }

    fn names(&self) -> Result<Vec<String>, String> {
        self.storage.list().map_err(|error| {
            let dir = self.dir.display();
            format!("the folder {dir} cannot be listed: {error}")
        })
    }

    /// Reads everything that the newest seal and its term left, into a new engine (step 5 of the takeover). A
    /// network disk may show less for a moment than its last writer said was on it: that is read again.
    pub(crate) fn load(
        &self,
        config: &EngineConfig,
        at_least: Option<(Term, u64)>,
        ahead: Option<Reading>,
        progress: &AtomicU64,
    ) -> Result<Loaded, String> {
        let started = std::time::Instant::now();
        let already = ahead.as_ref().map_or(0, |reading| reading.entries);
        let ahead = ahead.and_then(|reading| finish_reading(reading, config.epoch, progress));
        let used = ahead.as_ref().map_or(0, |_| already);
        let mut ahead = ahead;
        let Contents {
            history,
            engine,
            entries,
        } = loop {
            let contents = match ahead.take() {
                Some(contents) => contents,
                None => self.read(config.clone(), |_| {
                    progress.fetch_add(1, Ordering::Relaxed);
                })?,
            };
            let Some(missing) = missing(contents.history.end(), at_least) else {
                break contents;
            };
            if started.elapsed() >= STALE_LIMIT {
                return Err(format!(
                    "{missing} after {} s: the storage does not show what was synced to it",
                    STALE_LIMIT.as_secs()
                ));
            }
            warn!("{missing}: the storage may show an older state, it is read again");
            std::thread::sleep(STALE_PAUSE);
        };
        if let Some(torn) = history.torn() {
            warn!(
                "the journal ends with a record that was not finished, and never acknowledged: {} bytes of {} from byte {} on are not used",
                torn.bytes, torn.file, torn.at_byte
            );
        }
        self.set_retired(history.retired().to_vec());
        for leftover in history.leftovers() {
            warn!("{leftover} belongs to no term that ever served; it is not read");
        }
        info!(
            "read {} journal entries in {} ms, {used} more were read ahead, {} messages in queues",
            entries - used,
            started.elapsed().as_millis(),
            crate::core::messages_in(&engine)
        );
        Ok(Loaded {
            engine,
            files: history.files().to_vec(),
        })
    }

    /// Reads and checks everything, and shows each entry to `visit`.
    pub(crate) fn read(
        &self,
        config: EngineConfig,
        mut visit: impl FnMut(&Entry),
    ) -> Result<Contents, String> {
        let mut engine = Engine::new(config);
        let mut entries = 0_u64;
        let mut refused = None;
        let history = journal::history::replay(&self.storage, |entry| {
            entries += 1;
            visit(&entry);
            if refused.is_none() {
                refused = recover(&mut engine, entry).err();
            }
        })
        .map_err(|error| error.to_string())?;
        if let Some(error) = refused {
            return Err(error);
        }
        engine.finish_replay().map_err(|error| error.to_string())?;
        Ok(Contents {
            history,
            engine,
            entries,
        })
    }

    /// Reads what is whole of a damaged store, for people, never to serve. Also answers with what the entries
    /// that were whole but made no sense said, each with its position.
    pub(crate) fn salvage(
        &self,
        config: EngineConfig,
        mut progress: impl FnMut(),
    ) -> Result<(Salvage, Engine, Vec<String>), String> {
        let mut engine = Engine::new(config);
        engine.tolerate_gaps();
        let mut refused = Vec::new();
        let salvage = journal::salvage::salvage(&self.storage, |entry| {
            progress();
            refused.extend(recover(&mut engine, entry).err());
        })
        .map_err(|error| error.to_string())?;
        Ok((salvage, engine, refused))
    }

    /// Begins to read the history that ends with a term which still grows; nothing if that has not sealed.
    pub(super) fn read_ahead(&self, term: Term) -> Result<Option<ReadAhead>, String> {
        ReadAhead::begin(&self.storage, term_id(term)).map_err(|error| error.to_string())
    }

    /// Fixes what the own term builds on (step 6 of the takeover).
    pub(crate) fn seal(&self, term: Term, loaded: &Loaded) -> Result<(), String> {
        self.write_seal(&loaded.seal(term))
    }

    pub(super) fn write_seal(&self, seal: &Seal) -> Result<(), String> {
        journal::seal::write(self.storage.as_ref(), seal).map_err(|error| error.to_string())
    }

    /// Starts the own journal and appends the *term start* entry.
    pub(crate) fn start_term(
        &self,
        term: Term,
        on_event: impl FnMut(JournalEvent) + Send + 'static,
    ) -> Result<Writer, String> {
        let writer = Writer::start(
            Arc::clone(&self.storage),
            term_id(term),
            self.options,
            on_event,
        )
        .map_err(|error| error.to_string())?;
        writer.add_retired(self.set_retired(Vec::new()));
        let start = Record {
            kind: TERM_START,
            payload: bytes::Bytes::new(),
        };
        writer
            .append(vec![start])
            .map_err(|error| error.to_string())?;
        Ok(writer)
    }

    /// Notes retired files; answers with those noted before.
    fn set_retired(&self, files: Vec<SegmentName>) -> Vec<SegmentName> {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *retired, files)
    }

    /// The files.
    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// In replication, at the start: brings to its end what a crash has interrupted of a copy.
    pub(crate) fn recover(&self) -> Result<(), String> {
        let found = mirror::recover(self.storage.as_ref()).map_err(|error| error.to_string())?;
        if found {
            info!("a copy that was whole when this side ended was put in its place");
        }
        Ok(())
    }

    /// The terms on disk. Reads the whole journal.
    pub(super) fn ends(&self) -> Result<Vec<TermEnd>, String> {
        let (_, ends) = mirror::ends(&self.storage).map_err(|error| error.to_string())?;
        Ok(ends)
    }

    /// Where the term files are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Reads the rest of what was read ahead, for a term of this epoch; nothing if it is of no use.
fn finish_reading(reading: Reading, epoch: u64, progress: &AtomicU64) -> Option<Contents> {
    let Reading {
        ahead,
        mut engine,
        mut entries,
        ..
    } = reading;
    let mut refused = None;
    let finished = ahead.finish(|entry| {
        entries += 1;
        progress.fetch_add(1, Ordering::Relaxed);
        if refused.is_none() {
            refused = recover(&mut engine, entry).err();
        }
    });
    let history = match (finished, refused) {
        (Ok(Some(history)), None) => history,
        (Ok(None), _) => return None,
        (Err(error), _) => {
            debug!("what was read ahead is of no use: {error}");
            return None;
        }
        (Ok(Some(_)), Some(error)) => {
            debug!("what was read ahead is of no use: {error}");
            return None;
        }
    };
    engine.enter_epoch(epoch);
    engine.finish_replay().ok()?;
    Some(Contents {
        history,
        engine,
        entries,
    })
}

/// What a history lacks that its last writer said was on disk.
fn missing(end: Option<Position>, at_least: Option<(Term, u64)>) -> Option<String> {
    let (term, entries) = at_least?;
    let found = end
        .filter(|end| end.epoch == term.epoch)
        .map_or(0, |end| end.offset);
    (found < entries).then(|| {
        format!(
            "the journal of epoch {} has {found} entries, its active said that {entries} were on disk",
            term.epoch
        )
    })
}

/// The epoch in the name of a seal or a journal file; nothing for every other file. A name whose epoch cannot be
/// read still says that there was a first one.
fn epoch_of(name: &str) -> Option<u64> {
    let rest = name
        .strip_prefix("seal.")
        .or_else(|| name.strip_prefix("journal."))?;
    let epoch = rest.split('.').next()?.parse().unwrap_or(1);
    Some(epoch.max(1))
}

pub(super) fn term_id(term: Term) -> TermId {
    TermId {
        epoch: term.epoch,
        incarnation: term.inc.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_lacks_what_its_writer_had_on_disk_is_known() {
        let term = Term {
            epoch: 3,
            inc: pair::Incarnation([1; 16]),
        };
        let end = |epoch, offset| Some(Position { epoch, offset });
        assert_eq!(missing(end(3, 9), None), None);
        assert_eq!(missing(end(3, 9), Some((term, 9))), None);
        let text = missing(end(3, 8), Some((term, 9))).unwrap();
        assert!(
            text.contains("has 8 entries, its active said that 9"),
            "{text}"
        );
        assert!(missing(end(2, 20), Some((term, 1))).is_some());
        assert!(missing(None, Some((term, 1))).is_some());
    }
}
