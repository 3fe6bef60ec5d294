//! Cuts and resets the link between the two brokers, inside the namespace of a batch.
//!
//! A cut drops packets where they arrive, by `nft`: whoever sent them learns nothing, as on a network that is gone. Clients and
//! HTTP are left alone. A reset closes the established connections from outside, by `ss -K`: both ends see it at once.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::schedule::Direction;

/// The ports on which the two sides' links listen: the client port of each, less one.
pub(crate) const LINK_PORTS: [u16; 2] = [61615, 61715];

const TABLE: &str = "inet faults";

/// A link that is cut until this is dropped.
#[derive(Debug)]
pub(crate) struct Cut(());

impl Cut {
    /// Drops the packets of this direction from now on.
    pub(crate) fn new(direction: Direction) -> Result<Cut> {
        let [one, other] = LINK_PORTS;
        let to = format!("tcp dport {{ {one}, {other} }} counter drop");
        let from = format!("tcp sport {{ {one}, {other} }} counter drop");
        let rules = match direction {
            Direction::Both => format!("{to}\n{from}"),
            Direction::ToListener => to,
            Direction::FromListener => from,
        };
        nft(
            &["-f", "-"],
            &format!(
                "table {TABLE} {{\nchain input {{\ntype filter hook input priority 0; policy accept;\n{rules}\n}}\n}}\n"
            ),
        )?;
        Ok(Cut(()))
    }

    /// Lets packets pass again; how many did not.
    pub(crate) fn heal(self) -> Result<u64> {
        let said = nft(&["list", "table", "inet", "faults"], "")?;
        std::mem::forget(self);
        remove()?;
        Ok(packets(&said))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        // Somebody gave up while the link was cut; the namespace ends soon, and the rules with it.
        let _ = remove();
    }
}

fn remove() -> Result<String> {
    nft(&["delete", "table", "inet", "faults"], "")
}

/// The sum of all `counter packets N`.
fn packets(said: &str) -> u64 {
    said.split("packets ")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn nft(arguments: &[&str], script: &str) -> Result<String> {
    let mut child = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start nft (Debian package nftables)")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "nft {} refuses {script:?}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Resets every established connection of the link; how many ends of connections there were.
pub(crate) fn reset_link() -> Result<usize> {
    let [one, other] = LINK_PORTS;
    let ends = format!("sport = :{one} or dport = :{one} or sport = :{other} or dport = :{other}");
    let said = ss(&["-K", "-H", "-t", "-n", "state", "established", &ends])?;
    Ok(said.lines().filter(|line| !line.trim().is_empty()).count())
}

fn ss(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ss")
        .args(arguments)
        .output()
        .context("cannot start ss (Debian package iproute2)")?;
    if !output.status.success() {
        bail!(
            "ss {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_packets_are_added_up() {
        let said = "tcp dport { 61615, 61715 } counter packets 12 bytes 720 drop\n\
                    tcp sport { 61615, 61715 } counter packets 3 bytes 180 drop\n";
        assert_eq!(packets(said), 15);
        assert_eq!(packets(""), 0);
    }
}
