//! `tandem local`: the demo from beginning to end, and a pair in one terminal that is watched and pushed about from another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::duo::{Side, epoch, page};
use crate::support::instance::type_line;
use crate::support::namespace::in_own_network;
use crate::support::process::{self, Running};
use crate::support::{measured, programs, wait_for};

const LIMIT: Duration = Duration::from_mins(4);
/// The demo waits for roles to settle and drains its queue; it must not take longer than a newcomer's patience.
const DEMO_LIMIT: Duration = Duration::from_mins(2);
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_demo_accounts_for_every_message() {
    in_own_network(
        "local_demo::the_demo_accounts_for_every_message",
        LIMIT,
        |folder| {
            let state = folder.join("state");
            let output = process::run(&mut local(&["demo"], &state, true), DEMO_LIMIT);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            println!("{said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(
                output.status.success(),
                "the demo ended with {}",
                output.status
            );
            assert!(!said.contains('\u{1b}'), "no colours where no terminal is");

            let number = |word: &str| account(&said, word);
            assert_eq!(number("lost"), 0, "no message may be lost");
            assert!(number("acknowledged") > 100, "the demo sends all the time");
            assert!(
                number("received") >= number("acknowledged"),
                "all that was acknowledged was received"
            );
            assert!(number("sent") >= number("acknowledged"));
            measured(format_args!(
                "demo: {} sent, {} acknowledged, {} received, {} lost, {} duplicated",
                number("sent"),
                number("acknowledged"),
                number("received"),
                number("lost"),
                number("duplicated")
            ));
            assert!(
                page(Side::Primary).is_none() && page(Side::Backup).is_none(),
                "both brokers ended"
            );
        },
    );
}

#[test]
fn a_pair_is_watched_and_pushed_about_from_a_second_terminal() {
    in_own_network(
        "local_demo::a_pair_is_watched_and_pushed_about_from_a_second_terminal",
        LIMIT,
        |folder| {
            let state = folder.join("state");
            let mut terminal = Running::start("run", &mut local(&["run"], &state, true), folder);
            settles(&mut terminal, Side::Primary);
            // The supervisor sees a role a moment after the broker has it.
            wait_for(
                "status saying what the standby is good for",
                SETTLE_LIMIT,
                || {
                    let said = second(&["status"], &state);
                    said.contains("takes over when the active's process ends")
                        .then_some(())
                },
            );

            // The supervisor starts a killed broker again, so the primary comes back and takes back its place by itself.
            let before = epoch(Side::Primary);
            second(&["kill", "primary"], &state);
            wait_for(
                "two transitions: a failover, and the failback",
                SETTLE_LIMIT,
                || (page(Side::Backup)?["epoch"].as_u64()? >= before + 2).then_some(()),
            );
            settles(&mut terminal, Side::Primary);

            // A stop is kept: nobody starts it until somebody says so.
            second(&["stop", "primary"], &state);
            settles_alone(&mut terminal, Side::Backup);
            second(&["start", "primary"], &state);
            settles(&mut terminal, Side::Primary);

            let status = second(&["status"], &state);
            assert!(status.contains("primary"), "{status}");
            terminal.signal(Signal::SIGINT);
            let ended = terminal.wait(STOP_LIMIT);
            assert!(
                ended.success(),
                "Ctrl-C is how a run is meant to end: {ended}"
            );
        },
    );
}

#[test]
fn ctrl_c_leaves_no_process_and_no_failover() {
    in_own_network(
        "local_demo::ctrl_c_leaves_no_process_and_no_failover",
        LIMIT,
        |folder| {
            let state = folder.join("state");
            let mut terminal = Running::start("run", &mut local(&["run"], &state, true), folder);
            settles(&mut terminal, Side::Primary);
            let pids = [pid(Side::Primary), pid(Side::Backup)];
            let before = epoch(Side::Primary);

            terminal.signal(Signal::SIGINT);
            let ended = terminal.wait(STOP_LIMIT);
            assert!(
                ended.success(),
                "Ctrl-C is how a run is meant to end: {ended}"
            );
            for pid in pids {
                assert!(process::is_gone(pid), "process {pid} is still there");
            }
            assert_eq!(
                recorded_epoch(&state),
                before,
                "the standby goes first, so nobody takes over"
            );

            // The next run finds its data and goes on.
            let mut terminal = Running::start("run", &mut local(&["run"], &state, true), folder);
            settles(&mut terminal, Side::Primary);
            assert_eq!(
                epoch(Side::Primary),
                before + 1,
                "one start of the primary, one new epoch"
            );
            terminal.signal(Signal::SIGINT);
            assert!(terminal.wait(STOP_LIMIT).success());
        },
    );
}

