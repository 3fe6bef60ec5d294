//! When what goes wrong: the faults of a random world, and how often each comes.

use pair::{Mode, Side};

use crate::chance::Chance;
use crate::directed::Director;
use crate::options::{Nature, Options, Setup};
use crate::process::{Behaviour, Place, SIDES, index};
use crate::world::World;

/// The longest a freeze lasts: beyond every wait of the protocol.
const MAX_FREEZE_MS: u64 = 5_000;
/// The longest a cut lasts.
const MAX_CUT_MS: u64 = 4_000;
/// A cut that does not end by itself.
const FOR_EVER: u64 = u64::MAX;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process is killed.
    Kill,
    /// A machine is lost: nobody closes its connections.
    Vanish,
    /// A process hangs.
    Freeze,
    /// A process' driver hangs, and its clients do not notice.
    Stall,
    /// A machine is suspended, and its clock with it.
    Suspend,
    /// Locks are lost while they are held.
    LoseLocks,
    /// A process hangs and its locks are lost.
    FreezeWithoutLocks,
    /// A process is asked to stop.
    Stop,
    /// A side is started again while its old process lives on, cut off.
    Twin,
    /// The link is cut in both directions.
    CutLink,
    /// The link is cut in one direction.
    CutOneWay,
    /// One side is cut off from the arbiter.
    CutArbiter,
    /// One side is cut off from the store.
    CutStore,
    /// One side is cut off from everything.
    CutMachine,
    /// The arbiter is away, hangs or is mute for both sides.
    ArbiterAway,
    /// A write's answer is lost.
    MuteOnce,
    /// Somebody wants another active, in the current epoch or in an old one.
    Request,
    /// The newest records vanish.
    RollBack,
    /// The same, while one side hangs and the other is started anew.
    RollBackAndRestart,
    /// The record vanishes.
    DeleteRecord,
    /// A side is gone for good.
    GoneForGood,
    /// A side's process ends, and its disk is replaced by an empty one.
    ReplaceDisk,
    /// A side's process ends, and its data are restored from an older copy.
    RestoreDisk,
}

impl Fault {
    /// Every fault, in the order of their numbers.
    pub const ALL: [Self; 23] = [
        Self::Kill,
        Self::Vanish,
        Self::Freeze,
        Self::Stall,
        Self::Suspend,
        Self::LoseLocks,
        Self::FreezeWithoutLocks,
        Self::Stop,
        Self::Twin,
        Self::CutLink,
        Self::CutOneWay,
        Self::CutArbiter,
        Self::CutStore,
        Self::CutMachine,
        Self::ArbiterAway,
        Self::MuteOnce,
        Self::Request,
        Self::RollBack,
        Self::RollBackAndRestart,
        Self::DeleteRecord,
        Self::GoneForGood,
        Self::ReplaceDisk,
        Self::RestoreDisk,
    ];

    /// Its name in sums.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Vanish => "machine lost",
            Self::Freeze => "freeze",
            Self::Stall => "driver hangs",
            Self::Suspend => "suspend",
            Self::LoseLocks => "locks lost",
            Self::FreezeWithoutLocks => "freeze, locks lost",
            Self::Stop => "stop",
            Self::Twin => "twin",
            Self::CutLink => "link cut",
            Self::CutOneWay => "link cut one way",
            Self::CutArbiter => "cut from arbiter",
            Self::CutStore => "cut from store",
            Self::CutMachine => "cut from all",
            Self::ArbiterAway => "arbiter away",
            Self::MuteOnce => "answer lost",
            Self::Request => "request",
            Self::RollBack => "record rolled back",
            Self::RollBackAndRestart => "rolled back, start",
            Self::DeleteRecord => "record deleted",
            Self::GoneForGood => "gone for good",
            Self::ReplaceDisk => "disk replaced",
            Self::RestoreDisk => "disk restored",
        }
    }

    /// How often it comes, compared with the others.
    const fn weight(self) -> u64 {
        match self {
            Self::Kill | Self::Freeze | Self::CutLink => 4,
            Self::CutOneWay | Self::CutMachine | Self::ArbiterAway | Self::CutArbiter => 3,
            Self::Vanish
            | Self::FreezeWithoutLocks
            | Self::Stop
            | Self::CutStore
            | Self::MuteOnce
            | Self::Request
            | Self::RollBack
            | Self::RollBackAndRestart
            | Self::Stall
            | Self::Twin => 2,
            Self::Suspend
            | Self::LoseLocks
            | Self::DeleteRecord
            | Self::GoneForGood
            | Self::ReplaceDisk
            | Self::RestoreDisk => 1,
        }
    }
}

