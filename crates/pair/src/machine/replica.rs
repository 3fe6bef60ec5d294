//! The own log of a side in replication, and the session in which a standby follows the active's.
//!
//! A standby confirms only what is on its disk, in its present session, to the holder of the newest
//! record it knows; and nothing any more from the moment it freezes its log (rules 1, 2 and 4).

use super::broken::BrokenRule;
use super::shipping::Shipping;
use super::{Action, Attempt, ExitReason, Machine, Notice, Phase, RecordState, StoreFacts};
use crate::{
    Body, Confirm, Cut, Incarnation, Join, Log, LogFacts, Member, Mode, Position, Record, StoreId,
    Sync, Term,
};

/// A join that is not answered is repeated after so many beats.
const JOIN_BEATS: u64 = 2;
/// A session that does not grow for so many times `lost_after` is begun anew: a slow disk is no reason.
const STUCK: u64 = 5;

/// What one side knows of its own log.
#[derive(Clone, Debug, Default)]
pub(super) struct Replica {
    /// What is on disk: as it was frozen, and what was followed since.
    facts: Option<LogFacts>,
    /// Questions for these facts that are not answered yet.
    asked: u32,
    /// Nothing was appended since the last answer.
    frozen: bool,
    /// Number of the last session.
    sessions: u64,
    session: Option<Session>,
    /// The highest epoch the other side spoke of since the last read of the record: nothing of a lower one is
    /// confirmed.
    heard_epoch: u64,
    /// The newest record that was given to be kept: its epoch and serial.
    kept: (u64, u64),
    /// The process at whose address connections are refused.
    pub(super) refused: Option<Incarnation>,
    /// The term that the own takeover replaces.
    pub(super) replaced: Option<Term>,
    /// The last work of this term is done; until then its member may still confirm.
    pub(super) drained: Option<(Term, u64)>,
    /// Of the own term.
    pub(super) shipping: Shipping,
}

/// One session with an active.
#[derive(Clone, Copy, Debug)]
struct Session {
    number: u64,
    peer: Incarnation,
    term: Term,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The join is not answered; it is repeated then.
    Joining { again_ms: u64 },
    /// The log is followed; so much of it may be confirmed.
    Following {
        end: Option<Position>,
        /// When it last grew.
        grown_ms: u64,
    },
}

impl Replica {
    /// The own store, once it is known.
    pub(super) fn store(&self) -> Option<StoreId> {
        self.facts.as_ref().map(|facts| facts.store)
    }

    /// What is on disk, once it is known.
    pub(super) fn facts(&self) -> Option<&LogFacts> {
        self.facts.as_ref()
    }

    /// The same, while nothing is appended.
    pub(super) fn frozen_facts(&self) -> Option<&LogFacts> {
        self.facts.as_ref().filter(|_| self.frozen)
    }

    /// Whether an active's log is followed, or was asked for.
    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Whether an active's log is followed.
    pub(super) fn follows(&self) -> bool {
        self.session
            .is_some_and(|it| matches!(it.stage, Stage::Following { .. }))
    }

    /// The highest epoch of a record or an entry that this side has seen.
    pub(super) fn newest_epoch(&self) -> u64 {
        let log = self.facts.as_ref().map_or(0, |it| it.log.last_epoch());
        log.max(self.kept.0).max(self.heard_epoch)
    }
}

impl Machine {
    /// Whether each side has a store of its own.
    pub(super) fn replicates(&self) -> bool {
        self.config.mode == Mode::Replication
    }

    /// The own store as a member.
    pub(super) fn own_store_member(&self) -> Option<Member> {
        let store = self.replica.store()?;
        Some(Member::store(self.config.side, store))
    }

    /// Leaves the session and asks for what is on disk.
    pub(super) fn freeze_log(&mut self) {
        self.replica.session = None;
        self.replica.frozen = false;
        self.replica.asked += 1;
        self.push(Action::FreezeLog);
    }

    /// A takeover begins: from here on nothing is appended and nothing confirmed (rule 2).
    pub(super) fn begin_attempt(&mut self, term: Term) -> Attempt {
        if self.breaks(BrokenRule::LoadsBeforeFreeze) {
            let at_least = None;
            self.push(Action::LoadHistory { term, at_least });
            return Attempt::Loading;
        }
        self.freeze_log();
        Attempt::Freezing
    }

