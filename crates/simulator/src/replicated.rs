//! What the driver of a side with a disk of its own does: it freezes, follows, ships and syncs.
//!
//! Data goes over the link's connection, in its order, and ends with it. A process can die or pause
//! between any two entries.

use pair::{
    Action, Cut, Incarnation, Input, Mark, Member, Mode, Position, Record, Side, StoreId, Term,
};

use crate::disks::Entry;
use crate::options::Mutation;
use crate::process::{SIDES, index};
use crate::world::{Effect, Event, World};

/// So many entries go at a time: a full copy takes a while.
const SHIPPED_AT_ONCE: usize = 4;

/// A process' work with its own disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    /// Its disk.
    pub(crate) disk: usize,
    ship: Option<Ship>,
    follow: Option<Follow>,
    /// What came before the session was followed: it is not read before.
    early: Vec<(u8, Data)>,
    /// The history as it was read.
    loaded: Vec<Entry>,
    /// Its machine is gone: nobody refuses connections in its place.
    pub(crate) vanished: bool,
}

/// Shipping to a follower.
#[derive(Clone, Copy, Debug)]
struct Ship {
    session: u64,
    peer: u8,
    /// The first entry that was not sent.
    next: usize,
    /// More is under way by itself.
    goes_on: bool,
}

/// Following a session.
#[derive(Clone, Copy, Debug)]
struct Follow {
    session: u64,
    /// The copy is whole there.
    whole_at: Option<Position>,
}

/// Entries on their way.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    session: u64,
    /// Where they begin in the log.
    at: usize,
    entries: Vec<Entry>,
}

impl Replica {
    /// The own term is over.
    pub(crate) fn drop_state(&mut self) {
        self.ship = None;
    }
}

impl World {
    pub(crate) fn replicates(&self) -> bool {
        self.options.mode == Mode::Replication
    }

    /// Carries out a step on the own disk; false if it is none.
    pub(crate) fn take_disk_step(&mut self, id: u8, action: &Action) -> bool {
        let disk = self.peek(id).replica.disk;
        let answer = match action {
            Action::FreezeLog => {
                let replica = &mut self.process(id).replica;
                replica.follow = None;
                self.disks.disk(disk).sync_all();
                Some(Input::LogFrozen(Ok(self.disks.peek(disk).facts())))
            }
            Action::RenewStore => {
                self.disks.rename(disk);
                Some(Input::LogFrozen(Ok(self.disks.peek(disk).facts())))
            }
            Action::KeepRecord { record } => {
                self.disks.disk(disk).record = Some(record.clone());
                None
            }
            Action::FollowLog { session, cut, .. } => {
                self.disks.disk(disk).cut(*cut);
                let whole_at = match cut {
                    Cut::After(_) => None,
                    Cut::Everything { whole_at } => Some(*whole_at),
                };
                let session = *session;
                let replica = &mut self.process(id).replica;
                replica.follow = Some(Follow { session, whole_at });
                for (from, data) in std::mem::take(&mut replica.early) {
                    self.follow(id, from, data);
                }
                None
            }
            Action::ShipLog {
                session, peer, cut, ..
            } => {
                let follower = self.peek(peer.0[0]).replica.disk;
                let log = self.disks.peek(disk);
                let next = match cut {
                    Cut::Everything { .. } => 0,
                    // Of a broken rule: what is not there is taken for as long as the other one is.
                    Cut::After(position) => log
                        .index(*position)
                        .map_or_else(|| self.disks.peek(follower).entries().len(), |at| at + 1),
                };
                self.process(id).replica.ship = Some(Ship {
                    session: *session,
                    peer: peer.0[0],
                    next,
                    goes_on: false,
                });
                self.ship(id, false);
                None
            }
            Action::LoadHistory { term, .. } => {
                let entries = self.disks.peek(disk).entries().to_vec();
                self.process(id).replica.loaded = entries;
                let result = Ok(());
                let term = *term;
                Some(Input::HistoryLoaded { term, result })
            }
            Action::StartTerm { term } => {
                self.start_own_term(id, *term);
                return true;
            }
            _ => return false,
        };
        self.step_done(id, answer);
        true
    }

