//! The journal as its callers use it: on a storage in memory that crashes and fails, and on a real
//! directory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helper fails its test"
)]

mod ahead;
mod crash;
mod damage;
mod faults;
mod follow;
mod group_commit;
mod mirror;
mod retire;
mod salvage;
mod support;
mod terms;
