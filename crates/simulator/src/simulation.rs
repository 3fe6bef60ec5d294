//! The life of one seed's world: faults, then none, and what must be true all the time and at the end.

use pair::{Member, Mode, Record, Role, Side, Timers};

use crate::chance::Chance;
use crate::directed::Director;
use crate::options::{Nature, Options, Setup};
use crate::plan::Plan;
use crate::process::{Behaviour, Process, SIDES, index};
use crate::tally::Tally;
use crate::world::World;

/// How long things go wrong, and how long the pair has to recover after that.
const FAULTS_MS: u64 = 10_000;
const RECOVERY_MS: u64 = 14_000;
/// A person mends a record that nobody else could make again by then.
const RESTORE_MS: u64 = 5_000;
/// Somebody must acknowledge in the last part of the recovery.
const PROOF_MS: u64 = 4_000;
/// A process that ended is started again within some of these chances, at each tick.
const RESTART_PERCENT: u64 = 6;

/// What one seed brings.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What should never happen, and did.
    pub violations: Vec<String>,
    /// What happened.
    pub tally: Tally,
    /// The story, if it was asked for.
    pub trace: Vec<String>,
}

/// The times of a random world: short ones, so that more happens in it, in the same relations.
fn timers() -> Timers {
    Timers {
        grace_ms: 200,
        hold_close_ms: 1_000,
        readmit_ms: 400,
        readmit_max_ms: 1_600,
        readmit_forget_ms: 10_000,
        cold_start_ms: 1_000,
        // Fewer tests of locks, so that there is time for more seeds.
        probe_ms: 50,
        handover_ms: 800,
        unused_handover_ms: 1_500,
        ask_again_ms: 2_000,
        ask_again_max_ms: 4_000,
        stop_ms: 1_500,
        ..Timers::new(100, 800).unwrap()
    }
}

/// Lives through the world of a seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    // Two sources, so that what a broken rule changes in the world does not change the plan.
    let mut chance = Chance::seeded(seed, 1);
    let mut plan = Plan::draw(&mut chance, options);
    let mut director = options.situation.map(Director::new);
    if let Some(director) = &director {
        plan.direct(director, options);
    }
    let luck = Chance::seeded(seed ^ 0x5eed, 1_500);
    let mut world = World::new(luck, plan.nature, options.clone());
    world.timers = timers();
    let first = director
        .as_ref()
        .map_or_else(|| Record::first("node", options.mode), Director::first);
    world.write_record(first);
    for side in SIDES {
        plan.start(&mut world, side);
    }
    while world.now_ms < FAULTS_MS {
        world.run_until(world.now_ms + 10 + chance.below(40));
        world.clients_work();
        if world.replicates() && chance.percent(1) {
            let side = SIDES[usize::from(chance.percent(50))];
            if let Some(id) = world.newest(side).map(|process| process.id) {
                world.retire_log(id);
            }
        }
        if world.now_ms >= world.troubled_until_ms {
            world.arbiter.behaviour = Behaviour::Answers;
            world.locks_answer = true;
        }
        for side in SIDES {
            if chance.percent(RESTART_PERCENT) {
                plan.start(&mut world, side);
            }
            // A taker dies between its takeover and its service.
            if director.is_none()
                && world.role(side) == Some(Role::Preparing)
                && chance.percent(plan.strikes)
            {
                let id = world.newest(side).map(|process| process.id);
                if let Some(id) = id {
                    world.kill(id);
                    if world.replicates() && chance.percent(20) {
                        world.replace_disk(index(side));
                    }
                }
            }
        }
        if let Some(director) = &mut director {
            director.direct(&mut world, &mut chance);
        } else if chance.percent(plan.strikes) {
            plan.strike(&mut world, &mut chance);
        }
    }
    // A write heals some of what went wrong: in every other world nobody writes before the proof.
    let quiet = seed % 2 == 1;
    recover(&mut world, &plan, quiet);
    if quiet {
        prove_in_sync(&mut world, &plan);
    }
    prove(&mut world, &plan);
    world.tally.seeds = 1;
    world.tally.terms_served = world.ledger.terms_served();
    world.tally.acknowledged = world.ledger.acknowledged();
    world.tally.deliveries = world.ledger.deliveries;
    Outcome {
        violations: world.ledger.violations,
        tally: world.tally,
        trace: world.trace.unwrap_or_default(),
    }
}

