//! Which faults are played, drawn from a seed. Pure: the same seed gives the same list on every machine and for both products.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::broker::Product;

/// What is done to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// `kill -9` of the active; started again later.
    KillActive,
    /// `kill -9` of the standby; started again later.
    KillStandby,
    /// `kill -9` of both in one moment; started again one after the other, in either order.
    KillBoth,
    /// SIGSTOP of the active, SIGCONT later.
    FreezeActive,
    /// SIGSTOP of the standby, SIGCONT later.
    FreezeStandby,
    /// No packet of the link between the two arrives for some time, in both directions or in one.
    CutLink,
    /// The connections of the link are reset.
    ResetLink,
    /// SIGTERM of the active; started again later.
    RestartActive,
    /// SIGTERM of the standby; started again later.
    RestartStandby,
    /// SIGTERM of both one after the other; started again in either order.
    RestartBoth,
}

/// How many of all faults are of each kind, on average: those that change the active most often.
const WEIGHTS: [(Kind, u64); 10] = [
    (Kind::KillActive, 5),
    (Kind::KillStandby, 2),
    (Kind::KillBoth, 2),
    (Kind::FreezeActive, 4),
    (Kind::FreezeStandby, 2),
    (Kind::CutLink, 4),
    (Kind::ResetLink, 2),
    (Kind::RestartActive, 2),
    (Kind::RestartStandby, 1),
    (Kind::RestartBoth, 1),
];

impl Kind {
    /// Real Artemis with a shared store has no link of its own between the two.
    pub(crate) fn is_for(self, product: Product) -> bool {
        match self {
            Kind::CutLink | Kind::ResetLink => product == Product::Tandem,
            Kind::KillActive
            | Kind::KillStandby
            | Kind::KillBoth
            | Kind::FreezeActive
            | Kind::FreezeStandby
            | Kind::RestartActive
            | Kind::RestartStandby
            | Kind::RestartBoth => true,
        }
    }

    /// Least and greatest time in milliseconds that the fault lasts before this program undoes it.
    fn lasts_ms(self) -> (u64, u64) {
        match self {
            Kind::KillActive | Kind::KillStandby | Kind::KillBoth => (0, 3_000),
            Kind::FreezeActive | Kind::FreezeStandby => (500, 15_000),
            Kind::CutLink => (500, 10_000),
            Kind::ResetLink => (0, 0),
            Kind::RestartActive | Kind::RestartStandby | Kind::RestartBoth => (0, 2_000),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Which packets of the link are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    /// All.
    Both,
    /// Those to a link listener: of whoever dialled.
    ToListener,
    /// Those from a link listener.
    FromListener,
}

/// One fault, with all that chance decides about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// What is done.
    pub(crate) kind: Kind,
    /// Pause before it, in a pair that is whole.
    pub(crate) rest_ms: u64,
    /// From the fault to the first step that undoes it: start, SIGCONT, or the link's repair.
    pub(crate) lasts_ms: u64,
    /// Where two brokers are stopped or started: between the first and the second.
    pub(crate) apart_ms: u64,
    /// Where two are stopped: whether the active goes first.
    pub(crate) active_stops_first: bool,
    /// Where two are started: whether the one that was active goes first.
    pub(crate) active_starts_first: bool,
    /// Where the link is cut.
    pub(crate) direction: Direction,
}

/// The endless list of faults of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    random: Random,
}

impl Schedule {
    /// The list of this seed, from its beginning.
    pub(crate) fn new(seed: u64) -> Schedule {
        Schedule {
            random: Random { state: seed },
        }
    }

    /// The faults of a seed that this product can play, of these kinds only if some are named.
    pub(crate) fn of(seed: u64, product: Product, only: &[Kind]) -> impl Iterator<Item = Fault> {
        Schedule::new(seed).filter(move |fault| {
            fault.kind.is_for(product) && (only.is_empty() || only.contains(&fault.kind))
        })
    }
}

impl Iterator for Schedule {
    type Item = Fault;

    /// Draws as often for each fault, so that leaving out kinds changes nothing about the others.
    fn next(&mut self) -> Option<Fault> {
        let random = &mut self.random;
        let kind = random.kind();
        let (least, greatest) = kind.lasts_ms();
        Some(Fault {
            kind,
            rest_ms: random.between(200, 2_000),
            lasts_ms: random.between(least, greatest),
            apart_ms: random.between(0, 2_000),
            active_stops_first: random.between(0, 1) == 0,
            active_starts_first: random.between(0, 1) == 0,
            direction: match random.between(0, 3) {
                0 => Direction::ToListener,
                1 => Direction::FromListener,
                _ => Direction::Both,
            },
        })
    }
}

/// `SplitMix64`: a few lines that give the same numbers for ever, which a dependency need not.
#[derive(Debug, Clone)]
struct Random {
    state: u64,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Both ends included; the ranges are so small beside 2^64 that the remainder favours nobody.
    fn between(&mut self, least: u64, greatest: u64) -> u64 {
        least + self.next() % (greatest - least + 1)
    }

    fn kind(&mut self) -> Kind {
        let all: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = self.between(0, all - 1);
        for (kind, weight) in WEIGHTS {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Kind::KillActive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_list_every_time() {
        let first: Vec<Fault> = Schedule::new(1).take(100).collect();
        assert_eq!(first, Schedule::new(1).take(100).collect::<Vec<_>>());
        assert_ne!(first, Schedule::new(2).take(100).collect::<Vec<_>>());
    }

    #[test]
    fn every_kind_comes_and_stays_within_its_times() {
        let faults: Vec<Fault> = Schedule::new(7).take(500).collect();
        for (kind, _) in WEIGHTS {
            let (least, greatest) = kind.lasts_ms();
            let mut of_kind = faults.iter().filter(|fault| fault.kind == kind).peekable();
            assert!(of_kind.peek().is_some(), "{kind} never comes");
            assert!(of_kind.all(|fault| (least..=greatest).contains(&fault.lasts_ms)));
        }
    }

    #[test]
    fn what_artemis_cannot_play_is_left_out_and_changes_nothing_else() {
        let ours: Vec<Fault> = Schedule::of(3, Product::Tandem, &[]).take(100).collect();
        let without_link: Vec<Fault> = ours
            .into_iter()
            .filter(|fault| fault.kind.is_for(Product::Artemis))
            .collect();
        let theirs: Vec<Fault> = Schedule::of(3, Product::Artemis, &[])
            .take(without_link.len())
            .collect();
        assert_eq!(without_link, theirs);
    }

    #[test]
    fn kinds_have_the_same_name_on_the_command_line_and_in_files() {
        for (kind, _) in WEIGHTS {
            let in_file = serde_json::to_value(kind).expect("a word");
            assert_eq!(in_file, kind.to_string());
        }
    }
}
