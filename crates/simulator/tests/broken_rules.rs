//! The proof that the worlds are hard enough: each rule that is broken on purpose is found.
//!
//! The rules of promises and locks are broken where fence marks are not seen, too: the mark hides
//! several of them.

use pair::BrokenRule;
use simulator::{Mutation, Options, run};

/// How many worlds a broken rule may hide in.
const SEEDS_TO_CATCH: u64 = 4_000;
/// How many are looked at from the hint on.
const NEAR_HINT: u64 = 4;

/// The rules, whether marks are seen, and a seed that found it. That one is only where the search
/// begins: what changes the worlds moves it.
const RULES: [(Mutation, bool, u64); 34] = [
    (Mutation::GateBeforeSync, true, 60),
    (Mutation::GateBeforeSync, false, 58),
    (Mutation::GateWithoutMark, true, 0),
    (Mutation::MarkBeforeSync, true, 512),
    (Mutation::FencesOnlyPredecessor, true, 496),
    (Mutation::FencesOnlyListed, true, 496),
    (Mutation::OneLockFile, true, 123),
    (Mutation::OneLockFile, false, 36),
    (Mutation::LoadBeforeFence, true, 78),
    (Mutation::NoSealedLengths, true, 6),
    (Mutation::NoSealedLengths, false, 2),
    (Mutation::OneJournal, true, 6),
    (Mutation::OneJournal, false, 2),
    (Mutation::StartUnsynced, true, 0),
    (Mutation::Machine(BrokenRule::ContinuesEpoch), true, 3),
    (
        Mutation::Machine(BrokenRule::PromiseFromReceipt),
        true,
        1_955,
    ),
    (
        Mutation::Machine(BrokenRule::PromiseFromReceipt),
        false,
        109,
    ),
    (
        Mutation::Machine(BrokenRule::TakesWithoutWaiting),
        true,
        278,
    ),
    (Mutation::Machine(BrokenRule::TakesWithoutWaiting), false, 9),
    (Mutation::Machine(BrokenRule::MembershipBySide), false, 74),
    (Mutation::Machine(BrokenRule::AloneTooEarly), true, 114),
    (Mutation::Machine(BrokenRule::AloneTooEarly), false, 48),
    (Mutation::Machine(BrokenRule::AdmitsBeforeGate), false, 270),
    (Mutation::Machine(BrokenRule::ClosedLinkIsDeath), true, 118),
    (Mutation::Machine(BrokenRule::ClosedLinkIsDeath), false, 0),
    (Mutation::Machine(BrokenRule::TrustsAnyLock), true, 11),
    (Mutation::Machine(BrokenRule::ForgetsAdmission), false, 272),
    (Mutation::Machine(BrokenRule::ConflictIsNo), true, 3),
    (Mutation::Machine(BrokenRule::NoRecheck), true, 468),
    (Mutation::Machine(BrokenRule::MemberNotInGate), false, 27),
    (Mutation::Machine(BrokenRule::ServesBeforeGate), true, 1_416),
    (Mutation::Machine(BrokenRule::IgnoresHigherEpoch), false, 26),
    (Mutation::Machine(BrokenRule::BlindRewrite), false, 1_292),
    (Mutation::Machine(BrokenRule::ObeysStaleRequest), true, 7),
];

/// The first world in which a broken rule is found, and what it found.
fn caught(rule: Mutation, fence_mark: bool, hint: u64) -> Option<(u64, String)> {
    let options = Options {
        broken: vec![rule],
        fence_mark,
        ..Options::default()
    };
    let mut seeds = (hint..hint + NEAR_HINT).chain(0..SEEDS_TO_CATCH);
    seeds.find_map(|seed| {
        let violations = run(seed, &options).violations;
        Some((seed, violations.into_iter().next()?))
    })
}

#[test]
fn each_broken_rule_is_found() {
    let mut hidden = Vec::new();
    for (rule, fence_mark, hint) in RULES {
        let marks = if fence_mark { "with" } else { "without" };
        match caught(rule, fence_mark, hint) {
            Some((seed, what)) => println!("{rule:?} {marks} marks: seed {seed}: {what}"),
            None => hidden.push(format!("{rule:?} {marks} marks")),
        }
    }
    assert_eq!(hidden, Vec::<String>::new(), "not found");
}
