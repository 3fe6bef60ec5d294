//! A person forces a side: refused while the active shows life, and then nothing acknowledged is lost.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::duo::{Duo, Side, epoch, page, wait_until_in_sync};
use crate::support::instance::{shell, type_line};
use crate::support::local::{Local, example, pid};
use crate::support::namespace::in_own_network;
use crate::support::traffic::{Traffic, receive_all, send_all};
use crate::support::{measured, wait_for};

const LIMIT: Duration = Duration::from_mins(3);
/// Messages after an event that show that clients go on.
const GOES_ON: usize = 100;
/// Longer than `detection.timeout` and `grace`: who has not taken over by then does not.
const NEVER: Duration = Duration::from_secs(6);
/// Within it a standby forgets an active that fell silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_frozen_active_that_keeps_its_lock_is_replaced_by_a_persons_word() {
    in_own_network(
        "force::a_frozen_active_that_keeps_its_lock_is_replaced_by_a_persons_word",
        LIMIT,
        |folder| {
            let mut duo = Duo::create(folder);
            for side in [Side::Primary, Side::Backup] {
                needs_the_lock(&duo, side);
            }
            duo.start();
            wait_until_in_sync();
            let traffic = Traffic::start();
            traffic.goes_on(GOES_ON, "at first");
            let before = epoch(Side::Primary);

            refused(folder, "pair force backupBroker", "needs --holder-is-dead");
            let force = "pair force --holder-is-dead --by ops@desk";
            refused(
                folder,
                &format!("{force} backupBroker"),
                "the active lives: the backup hears it",
            );
            refused(
                folder,
                &format!("{force} liveBroker"),
                "the primary is active already",
            );
            assert_eq!(epoch(Side::Primary), before, "nothing was written");
            let shown = type_line(folder, "tandem-broker pair show liveBroker");
            println!("{shown}");
            for phrase in [
                "In sync      primary, backup",
                "Primary      serving: serves clients",
                "Backup       standby: ",
                "Link         up since ",
            ] {
                assert!(shown.contains(phrase), "{phrase:?} is not in:\n{shown}");
            }

            duo.freeze(Side::Primary);
            let start = Instant::now();
            duo.stays_passive(Side::Backup, NEVER);
            wait_for("the backup hearing nobody", SILENCE_LIMIT, || {
                (page(Side::Backup)?["active_heard"] == false).then_some(())
            });
            let said = type_line(folder, &format!("tandem-broker {force} backupBroker"));
            println!("{said}");
            for phrase in [
                "The backup is forced in epoch",
                "by ops@desk",
                "the primary's term is over",
                "The backup serves in epoch",
            ] {
                assert!(said.contains(phrase), "{phrase:?} is not in:\n{said}");
            }
            duo.wait_until_serving(Side::Backup);
            traffic.goes_on(GOES_ON, "after the backup was forced");
            measured(format_args!(
                "frozen for {} s, then forced: client gap {} ms",
                NEVER.as_secs(),
                traffic.longest_gap_ms(start)
            ));
            let shown = type_line(folder, "tandem-broker pair show liveBroker");
            println!("{shown}");
            assert!(shown.contains("forced by ops@desk"), "{shown}");
            let last = page(Side::Backup).expect("it answers")["last"].clone();
            assert_eq!(
                (&last["cause"], &last["by"]),
                (&"forced".into(), &"ops@desk".into())
            );

            // The old active acknowledges nothing more, steps down, and gets its role back like any primary.
            duo.thaw(Side::Primary);
            wait_for("the primary being a standby", SILENCE_LIMIT, || {
                (page(Side::Primary)?["role"] == "standby").then_some(())
            });
            duo.wait_until_serving(Side::Primary);
            duo.wait_until_standby(Side::Backup);
            traffic.goes_on(GOES_ON, "after the old active is back");
            measured(format_args!("a forced promotion: {}", traffic.finish()));
        },
    );
}

