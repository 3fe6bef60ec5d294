//! A random world on a seed, and the proof that it finds broken rules.
//!
//! What it checks: nothing acknowledged is missing from a later serving term (I1, I2), no epoch
//! serves twice (I4), also when the record is rolled back; and when the faults are over somebody acknowledges again (I7).

use super::chance::Chance;
use super::world::{Arbiter, Mutation, Setup, World};
use crate::machine::broken::Broken;
use crate::{Failback, Mode, Record, Role, Side, Timers, Wanted};

/// How many worlds each test makes: a few seconds of a debug build.
const SEEDS: u64 = 500;
/// Asks for more worlds than `SEEDS`.
const SEEDS_VARIABLE: &str = "TANDEM_PAIR_SEEDS";
/// How many worlds a broken rule may hide in; most are found within ten.
const SEEDS_TO_CATCH: u64 = 2_000;

/// How long things go wrong, and how long the pair has to recover after that.
const FAULTS_MS: u64 = 15_000;
const RECOVERY_MS: u64 = 30_000;
/// A person mends a lost record that nobody else could make again by then.
const RESTORE_MS: u64 = 8_000;
/// Somebody must acknowledge in the last part of the recovery.
const PROOF_MS: u64 = 12_000;

/// What one seed brings.
struct Outcome {
    violations: Vec<String>,
    terms_served: usize,
    trace: Vec<String>,
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

fn run(seed: u64, mutation: Option<Mutation>, traced: bool) -> Outcome {
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

#[test]
fn nothing_acknowledged_is_lost_and_service_returns() {
    let mut terms_served = 0;
    let asked = std::env::var(SEEDS_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    let seeds = asked.unwrap_or(SEEDS);
    for seed in 0..seeds {
        let outcome = run(seed, None, false);
        if !outcome.violations.is_empty() {
            let trace = run(seed, None, true).trace.join("\n");
            panic!("seed {seed}: {:#?}\n{trace}", outcome.violations);
        }
        terms_served += outcome.terms_served;
    }
    // A world in which hardly anything happens would prove nothing.
    assert!(
        terms_served as u64 > 4 * SEEDS,
        "only {terms_served} terms served in {SEEDS} worlds"
    );
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    assert_eq!(run(7, None, true).trace, run(7, None, true).trace);
}

#[test]
fn without_faults_the_first_primary_serves_for_ever_and_writes_once() {
    let mut world = World::new(Chance::none());
    world.write_record(Record::first("node", Mode::SharedStore));
    world.start(Side::Primary, Setup::default());
    world.start(Side::Backup, Setup::default());
    world.run_until(600_000);
    let newest = world.record.clone().unwrap();
    assert_eq!(
        (newest.version, newest.record.epoch),
        (2, 1),
        "one takeover, no other write"
    );
    assert_eq!(world.role(Side::Primary), Some(Role::Serving));
    assert_eq!(world.role(Side::Backup), Some(Role::Standby));
}

/// How the first world looks in which a broken rule is found.
fn caught(mutation: Mutation) -> (u64, String) {
    (0..SEEDS_TO_CATCH)
        .find_map(|seed| {
            Some((
                seed,
                run(seed, Some(mutation), false)
                    .violations
                    .into_iter()
                    .next()?,
            ))
        })
        .unwrap_or_else(|| panic!("{mutation:?} was not found in {SEEDS_TO_CATCH} worlds"))
}

#[test]
fn broken_rules_are_found() {
    for (mutation, invariants) in [
        (Mutation::GateWithoutMark, ["I1", "I2"]),
        (Mutation::MarkBeforeSync, ["I1", "I2"]),
        (Mutation::LoadBeforeFence, ["I1", "I2"]),
        (Mutation::FencesOnlyPredecessor, ["I1", "I2"]),
        (Mutation::FencesOnlyListed, ["I1", "I2"]),
        (Mutation::Machine(Broken::ContinuesEpoch), ["I4", "I7"]),
    ] {
        let (seed, violation) = caught(mutation);
        println!("{mutation:?}: seed {seed}: {violation}");
        let found = invariants
            .iter()
            .any(|invariant| violation.starts_with(invariant));
        assert!(
            found,
            "{mutation:?}: seed {seed}: {violation}\n{}",
            run(seed, Some(mutation), true).trace.join("\n")
        );
    }
}
