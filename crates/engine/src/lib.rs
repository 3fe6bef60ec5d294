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

mod acknowledge;
mod address;
mod clock;
mod command;
mod compaction;
mod config;
mod consumer;
mod consumer_admin;
mod dispatch;
mod duplicates;
mod effect;
mod engine;
mod error;
mod expiry;
mod export;
mod filter;
mod ids;
mod ledger;
mod queue;
mod queue_admin;
mod record;
mod recovery;
mod redelivery;
mod routing;
mod security;
mod session;
mod settings;
mod stats;
mod stored;
mod timers;
mod transaction;

pub use command::{Command, CreateConsumer, CreateQueue, NO_REPLY, OpenSession, Request};
pub use config::{
    AddressConfig, AddressSettings, AddressSettingsMatch, AddressSettingsOverrides, EngineConfig,
    Permission, QueueConfig, RoutingType, RoutingTypes, SecurityMatch,
};
pub use effect::{BindingInfo, Effect, Effects, Notice, QueueInfo, Record, Reply};
pub use engine::Engine;
pub use error::{EngineError, code};
pub use export::{RecordedAddress, RecordedMessage, RecordedQueue};
pub use ids::{ConnectionKey, QueueId, SessionKey};
pub use record::{RecordError, record_name};
pub use recovery::RecoverError;
pub use routing::ROUTE_TO;
pub use stats::{QueueStats, Stats};
