//! Listens to the discovery group for the active broker's announcements, when nothing else has led to a link.
//!
//! The socket is open only between two attempts of the dialler; while there is a link, nothing is listened to. What is
//! heard says where the other side may be, and never more (`heard`). Whatever goes wrong here is told once, and the
//! other addresses are tried on.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use broker_config::configuration::{Connector, DiscoveryGroup};
use bytes::Bytes;
use core_protocol::discovery::MAX_DATAGRAM_BYTES;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tracing::{debug, info, warn};

use super::address::Address;
use super::heard::Heard;
use super::repeats::Repeats;
use crate::multicast;

/// The pause after each datagram: a flood costs little, and the kernel drops what is too much. A broker announces
/// itself every few seconds, so 200 a second are more than any network of brokers has.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a name in local-bind-address may take to be found. The other addresses wait meanwhile.
const RESOLVE_LIMIT: Duration = Duration::from_secs(1);

/// The group that the cluster-connection refers to, and who listens.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    name: String,
    to: SocketAddrV4,
    local_bind_address: Option<String>,
    keep: Duration,
    /// The own connector, which this side announces while it serves.
    own: Address,
}

impl Group {
    /// A discovery group of `broker.xml`, for a broker with this connector.
    pub(crate) fn new(configured: &DiscoveryGroup, connector: &Connector) -> Self {
        Self {
            name: configured.name.clone(),
            to: SocketAddrV4::new(configured.group.address, configured.group.port),
            local_bind_address: configured.group.local_bind_address.clone(),
            keep: Duration::from_millis(configured.refresh_timeout_ms),
            own: Address {
                host: connector.host.clone(),
                port: connector.port,
            },
        }
    }
}

/// An open socket, and room for a datagram.
#[derive(Debug)]
struct Ear {
    socket: UdpSocket,
    buffer: Box<[u8]>,
}

/// The listener.
#[derive(Debug)]
pub(super) struct Discovery {
    group: Group,
    /// What the connector's host is on this machine, where the port of the link is open.
    host: Option<IpAddr>,
    ear: Option<Ear>,
    heard: Heard,
    /// Datagrams that are no announcements.
    unreadable: u64,
    is_deaf: bool,
    repeats: Repeats,
}

impl Discovery {
    /// Nothing is opened yet.
    pub(super) fn new(group: Group, host: Option<IpAddr>) -> Self {
        Self {
            heard: Heard::new(group.own.clone(), group.keep),
            group,
            host,
            ear: None,
            unreadable: 0,
            is_deaf: false,
            repeats: Repeats::default(),
        }
    }

    /// An address that was heard and whose turn it is.
    pub(super) fn next(&mut self) -> Option<Address> {
        self.heard.next(Instant::now())
    }

    /// There is a link: closes the socket and forgets what was heard.
    pub(super) fn rest(&mut self) {
        self.ear = None;
        self.heard.clear();
    }

    /// Opens the socket, if it is not open.
    pub(super) async fn open(&mut self) {
        if self.ear.is_some() {
            return;
        }
        match self.try_open().await {
            Ok(socket) => {
                let Group { name, to, .. } = &self.group;
                if std::mem::take(&mut self.is_deaf) {
                    info!("discovery-group '{name}': announcements to udp://{to} are heard again");
                } else {
                    debug!("discovery-group '{name}': listens to udp://{to} for the other side");
                }
                let buffer = vec![0; MAX_DATAGRAM_BYTES].into();
                self.ear = Some(Ear { socket, buffer });
            }
            Err(problem) => self.tell(&problem),
        }
    }

