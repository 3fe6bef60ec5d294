//! Clients that know no broker's address: they find the active one by its announcements to a multicast group.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use core_protocol::Connector;
use core_protocol::discovery::{Announcement, MAX_DATAGRAM_BYTES};

use crate::support::account::Account;
use crate::support::instance::{BACKUP_PORT, Instance, PRIMARY_PORT, accepts};
use crate::support::maven::{CLIENT_LIMIT, Load, Worksheet};
use crate::support::namespace::{in_own_network, route_multicast};
use crate::support::{measured, now_ms, process, programs};

/// The group that `create` writes.
const GROUP: Ipv4Addr = Ipv4Addr::new(231, 7, 7, 7);
const PORT: u16 = 9876;

/// The worksheet's URL with the group in place of both addresses.
const CLIENT_URL: &str = "udp://231.7.7.7:9876?ha=true&retryInterval=1000&retryIntervalMultiplier=1.0&reconnectAttempts=-1";

const LOAD: Load = Load {
    count: 400,
    interval_ms: 40,
    seconds: 120,
};

const LIMIT: Duration = Duration::from_mins(4);
const START_LIMIT: Duration = Duration::from_secs(30);

/// Time for several announcements of a broker with [`announce_often`].
const SEVERAL_PERIODS: Duration = Duration::from_secs(1);

#[test]
fn clients_find_the_active_and_go_on_when_it_is_killed() {
    in_own_network(
        "discovery::clients_find_the_active_and_go_on_when_it_is_killed",
        LIMIT,
        |folder| {
            route_multicast();
            let (live, backup) = Instance::worksheet_pair(folder);
            let mut primary = live.run();
            primary.wait_for_text("AMQ221007", START_LIMIT);
            let mut standby = backup.run();
            standby.wait_for_text("AMQ221031", START_LIMIT);

            let clients = Worksheet::copy_to(folder);
            clients.dial(CLIENT_URL);
            let mut receiver = clients.receive(LOAD);
            let mut sender = clients.send(LOAD);
            clients.go_on(&mut sender, "at first");

            let killed = now_ms();
            primary.kill();
            standby.wait_for_text("AMQ221010", START_LIMIT);
            clients.go_on(&mut sender, "after the primary was killed");
            assert!(sender.wait(CLIENT_LIMIT).success(), "the sender's end");
            assert!(receiver.wait(CLIENT_LIMIT).success(), "the receiver's end");
            let account = Account::of_logs(&clients.sent(), &clients.received());
            assert!(account.lost.is_empty(), "lost: {:?}", account.lost);
            measured(format_args!(
                "with a udp:// URL: {account}; client gap (retryInterval 1000) {} ms",
                clients.sent().longest_gap_ms(killed, now_ms())
            ));

            // A client that comes only now has never heard of the primary.
            let found = Instant::now();
            let said = produce(10);
            assert!(said.contains("Produced: 10 messages"), "{said}");
            measured(format_args!(
                "a new client finds the backup and sends within {} ms, with the start of Java",
                found.elapsed().as_millis()
            ));
        },
    );
}

#[test]
fn only_the_active_announces_itself() {
    in_own_network(
        "discovery::only_the_active_announces_itself",
        LIMIT,
        |folder| {
            route_multicast();
            let (live, backup) = Instance::worksheet_pair(folder);
            announce_often(&live);
            announce_often(&backup);
            let listener = Listener::join();

            let mut primary = live.run();
            primary.wait_for_text("AMQ221007", START_LIMIT);
            let mut standby = backup.run();
            standby.wait_for_text("AMQ221031", START_LIMIT);
            let at_first = listener.only_from(PRIMARY_PORT);

            primary.kill();
            standby.wait_for_text("AMQ221010", START_LIMIT);
            let taken_over = listener.only_from(BACKUP_PORT);
            assert_eq!(
                taken_over.node_id, at_first.node_id,
                "one pair, one node id"
            );
            assert_ne!(taken_over.unique_id, at_first.unique_id, "another broker");

            let mut primary = live.run();
            primary.wait_for_text("AMQ221007", START_LIMIT);
            standby.wait_for_text("AMQ221031", START_LIMIT);
            let failed_back = listener.only_from(PRIMARY_PORT);
            assert_ne!(failed_back.unique_id, at_first.unique_id, "another run");
        },
    );
}

#[test]
fn a_broker_that_nobody_hears_says_so_once_and_serves() {
    in_own_network(
        "discovery::a_broker_that_nobody_hears_says_so_once_and_serves",
        LIMIT,
        |folder| {
            let (live, _) = Instance::worksheet_pair(folder);
            announce_often(&live);
            let mut primary = live.run();
            primary.wait_for_text("AMQ221007", START_LIMIT);
            primary.wait_for_text("ip route add 224.0.0.0/4 dev lo", START_LIMIT);
            std::thread::sleep(SEVERAL_PERIODS);
            let said = primary.text();
            assert_eq!(said.matches("bg-group1").count(), 1, "{said}");
            assert!(accepts(PRIMARY_PORT), "it serves all the same");

            route_multicast();
            primary.wait_for_text("find this broker again", START_LIMIT);
        },
    );
}

/// Five announcements a second in place of one in five seconds.
fn announce_often(instance: &Instance) {
    instance.edit(
        "etc/broker.xml",
        "<broadcast-period>5000<",
        "<broadcast-period>200<",
    );
}

/// `artemis producer`, which is told the group alone.
fn produce(messages: u32) -> String {
    let mut command = Command::new(programs::artemis_home().join("bin/artemis"));
    command
        .arg("producer")
        .args(["--url", &format!("udp://{GROUP}:{PORT}")])
        .args(["--user", "admin", "--password", "password"])
        .args(["--destination", "queue://exampleQueue"])
        .args(["--message-count", &messages.to_string()]);
    let ended = process::run(&mut command, CLIENT_LIMIT);
    String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr)
}

/// Hears what brokers announce.
struct Listener(UdpSocket);

impl Listener {
    fn join() -> Listener {
        let socket = UdpSocket::bind((GROUP, PORT)).expect("nobody else listens in this network");
        socket
            .join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED)
            .expect("multicast has a route");
        Listener(socket)
    }

    /// Drops what has come so far, then listens for several periods: somebody announces a broker, and it is this one.
    fn only_from(&self, port: u16) -> Announcement {
        self.0.set_nonblocking(true).expect("a socket of ours");
        while self.0.recv(&mut [0; 1]).is_ok() {}
        self.0.set_nonblocking(false).expect("a socket of ours");

        let start = Instant::now();
        let mut heard = Vec::new();
        while let Some(rest) = SEVERAL_PERIODS.checked_sub(start.elapsed())
            && !rest.is_zero()
        {
            self.0
                .set_read_timeout(Some(rest))
                .expect("a socket of ours");
            let mut datagram = vec![0; MAX_DATAGRAM_BYTES];
            let Ok(length) = self.0.recv(&mut datagram) else {
                break;
            };
            datagram.truncate(length);
            heard.push(Announcement::decode(&datagram.into()).expect("an announcement"));
        }
        assert!(heard.len() > 1, "heard {heard:?} from the broker at {port}");
        for announcement in &heard {
            let ports: Vec<_> = announcement
                .connectors
                .iter()
                .map(Connector::port)
                .collect();
            assert_eq!(ports, [Some(port)], "{announcement:?}");
        }
        heard.swap_remove(0)
    }
}
