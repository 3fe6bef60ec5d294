//! What a person can do about a connection that was closed for what it sent.

use core_protocol::framing::{FramingError, SniffedProtocol};
use core_protocol::server::ConnectionError;

/// Follows the error in the log.
pub(super) fn hint(error: &ConnectionError) -> &'static str {
    if let ConnectionError::Framing(error) = error {
        of_framing(error)
    } else if matches!(error, ConnectionError::Decode(_)) {
        "; the client is not an Artemis client of version 2.x, or something on the way damages its bytes"
    } else if matches!(error, ConnectionError::HandshakeTimeout { .. }) {
        "; a port check or scanner does this, an Artemis client does not"
    } else if matches!(error, ConnectionError::TtlExpired { .. }) {
        "; the client is frozen or cut off, and its messages go to other consumers"
    } else {
        ""
    }
}

fn of_framing(error: &FramingError) -> &'static str {
    if let FramingError::NotCore { protocol } = error {
        return match protocol {
            SniffedProtocol::Tls => {
                "; this port has no TLS: leave sslEnabled out of the client's URL"
            }
            SniffedProtocol::Http => {
                "; health checks and browsers belong on the HTTP port of etc/bootstrap.xml"
            }
            SniffedProtocol::Amqp
            | SniffedProtocol::Mqtt
            | SniffedProtocol::Stomp
            | SniffedProtocol::OpenWire
            | SniffedProtocol::HornetQ => {
                "; only CORE is served here: use the Artemis JMS client with tcp://HOST:PORT"
            }
            SniffedProtocol::Unknown => "; only CORE is served here",
        };
    }
    if matches!(error, FramingError::TooLarge { .. }) {
        "; a client whose minLargeMessageSize is that high must lower it; nothing else sends such frames"
    } else {
        "; the client is not an Artemis client of version 2.x, or something on the way damages its bytes"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_what_to_do() {
        let not_core = |protocol| ConnectionError::from(FramingError::NotCore { protocol });
        let too_large = FramingError::TooLarge {
            frame_bytes: 1 << 31,
            limit_bytes: 65_536,
        };
        for (error, words) in [
            (not_core(SniffedProtocol::Tls), "sslEnabled"),
            (not_core(SniffedProtocol::Http), "HTTP port"),
            (not_core(SniffedProtocol::Amqp), "JMS client"),
            (not_core(SniffedProtocol::Unknown), "only CORE"),
            (too_large.into(), "minLargeMessageSize"),
            (
                ConnectionError::HandshakeTimeout { timeout_ms: 1 },
                "scanner",
            ),
            (ConnectionError::TtlExpired { ttl_ms: 1 }, "frozen"),
        ] {
            assert!(hint(&error).contains(words), "{error}{}", hint(&error));
        }
    }
}
