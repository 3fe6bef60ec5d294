//! Which groups there are, where a broker announces itself, and what is said when nobody can hear it.

use std::time::Instant;

use broker_config::configuration::{BroadcastGroup, MulticastGroup};

use super::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(231, 7, 7, 7);

/// As a broker's `broker.xml` says it, with one connector for each host and one that is not there.
fn groups(hosts: &[&str]) -> Vec<Group> {
    let mut configuration = Configuration::new("orders");
    let connector = |(index, host): (usize, &&str)| {
        broker_config::configuration::Connector::new(format!("c{index}"), *host, 61616)
    };
    configuration.connectors = hosts.iter().enumerate().map(connector).collect();
    let mut connector_refs = vec!["elsewhere".to_owned()];
    connector_refs.extend(configuration.connectors.iter().map(|one| one.name.clone()));
    configuration.broadcast_groups = vec![BroadcastGroup {
        name: "bg".to_owned(),
        group: MulticastGroup {
            address: GROUP,
            port: 9876,
            local_bind_address: None,
        },
        broadcast_period_ms: 0,
        connector_refs,
    }];
    Group::all(&configuration)
}

/// Hears what is announced to a group on the loopback interface.
///
/// It joins there by the interface's address, which needs neither a route nor the interface's multicast flag.
pub(crate) struct Listener(UdpSocket);

/// A group that only this listener knows.
pub(crate) fn heard_group(period: Duration) -> (Group, Listener) {
    let socket = std::net::UdpSocket::bind((GROUP, 0)).unwrap();
    socket
        .join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
        .unwrap();
    socket.set_nonblocking(true).unwrap();
    let to = SocketAddrV4::new(GROUP, socket.local_addr().unwrap().port());
    let group = Group {
        to,
        period,
        ..groups(&["127.0.0.1"]).remove(0)
    };
    (group, Listener(UdpSocket::from_std(socket).unwrap()))
}

impl Listener {
    /// The next announcement, if one comes in time.
    pub(crate) async fn next(&mut self, limit: Duration) -> Option<Announcement> {
        let mut buffer = vec![0; core_protocol::discovery::MAX_DATAGRAM_BYTES];
        let receiving = self.0.recv_from(&mut buffer);
        let (length, from) = tokio::time::timeout(limit, receiving).await.ok()?.unwrap();
        assert!(from.ip().is_loopback(), "sent through another interface");
        buffer.truncate(length);
        Some(Announcement::decode(&buffer.into()).unwrap())
    }

    /// Drops what has come already.
    pub(crate) fn forget(&mut self) {
        while self.0.try_recv(&mut [0; 1]).is_ok() {}
    }
}

/// Lines as the kernel prints them: interface, destination, prefix length.
fn table(routes: &[(&str, [u8; 4], u32)]) -> String {
    let line = |(interface, destination, bits): &(&str, [u8; 4], u32)| {
        let destination = u32::from_ne_bytes(*destination);
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0).to_be_bytes();
        let mask = u32::from_ne_bytes(mask);
        format!("{interface}\t{destination:08X}\t00000000\t0001\t0\t0\t0\t{mask:08X}\t0\n")
    };
    let head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n".to_owned();
    std::iter::once(head)
        .chain(routes.iter().map(line))
        .collect()
}

#[test]
fn a_group_without_a_connector_is_not_announced_to() {
    assert!(groups(&[]).is_empty());
    let [group] = &groups(&["one.example", "two.example"])[..] else {
        panic!("one group");
    };
    let hosts: Vec<_> = group.connectors.iter().map(Connector::host).collect();
    assert_eq!(hosts, [Some("one.example"), Some("two.example")]);
    assert!(!group.period.is_zero(), "a timer needs a period");
}

#[test]
fn only_a_broker_that_nobody_else_reaches_stays_on_loopback() {
    for (hosts, stays) in [
        (&["127.0.0.1"][..], true),
        (&["localhost"], true),
        (&["127.0.1.1", "::1"], true),
        (&["192.0.2.1"], false),
        (&["broker.example"], false),
        (&["127.0.0.1", "192.0.2.1"], false),
    ] {
        assert_eq!(groups(hosts)[0].is_on_loopback(), stays, "{hosts:?}");
    }
}

#[test]
fn the_most_specific_route_says_where_clients_listen() {
    let default = ("eth0", [0, 0, 0, 0], 0);
    let near = ("eth0", [192, 0, 2, 0], 24);
    let multicast = ("lo", [224, 0, 0, 0], 4);
    for (routes, interface) in [
        (&[][..], None),
        (&[near], None),
        (&[default, near], Some("eth0")),
        (&[multicast, default], Some("lo")),
        (&[default, near, multicast], Some("lo")),
    ] {
        assert_eq!(
            interface_for(GROUP, &table(routes)),
            interface,
            "{routes:?}"
        );
    }
    assert_eq!(
        interface_for(GROUP, "Iface\nshort\nlo\tno\tnumbers\t\n"),
        None
    );
}

#[test]
fn what_to_do_depends_on_where_the_broker_is() {
    let [here] = &groups(&["127.0.0.1"])[..] else {
        panic!("one group");
    };
    let [there] = &groups(&["192.0.2.1"])[..] else {
        panic!("one group");
    };
    assert!(Unheard::NoRoute.remedy(here).contains("dev lo"));
    let refused = Unheard::Refused(io::ErrorKind::NetworkUnreachable.into());
    assert!(refused.remedy(there).contains("dev INTERFACE"));
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_named() {
    let group = Group {
        local_bind_address: Some("192.0.2.77".to_owned()),
        ..groups(&["192.0.2.1"]).remove(0)
    };
    let error = open(&group).await.unwrap_err();
    assert!(error.to_string().contains("192.0.2.77"), "{error}");
    assert!(error.remedy(&group).contains("broker.xml"));
}

#[tokio::test]
async fn the_first_announcement_is_at_once_and_the_others_are_the_same() {
    let period = Duration::from_secs(1);
    let (group, mut listener) = heard_group(period);
    let connectors = group.connectors.clone();
    let (told, topology) = watch::channel(Topology::default());
    let stop = CancellationToken::new();
    let announcing = tokio::spawn(announce(group, topology, stop.clone()));

    let nameless = listener.next(Duration::from_millis(100)).await;
    assert!(nameless.is_none(), "announced without a node id");
    told.send_modify(|topology| topology.node_id = "the-node".to_owned());
    let told_at = Instant::now();
    let first = listener.next(period * 5).await.unwrap();
    assert!(told_at.elapsed() < period, "not at once");
    assert_eq!(first.node_id, "the-node");
    assert_eq!(first.connectors, connectors);
    assert_eq!(first.unique_id.len(), 36);
    let second = listener.next(period * 5).await.unwrap();
    assert_eq!(second, first);

    stop.cancel();
    announcing.await.unwrap();
    listener.forget();
    assert!(listener.next(period * 2).await.is_none());
}
