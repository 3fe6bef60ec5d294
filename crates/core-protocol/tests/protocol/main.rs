//! The codec and the connection machine against recorded exchanges of real clients and brokers.

#![expect(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

mod fields;
mod messages;
mod packets;
mod robustness;
mod server;
mod server_replay;
mod vectors;