    /// What a log says that this process did not write nor follow: its own term began or ended.
    pub(super) fn log_changes(&mut self) {
        self.replica.session = None;
        self.replica.frozen = false;
    }

    pub(super) fn learn_frozen(&mut self, result: Result<LogFacts, String>) {
        let facts = match result {
            Ok(facts) => facts,
            Err(error) => {
                return self.exit(ExitReason::Store {
                    step: "reading the own log",
                    error,
                });
            }
        };
        self.replica.asked = self.replica.asked.saturating_sub(1);
        if self.replica.asked > 0 {
            return;
        }
        if let Some(record) = &facts.record {
            let kept = (record.epoch, record.serial);
            self.replica.kept = self.replica.kept.max(kept);
        }
        let newest_epoch = facts.log.last_epoch().max(self.replica.kept.0);
        self.store.get_or_insert(StoreFacts { newest_epoch });
        self.replica.frozen = true;
        self.replica.facts = Some(facts);
        if let Phase::Attempting { term, stage, .. } = &mut self.phase
            && *stage == Attempt::Freezing
        {
            *stage = Attempt::Loading;
            let term = *term;
            let at_least = None;
            self.push(Action::LoadHistory { term, at_least });
        }
    }

    /// Whether a record is older than the one this store's processes knew (A4).
    pub(super) fn is_below_kept(&self, found: &Record) -> bool {
        let (epoch, serial) = self.replica.kept;
        // Later the newest record in memory says so.
        self.newest.record.is_none() && found.is_older_than(epoch, serial)
    }

    /// Gives the newest record to be kept beside the log.
    pub(super) fn keep_record(&mut self, record: &Record) {
        if !self.replicates() {
            return;
        }
        self.replica.heard_epoch = 0;
        let newest = (record.epoch, record.serial);
        // A rolled-back record that was taken anew is lower, and still the one that counts.
        if std::mem::replace(&mut self.replica.kept, newest) != newest {
            let record = Box::new(record.clone());
            self.push(Action::KeepRecord { record });
        }
    }

    /// The other side spoke of this epoch.
    pub(super) fn heard_of_epoch(&mut self, epoch: u64) {
        let known = self.record().map_or(0, |record| record.epoch);
        if epoch > known && !self.breaks(BrokenRule::ConfirmsLowerEpochs) {
            self.replica.heard_epoch = self.replica.heard_epoch.max(epoch);
        }
    }

    /// The term whose log is to be followed: of the newest record known, if its holder is connected and says
    /// that it holds it.
    fn leader(&self) -> Option<Term> {
        let (RecordState::Good | RecordState::Missing { .. }) = self.newest.state else {
            return None;
        };
        let term = self.record()?.term()?;
        let heard = self.contact.holder_heard_ms(term).is_some();
        let is_connected = self.contact.peer() == Some(term.inc);
        let says_so = self
            .contact
            .beat()
            .is_some_and(|beat| beat.role.holds() && beat.term == Some(term));
        let is_newest =
            self.breaks(BrokenRule::ConfirmsLowerEpochs) || term.epoch >= self.replica.heard_epoch;
        (term.inc != self.config.inc && heard && is_connected && says_so && is_newest)
            .then_some(term)
    }

    /// Follows the active, as a standby.
    pub(super) fn follow(&mut self) {
        let leader = self.leader();
        if let Some(session) = self.replica.session
            && Some(session.term) != leader
        {
            self.replica.session = None;
        }
        if self.replica.session.is_none() && !self.replica.frozen {
            if self.replica.asked == 0 {
                self.freeze_log();
            }
            return;
        }
        let Some(term) = leader else { return };
        let now_ms = self.now.mono_ms;
        match self.replica.session.map(|it| it.stage) {
            Some(Stage::Joining { again_ms }) if again_ms > now_ms => self.wake(Some(again_ms)),
            Some(Stage::Following { end, grown_ms }) => self.tend_session(term, end, grown_ms),
            None | Some(Stage::Joining { .. }) => self.join(term),
        }
    }

    /// A session that does not grow although the active has more is begun anew: something of it was lost.
    fn tend_session(&mut self, term: Term, end: Option<Position>, grown_ms: u64) {
        let has = end.filter(|end| end.term == term).map_or(0, |end| end.seq);
        let more = self
            .contact
            .holder_head()
            .is_some_and(|(of, head)| of == term && head > has);
        let stuck_ms = grown_ms + STUCK * self.config.timers.lost_after_ms;
        if more && stuck_ms <= self.now.mono_ms {
            self.freeze_log();
        } else if more {
            self.wake(Some(stuck_ms));
        }
    }

