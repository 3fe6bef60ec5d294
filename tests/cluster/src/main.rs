//! The tests' cluster for people: `cluster up | down | sh COMMAND… | node NAME COMMAND…`. `cargo xtask cluster` builds what it needs
//! and calls it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cluster::held::Held;

const USAGE: &str =
    "usage: cluster PROGRAMS STATE up [IMAGE.tar…] | down | sh [COMMAND…] | node NAME [COMMAND…]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match go(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn go(words: &[String]) -> Result<ExitCode> {
    let [programs, state, command, rest @ ..] = words else {
        bail!("{USAGE}");
    };
    let held = Held {
        programs: PathBuf::from(programs),
        state: PathBuf::from(state),
    };
    match (command.as_str(), rest) {
        ("up", images) => held.up(images),
        // What `up` starts inside the namespaces.
        ("hold", images) => held.hold(images),
        ("down", []) => held.down(),
        ("sh", command) => held.run(None, command),
        ("node", [name, command @ ..]) => held.run(Some(name), command),
        _ => bail!("{USAGE}"),
    }
}
