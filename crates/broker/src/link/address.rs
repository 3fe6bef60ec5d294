//! Where a link listens.

use std::fmt;
use std::str::FromStr;

/// Host and port, as they are dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name, or the text of an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Where the link of a broker with this connector is, unless its `link.port` says otherwise, which others cannot
    /// know: one port below.
    pub(crate) fn beside(host: &str, port: u16) -> Option<Self> {
        let port = port.checked_sub(1).filter(|port| *port != 0)?;
        let host = host.to_owned();
        Some(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        // It may come from outside: no text of a log line of its own.
        write!(f, "{}:{port}", host.escape_debug())
    }
}

/// Not `host:port`.
#[derive(Debug)]
pub(crate) struct BadAddress;

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress)?;
        let port = port.parse().map_err(|_| BadAddress)?;
        if host.is_empty() || port == 0 {
            return Err(BadAddress);
        }
        let host = host.to_owned();
        Ok(Self { host, port })
    }
}
