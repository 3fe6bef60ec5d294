//! `TransportConfiguration`: the address of a broker as it travels in topology packets.

use crate::DecodeError;
use crate::wire::{Codec, Reader, Sink, length, text};

/// The class that clients instantiate by name for TCP and TLS.
pub const NETTY_CONNECTOR_FACTORY: &str =
    "org.apache.activemq.artemis.core.remoting.impl.netty.NettyConnectorFactory";

/// A key, a kind and a value take at least this many bytes.
const PARAM_BYTES: usize = 4 + 1 + 1;

/// How to reach a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// The connector's name in the broker's configuration.
    pub name: String,
    /// The Java class that a client makes connections with.
    pub factory_class: String,
    /// `host`, `port` and transport options, in wire order.
    pub params: Vec<(String, ParamValue)>,
}

/// The value of one connector parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// Kind 0.
    Bool(bool),
    /// Kind 1.
    Int(i32),
    /// Kind 2.
    Long(i64),
    /// Kind 3.
    Text(String),
}

impl Connector {
    /// A connector for `host` and `port`, both written as text as real brokers do.
    pub fn tcp(name: &str, host: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            factory_class: NETTY_CONNECTOR_FACTORY.to_owned(),
            params: vec![
                ("port".to_owned(), ParamValue::Text(port.to_string())),
                ("host".to_owned(), ParamValue::Text(host.to_owned())),
            ],
        }
    }

    /// The host parameter, if there is one.
    pub fn host(&self) -> Option<&str> {
        match self.param("host")? {
            ParamValue::Text(host) => Some(host),
            ParamValue::Bool(_) | ParamValue::Int(_) | ParamValue::Long(_) => None,
        }
    }

    /// The port parameter, if there is a valid one.
    pub fn port(&self) -> Option<u16> {
        match self.param("port")? {
            ParamValue::Text(port) => port.parse().ok(),
            ParamValue::Int(port) => u16::try_from(*port).ok(),
            ParamValue::Long(port) => u16::try_from(*port).ok(),
            ParamValue::Bool(_) => None,
        }
    }

    fn param(&self, name: &str) -> Option<&ParamValue> {
        self.params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

/// `tc`.
pub(crate) struct Transport;

impl Codec<Connector> for Transport {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Connector, DecodeError> {
        let name = text::read_string(reader, field)?;
        let factory_class = text::read_string(reader, field)?;
        let count = reader.count(PARAM_BYTES, field)?;
        let mut params = Vec::new();
        for _ in 0..count {
            let key = text::read_string(reader, field)?;
            let value = match reader.i8(field)? {
                0 => ParamValue::Bool(reader.bool(field)?),
                1 => ParamValue::Int(reader.i32(field)?),
                2 => ParamValue::Long(reader.i64(field)?),
                3 => ParamValue::Text(text::read_string(reader, field)?),
                kind => return Err(DecodeError::UnknownKind { field, kind }),
            };
            params.push((key, value));
        }
        Ok(Connector {
            name,
            factory_class,
            params,
        })
    }

    fn write<S: Sink>(value: &Connector, out: &mut S) {
        text::write_string(&value.name, out);
        text::write_string(&value.factory_class, out);
        out.put_i32(length(value.params.len()));
        for (key, param) in &value.params {
            text::write_string(key, out);
            match param {
                ParamValue::Bool(value) => {
                    out.put_i8(0);
                    out.put_bool(*value);
                }
                ParamValue::Int(value) => {
                    out.put_i8(1);
                    out.put_i32(*value);
                }
                ParamValue::Long(value) => {
                    out.put_i8(2);
                    out.put_i64(*value);
                }
                ParamValue::Text(value) => {
                    out.put_i8(3);
                    text::write_string(value, out);
                }
            }
        }
    }
}
