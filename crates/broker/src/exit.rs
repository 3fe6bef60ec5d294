//! Exit statuses of the program: one per reason, so that a supervisor and a person can tell them apart.
//!
//! Those of a broker that had started come from [`pair::ExitReason`] (70 and above); 0 is a clean stop.

/// The command line, a configuration file or the instance is wrong; nothing was started.
pub(crate) const USAGE: u8 = 1;
/// A port, folder or lock of this machine is not to be had; nothing was started.
pub(crate) const UNAVAILABLE: u8 = 2;
/// `data export --salvage` exported what is whole, and that is not everything.
pub(crate) const SALVAGED: u8 = 3;
/// `data import` stopped in the middle; it has said how to go on.
pub(crate) const PARTIAL: u8 = 4;
/// A second signal ended the program in the middle of its stop.
pub(crate) const INTERRUPTED: i32 = 130;