    fn join(&mut self, term: Term) {
        let Some(facts) = &self.replica.facts else {
            return;
        };
        // What this log has, a lower term cannot build upon (rule 4).
        if facts.log.last_epoch() > term.epoch && !self.breaks(BrokenRule::ConfirmsLowerEpochs) {
            return;
        }
        let again_ms = self.now.mono_ms + JOIN_BEATS * self.config.timers.beat_ms;
        let number = self.replica.sessions + 1;
        let join = Join {
            session: number,
            term,
            store: facts.store,
            incomplete: facts.incomplete,
            log: facts.log.newest_terms(),
        };
        self.replica.sessions = number;
        self.replica.session = Some(Session {
            number,
            peer: term.inc,
            term,
            stage: Stage::Joining { again_ms },
        });
        self.say(Body::Join(join));
        self.wake(Some(again_ms));
    }

    /// The active answers the join: rule 2's conditions are checked, then the log is followed.
    pub(super) fn learn_sync(&mut self, peer: Incarnation, sync: Sync) {
        let joining = self.replica.session.filter(|it| {
            matches!(it.stage, Stage::Joining { .. })
                && (it.number, it.peer, it.term) == (sync.session, peer, sync.term)
        });
        let Some(session) = joining.filter(|it| {
            self.phase == Phase::Standby && self.replica.frozen && self.leader() == Some(it.term)
        }) else {
            return;
        };
        let Some(facts) = &mut self.replica.facts else {
            return;
        };
        match sync.cut {
            Cut::After(position) => {
                if !facts.log.has(position) {
                    return;
                }
                facts.log = facts.log.cut(position);
            }
            Cut::Everything { .. } => {
                facts.log = Log::default();
                facts.incomplete = true;
            }
        }
        let stage = Stage::Following {
            // That is on the disk already: where nothing more is written, nothing else would ever be confirmed.
            end: match sync.cut {
                Cut::After(position) => Some(position),
                Cut::Everything { .. } => None,
            },
            grown_ms: self.now.mono_ms,
        };
        self.replica.session = Some(Session { stage, ..session });
        self.replica.frozen = false;
        self.push(Action::FollowLog {
            session: session.number,
            peer,
            term: session.term,
            cut: sync.cut,
        });
        self.notice(Notice::Following {
            side: self.config.side.other(),
            anew: matches!(sync.cut, Cut::Everything { .. }),
        });
        self.confirm();
    }

    /// The active has seen more of this store than the store has: it is another one from now on.
    pub(super) fn learn_renew(&mut self, peer: Incarnation, number: u64) {
        let asked = self
            .replica
            .session
            .is_some_and(|it| it.number == number && it.peer == peer);
        if !asked || self.phase != Phase::Standby || !self.replica.frozen {
            return;
        }
        self.replica.session = None;
        self.replica.frozen = false;
        self.replica.asked += 1;
        self.notice(Notice::StoreRenewed);
        self.push(Action::RenewStore);
    }

    pub(super) fn learn_progress(&mut self, number: u64, end: Position, incomplete: bool) {
        let Some(session) = &mut self.replica.session else {
            return;
        };
        let Stage::Following {
            end: confirmed,
            grown_ms,
        } = &mut session.stage
        else {
            return;
        };
        if session.number != number {
            return;
        }
        *grown_ms = self.now.mono_ms;
        if !incomplete {
            *confirmed = Some(end);
        }
        if let Some(facts) = &mut self.replica.facts {
            facts.log.grow(end);
            facts.incomplete = incomplete;
        }
        self.confirm();
    }

    /// Says what is on disk, in the session with the active; again with every beat.
    pub(super) fn confirm(&mut self) {
        let attempts = matches!(self.phase, Phase::Attempting { .. })
            && self.breaks(BrokenRule::LoadsBeforeFreeze);
        if self.replica.session.is_none() || (self.phase != Phase::Standby && !attempts) {
            return;
        }
        let leader = self.leader();
        let session = self.replica.session.filter(|it| leader == Some(it.term));
        if let Some(Session {
            number,
            stage: Stage::Following { end: Some(end), .. },
            ..
        }) = session
        {
            self.say(Body::Confirm(Confirm {
                session: number,
                end,
            }));
        }
    }
}
