//! `ha-policy`. What is absent has the value that Artemis' program gives it, which is not always
//! the one its manual names.

use crate::configuration::{HaPolicy, Manager, ReplicationBackup, ReplicationPrimary};
use crate::xml::{Child, Problem, View, set};

pub(super) fn policy(view: &View<'_, '_>) -> Option<HaPolicy> {
    let choice = only_child(view, "shared-store", "replication")?;
    match choice.name {
        "shared-store" => {
            let side = only_child(&choice.view, "primary", "backup")?;
            Some(if side.name == "primary" {
                shared_store_primary(&side.view)
            } else {
                shared_store_backup(&side.view)
            })
        }
        "replication" => {
            let side = only_child(&choice.view, "primary", "backup")?;
            Some(if side.name == "primary" {
                replication_primary(&side.view)
            } else {
                replication_backup(&side.view)
            })
        }
        // `primary-only`: all it can hold is refused.
        _ => {
            choice.view.children();
            Some(HaPolicy::PrimaryOnly)
        }
    }
}

/// The one child of an element that must have exactly one of several.
fn only_child<'r, 'x>(
    view: &View<'r, 'x>,
    one: &'static str,
    other: &'static str,
) -> Option<Child<'r, 'x>> {
    let mut children = view.children();
    let child = children.pop();
    if !children.is_empty() {
        view.error(Problem::OneOf {
            one,
            other,
            both: true,
        });
        return None;
    }
    // A child that was refused has been reported.
    if child.is_none() && !view.has_children() {
        view.error(Problem::OneOf {
            one,
            other,
            both: false,
        });
    }
    child
}

fn shared_store_primary(view: &View<'_, '_>) -> HaPolicy {
    let mut failover_on_shutdown = false;
    for child in view.children() {
        if child.name == "failover-on-shutdown" {
            set(&mut failover_on_shutdown, child.flag());
        }
    }
    HaPolicy::SharedStorePrimary {
        failover_on_shutdown,
    }
}

fn shared_store_backup(view: &View<'_, '_>) -> HaPolicy {
    let (mut allow_failback, mut failover_on_shutdown, mut restart_backup) = (true, false, true);
    for child in view.children() {
        match child.name {
            "allow-failback" => set(&mut allow_failback, child.flag()),
            "failover-on-shutdown" => set(&mut failover_on_shutdown, child.flag()),
            "restart-backup" => set(&mut restart_backup, child.flag()),
            // The others of the table have no effect.
            _ => {}
        }
    }
    HaPolicy::SharedStoreBackup {
        allow_failback,
        failover_on_shutdown,
        restart_backup,
    }
}

fn replication_primary(view: &View<'_, '_>) -> HaPolicy {
    let mut primary = ReplicationPrimary::default();
    for child in view.children() {
        match child.name {
            "check-for-active-server" => set(&mut primary.check_for_active_server, child.flag()),
            "vote-on-replication-failure" => {
                set(&mut primary.vote_on_replication_failure, child.flag());
            }
            "group-name" => primary.group_name = child.text(),
            "manager" => primary.manager = manager(&child.view),
            // The others of the table have no effect.
            _ => {}
        }
    }
    HaPolicy::ReplicationPrimary(primary)
}

fn replication_backup(view: &View<'_, '_>) -> HaPolicy {
    let mut backup = ReplicationBackup::default();
    for child in view.children() {
        match child.name {
            "allow-failback" => set(&mut backup.allow_failback, child.flag()),
            "restart-backup" => set(&mut backup.restart_backup, child.flag()),
            "vote-on-replication-failure" => {
                set(&mut backup.vote_on_replication_failure, child.flag());
            }
            "group-name" => backup.group_name = child.text(),
            "manager" => backup.manager = manager(&child.view),
            // The others of the table have no effect.
            _ => {}
        }
    }
    HaPolicy::ReplicationBackup(backup)
}

/// A file-based lock manager; others are refused.
fn manager(view: &View<'_, '_>) -> Option<Manager> {
    let (mut class, mut folder) = (None, None);
    for child in view.children() {
        if child.name == "class-name" {
            class = child.text();
            continue;
        }
        for property in child.view.children() {
            let value = property.required("value");
            if property.required("key").as_deref() == Some("locks-folder") {
                folder = value;
            }
        }
    }
    // Without a class Artemis takes its ZooKeeper manager.
    if class.as_deref() != Some(Manager::CLASS_NAME) {
        view.error(Problem::NotServed { why: OTHER_MANAGER });
        return None;
    }
    let Some(locks_folder) = folder.filter(|folder| !folder.is_empty()) else {
        view.error(Problem::NotServed { why: NO_FOLDER });
        return None;
    };
    Some(Manager { locks_folder })
}

const OTHER_MANAGER: &str = "only the file-based lock manager is served; name \
    org.apache.activemq.artemis.lockmanager.file.FileBasedLockManager as its class-name, or leave the \
    manager out and set arbiter in tandem.properties";
const NO_FOLDER: &str = "a file-based lock manager needs the property locks-folder";
