//! Serving clients: ports, connections, sessions, and the task that owns the queues.
//!
//! All of this exists only while this side serves; it is made anew for every term and dropped with it.

mod admission;
mod auth;
mod backoff;
mod compaction;
mod connection;
mod engine_task;
mod flow;
mod hints;
mod log_limit;
mod management;
mod ports;
mod queues;
mod release;
mod serving;
mod session;
mod topology;
mod upload;
mod wall_clock;

pub(crate) use auth::Auth;
pub(crate) use backoff::Backoff;
pub(crate) use engine_task::{messages_in, unix_ms};
pub(crate) use log_limit::LogLimit;
pub(crate) use ports::ReservedPort;
pub(crate) use release::Gate;
pub(crate) use serving::{Serving, ServingParts};
pub(crate) use topology::Topology;
