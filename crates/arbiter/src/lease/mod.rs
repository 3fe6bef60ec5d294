//! The pair record in a Lease of Kubernetes: compare-and-set by `resourceVersion`.
//!
//! A read is a GET without `resourceVersion`, which the API server answers from a quorum of its store; a write is a
//! PUT that names the version and the object it is based on. No call takes longer than `arbiter_try`. Whatever is
//! not a clear "won" or "another version is there" is unknown and is sent again (A1), also a refusal such as 403: an
//! earlier try of the same write may have been let in. Nothing is renewed, so a healthy pair writes nothing.

mod connect;
mod object;
mod watch;

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use pair::{Record, Versioned};
use thiserror::Error;

pub use connect::{ConnectError, connect};
pub use object::{LeaseError, record_of, with_record};

use crate::Outcome;

/// `arbiter_try` of the pair protocol: one try of a call.
const TRY: Duration = Duration::from_secs(1);

/// The pair record of one pair, in a Lease.
#[derive(Debug)]
pub struct LeaseArbiter {
    api: Api<Lease>,
    namespace: String,
    name: String,
    /// The object that this process read or wrote last: what a write is based on.
    seen: Mutex<Option<Lease>>,
}

/// Why the record was not read. None of these means that there is none.
#[derive(Debug, Error)]
pub enum LeaseReadError {
    /// The API server did not answer, or said no.
    #[error("cannot read the lease {lease}: {why}")]
    NoAnswer {
        /// Namespace and name.
        lease: String,
        /// What it said, and what to do.
        why: String,
    },
    /// The Lease is not a pair record, or a damaged one.
    #[error("the lease {lease} is no pair record: {source}")]
    Content {
        /// Namespace and name.
        lease: String,
        /// What is wrong with it.
        source: LeaseError,
    },
}

impl LeaseReadError {
    /// The format of the record, if it is one that this program does not know.
    pub fn newer_format(&self) -> Option<u32> {
        match self {
            Self::Content {
                source: LeaseError::NewerFormat { format },
                ..
            } => Some(*format),
            Self::Content { .. } | Self::NoAnswer { .. } => None,
        }
    }
}

