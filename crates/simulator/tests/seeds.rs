//! Random worlds, and the proof that they find broken rules.

use pair::{BrokenRule, Role};
use simulator::{Mutation, quiet, run};

/// How many worlds each test makes: a few seconds of a debug build.
const SEEDS: u64 = 500;
/// Asks for more worlds than `SEEDS`.
const SEEDS_VARIABLE: &str = "TANDEM_SEEDS";
/// How many worlds a broken rule may hide in; most are found within ten.
const SEEDS_TO_CATCH: u64 = 2_000;

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
    let roles = [Some(Role::Serving), Some(Role::Standby)];
    assert_eq!(quiet(), (2, 1, roles), "one takeover, no other write");
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
        (Mutation::Machine(BrokenRule::ContinuesEpoch), ["I4", "I7"]),
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
