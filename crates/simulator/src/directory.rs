//! The directory arbiter, one file operation at a time (A5): the model of `crates/arbiter`.
//!
//! Two or three writers read, create and compare-and-set a record made of numbered files; between any
//! two operations a writer can freeze or die, and the machine can go down, with every writer on it and
//! with what its folder had not synced.
//!
//! Assumed of the file system, and nothing more: `link` fails if the name is there; a listing is one
//! step; changes of a folder reach the disk in the order in which they were made, and all of them
//! before its fsync returns; a network disk has them before it answers. Not assumed: that a name is on
//! disk before that, that text is before the file's fsync, or that anybody is ever fast.

use std::collections::BTreeMap;

use crate::chance::Chance;

/// A rule of the directory arbiter that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryRule {
    /// The base is not read again after the link.
    NoLastRead,
    /// The folder is not synced after the link.
    NoFolderSync,
    /// The text is not synced before the link.
    NoTextSync,
    /// What is older than the last versions is deleted highest first.
    PrunesHighestFirst,
    /// Who creates does not look again whether it was the first.
    NoLastListing,
}

/// What one seed brings.
#[derive(Clone, Debug)]
pub struct DirectoryOutcome {
    /// What should never happen, and did.
    pub violations: Vec<String>,
    /// The newest version that anybody won.
    pub newest: u64,
    /// Writers that linked a version, and were told of a conflict.
    pub taken_back: u64,
}

/// Operations of one seed.
const TURNS: u64 = 4_000;
/// The longest that a writer freezes, in operations of all: many versions pass meanwhile.
const MAX_FREEZE: u64 = 600;
const MAX_WRITERS: u64 = 3;

/// A record's text, by a number of its own: no two writes have the same.
type Text = u64;

/// A file with a record's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    text: Text,
    /// Whether the text is on disk.
    synced: bool,
}

/// A change of the folder that is not synced.
#[derive(Clone, Copy, Debug)]
enum Change {
    Linked(u64, File),
    Removed(u64),
}

/// The folder.
#[derive(Clone, Debug, Default)]
struct Folder {
    /// What everybody sees.
    names: BTreeMap<u64, File>,
    on_disk: BTreeMap<u64, File>,
    unsynced: Vec<Change>,
}

impl Folder {
    fn newest(&self) -> Option<u64> {
        self.names.last_key_value().map(|(version, _)| *version)
    }

    fn text(&self, version: u64) -> Option<Text> {
        self.names.get(&version).map(|file| file.text)
    }

    fn link(&mut self, version: u64, file: File) -> bool {
        if self.names.contains_key(&version) {
            return false;
        }
        self.names.insert(version, file);
        self.unsynced.push(Change::Linked(version, file));
        true
    }

    fn remove(&mut self, version: u64) {
        if self.names.remove(&version).is_some() {
            self.unsynced.push(Change::Removed(version));
        }
    }

    fn sync(&mut self) {
        let changes = self.unsynced.len();
        self.keep(changes);
    }

    /// So many changes reach the disk.
    fn keep(&mut self, changes: usize) {
        for change in self.unsynced.drain(..changes) {
            match change {
                Change::Linked(version, file) => {
                    self.on_disk.insert(version, file);
                }
                Change::Removed(version) => {
                    self.on_disk.remove(&version);
                }
            }
        }
    }

    /// The machine goes down: the first of the changes that were not synced are kept, and of text that
    /// was not synced nothing.
    fn lose(&mut self, chance: &mut Chance) {
        let kept = chance.below(self.unsynced.len() as u64 + 1);
        self.keep(usize::try_from(kept).unwrap_or(0));
        self.unsynced.clear();
        for file in self.on_disk.values_mut().filter(|file| !file.synced) {
            *file = File {
                text: 0,
                synced: true,
            };
        }
        self.names.clone_from(&self.on_disk);
    }
}

/// A write under way.
#[derive(Clone, Copy, Debug)]
struct Write {
    /// Version and text it is based on; none creates the first.
    base: Option<(u64, Text)>,
    file: File,
}

impl Write {
    fn version(&self) -> u64 {
        self.base.map_or(1, |(base, _)| base + 1)
    }
}

/// What a writer does next.
#[derive(Clone, Debug)]
enum Step {
    List,
    Read(u64),
    /// The last look before the write: the base is the newest, or there is none.
    Check(Write),
    SyncText(Write),
    Link(Write),
    SyncFolder(Write),
    /// The last look after it.
    LookAgain(Write),
    TakeBack(Write),
    SyncTakenBack,
    /// What may be deleted is listed, and then deleted, the last of the list first.
    ListOld(u64),
    Prune(Vec<u64>),
}

/// A process that writes.
#[derive(Clone, Debug)]
struct Writer {
    step: Step,
    frozen_until: u64,
}

/// Everything.
struct Model {
    folder: Folder,
    writers: Vec<Writer>,
    chance: Chance,
    broken: Option<DirectoryRule>,
    /// Versions that are kept: the model keeps fewer than the arbiter, so that more are pruned.
    kept: u64,
    texts: Text,
    /// Who was told of which version.
    won: BTreeMap<u64, Text>,
    pruned: u64,
    outcome: DirectoryOutcome,
}

