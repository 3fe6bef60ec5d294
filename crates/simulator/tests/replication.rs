//! Random worlds of two stores: what must always hold in them, and that each rule that is broken on purpose is
//! found there.

use pair::{BrokenRule, Mode};
use simulator::{Mutation, Options, run};

/// How many worlds: a few seconds.
const SEEDS: u64 = 500;
/// How many worlds a broken rule may hide in.
const SEEDS_TO_CATCH: u64 = 1_000;
/// How many are looked at from the hint on.
const NEAR_HINT: u64 = 4;

fn options() -> Options {
    Options {
        mode: Mode::Replication,
        ..Options::default()
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_service_returns() {
    let mut terms_served = 0;
    for seed in 0..SEEDS {
        let outcome = run(seed, &options());
        if !outcome.violations.is_empty() {
            let traced = Options {
                traced: true,
                ..options()
            };
            let trace = run(seed, &traced).trace.join("\n");
            panic!("seed {seed}: {:#?}\n{trace}", outcome.violations);
        }
        terms_served += outcome.tally.terms_served;
    }
    // Worlds in which hardly anything happens would prove nothing.
    assert!(
        terms_served > 2 * SEEDS,
        "only {terms_served} terms served in {SEEDS} worlds"
    );
}

/// Rules of R1 to R4, and a seed that found each. That one is only where the search begins: what changes
/// the worlds moves it.
const RULES: [(Mutation, u64); 15] = [
    (Mutation::AcknowledgesBeforeSync, 0),
    (Mutation::ConfirmsBeforeSync, 83),
    (Mutation::Machine(BrokenRule::IgnoresSilence), 16),
    (Mutation::Machine(BrokenRule::AloneTooEarly), 12),
    (Mutation::Machine(BrokenRule::AdmitsBeforeGate), 10),
    (Mutation::Machine(BrokenRule::AdmitsBehind), 69),
    (Mutation::Machine(BrokenRule::ForgetsAdmission), 29),
    (Mutation::Machine(BrokenRule::ConflictIsNo), 1),
    (Mutation::Machine(BrokenRule::TakesNotInSync), 0),
    (Mutation::Machine(BrokenRule::NoRecheck), 32),
    (Mutation::Machine(BrokenRule::MembershipBySide), 5),
    (Mutation::StartUnsynced, 0),
    (Mutation::Machine(BrokenRule::ContinuesEpoch), 4),
    (Mutation::Machine(BrokenRule::ServesBeforeGate), 4),
    (Mutation::Machine(BrokenRule::MemberNotInGate), 8),
];

#[test]
fn each_broken_rule_is_found() {
    let mut hidden = Vec::new();
    for (rule, hint) in RULES {
        let broken = Options {
            broken: vec![rule],
            ..options()
        };
        let mut seeds = (hint..hint + NEAR_HINT).chain(0..SEEDS_TO_CATCH);
        let found = seeds.find_map(|seed| {
            let what = run(seed, &broken).violations.into_iter().next()?;
            Some((seed, what))
        });
        match found {
            Some((seed, what)) => println!("{rule:?}: seed {seed}: {what}"),
            None => hidden.push(format!("{rule:?}")),
        }
    }
    assert_eq!(hidden, Vec::<String>::new(), "not found");
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    let traced = Options {
        traced: true,
        ..options()
    };
    assert_eq!(run(7, &traced).trace, run(7, &traced).trace);
}
