//! The text encodings: `SimpleString` (little-endian UTF-16), `String` (three forms by length) and
//! modified UTF-8. All of them count UTF-16 units, because the peers are Java.

use super::{Reader, Sink, length};
use crate::DecodeError;

/// Below this many units a `String` is written as big-endian units.
const SHORT_UNITS: usize = 9;
/// From this many units on a `String` is written as a `SimpleString`.
const LONG_UNITS: usize = 0xFFF;

/// Reads a `SimpleString`.
pub(crate) fn read_simple(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<String, DecodeError> {
    let units = read_simple_raw(reader, field)?;
    from_units(
        units
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]])),
        field,
    )
}

/// Reads a `SimpleString` as its little-endian units, not checked to be text.
pub(crate) fn read_simple_raw<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<&'a [u8], DecodeError> {
    let bytes = reader.length(field)?;
    if bytes % 2 != 0 {
        return Err(DecodeError::InvalidLength {
            field,
            length: i64::from(length(bytes)),
        });
    }
    reader.take(bytes, field)
}

/// Little-endian units as text; what is not text becomes U+FFFD.
pub(crate) fn lossy(units: &[u8]) -> String {
    let units = units
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Whether little-endian units spell `text`.
pub(crate) fn units_are(units: &[u8], text: &str) -> bool {
    let units = units
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    units.eq(text.encode_utf16())
}

/// Writes a `SimpleString`.
pub(crate) fn write_simple<S: Sink>(text: &str, out: &mut S) {
    out.put_i32(length(text.encode_utf16().count() * 2));
    for unit in text.encode_utf16() {
        out.put(&unit.to_le_bytes());
    }
}

/// Reads a `String`.
pub(crate) fn read_string(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<String, DecodeError> {
    let sent = reader.i32(field)?;
    let Ok(units) = usize::try_from(sent) else {
        return Err(DecodeError::InvalidLength {
            field,
            length: i64::from(sent),
        });
    };
    let text = if units < SHORT_UNITS {
        let bytes = reader.take(units * 2, field)?;
        from_units(
            bytes
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]])),
            field,
        )?
    } else if units < LONG_UNITS {
        let bytes = usize::from(reader.u16(field)?);
        from_modified_utf8(reader.take(bytes, field)?, field)?
    } else {
        read_simple(reader, field)?
    };
    if text.encode_utf16().count() != units {
        return Err(DecodeError::InvalidLength {
            field,
            length: i64::from(sent),
        });
    }
    Ok(text)
}

/// Writes a `String`.
pub(crate) fn write_string<S: Sink>(text: &str, out: &mut S) {
    let units = text.encode_utf16().count();
    out.put_i32(length(units));
    if units < SHORT_UNITS {
        for unit in text.encode_utf16() {
            out.put(&unit.to_be_bytes());
        }
    } else if units < LONG_UNITS {
        let bytes: usize = text.encode_utf16().map(modified_utf8_bytes).sum();
        // At most 3 * 4094 bytes, so it always fits.
        out.put_u16(u16::try_from(bytes).unwrap_or(u16::MAX));
        write_modified_utf8(text, out);
    } else {
        write_simple(text, out);
    }
}

fn from_units(
    units: impl ExactSizeIterator<Item = u16>,
    field: &'static str,
) -> Result<String, DecodeError> {
    let mut text = String::with_capacity(units.len());
    for unit in char::decode_utf16(units) {
        text.push(unit.map_err(|_| DecodeError::InvalidText { field })?);
    }
    Ok(text)
}

/// One to three bytes per UTF-16 unit; a character beyond the basic plane is two units of three bytes.
fn from_modified_utf8(bytes: &[u8], field: &'static str) -> Result<String, DecodeError> {
    let invalid = || DecodeError::InvalidText { field };
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let (unit, used) = match (first >> 4, tail) {
            (0..=7, _) => (u16::from(*first), 0),
            (0xC | 0xD, [second, ..]) if second >> 6 == 0b10 => {
                (u16::from(first & 0x1F) << 6 | u16::from(second & 0x3F), 1)
            }
            (0xE, [second, third, ..]) if second >> 6 == 0b10 && third >> 6 == 0b10 => {
                let high = u16::from(first & 0x0F) << 12 | u16::from(second & 0x3F) << 6;
                (high | u16::from(third & 0x3F), 2)
            }
            _ => return Err(invalid()),
        };
        units.push(unit);
        rest = &tail[used..];
    }
    String::from_utf16(&units).map_err(|_| invalid())
}