#[test]
fn a_lost_record_is_made_again_from_the_store() {
    in_own_network(
        "force::a_lost_record_is_made_again_from_the_store",
        LIMIT,
        |folder| {
            let mut duo = Duo::create(folder);
            duo.start();
            send_all(500);
            let before = epoch(Side::Primary);
            duo.kill_both();
            let record = duo.instance(Side::Primary).file("data/journal/pair");
            fs::remove_dir_all(&record).expect("the record's folder");

            refused(folder, "pair init liveBroker", "pair force");
            let said = type_line(
                folder,
                "tandem-broker pair force --holder-is-dead liveBroker",
            );
            println!("{said}");
            assert!(said.contains("made it again from the store"), "{said}");
            assert!(said.contains("as soon as it is started"), "{said}");
            assert!(record.join("record.1").is_file());

            duo.start();
            assert!(
                epoch(Side::Primary) > before,
                "a later term than any before"
            );
            let last = page(Side::Primary).expect("it answers")["last"].clone();
            assert_eq!(last["cause"], "forced");
            let numbers = receive_all();
            assert_eq!(numbers.len(), 500, "every message is there");
        },
    );
}

#[test]
fn a_second_terminal_forces_the_standby() {
    in_own_network(
        "force::a_second_terminal_forces_the_standby",
        LIMIT,
        |folder| {
            let text = fs::read_to_string(example()).expect("the example is here");
            let locked = text.replace("  ha:\n", "  ha:\n    lock: Storage\n");
            assert_ne!(text, locked, "the example has its ha");
            let manifest = folder.join("locked.yaml");
            fs::write(&manifest, locked).expect("our own folder");
            let mut pair = Local::start(folder, &manifest);
            pair.settles(Side::Primary);
            wait_for("both being in sync", SILENCE_LIMIT, || {
                let status = pair.done(&["status"]);
                let in_sync = status.contains("in sync          primary, backup");
                (in_sync && status.contains("link             up")).then_some(())
            });
            let status = pair.done(&["status"]);
            println!("{status}");
            assert!(status.contains("the backup is in sync"), "{status}");
            let traffic = Traffic::start();
            traffic.goes_on(GOES_ON, "at first");

            says_no(&pair, &["force"], "needs --holder-is-dead");
            let living = "the active lives: the backup hears it";
            says_no(&pair, &["force", "--holder-is-dead"], living);

            let primary = pid(Side::Primary);
            signal(primary, Signal::SIGSTOP);
            // Who hangs is not shown as the active for long, and is not taken for one that lives.
            wait_for("the status showing it", SILENCE_LIMIT, || {
                let status = pair.done(&["status"]);
                let silent = status.contains("primary  silent");
                (silent && page(Side::Backup)?["active_heard"] == false)
                    .then(|| println!("{status}"))
            });
            let said = pair.done(&["force", "--holder-is-dead", "--by", "ops@desk"]);
            println!("{said}");
            for phrase in [
                "forced: takes over by a person's word",
                "standby → active",
                "forced by a person",
                "the backup is active in epoch 3",
                "runs and does not answer",
            ] {
                assert!(said.contains(phrase), "{phrase:?} is not in:\n{said}");
            }
            traffic.goes_on(GOES_ON, "after the backup was forced");
            let status = pair.done(&["status"]);
            println!("{status}");
            assert!(status.contains("forced by ops@desk"), "{status}");

            signal(primary, Signal::SIGCONT);
            pair.reaches(4);
            pair.settles(Side::Primary);
            measured(format_args!("a forced promotion: {}", traffic.finish()));
            pair.stop();
        },
    );
}

fn signal(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("a broker of this test");
}

/// `tandem local WORDS` must be refused, with this phrase.
fn says_no(pair: &Local, words: &[&str], phrase: &str) {
    let output = pair.says(words);
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
    assert!(said.contains(phrase), "{phrase:?} is not in: {said}");
}

/// `lock=storage`: nobody takes over from a process that has its lock, silent or not.
fn needs_the_lock(duo: &Duo, side: Side) {
    let path = duo.instance(side).file("etc/tandem.properties");
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    text.push_str("\nlock=storage\n");
    fs::write(path, text).expect("our own instance");
}

/// `tandem-broker WORDS` must be refused at once, with this phrase.
fn refused(folder: &Path, words: &str, phrase: &str) {
    let output: Output = shell(folder, &format!("tandem-broker {words}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{said}");
    assert!(!output.status.success(), "{words}: {said}");
    assert!(said.contains(phrase), "{phrase:?} is not in: {said}");
}
