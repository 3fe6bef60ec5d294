//! The pair record as the controller uses it: it makes the first one once, looks at it, and asks.
//!
//! A Lease that is gone later was lost (rule 7): an empty one takes its place, which says "missing" and is what a
//! living active, which may create none, writes its record into.

use std::time::Duration;

use arbiter::lease::{LeaseError, record_of, with_record};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use pair::{Mode, Record, Side, Wanted};
use thiserror::Error;

use crate::policy::{Observed, RecordSeen, UPDATE_ASKED};

/// One try of a call. Nothing waits for the controller: failovers go on without it.
const TRY: Duration = Duration::from_secs(5);

/// Why the record cannot be used now.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    /// The API server refused, or did not answer.
    #[error("the lease {name}: {source}")]
    Api {
        /// Its name.
        name: String,
        /// What happened.
        source: Box<kube::Error>,
    },
    /// It took too long.
    #[error("the lease {name}: no answer within {} s", TRY.as_secs())]
    Slow {
        /// Its name.
        name: String,
    },
    /// The record cannot be written as it is.
    #[error("the pair record cannot be written: {0}")]
    Record(#[from] pair::RecordError),
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is in place.
    Yes,
    /// The record as it is now gives no reason for it, or was changed meanwhile: to be decided anew.
    Changed,
}

/// The record of one pair.
pub(crate) struct PairRecord {
    api: Api<Lease>,
    name: String,
}

/// What was found: the object, and the record in it.
pub(crate) struct Found {
    lease: Option<Lease>,
    /// What policy sees of it.
    pub(crate) seen: Observed<RecordSeen>,
    /// Identity of the pair's data.
    pub(crate) node_id: Option<String>,
    /// How often the holder changed.
    pub(crate) transitions: Option<u64>,
}

impl PairRecord {
    /// The record in the Lease of that name.
    pub(crate) fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
        }
    }

    /// Looks at it.
    pub(crate) async fn look(&self) -> Found {
        let unknown = |why: String| Found {
            lease: None,
            seen: Observed::Unknown { why },
            node_id: None,
            transitions: None,
        };
        let lease = match self.bounded(self.api.get_opt(&self.name)).await {
            Ok(lease) => lease,
            Err(error) => return unknown(error.to_string()),
        };
        let record = lease.as_ref().map_or(Ok(None), record_of);
        match record {
            Ok(record) => Found {
                seen: record.as_ref().map_or(Observed::Absent, |record| {
                    Observed::Known(RecordSeen::of(record))
                }),
                node_id: record.as_ref().map(|record| record.pair.clone()),
                transitions: record.as_ref().map(|record| record.transitions),
                lease,
            },
            Err(error @ (LeaseError::Malformed { .. } | LeaseError::NewerFormat { .. })) => {
                unknown(format!("the lease {}: {error}", self.name))
            }
        }
    }

    /// Makes the first record of a new pair, or an empty Lease in place of one that was lost.
    pub(crate) async fn make(
        &self,
        metadata: ObjectMeta,
        first: Option<(&str, Mode)>,
    ) -> Result<(), RecordError> {
        let empty = Lease {
            metadata,
            spec: None,
        };
        let lease = match first {
            Some((node_id, mode)) => with_record(&empty, &Record::first(node_id, mode))?,
            None => empty,
        };
        let params = PostParams::default();
        let made = self.api.create(&params, &lease);
        match self.bounded(made).await {
            Ok(_) => Ok(()),
            // Another controller was first, or an earlier try.
            Err(RecordError::Api { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.is_already_exists()) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for a switchover in an epoch, on the record that was found; `for_update` notes why.
    pub(crate) async fn ask(
        &self,
        found: &Found,
        to: Side,
        epoch: u64,
        id: &str,
        for_update: bool,
    ) -> Result<Asked, RecordError> {
        self.change(found, |record| {
            if record.epoch != epoch || record.wanted_now().is_some() {
                return None;
            }
            let mut next = record.with_wanted(Wanted {
                to,
                epoch,
                id: id.to_owned(),
            });
            if for_update {
                next.foreign.insert(UPDATE_ASKED.to_owned(), epoch.into());
            }
            Some(next)
        })
        .await
    }

    /// Takes a request back, if it is still in force.
    pub(crate) async fn withdraw(
        &self,
        found: &Found,
        epoch: u64,
        id: &str,
    ) -> Result<Asked, RecordError> {
        self.change(found, |record| {
            let wanted = record.wanted_now()?;
            (wanted.epoch == epoch && wanted.id == id).then(|| Record {
                wanted: None,
                ..record.clone()
            })
        })
        .await
    }

    /// One write by compare-and-set, unless the record as it is gives no reason for it.
    pub(crate) async fn change(
        &self,
        found: &Found,
        next: impl FnOnce(&Record) -> Option<Record>,
    ) -> Result<Asked, RecordError> {
        let Some(lease) = &found.lease else {
            return Ok(Asked::Changed);
        };
        let Ok(Some(record)) = record_of(lease) else {
            return Ok(Asked::Changed);
        };
        let Some(next) = next(&record) else {
            return Ok(Asked::Changed);
        };
        let next = with_record(lease, &next)?;
        let params = PostParams::default();
        match self
            .bounded(self.api.replace(&self.name, &params, &next))
            .await
        {
            Ok(_) => Ok(Asked::Yes),
            Err(RecordError::Api { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.is_conflict()) => {
                Ok(Asked::Changed)
            }
            Err(error) => Err(error),
        }
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, RecordError> {
        let name = || self.name.clone();
        match tokio::time::timeout(TRY, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(RecordError::Api {
                name: name(),
                source: Box::new(source),
            }),
            Err(_) => Err(RecordError::Slow { name: name() }),
        }
    }
}

impl Found {
    /// Whether a Lease is there, with a record in it or without.
    pub(crate) fn has_lease(&self) -> bool {
        self.lease.is_some()
    }
}