fn modified_utf8_bytes(unit: u16) -> usize {
    match unit {
        0..=0x7F => 1,
        0x80..=0x7FF => 2,
        0x800.. => 3,
    }
}

fn write_modified_utf8<S: Sink>(text: &str, out: &mut S) {
    // The low byte of each group; the masks make the truncation exact.
    let tail = |unit: u16, shift: u32| 0x80 | (unit >> shift).to_be_bytes()[1] & 0x3F;
    for unit in text.encode_utf16() {
        let low = unit.to_be_bytes()[1];
        match modified_utf8_bytes(unit) {
            1 => out.put_u8(low),
            2 => out.put(&[0xC0 | (unit >> 6).to_be_bytes()[1], tail(unit, 0)]),
            _ => out.put(&[
                0xE0 | (unit >> 12).to_be_bytes()[1],
                tail(unit, 6),
                tail(unit, 0),
            ]),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;

    use super::*;

    fn string_bytes(text: &str) -> BytesMut {
        let mut out = BytesMut::new();
        write_string(text, &mut out);
        out
    }

    fn parse_string(bytes: &[u8]) -> Result<String, DecodeError> {
        let bytes = Bytes::copy_from_slice(bytes);
        let mut reader = Reader::new(&bytes);
        let text = read_string(&mut reader, "text")?;
        reader.finish("text")?;
        Ok(text)
    }

    #[test]
    fn a_string_has_three_forms_by_its_length() {
        assert_eq!(string_bytes("admin")[..], *b"\0\0\0\x05\0a\0d\0m\0i\0n");
        assert_eq!(string_bytes("123456789")[..], *b"\0\0\0\x09\0\x09123456789");
        let medium = "x".repeat(4094);
        assert_eq!(string_bytes(&medium).len(), 4 + 2 + 4094);
        let long = "x".repeat(4095);
        assert_eq!(string_bytes(&long)[..10], *b"\0\0\x0f\xff\0\0\x1f\xfex\0");
    }

    #[test]
    fn modified_utf8_encodes_units_not_characters() {
        let text = "\u{0}\u{e9}\u{20ac}\u{1f600}12345";
        let bytes = string_bytes(text);
        assert_eq!(
            bytes[..],
            *b"\0\0\0\x0a\0\x11\0\xc3\xa9\xe2\x82\xac\xed\xa0\xbd\xed\xb8\x8012345"
        );
        assert_eq!(parse_string(&bytes).unwrap(), text);
    }

    #[test]
    fn an_unpaired_surrogate_is_refused() {
        let invalid = DecodeError::InvalidText { field: "text" };
        assert_eq!(parse_string(b"\0\0\0\x01\xd8\x00"), Err(invalid.clone()));
        let medium = b"\0\0\0\x09\0\x0b\xed\xa0\xbd12345678";
        assert_eq!(parse_string(medium), Err(invalid));
    }

    #[test]
    fn lengths_are_compared_with_the_frame_first() {
        assert!(matches!(
            parse_string(b"\x7f\xff\xff\xff\x7f\xff\xff\xff"),
            Err(DecodeError::Truncated { .. })
        ));
        assert!(matches!(
            parse_string(b"\xff\xff\xff\xff"),
            Err(DecodeError::InvalidLength { .. })
        ));
        let wrong_count = b"\0\0\0\x0a\0\x09123456789";
        assert!(matches!(
            parse_string(wrong_count),
            Err(DecodeError::InvalidLength { .. })
        ));
    }

    proptest! {
        #[test]
        fn texts_round_trip(text in any::<String>(), repeat in 1_usize..600) {
            let text = text.repeat(repeat);
            let parsed = parse_string(&string_bytes(&text)).unwrap();
            prop_assert_eq!(&parsed, &text);
            let mut out = BytesMut::new();
            write_simple(&text, &mut out);
            prop_assert!(units_are(&out[4..], &text));
            prop_assert_eq!(&lossy(&out[4..]), &text);
            let bytes = out.freeze();
            let parsed = read_simple(&mut Reader::new(&bytes), "text").unwrap();
            prop_assert_eq!(parsed, text);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(text) = parse_string(&bytes) {
                prop_assert_eq!(parse_string(&string_bytes(&text)).unwrap(), text);
            }
        }
    }
}
