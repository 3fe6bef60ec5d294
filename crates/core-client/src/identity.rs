//! Random names: for sessions, and for messages of callers that want one.

use std::fmt::Write as _;

use ring::rand::{SecureRandom, SystemRandom};
use std::sync::atomic::{AtomicU64, Ordering};

/// Distinguishes names should the system give no random bytes.
static COUNTER: AtomicU64 = AtomicU64::new(1);

/// A random (version 4) UUID: what message user ids and duplicate ids are made of.
pub fn random_uuid() -> [u8; 16] {
    let mut bytes = [0_u8; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // A name need not be secret, only unlike the others: process and counter do.
        bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        bytes[8..].copy_from_slice(&number.to_be_bytes());
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

/// The text form of [`random_uuid`].
pub(crate) fn random_name() -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in random_uuid().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_uuids_and_differ() {
        let (one, other) = (random_name(), random_name());
        assert_eq!(one.len(), 36);
        assert_eq!(one.matches('-').count(), 4);
        assert_eq!(one.as_bytes()[14], b'4');
        assert_ne!(one, other);
    }
}
