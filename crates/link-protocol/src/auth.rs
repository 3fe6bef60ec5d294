//! Keys, proofs and tags: what makes a connection trustworthy.
//!
//! ```text
//!   user, password ──PBKDF2──▶ key          (once per process; slow on purpose)
//!   key, transcript ──HMAC───▶ proof of the dialler, proof of the acceptor   (32 bytes)
//!                   └─HMAC───▶ keys of both directions ──HMAC──▶ tag of each frame (32 bytes)
//! ```
//! The transcript is the digest of every byte that both ends have said before the first proof. The
//! labels differ for each use and each end, so that no value is ever good for a second purpose.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

/// Random bytes that each end adds to the handshake; used once.
pub type Nonce = [u8; NONCE_BYTES];

/// Length of a nonce: none is ever drawn twice.
pub const NONCE_BYTES: usize = 32;
/// Length of a proof: a whole HMAC-SHA-256.
pub(crate) const PROOF_BYTES: usize = 32;
/// Length of a frame's tag: the same.
pub(crate) const TAG_BYTES: usize = 32;

/// Rounds of PBKDF2. Whoever records a handshake can try passwords on it at leisure, each for that
/// many rounds; the broker pays for them once, at its start: some 20 ms.
const ROUNDS_BUT_ONE: u32 = 49_999;
const SALT: &[u8] = b"tandem link\0";

/// What both sides of a pair know: made from cluster user and password, which it does not reveal.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// The key of that user and password. Takes a while, on purpose.
    pub fn derive(user: &str, password: &str) -> Self {
        let mut key = [0; PROOF_BYTES];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            NonZeroU32::MIN.saturating_add(ROUNDS_BUT_ONE),
            &[SALT, user.as_bytes()].concat(),
            password.as_bytes(),
            &mut key,
        );
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }
}

impl std::fmt::Debug for Key {
    /// Keeps the key out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// What both ends have said so far.
#[derive(Clone)]
pub(crate) struct Transcript(digest::Context);

impl Transcript {
    pub(crate) fn new() -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"tandem link handshake\0");
        Self(context)
    }

    /// Adds bytes of the wire. They delimit themselves: a preamble has one length, a frame names its.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Both proofs and both directions' keys.
    pub(crate) fn finish(self, key: &Key) -> Proofs {
        let transcript = self.0.finish();
        let labelled = |label: &str| [label.as_bytes(), b"\0", transcript.as_ref()].concat();
        let proof = |label| Proof {
            key: key.clone(),
            message: labelled(label),
        };
        let sealer = |label| Sealer {
            key: hmac::Key::new(
                hmac::HMAC_SHA256,
                hmac::sign(&key.0, &labelled(label)).as_ref(),
            ),
            number: 0,
        };
        Proofs {
            of_dialler: proof("the dialler knows the key"),
            of_acceptor: proof("the acceptor knows the key"),
            from_dialler: sealer("frames of the dialler"),
            from_acceptor: sealer("frames of the acceptor"),
        }
    }
}

/// What the end of the transcript yields.
pub(crate) struct Proofs {
    pub(crate) of_dialler: Proof,
    pub(crate) of_acceptor: Proof,
    pub(crate) from_dialler: Sealer,
    pub(crate) from_acceptor: Sealer,
}

/// That one end of this connection knows the key.
pub(crate) struct Proof {
    key: Key,
    message: Vec<u8>,
}

impl Proof {
    /// What that end sends.
    pub(crate) fn bytes(&self) -> [u8; PROOF_BYTES] {
        bytes(&hmac::sign(&self.key.0, &self.message))
    }

    /// Whether the other end has sent it; takes the same time wherever it differs.
    pub(crate) fn is(&self, claimed: &[u8]) -> bool {
        hmac::verify(&self.key.0, &self.message, claimed).is_ok()
    }
}

/// Tags the frames of one direction, each with its number: none can be left out, doubled or moved.
pub(crate) struct Sealer {
    key: hmac::Key,
    number: u64,
}

impl Sealer {
    /// The tag of the next frame.
    pub(crate) fn tag(&mut self, kind: u8, body: &[u8]) -> [u8; TAG_BYTES] {
        let next = self.next(kind, body);
        bytes(&hmac::sign(&self.key, &next))
    }

    /// The body of the next frame, if its tag is right; takes the same time wherever it differs.
    pub(crate) fn open<'a>(&mut self, kind: u8, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let at = sealed.len().checked_sub(TAG_BYTES)?;
        let (body, claimed) = sealed.split_at(at);
        let next = self.next(kind, body);
        hmac::verify(&self.key, &next, claimed)
            .is_ok()
            .then_some(body)
    }

    /// Number, kind and digest of the next frame: what its tag is made of.
    fn next(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        let number = self.number.to_be_bytes();
        self.number += 1;
        let digest = digest::digest(&digest::SHA256, body);
        [&number[..], &[kind], digest.as_ref()].concat()
    }
}

fn bytes(tag: &hmac::Tag) -> [u8; TAG_BYTES] {
    let mut bytes = [0; TAG_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}
