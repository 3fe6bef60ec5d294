//! Carries out what the pair's state machine decides: the thin shell around the `pair` crate.
//!
//! ```text
//!                 ┌───────── driver: one task, owns the machine ─────────┐
//!    signals ───► │  Input ──► Machine ──► Action                        │
//!                 └────┬────────────┬──────────┬──────────┬──────────┬───┘
//!                  arbiter lane   lock lane    link   steps lane   gate, status
//!                (files, or a   (term locks) (other (store, journal,
//!                   Lease)                     side)  ports, clients)
//! ```
//! Nothing here decides. Each lane does one thing at a time and answers once; the lanes run side by side, so
//! that a slow store never delays the look at the record.

mod ahead;
mod arbiter;
mod clock;
mod driver;
mod lanes;
mod lease_lane;
mod notices;
mod replication;
mod stall;
mod status;
mod steps;
mod store;

pub(crate) use arbiter::Arbiter;
pub(crate) use clock::{boot_id, now};
pub(crate) use driver::{Driver, DriverParts};
pub(crate) use replication::{OwnStore, Progress};
pub(crate) use status::Reporter;
pub(crate) use steps::StepsParts;
pub(crate) use store::{Contents, Store, TERM_START};
