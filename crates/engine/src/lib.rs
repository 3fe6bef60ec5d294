//! Addresses, queues, transactions and security of the broker.
//!
//! ```text
//!   Request ──► Engine ──► Record ──► journal ──► gate
//!                  │                                │
//!                  └─────► Effect (after N) ────────┴──► client
//! ```
//! One engine owns everything; its driver calls it from one task, passes the time in, appends the
//! records and releases the effects. The engine never touches files, sockets, clocks or randomness,
//! and whatever a client sends can neither make it panic nor take memory without a bound.

mod command;
mod config;
mod effect;
mod error;
mod ids;

pub use command::{Command, CreateConsumer, CreateQueue, NO_REPLY, OpenSession, Request};
pub use config::{
    AddressConfig, AddressSettings, AddressSettingsMatch, AddressSettingsOverrides, EngineConfig,
    Permission, QueueConfig, RoutingType, RoutingTypes, SecurityMatch,
};
pub use effect::{BindingInfo, Effect, Effects, Notice, QueueInfo, Record, Reply};
pub use error::{EngineError, code};
pub use ids::{ConnectionKey, QueueId, SessionKey};
