//! Two brokers and Rust clients, many times over: kills, stops, cold starts. After each event exactly one broker serves, and
//! at the end no acknowledged message is missing.

use std::time::{Duration, Instant};

use crate::support::duo::{Duo, Side, epoch, record_files};
use crate::support::namespace::in_own_network;
use crate::support::traffic::{Traffic, messages_in_queue, receive_all, send_all};
use crate::support::{measured, programs};

/// Messages after an event that show that clients go on.
const GOES_ON: usize = 100;

/// Longer than the wait of a cold start (`lost_after` + 3 s = 5 s): who has not taken over by then does not.
const NEVER: Duration = Duration::from_secs(7);

const LIMIT: Duration = Duration::from_mins(3);

#[test]
fn kills_in_a_loop_lose_nothing() {
    let rounds = programs::rounds(10, 60);
    let limit = Duration::from_secs(60 + 30 * u64::from(rounds));
    in_own_network("pair::kills_in_a_loop_lose_nothing", limit, |folder| {
        let mut duo = Duo::create(folder);
        duo.start();
        let traffic = Traffic::start();
        traffic.goes_on(GOES_ON, "at first");
        let (mut failovers, mut failbacks) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            let before = epoch(Side::Primary);
            let start = Instant::now();
            duo.kill(Side::Primary);
            duo.wait_until_serving(Side::Backup);
            traffic.goes_on(GOES_ON, &format!("after kill {round}"));
            failovers.push(traffic.longest_gap_ms(start));
            assert!(epoch(Side::Backup) > before, "a takeover is a new epoch");

            if round % 3 == 0 {
                // The only broker dies too, and comes back alone.
                duo.kill(Side::Backup);
                duo.start_side(Side::Backup);
                duo.wait_until_serving(Side::Backup);
                traffic.goes_on(GOES_ON, &format!("after the cold start of round {round}"));
            }

            let start = Instant::now();
            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            duo.wait_until_standby(Side::Backup);
            traffic.goes_on(GOES_ON, &format!("after failback {round}"));
            failbacks.push(traffic.longest_gap_ms(start));
        }
        let account = traffic.finish();
        measured(format_args!("{rounds} kills and failbacks: {account}"));
        measured(format_args!(
            "client gap (retryInterval 100), median: kill {} ms, failback {} ms",
            median(&mut failovers),
            median(&mut failbacks)
        ));
    });
}

#[test]
fn a_stop_with_failover_hands_over() {
    in_own_network("pair::a_stop_with_failover_hands_over", LIMIT, |folder| {
        let mut duo = Duo::create(folder);
        duo.start();
        let traffic = Traffic::start();
        traffic.goes_on(GOES_ON, "at first");
        let start = Instant::now();
        let ended = duo.stop(Side::Primary);
        assert!(
            ended.success(),
            "a stop that was asked for ends well: {ended}"
        );
        duo.wait_until_serving(Side::Backup);
        traffic.goes_on(GOES_ON, "after the stop");
        measured(format_args!(
            "client gap (retryInterval 100), stop: {} ms",
            traffic.longest_gap_ms(start)
        ));

        duo.start_side(Side::Primary);
        duo.wait_until_serving(Side::Primary);
        duo.wait_until_standby(Side::Backup);
        traffic.goes_on(GOES_ON, "after the failback");
        traffic.finish();
    });
}

#[test]
fn a_stop_without_failover_leaves_the_standby_passive() {
    in_own_network(
        "pair::a_stop_without_failover_leaves_the_standby_passive",
        LIMIT,
        |folder| {
            let mut duo = Duo::create_without_failover_on_shutdown(folder);
            duo.start();
            send_all(100);
            let ended = duo.stop(Side::Primary);
            assert!(
                ended.success(),
                "a stop that was asked for ends well: {ended}"
            );
            duo.stays_passive(Side::Backup, NEVER);

            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            duo.wait_until_standby(Side::Backup);
            assert_eq!(receive_all(), (1..=100).collect::<Vec<_>>());
            // A crash is no stop: it does fail over.
            duo.kill(Side::Primary);
            duo.wait_until_serving(Side::Backup);
        },
    );
}

