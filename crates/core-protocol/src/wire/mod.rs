//! Primitive encodings: how numbers, booleans, texts and lists look on the wire.
//!
//! [`Reader`] reads within one frame and never past it; [`Sink`] takes what is written. A [`Codec`]
//! names one encoding, so that a packet's definition reads like the protocol's table.

pub(crate) mod codecs;
mod packet_macro;
mod reader;
mod sink;
pub(crate) mod text;

pub(crate) use packet_macro::wire_struct;
pub(crate) use reader::Reader;
pub(crate) use sink::{Counter, Sink, length};

use crate::DecodeError;

/// One way of encoding one type.
pub(crate) trait Codec<T> {
    /// Reads a value; `field` names it in errors.
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<T, DecodeError>;
    /// Writes a value.
    fn write<S: Sink>(value: &T, out: &mut S);
}

/// A sequence of fields: the inside of a packet.
pub(crate) trait Wire: Sized {
    /// Reads the fields in wire order.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
    /// Writes the fields in wire order.
    fn write<S: Sink>(&self, out: &mut S);
}
