//! Links between brokers of one machine, and what strangers do to them.

use std::time::{Duration, Instant};

use broker_config::configuration::{BroadcastGroup, Connector};
use link_protocol::{Connection, End, Event, Local, Reason, Settings, VERSIONS, Why};
use pair::{Body, Term};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::discovery::tests::Medium;
use super::*;
use crate::broadcast;
use crate::core::Topology;

const BEAT_MS: u64 = 200;
const LOST_AFTER_MS: u64 = 1_600;
/// Far longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);
const PAIR: &str = "0f0f0f0f-0000-4000-8000-000000000001";

/// One side of a pair, as far as its link.
struct Broker {
    link: Link,
    inputs: LinkInputs,
    address: Address,
    inc: Incarnation,
    peer: watch::Sender<Option<Address>>,
    pair: watch::Sender<Option<String>>,
}

impl Broker {
    async fn start(side: Side, inc: u8) -> Self {
        Self::with_password(side, inc, "clusterPassword").await
    }

    async fn with_password(side: Side, inc: u8, password: &str) -> Self {
        let port = LinkPort::open("127.0.0.1", 0).await.unwrap();
        Self::on(port, side, inc, password)
    }

    fn on(port: LinkPort, side: Side, inc: u8, password: &str) -> Self {
        Self::listening(port, side, inc, password, None)
    }

    fn listening(
        port: LinkPort,
        side: Side,
        inc: u8,
        password: &str,
        discovery: Option<Group>,
    ) -> Self {
        let address = port.address().clone();
        let inc = Incarnation([inc; 16]);
        let (peer, known_peer) = watch::channel(None);
        let (pair, known_pair) = watch::channel(Some(PAIR.to_owned()));
        let (link, inputs) = Link::start(
            LinkParts {
                side,
                inc,
                mode: Mode::SharedStore,
                name: format!("{side}Broker"),
                credentials: ClusterCredentials {
                    user: "clusterUser".to_owned(),
                    password: password.to_owned(),
                },
                beat_ms: BEAT_MS,
                lost_after_ms: LOST_AFTER_MS,
                static_peers: Vec::new(),
                discovery,
                port,
            },
            LinkKnowledge {
                peer: known_peer,
                pair: known_pair,
            },
        );
        Self {
            link,
            inputs,
            address,
            inc,
            peer,
            pair,
        }
    }

    fn dials(&self, other: &Address) {
        self.peer.send_replace(Some(other.clone()));
    }

    async fn next(&mut self) -> Input {
        let next = tokio::time::timeout(PATIENCE, self.inputs.next()).await;
        next.expect("nothing was reported").unwrap()
    }

    /// The next report that is no trouble.
    async fn settled(&mut self) -> Input {
        loop {
            let input = self.next().await;
            // Whether anybody still listens where a link was lost, is told besides.
            if !matches!(input, Input::LinkTrouble(_) | Input::LinkRefused { .. }) {
                return input;
            }
        }
    }

    async fn trouble(&mut self, words: &str) -> String {
        loop {
            let input = self.next().await;
            let Input::LinkTrouble(why) = input else {
                panic!("{input:?} instead of {words}");
            };
            if why.contains(words) {
                return why;
            }
        }
    }

    /// Nobody listens any more where that process did.
    async fn is_refused_by(&mut self, peer: Incarnation) {
        let mut input = self.next().await;
        while matches!(input, Input::LinkTrouble(_)) {
            input = self.next().await;
        }
        assert_eq!(input, Input::LinkRefused { peer });
    }

    async fn is_up_with(&mut self, peer: Incarnation) {
        assert_eq!(self.settled().await, Input::LinkUp { peer });
    }

    async fn is_down_with(&mut self, peer: Incarnation) {
        assert_eq!(self.settled().await, Input::LinkDown { peer });
    }

