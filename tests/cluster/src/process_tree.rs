//! Finds processes by their parents, and stops and continues all of a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that is being born while the tree is stopped is found in the next round.
const ROUNDS: usize = 20;

/// Process → parent, of all that can be seen.
fn parents() -> Result<BTreeMap<i32, i32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ended meanwhile is of no interest.
        if let Some((parent, state)) = stat(pid)
            && state != 'Z'
        {
            parents.insert(pid, parent);
        }
    }
    Ok(parents)
}

/// Parent and state of a process.
fn stat(pid: i32) -> Option<(i32, char)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(") ")?;
    let mut words = after_name.split(' ');
    let state = words.next()?.chars().next()?;
    Some((words.next()?.parse().ok()?, state))
}

/// These processes and all that descend from them.
pub(crate) fn with_descendants(roots: &[i32]) -> Result<BTreeSet<i32>> {
    let parents = parents()?;
    let mut tree: BTreeSet<i32> = roots.iter().copied().collect();
    tree.retain(|pid| parents.contains_key(pid));
    loop {
        let before = tree.len();
        for (child, parent) in &parents {
            if tree.contains(parent) {
                tree.insert(*child);
            }
        }
        if tree.len() == before {
            return Ok(tree);
        }
    }
}

/// Processes whose command line holds this word.
pub(crate) fn with_word(word: &str) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for pid in parents()?.into_keys() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line
            .split(|byte| *byte == 0)
            .any(|part| part == word.as_bytes())
        {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Stops all that `tree` finds, until it finds no process that runs.
pub(crate) fn freeze(tree: impl Fn() -> Result<BTreeSet<i32>>) -> Result<()> {
    for _ in 0..ROUNDS {
        let running: Vec<i32> = tree()?
            .into_iter()
            .filter(|pid| stat(*pid).is_some_and(|(_, state)| state != 'T'))
            .collect();
        if running.is_empty() {
            return Ok(());
        }
        signal_all(running, Signal::SIGSTOP)?;
    }
    bail!("processes are born faster than they can be stopped")
}

/// Sends a signal to each; one that has ended meanwhile needs none.
pub(crate) fn signal_all(pids: impl IntoIterator<Item = i32>, signal: Signal) -> Result<()> {
    for pid in pids {
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => bail!("cannot send {signal} to process {pid}: {error}"),
        }
    }
    Ok(())
}

/// A process's start, in the clock ticks of the kernel: with it a process number means one process for ever. Nothing for one that has
/// ended, even if nobody has collected it yet.
pub(crate) fn start_of(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(") ")?;
    if after_name.starts_with('Z') {
        return None;
    }
    // The 22nd word of the line; the state is the third.
    after_name.split(' ').nth(19).map(str::to_owned)
}

/// The only child of a process, once it has one.
pub(crate) fn child_of(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}
