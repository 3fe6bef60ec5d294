//! Random worlds of two stores: what must always hold in them, and that each rule that is broken on purpose is
//! found there.

use pair::{BrokenRule, Mode};
use simulator::{Mutation, Options, run};

/// How many worlds: a few seconds.
const SEEDS: u64 = 500;
/// How many worlds a broken rule may hide in.
const SEEDS_TO_CATCH: u64 = 6_000;
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

/// The rules (R1 to R6), and a seed that found it. That one is only where the search begins: what changes
/// the worlds moves it.
const RULES: [(Mutation, u64); 23] = [
    (Mutation::AcknowledgesBeforeSync, 0),
    (Mutation::ConfirmsBeforeSync, 0),
    (Mutation::Machine(BrokenRule::IgnoresSilence), 0),
    (Mutation::Machine(BrokenRule::AloneTooEarly), 0),
    (Mutation::Machine(BrokenRule::AdmitsBeforeGate), 0),
    (Mutation::Machine(BrokenRule::AdmitsBehind), 0),
    (Mutation::Machine(BrokenRule::ForgetsAdmission), 0),
    (Mutation::Machine(BrokenRule::ConflictIsNo), 0),
    (Mutation::Machine(BrokenRule::TakesNotInSync), 0),
    (Mutation::Machine(BrokenRule::NoRecheck), 0),
    (Mutation::Machine(BrokenRule::MembershipBySide), 0),
    (Mutation::Machine(BrokenRule::TakesAlone), 0),
    (Mutation::StartUnsynced, 0),
    (Mutation::Machine(BrokenRule::ContinuesEpoch), 0),
    (Mutation::Machine(BrokenRule::ServesBeforeGate), 0),
    (Mutation::Machine(BrokenRule::LoadsBeforeFreeze), 0),
    (Mutation::Machine(BrokenRule::ConfirmsLowerEpochs), 0),
    (Mutation::Machine(BrokenRule::MemberNotInGate), 0),
    (Mutation::Machine(BrokenRule::OldSessionCounts), 0),
    (Mutation::Machine(BrokenRule::CommonByLength), 0),
    (Mutation::Machine(BrokenRule::BlindRewrite), 0),
    (Mutation::Machine(BrokenRule::OneReport), 0),
    (Mutation::Machine(BrokenRule::ByEpochsSeen), 0),
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
