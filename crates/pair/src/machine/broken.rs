//! Deliberately broken rules, for the proof that the simulation finds them. Tests only.

use super::Machine;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A side goes on in the epoch it finds.
    ContinuesEpoch,
}

impl Machine {
    pub(super) fn broken_epoch(&self, epoch: u64) -> u64 {
        match self.broken {
            Some(Broken::ContinuesEpoch) if epoch > 1 => epoch - 1,
            Some(Broken::ContinuesEpoch) | None => epoch,
        }
    }
}