/// Ends the faults and gives the pair its time.
fn recover(world: &mut World, plan: &Plan, quiet: bool) {
    world.log(|| "the faults are over".to_owned());
    world.arbiter.behaviour = Behaviour::Answers;
    world.arbiter.mute_once = false;
    world.locks_answer = true;
    world.chance.hurry();
    world.nature.dies_in = 0;
    world.nature.pauses_in = 0;
    world.nature.sync_fails_in = 0;
    world.nature.harsh_link = false;
    world.end_twins();
    world.heal();
    let mut mended = false;
    while world.now_ms < FAULTS_MS + RECOVERY_MS - PROOF_MS {
        for side in SIDES {
            plan.start(world, side);
        }
        // A lost record is made again by the holder that lives, or else by a person.
        let serves = SIDES
            .into_iter()
            .any(|it| world.role(it) == Some(Role::Serving));
        if !mended && !serves && world.now_ms > FAULTS_MS + RESTORE_MS && is_a_persons(world, plan)
        {
            mended = true;
            if world.replicates() {
                world.end_the_stop();
            } else {
                world.free_the_record();
            }
        }
        world.run_until(world.now_ms + 100);
        if !quiet {
            world.clients_work();
        }
    }
}

/// Whether only a person can end the waiting: the record was lost, the store's locks do not work, or
/// the side that is gone for good had been stopped on purpose.
fn is_a_persons(world: &World, plan: &Plan) -> bool {
    let record = world.arbiter.record.as_ref();
    let stopped = record.and_then(|newest| newest.record.stopped);
    // Where a situation is directed the pair mends everything else itself.
    let directed = world.options.situation.is_some();
    plan.loses_records
        || (!directed
            && (!plan.nature.locks_work
                || !plan.nature.strict
                || (stopped.is_some() && stopped == plan.gone)))
}

/// I7: an entry is acknowledged again, and both sides are members.
fn prove(world: &mut World, plan: &Plan) {
    let before = world.ledger.acknowledged();
    while world.now_ms < FAULTS_MS + RECOVERY_MS {
        world.run_until(world.now_ms + 100);
        world.clients_work();
    }
    if world.replicates() && world.lacks_the_newest_data(plan.gone) {
        if !plan.loses_records {
            world.check_lock_out(plan.gone);
        }
        return;
    }
    if world.ledger.acknowledged() == before {
        let what = "I7: nobody acknowledges although the faults are over".to_owned();
        world.ledger.violated(what);
    }
    prove_in_sync(world, plan);
}

/// I7: both sides are members.
fn prove_in_sync(world: &mut World, plan: &Plan) {
    if world.replicates() && world.lacks_the_newest_data(plan.gone) {
        return;
    }
    let both = SIDES.map(|side| world.newest(side).map(Process::inc));
    if plan.gone.is_none() {
        for (side, inc) in SIDES.into_iter().zip(both) {
            let member = if world.replicates() {
                Some(Member::store(side, world.store_of(side)))
            } else {
                inc.map(|inc| Member::process(side, inc))
            };
            if !member.is_some_and(|member| members(world).contains(&member)) {
                let what = format!("I7: the {side} is not in sync although the faults are over");
                world.ledger.violated(what);
            }
        }
    }
}

/// The members in the record.
fn members(world: &World) -> &[Member] {
    let record = world.arbiter.record.as_ref();
    record.map_or(&[], |newest| &newest.record.in_sync)
}

/// What ten minutes without any fault bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Takeovers in all.
    pub takeovers: u64,
    /// Further writes of the record until both sides were settled.
    pub further_writes: u64,
    /// Writes of the record in the ten minutes after that.
    pub later_writes: u64,
    /// What the two sides are at the end.
    pub roles: [Option<Role>; 2],
}

/// Ten minutes without any fault.
pub fn quiet() -> Quiet {
    let mut world = World::new(Chance::none(), Nature::calm(), Options::default());
    world.write_record(Record::first("node", Mode::SharedStore));
    world.start(Side::Primary, Setup::default());
    world.start(Side::Backup, Setup::default());
    world.run_until(10_000);
    let early = world.tally.writes;
    world.run_until(610_000);
    let takeovers = world.tally.takeovers.iter().map(|(_, times)| times).sum();
    Quiet {
        takeovers,
        further_writes: early - takeovers,
        later_writes: world.tally.writes - early,
        roles: SIDES.map(|side| world.role(side)),
    }
}