    fn start_own_term(&mut self, id: u8, term: Term) {
        let process = self.process(id);
        process.term = Some(term);
        process.unsynced = 0;
        process.released = 0;
        process.replica.follow = None;
        let loaded = std::mem::take(&mut process.replica.loaded);
        let disk = process.replica.disk;
        self.disks.disk(disk).go_back_to(loaded);
        // Its first, unless a rule is broken.
        let entries = self.disks.peek(disk).history().get(&term).unwrap_or(&0) + 1;
        self.process(id).written = entries;
        let history = self.disks.peek(disk).history();
        self.process(id).history = history;
        self.write_entry(id, term, entries);
        if self.breaks(Mutation::StartUnsynced) {
            let result = Ok(Mark::Clear);
            return self.step_done(id, Some(Input::TermStarted { term, result }));
        }
        let start = true;
        let in_ms = self.chance.latency_ms();
        self.effect(
            id,
            in_ms,
            Effect::Sync {
                term,
                entries,
                start,
            },
        );
    }

    /// An entry is written to the own log, and shipped.
    pub(crate) fn write_entry(&mut self, id: u8, term: Term, seq: u64) {
        let disk = self.peek(id).replica.disk;
        let position = Position { term, seq };
        if let Some(what) = self.disks.append(disk, position) {
            self.ledger.violated(what);
        }
        self.ship(id, false);
    }

    /// An fsync of the own term's log.
    pub(crate) fn sync_disk(&mut self, id: u8, term: Term, entries: u64, start: bool) {
        let disk = self.peek(id).replica.disk;
        self.disks.disk(disk).sync_term(term, entries);
        let mark = Mark::Clear;
        if start {
            let result = Ok(mark);
            return self.step_done(id, Some(Input::TermStarted { term, result }));
        }
        let process = self.process(id);
        process.unsynced = process.unsynced.saturating_sub(1);
        let up_to = entries;
        let input = Box::new(Input::Synced { term, up_to, mark });
        self.at(self.now_ms, Event::Learn { id, input });
    }

    /// Entries of the own term that are on the disk of its process.
    pub(crate) fn on_own_disk(&self, id: u8, term: Term) -> u64 {
        self.disks.peek(self.peek(id).replica.disk).durable(term)
    }

    /// Sends what was not sent, a few entries at a time; the rest follows by itself.
    pub(crate) fn ship(&mut self, id: u8, by_itself: bool) {
        let now_ms = self.now_ms;
        let process = self.process(id);
        let connected = process.link.map(|link| link.peer);
        let frozen_ms = process.frozen_until_ms.saturating_sub(now_ms);
        let Some(ship) = &mut process.replica.ship else {
            return;
        };
        if by_itself {
            ship.goes_on = false;
        }
        if ship.goes_on || !process.runs {
            return;
        }
        if connected != Some(ship.peer) {
            process.replica.ship = None;
            return;
        }
        if frozen_ms > 0 {
            ship.goes_on = true;
            return self.effect(id, frozen_ms, Effect::Ship);
        }
        let (session, peer, at) = (ship.session, ship.peer, ship.next);
        let written = self.disks.peek(self.peek(id).replica.disk).entries();
        let end = written.len().min(at + SHIPPED_AT_ONCE);
        if at >= end {
            return;
        }
        let more = end < written.len();
        let entries = written[at..end].to_vec();
        self.process(id).replica.ship = Some(Ship {
            session,
            peer,
            next: end,
            goes_on: more,
        });
        let data = Data {
            session,
            at,
            entries,
        };
        self.send_data(id, peer, data);
        if more {
            let in_ms = self.chance.latency_ms();
            self.effect(id, in_ms, Effect::Ship);
        }
    }