/// What one seed's world can go wrong with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nature: Nature,
    pub(crate) setup: Setup,
    /// The faults that come, each as often as its weight says.
    faults: Vec<Fault>,
    /// In a hundred, how many of the plan's moments bring a fault.
    pub(crate) strikes: u64,
    /// The record can vanish or go back: a person may have to end the waiting.
    pub(crate) loses_records: bool,
    /// The side that is never started again.
    pub(crate) gone: Option<Side>,
}

impl Plan {
    pub(crate) fn draw(chance: &mut Chance, options: &Options) -> Self {
        // Where marks are not seen, everything else must be what the protocol takes it for.
        let honest = !options.fence_mark;
        let loses_records = chance.percent(25);
        let breaks_locks = !honest && chance.percent(40);
        let suspends = !honest && chance.percent(25);
        let locks_work = honest || chance.percent(80);
        let nature = Nature {
            same_boot: chance.percent(60),
            locks_work,
            // Of two stores nothing rests on locks.
            keeps_locks: options.mode == Mode::SharedStore && !breaks_locks && !suspends,
            linger_ms: [0, 0, 500, 2_000][index_below(chance, 4)],
            harsh_link: chance.percent(40),
            dies_in: [0, 0, 400][index_below(chance, 3)],
            pauses_in: [0, 0, 300][index_below(chance, 3)],
            sync_fails_in: [0, 0, 0, 200][index_below(chance, 4)],
            stale_listings: chance.percent(30),
            // With two stores a frozen active may repeat a delivery; no mark and no clock bounds it.
            strict: options.mode == Mode::SharedStore
                && locks_work
                && !loses_records
                && !breaks_locks
                && !suspends,
        };
        let setup = Setup {
            failback: if chance.percent(70) {
                pair::Failback::Broker
            } else {
                pair::Failback::Managed
            },
            allow_failback: chance.percent(80),
            failover_on_shutdown: chance.percent(70),
            storage_lock: chance.percent(15),
        };
        let replicates = options.mode == Mode::Replication;
        let happens = |fault: &Fault| match fault {
            Fault::ReplaceDisk | Fault::RestoreDisk => replicates,
            // Nothing rests on locks there, nor on clocks.
            Fault::LoseLocks | Fault::FreezeWithoutLocks if replicates => false,
            Fault::Suspend if replicates => true,
            Fault::LoseLocks | Fault::FreezeWithoutLocks => breaks_locks,
            Fault::Suspend => suspends,
            // Without marks a record that goes back could show a replaced term as the newest.
            Fault::RollBack | Fault::RollBackAndRestart => loses_records && !honest,
            Fault::DeleteRecord => loses_records,
            _ => true,
        };
        // Each world knows only some of the faults: what needs many of one kind comes, too.
        let mut faults: Vec<Fault> = Fault::ALL.into_iter().filter(happens).collect();
        let all = faults.clone();
        faults.retain(|_| chance.percent(50));
        if faults.is_empty() {
            faults = all;
        }
        Self {
            nature,
            setup,
            faults: faults
                .into_iter()
                .flat_map(|fault| (0..fault.weight()).map(move |_| fault))
                .collect(),
            // Where less goes wrong, the pair gets further.
            strikes: [1, 2, 4, 8][index_below(chance, 4)],
            loses_records,
            gone: None,
        }
    }

    /// Leaves what goes wrong to a director.
    pub(crate) fn direct(&mut self, director: &Director, options: &Options) {
        self.nature = director.nature(self.nature, options.fence_mark);
        self.setup = Director::setup();
        self.loses_records = director.loses_records();
    }

