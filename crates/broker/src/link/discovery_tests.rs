//! What a listener hears on the loopback interface, and what it says when it hears nothing.

use std::sync::{Arc, Mutex};

use broker_config::configuration::MulticastGroup;
use core_protocol::discovery::Announcement;

use super::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(231, 7, 7, 7);
const PAIR: &str = "0f0f0f0f-0000-4000-8000-000000000001";
/// Far longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// A group of which only one test knows.
pub(in crate::link) struct Medium {
    to: SocketAddrV4,
    /// Keeps the port, and shares it with those who listen.
    _held: Socket,
}

impl Medium {
    pub(in crate::link) fn new() -> Self {
        let held = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        held.set_reuse_address(true).unwrap();
        held.bind(&SocketAddrV4::new(GROUP, 0).into()).unwrap();
        let port = held.local_addr().unwrap().as_socket_ipv4().unwrap().port();
        Self {
            to: SocketAddrV4::new(GROUP, port),
            _held: held,
        }
    }

    /// The group, as `broker.xml` says it.
    pub(in crate::link) fn group(&self) -> MulticastGroup {
        MulticastGroup {
            address: *self.to.ip(),
            port: self.to.port(),
            local_bind_address: None,
        }
    }

    /// A listener's group, for a broker on that host.
    pub(in crate::link) fn heard_by(&self, host: &str, port: u16) -> Group {
        let configured = DiscoveryGroup {
            name: "dg".to_owned(),
            group: self.group(),
            refresh_timeout_ms: 10_000,
        };
        Group::new(&configured, &Connector::new("self", host, port))
    }

    /// A listener of a broker on loopback.
    pub(in crate::link) fn listener(&self) -> Discovery {
        let host = Some(Ipv4Addr::LOCALHOST.into());
        Discovery::new(self.heard_by("127.0.0.1", 61_616), host)
    }

    /// Lets the listener hear the connector of a broker with that link port.
    pub(in crate::link) async fn is_heard_by(&self, discovery: &mut Discovery, link_port: u16) {
        discovery.open().await;
        self.send(&announcement(link_port + 1));
        assert_eq!(hears_port(discovery).await, link_port);
    }

    fn send(&self, datagram: &[u8]) {
        send(datagram, self.to);
    }
}

fn send(datagram: &[u8], to: SocketAddrV4) {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
    socket.send_to(datagram, &to.into()).unwrap();
}

fn announcement(port: u16) -> Bytes {
    Announcement {
        node_id: PAIR.to_owned(),
        unique_id: "a run".to_owned(),
        connectors: vec![core_protocol::Connector::tcp("artemis", "127.0.0.1", port)],
    }
    .encode()
}

async fn hears_port(discovery: &mut Discovery) -> u16 {
    let began = Instant::now();
    loop {
        let _ = tokio::time::timeout(PAUSE, discovery.listen(PAIR)).await;
        if let Some(address) = discovery.next() {
            return address.port;
        }
        assert!(began.elapsed() < PATIENCE, "nothing was heard");
    }
}

/// What is printed on this thread until it is dropped.
struct Printed {
    text: Arc<Text>,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Default)]
struct Text(Mutex<Vec<u8>>);

