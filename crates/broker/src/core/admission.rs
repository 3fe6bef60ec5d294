//! How many connections there may be: what an acceptor allows, and what the process' descriptors allow.
//!
//! The journal must be able to open its next segment whatever clients do, so some descriptors are never given to
//! them.

use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

/// Connections at the same time, however many descriptors there are: each may hold some MiB.
const MAX_CONNECTIONS: usize = 20_000;
/// Descriptors kept for the journal, the pair record, the link, the HTTP port and the runtime, which together use
/// about half of this.
const RESERVED_DESCRIPTORS: usize = 64;
/// Below this many connections a person is told that the limit is low.
const FEW_CONNECTIONS: usize = 512;

/// Places for connections, of the whole process.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    connections: usize,
    descriptors: usize,
}

/// Places at one acceptor, within those of the process.
#[derive(Debug)]
pub(crate) struct Entrance {
    admission: Admission,
    /// Who is asked to wait, for messages: `acceptor 'artemis'`.
    user: String,
    /// `connectionsAllowed`, where it is set.
    allowed: Option<(usize, Arc<Semaphore>)>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _process: OwnedSemaphorePermit,
    _acceptor: Option<OwnedSemaphorePermit>,
}

/// Why a connection is closed at once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// The acceptor's own limit.
    #[error(
        "{user} has its {allowed} connections: close some clients, or raise connectionsAllowed in etc/broker.xml"
    )]
    Acceptor {
        /// Which one.
        user: String,
        /// How many it allows.
        allowed: usize,
    },
    /// The process' limit.
    #[error(
        "all {connections} connections that {descriptors} file descriptors allow are in use: close some clients, or raise the limit of the process (`ulimit -n`, LimitNOFILE= of systemd)"
    )]
    Process {
        /// How many there may be.
        connections: usize,
        /// The limit they come from.
        descriptors: usize,
    },
}

impl Admission {
    /// As many connections as the descriptors of this process allow, after raising their number as far as it goes.
    pub(crate) fn of_process() -> Self {
        let descriptors = raise_descriptors();
        let admission = Self::of(descriptors);
        if admission.connections < FEW_CONNECTIONS {
            warn!(
                "{descriptors} file descriptors allow {} client connections only: raise the limit of the process (`ulimit -n`, LimitNOFILE= of systemd)",
                admission.connections
            );
        }
        admission
    }

    /// As many connections as so many descriptors allow.
    pub(crate) fn of(descriptors: usize) -> Self {
        // With hardly any descriptors some clients are still let in: a broker that serves nobody helps nobody.
        let connections = descriptors
            .saturating_sub(RESERVED_DESCRIPTORS)
            .max(descriptors / 8)
            .min(MAX_CONNECTIONS);
        Self {
            places: Arc::new(Semaphore::new(connections)),
            connections,
            descriptors,
        }
    }

    /// The places of one acceptor.
    pub(crate) fn entrance(&self, user: String, allowed: Option<usize>) -> Entrance {
        Entrance {
            admission: self.clone(),
            user,
            allowed: allowed.map(|allowed| {
                let places = allowed.min(Semaphore::MAX_PERMITS);
                (allowed, Arc::new(Semaphore::new(places)))
            }),
        }
    }
}

impl Entrance {
    /// A place for one more connection.
    pub(crate) fn admit(&self) -> Result<Place, Full> {
        let acceptor = match &self.allowed {
            None => None,
            Some((allowed, places)) => {
                let place = Arc::clone(places).try_acquire_owned();
                Some(place.map_err(|_| Full::Acceptor {
                    user: self.user.clone(),
                    allowed: *allowed,
                })?)
            }
        };
        let Admission {
            places,
            connections,
            descriptors,
        } = &self.admission;
        let process = Arc::clone(places)
            .try_acquire_owned()
            .map_err(|_| Full::Process {
                connections: *connections,
                descriptors: *descriptors,
            })?;
        Ok(Place {
            _process: process,
            _acceptor: acceptor,
        })
    }
}

/// The first descriptor that no connection gets: the ones above it are part of those kept for the broker itself.
pub(super) fn descriptors_above_connections() -> usize {
    raise_descriptors()
        .min(MAX_CONNECTIONS + RESERVED_DESCRIPTORS)
        .saturating_sub(RESERVED_DESCRIPTORS / 2)
}

/// Raises the soft limit to the hard one, as far as it is of use; how many descriptors there are then.
fn raise_descriptors() -> usize {
    let useful = u64::try_from(MAX_CONNECTIONS + RESERVED_DESCRIPTORS).unwrap_or(u64::MAX);
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < useful.min(hard) => {
            match setrlimit(Resource::RLIMIT_NOFILE, useful.min(hard), hard) {
                Ok(()) => useful.min(hard),
                Err(error) => {
                    debug!("the number of file descriptors stays {soft}: {error}");
                    soft
                }
            }
        }
        Ok((soft, _)) => soft,
        Err(error) => {
            debug!("the number of file descriptors is not known: {error}");
            useful
        }
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acceptor_has_its_own_limit_within_that_of_the_process() {
        let admission = Admission::of(RESERVED_DESCRIPTORS + 20);
        assert_eq!(admission.connections, 20);
        let few = admission.entrance("acceptor 'few'".to_owned(), Some(2));
        let any = admission.entrance("acceptor 'any'".to_owned(), None);
        let first = few.admit().unwrap();
        let _second = few.admit().unwrap();
        let refused = few.admit().unwrap_err();
        assert!(refused.to_string().starts_with("acceptor 'few' has its 2"));
        let rest: Vec<Place> = (0..18).map(|_| any.admit().unwrap()).collect();
        let refused = any.admit().unwrap_err().to_string();
        assert!(refused.contains("ulimit -n"), "{refused}");
        drop(first);
        any.admit().unwrap();
        few.admit().unwrap();
        drop(rest);
    }

    #[test]
    fn some_descriptors_are_never_given_to_clients() {
        assert_eq!(Admission::of(1024).connections, 1024 - RESERVED_DESCRIPTORS);
        assert_eq!(Admission::of(64).connections, 8);
        assert_eq!(Admission::of(usize::MAX).connections, MAX_CONNECTIONS);
    }
}
