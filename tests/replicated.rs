//! The worksheet's replicated pair: each broker has a disk of its own, and the same JMS clients go on through kill
//! primary, its return, kill backup, and failback. What they were told is on both disks.

use std::time::{Duration, Instant};

use crate::support::account::Account;
use crate::support::duo::{Duo, Side, epoch, page, wait_until_in_sync};
use crate::support::instance::{BACKUP_PORT, PRIMARY_PORT, accepts};
use crate::support::maven::{CLIENT_LIMIT, Load, Worksheet};
use crate::support::namespace::in_own_network;
use crate::support::traffic::Traffic;
use crate::support::{measured, now_ms, programs};

/// Longer than the events below take at their slowest, so that the sender is still sending after the last one.
const LOAD: Load = Load {
    count: 1000,
    interval_ms: 40,
    seconds: 240,
};

const LIMIT: Duration = Duration::from_mins(3);
const START_LIMIT: Duration = Duration::from_secs(30);
/// Messages after an event that show that clients go on.
const GOES_ON: usize = 100;
/// Longer than a takeover takes at its slowest: who has not taken over by then does not.
const NEVER: Duration = Duration::from_secs(5);

#[test]
fn clients_go_on_through_the_worksheet() {
    in_own_network(
        "replicated::clients_go_on_through_the_worksheet",
        Duration::from_mins(6),
        |folder| {
            let mut duo = Duo::create_replicated(folder);
            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            duo.start_side(Side::Backup);
            let backup = duo.process(Side::Backup);
            backup.wait_for_text("AMQ221031", START_LIMIT);
            backup.wait_for_text("AMQ221024", START_LIMIT);
            wait_until_in_sync();
            assert!(!accepts(BACKUP_PORT), "a standby's port must be closed");

            let clients = Worksheet::copy_to(folder);
            let mut receiver = clients.receive(LOAD);
            let mut sender = clients.send(LOAD);
            clients.go_on(&mut sender, "at first");

            let killed_primary = now_ms();
            duo.kill(Side::Primary);
            duo.wait_until_serving(Side::Backup);
            clients.go_on(&mut sender, "after the primary was killed");

            let returned = now_ms();
            duo.start_side(Side::Primary);
            duo.wait_until_standby(Side::Primary);
            wait_until_in_sync();
            // `allow-failback` is false in a replicated backup unless it is written.
            duo.process(Side::Primary)
                .wait_for_text("AMQ224056", START_LIMIT);
            duo.stays_passive(Side::Primary, NEVER);
            clients.go_on(&mut sender, "while the primary replicates");

            let killed_backup = now_ms();
            duo.kill(Side::Backup);
            duo.wait_until_serving(Side::Primary);
            clients.go_on(&mut sender, "after the backup was killed");
            assert!(!accepts(BACKUP_PORT), "the backup is dead");

            let again = now_ms();
            duo.instance(Side::Backup).edit(
                "etc/broker.xml",
                "<allow-failback>false",
                "<allow-failback>true",
            );
            duo.start_side(Side::Backup);
            wait_until_in_sync();
            duo.kill(Side::Primary);
            duo.wait_until_serving(Side::Backup);
            clients.go_on(&mut sender, "after the primary was killed again");
            let failback = now_ms();
            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            duo.wait_until_standby(Side::Backup);
            clients.go_on(&mut sender, "after the failback");
            assert!(accepts(PRIMARY_PORT) && !accepts(BACKUP_PORT));

            assert!(
                sender.wait(CLIENT_LIMIT * 2).success(),
                "the sender must end well"
            );
            assert!(
                receiver.wait(CLIENT_LIMIT).success(),
                "the receiver must end well"
            );
            let (outgoing, incoming) = (clients.sent(), clients.received());
            assert!(
                outgoing.ended && incoming.ended,
                "both logs must have their last line"
            );
            let account = Account::of_logs(&outgoing, &incoming);
            assert!(account.lost.is_empty(), "lost: {:?}", account.lost);
            measured(format_args!(
                "{account}; {} sends of unknown outcome, {} redelivered",
                outgoing.unknown, incoming.redelivered
            ));
            measured(format_args!(
                "client gap (retryInterval 1000): kill primary {} ms, kill backup {} ms, failback {} ms",
                outgoing.longest_gap_ms(killed_primary, returned - 1),
                outgoing.longest_gap_ms(killed_backup, again - 1),
                outgoing.longest_gap_ms(failback, now_ms()),
            ));
        },
    );
}

