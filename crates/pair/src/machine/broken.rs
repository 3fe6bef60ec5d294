//! Deliberately broken rules, for the proof that the simulation finds them.
//!
//! Only the feature `broken-rules`, which no program switches on, lets anybody break one: without it
//! every hook is a constant `false`. With it, a machine of which nobody asked that keeps every rule.

use super::Machine;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "broken-rules"),
    expect(unreachable_pub, reason = "public with the feature alone")
)]
pub enum BrokenRule {
    /// A side goes on in the epoch it finds.
    ContinuesEpoch,
}

impl Machine {
    /// Breaks a rule, besides those broken already.
    #[cfg(feature = "broken-rules")]
    pub fn break_rule(&mut self, rule: BrokenRule) {
        self.broken |= 1 << rule as u32;
    }

    /// Whether this rule is broken.
    #[cfg(feature = "broken-rules")]
    pub(super) const fn breaks(&self, rule: BrokenRule) -> bool {
        self.broken & (1 << rule as u32) != 0
    }

    /// Whether this rule is broken: never, in a program.
    #[cfg(not(feature = "broken-rules"))]
    #[expect(clippy::unused_self, reason = "the same call with the feature")]
    pub(super) const fn breaks(&self, _: BrokenRule) -> bool {
        false
    }

    pub(super) const fn broken_epoch(&self, epoch: u64) -> u64 {
        if self.breaks(BrokenRule::ContinuesEpoch) && epoch > 1 {
            epoch - 1
        } else {
            epoch
        }
    }
}
