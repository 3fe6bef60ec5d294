//! The proof that the worlds are hard enough: each rule that is broken on purpose is found.
//!
//! The rules of promises and locks are broken where fence marks are not seen, too: the mark hides
//! several of them.

use pair::BrokenRule;
use simulator::{Mutation, Options, Situation, run};

/// How many worlds a broken rule may hide in.
const SEEDS_TO_CATCH: u64 = 4_000;
/// How many are looked at from the hint on.
const NEAR_HINT: u64 = 4;

/// The rules, whether marks are seen, and a seed that found it. That one is only where the search
/// begins: what changes the worlds moves it.
const RULES: [(Mutation, bool, u64); 42] = [
    (Mutation::GateBeforeSync, true, 78),
    (Mutation::GateBeforeSync, false, 385),
    (Mutation::GateWithoutMark, true, 49),
    (Mutation::MarkBeforeSync, true, 1330),
    (Mutation::FencesOnlyPredecessor, true, 127),
    (Mutation::FencesOnlyListed, true, 127),
    (Mutation::OneLockFile, true, 114),
    (Mutation::OneLockFile, false, 116),
    (Mutation::LoadBeforeFence, true, 143),
    (Mutation::NoSealedLengths, true, 16),
    (Mutation::NoSealedLengths, false, 13),
    (Mutation::OneJournal, true, 0),
    (Mutation::OneJournal, false, 13),
    (Mutation::RemovesBeforeSync, true, 0),
    (Mutation::RemovesBeforeSync, false, 0),
    (Mutation::RemovesBeforeGate, true, 240),
    (Mutation::RemovesBeforeGate, false, 144),
    (Mutation::DropsRetirements, true, 0),
    (Mutation::DropsRetirements, false, 0),
    (Mutation::StartUnsynced, true, 0),
    (Mutation::Machine(BrokenRule::ContinuesEpoch), true, 3),
    (
        Mutation::Machine(BrokenRule::PromiseFromReceipt),
        true,
        1756,
    ),
    (
        Mutation::Machine(BrokenRule::PromiseFromReceipt),
        false,
        111,
    ),
    (Mutation::Machine(BrokenRule::TakesWithoutWaiting), true, 65),
    (
        Mutation::Machine(BrokenRule::TakesWithoutWaiting),
        false,
        27,
    ),
    (Mutation::Machine(BrokenRule::MembershipBySide), false, 5),
    (Mutation::Machine(BrokenRule::AloneTooEarly), true, 117),
    (Mutation::Machine(BrokenRule::AloneTooEarly), false, 54),
    (Mutation::Machine(BrokenRule::AdmitsBeforeGate), false, 197),
    (Mutation::Machine(BrokenRule::ClosedLinkIsDeath), true, 222),
    (Mutation::Machine(BrokenRule::ClosedLinkIsDeath), false, 0),
    (Mutation::Machine(BrokenRule::TrustsAnyLock), true, 11),
    (Mutation::Machine(BrokenRule::ForgetsAdmission), false, 335),
    (Mutation::Machine(BrokenRule::ConflictIsNo), true, 1),
    (Mutation::Machine(BrokenRule::NoRecheck), true, 40),
    (Mutation::Machine(BrokenRule::TakesThoughNoMember), true, 9),
    (Mutation::Machine(BrokenRule::TakesThoughNoMember), false, 0),
    (Mutation::SurveysNoLocks, false, 12),
    (Mutation::Machine(BrokenRule::MemberNotInGate), false, 29),
    (Mutation::Machine(BrokenRule::ServesBeforeGate), true, 11),
    (Mutation::Machine(BrokenRule::IgnoresHigherEpoch), false, 29),
    (Mutation::Machine(BrokenRule::ObeysStaleRequest), true, 7),
];

/// Rules that are found where a situation comes again and again: the rules, whether marks are seen,
/// the situation, and what is found.
///
/// `HandingEndsByTimer` alone makes a term serve twice; that this loses something is shown together
/// with promises that are given while attempting, as each covers the other.
const DIRECTED: [(&[Mutation], bool, Situation, &str); 7] = [
    (
        &[Mutation::Machine(BrokenRule::GrantsWhileAttempting)],
        false,
        Situation::HangingTakeover,
        "I2",
    ),
    (
        &[Mutation::Machine(BrokenRule::AnyGrantCounts)],
        false,
        Situation::KeptTwin,
        "I2",
    ),
    (&[Mutation::OneMark], true, Situation::LateMark, "I2"),
    (
        &[Mutation::Machine(BrokenRule::BlindRewrite)],
        false,
        Situation::LostRecord,
        "I2",
    ),
    (
        &[Mutation::Machine(BrokenRule::TakesAlone)],
        true,
        Situation::DyingTaker,
        "I7",
    ),
    (
        &[Mutation::Machine(BrokenRule::HandingEndsByTimer)],
        false,
        Situation::HangingHandover,
        "I4",
    ),
    (
        &[
            Mutation::Machine(BrokenRule::HandingEndsByTimer),
            Mutation::Machine(BrokenRule::GrantsWhileAttempting),
        ],
        false,
        Situation::HangingHandover,
        "I2",
    ),
];

/// How many directed worlds a broken rule may hide in, and in how many a whole machine must hold.
const DIRECTED_SEEDS: u64 = 150;

/// The first world in which broken rules are found, and what it found.
fn caught(
    options: &Options,
    mut seeds: impl Iterator<Item = u64>,
    what: &str,
) -> Option<(u64, String)> {
    seeds.find_map(|seed| {
        let mut violations = run(seed, options).violations.into_iter();
        Some((seed, violations.find(|it| it.starts_with(what))?))
    })
}

#[test]
fn each_broken_rule_is_found() {
    let mut hidden = Vec::new();
    for (rule, fence_mark, hint) in RULES {
        let options = Options {
            broken: vec![rule],
            fence_mark,
            ..Options::default()
        };
        let marks = if fence_mark { "with" } else { "without" };
        let seeds = (hint..hint + NEAR_HINT).chain(0..SEEDS_TO_CATCH);
        match caught(&options, seeds, "") {
            Some((seed, what)) => println!("{rule:?} {marks} marks: seed {seed}: {what}"),
            None => hidden.push(format!("{rule:?} {marks} marks")),
        }
    }
    assert_eq!(hidden, Vec::<String>::new(), "not found");
}

#[test]
fn rules_that_need_a_rare_situation_are_found_where_it_is_frequent() {
    let mut hidden = Vec::new();
    for (rules, fence_mark, situation, what) in DIRECTED {
        let options = Options {
            broken: rules.to_vec(),
            fence_mark,
            situation: Some(situation),
            ..Options::default()
        };
        match caught(&options, 0..DIRECTED_SEEDS, what) {
            Some((seed, what)) => println!("{rules:?} in {situation:?}: seed {seed}: {what}"),
            None => hidden.push(format!("{rules:?} in {situation:?}")),
        }
    }
    assert_eq!(hidden, Vec::<String>::new(), "not found");
}

#[test]
fn a_machine_that_keeps_the_rules_comes_through_every_situation() {
    for (_, fence_mark, situation, _) in DIRECTED {
        let options = Options {
            fence_mark,
            situation: Some(situation),
            ..Options::default()
        };
        let found = caught(&options, 0..DIRECTED_SEEDS, "");
        assert_eq!(found, None, "{situation:?}");
    }
}