#[test]
fn kills_in_a_loop_lose_nothing() {
    let rounds = programs::rounds(6, 40);
    let limit = Duration::from_secs(60 + 40 * u64::from(rounds));
    in_own_network(
        "replicated::kills_in_a_loop_lose_nothing",
        limit,
        |folder| {
            let mut duo = Duo::create_replicated(folder);
            let traffic = Traffic::on(&mut duo);
            let mut gaps = Vec::new();
            for round in 1..=rounds {
                // Whoever is active dies; the other one has everything on its own disk.
                for (active, standby) in
                    [(Side::Primary, Side::Backup), (Side::Backup, Side::Primary)]
                {
                    let before = epoch(active);
                    let start = Instant::now();
                    duo.kill(active);
                    duo.wait_until_serving(standby);
                    traffic.goes_on(GOES_ON, &format!("after kill {round} of the {active:?}"));
                    gaps.push(traffic.longest_gap_ms(start));
                    assert!(epoch(standby) > before, "a takeover is a new epoch");
                    duo.start_side(active);
                    duo.wait_until_standby(active);
                    wait_until_in_sync();
                }
            }
            let account = traffic.finish();
            gaps.sort_unstable();
            measured(format_args!(
                "{} kills of a replicated pair: {account}",
                2 * rounds
            ));
            measured(format_args!(
                "client gap (retryInterval 100), median of kills: {} ms",
                gaps[gaps.len() / 2]
            ));
        },
    );
}

/// With one disk left, and that one dead, nobody serves: the other may lack what was acknowledged meanwhile.
#[test]
fn a_disk_that_is_behind_never_takes_over() {
    in_own_network(
        "replicated::a_disk_that_is_behind_never_takes_over",
        LIMIT,
        |folder| {
            let mut duo = Duo::create_replicated(folder);
            let traffic = Traffic::on(&mut duo);
            duo.kill(Side::Backup);
            traffic.goes_on(GOES_ON, "alone");
            duo.kill(Side::Primary);
            duo.start_side(Side::Backup);
            duo.stays_passive(Side::Backup, NEVER + NEVER);
            let why = page(Side::Backup).expect("a running broker")["why"].to_string();
            assert!(
                why.contains("primary"),
                "it must say who has the data: {why}"
            );
            duo.start_side(Side::Primary);
            duo.wait_until_serving(Side::Primary);
            wait_until_in_sync();
            traffic.goes_on(GOES_ON, "together again");
            measured(format_args!("one disk left behind: {}", traffic.finish()));
        },
    );
}

/// An active whose standby hangs acknowledges nothing that is on one disk alone, until the record says so.
#[test]
fn a_frozen_standby_is_removed_and_comes_back() {
    in_own_network(
        "replicated::a_frozen_standby_is_removed_and_comes_back",
        LIMIT,
        |folder| {
            let mut duo = Duo::create_replicated(folder);
            let traffic = Traffic::on(&mut duo);
            let start = Instant::now();
            duo.freeze(Side::Backup);
            traffic.goes_on(GOES_ON, "with a frozen standby");
            let gap = traffic.longest_gap_ms(start);
            duo.thaw(Side::Backup);
            wait_until_in_sync();
            traffic.goes_on(GOES_ON, "with both again");
            duo.kill(Side::Primary);
            duo.wait_until_serving(Side::Backup);
            traffic.goes_on(GOES_ON, "after the primary was killed");
            measured(format_args!(
                "frozen standby: client gap {gap} ms; {}",
                traffic.finish()
            ));
        },
    );
}

/// An active that hangs is replaced; what it has beyond the common history is kept aside when it comes to.
#[test]
fn a_frozen_active_is_replaced_and_follows() {
    in_own_network(
        "replicated::a_frozen_active_is_replaced_and_follows",
        LIMIT,
        |folder| {
            let mut duo = Duo::create_replicated(folder);
            let traffic = Traffic::on(&mut duo);
            duo.freeze(Side::Primary);
            duo.wait_until_serving(Side::Backup);
            duo.thaw(Side::Primary);
            duo.wait_until_standby(Side::Primary);
            wait_until_in_sync();
            traffic.goes_on(GOES_ON, "after the primary came to");
            duo.kill(Side::Backup);
            duo.wait_until_serving(Side::Primary);
            traffic.goes_on(GOES_ON, "on the primary's disk");
            measured(format_args!("frozen active: {}", traffic.finish()));
        },
    );
}
