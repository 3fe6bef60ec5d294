//! A register of the pair record, whichever it is, for commands that may block.

use std::io;

use pair::{Record, Versioned};
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use crate::lease::{ConnectError, connect};
use crate::{DirectoryArbiter, LeaseArbiter, Outcome};

/// A compare-and-set register that holds one pair's record.
pub trait Register {
    /// Where it is, for messages.
    fn place(&self) -> String;
    /// The newest version; `None` if there is none for certain.
    fn read(&self) -> Result<Option<Versioned>, UnreadError>;
    /// Replaces version `base` by `record` if it is the newest.
    fn cas(&self, base: u64, record: &Record) -> Outcome;
    /// Writes the first version if there is none.
    fn create(&self, record: &Record) -> Outcome;
}

/// The record was not read, which does not mean that there is none.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct UnreadError(Box<dyn std::error::Error + Send + Sync>);

/// Why a Lease cannot be used from a command.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No way to the API server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No threads.
    #[error("no threads: {0}")]
    Runtime(#[source] io::Error),
}

impl Register for DirectoryArbiter {
    fn place(&self) -> String {
        self.dir().display().to_string()
    }

    fn read(&self) -> Result<Option<Versioned>, UnreadError> {
        Self::read(self).map_err(|error| UnreadError(Box::new(error)))
    }

    fn cas(&self, base: u64, record: &Record) -> Outcome {
        Self::cas(self, base, record)
    }

    fn create(&self, record: &Record) -> Outcome {
        Self::create(self, record)
    }
}

/// A Lease, with a runtime of its own.
#[derive(Debug)]
pub struct BlockingLease {
    lease: LeaseArbiter,
    runtime: Runtime,
}

impl BlockingLease {
    /// The register in this Lease.
    pub fn open(namespace: &str, name: &str) -> Result<Self, OpenError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(OpenError::Runtime)?;
        let lease = runtime.block_on(async {
            let client = connect().await?;
            Ok::<_, ConnectError>(LeaseArbiter::new(client, namespace, name))
        })?;
        Ok(Self { lease, runtime })
    }
}

impl Register for BlockingLease {
    fn place(&self) -> String {
        format!("the lease {}", self.lease.lease())
    }

    fn read(&self) -> Result<Option<Versioned>, UnreadError> {
        let found = self.runtime.block_on(self.lease.read());
        found.map_err(|error| UnreadError(Box::new(error)))
    }

    fn cas(&self, base: u64, record: &Record) -> Outcome {
        self.runtime.block_on(self.lease.cas(base, record))
    }

    fn create(&self, record: &Record) -> Outcome {
        self.runtime.block_on(self.lease.create(record))
    }
}
