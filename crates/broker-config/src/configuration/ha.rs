//! `ha-policy`: side and mode of a broker in its pair.

/// Side and mode of a broker in its pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HaPolicy {
    /// A broker without a pair.
    PrimaryOnly,
    /// The primary of two brokers on one store.
    SharedStorePrimary {
        /// Whether the backup takes over when this broker is stopped in an orderly way.
        failover_on_shutdown: bool,
    },
    /// The backup of two brokers on one store.
    SharedStoreBackup {
        /// Whether it hands back to a primary that returns.
        allow_failback: bool,
        /// Whether the primary takes over when this broker is stopped while active.
        failover_on_shutdown: bool,
        /// Whether it becomes backup again in the same process after a failback.
        restart_backup: bool,
    },
    /// The primary of two brokers with a store each.
    ReplicationPrimary(ReplicationPrimary),
    /// The backup of two brokers with a store each.
    ReplicationBackup(ReplicationBackup),
}

/// `replication/primary`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicationPrimary {
    /// Artemis' look for an active broker at start. Here a starting broker always looks; kept for
    /// writing files that a real Artemis reads.
    pub check_for_active_server: bool,
    /// Artemis' vote after losing the replica. Here the arbiter decides; kept for writing.
    pub vote_on_replication_failure: bool,
    /// Sides of one pair have the same.
    pub group_name: Option<String>,
    /// The external arbiter, if `broker.xml` names one.
    pub manager: Option<Manager>,
}

/// `replication/backup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationBackup {
    /// Whether it hands back to a primary that returns.
    pub allow_failback: bool,
    /// Whether it becomes backup again in the same process after a failback.
    pub restart_backup: bool,
    /// Artemis' vote after losing the replica. Here the arbiter decides; kept for writing.
    pub vote_on_replication_failure: bool,
    /// Sides of one pair have the same.
    pub group_name: Option<String>,
    /// The external arbiter, if `broker.xml` names one.
    pub manager: Option<Manager>,
}

impl Default for ReplicationBackup {
    fn default() -> Self {
        Self {
            allow_failback: false,
            restart_backup: true,
            vote_on_replication_failure: false,
            group_name: None,
            manager: None,
        }
    }
}

/// `<manager>`: Artemis' file-based lock manager, the one manager that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Its property `locks-folder`: the arbiter's directory is below it,
    /// named like the group.
    pub locks_folder: String,
}

impl Manager {
    /// The class that `broker.xml` names for it.
    pub const CLASS_NAME: &'static str =
        "org.apache.activemq.artemis.lockmanager.file.FileBasedLockManager";
}
