//! Announces the active broker by UDP multicast, so that clients with the URL `udp://GROUP:PORT` find it.
//!
//! One task for each broadcast group, alive only while this side serves: a standby announces nothing (rule 5).
//! Nothing waits for it, and whatever it cannot do ends no term: a client that names both brokers needs none of this.
//! A broker whose connectors are on the loopback interface announces itself there alone, for nobody else can reach it.

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use broker_config::Configuration;
use bytes::Bytes;
use core_protocol::discovery::Announcement;
use core_protocol::packet::Connector;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::core::Topology;
use crate::multicast;

/// Routers that a datagram may pass, none: what Java's multicast sockets are set to.
const TTL: u32 = 1;

/// The kernel's table of IPv4 routes, of the network namespace that this process is in.
const ROUTES: &str = "/proc/self/net/route";

/// How much of that table is read; a route for multicast is among the first lines.
const MAX_ROUTES_BYTES: u64 = 64 * 1024;

/// A group that this broker announces itself to.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    name: String,
    to: SocketAddrV4,
    local_bind_address: Option<String>,
    period: Duration,
    connectors: Vec<Connector>,
}

impl Group {
    /// The broadcast groups of `broker.xml` that have something to announce.
    pub(crate) fn all(configuration: &Configuration) -> Vec<Self> {
        configuration
            .broadcast_groups
            .iter()
            .map(|configured| Self {
                name: configured.name.clone(),
                to: SocketAddrV4::new(configured.group.address, configured.group.port),
                local_bind_address: configured.group.local_bind_address.clone(),
                // A timer needs a period.
                period: Duration::from_millis(configured.broadcast_period_ms.max(1)),
                connectors: configured
                    .connector_refs
                    .iter()
                    .filter_map(|name| configuration.connector(name))
                    .map(|connector| {
                        Connector::tcp(&connector.name, &connector.host, connector.port)
                    })
                    .collect(),
            })
            .filter(|group| !group.connectors.is_empty())
            .collect()
    }

    fn is_on_loopback(&self) -> bool {
        self.connectors
            .iter()
            .all(|connector| connector.host().is_some_and(multicast::is_loopback))
    }
}

/// Announces until `stop` is cancelled, the first time at once.
pub(crate) async fn announce(
    group: Group,
    topology: watch::Receiver<Topology>,
    stop: CancellationToken,
) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = announce_for_ever(&group, topology) => {}
    }
}

async fn announce_for_ever(group: &Group, mut topology: watch::Receiver<Topology>) {
    let unique_id = match crate::random::uuid() {
        Ok(unique_id) => unique_id,
        Err(error) => {
            warn!(
                "broadcast-group '{}' is not announced to: {error}",
                group.name
            );
            return;
        }
    };
    let known = topology.wait_for(|topology| !topology.node_id.is_empty());
    let Ok(node_id) = known.await.map(|topology| topology.node_id.clone()) else {
        return;
    };
    let datagram = Announcement {
        node_id,
        unique_id,
        connectors: group.connectors.clone(),
    }
    .encode();

    let mut socket = None;
    let mut unheard = false;
    let mut periods = tokio::time::interval(group.period);
    periods.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        periods.tick().await;
        let problem = announce_once(group, &mut socket, &datagram).await.err();
        let was_unheard = std::mem::replace(&mut unheard, problem.is_some());
        let Group { name, to, .. } = group;
        match problem {
            Some(problem) if was_unheard => debug!("broadcast-group '{name}': {problem}"),
            Some(problem) => warn!(
                "broadcast-group '{name}': clients with the URL udp://{to} do not find this broker: {problem}; {}. Clients whose URL names both brokers are served. Said once, until it works",
                problem.remedy(group)
            ),
            None if was_unheard => {
                info!(
                    "broadcast-group '{name}': clients with the URL udp://{to} find this broker again"
                );
            }
            None => {}
        }
    }
}

/// Sends one datagram, through a new socket if there is none or the old one failed: interfaces come and go.
async fn announce_once(
    group: &Group,
    socket: &mut Option<UdpSocket>,
    datagram: &Bytes,
) -> Result<(), Unheard> {
    let sender = match socket.take() {
        Some(socket) => socket,
        None => open(group).await?,
    };
    sender
        .send_to(datagram, SocketAddr::V4(group.to))
        .await
        .map_err(Unheard::Refused)?;
    *socket = Some(sender);
    if group.is_on_loopback() {
        check_route(*group.to.ip())?;
    }
    Ok(())
}

