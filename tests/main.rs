//! End-to-end tests: real programs, real JMS clients, real Artemis, each test in a network namespace of its own.
//!
//! They need Java, Maven, and downloads that `cargo xtask test` brings; so they are built only with the feature `e2e`,
//! and plain `cargo test` does not know them. One program, so that what the tests share is compiled and linked once.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says why and fails, and prints what it saw; its helpers do the same"
)]

mod artemis;
mod bad_input;
mod discovery;
mod faults;
mod force;
mod hostile;
mod kubernetes_lease;
mod kubernetes_pair;
mod kubernetes_rig;
mod link;
mod local_demo;
mod pair;
mod silence;
mod support;
mod switchover;
mod worksheet;