/// Lives through the folder of a seed, of which so many versions are kept.
pub fn directory(seed: u64, kept: u64, broken: Option<DirectoryRule>) -> DirectoryOutcome {
    let mut chance = Chance::seeded(seed, 1);
    let writers = 2 + chance.below(MAX_WRITERS - 1);
    let idle = Writer {
        step: Step::List,
        frozen_until: 0,
    };
    let mut model = Model {
        folder: Folder::default(),
        writers: (0..writers).map(|_| idle.clone()).collect(),
        chance,
        broken,
        kept,
        texts: 0,
        won: BTreeMap::new(),
        pruned: 0,
        outcome: DirectoryOutcome {
            violations: Vec::new(),
            newest: 0,
            taken_back: 0,
        },
    };
    for turn in 0..TURNS {
        model.turn(turn);
        if !model.outcome.violations.is_empty() {
            break;
        }
    }
    model.outcome
}

impl Model {
    fn breaks(&self, rule: DirectoryRule) -> bool {
        self.broken == Some(rule)
    }

    fn turn(&mut self, turn: u64) {
        let index = self.chance.below(self.writers.len() as u64);
        let index = usize::try_from(index).unwrap_or(0);
        if self.chance.one_in(1_000) {
            self.folder.lose(&mut self.chance);
            for writer in &mut self.writers {
                writer.step = Step::List;
            }
        } else if self.chance.one_in(150) {
            // It is started again.
            self.writers[index].step = Step::List;
        } else if self.chance.one_in(40) {
            self.writers[index].frozen_until = turn + self.chance.below(MAX_FREEZE);
        } else if self.writers[index].frozen_until <= turn {
            let step = std::mem::replace(&mut self.writers[index].step, Step::List);
            self.writers[index].step = self.take(step);
        }
        self.check_newest();
    }

    /// One operation of a writer, and what it does next.
    fn take(&mut self, step: Step) -> Step {
        match step {
            Step::List => match self.folder.newest() {
                Some(newest) => Step::Read(newest),
                None => Step::Check(self.next(None)),
            },
            Step::Read(version) => match self.folder.text(version) {
                Some(text) => Step::Check(self.next(Some((version, text)))),
                // Pruned meanwhile.
                None => Step::List,
            },
            Step::Check(write) => {
                if self.folder.newest() == write.base.map(|(base, _)| base) {
                    Step::SyncText(write)
                } else {
                    Step::List
                }
            }
            Step::SyncText(mut write) => {
                write.file.synced = !self.breaks(DirectoryRule::NoTextSync);
                Step::Link(write)
            }
            Step::Link(write) => {
                if !self.folder.link(write.version(), write.file) {
                    return Step::List;
                }
                if self.breaks(DirectoryRule::NoFolderSync) {
                    return Step::LookAgain(write);
                }
                Step::SyncFolder(write)
            }
            Step::SyncFolder(write) => {
                self.folder.sync();
                Step::LookAgain(write)
            }
            Step::LookAgain(write) => {
                if self.still_holds(&write) {
                    self.win(&write);
                    Step::ListOld(write.version())
                } else {
                    self.outcome.taken_back += 1;
                    Step::TakeBack(write)
                }
            }
            Step::TakeBack(write) => {
                self.folder.remove(write.version());
                Step::SyncTakenBack
            }
            Step::SyncTakenBack => {
                self.folder.sync();
                Step::List
            }
            Step::ListOld(newest) => {
                let old = self.folder.names.keys().copied();
                let mut old: Vec<u64> = old
                    .take_while(|version| version + self.kept <= newest)
                    .collect();
                // The last is deleted first.
                if !self.breaks(DirectoryRule::PrunesHighestFirst) {
                    old.reverse();
                }
                Step::Prune(old)
            }
            Step::Prune(mut old) => match old.pop() {
                Some(version) => {
                    self.folder.remove(version);
                    self.pruned = self.pruned.max(version);
                    Step::Prune(old)
                }
                None => Step::List,
            },
        }
    }

    fn next(&mut self, base: Option<(u64, Text)>) -> Write {
        self.texts += 1;
        let file = File {
            text: self.texts,
            synced: false,
        };
        Write { base, file }
    }

    /// What a writer looks at after its link: that its base was not pruned meanwhile.
    fn still_holds(&self, write: &Write) -> bool {
        let Some((base, text)) = write.base else {
            let versions = self.folder.names.keys().copied();
            let unbroken = versions.eq(1..=self.folder.names.len() as u64);
            let few = self.folder.names.len() as u64 <= self.kept;
            return (unbroken && few) || self.breaks(DirectoryRule::NoLastListing);
        };
        self.folder.text(base) == Some(text) || self.breaks(DirectoryRule::NoLastRead)
    }

    /// A writer is told that its version is in place.
    fn win(&mut self, write: &Write) {
        let (version, text) = (write.version(), write.file.text);
        if version <= self.pruned {
            let pruned = self.pruned;
            self.violated(format!("A5: {version} is won, {pruned} was pruned before"));
        }
        if let Some(other) = self.won.insert(version, text) {
            self.violated(format!("A5: {version} is won by {other} and by {text}"));
        }
        self.outcome.newest = self.outcome.newest.max(version);
    }

    /// The newest version that anybody was told of is there, unless there is one on top of it.
    fn check_newest(&mut self) {
        let Some((version, text)) = self.won.last_key_value() else {
            return;
        };
        let (version, text) = (*version, *text);
        let newest = self.folder.newest().unwrap_or(0);
        if newest < version {
            self.violated(format!("A5: {version} was won, {newest} is the newest"));
        } else if newest == version && self.folder.text(version) != Some(text) {
            self.violated(format!("A5: {version} was won, and its text is another"));
        }
    }

    fn violated(&mut self, what: String) {
        self.outcome.violations.push(what);
    }
}
