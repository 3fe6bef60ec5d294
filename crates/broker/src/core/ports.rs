//! Client ports that a standby keeps for itself without opening them.
//!
//! Rule 5: the client ports of a standby are closed, so that a client is refused at once and tries the other
//! side. A socket that is bound but does not listen does exactly that: the kernel answers with a reset, nobody
//! else can bind there, and the takeover needs one system call to open the port.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted; the kernel's usual upper bound caps it.
const LISTEN_BACKLOG: i32 = 1024;

/// Why a port is not to be had, in words for the person who starts the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    /// Somebody else listens there.
    #[error(
        "port {port} on {host} ({user}) is in use by another process: stop it (`ss -ltnp 'sport = :{port}'` names it), or choose other ports with `create --port-offset N`"
    )]
    InUse {
        /// Host as configured.
        host: String,
        /// The port number.
        port: u16,
        /// What wanted it.
        user: String,
    },
    /// The host name has no address on this machine.
    #[error("host '{host}' of {user} has no address: {source}")]
    Unresolved {
        /// Host as configured.
        host: String,
        /// What wanted it.
        user: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Anything else the kernel refused.
    #[error("cannot open port {port} on {host} ({user}): {source}")]
    Refused {
        /// Host as configured.
        host: String,
        /// The port number.
        port: u16,
        /// What wanted it.
        user: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A port on which clients are accepted.
#[derive(Debug)]
pub(crate) struct OpenPort {
    /// Where they come in.
    pub listener: TcpListener,
    /// What it is for, as given to [`ReservedPort::reserve`].
    pub user: String,
    /// Connections at the same time; absent: as many as the process can have.
    pub connections_allowed: Option<usize>,
}

/// A port that is reserved and closed.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    connections_allowed: Option<usize>,
    socket: Socket,
    host: String,
    port: u16,
    user: String,
}

impl ReservedPort {
    /// Reserves `port` on `host` for `user` (a phrase such as `acceptor 'artemis'`), without opening it.
    pub(crate) fn reserve(host: &str, port: u16, user: &str) -> Result<Self, PortError> {
        let address = resolve(host, port, user)?;
        let bind = || -> io::Result<Socket> {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM,
                Some(Protocol::TCP),
            )?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            // Left on, it would let another process bind here as well, and listen first.
            socket.set_reuse_address(false)?;
            Ok(socket)
        };
        let socket = bind().map_err(|source| refused(host, port, user, source))?;
        Ok(Self {
            connections_allowed: None,
            socket,
            host: host.to_owned(),
            port,
            user: user.to_owned(),
        })
    }

    /// Limits the connections it will have at the same time.
    pub(crate) fn allowing(self, connections: Option<usize>) -> Self {
        Self {
            connections_allowed: connections,
            ..self
        }
    }

    /// Opens the port: from here on clients are accepted.
    pub(crate) fn open(self) -> Result<OpenPort, PortError> {
        let Self {
            connections_allowed,
            socket,
            host,
            port,
            user,
        } = self;
        let socket = above_connections(socket);
        // Needed again for a later socket to bind while connections of this one linger.
        socket
            .set_reuse_address(true)
            .and_then(|()| socket.listen(LISTEN_BACKLOG))
            .and_then(|()| TcpListener::from_std(socket.into()))
            .map(|listener| OpenPort {
                listener,
                user: user.clone(),
                connections_allowed,
            })
            .map_err(|source| refused(&host, port, &user, source))
    }
}

/// The same socket under a descriptor above those that connections will get.
///
/// The kernel closes the sockets of a killed process from the highest descriptor down. Were the port open longer than the
/// connections, a client would come back to the dying process at once, and then wait there for an answer until its call
/// timeout instead of going to the other side.
fn above_connections(socket: Socket) -> Socket {
    let Ok(least) = i32::try_from(super::admission::descriptors_above_connections()) else {
        return socket;
    };
    // Without a free one up there the port is served all the same.
    rustix::io::fcntl_dupfd_cloexec(&socket, least).map_or(socket, Socket::from)
}

fn refused(host: &str, port: u16, user: &str, source: io::Error) -> PortError {
    let (host, user) = (host.to_owned(), user.to_owned());
    if source.kind() == io::ErrorKind::AddrInUse {
        PortError::InUse { host, port, user }
    } else {
        PortError::Refused {
            host,
            port,
            user,
            source,
        }
    }
}

/// The address to bind: the first IPv4 one if there is one, as the Java client dials `localhost`.
fn resolve(host: &str, port: u16, user: &str) -> Result<SocketAddr, PortError> {
    let unresolved = |source| PortError::Unresolved {
        host: host.to_owned(),
        user: user.to_owned(),
        source,
    };
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(unresolved)?
        .collect();
    addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or_else(|| addresses.first())
        .copied()
        .ok_or_else(|| unresolved(io::Error::from(io::ErrorKind::NotFound)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_and_an_open_one_accepts() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let reserved = ReservedPort::reserve("127.0.0.1", port, "acceptor 'artemis'").unwrap();
        let refused = std::net::TcpStream::connect(("127.0.0.1", port));
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        let _listener = reserved.open().unwrap();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }

    #[tokio::test]
    async fn an_open_port_has_a_higher_descriptor_than_any_connection() {
        use std::os::fd::AsRawFd;
        let reserved = ReservedPort::reserve("127.0.0.1", 0, "acceptor 'artemis'").unwrap();
        let open = reserved.open().unwrap();
        let port = open.listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (accepted, _) = open.listener.accept().await.unwrap();
        assert!(open.listener.as_raw_fd() > accepted.as_raw_fd() + 100);
        drop(client);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = ReservedPort::reserve("127.0.0.1", port, "acceptor 'artemis'").unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("port {port}")), "{text}");
        assert!(text.contains("acceptor 'artemis'"), "{text}");
    }

    #[tokio::test]
    async fn nobody_else_gets_a_reserved_port() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let reserved = ReservedPort::reserve("127.0.0.1", port, "acceptor 'artemis'").unwrap();
        // The standard library's listener asks for SO_REUSEADDR too.
        let other = std::net::TcpListener::bind(("127.0.0.1", port));
        assert_eq!(other.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(reserved.open().unwrap());
        ReservedPort::reserve("127.0.0.1", port, "acceptor 'artemis'").unwrap();
    }
}
