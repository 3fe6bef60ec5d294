//! What the proofs on Kubernetes share: the pair under test, the JMS clients in pods, and who asks both brokers all the time.

pub(crate) mod clients;
pub(crate) mod images;
#[path = "../../../bench/src/faults/overlap.rs"]
pub(crate) mod overlap;
pub(crate) mod pair;
pub(crate) mod sampler;

/// The namespace of everything in these tests.
pub(crate) const NAMESPACE: &str = "shop";
