//! The register that an instance's pair record is in, for commands.

use arbiter::{BlockingLease, DirectoryArbiter, Register, SideFiles};

use super::Failure;
use crate::instance::{ArbiterAt, Instance};

/// Opens what the instance names.
pub(super) fn open(instance: &Instance) -> Result<Box<dyn Register>, Failure> {
    Ok(match &instance.ha.arbiter {
        ArbiterAt::Folder(folder) => {
            Box::new(DirectoryArbiter::open(folder).map_err(Failure::unavailable)?)
        }
        ArbiterAt::Lease { namespace, name } => {
            Box::new(BlockingLease::open(namespace, name).map_err(Failure::unavailable)?)
        }
    })
}

/// What the sides of an instance's pair leave for each other.
pub(super) fn sides(instance: &Instance) -> SideFiles {
    SideFiles::in_folder(&instance.ha.sides())
}
