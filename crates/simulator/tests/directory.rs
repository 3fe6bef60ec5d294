//! The directory arbiter's file operations (A5), with freezes, deaths and losses between any two.

use simulator::{DirectoryRule, directory};

/// Folders that are lived through, and in which a broken rule may hide.
const SEEDS: u64 = 3_000;
/// Versions the arbiter keeps, and fewer, of which more are pruned.
const KEPT: [u64; 2] = [16, 3];

#[test]
fn each_version_has_one_winner_and_the_newest_is_kept() {
    for kept in KEPT {
        let (mut versions, mut taken_back) = (0, 0);
        for seed in 0..SEEDS {
            let outcome = directory(seed, kept, None);
            assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
            versions += outcome.newest;
            taken_back += outcome.taken_back;
        }
        assert!(versions > 50 * SEEDS, "{versions} versions, {kept} kept");
        assert!(taken_back > 0, "nobody was ever late, {kept} kept");
    }
}

#[test]
fn each_broken_rule_of_the_directory_is_found() {
    for rule in [
        DirectoryRule::NoLastRead,
        DirectoryRule::NoFolderSync,
        DirectoryRule::NoTextSync,
        DirectoryRule::PrunesHighestFirst,
        DirectoryRule::NoLastListing,
    ] {
        let found = (0..SEEDS).find_map(|seed| {
            let violations = directory(seed, KEPT[1], Some(rule)).violations;
            Some((seed, violations.into_iter().next()?))
        });
        let Some((seed, what)) = found else {
            panic!("{rule:?} is not found");
        };
        println!("{rule:?}: seed {seed}: {what}");
    }
}
