//! Where this broker's pair record is, for the driver: one of two registers, and the files of the sides.

use std::path::PathBuf;
use std::sync::Arc;

use arbiter::{DirectoryArbiter, LeaseArbiter, SideFiles};
use kube::Client;

use crate::instance::{ArbiterAt, Ha};

/// The register of the pair record.
#[derive(Debug, Clone)]
pub(crate) enum Register {
    /// Files in a folder. Its calls block.
    Folder(Arc<DirectoryArbiter>),
    /// A Lease of Kubernetes.
    Lease(Arc<LeaseArbiter>),
}

/// The register, and where the sides leave something for each other.
#[derive(Clone)]
pub(crate) struct Arbiter {
    /// The record.
    pub register: Register,
    /// Hints of the sides.
    pub sides: SideFiles,
    /// The API server, where there is one.
    pub client: Option<Client>,
}

impl Arbiter {
    /// Opens what the instance names.
    pub(crate) async fn open(ha: &Ha) -> Result<Self, String> {
        let mut used = None;
        let register = match &ha.arbiter {
            ArbiterAt::Folder(folder) => Register::Folder(Arc::new(
                DirectoryArbiter::open(folder).map_err(|error| {
                    format!(
                        "{error}: is it mounted? The record of a new pair is made by `tandem-broker pair init INSTANCE`"
                    )
                })?,
            )),
            ArbiterAt::Lease { namespace, name } => {
                let client = arbiter::lease::connect().await;
                let client = client.map_err(|error| format!("arbiter={}: {error}", ha.arbiter))?;
                make_folder(ha.sides()).await;
                used = Some(client.clone());
                Register::Lease(Arc::new(LeaseArbiter::new(client, namespace, name)))
            }
        };
        Ok(Self {
            register,
            sides: SideFiles::in_folder(&ha.sides()),
            client: used,
        })
    }

    /// Whether changes of the record are told, so that it need not be read all the time.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.register, Register::Lease(_))
    }
}

/// Makes the folder of the sides inside a store that is there. What is left there are hints: if it cannot be made,
/// the store says so at its first use.
async fn make_folder(folder: PathBuf) {
    let make = tokio::task::spawn_blocking(move || std::fs::create_dir(folder));
    // A store that hangs is noticed by its own bounds.
    let _ = tokio::time::timeout(super::steps::SIDE_FILE_LIMIT, make).await;
}
