//! A directory in memory that behaves as badly as a real one may: for tests and the simulator.
//!
//! What was not synced can be lost at a crash, in any order of sectors; names that were not synced
//! can be lost too; the n-th operation can fail, be cut short, or be the last. It must never be
//! kinder than a disk: a write counts as durable only after `sync_data` of its file, a name only
//! after `sync_directory`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Storage, StoredFile};

/// The unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What happens to one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with an I/O error; of a write, the first half is done.
    Io,
    /// No space: a write stops at its half and says so only when asked for the rest; from then on
    /// nothing can be written or created.
    Full,
    /// A write stops at its half, for no reason given.
    Short,
    /// The process ends in the middle of it: a write does its half, and no operation after this
    /// one succeeds.
    End,
}

/// What a power failure leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything, as when only the process ended.
    Everything,
    /// Each sector and each name by chance, from this seed.
    Chance(u64),
}

/// How often what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All operations; faults count by this.
    pub operations: u64,
    /// Calls of `write_at`.
    pub writes: u64,
    /// Calls of `sync_data`.
    pub syncs: u64,
    /// Calls of `sync_directory`.
    pub directory_syncs: u64,
}

/// A directory in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    disk: Mutex<Disk>,
    syncs_released: Condvar,
}

#[derive(Clone, Default)]
struct Disk {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    counts: Counts,
    faults: BTreeMap<u64, Fault>,
    full: bool,
    ended: bool,
    syncs_held: bool,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug)]
struct OpenFile {
    storage: MemoryStorage,
    index: usize,
}

impl MemoryStorage {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the operation with this number (counted from 0) fail.
    #[must_use]
    pub fn with_fault(self, operation: u64, fault: Fault) -> Self {
        self.disk().faults.insert(operation, fault);
        self
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.disk().counts
    }

    /// Lets every `sync_data` wait until [`MemoryStorage::release_syncs`].
    pub fn hold_syncs(&self) {
        self.disk().syncs_held = true;
    }

    /// Ends [`MemoryStorage::hold_syncs`].
    pub fn release_syncs(&self) {
        self.disk().syncs_held = false;
        self.shared.syncs_released.notify_all();
    }

    /// The directory as the next process finds it. This one's handles no longer reach it.
    #[must_use]
    pub fn after_crash(&self, survival: Survival) -> Self {
        let disk = self.disk().after_crash(survival);
        Self {
            shared: Arc::new(Shared {
                disk: Mutex::new(disk),
                ..Shared::default()
            }),
        }
    }

    /// The directory when only the process ended: what it wrote is there, synced or not.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let disk = self.disk().clone();
        let disk = Disk {
            faults: BTreeMap::new(),
            counts: Counts::default(),
            full: false,
            ended: false,
            syncs_held: false,
            ..disk
        };
        Self {
            shared: Arc::new(Shared {
                disk: Mutex::new(disk),
                ..Shared::default()
            }),
        }
    }

    /// A file's bytes.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.names
            .get(name)
            .map(|index| disk.files[*index].now.clone())
    }

    /// Puts a durable file there, in place of any other, past all rules.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let index = disk.files.len();
        disk.files.push(Content {
            now: bytes.clone(),
            durable: bytes,
            unsynced: Vec::new(),
        });
        disk.names.insert(name.to_owned(), index);
        disk.durable_names.insert(name.to_owned(), index);
    }

    /// Takes a file away for good, past all rules.
    pub fn take_away(&self, name: &str) {
        let mut disk = self.disk();
        disk.names.remove(name);
        disk.durable_names.remove(name);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.shared
            .disk
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Counts an operation; answers with the fault that strikes it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        if self.ended {
            return Err(io::Error::other("the process has ended"));
        }
        let fault = self.faults.get(&self.counts.operations).copied();
        self.counts.operations += 1;
        self.ended = fault == Some(Fault::End);
        self.full |= fault == Some(Fault::Full);
        Ok(fault)
    }

    /// Begins an operation that is done whole or not at all.
    fn begin_whole(&mut self, needs_space: bool) -> io::Result<()> {
        match self.begin()? {
            _ if self.full && needs_space => Err(io::ErrorKind::StorageFull.into()),
            None | Some(Fault::Short | Fault::Full) => Ok(()),
            Some(Fault::Io) => Err(io::Error::other("injected I/O error")),
            Some(Fault::End) => Err(io::Error::other("the process ends here")),
        }
    }

    fn index(&self, name: &str) -> io::Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn name_free(&self, name: &str) -> io::Result<()> {
        if self.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(())
    }

    fn write(&mut self, index: usize, bytes: &[u8], at: usize) -> io::Result<usize> {
        let was_full = self.full;
        let fault = self.begin()?;
        self.counts.writes += 1;
        if was_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let done = if fault.is_some() {
            &bytes[..bytes.len() / 2]
        } else {
            bytes
        };
        let content = &mut self.files[index];
        put_at(&mut content.now, at, done);
        content.unsynced.push((at, done.to_vec()));
        match fault {
            None | Some(Fault::Full | Fault::Short) => Ok(done.len()),
            Some(Fault::Io) => Err(io::Error::other("injected I/O error")),
            Some(Fault::End) => Err(io::Error::other("the process ends here")),
        }
    }

    fn after_crash(&self, survival: Survival) -> Self {
        let mut chance = Chance::new(survival);
        let mut names = self.durable_names.clone();
        for (name, index) in &self.names {
            if !names.contains_key(name) && chance.survives() {
                names.insert(name.clone(), *index);
            }
        }
        for name in self.durable_names.keys() {
            if !self.names.contains_key(name) && chance.survives() {
                names.remove(name);
            }
        }
        let files = self
            .files
            .iter()
            .map(|content| content.after_crash(&mut chance))
            .collect();
        Self {
            files,
            durable_names: names.clone(),
            names,
            ..Self::default()
        }
    }
}