impl io::Write for &Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn new() -> Self {
        let text = Arc::<Text>::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(Arc::clone(&text))
            .with_ansi(false)
            .finish();
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    fn lines(&self) -> Vec<String> {
        let text = self.text.0.lock().unwrap();
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn only_what_is_sent_to_the_group_is_heard_by_all_who_share_the_port() {
    let medium = Medium::new();
    let (mut one, mut other) = (medium.listener(), medium.listener());
    for discovery in [&mut one, &mut other] {
        discovery.open().await;
        assert!(discovery.ear.is_some());
    }
    let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, medium.to.port());
    send(&announcement(61_816), here);
    medium.send(&announcement(61_716));
    for discovery in [&mut one, &mut other] {
        assert_eq!(hears_port(discovery).await, 61_715);
        assert_eq!(discovery.next().map(|next| next.port), Some(61_715));
    }
}

#[tokio::test]
async fn with_a_link_nothing_is_listened_to_and_nothing_remembered() {
    let medium = Medium::new();
    let mut discovery = medium.listener();
    medium.is_heard_by(&mut discovery, 61_715).await;
    discovery.rest();
    assert!(discovery.ear.is_none());
    assert_eq!(discovery.next(), None);
}

#[tokio::test]
async fn garbage_is_counted_and_told_once() {
    let medium = Medium::new();
    let printed = Printed::new();
    let mut discovery = medium.listener();
    discovery.open().await;
    for length in 0..20 {
        medium.send(&vec![0xa5; length]);
    }
    medium.send(&vec![0; MAX_DATAGRAM_BYTES]);
    medium.send(&announcement(61_716));
    assert_eq!(hears_port(&mut discovery).await, 61_715);
    assert_eq!(discovery.unreadable, 21);
    let [line] = &printed.lines()[..] else {
        panic!("{:?}", printed.lines());
    };
    assert!(
        line.contains("'dg'") && line.contains("1 datagrams so far"),
        "{line}"
    );
}

#[tokio::test]
async fn whoever_hears_nothing_says_so_once_and_goes_on_until_it_does() {
    let printed = Printed::new();
    // Another program, which does not share the port.
    let taken = std::net::UdpSocket::bind((GROUP, 0)).unwrap();
    let SocketAddr::V4(to) = taken.local_addr().unwrap() else {
        panic!("an IPv4 socket");
    };
    let medium = Medium {
        to,
        _held: Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap(),
    };
    let mut discovery = medium.listener();
    for _ in 0..3 {
        discovery.open().await;
        let listening = tokio::time::timeout(PAUSE, discovery.listen(PAIR)).await;
        assert!(listening.is_err(), "does not listen, and does not spin");
        assert_eq!(discovery.next(), None);
    }
    let [line] = &printed.lines()[..] else {
        panic!("{:?}", printed.lines());
    };
    assert!(line.contains("WARN") && line.contains("'dg'"), "{line}");
    assert!(line.contains("ss -lunp"), "{line}");

    drop(taken);
    medium.is_heard_by(&mut discovery, 61_715).await;
    let again = printed.lines().pop().unwrap();
    assert!(again.contains("are heard again"), "{again}");
}

#[tokio::test]
async fn the_interface_is_that_of_the_connector_unless_broker_xml_says_another() {
    let medium = Medium::new();
    let v4 = |text: &str| Some(IpAddr::V4(text.parse().unwrap()));
    let v6 = Some(IpAddr::V6("2001:db8::1".parse().unwrap()));
    for (host, local_bind_address, ip, interface) in [
        ("127.0.0.1", None, v4("127.0.0.1"), "127.0.0.1"),
        ("localhost", None, v4("127.0.0.1"), "127.0.0.1"),
        // Nobody else reaches that broker, whatever the group says.
        ("127.0.0.1", Some("192.0.2.7"), v4("127.0.0.1"), "127.0.0.1"),
        ("broker.example", None, v4("192.0.2.1"), "192.0.2.1"),
        (
            "192.0.2.1",
            Some("198.51.100.1"),
            v4("192.0.2.1"),
            "198.51.100.1",
        ),
        ("broker.example", None, v4("127.0.1.1"), "0.0.0.0"),
        ("2001:db8::1", None, v6, "0.0.0.0"),
        ("0.0.0.0", None, v4("0.0.0.0"), "0.0.0.0"),
    ] {
        let group = Group {
            local_bind_address: local_bind_address.map(str::to_owned),
            ..medium.heard_by(host, 61_616)
        };
        let chosen = Discovery::new(group, ip).interface().await.unwrap();
        assert_eq!(
            chosen.to_string(),
            interface,
            "{host}, {local_bind_address:?}"
        );
    }
}

#[tokio::test]
async fn an_address_that_names_no_interface_is_named() {
    let group = Group {
        local_bind_address: Some("2001:db8::7".to_owned()),
        ..Medium::new().heard_by("192.0.2.1", 61_616)
    };
    let problem = Discovery::new(group, None).try_open().await.unwrap_err();
    assert!(problem.to_string().contains("2001:db8::7"), "{problem}");
    assert!(problem.remedy().contains("broker.xml"));
}