    /// Nothing is reported for longer than it takes to lose a link.
    async fn is_quiet(&mut self) {
        let quiet = Duration::from_millis(2 * BEAT_MS + LOST_AFTER_MS);
        let next = tokio::time::timeout(quiet, self.inputs.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    async fn hears(&mut self, peer: Incarnation, message: Message) {
        assert_eq!(self.settled().await, Input::LinkMessage { peer, message });
    }
}

fn resign(epoch: u64) -> Message {
    let term = Term {
        epoch,
        inc: Incarnation([7; 16]),
    };
    let body = Body::Resign(pair::Resign { term, idle_ms: 0 });
    Message { epoch, body }
}

async fn pair_of_links() -> (Broker, Broker) {
    let mut primary = Broker::start(Side::Primary, 1).await;
    let mut backup = Broker::start(Side::Backup, 2).await;
    backup.dials(&primary.address);
    primary.is_up_with(backup.inc).await;
    backup.is_up_with(primary.inc).await;
    (primary, backup)
}

async fn talk(one: &mut Broker, other: &mut Broker) {
    for epoch in 1..4 {
        one.link.send(other.inc, resign(epoch));
        other.hears(one.inc, resign(epoch)).await;
        other.link.send(one.inc, resign(epoch));
        one.hears(other.inc, resign(epoch)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sides_find_each_other_and_talk_and_the_link_stays() {
    let (mut primary, mut backup) = pair_of_links().await;
    talk(&mut primary, &mut backup).await;
    primary.is_quiet().await;
    talk(&mut primary, &mut backup).await;
    // A message for another process goes nowhere.
    primary.link.send(Incarnation([9; 16]), resign(9));
    backup.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_connections_the_one_that_the_backup_dialled_stays() {
    for _ in 0..4 {
        let mut primary = Broker::start(Side::Primary, 1).await;
        let mut backup = Broker::start(Side::Backup, 2).await;
        primary.dials(&backup.address);
        backup.dials(&primary.address);
        primary.is_up_with(backup.inc).await;
        backup.is_up_with(primary.inc).await;
        talk(&mut primary, &mut backup).await;
        // Longer than the other connection goes on.
        tokio::time::sleep(Duration::from_millis(700)).await;
        talk(&mut primary, &mut backup).await;
        let ends = [&primary, &backup].map(|broker| broker.link.hub.current_end());
        assert!(
            ends == [Some(End::Acceptor), Some(End::Dialler)]
                || ends == [Some(End::Dialler), Some(End::Acceptor)],
            "{ends:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_at_both_ends() {
    let mut primary = Broker::start(Side::Primary, 1).await;
    let mut backup = Broker::with_password(Side::Backup, 2, "other").await;
    backup.dials(&primary.address);
    for broker in [&mut primary, &mut backup] {
        let why = broker.trouble("wrong cluster user or password").await;
        assert!(
            !why.contains("other") || why.contains("other side"),
            "{why}"
        );
    }
    // Once, not at every attempt.
    backup.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_does_not_know_its_pair_yet_is_linked_as_soon_as_it_does() {
    let mut primary = Broker::start(Side::Primary, 1).await;
    let mut backup = Broker::start(Side::Backup, 2).await;
    primary.pair.send_replace(None);
    backup.dials(&primary.address);
    primary.dials(&backup.address);
    backup.trouble("does not know its pair yet").await;
    primary.is_quiet().await;
    primary.pair.send_replace(Some(PAIR.to_owned()));
    primary.is_up_with(backup.inc).await;
    backup.is_up_with(primary.inc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_of_a_side_is_refused_while_the_first_lives() {
    let (mut primary, mut backup) = pair_of_links().await;
    let mut second = Broker::start(Side::Backup, 3).await;
    second.dials(&primary.address);
    let why = second.trouble("another process of the same side").await;
    assert!(why.contains("02020202"), "{why}");
    talk(&mut primary, &mut backup).await;
    primary.is_quiet().await;
    // And let in when the first has ended.
    backup.link.close().await;
    primary.is_down_with(Incarnation([2; 16])).await;
    primary.is_up_with(second.inc).await;
    second.is_up_with(primary.inc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_replaces_the_one_that_was() {
    let (mut primary, backup) = pair_of_links().await;
    let address = backup.address.clone();
    let old = backup.inc;
    backup.link.close().await;
    primary.is_down_with(old).await;
    primary.is_refused_by(old).await;
    let port = LinkPort::open(&address.host, address.port).await.unwrap();
    let mut backup = Broker::on(port, Side::Backup, 3, "clusterPassword");
    // It dials nobody: it is found where the old one was.
    primary.is_up_with(backup.inc).await;
    backup.is_up_with(primary.inc).await;
    talk(&mut primary, &mut backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_knows_no_address_is_linked_by_what_the_active_announces() {
    let medium = Medium::new();
    let password = "clusterPassword";
    let mut primary = Broker::start(Side::Primary, 1).await;
    let port = LinkPort::open("127.0.0.1", 0).await.unwrap();
    let group = medium.heard_by("127.0.0.1", port.address().port + 1);
    let mut backup = Broker::listening(port, Side::Backup, 2, password, Some(group));
    backup.trouble("is not known yet").await;

    let announces = |node_id: &str, port: u16| {
        let mut configuration = broker_config::Configuration::new("orders");
        configuration.connectors = vec![Connector::new("own", "127.0.0.1", port)];
        configuration.broadcast_groups = vec![BroadcastGroup {
            name: "bg".to_owned(),
            group: medium.group(),
            broadcast_period_ms: BEAT_MS,
            connector_refs: vec!["own".to_owned()],
        }];
        let group = broadcast::Group::all(&configuration).remove(0);
        let topology = Topology {
            node_id: node_id.to_owned(),
            ..Topology::default()
        };
        let (told, topology) = watch::channel(topology);
        let stop = CancellationToken::new();
        tokio::spawn(broadcast::announce(group, topology, stop.clone()));
        (told, stop)
    };
    // Another pair in the same group.
    let other = announces("another node", primary.address.port + 1);
    backup.is_quiet().await;
    let own = announces(PAIR, primary.address.port + 1);
    primary.is_up_with(backup.inc).await;
    backup.is_up_with(primary.inc).await;
    talk(&mut primary, &mut backup).await;
    own.1.cancel();
    other.1.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_last_still_arrives() {
    let (mut primary, backup) = pair_of_links().await;
    backup.link.send(primary.inc, resign(7));
    let inc = backup.inc;
    backup.link.close().await;
    primary.hears(inc, resign(7)).await;
    primary.is_down_with(inc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_is_closed_and_nobody_else_notices() {
    let (mut primary, mut backup) = pair_of_links().await;
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".as_slice(),
        b"ARTEMIS",
        b"TANDEMLK\0\x01\0\x01\xff\xff\xff\xff\x01",
        b"TANDEMLK\0\x01\0\x01\0\0\0\x01\x01\0",
        b"TANDEMLK\0\x09\0\x0a",
        &[0xa5; 4096],
    ] {
        let mut raw = dial(&primary.address).await;
        raw.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = raw.read_to_end(&mut answer);
        let _ = tokio::time::timeout(PATIENCE, read).await.expect("closed");
        assert!(answer.starts_with(b"TANDEMLK"), "{answer:?}");
    }
    talk(&mut primary, &mut backup).await;
    primary.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_silent_connections_do_not_keep_the_peer_out() {
    let mut primary = Broker::start(Side::Primary, 1).await;
    let address = primary.address.clone();
    // As many as there are places, again and again, so that no time limit helps.
    let flood = tokio::spawn(async move {
        let mut silent = Vec::new();
        for number in 0.. {
            silent.push(dial(&address).await);
            if number > 100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(number < 2_000, "long enough");
        }
    });
    let mut backup = Broker::start(Side::Backup, 2).await;
    backup.dials(&primary.address);
    primary.is_up_with(backup.inc).await;
    backup.is_up_with(primary.inc).await;
    talk(&mut primary, &mut backup).await;
    flood.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_but_a_few_silent_connections_are_closed() {
    let primary = Broker::start(Side::Primary, 1).await;
    let mut silent = Vec::new();
    for _ in 0..slots::MAX_UNPROVEN + 50 {
        silent.push(dial(&primary.address).await);
    }
    let mut pushed_out = 0;
    for raw in &mut silent[..50] {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, raw.read(&mut byte)).await;
        // Without a word; whoever is too slow is told.
        pushed_out += usize::from(!matches!(read.expect("still open"), Ok(1)));
    }
    // Not all, where accepting them takes longer than the time limit.
    assert!(pushed_out > 25, "{pushed_out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_peer_is_dropped_and_one_that_takes_its_place_is_let_in_sooner() {
    let mut primary = Broker::start(Side::Primary, 1).await;
    let frozen = Puppet::linked(&primary, 2).await;
    let began = Instant::now();
    primary.is_up_with(frozen.inc).await;
    primary.is_down_with(frozen.inc).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(LOST_AFTER_MS - BEAT_MS),
        "{took:?}"
    );

    let frozen = Puppet::linked(&primary, 3).await;
    primary.is_up_with(frozen.inc).await;
    let began = Instant::now();
    let mut backup = Broker::start(Side::Backup, 4).await;
    backup.dials(&primary.address);
    primary.is_down_with(frozen.inc).await;
    primary.is_up_with(backup.inc).await;
    backup.is_up_with(primary.inc).await;
    assert!(began.elapsed() < PATIENCE);
    talk(&mut primary, &mut backup).await;
    drop(frozen);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_the_password_are_answered_later_each_time() {
    let mut primary = Broker::start(Side::Primary, 1).await;
    let key = Key::derive("clusterUser", "guess");
    let began = Instant::now();
    for _ in 0..5 {
        let guess = Puppet::with_key(&primary, 2, key.clone()).await;
        let Err(Why::RefusedBy(refusal)) = guess.map(|_| ()) else {
            panic!("not refused");
        };
        assert_eq!(refusal.reason, Reason::Credentials);
    }
    // 0, 0.1, 0.2, 0.4, 0.8 s.
    assert!(began.elapsed() >= Duration::from_millis(1_500));
    // Who knows it does not wait.
    let mut backup = Broker::start(Side::Backup, 3).await;
    backup.dials(&primary.address);
    backup.is_up_with(primary.inc).await;
    primary.is_up_with(backup.inc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dials_a_server_of_another_kind_says_so_and_goes_on() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address {
        host: "127.0.0.1".to_owned(),
        port: other.local_addr().unwrap().port(),
    };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut primary = Broker::start(Side::Primary, 1).await;
    let mut backup = Broker::start(Side::Backup, 2).await;
    primary.dials(&address);
    primary.trouble("does not come from a broker").await;
    primary.dials(&backup.address);
    primary.is_up_with(backup.inc).await;
    backup.is_up_with(primary.inc).await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_setting() {
    let taken = LinkPort::open("127.0.0.1", 0).await.unwrap();
    let port = taken.address().port;
    let error = LinkPort::open("127.0.0.1", port).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("port {port}")), "{text}");
    assert!(text.contains("link.port"), "{text}");
}

async fn dial(address: &Address) -> TcpStream {
    TcpStream::connect((address.host.as_str(), address.port))
        .await
        .unwrap()
}

/// A process of the backup's side that connects and then does nothing at all.
struct Puppet {
    inc: Incarnation,
    _stream: TcpStream,
}

impl Puppet {
    async fn linked(primary: &Broker, inc: u8) -> Self {
        let puppet = Self::with_key(primary, inc, Key::derive("clusterUser", "clusterPassword"));
        puppet.await.expect("not refused")
    }

    async fn with_key(primary: &Broker, inc: u8, key: Key) -> Result<Self, Why> {
        let inc = Incarnation([inc; 16]);
        let settings = Settings {
            local: Local {
                purpose: link_protocol::Purpose::Link,
                pair: Some(PAIR.to_owned()),
                mode: Mode::SharedStore,
                side: Side::Backup,
                inc,
                name: "puppet".to_owned(),
                address: String::new(),
            },
            key,
            versions: VERSIONS,
            beat_ms: BEAT_MS,
            lost_after_ms: LOST_AFTER_MS,
        };
        let mut stream = dial(&primary.address).await;
        let mut connection = Connection::new(End::Dialler, settings, [7; 32], 0);
        let mut buffer = [0; 4096];
        loop {
            while let Some(bytes) = connection.poll_output() {
                stream.write_all(&bytes).await.unwrap();
            }
            if connection.is_up() {
                return Ok(Self {
                    inc,
                    _stream: stream,
                });
            }
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "closed without a word");
            connection.handle_input(&buffer[..read], 0);
            while let Some(event) = connection.poll_event() {
                match event {
                    Event::Proven(_) => connection.admit(0),
                    Event::Closed(why) => return Err(why),
                    Event::Up | Event::Message(_) | Event::Unreadable => {}
                }
            }
        }
    }
}
