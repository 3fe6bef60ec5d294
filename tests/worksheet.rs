//! The worksheet, word for word: two lines make the pair, two scripts start it, two JMS clients go on through kill
//! primary, kill backup and restart it, restart primary.

use std::time::Duration;

use crate::support::account::Account;
use crate::support::instance::{BACKUP_PORT, Instance, PRIMARY_PORT, accepts};
use crate::support::maven::{CLIENT_LIMIT, Load, Worksheet};
use crate::support::namespace::in_own_network;
use crate::support::{measured, now_ms, programs};

/// Longer than the events below take at their slowest, so that the sender is still sending after the last one.
const LOAD: Load = Load {
    count: 800,
    interval_ms: 40,
    seconds: 180,
};

const START_LIMIT: Duration = Duration::from_secs(30);
const TAKEOVER_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn clients_go_on_through_kill_cold_start_and_failback() {
    in_own_network(
        "worksheet::clients_go_on_through_kill_cold_start_and_failback",
        Duration::from_mins(5),
        |folder| {
            let (live, backup) = Instance::worksheet_pair(folder);
            let mut primary = live.run();
            primary.wait_for_text("AMQ221007", START_LIMIT);
            assert_eq!(
                primary.executable(),
                programs::tandem_broker(),
                "the script's pid must be the broker's"
            );
            let mut standby = backup.run();
            standby.wait_for_text("AMQ221109", START_LIMIT);
            standby.wait_for_text("AMQ221031", START_LIMIT);
            assert!(!accepts(BACKUP_PORT), "a standby's port must be closed");

            let clients = Worksheet::copy_to(folder);
            let mut receiver = clients.receive(LOAD);
            let mut sender = clients.send(LOAD);
            clients.go_on(&mut sender, "at first");

            let killed_primary = now_ms();
            primary.kill();
            standby.wait_for_text("AMQ221010", TAKEOVER_LIMIT);
            clients.go_on(&mut sender, "after the primary was killed");
            assert!(!accepts(PRIMARY_PORT), "the primary is dead");

            let killed_backup = now_ms();
            standby.kill();
            let mut standby = backup.run();
            standby.wait_for_text("AMQ221010", TAKEOVER_LIMIT);
            clients.go_on(&mut sender, "after the backup was killed and restarted");

            let restarted_primary = now_ms();
            let mut primary = live.run();
            primary.wait_for_text("AMQ221034", START_LIMIT);
            primary.wait_for_text("AMQ221007", TAKEOVER_LIMIT);
            standby.wait_for_text("AMQ221031", START_LIMIT);
            clients.go_on(&mut sender, "after the primary was restarted");
            assert!(accepts(PRIMARY_PORT), "the primary serves again");
            assert!(!accepts(BACKUP_PORT), "the backup is the backup again");

            assert!(
                sender.wait(CLIENT_LIMIT * 2).success(),
                "the sender must end well"
            );
            assert!(
                receiver.wait(CLIENT_LIMIT).success(),
                "the receiver must end well"
            );
            assert!(
                primary.is_running() && standby.is_running(),
                "both brokers are still there"
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
                "client gap (retryInterval 1000): kill primary {} ms, kill and restart backup {} ms, failback {} ms",
                outgoing.longest_gap_ms(killed_primary, killed_backup - 1),
                outgoing.longest_gap_ms(killed_backup, restarted_primary - 1),
                outgoing.longest_gap_ms(restarted_primary, now_ms()),
            ));
        },
    );
}