impl Content {
    fn after_crash(&self, chance: &mut Chance) -> Self {
        let mut left = self.durable.clone();
        for (at, bytes) in &self.unsynced {
            let mut start = 0;
            while start < bytes.len() {
                let to_boundary = SECTOR_BYTES - (at + start) % SECTOR_BYTES;
                let end = bytes.len().min(start + to_boundary);
                if chance.survives() {
                    put_at(&mut left, at + start, &bytes[start..end]);
                }
                start = end;
            }
        }
        Self {
            now: left.clone(),
            durable: left,
            unsynced: Vec::new(),
        }
    }
}

fn put_at(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Decides what survives; the same seed decides the same.
struct Chance {
    survival: Survival,
    state: u64,
}

impl Chance {
    fn new(survival: Survival) -> Self {
        let state = match survival {
            Survival::Chance(seed) => seed,
            Survival::Nothing | Survival::Everything => 0,
        };
        Self { survival, state }
    }

    fn survives(&mut self) -> bool {
        match self.survival {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Chance(_) => self.next_bit(),
        }
    }

    /// The top bit of splitmix64.
    fn next_bit(&mut self) -> bool {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 63 == 1
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("names", &self.names.keys())
            .finish_non_exhaustive()
    }
}

impl Storage for MemoryStorage {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let mut disk = self.disk();
        disk.begin_whole(true)?;
        disk.name_free(name)?;
        let index = disk.files.len();
        disk.files.push(Content::default());
        disk.names.insert(name.to_owned(), index);
        Ok(Box::new(OpenFile {
            storage: self.clone(),
            index,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let mut disk = self.disk();
        disk.begin_whole(false)?;
        let index = disk.index(name)?;
        Ok(Box::new(OpenFile {
            storage: self.clone(),
            index,
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut disk = self.disk();
        disk.begin_whole(false)?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn link_new(&self, existing: &str, new: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.begin_whole(true)?;
        disk.name_free(new)?;
        let index = disk.index(existing)?;
        disk.names.insert(new.to_owned(), index);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.begin_whole(false)?;
        disk.index(name)?;
        disk.names.remove(name);
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.counts.directory_syncs += 1;
        disk.begin_whole(false)?;
        disk.durable_names = disk.names.clone();
        Ok(())
    }
}

impl StoredFile for OpenFile {
    fn write_at(&self, bytes: &[u8], at_byte: u64) -> io::Result<usize> {
        let at = usize::try_from(at_byte).map_err(io::Error::other)?;
        self.storage.disk().write(self.index, bytes, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.storage.disk();
        while disk.syncs_held {
            let released = &self.storage.shared.syncs_released;
            disk = released.wait(disk).unwrap_or_else(PoisonError::into_inner);
        }
        disk.counts.syncs += 1;
        disk.begin_whole(false)?;
        let content = &mut disk.files[self.index];
        content.durable = content.now.clone();
        content.unsynced.clear();
        Ok(())
    }

    fn read_at(&self, into: &mut [u8], at_byte: u64) -> io::Result<usize> {
        let mut disk = self.storage.disk();
        disk.begin_whole(false)?;
        let content = &disk.files[self.index].now;
        let start = usize::try_from(at_byte)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let read = into.len().min(content.len() - start);
        into[..read].copy_from_slice(&content[start..start + read]);
        Ok(read)
    }

    fn length_bytes(&self) -> io::Result<u64> {
        let mut disk = self.storage.disk();
        disk.begin_whole(false)?;
        Ok(disk.files[self.index].now.len() as u64)
    }
}
