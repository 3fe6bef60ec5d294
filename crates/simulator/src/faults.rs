//! What goes wrong: processes that end, hang or lose their locks; places that are cut off; people who
//! write the record. What a fault hits is given; when it comes is decided in `plan`.

use pair::{Incarnation, Input, Side, Term, Wanted};

use crate::options::Setup;
use crate::process::{Place, index};
use crate::world::{Event, World};

impl World {
    /// Ends a process at once.
    pub(crate) fn kill(&mut self, id: u8) {
        let side = self.peek(id).side;
        self.log(|| format!("{side:<7} is killed"));
        self.end(id);
    }

    /// Stops a process from doing anything for a while.
    pub(crate) fn freeze(&mut self, id: u8, for_ms: u64) {
        let until_ms = self.now_ms + for_ms;
        let process = self.process(id);
        process.frozen_until_ms = until_ms.max(process.frozen_until_ms);
        let (side, stalled) = (process.side, process.stalled);
        self.log(|| {
            let what = if stalled {
                "has a driver that hangs"
            } else {
                "is frozen"
            };
            format!("{side:<7} {what} for {for_ms} ms")
        });
        self.at(until_ms, Event::Thaw { id });
    }

    /// A process' driver hangs for a while, and nothing else of it.
    pub(crate) fn stall(&mut self, id: u8, for_ms: u64) {
        if !self.peek(id).is_frozen(self.now_ms) {
            self.process(id).stalled = true;
            self.freeze(id, for_ms);
        }
    }

    /// Suspends a process' machine: it does nothing, and its clock does not know it.
    pub(crate) fn suspend(&mut self, id: u8, for_ms: u64) {
        let (now_ms, until_ms) = (self.now_ms, self.now_ms + for_ms);
        let process = self.process(id);
        process.clock.stand_still(now_ms, until_ms);
        let side = process.side;
        process.stalled = false;
        self.log(|| format!("{side:<7} is suspended, with its clock"));
        self.freeze(id, for_ms);
    }

    /// The kernel or the server forgets a process' locks.
    pub(crate) fn lose_locks(&mut self, id: u8) {
        let side = self.peek(id).side;
        self.log(|| format!("{side:<7} loses its locks"));
        self.store.unlock_all(id);
    }

    pub(crate) fn stop(&mut self, id: u8) {
        let side = self.peek(id).side;
        self.log(|| format!("{side:<7} is asked to stop"));
        let input = Box::new(Input::StopRequested);
        self.at(self.now_ms, Event::Learn { id, input });
    }

    /// A process is told late that the journal of a term of its own has failed.
    pub(crate) fn fail_journal(&mut self, id: u8, epoch: u64) {
        let inc = Incarnation([id; 16]);
        let term = Term { epoch, inc };
        let error = "no space left".to_owned();
        self.learn(id, Input::JournalFailed { term, error });
    }

    /// A side is started again elsewhere although its process lives: that one was believed dead. What
    /// each of the two sees from then on is given.
    pub(crate) fn twin(&mut self, side: Side, setup: Setup, old_sees: Place, new_sees: Place) {
        let Some(old) = self.newest[index(side)].take() else {
            return;
        };
        self.log(|| format!("{side:<7} p{old} is believed dead"));
        let place = self.peek(old).place;
        self.places[place] = old_sees;
        self.homes[index(side)] = self.places.len();
        self.places.push(new_sees);
        if self.replicates() {
            // The old process has the disk.
            self.replace_disk(index(side));
        }
        self.start(side, setup);
    }

    /// Ends the processes that newer ones of their side have replaced.
    pub(crate) fn end_twins(&mut self) {
        for id in 1..=self.processes.len() {
            let id = u8::try_from(id).unwrap_or(u8::MAX);
            if self.peek(id).runs && !self.newest.contains(&Some(id)) {
                self.kill(id);
            }
        }
    }

    /// Ends every cut.
    pub(crate) fn heal(&mut self) {
        self.places.fill(Place::default());
        self.dial_soon();
    }

    /// The place of a side's next or newest process.
    pub(crate) fn home(&mut self, side: Side) -> &mut Place {
        &mut self.places[self.homes[index(side)]]
    }

    /// A request of a decider, in the current epoch or in one it read a while ago.
    pub(crate) fn foreign_request(&mut self, to: Side, behind: u64) {
        let Some(newest) = self.arbiter.record.clone() else {
            return;
        };
        let epoch = newest.record.epoch.saturating_sub(behind);
        self.log(|| format!("somebody wants {to} in epoch {epoch}"));
        let wanted = Wanted {
            to,
            epoch,
            id: "foreign".to_owned(),
        };
        self.write_record(newest.record.with_wanted(wanted));
    }
}
