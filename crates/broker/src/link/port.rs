//! The port of the link, open in every role.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use link_protocol::End;
use tokio::net::TcpListener;
use tracing::warn;

use super::address::Address;
use super::hub::Hub;
use super::session;
use super::slots::Slots;

/// The pause after a connection could not be accepted, mostly for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the link cannot listen, in words for the person who starts the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkPortError {
    /// Somebody else listens there.
    #[error(
        "port {} on {} (link between the brokers of the pair: link.port in etc/tandem.properties, by default the port before the connector's) is in use by another process: stop it (`ss -ltnp 'sport = :{}'` names it), or set another link.port",
        .0.port, .0.host, .0.port
    )]
    InUse(Address),
    /// Anything else.
    #[error(
        "cannot open port {} on {} (link between the brokers of the pair: the host of the cluster-connection's connector, and link.port in etc/tandem.properties): {source}",
        .address.port, .address.host
    )]
    Refused {
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
}

/// The port, bound before anything else is started.
#[derive(Debug)]
pub(crate) struct LinkPort {
    listener: TcpListener,
    address: Address,
}

impl LinkPort {
    /// Opens it. Whoever connects waits until the link is started.
    pub(crate) async fn open(host: &str, port: u16) -> Result<Self, LinkPortError> {
        let mut address = Address {
            host: host.to_owned(),
            port,
        };
        match TcpListener::bind((host, port)).await {
            Ok(listener) => {
                // The same, but in tests, which ask for any.
                address.port = listener.local_addr().map_or(port, |local| local.port());
                Ok(Self { listener, address })
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(LinkPortError::InUse(address))
            }
            Err(source) => Err(LinkPortError::Refused { address, source }),
        }
    }

    /// Where it is, as the other side is told.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What its host is on this machine.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.listener.local_addr().ok().map(|local| local.ip())
    }

    pub(super) fn into_listener(self) -> TcpListener {
        self.listener
    }
}

/// Accepts until the link is closed.
pub(super) async fn accept(hub: Arc<Hub>, listener: TcpListener) {
    let slots = Arc::<Slots>::default();
    while let Some(accepted) = hub.until_stopped(listener.accept()).await {
        match accepted {
            Ok((stream, from)) => {
                let slot = slots.take(from.ip());
                let session = session::Opened {
                    stream,
                    end: End::Acceptor,
                    remote: from.to_string(),
                    from: Some(from.ip()),
                };
                let hub = Arc::clone(&hub);
                hub.tasks()
                    .clone()
                    .spawn(session::accepted(hub, session, slot));
            }
            Err(error) => {
                let line = format!("link: a connection cannot be accepted: {error}");
                if let Some(more) = hub.may_print(&line) {
                    warn!("{line}{more}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
