//! `tandem local`: the demo from beginning to end, and a pair in one terminal that is watched and pushed about from another.

use std::path::Path;
use std::time::Duration;

use crate::support::duo::{Side, epoch, page};
use crate::support::instance::type_line;
use crate::support::local::{Local, command, example, pid};
use crate::support::namespace::in_own_network;
use crate::support::{measured, process, wait_for};

const LIMIT: Duration = Duration::from_mins(4);
/// The demo waits for roles to settle and drains its queue; it must not take longer than a newcomer's patience.
const DEMO_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_demo_accounts_for_every_message() {
    in_own_network(
        "local_demo::the_demo_accounts_for_every_message",
        LIMIT,
        |folder| {
            let state = folder.join("state");
            let output = process::run(
                &mut command(&["demo"], &state, Some(&example())),
                DEMO_LIMIT,
            );
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
            let mut pair = Local::start(folder, &example());
            pair.settles(Side::Primary);
            // The supervisor starts a killed broker again, so the primary comes back and takes back its place by itself.
            let before = epoch(Side::Primary);
            pair.done(&["kill", "primary"]);
            // A failover, and the failback.
            pair.reaches(before + 2);
            pair.settles(Side::Primary);

            // A stop is kept: nobody starts it until somebody says so.
            pair.done(&["stop", "primary"]);
            pair.settles_alone(Side::Backup);
            pair.done(&["start", "primary"]);
            pair.settles(Side::Primary);
            pair.stop();
        },
    );
}

#[test]
fn ctrl_c_leaves_no_process_and_no_failover() {
    in_own_network(
        "local_demo::ctrl_c_leaves_no_process_and_no_failover",
        LIMIT,
        |folder| {
            let mut pair = Local::start(folder, &example());
            pair.settles(Side::Primary);
            let pids = [pid(Side::Primary), pid(Side::Backup)];
            let before = epoch(Side::Primary);

            let state = pair.state().to_owned();
            pair.stop();
            for pid in pids {
                assert!(process::is_gone(pid), "process {pid} is still there");
            }
            assert_eq!(
                recorded_epoch(&state),
                before,
                "the standby goes first, so nobody takes over"
            );

            // The next run finds its data and goes on.
            let mut pair = Local::start(folder, &example());
            pair.settles(Side::Primary);
            assert_eq!(
                epoch(Side::Primary),
                before + 1,
                "one start of the primary, one new epoch"
            );
            pair.stop();
        },
    );
}

#[test]
fn the_brokers_end_with_their_supervisor_however_it_ends() {
    in_own_network(
        "local_demo::the_brokers_end_with_their_supervisor_however_it_ends",
        LIMIT,
        |folder| {
            let mut pair = Local::start(folder, &example());
            pair.settles(Side::Primary);
            let pids = [pid(Side::Primary), pid(Side::Backup)];
            pair.kill();
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

fn recorded_epoch(state: &Path) -> u64 {
    let shown = type_line(state, "tandem-broker pair show --json primary");
    let record: serde_json::Value = serde_json::from_str(&shown).expect("the record is JSON");
    record["epoch"]
        .as_u64()
        .unwrap_or_else(|| panic!("no epoch in {shown}"))
}
