//! The datagram by which an active broker makes itself known to a multicast group.
//!
//! It has no header, version or checksum, and anybody on the network can send one: what is read here is an address
//! to try, never a fact about the pair. Which broker is active is only ever decided elsewhere.

use bytes::{Bytes, BytesMut};

use crate::DecodeError;
use crate::packet::{Connector, Transport};
use crate::wire::codecs::{List, Str};
use crate::wire::{Codec, Reader};

/// The largest payload of a UDP datagram over IPv4: what is longer never arrives.
pub const MAX_DATAGRAM_BYTES: usize = 65_507;

/// Connectors read from one datagram: a broker announces one or two, and each is dialled.
pub const MAX_CONNECTORS: usize = 64;

/// Two empty texts and no parameter.
const CONNECTOR_BYTES: usize = 3 * 4;

/// What a broker announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Identity of the pair's data.
    pub node_id: String,
    /// Identity of one run of the announcing: a receiver that hears two of them in turn for one node id warns that
    /// two brokers use it.
    pub unique_id: String,
    /// Where the broker is.
    pub connectors: Vec<Connector>,
}

impl Announcement {
    /// The datagram. One beyond [`MAX_DATAGRAM_BYTES`] cannot be sent; the socket says so.
    pub fn encode(&self) -> Bytes {
        let Self {
            node_id,
            unique_id,
            connectors,
        } = self;
        let mut out = BytesMut::new();
        Str::write(node_id, &mut out);
        Str::write(unique_id, &mut out);
        List::<Transport, CONNECTOR_BYTES>::write(connectors, &mut out);
        out.freeze()
    }

    /// Reads a whole datagram.
    pub fn decode(datagram: &Bytes) -> Result<Self, DecodeError> {
        if datagram.len() > MAX_DATAGRAM_BYTES {
            return Err(too_many("Announcement", datagram.len()));
        }
        let mut reader = Reader::new(datagram);
        let node_id = Str::read(&mut reader, "Announcement.node_id")?;
        let unique_id = Str::read(&mut reader, "Announcement.unique_id")?;
        let field = "Announcement.connectors";
        let count = reader.count(CONNECTOR_BYTES, field)?;
        if count > MAX_CONNECTORS {
            return Err(too_many(field, count));
        }
        let mut connectors = Vec::with_capacity(count);
        for _ in 0..count {
            connectors.push(Transport::read(&mut reader, field)?);
        }
        reader.finish("Announcement")?;
        Ok(Self {
            node_id,
            unique_id,
            connectors,
        })
    }
}

fn too_many(field: &'static str, length: usize) -> DecodeError {
    DecodeError::InvalidLength {
        field,
        length: i64::try_from(length).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::packet::ParamValue;

    fn worksheet() -> Announcement {
        Announcement {
            node_id: "a".into(),
            unique_id: "1234567890".into(),
            connectors: vec![Connector {
                factory_class: "f".into(),
                ..Connector::tcp("artemis", "h", 61616)
            }],
        }
    }

    #[test]
    fn its_bytes_are_two_texts_and_a_list() {
        let expected: &[&[u8]] = &[
            b"\0\0\0\x01\0a",
            b"\0\0\0\x0a\0\x0a1234567890",
            b"\0\0\0\x01",
            b"\0\0\0\x07\0a\0r\0t\0e\0m\0i\0s",
            b"\0\0\0\x01\0f",
            b"\0\0\0\x02",
            b"\0\0\0\x04\0p\0o\0r\0t\x03\0\0\0\x05\0\x36\0\x31\0\x36\0\x31\0\x36",
            b"\0\0\0\x04\0h\0o\0s\0t\x03\0\0\0\x01\0h",
        ];
        assert_eq!(worksheet().encode()[..], expected.concat());
    }

    #[test]
    fn a_part_of_it_or_more_than_it_is_refused() {
        let whole = worksheet().encode();
        for length in 0..whole.len() {
            assert!(Announcement::decode(&whole.slice(..length)).is_err());
        }
        let mut longer = BytesMut::from(&whole[..]);
        longer.extend_from_slice(&[0]);
        assert_eq!(
            Announcement::decode(&longer.freeze()),
            Err(DecodeError::LeftOver {
                packet: "Announcement",
                bytes: 1
            })
        );
    }

    #[test]
    fn what_no_broker_sends_is_refused() {
        let [connector] = worksheet().connectors.try_into().unwrap();
        let with = |count| Announcement {
            connectors: vec![connector.clone(); count],
            ..worksheet()
        };
        let most = with(MAX_CONNECTORS);
        assert_eq!(Announcement::decode(&most.encode()), Ok(most));
        assert_eq!(
            Announcement::decode(&with(MAX_CONNECTORS + 1).encode()),
            Err(DecodeError::InvalidLength {
                field: "Announcement.connectors",
                length: 65
            })
        );
        let large = Announcement {
            node_id: "x".repeat(MAX_DATAGRAM_BYTES),
            ..worksheet()
        };
        assert!(matches!(
            Announcement::decode(&large.encode()),
            Err(DecodeError::InvalidLength {
                field: "Announcement",
                ..
            })
        ));
    }

    fn value() -> impl Strategy<Value = ParamValue> {
        prop_oneof![
            any::<bool>().prop_map(ParamValue::Bool),
            any::<i32>().prop_map(ParamValue::Int),
            any::<i64>().prop_map(ParamValue::Long),
            any::<String>().prop_map(ParamValue::Text),
        ]
    }

    fn connector() -> impl Strategy<Value = Connector> {
        let params = vec((any::<String>(), value()), 0..4);
        (any::<String>(), any::<String>(), params).prop_map(|(name, factory_class, params)| {
            Connector {
                name,
                factory_class,
                params,
            }
        })
    }

    proptest! {
        #[test]
        fn announcements_round_trip(
            node_id in any::<String>(),
            unique_id in any::<String>(),
            connectors in vec(connector(), 0..4),
        ) {
            let announcement = Announcement { node_id, unique_id, connectors };
            prop_assert_eq!(Announcement::decode(&announcement.encode()), Ok(announcement));
        }

        #[test]
        fn garbage_never_panics(bytes in vec(any::<u8>(), 0..256)) {
            let _ = Announcement::decode(&bytes.into());
        }

        /// Damage within a real datagram, which gets further than garbage does.
        #[test]
        fn damage_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = worksheet().encode().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = Announcement::decode(&bytes.into()) {
                prop_assert_eq!(Announcement::decode(&read.encode()), Ok(read));
            }
        }
    }
}
