//! The arbiter of the model: a compare-and-set register that can be away, mute, slow, full, or lose
//! what it had, for both sides or for one.
//!
//! Assumed: a compare-and-set is one step, and a read shows the newest version (A5 makes that true of
//! a directory; `directory.rs` tries it). Not assumed: that an answer arrives, that a write
//! without one is in place or is not, or that a version number is used only once.

use pair::{Action, CasDone, Input, PeerInfo, Record, RecordRead, Versioned};

use crate::process::{Behaviour, index};
use crate::show::summary;
use crate::world::{Effect, Event, World};

/// The register.
#[derive(Clone, Debug, Default)]
pub(crate) struct Register {
    pub(crate) record: Option<Versioned>,
    /// Every record there ever was, in the order in which they were written.
    pub(crate) records: Vec<Versioned>,
    pub(crate) behaviour: Behaviour,
    /// No version is used twice, as the real arbiters make it: with two stores nothing else would tell a
    /// write that is late from one that is based on the record in place.
    pub(crate) unique: bool,
    /// The next write's answer is lost, once.
    pub(crate) mute_once: bool,
}

/// The longest that a write is on its way without its sender.
const MAX_LATE_MS: u64 = 3_000;

impl Register {
    fn version(&self) -> u64 {
        self.record.as_ref().map_or(0, |newest| newest.version)
    }

    /// The version of the next record.
    fn next_version(&self) -> u64 {
        if !self.unique {
            return self.version() + 1;
        }
        let highest = self.records.iter().map(|it| it.version).max();
        highest.unwrap_or(0) + 1
    }

    /// Puts a record in its place.
    pub(crate) fn place(&mut self, record: Versioned) {
        self.records.push(record.clone());
        self.record = Some(record);
    }

    /// A compare-and-set, or a creation: the version, if it is in place.
    fn write(&mut self, action: &Action) -> Option<u64> {
        let newest = self.version();
        let record = match action {
            Action::Cas { base, record } if *base == newest && newest > 0 => record,
            Action::Create { record } if newest == 0 => record,
            _ => return None,
        };
        let version = self.next_version();
        self.place(Versioned {
            version,
            record: Record::clone(record),
        });
        Some(version)
    }
}

impl World {
    pub(crate) fn arbitrate(&mut self, id: u8, action: Action) {
        let is_write = !matches!(action, Action::ReadRecord);
        let behaviour = self.arbiter_seen_from(id);
        let answers = behaviour == Behaviour::Answers;
        let mute = behaviour == Behaviour::Mute
            || (is_write
                && (std::mem::take(&mut self.arbiter.mute_once) || self.chance.percent(5)));
        let lost = || "no answer".to_owned();
        let answer = match behaviour {
            Behaviour::WritesHang if is_write => {
                return self.effect(id, 100, Effect::Arbiter(action));
            }
            Behaviour::Hangs => {
                return self.effect(id, 100, Effect::Arbiter(action));
            }
            Behaviour::Away if is_write => {
                if self.chance.percent(40) {
                    let at_ms = self.now_ms + self.chance.below(MAX_LATE_MS);
                    self.at(at_ms, Event::LateWrite { action });
                }
                Input::CasDone(CasDone::Unknown(lost()))
            }
            Behaviour::Away => Input::RecordRead(RecordRead::Failed(lost())),
            Behaviour::Mute if !is_write => Input::RecordRead(RecordRead::Failed(lost())),
            Behaviour::Full if is_write => {
                Input::CasDone(CasDone::Refused("it is too large".to_owned()))
            }
            Behaviour::Answers | Behaviour::Mute | Behaviour::Full if is_write => {
                let done = match self.arbiter.write(&action) {
                    Some(version) => CasDone::Won { version },
                    None => CasDone::Conflict,
                };
                self.tally.writes += u64::from(done != CasDone::Conflict);
                if answers && self.chance.percent(2) {
                    // The network brings it a second time.
                    let at_ms = self.now_ms + self.chance.below(MAX_LATE_MS);
                    self.at(at_ms, Event::LateWrite { action });
                }
                Input::CasDone(if mute { CasDone::Unknown(lost()) } else { done })
            }
            Behaviour::Answers | Behaviour::Mute | Behaviour::Full | Behaviour::WritesHang => {
                self.read_side_file(id);
                let found = self.arbiter.record.clone().map(Box::new);
                Input::RecordRead(found.map_or(RecordRead::Missing, RecordRead::Found))
            }
        };
        self.answer(id, answer);
    }

    /// How the arbiter behaves for this process.
    fn arbiter_seen_from(&self, id: u8) -> Behaviour {
        let place = &self.places[self.peek(id).place];
        if place.arbiter_cut_ms > self.now_ms && self.arbiter.behaviour == Behaviour::Answers {
            place.arbiter
        } else {
            self.arbiter.behaviour
        }
    }

    fn read_side_file(&mut self, id: u8) {
        let other = self.peek(id).side.other();
        let alive = self.is_running(other);
        let peer = self.side_files[index(other)].clone();
        let peer = peer.map(|peer| PeerInfo { alive, ..peer });
        let input = Box::new(Input::PeerFile(peer));
        self.at(self.now_ms, Event::Learn { id, input });
    }

    /// A write lands that its sender does not wait for any more.
    pub(crate) fn land(&mut self, action: &Action) {
        if self.arbiter.write(action).is_some()
            && let Action::Cas { record, .. } | Action::Create { record } = action
        {
            self.tally.writes += 1;
            self.log(|| format!("a write lands late: {}", summary(record)));
        }
    }

    /// A foreign write of the record: by a decider, or by a person's mistake.
    pub(crate) fn write_record(&mut self, record: Record) {
        let version = self.arbiter.next_version();
        self.arbiter.place(Versioned { version, record });
    }

    /// The newest records vanish, so many of them.
    pub(crate) fn roll_back(&mut self, lost: usize) {
        let left = self.arbiter.records.len().saturating_sub(lost).max(1);
        // Back to before the first term a new disk could not tell it from the record of a new pair.
        let back = self.arbiter.records.get(left - 1);
        if self.replicates() && back.is_none_or(|it| it.record.epoch == 0) {
            return;
        }
        self.arbiter.record = self.arbiter.records.get(left - 1).cloned();
        if let Some(back) = self.arbiter.record.clone() {
            self.log(|| format!("the record goes back to {}", summary(&back.record)));
        }
    }

    /// The record vanishes.
    pub(crate) fn delete_record(&mut self) {
        self.log(|| "the record is deleted".to_owned());
        self.arbiter.record = None;
    }

    /// A person ends the waiting after records were lost: above every epoch there ever was, nobody
    /// holds.
    pub(crate) fn free_the_record(&mut self) {
        let newest = self.arbiter.records.iter().map(|it| &it.record);
        let newest = newest.max_by_key(|record| (record.epoch, record.serial));
        let Some(newest) = newest.cloned() else {
            return;
        };
        let record = Record {
            epoch: newest.epoch + 1,
            serial: newest.serial + 1,
            holder: None,
            stopped: None,
            ..newest
        };
        self.log(|| format!("somebody writes {}", summary(&record)));
        self.write_record(record);
    }
}
