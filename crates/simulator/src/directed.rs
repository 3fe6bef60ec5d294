//! Worlds that bring one situation again and again, which random faults bring too seldom.
//!
//! A broken rule that needs a rare meeting of faults is looked for here; a machine that keeps every
//! rule must come through the same worlds. Nothing else goes wrong in them.

use pair::{Cause, Failback, Locks, Member, Mode, Notice, Record, Role, Side};

use crate::chance::Chance;
use crate::options::{Nature, Setup};
use crate::process::{Behaviour, Place, Process, SIDES};
use crate::world::World;

/// A meeting of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// A takeover on silence hangs on its way to the arbiter while the link heals and is cut again;
    /// then it lands. The active has no arbiter meanwhile.
    HangingTakeover,
    /// The same after a handover: the taker's write hangs for longer than the old active waits.
    HangingHandover,
    /// A standby is believed dead and replaced, but lives on beside the new one: it has the arbiter,
    /// the new one has the link, and the active has no arbiter.
    KeptTwin,
    /// A taker stops between its win and its marks, loses its locks, and is replaced meanwhile.
    LateMark,
    /// Where locks are known not to work, a member that takes over on silence dies as soon as it has
    /// won: before it may have removed the other one, who then is the only one to go on.
    DyingTaker,
    /// A record is lost after a takeover on silence, of which the old active has not heard when it has
    /// the arbiter again; the new one has it not.
    LostRecord,
}

impl Situation {
    const ALL: [Self; 6] = [
        Self::HangingTakeover,
        Self::HangingHandover,
        Self::KeptTwin,
        Self::LateMark,
        Self::DyingTaker,
        Self::LostRecord,
    ];

    /// Its name on a command line.
    const fn name(self) -> &'static str {
        match self {
            Self::HangingTakeover => "hanging-takeover",
            Self::HangingHandover => "hanging-handover",
            Self::KeptTwin => "kept-twin",
            Self::LateMark => "late-mark",
            Self::DyingTaker => "dying-taker",
            Self::LostRecord => "lost-record",
        }
    }

    /// The situation of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// How often a round begins, in a hundred moments in which it could.
const BEGINS_PERCENT: u64 = 20;

/// Something that happens later in a round.
#[derive(Clone, Copy, Debug)]
enum Step {
    CutLink {
        for_ms: u64,
    },
    CutArbiter {
        side: Side,
        until_ms: u64,
    },
    /// The record is deleted, and this side does not see it.
    DeleteRecord {
        unseen_by: Side,
    },
    EndTwins,
    /// The end of a round: the next one may begin.
    Over,
}

/// Brings a situation about.
#[derive(Debug)]
pub(crate) struct Director {
    situation: Situation,
    /// What is yet to happen in this round, in no order.
    steps: Vec<(u64, Step)>,
}

impl Director {
    pub(crate) const fn new(situation: Situation) -> Self {
        Self {
            situation,
            steps: Vec::new(),
        }
    }

    /// What the world is like in which the situation comes.
    pub(crate) fn nature(&self, nature: Nature, fence_mark: bool) -> Nature {
        let late = self.situation == Situation::LateMark;
        let dying = self.situation == Situation::DyingTaker;
        Nature {
            same_boot: nature.same_boot,
            locks_work: !dying,
            keeps_locks: !late,
            strict: !late && !dying && fence_mark,
            ..Nature::calm()
        }
    }

    /// Whether the record can vanish, which a person may have to mend.
    pub(crate) fn loses_records(&self) -> bool {
        self.situation == Situation::LostRecord
    }

    /// What the sides are set to: no switchover but those of the situation.
    pub(crate) fn setup() -> Setup {
        Setup {
            failback: Failback::Managed,
            ..Setup::default()
        }
    }

    /// The record that the world begins with.
    pub(crate) fn first(&self) -> Record {
        let dying = self.situation == Situation::DyingTaker;
        Record {
            locks: dying.then_some(Locks::Broken),
            ..Record::first("node", Mode::SharedStore)
        }
    }

    /// Goes on with the round, or begins one.
    pub(crate) fn direct(&mut self, world: &mut World, chance: &mut Chance) {
        let now_ms = world.now_ms;
        let steps = std::mem::take(&mut self.steps);
        for (at_ms, step) in steps {
            if at_ms <= now_ms {
                Self::take(world, step);
            } else {
                self.steps.push((at_ms, step));
            }
        }
        if self.steps.is_empty()
            && let Some((active, standby)) = pair_at_work(world)
            && chance.percent(BEGINS_PERCENT)
        {
            self.begin(world, chance, active, standby);
        }
    }

    fn later(&mut self, at_ms: u64, step: Step) {
        self.steps.push((at_ms, step));
    }

    fn take(world: &mut World, step: Step) {
        let now_ms = world.now_ms;
        match step {
            Step::CutLink { for_ms } => world.cut_link([true; 2], now_ms + for_ms),
            Step::CutArbiter { side, until_ms } => cut_arbiter(world, side, until_ms),
            Step::DeleteRecord { unseen_by } => {
                let until_ms = now_ms + world.timers.hold_close_ms;
                cut_arbiter(world, unseen_by, until_ms);
                world.delete_record();
            }
            Step::EndTwins => world.end_twins(),
            Step::Over => world.doomed = None,
        }
    }

