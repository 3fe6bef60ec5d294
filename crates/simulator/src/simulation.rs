//! A random world on a seed.
//!
//! What it checks: nothing acknowledged is missing from a later serving term (I1, I2), no epoch
//! serves twice (I4), also when the record is rolled back; and when the faults are over somebody acknowledges again (I7).

use crate::chance::Chance;
use crate::world::{Arbiter, Mutation, Setup, World};
use pair::{Failback, Mode, Record, Role, Side, Timers, Wanted};

/// How long things go wrong, and how long the pair has to recover after that.
const FAULTS_MS: u64 = 15_000;
const RECOVERY_MS: u64 = 30_000;
/// A person mends a lost record that nobody else could make again by then.
const RESTORE_MS: u64 = 8_000;
/// Somebody must acknowledge in the last part of the recovery.
const PROOF_MS: u64 = 12_000;

/// What one seed brings.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What should never happen, and did.
    pub violations: Vec<String>,
    /// How many terms served.
    pub terms_served: usize,
    /// The story, if it was asked for.
    pub trace: Vec<String>,
}

fn setup(chance: &mut Chance) -> Setup {
    Setup {
        failback: if chance.percent(70) {
            Failback::Broker
        } else {
            Failback::Managed
        },
        allow_failback: chance.percent(80),
        failover_on_shutdown: chance.percent(70),
    }
}

fn side(chance: &mut Chance) -> Side {
    if chance.percent(50) {
        Side::Primary
    } else {
        Side::Backup
    }
}

/// Lives through the world of a seed.
pub fn run(seed: u64, mutation: Option<Mutation>, traced: bool) -> Outcome {
    let mut chance = Chance::seeded(seed);
    let mut world = World::new(Chance::seeded(seed ^ 0x5eed));
    world.trace = traced.then(Vec::new);
    world.mutation = mutation;
    // Fewer tests of locks, so that there is time for more seeds.
    world.timers = Timers {
        probe_ms: 100,
        ..Timers::default()
    };
    world.same_boot = chance.percent(60);
    world.locks_work = chance.percent(80);
    // Where records vanish, both sides wait most of the time.
    let rolls_back = chance.percent(25);
    world.write_record(Record::first("node", Mode::SharedStore));
    let settings = setup(&mut chance);
    world.start(Side::Primary, settings);
    world.start(Side::Backup, settings);

    let mut arbiter_back_ms = 0;
    while world.now_ms < FAULTS_MS {
        world.run_until(world.now_ms + 10 + chance.below(40));
        clients_write(&mut world);
        if world.now_ms >= arbiter_back_ms {
            world.arbiter = Arbiter::Answers;
            world.locks_answer = true;
        }
        // A process that ended is started again, sooner or later.
        for it in [Side::Primary, Side::Backup] {
            if chance.percent(6) {
                world.start(it, settings);
            }
        }
        // A taker dies between its takeover and its service.
        for it in [Side::Primary, Side::Backup] {
            if world.role(it) == Some(Role::Preparing) && chance.percent(10) {
                world.kill(it);
            }
        }
        if !chance.percent(8) {
            continue;
        }
        let whom = side(&mut chance);
        match chance.below(if rolls_back { 12 } else { 10 }) {
            0 | 1 => world.kill(whom),
            2 | 3 => world.freeze(whom, chance.below(6_000)),
            4 => world.lose_locks(whom),
            8 => {
                // A machine that is cut off from its storage for long, or suspended.
                world.freeze(whom, chance.below(6_000));
                world.lose_locks(whom);
            }
            5 => world.stop(whom),
            6 => {
                let to = side(&mut chance);
                foreign_request(&mut world, to, chance.below(3));
            }
            7 => world.mute_once = true,
            10 => world.roll_back(lost(&mut chance)),
            11 => {
                // The arbiter's disk is restored from a copy while one side hangs and the other is
                // started anew.
                world.freeze(whom, chance.below(6_000));
                world.roll_back(lost(&mut chance));
                world.kill(whom.other());
                world.start(whom.other(), settings);
            }
            _ => {
                world.arbiter = match chance.below(3) {
                    0 => Arbiter::Mute,
                    1 => Arbiter::Hangs,
                    _ => Arbiter::Away,
                };
                world.locks_answer = chance.percent(80);
                arbiter_back_ms = world.now_ms + chance.below(2_000);
            }
        }
    }
    recover(&mut world, settings);
    let mut violations = std::mem::take(&mut world.store.violations);
    let before = world.store.acknowledged();
    while world.now_ms < FAULTS_MS + RECOVERY_MS {
        world.run_until(world.now_ms + 100);
        clients_write(&mut world);
    }
    violations.append(&mut world.store.violations);
    if world.store.acknowledged() == before {
        violations.push("I7: nobody acknowledges although the faults are over".to_owned());
    }
    let terms_served = world.store.terms_served();
    Outcome {
        violations,
        terms_served,
        trace: world.trace.unwrap_or_default(),
    }
}

/// How many of the newest records vanish.
fn lost(chance: &mut Chance) -> usize {
    1 + usize::try_from(chance.below(6)).unwrap_or(0)
}

fn clients_write(world: &mut World) {
    for it in [Side::Primary, Side::Backup] {
        world.client_writes(it);
    }
}

/// A request of a decider, in the current epoch or in one it read a while ago.
fn foreign_request(world: &mut World, to: Side, behind: u64) {
    let Some(newest) = world.record.clone() else {
        return;
    };
    let epoch = newest.record.epoch.saturating_sub(behind);
    world.log(|| format!("somebody wants {to} in epoch {epoch}"));
    let wanted = Wanted {
        to,
        epoch,
        id: "foreign".to_owned(),
    };
    world.write_record(newest.record.with_wanted(wanted));
}

/// Ends the faults and gives the pair its time.
fn recover(world: &mut World, settings: Setup) {
    world.arbiter = Arbiter::Answers;
    world.locks_answer = true;
    world.log(|| "the faults are over".to_owned());
    let until_ms = FAULTS_MS + RECOVERY_MS - PROOF_MS;
    let mut mended = false;
    while world.now_ms < until_ms {
        for it in [Side::Primary, Side::Backup] {
            world.start(it, settings);
        }
        // A lost record is made again by the holder that lives, or else by a person.
        let serves = [Side::Primary, Side::Backup]
            .into_iter()
            .any(|it| world.role(it) == Some(Role::Serving));
        if !mended && !serves && world.now_ms > FAULTS_MS + RESTORE_MS {
            mended = true;
            world.free_the_record();
        }
        world.run_until(world.now_ms + 100);
        clients_write(world);
    }
}

/// Ten minutes without any fault: the record's version and epoch at the end, and both roles.
pub fn quiet() -> (u64, u64, [Option<Role>; 2]) {
    let mut world = World::new(Chance::none());
    world.write_record(Record::first("node", Mode::SharedStore));
    world.start(Side::Primary, Setup::default());
    world.start(Side::Backup, Setup::default());
    world.run_until(600_000);
    let newest = world.record.as_ref();
    let (version, epoch) = newest.map_or((0, 0), |it| (it.version, it.record.epoch));
    let roles = [Side::Primary, Side::Backup].map(|side| world.role(side));
    (version, epoch, roles)
}
