//! A small CORE client: sends, receives, and finds the other broker of a pair after a failover.
//!
//! It serves the demo, the tests and the bench, so it promises little and exactly: a send that
//! returns `Ok` was confirmed by a broker, one that returns [`SendError::OutcomeUnknown`] may or
//! may not be stored, and every other error means that it is not. A delivery is acknowledged on
//! the connection it came on or not at all. Large messages are sent, not received; browsing, XA and TLS are not part of it.
//!
//! ```text
//! Client, Session, Producer, Consumer      handles; any task
//!        │ commands          ▲ answers, inboxes, credits
//!        ▼                   │
//!      driver: one task per client; owns the socket and what must be made again after a loss
//!        │ lost              ▲ established
//!        ▼                   │
//!      reconnect: dials endpoint after endpoint and recreates sessions and consumers
//! ```
//!
//! ```no_run
//! use core_client::{Client, ClientOptions, Endpoint, SessionMode};
//! use core_protocol::MessageBuilder;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ClientOptions::new([Endpoint::new("localhost", 61616)]);
//! let client = Client::connect(options.with_credentials("admin", "password")).await?;
//! let session = client.session(SessionMode::AutoAcknowledge).await?;
//! let producer = session.producer("exampleQueue").await?;
//! let mut message = MessageBuilder::to("exampleQueue");
//! message.durable = true;
//! producer.send(&message.build()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything it keeps is bounded: commands in flight, messages by each consumer's window, frames
//! by the codec, events by a ring.

mod client;
mod consumer;
mod credits;
mod driver;
mod error;
mod establish;
mod events;
mod handles;
mod identity;
mod inbox;
mod options;
mod producer;
mod requests;
mod session;
mod shared;
mod topology;
mod wire;

pub use client::Client;
pub use consumer::{Consumer, DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES};
pub use error::{AttemptError, CallError, ConnectError, LossReason, Refusal, SendError};
pub use events::{Event, Events};
pub use identity::random_uuid;
pub use inbox::Delivery;
pub use options::{
    ClientOptions, DEFAULT_PORT, Endpoint, MAX_CREDENTIAL_BYTES, MAX_ENDPOINTS, MAX_TIME_MS,
    SessionMode,
};
pub use producer::{MAX_MESSAGE_BYTES, Producer};
pub use session::{QueueState, Routing, Session};

/// Locks a mutex whose holders never panic half-way: each only moves values around.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