impl LeaseArbiter {
    /// The arbiter in this Lease, which need not exist.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            seen: Mutex::new(None),
        }
    }

    /// Namespace and name of the Lease.
    pub fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The newest version; `None` if the API server says that there is none.
    pub async fn read(&self) -> Result<Option<Versioned>, LeaseReadError> {
        let lease = self.get().await.map_err(|why| LeaseReadError::NoAnswer {
            lease: self.lease(),
            why,
        })?;
        let Some(lease) = lease else { return Ok(None) };
        let content = |source| LeaseReadError::Content {
            lease: self.lease(),
            source,
        };
        let Some(record) = record_of(&lease).map_err(content)? else {
            return Ok(None);
        };
        let version = version_of(&lease).map_err(|why| LeaseReadError::NoAnswer {
            lease: self.lease(),
            why,
        })?;
        Ok(Some(Versioned { version, record }))
    }

    /// Replaces version `base` by `record` if it is the newest.
    pub async fn cas(&self, base: u64, record: &Record) -> Outcome {
        let known = self
            .seen()
            .filter(|lease| version_of(lease).is_ok_and(|version| version == base));
        let on = match known {
            Some(lease) => lease,
            // Read anew after a restart of the lane: the same version is the same object.
            None => match self.get().await {
                Ok(Some(lease)) => lease,
                Ok(None) => return Outcome::Conflict,
                Err(why) => return unknown(why),
            },
        };
        match version_of(&on) {
            Ok(version) if version == base => self.put(&on, record).await,
            Ok(_) => Outcome::Conflict,
            Err(why) => unknown(why),
        }
    }

    /// Writes the first version if there is none: into the empty Lease that stands for a lost one, or as a new one.
    pub async fn create(&self, record: &Record) -> Outcome {
        let on = match self.seen() {
            Some(lease) => Some(lease),
            None => match self.get().await {
                Ok(lease) => lease,
                Err(why) => return unknown(why),
            },
        };
        match on {
            Some(lease) if matches!(record_of(&lease), Ok(None)) => self.put(&lease, record).await,
            Some(_) => Outcome::Conflict,
            None => self.post(record).await,
        }
    }

    async fn put(&self, on: &Lease, record: &Record) -> Outcome {
        let next = match with_record(on, record) {
            Ok(next) => next,
            Err(error) => return Outcome::Refused(error),
        };
        // The object's uid goes with it: a Lease that was deleted and made again is another one.
        let params = PostParams::default();
        let answer = bounded(self.api.replace(&self.name, &params, &next)).await;
        match answer {
            Ok(lease) => self.won(lease),
            Err(CallError::Api(status)) if status.is_conflict() || status.is_not_found() => {
                self.remember(None);
                Outcome::Conflict
            }
            Err(error) => unknown(self.said(&error)),
        }
    }

    async fn post(&self, record: &Record) -> Outcome {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        };
        let first = match with_record(&lease, record) {
            Ok(first) => first,
            Err(error) => return Outcome::Refused(error),
        };
        match bounded(self.api.create(&PostParams::default(), &first)).await {
            Ok(lease) => self.won(lease),
            Err(CallError::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Outcome::Conflict
            }
            Err(CallError::Api(status)) if status.is_forbidden() => unknown(format!(
                "there is no lease {}, and this account may not make it: whoever may, such as the operator, leaves an empty one for the record to be written into",
                self.lease()
            )),
            Err(error) => unknown(self.said(&error)),
        }
    }

    fn won(&self, lease: Lease) -> Outcome {
        match version_of(&lease) {
            Ok(version) => {
                self.remember(Some(lease));
                Outcome::Won { version }
            }
            Err(why) => unknown(why),
        }
    }

    async fn get(&self) -> Result<Option<Lease>, String> {
        let found = match bounded(self.api.get(&self.name)).await {
            Ok(lease) => Some(lease),
            Err(CallError::Api(status)) if is_missing(&status, &self.name) => None,
            Err(error) => return Err(self.said(&error)),
        };
        self.remember(found.clone());
        Ok(found)
    }

    fn said(&self, error: &CallError) -> String {
        match error {
            CallError::Api(status) if status.is_forbidden() => format!(
                "{}: the broker's service account needs get, watch and update of the lease {} in namespace {}",
                status.message, self.name, self.namespace
            ),
            CallError::Api(_) | CallError::Other(_) | CallError::Slow => error.to_string(),
        }
    }

    fn seen(&self) -> Option<Lease> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, lease: Option<Lease>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }
}

/// Why a call has no result.
#[derive(Debug, Error)]
enum CallError {
    /// The API server answered with an error.
    #[error("the API server says {}: {}", .0.reason, .0.message)]
    Api(Box<kube::core::Status>),
    /// There was no whole answer.
    #[error("{}", chain(.0))]
    Other(kube::Error),
    /// It took too long.
    #[error("the API server has not answered within {} ms", TRY.as_millis())]
    Slow,
}

/// Runs a call for no longer than one try may take. A call that is given up may still be carried out (A1).
async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(TRY, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) => Err(CallError::Api(status)),
        Ok(Err(error)) => Err(CallError::Other(error)),
        Err(_) => Err(CallError::Slow),
    }
}

/// Whether this very object is not there: any proxy or half-started API server can say 404 to a path.
fn is_missing(status: &kube::core::Status, name: &str) -> bool {
    let about_it = status
        .details
        .as_ref()
        .is_some_and(|details| details.name == name && details.kind == "leases");
    status.is_not_found() && about_it
}

/// The number in the object's `resourceVersion`.
fn version_of(lease: &Lease) -> Result<u64, String> {
    let text = lease.metadata.resource_version.as_deref().unwrap_or("");
    text.parse()
        .map_err(|_| format!("the API server's resourceVersion '{text}' is not a number"))
}

fn unknown(why: String) -> Outcome {
    Outcome::Unknown(io::Error::other(why))
}

/// An error with what it is caused by, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
