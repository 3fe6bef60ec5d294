//! What a client speaks that does not speak CORE; only for telling it to whoever reads the log.

use std::fmt;

/// Bytes that are looked at.
pub(super) const SNIFF_BYTES: usize = 8;

/// A protocol, recognised by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are names of protocols")]
pub enum SniffedProtocol {
    Amqp,
    Mqtt,
    Stomp,
    OpenWire,
    /// CORE before Artemis.
    HornetQ,
    /// Also WebSocket.
    Http,
    /// TLS where none is configured.
    Tls,
    Unknown,
}

impl SniffedProtocol {
    /// The name after "a" or "an".
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Amqp => "an AMQP",
            Self::Mqtt => "an MQTT",
            Self::Stomp => "a STOMP",
            Self::OpenWire => "an OpenWire",
            Self::HornetQ => "a HornetQ",
            Self::Http => "an HTTP",
            Self::Tls => "a TLS",
            Self::Unknown => "an unknown",
        }
    }
}

impl fmt::Display for SniffedProtocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = self.with_article().split_once(' ').unwrap_or_default();
        formatter.write_str(name)
    }
}

/// Names the protocol of a client whose first bytes are not the CORE handshake.
pub(super) fn sniff(first: [u8; SNIFF_BYTES]) -> SniffedProtocol {
    const HTTP_METHODS: [&[u8]; 8] = [b"GE", b"PO", b"PU", b"HE", b"OP", b"PA", b"DE", b"TR"];
    if first.starts_with(b"AMQP") {
        SniffedProtocol::Amqp
    } else if is_mqtt(first) {
        SniffedProtocol::Mqtt
    } else if first.starts_with(b"CONNECT") || first.starts_with(b"STOMP") {
        SniffedProtocol::Stomp
    } else if first[4] == 1 && first[5..].starts_with(b"Act") {
        SniffedProtocol::OpenWire
    } else if first.starts_with(b"HORNETQ") {
        SniffedProtocol::HornetQ
    } else if HTTP_METHODS.iter().any(|method| first.starts_with(method)) {
        SniffedProtocol::Http
    } else if first.starts_with(b"\x16\x03") {
        SniffedProtocol::Tls
    } else {
        SniffedProtocol::Unknown
    }
}

/// CONNECT: 0x10, a length of one to four bytes of which the last has no high bit, then the length of
/// the protocol's name (`MQTT` or `MQIsdp`) and as much of the name as there is.
fn is_mqtt(first: [u8; SNIFF_BYTES]) -> bool {
    if first[0] != 0x10 {
        return false;
    }
    let Some(last_length_byte) = first[1..5].iter().position(|byte| byte & 0x80 == 0) else {
        return false;
    };
    match &first[last_length_byte + 2..] {
        [0, 4 | 6, name @ ..] => name
            .iter()
            .zip(b"MQ")
            .all(|(byte, expected)| byte == expected),
        _ => false,
    }
}