    /// Entries of the followed log arrive.
    pub(crate) fn follow(&mut self, id: u8, from: u8, data: Data) {
        let process = self.peek(id);
        let connected = process.link.is_some_and(|link| link.peer == from);
        let follow = process.replica.follow;
        if follow.is_none_or(|it| it.session < data.session) {
            let early = &mut self.process(id).replica.early;
            early.retain(|(_, it)| it.session == data.session);
            return early.push((from, data));
        }
        let Some(follow) = follow.filter(|it| it.session == data.session && connected) else {
            return;
        };
        let disk = process.replica.disk;
        let have = self.disks.peek(disk).entries().len();
        if data.at > have {
            return;
        }
        for entry in data.entries.iter().skip(have - data.at) {
            if let Some(what) = self.disks.append(disk, entry.position) {
                self.ledger.violated(what);
            }
        }
        let up_to = self.disks.peek(disk).entries().len();
        if self.breaks(Mutation::ConfirmsBeforeSync)
            && let Some(end) = self.disks.peek(disk).end()
        {
            let input = Input::LogProgress {
                session: follow.session,
                end,
                incomplete: false,
            };
            self.answer(id, input);
        }
        let in_ms = self.chance.latency_ms();
        let session = follow.session;
        self.effect(id, in_ms, Effect::Follow { session, up_to });
    }

    /// An fsync of the followed log returns.
    pub(crate) fn followed(&mut self, id: u8, session: u64, up_to: usize) {
        let process = self.peek(id);
        let Some(follow) = process.replica.follow.filter(|it| it.session == session) else {
            return;
        };
        let disk = process.replica.disk;
        if self.chance.one_in(self.nature.sync_fails_in) {
            self.tally.sync_errors += 1;
            return self.answer(id, Input::LogFailed("input/output error".to_owned()));
        }
        let log = self.disks.disk(disk);
        log.sync(up_to);
        let Some(end) = log.synced_end() else {
            return;
        };
        if follow.whole_at.is_some_and(|whole_at| {
            log.index(whole_at)
                .is_some_and(|at| log.index(end) >= Some(at))
        }) {
            log.incomplete = false;
        }
        let incomplete = log.incomplete;
        let input = Box::new(Input::LogProgress {
            session,
            end,
            incomplete,
        });
        self.at(self.now_ms, Event::Learn { id, input });
    }

    /// A connection ended: whoever dials that process' address is refused, if nobody lives there.
    pub(crate) fn dial_the_dead(&mut self, id: u8, peer: u8) {
        if !self.replicates() {
            return;
        }
        let process = self.peek(peer);
        let refuses = !process.runs && !process.replica.vanished;
        // A firewall may say so of a process that lives.
        if refuses || self.chance.percent(5) {
            let peer = Incarnation([peer; 16]);
            self.answer(id, Input::LinkRefused { peer });
        }
    }

    /// A side's disk is replaced by an empty one; its process has ended.
    pub(crate) fn replace_disk(&mut self, side: usize) {
        self.log(|| format!("{:<7} gets an empty disk", SIDES[side]));
        self.disks.replace(side);
    }

    /// A side's data are restored from a copy; its process has ended.
    pub(crate) fn restore_disk(&mut self, side: usize, lost: usize, renamed: bool) {
        self.log(|| format!("{:<7} gets a disk that lacks {lost} entries", SIDES[side]));
        self.disks.restore(side, lost, renamed);
    }

    /// An active retires some of its log.
    pub(crate) fn retire_log(&mut self, id: u8) {
        let disk = self.peek(id).replica.disk;
        if self.peek(id).term.is_none() {
            return;
        }
        if let Some(oldest) = self.disks.disk(disk).retire(&mut self.chance) {
            self.learn(id, Input::LogRetired { oldest });
        }
    }

    /// Adds to the story what a side has on its disk.
    pub(crate) fn show_disk(&mut self, side: Side) {
        let disk = self.disks.peek(self.disks.of_side(index(side))).facts();
        self.log(|| {
            let terms: Vec<String> = disk.log.terms().iter().map(ToString::to_string).collect();
            let whole = if disk.incomplete { ", incomplete" } else { "" };
            format!("{side:<7} has on disk [{}]{whole}", terms.join(", "))
        });
    }

