//! One marker type per encoding of the protocol's table; `Nullable` and `List` combine them.

use bytes::Bytes;

use super::{Codec, Reader, Sink, Wire, length, text};
use crate::DecodeError;

macro_rules! fixed {
    ($($(#[$meta:meta])* $codec:ident $ty:ty: $read:ident, $write:ident;)+) => {$(
        $(#[$meta])*
        pub(crate) struct $codec;

        impl Codec<$ty> for $codec {
            fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<$ty, DecodeError> {
                reader.$read(field)
            }

            fn write<S: Sink>(value: &$ty, out: &mut S) {
                out.$write(*value);
            }
        }
    )+};
}

fixed! {
    /// One byte: any but zero is true when read, 0xFF when written.
    Bool bool: bool, put_bool;
    /// One signed byte.
    Byte i8: i8, put_i8;
    /// Four bytes, big-endian.
    Int i32: i32, put_i32;
    /// Eight bytes, big-endian.
    Long i64: i64, put_i64;
}

/// `sstr`: byte length and little-endian units.
pub(crate) struct Simple;

impl Codec<String> for Simple {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<String, DecodeError> {
        text::read_simple(reader, field)
    }

    fn write<S: Sink>(value: &String, out: &mut S) {
        text::write_simple(value, out);
    }
}

/// `str`: unit count and one of three forms.
pub(crate) struct Str;

impl Codec<String> for Str {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<String, DecodeError> {
        text::read_string(reader, field)
    }

    fn write<S: Sink>(value: &String, out: &mut S) {
        text::write_string(value, out);
    }
}

/// A text or record behind a presence byte that is written as 0x01 (`nsstr`, `nstr`).
pub(crate) struct Optional<C>(C);

impl<T, C: Codec<T>> Codec<Option<T>> for Optional<C> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<T>, DecodeError> {
        if reader.bool(field)? {
            C::read(reader, field).map(Some)
        } else {
            Ok(None)
        }
    }

    fn write<S: Sink>(value: &Option<T>, out: &mut S) {
        out.put_u8(u8::from(value.is_some()));
        if let Some(value) = value {
            C::write(value, out);
        }
    }
}

/// A number, boolean or connector behind a presence byte that is written as 0xFF (`nbool`, `nint`, `nlong`).
pub(crate) struct Nullable<C>(C);

impl<T, C: Codec<T>> Codec<Option<T>> for Nullable<C> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<T>, DecodeError> {
        if reader.bool(field)? {
            C::read(reader, field).map(Some)
        } else {
            Ok(None)
        }
    }

    fn write<S: Sink>(value: &Option<T>, out: &mut S) {
        out.put_bool(value.is_some());
        if let Some(value) = value {
            C::write(value, out);
        }
    }
}

/// Eight bytes at the end of a packet which may be missing: a correlation id.
pub(crate) struct TrailingLong;

impl Codec<Option<i64>> for TrailingLong {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<i64>, DecodeError> {
        if reader.remaining() == 0 {
            Ok(None)
        } else {
            reader.i64(field).map(Some)
        }
    }

    fn write<S: Sink>(value: &Option<i64>, out: &mut S) {
        if let Some(value) = value {
            out.put_i64(*value);
        }
    }
}

/// `bytes`: length and raw bytes, sharing the frame's memory.
pub(crate) struct Raw;

impl Codec<Bytes> for Raw {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Bytes, DecodeError> {
        let bytes = reader.length(field)?;
        reader.take_shared(bytes, field)
    }

    fn write<S: Sink>(value: &Bytes, out: &mut S) {
        out.put_i32(length(value.len()));
        out.put(value);
    }
}

/// A count and that many items of at least `ITEM_BYTES` each.
pub(crate) struct List<C, const ITEM_BYTES: usize>(C);

impl<T, C: Codec<T>, const ITEM_BYTES: usize> Codec<Vec<T>> for List<C, ITEM_BYTES> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<T>, DecodeError> {
        let count = reader.count(ITEM_BYTES, field)?;
        // Grows with what is really there: an item is larger in memory than on the wire.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(C::read(reader, field)?);
        }
        Ok(items)
    }

    fn write<S: Sink>(value: &Vec<T>, out: &mut S) {
        out.put_i32(length(value.len()));
        for item in value {
            C::write(item, out);
        }
    }
}

/// The fields of another struct, in place.
pub(crate) struct Nested;

impl<T: Wire> Codec<T> for Nested {
    fn read(reader: &mut Reader<'_>, _field: &'static str) -> Result<T, DecodeError> {
        T::read(reader)
    }

    fn write<S: Sink>(value: &T, out: &mut S) {
        value.write(out);
    }
}
