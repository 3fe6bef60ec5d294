//! The client against a scripted broker: what it does when all is well and when it is not.

#[cfg(test)]
mod connecting;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod receiving;
#[cfg(test)]
mod sending;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod transactions;