#[test]
fn a_pair_that_is_stopped_standby_first_does_not_fail_over() {
    in_own_network(
        "pair::a_pair_that_is_stopped_standby_first_does_not_fail_over",
        LIMIT,
        |folder| {
            let mut duo = Duo::create(folder);
            duo.start();
            send_all(100);
            let before = epoch(Side::Primary);
            assert!(duo.stop(Side::Backup).success());
            assert_eq!(
                epoch(Side::Primary),
                before,
                "a standby that leaves changes nothing"
            );
            assert!(duo.stop(Side::Primary).success());

            duo.start();
            assert_eq!(receive_all(), (1..=100).collect::<Vec<_>>());
        },
    );
}

#[test]
fn cold_starts_in_both_orders_keep_every_message() {
    in_own_network(
        "pair::cold_starts_in_both_orders_keep_every_message",
        LIMIT,
        |folder| {
            let mut duo = Duo::create(folder);
            duo.start();
            send_all(500);
            duo.kill_both();

            // The side that was not the holder, alone.
            duo.start_side(Side::Backup);
            duo.wait_until_serving(Side::Backup);
            assert_eq!(messages_in_queue(), 500);
            duo.kill(Side::Backup);

            // The side that was not the holder first, both within a moment: one serves, and in the end the primary.
            duo.start_side(Side::Primary);
            duo.start_side(Side::Backup);
            duo.wait_until_serving(Side::Primary);
            duo.wait_until_standby(Side::Backup);
            assert_eq!(messages_in_queue(), 500);
            duo.kill_both();

            // The holder first: at once.
            let start = Instant::now();
            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            measured(format_args!(
                "cold start of the holder's side to the open port: {} ms",
                start.elapsed().as_millis()
            ));
            assert!(
                start.elapsed() < NEVER / 2,
                "the holder's side need not wait for the other one"
            );
            assert_eq!(receive_all(), (1..=500).collect::<Vec<_>>());
        },
    );
}

#[test]
fn a_refused_failback_leaves_the_backup_active() {
    in_own_network(
        "pair::a_refused_failback_leaves_the_backup_active",
        LIMIT,
        |folder| {
            let mut duo = Duo::create(folder);
            duo.instance(Side::Backup).edit(
                "etc/broker.xml",
                "<allow-failback>true</allow-failback>",
                "<allow-failback>false</allow-failback>",
            );
            duo.start();
            let traffic = Traffic::start();
            traffic.goes_on(GOES_ON, "at first");
            duo.kill(Side::Primary);
            duo.wait_until_serving(Side::Backup);
            duo.start_side(Side::Primary);
            duo.wait_until_standby(Side::Primary);
            duo.stays_passive(Side::Primary, NEVER);
            duo.process(Side::Primary)
                .wait_for_text("AMQ224056", Duration::from_secs(1));

            // It is a standby like any other: when the backup dies, it serves.
            duo.kill(Side::Backup);
            duo.wait_until_serving(Side::Primary);
            traffic.goes_on(GOES_ON, "after the backup was killed");
            traffic.finish();
        },
    );
}

#[test]
fn every_restart_is_a_new_epoch() {
    in_own_network("pair::every_restart_is_a_new_epoch", LIMIT, |folder| {
        let mut duo = Duo::create(folder);
        let first_records = record_files(&duo);
        assert_eq!(
            first_records.len(),
            1,
            "create makes the first record: {first_records:?}"
        );
        for round in 1..=5 {
            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            assert_eq!(epoch(Side::Primary), round);
            duo.kill(Side::Primary);
        }
        assert!(
            record_files(&duo).len() > first_records.len(),
            "takeovers are new records"
        );
    });
}

fn median(values: &mut [u128]) -> u128 {
    values.sort_unstable();
    values[values.len() / 2]
}
