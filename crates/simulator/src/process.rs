//! One process of a side: its machine, its driver's lanes, its clock, and what surrounds it.

use std::collections::VecDeque;

use pair::{Action, Incarnation, Machine, Role, Side, Term};

use crate::clock::Clock;
use crate::replicated::Replica;
use crate::segments::Segment;
use crate::store::History;

/// One process.
#[expect(clippy::struct_excessive_bools, reason = "independent states")]
pub(crate) struct Process {
    pub(crate) id: u8,
    pub(crate) side: Side,
    pub(crate) machine: Machine,
    /// It has not ended.
    pub(crate) runs: bool,
    pub(crate) clock: Clock,
    /// It does nothing before.
    pub(crate) frozen_until_ms: u64,
    /// Its driver hangs, but not the rest of it: what it may deliver it still delivers.
    pub(crate) stalled: bool,
    /// Where it runs, and so what it is cut off from.
    pub(crate) place: usize,
    /// When its timer is due, in the world's time.
    pub(crate) wake_ms: Option<u64>,
    /// Steps not begun yet; one is under way if `step_under_way`.
    pub(crate) steps: VecDeque<Action>,
    pub(crate) step_under_way: bool,
    /// Grows with every `DropState`: what was begun before ends unanswered.
    pub(crate) generation: u64,
    pub(crate) history: History,
    /// Segments of earlier terms that count, oldest first, and its own next one to be retired.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) next_own: u64,
    /// Segments that its entries have retired, to be removed once those have passed the gate.
    pub(crate) retiring: VecDeque<(u64, Segment)>,
    /// The term whose log it writes.
    pub(crate) term: Option<Term>,
    /// Entries written to that log, on disk or not.
    pub(crate) written: u64,
    /// Fsyncs that have not returned.
    pub(crate) unsynced: u64,
    /// Its client ports are open.
    pub(crate) open: bool,
    /// What it last showed of itself.
    pub(crate) role: Role,
    pub(crate) shown: String,
    /// What the gate has let pass: entries, and until when what depends on none may leave.
    pub(crate) released: u64,
    pub(crate) fresh_until_ms: u64,
    /// The connection it sees.
    pub(crate) link: Option<Attachment>,
    /// The newest term it gave a promise to, for the story.
    pub(crate) promised: Option<Term>,
    /// Its own disk, in replication.
    pub(crate) replica: Replica,
}

/// A process' end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attachment {
    pub(crate) connection: u32,
    /// The process at the other end.
    pub(crate) peer: u8,
    /// When it was made, and when something was last heard on it.
    pub(crate) since_ms: u64,
    pub(crate) heard_ms: u64,
    /// What it sent last arrives then: TCP keeps the order.
    pub(crate) sent_until_ms: u64,
    /// The same of entries, which have a connection of their own.
    pub(crate) data_until_ms: u64,
}

impl Process {
    pub(crate) fn new(id: u8, side: Side, machine: Machine, clock: Clock, place: usize) -> Self {
        Self {
            id,
            side,
            machine,
            runs: true,
            clock,
            frozen_until_ms: 0,
            stalled: false,
            place,
            wake_ms: None,
            steps: VecDeque::new(),
            step_under_way: false,
            generation: 0,
            history: History::new(),
            segments: VecDeque::new(),
            next_own: 1,
            retiring: VecDeque::new(),
            term: None,
            written: 0,
            unsynced: 0,
            open: false,
            role: Role::Starting,
            shown: String::new(),
            released: 0,
            fresh_until_ms: 0,
            link: None,
            promised: None,
            replica: Replica::default(),
        }
    }

    pub(crate) const fn inc(&self) -> Incarnation {
        Incarnation([self.id; 16])
    }

    pub(crate) const fn is_frozen(&self, now_ms: u64) -> bool {
        self.frozen_until_ms > now_ms
    }

    /// Whether this process has been hearing that one, all the time and just now.
    pub(crate) fn hears(&self, peer: u8, now_ms: u64, beat_ms: u64) -> bool {
        self.link.is_some_and(|link| {
            link.peer == peer
                && link.since_ms + 8 * beat_ms < now_ms
                && now_ms < link.heard_ms + 2 * beat_ms
        })
    }

    /// Whether clients find nobody there.
    pub(crate) const fn is_silent(&self, now_ms: u64) -> bool {
        !self.runs || !self.open || (self.is_frozen(now_ms) && !self.stalled)
    }

    /// Takes the driver's steps of a term back: what was begun ends unanswered.
    pub(crate) fn drop_state(&mut self, action: Action) {
        self.generation += 1;
        self.open = false;
        self.unsynced = 0;
        self.retiring.clear();
        self.term = None;
        self.fresh_until_ms = 0;
        self.step_under_way = false;
        self.steps.clear();
        self.replica.drop_state();
        self.steps.push_back(action);
    }
}

/// Index of a side in arrays.
pub(crate) const fn index(side: Side) -> usize {
    match side {
        Side::Primary => 0,
        Side::Backup => 1,
    }
}

pub(crate) const SIDES: [Side; 2] = [Side::Primary, Side::Backup];

/// How far a place can see.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// Until when the arbiter cannot be had, and how that feels.
    pub(crate) arbiter_cut_ms: u64,
    pub(crate) arbiter: Behaviour,
    /// Until when the store cannot be had, and whether it then fails rather than hangs.
    pub(crate) store_cut_ms: u64,
    pub(crate) store_fails: bool,
    /// Until when nothing that is sent from here arrives, and nothing that is sent to here.
    pub(crate) says_cut_ms: u64,
    pub(crate) hears_cut_ms: u64,
}

/// How the arbiter behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It answers.
    #[default]
    Answers,
    /// It gives no definite answer, and a write lands late or never.
    Away,
    /// It does what it is asked, and its answers are lost.
    Mute,
    /// It does not come back with an answer, definite or not, until it does something else.
    Hangs,
    /// It answers who reads; a write does not come back, and takes effect, once it does something
    /// else.
    WritesHang,
    /// Records are too large to be written.
    Full,
}