    fn begin(&mut self, world: &mut World, chance: &mut Chance, active: Side, standby: Side) {
        let now_ms = world.now_ms;
        let timers = world.timers;
        let situation = self.situation;
        world.log(|| format!("a round of {situation:?} begins"));
        // A member takes over so long after the last word.
        let silence_ms = timers.lost_after_ms + timers.grace_ms;
        match situation {
            Situation::HangingTakeover => {
                let healed_ms = silence_ms + 50 + chance.below(400);
                world.cut_link([true; 2], now_ms + healed_ms);
                self.hang_and_land(world, chance, active, healed_ms);
            }
            Situation::HangingHandover => {
                world.foreign_request(standby, 0);
                let resumes_ms = timers.handover_ms + chance.below(300);
                self.hang_and_land(world, chance, active, resumes_ms);
            }
            Situation::KeptTwin => {
                let until_ms = now_ms + 3 * silence_ms;
                cut_arbiter(world, active, until_ms);
                let old = Place {
                    says_cut_ms: u64::MAX,
                    hears_cut_ms: u64::MAX,
                    ..Place::default()
                };
                world.twin(standby, Self::setup(), old, Place::default());
                // The new one has read who is active; it does not learn who comes after.
                let read_ms = now_ms + 2 * timers.beat_ms + chance.below(timers.lost_after_ms);
                let side = standby;
                self.later(read_ms, Step::CutArbiter { side, until_ms });
                self.later(until_ms, Step::EndTwins);
                self.later(until_ms + timers.lost_after_ms, Step::Over);
            }
            Situation::LateMark => {
                if let Some(id) = world.newest(active).map(|process| process.id) {
                    world.freeze(id, 50 + chance.below(400));
                    world.lose_locks(id);
                }
                self.later(now_ms + 2_000, Step::Over);
            }
            Situation::DyingTaker => {
                let until_ms = now_ms + silence_ms + 400 + chance.below(600);
                world.cut_link([true; 2], until_ms);
                cut_arbiter(world, active, until_ms);
                world.doomed = Some(standby);
                self.later(until_ms + 500, Step::Over);
            }
            Situation::LostRecord => {
                let taken_ms = now_ms + silence_ms + 20 + chance.below(200);
                let unseen_by = standby;
                world.cut_link([true; 2], taken_ms + 2_000);
                cut_arbiter(world, active, taken_ms + 50);
                self.later(taken_ms, Step::DeleteRecord { unseen_by });
                self.later(taken_ms + 3_000, Step::Over);
            }
        }
    }

    /// Writes hang, and the active has no arbiter; some time after this the link is cut, and then what
    /// hung lands.
    fn hang_and_land(&mut self, world: &mut World, chance: &mut Chance, active: Side, in_ms: u64) {
        let now_ms = world.now_ms;
        let cut_ms = now_ms + in_ms + 2 * world.timers.beat_ms + chance.below(300);
        let land_ms = cut_ms + chance.below(300);
        world.arbiter.behaviour = Behaviour::WritesHang;
        world.troubled_until_ms = land_ms;
        let until_ms = land_ms + 400;
        if let Some(id) = world.newest(active).map(|process| process.id) {
            let place = world.peek(id).place;
            world.places[place].arbiter = Behaviour::Hangs;
            world.places[place].arbiter_cut_ms = until_ms;
        }
        self.later(cut_ms, Step::CutLink { for_ms: 800 });
        self.later(until_ms + 500, Step::Over);
    }
}

/// The active and its standby, if one serves and the other is in sync.
fn pair_at_work(world: &World) -> Option<(Side, Side)> {
    let active = SIDES
        .into_iter()
        .find(|side| world.role(*side) == Some(Role::Serving))?;
    let standby = active.other();
    let inc = world.newest(standby).map(Process::inc)?;
    let member = Member::process(standby, inc);
    let record = world.arbiter.record.as_ref()?;
    let in_sync = record.record.in_sync.contains(&member);
    (in_sync && world.role(standby) == Some(Role::Standby)).then_some((active, standby))
}

fn cut_arbiter(world: &mut World, side: Side, until_ms: u64) {
    world.log(|| format!("{side:<7} is cut off from the arbiter"));
    let home = world.home(side);
    home.arbiter = Behaviour::Hangs;
    home.arbiter_cut_ms = until_ms;
}

impl World {
    /// The taker that is to die in this round has won, and dies. One that took over on the old active's
    /// own word is alone in sync by right, and spared.
    pub(crate) fn kill_the_doomed(&mut self, id: u8, notice: &Notice) {
        let Notice::TookOver { cause, .. } = notice else {
            return;
        };
        if self.doomed == Some(self.peek(id).side) && *cause == Cause::ActiveSilent {
            self.doomed = None;
            self.kill(id);
        }
    }

    /// A taker stops before it marks anything: nothing of it goes on, it sees nobody for a while
    /// after that, and its locks are lost. If it does, its marks land so much later.
    pub(crate) fn stops_before_marking(&mut self, id: u8) -> Option<u64> {
        let late = self.options.situation == Some(Situation::LateMark);
        if !late || !self.chance.percent(60) {
            return None;
        }
        let for_ms = 500 + self.chance.below(1_000);
        self.freeze(id, for_ms);
        self.lose_locks(id);
        let place = self.peek(id).place;
        let until_ms = self.now_ms + for_ms + 400;
        self.places[place] = Place {
            arbiter: Behaviour::Hangs,
            arbiter_cut_ms: until_ms,
            says_cut_ms: until_ms,
            hears_cut_ms: until_ms,
            ..Place::default()
        };
        Some(for_ms)
    }
}