    /// Lets something go wrong.
    pub(crate) fn strike(&mut self, world: &mut World, chance: &mut Chance) {
        let fault = self.faults[index_below(chance, self.faults.len())];
        let side = side(chance);
        let until_ms = world.now_ms + chance.below(MAX_CUT_MS);
        let Some(id) = world.newest[index(side)] else {
            return;
        };
        world.tally.fault(fault);
        match fault {
            Fault::Kill => world.kill(id),
            Fault::Vanish => world.vanish(id),
            Fault::Freeze => world.freeze(id, chance.below(MAX_FREEZE_MS)),
            Fault::Stall => world.stall(id, chance.below(MAX_FREEZE_MS)),
            Fault::Suspend => world.suspend(id, chance.below(MAX_FREEZE_MS)),
            Fault::LoseLocks => world.lose_locks(id),
            Fault::FreezeWithoutLocks => {
                world.freeze(id, chance.below(MAX_FREEZE_MS));
                world.lose_locks(id);
            }
            Fault::Stop => world.stop(id),
            Fault::Twin => {
                if chance.percent(50) {
                    world.freeze(id, chance.below(MAX_FREEZE_MS));
                }
                let lost = place_of_the_lost(world, chance);
                if chance.percent(50) {
                    world.twin(side, self.setup, lost, Place::default());
                } else {
                    // The old one keeps its link, and the new one cannot get one.
                    let new = Place {
                        says_cut_ms: until_ms,
                        hears_cut_ms: until_ms,
                        ..Place::default()
                    };
                    let old = *world.home(side);
                    world.twin(side, self.setup, old, new);
                }
            }
            Fault::CutLink => cut_link(world, [true; 2], until_ms),
            Fault::CutOneWay => cut_link(world, SIDES.map(|it| it == side), until_ms),
            Fault::CutArbiter => cut_arbiter(world, chance, side, until_ms),
            Fault::CutStore => cut_store(world, chance, side, until_ms),
            Fault::CutMachine => {
                world.log(|| format!("{side:<7} is cut off"));
                cut_arbiter(world, chance, side, until_ms);
                if chance.percent(50) {
                    cut_store(world, chance, side, until_ms);
                }
                let home = world.home(side);
                home.says_cut_ms = until_ms;
                home.hears_cut_ms = until_ms;
            }
            Fault::ArbiterAway => {
                world.arbiter.behaviour = arbiter_fault(chance);
                world.locks_answer = chance.percent(80);
                world.troubled_until_ms = world.now_ms + chance.below(2_000);
            }
            Fault::MuteOnce => world.arbiter.mute_once = true,
            Fault::Request => world.foreign_request(side, chance.below(3)),
            Fault::RollBack | Fault::RollBackAndRestart if !world.may_roll_back() => {}
            Fault::RollBack => world.roll_back(1 + index_below(chance, 6)),
            Fault::RollBackAndRestart => {
                world.freeze(id, chance.below(MAX_FREEZE_MS));
                world.roll_back(1 + index_below(chance, 6));
                if let Some(other) = world.newest[index(side.other())] {
                    world.kill(other);
                }
                world.start(side.other(), self.setup);
            }
            Fault::DeleteRecord => world.delete_record(),
            Fault::ReplaceDisk => {
                world.kill(id);
                world.replace_disk(index(side));
            }
            Fault::RestoreDisk => {
                world.kill(id);
                world.restore_disk(index(side), index_below(chance, 30), true);
            }
            Fault::GoneForGood => {
                if self.gone.is_none() {
                    self.gone = Some(side);
                    if chance.percent(50) {
                        world.kill(id);
                    } else {
                        world.vanish(id);
                    }
                }
            }
        }
    }

    /// Starts a side, unless it is gone for good.
    pub(crate) fn start(&self, world: &mut World, side: Side) {
        if self.gone != Some(side) {
            world.start(side, self.setup);
        }
    }
}

fn side(chance: &mut Chance) -> Side {
    SIDES[index_below(chance, 2)]
}

/// An index below the length.
fn index_below(chance: &mut Chance, length: usize) -> usize {
    usize::try_from(chance.below(length as u64)).unwrap_or(0)
}

fn arbiter_fault(chance: &mut Chance) -> Behaviour {
    match chance.below(3) {
        0 => Behaviour::Mute,
        1 => Behaviour::Hangs,
        _ => Behaviour::Away,
    }
}

fn cut_link(world: &mut World, says: [bool; 2], until_ms: u64) {
    let now_ms = world.now_ms;
    world.log(|| format!("link    is cut {says:?} for {} ms", until_ms - now_ms));
    world.cut_link(says, until_ms);
}

fn cut_arbiter(world: &mut World, chance: &mut Chance, side: Side, until_ms: u64) {
    world.log(|| format!("{side:<7} is cut off from the arbiter"));
    let home = world.home(side);
    home.arbiter = arbiter_fault(chance);
    home.arbiter_cut_ms = until_ms;
}

fn cut_store(world: &mut World, chance: &mut Chance, side: Side, until_ms: u64) {
    world.log(|| format!("{side:<7} is cut off from the store"));
    let home = world.home(side);
    home.store_fails = chance.percent(30);
    home.store_cut_ms = until_ms;
}

/// What a process still sees that is believed dead: not the other side; maybe the arbiter, maybe the
/// store.
fn place_of_the_lost(world: &World, chance: &mut Chance) -> Place {
    let until_ms = |chance: &mut Chance, often| {
        if chance.percent(often) {
            world.now_ms + chance.below(2 * MAX_CUT_MS)
        } else {
            0
        }
    };
    Place {
        arbiter_cut_ms: until_ms(chance, 70),
        arbiter: arbiter_fault(chance),
        store_cut_ms: until_ms(chance, 50),
        store_fails: false,
        says_cut_ms: FOR_EVER,
        hears_cut_ms: FOR_EVER,
    }
}