    /// The store of a side's disk.
    pub(crate) fn store_of(&self, side: Side) -> StoreId {
        self.disks.peek(self.disks.of_side(index(side))).store
    }

    /// Whether no living disk is sure to have everything that was acknowledged: only a person can go on.
    pub(crate) fn lacks_the_newest_data(&self, gone: Option<Side>) -> bool {
        let sides = SIDES.into_iter().filter(|side| Some(*side) != gone);
        let living: Vec<Member> = sides
            .map(|side| Member::store(side, self.store_of(side)))
            .collect();
        let lacks = |record: &Record| {
            record.epoch > 0 && !living.iter().any(|it| record.in_sync.contains(it))
        };
        let known = self.arbiter.records.iter().map(|it| &it.record);
        let newest = known.max_by_key(|record| (record.epoch, record.serial));
        if let Some(found) = self.arbiter.record.as_ref().map(|it| &it.record) {
            // It went back, and a new disk does not know so: the two sides do not agree on what is lost.
            let went_back = newest.is_some_and(|it| found.is_older_than(it.epoch, it.serial));
            let is_held = self.processes.iter().any(|it| it.runs && it.role.holds());
            return lacks(found) || (went_back && !is_held);
        }
        // A lost record needs both reports, of whole logs, and no third store that may have more.
        let halves = SIDES.into_iter().any(|side| {
            let facts = self.disks.peek(self.disks.of_side(index(side))).facts();
            facts.incomplete || facts.log.end().is_none()
        });
        let replaced = self.disks.were_replaced();
        gone.is_some() || halves || replaced || newest.is_none_or(lacks)
    }

    /// I7: a taker that ended in its takeover has not locked out a store that could have gone on.
    pub(crate) fn check_lock_out(&mut self, gone: Option<Side>) {
        let mut records = self.arbiter.records.iter().rev().map(|it| &it.record);
        let (Some(newest), Some(before)) = (records.next(), records.next()) else {
            return;
        };
        let keeps = self.arbiter.record.as_ref().map(|it| &it.record) == Some(newest);
        let taken = newest.epoch > before.epoch && before.holder.is_some() && keeps;
        let serves = newest
            .term()
            .is_some_and(|term| self.ledger.has_served(term));
        let sides = SIDES.into_iter().filter(|side| Some(*side) != gone);
        let mut living = sides.map(|side| Member::store(side, self.store_of(side)));
        if taken && !serves && living.any(|it| before.in_sync.contains(&it)) {
            let what = "I7: a taker that ended in its takeover has locked out a store in sync";
            self.ledger.violated(what.to_owned());
        }
    }

    /// A person allows the other side to go on after a stop on purpose.
    pub(crate) fn end_the_stop(&mut self) {
        let Some(newest) = self.arbiter.record.clone() else {
            return;
        };
        self.log(|| "somebody ends the stop".to_owned());
        self.write_record(Record {
            stopped: None,
            ..newest.record
        });
    }

    /// Whether the record may go back: with two stores only where every disk and every process knows the
    /// newest one, so that an older one is known for what it is. Nothing else could tell it.
    pub(crate) fn may_roll_back(&self) -> bool {
        if !self.replicates() {
            return true;
        }
        let Some(newest) = self.arbiter.records.last().map(|it| &it.record) else {
            return false;
        };
        let knows = |record: &Record| !record.is_older_than(newest.epoch, newest.serial);
        let mut running = self.processes.iter().filter(|process| process.runs);
        let all_run_with_it = running.all(|it| it.machine.record().is_some_and(knows));
        all_run_with_it
            && SIDES.into_iter().all(|side| {
                let disk = self.disks.peek(self.disks.of_side(index(side)));
                disk.record.as_deref().is_some_and(knows)
            })
    }
}