    /// Hears announcements of the pair with that node ID until it is dropped. What comes while nobody is in here waits
    /// in the kernel's buffer.
    pub(super) async fn listen(&mut self, pair: &str) -> Infallible {
        while let Some(Ear { socket, buffer }) = &mut self.ear {
            match socket.recv_from(buffer).await {
                Ok((length, from)) => {
                    let datagram = Bytes::copy_from_slice(&buffer[..length]);
                    if let Err(error) = self.heard.take(&datagram, pair, Instant::now()) {
                        self.count(from, &error);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    // Opened again after the next attempt.
                    self.ear = None;
                    self.tell(&Deaf::Refused(error));
                }
            }
        }
        std::future::pending().await
    }

    async fn try_open(&self) -> Result<UdpSocket, Deaf> {
        let interface = self.interface().await?;
        let open = || -> io::Result<UdpSocket> {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_nonblocking(true)?;
            // The other broker and clients may listen on this machine too.
            socket.set_reuse_address(true)?;
            // Or it hears what any program of this machine has joined, on any interface.
            socket.set_multicast_all_v4(false)?;
            // To the group's address: what is sent to this machine alone is not for the group.
            socket.bind(&self.group.to.into())?;
            socket.join_multicast_v4(self.group.to.ip(), &interface)?;
            UdpSocket::from_std(socket.into())
        };
        open().map_err(Deaf::Refused)
    }

    /// An address of the interface to listen on; the unspecified one leaves it to the routes.
    async fn interface(&self) -> Result<Ipv4Addr, Deaf> {
        if multicast::is_loopback(&self.group.own.host) {
            return Ok(Ipv4Addr::LOCALHOST);
        }
        if let Some(host) = &self.group.local_bind_address {
            let resolved = tokio::time::timeout(RESOLVE_LIMIT, multicast::resolve(host)).await;
            let resolved = resolved.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            return resolved.map_err(|source| Deaf::LocalBindAddress {
                host: host.clone(),
                source,
            });
        }
        Ok(match self.host {
            // Announcements to other machines do not pass the loopback interface, whatever a hosts file says.
            Some(IpAddr::V4(host)) if !host.is_loopback() => host,
            Some(_) | None => Ipv4Addr::UNSPECIFIED,
        })
    }

    fn count(&mut self, from: SocketAddr, error: &core_protocol::DecodeError) {
        self.unreadable += 1;
        let name = &self.group.name;
        let line = format!("discovery-group '{name}': what is no announcement is ignored");
        if let Some(more) = self.repeats.admit(&line, Instant::now()) {
            let count = self.unreadable;
            info!("{line}: {count} datagrams so far, the last one from {from}: {error}{more}");
        }
    }

    fn tell(&mut self, problem: &Deaf) {
        let Group { name, to, .. } = &self.group;
        if std::mem::replace(&mut self.is_deaf, true) {
            debug!("discovery-group '{name}': {problem}");
        } else {
            warn!(
                "discovery-group '{name}': what the other side announces to udp://{to} is not heard: {problem}; {}. It is looked for at every other address that is known. Said once, until it works",
                problem.remedy()
            );
        }
    }
}

/// Why announcements are not heard.
#[derive(Debug, thiserror::Error)]
enum Deaf {
    /// The configured address names no interface.
    #[error("local-bind-address '{host}' cannot be used: {source}")]
    LocalBindAddress { host: String, source: io::Error },
    /// The kernel does not listen.
    #[error("{0}")]
    Refused(io::Error),
}

impl Deaf {
    /// What to do about it.
    fn remedy(&self) -> &'static str {
        match self {
            Self::LocalBindAddress { .. } => {
                "correct it in broker.xml, to an IPv4 address of this machine"
            }
            Self::Refused(error) if error.kind() == io::ErrorKind::AddrInUse => {
                "another program has that port and does not share it (`ss -lunp` names it): stop it, or give the discovery-group and both broadcast-groups another group-port"
            }
            Self::Refused(_) => {
                "give multicast a route (`ip route add 224.0.0.0/4 dev INTERFACE`), name an address of the interface as local-bind-address of the discovery-group, or use static-connectors"
            }
        }
    }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
pub(super) mod tests;
