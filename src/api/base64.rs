//! Decodes the `data` values of Secrets: RFC 4648 with padding, blanks and line breaks skipped.

/// A text that is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not base64; in `data` values are base64, in `stringData` they are plain text")]
pub(crate) struct BadBase64;

/// Decodes a text.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, BadBase64> {
    let symbols: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if !symbols.len().is_multiple_of(4) {
        return Err(BadBase64);
    }
    let mut bytes = Vec::with_capacity(symbols.len() / 4 * 3);
    let groups = symbols.len() / 4;
    for (index, group) in symbols.chunks_exact(4).enumerate() {
        let padding = group
            .iter()
            .rev()
            .take_while(|symbol| **symbol == b'=')
            .count();
        if padding > 2 || (padding > 0 && index + 1 != groups) {
            return Err(BadBase64);
        }
        let mut bits = 0u32;
        for symbol in &group[..4 - padding] {
            bits = bits << 6 | value(*symbol).ok_or(BadBase64)?;
        }
        bits <<= 6 * padding;
        // Bits under the padding belong to no byte; anything there is a damaged text.
        let unused = bits & ((1 << (8 * padding)) - 1);
        if unused != 0 {
            return Err(BadBase64);
        }
        let [_, decoded @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(&decoded[..3 - padding]);
    }
    Ok(bytes)
}

fn value(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_the_vectors_of_the_standard() {
        for (text, expected) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9v\nYmFy\n", "foobar"),
            ("++//", "\u{fb}\u{ef}\u{ff}"),
        ] {
            let expected: Vec<u8> = match text {
                "++//" => vec![0xfb, 0xef, 0xff],
                _ => expected.as_bytes().to_vec(),
            };
            assert_eq!(decode(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_damaged_texts() {
        for text in [
            "Z",
            "Zg=",
            "Zh==",
            "Zg==Zg==",
            "Zm9=v",
            "====",
            "plain text!!",
        ] {
            assert_eq!(decode(text), Err(BadBase64), "{text}");
        }
    }
}
