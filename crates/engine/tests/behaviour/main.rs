//! What the engine does, seen from outside: requests in, records and effects out.

#[cfg(test)]
mod clock;
mod compaction;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod pause;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod redelivery;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod security;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transactions;
