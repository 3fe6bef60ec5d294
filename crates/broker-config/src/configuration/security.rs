//! Who may do what on the addresses that match a pattern.

use std::collections::{BTreeMap, BTreeSet};

/// Permissions for the addresses that match a pattern. Only the most specific match counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecuritySetting {
    /// For example `#`, `orders.*`, `orders.new`.
    pub pattern: String,
    /// The roles that have each permission.
    pub permissions: BTreeMap<Permission, BTreeSet<String>>,
}

impl SecuritySetting {
    /// The ten permissions that `create` writes, all for one role.
    pub fn everything_for(pattern: impl Into<String>, role: &str) -> Self {
        let permissions = Permission::ALL
            .into_iter()
            .map(|permission| (permission, BTreeSet::from([role.to_owned()])))
            .collect();
        Self {
            pattern: pattern.into(),
            permissions,
        }
    }
}

/// What a role can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Create a queue that does not survive a restart.
    CreateNonDurableQueue,
    /// Delete a queue that does not survive a restart.
    DeleteNonDurableQueue,
    /// Create a durable queue.
    CreateDurableQueue,
    /// Delete a durable queue.
    DeleteDurableQueue,
    /// Create an address.
    CreateAddress,
    /// Delete an address.
    DeleteAddress,
    /// Receive messages.
    Consume,
    /// Look at messages without taking them.
    Browse,
    /// Send messages.
    Send,
    /// Send to the management address.
    Manage,
}

impl Permission {
    /// All of them, in the order `create` writes them.
    pub const ALL: [Self; 10] = [
        Self::CreateNonDurableQueue,
        Self::DeleteNonDurableQueue,
        Self::CreateDurableQueue,
        Self::DeleteDurableQueue,
        Self::CreateAddress,
        Self::DeleteAddress,
        Self::Consume,
        Self::Browse,
        Self::Send,
        Self::Manage,
    ];

    /// Its name in `broker.xml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateNonDurableQueue => "createNonDurableQueue",
            Self::DeleteNonDurableQueue => "deleteNonDurableQueue",
            Self::CreateDurableQueue => "createDurableQueue",
            Self::DeleteDurableQueue => "deleteDurableQueue",
            Self::CreateAddress => "createAddress",
            Self::DeleteAddress => "deleteAddress",
            Self::Consume => "consume",
            Self::Browse => "browse",
            Self::Send => "send",
            Self::Manage => "manage",
        }
    }

    /// The permission of a name in `broker.xml`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.name() == name)
    }
}