#[test]
fn the_brokers_end_with_their_supervisor_however_it_ends() {
    in_own_network(
        "local_demo::the_brokers_end_with_their_supervisor_however_it_ends",
        LIMIT,
        |folder| {
            let state = folder.join("state");
            let mut terminal = Running::start("run", &mut local(&["run"], &state, true), folder);
            settles(&mut terminal, Side::Primary);
            let pids = [pid(Side::Primary), pid(Side::Backup)];
            terminal.kill();
            for pid in pids {
                wait_for(
                    "the brokers ending with their supervisor",
                    STOP_LIMIT,
                    || process::is_gone(pid).then_some(()),
                );
            }
        },
    );
}

/// The number beside a word of the account, whichever comes first in its line.
fn account(said: &str, word: &str) -> u64 {
    let line = said
        .lines()
        .rev()
        .find(|line| {
            line.to_lowercase()
                .split_whitespace()
                .any(|w| w.trim_matches([':', ',']) == word)
        })
        .unwrap_or_else(|| panic!("no line of the account says {word:?}"));
    line.split(|c: char| !c.is_ascii_digit() && c != ',')
        .find_map(|digits| digits.replace(',', "").parse().ok())
        .unwrap_or_else(|| panic!("no number in {line:?}"))
}

/// Both sides run, this one serves, the other one is its standby.
fn settles(terminal: &mut Running, active: Side) {
    let standby = match active {
        Side::Primary => Side::Backup,
        Side::Backup => Side::Primary,
    };
    wait_for(
        &format!("the {active:?} serving, the {standby:?} standing by"),
        SETTLE_LIMIT,
        || {
            assert!(terminal.is_running(), "tandem local run has ended");
            let (serving, waiting) = (page(active)?, page(standby)?);
            (serving["role"] == "serving"
                && waiting["role"] == "standby"
                && waiting["settled"] == true)
                .then_some(())
        },
    );
}

/// This side serves, the other one does not run.
fn settles_alone(terminal: &mut Running, active: Side) {
    wait_for(
        &format!("the {active:?} serving alone"),
        SETTLE_LIMIT,
        || {
            assert!(terminal.is_running(), "tandem local run has ended");
            (page(active)?["role"] == "serving" && page(Side::Primary).is_none()).then_some(())
        },
    );
}

/// The process that answers on a side's HTTP port.
fn pid(side: Side) -> i32 {
    let page = page(side).expect("the side answers");
    page["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok())
        .unwrap_or_else(|| panic!("no pid in {page}"))
}

fn recorded_epoch(state: &Path) -> u64 {
    let shown = type_line(state, "tandem-broker pair show --json primary");
    let record: serde_json::Value = serde_json::from_str(&shown).expect("the record is JSON");
    record["epoch"]
        .as_u64()
        .unwrap_or_else(|| panic!("no epoch in {shown}"))
}

/// A command typed into a second terminal; it must succeed.
fn second(words: &[&str], state: &Path) -> String {
    let output = process::run(&mut local(words, state, false), COMMAND_LIMIT);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "tandem local {words:?}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// `tandem local WORDS [MANIFEST] --dir STATE`
fn local(words: &[&str], state: &Path, manifest: bool) -> Command {
    let mut command = Command::new(programs::tandem());
    command.arg("local").args(words);
    if manifest {
        command.arg(manifest_path());
    }
    command
        .arg("--dir")
        .arg(state)
        .env("TANDEM_BROKER", programs::tandem_broker());
    command
}

fn manifest_path() -> PathBuf {
    programs::root().join("examples/shared-store.yaml")
}
