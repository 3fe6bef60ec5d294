//! Random worlds: what must always hold in them, and the proof that something happens there.

use pair::Role;
use simulator::{Options, quiet, run};

/// How many worlds of each kind: a few seconds.
const SEEDS: u64 = 500;

/// No world of these seeds breaks an invariant, and enough happens in them.
fn all_hold(options: &Options) {
    let (mut terms_served, mut segments_removed) = (0, 0);
    for seed in 0..SEEDS {
        let outcome = run(seed, options);
        if !outcome.violations.is_empty() {
            let traced = Options {
                traced: true,
                ..options.clone()
            };
            let trace = run(seed, &traced).trace.join("\n");
            panic!("seed {seed}: {:#?}\n{trace}", outcome.violations);
        }
        terms_served += outcome.tally.terms_served;
        segments_removed += outcome.tally.segments_removed;
    }
    // Worlds in which hardly anything happens would prove nothing.
    assert!(
        terms_served > 2 * SEEDS,
        "only {terms_served} terms served in {SEEDS} worlds"
    );
    assert!(
        segments_removed > 10 * SEEDS,
        "only {segments_removed} segments removed in {SEEDS} worlds"
    );
}

#[test]
fn nothing_acknowledged_is_lost_and_service_returns() {
    all_hold(&Options::default());
}

#[test]
fn promises_and_locks_do_without_marks_where_clocks_and_locks_can_be_trusted() {
    all_hold(&Options {
        fence_mark: false,
        ..Options::default()
    });
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    let traced = Options {
        traced: true,
        ..Options::default()
    };
    assert_eq!(run(7, &traced).trace, run(7, &traced).trace);
}

#[test]
fn without_faults_the_first_primary_serves_for_ever_and_writes_nothing() {
    let quiet = quiet();
    assert_eq!(quiet.takeovers, 1);
    assert!(quiet.further_writes <= 2, "{quiet:?}");
    assert_eq!(quiet.later_writes, 0, "a healthy pair writes nothing");
    assert_eq!(quiet.roles, [Some(Role::Serving), Some(Role::Standby)]);
}
