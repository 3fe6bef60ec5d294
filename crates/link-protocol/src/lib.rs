//! The link between the two sides of a pair: one TCP connection on which each has proved to the
//! other that it knows the cluster's password, and on which they then exchange `pair::Message`s.
//!
//! ```text
//!   dialler                                acceptor
//!   magic, versions      ───────────────▶
//!                        ◀───────────────  magic, versions; hello (who, nonce)
//!   hello (who, nonce); proof ──────────▶  checks the proof, then who it is
//!                        ◀───────────────  proof
//!   checks it; ready     ───────────────▶
//!              messages, signs of life, each with a tag, both ways
//! ```
//!
//! A [`Connection`] is one end of it, as a state machine: bytes and time go in, bytes and events
//! come out. The crate must never open a socket, read a clock or draw a random number, and never
//! let a message through that did not come from the process that was proved.
//!
//! - The acceptor says nothing before it has read the magic, and proves nothing to somebody who has
//!   not proved himself; the dialler proves nothing to a pair that is not its own. What either proves
//!   is bound to both nonces, both identities, both version ranges and to the end it is at, so that
//!   no proof is of use in another connection or in the other direction.
//! - A *refusal* tells the other end why, in a code and a sentence, before the connection is closed.
//!   Until the proofs are checked it may come from anybody: it is for people, nothing is decided on it.
//! - After the proofs every frame carries a tag, made with a key of this connection alone: somebody on
//!   the way can end the connection, and not say anything on it. Nothing is encrypted.
#![forbid(unsafe_code)]

mod auth;
mod connection;
mod data;
mod frame;
mod hello;
mod refusal;

pub use auth::{Key, NONCE_BYTES, Nonce};
pub use connection::{
    Connection, End, Event, HANDSHAKE_LIMIT_MS, MAX_QUEUED_MESSAGES, Settings, Why,
};
pub use data::{
    DATA_HEADER_BYTES, DataError, DataReceiver, DataSender, FIRST_DATA_KIND, MAX_DATA_FRAME_BYTES,
    Purpose,
};
pub use frame::{MAX_FRAME_BYTES, MAX_HANDSHAKE_FRAME_BYTES};
pub use hello::{Identity, Local, MAX_NAME_BYTES, VERSIONS, Versions};
pub use refusal::{MAX_TEXT_BYTES, Reason, Refusal};
