//! A person moves the active role: there and back under traffic, with failback left to a person, and when it cannot be done.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::duo::{Side, epoch, page, wait_until_in_sync};
use crate::support::local::{Local, example, pid};
use crate::support::measured;
use crate::support::namespace::in_own_network;
use crate::support::traffic::Traffic;

const LIMIT: Duration = Duration::from_mins(4);
/// Messages after a switchover that show that clients go on.
const GOES_ON: usize = 100;
/// Much longer than `minStable` of the manifest: a failback that has not come by then does not come.
const NEVER: Duration = Duration::from_secs(4);

/// Longer than two missed beats: by then the active knows that its standby is silent.
const SILENT: Duration = Duration::from_secs(1);

#[test]
fn the_role_moves_there_and_back_and_no_message_is_lost() {
    in_own_network(
        "switchover::the_role_moves_there_and_back_and_no_message_is_lost",
        LIMIT,
        |folder| {
            let mut pair = Local::start(folder, &example());
            pair.settles(Side::Primary);
            let traffic = Traffic::start();
            traffic.goes_on(GOES_ON, "at first");

            let before = epoch(Side::Primary);
            let start = Instant::now();
            let said = pair.done(&["switchover"]);
            assert!(
                said.contains("standby → active") && said.contains("active → standby"),
                "each transition is shown:\n{said}"
            );
            let last = said.lines().last().unwrap_or_default();
            assert!(
                last.starts_with("the backup is active in epoch ")
                    && last.contains("after a service gap of ")
                    && last.ends_with("; the primary is its standby"),
                "{last}"
            );
            assert_eq!(serving(), Some(Side::Backup));
            assert_eq!(epoch(Side::Backup), before + 1, "one switchover, one epoch");
            traffic.goes_on(GOES_ON, "after the switchover to the backup");
            let there_ms = traffic.longest_gap_ms(start);

            // The primary is a standby for longer than minStable, and is given nothing.
            let status = pair.done(&["status"]);
            assert!(
                status.contains("failback is suspended")
                    && status.contains("tandem local switchover primary"),
                "{status}"
            );
            std::thread::sleep(NEVER);
            assert_eq!(serving(), Some(Side::Backup), "a person's switchover stays");
            let said = pair.done(&["switchover", "backup"]);
            assert!(said.contains("the backup is active already"), "{said}");
            assert_eq!(epoch(Side::Backup), before + 1, "nothing was asked");

            let start = Instant::now();
            let said = pair.done(&["switchover", "primary"]);
            assert!(said.contains("the primary is active in epoch "), "{said}");
            traffic.goes_on(GOES_ON, "after the switchover to the primary");
            let back_ms = traffic.longest_gap_ms(start);
            measured(format_args!(
                "client gap (retryInterval 100), switchover: {there_ms} ms, back: {back_ms} ms"
            ));
            let account = traffic.finish();
            measured(format_args!("switchover there and back: {account}"));
            pair.stop();
        },
    );
}

#[test]
fn automatic_failback_is_back_when_the_backup_ends() {
    in_own_network(
        "switchover::automatic_failback_is_back_when_the_backup_ends",
        LIMIT,
        |folder| {
            let mut pair = Local::start(folder, &example());
            pair.settles(Side::Primary);
            pair.done(&["switchover", "backup"]);
            // The backup's end moves the role to the primary; the primary's end is then a failover like any other.
            pair.done(&["kill", "active"]);
            pair.settles(Side::Primary);
            let before = epoch(Side::Primary);
            pair.done(&["kill", "active"]);
            pair.reaches(before + 2);
            pair.settles(Side::Primary);
            pair.stop();
        },
    );
}

#[test]
fn a_manual_policy_waits_for_a_person() {
    in_own_network(
        "switchover::a_manual_policy_waits_for_a_person",
        LIMIT,
        |folder| {
            let text = fs::read_to_string(example()).expect("the example is here");
            let manual = text.replace("    failback:\n", "    failback:\n      policy: Manual\n");
            assert_ne!(text, manual, "the example sets its failback");
            let manifest = folder.join("manual.yaml");
            fs::write(&manifest, manual).expect("our own folder");

            let mut pair = Local::start(folder, &manifest);
            pair.settles(Side::Primary);
            pair.done(&["kill", "primary"]);
            pair.settles(Side::Backup);
            std::thread::sleep(NEVER);
            assert_eq!(serving(), Some(Side::Backup), "nothing is asked by itself");
            let status = pair.done(&["status"]);
            assert!(
                status.contains("failback waits for you: tandem local switchover primary"),
                "{status}"
            );
            pair.done(&["switchover", "primary"]);
            pair.settles(Side::Primary);
            pair.stop();
        },
    );
}

#[test]
fn a_switchover_that_cannot_be_done_changes_nothing() {
    in_own_network(
        "switchover::a_switchover_that_cannot_be_done_changes_nothing",
        LIMIT,
        |folder| {
            let mut pair = Local::start(folder, &example());
            pair.settles(Side::Primary);
            let traffic = Traffic::start();
            traffic.goes_on(GOES_ON, "at first");
            let before = epoch(Side::Primary);

            // A target that is down: nothing is asked.
            pair.done(&["stop", "backup"]);
            pair.is_down(Side::Backup);
            refused(
                &pair.says(&["switchover", "backup"]),
                1,
                &["the backup does not run: start it", "Nothing was asked"],
            );
            assert_eq!(epoch(Side::Primary), before);
            pair.done(&["start", "backup"]);
            pair.settles(Side::Primary);

            // A standby that hangs is not handed over to, though its process runs. Whoever does not wait for it is not surprised
            // later.
            wait_until_in_sync();
            let backup = pid(Side::Backup);
            let before = epoch(Side::Primary);
            signal(backup, Signal::SIGSTOP);
            std::thread::sleep(SILENT);
            let output = pair.says(&["switchover", "--timeout", "1s"]);
            signal(backup, Signal::SIGCONT);
            refused(
                &output,
                6,
                &[
                    "has not handed over within 1.0 s, so the request was withdrawn and nothing has changed",
                ],
            );
            pair.settles(Side::Primary);
            std::thread::sleep(NEVER);
            assert_eq!(epoch(Side::Primary), before, "a withdrawn request is void");
            traffic.goes_on(GOES_ON, "after the switchover that was not done");
            traffic.finish();
            pair.stop();
        },
    );
}

fn signal(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("a broker of this test");
}

fn refused(output: &Output, code: i32, phrases: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{}{said}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for phrase in phrases {
        assert!(said.contains(phrase), "{phrase:?} is not in: {said}");
    }
}

/// The side that says that it serves.
fn serving() -> Option<Side> {
    [Side::Primary, Side::Backup]
        .into_iter()
        .find(|side| page(*side).is_some_and(|page| page["role"] == "serving"))
}
