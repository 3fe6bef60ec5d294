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
    /// R4: a side goes on in the epoch it finds.
    ContinuesEpoch,
    /// S1: a promise counts from when it arrives.
    PromiseFromReceipt,
    /// S1: a side promises while it tries to take over.
    GrantsWhileAttempting,
    /// S1: a member takes over without waiting for its own promises, nor for silence.
    TakesWithoutWaiting,
    /// S1: any process' promise counts for a member.
    AnyGrantCounts,
    /// S1: a process counts itself a member if its side is one.
    MembershipBySide,
    /// S1: an active goes on alone as soon as the removal is sent.
    AloneTooEarly,
    /// S1: a process is in the record before it is in the gate.
    AdmitsBeforeGate,
    /// S2: a closed connection is taken for a death.
    ClosedLinkIsDeath,
    /// S2: a free lock is trusted although it was never seen refused.
    TrustsAnyLock,
    /// R2: an admission without an answer is taken for one that was refused.
    ForgetsAdmission,
    /// R2: a conflict is taken for a "no".
    ConflictIsNo,
    /// R3: after a conflict nothing is checked anew.
    NoRecheck,
    /// R3: a process takes over on silence that is no member.
    TakesThoughNoMember,
    /// R3: a member that takes over is the only member at once.
    TakesAlone,
    /// R4: a member is not in the gate.
    MemberNotInGate,
    /// R4: a term serves before its start has passed the gate.
    ServesBeforeGate,
    /// R5: an active does not step down on a higher epoch.
    IgnoresHigherEpoch,
    /// R6: a holder with a member writes a missing record again without asking.
    BlindRewrite,
    /// R1: acknowledgements do not wait for a member that is silent.
    IgnoresSilence,
    /// R2: a store is counted in while it is behind.
    AdmitsBehind,
    /// R3: a side takes over whose store is not in sync.
    TakesNotInSync,
    /// R4: a taker goes on confirming while it reads its history.
    LoadsBeforeFreeze,
    /// R4: a standby confirms to a lower term than it knows of.
    ConfirmsLowerEpochs,
    /// R5: what was confirmed in an older session counts.
    OldSessionCounts,
    /// R5: where two logs agree is told by their lengths.
    CommonByLength,
    /// R6: a lost record is made again on one's own report.
    OneReport,
    /// R6: a lost record is made again by whoever has seen the highest epoch.
    ByEpochsSeen,
    /// W1: a handover that nobody took ends by its timer: the old term goes on.
    HandingEndsByTimer,
    /// W1: a request of an earlier epoch is obeyed.
    ObeysStaleRequest,
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
