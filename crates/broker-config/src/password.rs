//! Passwords as the users file stores them: in clear, or as `ENC(iterations:salt:hash)`, PBKDF2
//! with HMAC-SHA1, salt and hash in hexadecimal, which is what `artemis create` writes.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use ring::pbkdf2;
use thiserror::Error;

/// Rounds of a new hash; what Artemis uses, so that both can verify it in about a millisecond.
pub const ITERATIONS: u32 = 1_024;
/// Length of a new salt.
pub const SALT_BYTES: usize = 32;
/// Length of a new hash.
const HASH_BYTES: usize = 64;
/// More rounds would let one line of the users file stop logins for minutes.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Longer salts or hashes are no hashes of Artemis.
const MAX_HEX_BYTES: usize = 1_024;

const ALGORITHM: pbkdf2::Algorithm = pbkdf2::PBKDF2_HMAC_SHA1;

/// A password as stored.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredPassword {
    /// In clear.
    Clear(String),
    /// As a hash, which cannot be turned back.
    Hashed(PasswordHash),
}

/// A salted hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// Why an `ENC(…)` is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// It has not the three parts of a hash.
    #[error(
        "not a hash of the form ENC(iterations:salt:hash); two-way masked passwords are not read: \
         create a hash with `create`, or write the password in clear"
    )]
    Form,
    /// The rounds are no number in range.
    #[error("the iterations of a hash must be a number from 1 to {MAX_ITERATIONS}")]
    Iterations,
    /// Salt or hash is not hexadecimal.
    #[error("salt and hash must be hexadecimal, at most {MAX_HEX_BYTES} bytes each, not empty")]
    Hex,
}

impl StoredPassword {
    /// Hashes a password. The salt must be random and used once.
    pub fn hash(password: &str, salt: &[u8; SALT_BYTES]) -> Self {
        let iterations = NonZeroU32::MIN.saturating_add(ITERATIONS - 1);
        let mut hash = vec![0; HASH_BYTES];
        pbkdf2::derive(ALGORITHM, iterations, salt, password.as_bytes(), &mut hash);
        Self::Hashed(PasswordHash {
            iterations,
            salt: salt.to_vec(),
            hash,
        })
    }

    /// Reads a password as stored.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let Some(inner) = text
            .strip_prefix("ENC(")
            .and_then(|rest| rest.strip_suffix(')'))
        else {
            return Ok(Self::Clear(text.to_owned()));
        };
        let mut parts = inner.split(':');
        let (Some(iterations), Some(salt), Some(hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PasswordError::Form);
        };
        let iterations = iterations
            .parse::<NonZeroU32>()
            .ok()
            .filter(|iterations| iterations.get() <= MAX_ITERATIONS)
            .ok_or(PasswordError::Iterations)?;
        Ok(Self::Hashed(PasswordHash {
            iterations,
            salt: from_hex(salt).ok_or(PasswordError::Hex)?,
            hash: from_hex(hash).ok_or(PasswordError::Hex)?,
        }))
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        match self {
            Self::Clear(password) => password.clone(),
            Self::Hashed(PasswordHash {
                iterations,
                salt,
                hash,
            }) => {
                format!("ENC({iterations}:{}:{})", to_hex(salt), to_hex(hash))
            }
        }
    }

    /// Whether `password` is the stored one, in a time that does not tell where they differ.
    pub fn verify(&self, password: &str) -> bool {
        match self {
            Self::Clear(stored) => equal_in_constant_time(stored.as_bytes(), password.as_bytes()),
            Self::Hashed(PasswordHash {
                iterations,
                salt,
                hash,
            }) => pbkdf2::verify(ALGORITHM, *iterations, salt, password.as_bytes(), hash).is_ok(),
        }
    }
}

impl std::fmt::Debug for StoredPassword {
    /// Keeps the password out of logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Clear(_) => "Clear(..)",
            Self::Hashed(_) => "Hashed(..)",
        })
    }
}

fn equal_in_constant_time(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty() || !text.len().is_multiple_of(2) || text.len() > 2 * MAX_HEX_BYTES || !is_hex
    {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_the_documented_form_and_makes_the_round_trip() {
        let stored = StoredPassword::hash("password", &[0xA5; SALT_BYTES]);
        let text = stored.to_text();
        let inner = text
            .strip_prefix("ENC(1024:")
            .and_then(|rest| rest.strip_suffix(')'));
        let (salt, hash) = inner
            .and_then(|inner| inner.split_once(':'))
            .expect("three parts");
        assert_eq!(salt, "A5".repeat(32));
        assert_eq!(hash.len(), 128);
        assert_eq!(hash, hash.to_uppercase());
        assert_eq!(StoredPassword::parse(&text), Ok(stored.clone()));
        assert!(stored.verify("password"));
        assert!(!stored.verify("Password") && !stored.verify(""));
    }

    /// A published vector of PBKDF2-HMAC-SHA1 (RFC 6070: password, salt, 4096 rounds, 20 bytes).
    #[test]
    fn the_algorithm_is_pbkdf2_with_hmac_sha1() {
        let stored =
            StoredPassword::parse("ENC(4096:73616C74:4B007901B765489ABEAD49D926F721D065A429C1)")
                .expect("a hash");
        assert!(stored.verify("password"));
        assert!(!stored.verify("passwords"));
    }

    #[test]
    fn clear_text_is_compared_as_it_stands() {
        let stored = StoredPassword::parse("s3cret").expect("clear text");
        assert!(stored.verify("s3cret"));
        assert!(!stored.verify("s3cre") && !stored.verify("s3cret ") && !stored.verify("S3cret"));
        assert_eq!(stored.to_text(), "s3cret");
        assert_eq!(format!("{stored:?}"), "Clear(..)");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for (text, error) in [
            ("ENC(-41e444299c4c1ae2)", PasswordError::Form),
            ("ENC(1:2:3:4)", PasswordError::Form),
            ("ENC(0:AA:BB)", PasswordError::Iterations),
            ("ENC(4000000000:AA:BB)", PasswordError::Iterations),
            ("ENC(1024:A:BB)", PasswordError::Hex),
            ("ENC(1024:AA:XY)", PasswordError::Hex),
            ("ENC(1024:AA:)", PasswordError::Hex),
            ("ENC(1024:é:AA)", PasswordError::Hex),
        ] {
            assert_eq!(StoredPassword::parse(text), Err(error), "{text}");
        }
    }
}
