//! An active that falls silent: it hangs, or its store does. The standby takes over, the old one acknowledges nothing more and
//! becomes the standby by itself, and no acknowledged message is missing.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::duo::{Duo, Side, epoch, page, wait_until_in_sync};
use crate::support::namespace::in_own_network;
use crate::support::process::Running;
use crate::support::traffic::Traffic;
use crate::support::{measured, programs, wait_for};

/// Messages after an event that show that clients go on.
const GOES_ON: usize = 100;
/// The goal: `detection.timeout` + `grace` is 2.5 s, and the takeover itself takes a moment.
const SERVICE_GAP_LIMIT_MS: u64 = 3_000;
/// Longer than the takeover, shorter than a client would wait for a broker that never comes back.
const FROZEN: Duration = Duration::from_secs(8);
const LIMIT: Duration = Duration::from_mins(3);
/// `stall_after` of the pair protocol is 10 s.
const STALL_LIMIT: Duration = Duration::from_secs(20);
/// What the broker ends with when its store fails.
const STORE_FAILED: i32 = 72;
/// Time for a tracer to attach.
const ATTACH_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_frozen_active_is_replaced_and_becomes_the_standby() {
    let rounds = programs::rounds(2, 20);
    let limit = Duration::from_secs(60 + 40 * u64::from(rounds));
    in_own_network(
        "silence::a_frozen_active_is_replaced_and_becomes_the_standby",
        limit,
        |folder| {
            let mut duo = Duo::create(folder);
            let traffic = Traffic::on(&mut duo);
            let (mut service, mut clients) = (Vec::new(), Vec::new());
            for round in 1..=rounds {
                let before = epoch(Side::Primary);
                let start = Instant::now();
                duo.freeze(Side::Primary);
                duo.wait_until_serving(Side::Backup);
                assert!(epoch(Side::Backup) > before, "a takeover is a new epoch");
                let last = page(Side::Backup).expect("it answers")["last"].clone();
                assert_eq!(last["cause"], "active-silent");
                service.push(last["gap_ms"].as_u64().expect("it was heard before"));
                traffic.goes_on(GOES_ON, &format!("after freeze {round}"));
                clients.push(traffic.longest_gap_ms(start));
                std::thread::sleep(FROZEN.saturating_sub(start.elapsed()));

                // It has missed its own end: it answers nobody, steps down, and its primary side asks for the role.
                duo.thaw(Side::Primary);
                duo.wait_until_serving(Side::Primary);
                duo.wait_until_standby(Side::Backup);
                wait_until_in_sync();
                traffic.goes_on(GOES_ON, &format!("after failback {round}"));
            }
            let account = traffic.finish();
            measured(format_args!("{rounds} frozen actives: {account}"));
            measured(format_args!(
                "service gap {service:?} ms, client gap with the recommended settings {clients:?} ms"
            ));
            for gap_ms in service {
                assert!(
                    gap_ms <= SERVICE_GAP_LIMIT_MS,
                    "a service gap of {gap_ms} ms"
                );
            }
        },
    );
}

#[test]
fn a_frozen_standby_disturbs_nobody() {
    in_own_network(
        "silence::a_frozen_standby_disturbs_nobody",
        LIMIT,
        |folder| {
            let mut duo = Duo::create(folder);
            let traffic = Traffic::on(&mut duo);
            let start = Instant::now();
            duo.freeze(Side::Backup);
            std::thread::sleep(Duration::from_secs(4));
            let members = page(Side::Primary).expect("it answers")["in_sync"].clone();
            assert_eq!(
                members,
                serde_json::json!(["primary"]),
                "the silent one is out"
            );
            duo.thaw(Side::Backup);
            wait_until_in_sync();
            measured(format_args!(
                "client gap around a frozen standby: {} ms",
                traffic.longest_gap_ms(start)
            ));
            assert_eq!(epoch(Side::Primary), 1, "nobody took over");
            traffic.finish();
        },
    );
}

/// A failed fsync may not be tried again: what it should have written may be gone. The process ends, with its own status and
/// one line, and the other side takes over.
#[test]
fn a_failing_fsync_ends_the_broker_and_the_other_takes_over() {
    in_own_network(
        "silence::a_failing_fsync_ends_the_broker_and_the_other_takes_over",
        LIMIT,
        |folder| {
            let (mut duo, traffic) = pair_with_traffic(folder);
            let _tracer = inject(&mut duo, "error=EIO", folder);
            let ended = duo.ends_by_itself(Side::Primary, STALL_LIMIT);
            assert_eq!(ended.code(), Some(STORE_FAILED), "{ended}");
            duo.wait_until_serving(Side::Backup);
            traffic.goes_on(GOES_ON, "after the failed fsync");
            traffic.finish();
        },
    );
}

/// A store that is cut off lets every call hang. After ten seconds the active gives up and says so to the standby.
#[test]
fn a_store_that_hangs_ends_the_broker_and_the_other_takes_over() {
    in_own_network(
        "silence::a_store_that_hangs_ends_the_broker_and_the_other_takes_over",
        LIMIT,
        |folder| {
            let (mut duo, traffic) = pair_with_traffic(folder);
            let start = Instant::now();
            let mut tracer = inject(&mut duo, "delay_enter=60000000", folder);
            duo.wait_until_serving(Side::Backup);
            measured(format_args!(
                "a store that hangs: the other side serves after {} ms",
                start.elapsed().as_millis()
            ));
            // The hanging call ends with its tracer, and the process with it.
            tracer.kill();
            let ended = duo.ends_by_itself(Side::Primary, STALL_LIMIT);
            assert_eq!(ended.code(), Some(STORE_FAILED), "{ended}");
            traffic.goes_on(GOES_ON, "after the store hung");
            traffic.finish();
        },
    );
}

fn pair_with_traffic(folder: &std::path::Path) -> (Duo, Traffic) {
    let mut duo = Duo::create(folder);
    let traffic = Traffic::on(&mut duo);
    (duo, traffic)
}

/// Lets every further `fdatasync` of the primary fail or hang, by a tracer.
fn inject(duo: &mut Duo, what: &str, folder: &std::path::Path) -> Running {
    let pid = duo.process(Side::Primary).pid();
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-e", "trace=fdatasync", "-e"])
        .arg(format!("inject=fdatasync:{what}"))
        .args(["-p", &pid.to_string()]);
    let tracer = Running::start("strace", &mut strace, folder);
    wait_for("strace to attach", ATTACH_LIMIT, || {
        tracer.text().contains("attached").then_some(())
    });
    tracer
}
