//! The folder of one run, and what its namespaces leave behind: the folder itself and the control groups of its containers.
//!
//! The folder names its owner, so that the next start knows a folder whose owner is dead, and removes what that one left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process_tree::start_of;
use crate::wait::until;

/// How the folders' names begin.
const PREFIX: &str = "tandem-cluster-";
/// The file with the number and the start of the process that owns the folder.
const OWNER: &str = "owner";
/// Where containerd keeps a folder for each container, below a node's folder.
const CONTAINERS: &str = "containerd/state/io.containerd.runtime.v2.task/k8s.io";
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";
/// The last process of a control group may take a moment to go.
const EMPTY_LIMIT: Duration = Duration::from_secs(10);

/// A folder that is removed, with all its run left, when this is dropped. Made and dropped outside the namespaces.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a folder for a run that ends with this process, after removing what dead runs left.
    pub fn create() -> Result<RunFolder> {
        let folder = RunFolder { path: make()? };
        own(&folder.path, std::process::id())?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder and the control groups of its containers; they must all have ended.
    pub fn remove(self) -> Result<()> {
        let path = self.path.clone();
        std::mem::forget(self);
        remove(&path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("cannot remove what a cluster left: {error:#}");
        }
    }
}

/// Makes a folder that nobody owns yet, after removing what dead runs left.
pub(crate) fn make() -> Result<PathBuf> {
    remove_dead()?;
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir();
    Ok(folder.context("cannot make a temporary folder")?.keep())
}

/// Names the owner of a folder.
pub(crate) fn own(folder: &Path, pid: u32) -> Result<()> {
    let start = start_of(i32::try_from(pid)?).context("the owner has ended already")?;
    fs::write(folder.join(OWNER), format!("{pid} {start}\n"))?;
    Ok(())
}

/// The living owner of a folder.
pub(crate) fn owner(folder: &Path) -> Option<i32> {
    let text = fs::read_to_string(folder.join(OWNER)).ok()?;
    let (pid, start) = text.trim_end().split_once(' ')?;
    let pid = pid.parse().ok()?;
    (start_of(pid)? == start).then_some(pid)
}

/// Removes the folders of dead owners. A folder without an owner is being made.
pub(crate) fn remove_dead() -> Result<()> {
    for entry in fs::read_dir(std::env::temp_dir())? {
        let path = entry?.path();
        let ours = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if ours && path.join(OWNER).is_file() && owner(&path).is_none() {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes the control groups of the folder's containers, then the folder.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    let groups = control_groups();
    for container in containers(folder) {
        for group in &groups {
            remove_group(&group.join(&container))?;
        }
    }
    for group in &groups {
        // Another run may have containers in there.
        let _ = fs::remove_dir(group);
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// The containers that a run's nodes knew.
fn containers(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for node in fs::read_dir(folder).into_iter().flatten().flatten() {
        let known = fs::read_dir(node.path().join(CONTAINERS));
        for container in known.into_iter().flatten().flatten() {
            found.push(container.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// The folders in which containerd makes a control group for each container: one per hierarchy of version 1, or the only one of
/// version 2.
fn control_groups() -> Vec<PathBuf> {
    let mut found = vec![Path::new(CONTROL_GROUPS).join("k8s.io")];
    for hierarchy in fs::read_dir(CONTROL_GROUPS).into_iter().flatten().flatten() {
        found.push(hierarchy.path().join("k8s.io"));
    }
    found.retain(|group| group.is_dir());
    found
}

fn remove_group(group: &Path) -> Result<()> {
    if !group.is_dir() {
        return Ok(());
    }
    // A container may have made groups of its own.
    for inner in fs::read_dir(group)? {
        let inner = inner?.path();
        if inner.is_dir() {
            remove_group(&inner)?;
        }
    }
    until(
        &format!("the control group {} being empty", group.display()),
        EMPTY_LIMIT,
        || Ok(fs::remove_dir(group).is_ok().then_some(())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_dead_owner_is_removed_and_one_of_a_living_is_not() {
        let living = RunFolder::create().expect("a folder");
        let dead = make().expect("a folder");
        // No process has this number and this start.
        fs::write(dead.join(OWNER), format!("{} 1\n", std::process::id())).expect("its owner");
        let third = RunFolder::create().expect("a folder");
        assert!(!dead.exists());
        assert!(living.path().exists() && third.path().exists());
        let path = living.path().to_owned();
        living.remove().expect("removed");
        assert!(!path.exists());
    }
}
