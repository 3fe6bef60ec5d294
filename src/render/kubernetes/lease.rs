//! The Lease that holds the pair record.
//!
//! Only its metadata is rendered: what is in it, from the first record on, is the brokers', and rendering it again would
//! be a rolled-back record. It goes with the pair, also where the claims stay.

use k8s_openapi::api::coordination::v1::Lease;

use super::Rendering;

pub(super) fn lease(it: &Rendering<'_>) -> Lease {
    Lease {
        metadata: it.owned(it.pair.name.clone()),
        spec: None,
    }
}