async fn open(group: &Group) -> Result<UdpSocket, Unheard> {
    let on_loopback = group.is_on_loopback();
    let local = match &group.local_bind_address {
        Some(host) => {
            let resolved = multicast::resolve(host).await;
            Some(resolved.map_err(|error| unusable(host, error))?)
        }
        None => on_loopback.then_some(Ipv4Addr::LOCALHOST),
    };
    let interface = if on_loopback {
        Some(Ipv4Addr::LOCALHOST)
    } else {
        local
    };
    let bind = || -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let local = SocketAddrV4::new(local.unwrap_or(Ipv4Addr::UNSPECIFIED), 0);
        socket.bind(&local.into())?;
        if let Some(interface) = interface {
            socket.set_multicast_if_v4(&interface)?;
        }
        socket.set_multicast_ttl_v4(TTL)?;
        // Clients and the other broker may run on this machine.
        socket.set_multicast_loop_v4(true)?;
        UdpSocket::from_std(socket.into())
    };
    bind().map_err(|error| match &group.local_bind_address {
        Some(host) => unusable(host, error),
        None => Unheard::Refused(error),
    })
}

fn unusable(host: &str, source: io::Error) -> Unheard {
    Unheard::LocalBindAddress {
        host: host.to_owned(),
        source,
    }
}

/// Sending through the loopback interface always succeeds. A client of this machine listens where the routes say,
/// and hears it only if that is the loopback interface too.
fn check_route(group: Ipv4Addr) -> Result<(), Unheard> {
    let mut routes = String::new();
    let read =
        File::open(ROUTES).and_then(|file| file.take(MAX_ROUTES_BYTES).read_to_string(&mut routes));
    if let Err(error) = read {
        // Nothing is known against it.
        debug!("cannot read {ROUTES}: {error}");
        return Ok(());
    }
    match interface_for(group, &routes) {
        Some("lo") => Ok(()),
        Some(other) => Err(Unheard::OtherInterface(other.to_owned())),
        None => Err(Unheard::NoRoute),
    }
}

/// The interface of the most specific route for `group` in the kernel's table.
fn interface_for(group: Ipv4Addr, routes: &str) -> Option<&str> {
    // The table has addresses in hexadecimal, as the machine's integers see the bytes of the network.
    let group = u32::from_ne_bytes(group.octets());
    let route = |line| -> Option<(&str, u32)> {
        let fields: Vec<&str> = str::split_whitespace(line).collect();
        let [interface, destination, _, _, _, _, _, mask, ..] = fields[..] else {
            return None;
        };
        let destination = u32::from_str_radix(destination, 16).ok()?;
        let mask = u32::from_str_radix(mask, 16).ok()?;
        (group & mask == destination).then_some((interface, mask.count_ones()))
    };
    routes
        .lines()
        .skip(1)
        .filter_map(route)
        .max_by_key(|(_, bits)| *bits)
        .map(|(interface, _)| interface)
}

/// Why nobody hears an announcement.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    /// The configured address is none of this machine's.
    #[error("local-bind-address '{host}' cannot be used: {source}")]
    LocalBindAddress { host: String, source: io::Error },
    /// The kernel does not send it.
    #[error("{0}")]
    Refused(io::Error),
    /// There is no interface on which clients of this machine would listen.
    #[error("there is no route for multicast")]
    NoRoute,
    /// Clients of this machine listen elsewhere than on loopback.
    #[error("its connectors are on loopback, but multicast is routed to {0}")]
    OtherInterface(String),
}

impl Unheard {
    /// What to do about it.
    fn remedy(&self, group: &Group) -> &'static str {
        match self {
            Self::LocalBindAddress { .. } => {
                "correct it in broker.xml, to an IPv4 address of this machine"
            }
            Self::Refused(_) | Self::NoRoute | Self::OtherInterface(_)
                if group.is_on_loopback() =>
            {
                "to change that: `ip link set lo multicast on; ip route add 224.0.0.0/4 dev lo`"
            }
            Self::Refused(_) | Self::NoRoute | Self::OtherInterface(_) => {
                "give multicast a route (`ip route add 224.0.0.0/4 dev INTERFACE`), or name an address of the interface as local-bind-address in broker.xml"
            }
        }
    }
}

#[cfg(test)]
#[path = "broadcast_tests.rs"]
pub(crate) mod tests;
