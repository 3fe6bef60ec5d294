//! Who speaks which versions, and who is who.

use bytes::Bytes;
use pair::{Incarnation, Mode, Side};
use serde::{Deserialize, Serialize};

use crate::auth::{NONCE_BYTES, Nonce};
use crate::data::Purpose;
use crate::frame::{Kind, encode};
use crate::refusal::{Reason, Refusal};

/// The first bytes of every link, in all versions.
const MAGIC: [u8; 8] = *b"TANDEMLK";
/// Magic, lowest version, highest version.
pub(crate) const PREAMBLE_BYTES: usize = MAGIC.len() + 4;

/// Versions that this program speaks.
pub const VERSIONS: Versions = Versions { min: 1, max: 1 };

/// Longest name in a hello. They are for messages; a node ID is a UUID.
pub const MAX_NAME_BYTES: usize = 256;

/// Versions of the protocol that a program speaks, all from `min` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: u16,
    /// The highest.
    pub max: u16,
}

impl Versions {
    /// The highest that both speak.
    pub(crate) fn common(self, other: Self) -> Option<u16> {
        let highest = self.max.min(other.max);
        (highest >= self.min && highest >= other.min).then_some(highest)
    }

    pub(crate) fn preamble(self) -> [u8; PREAMBLE_BYTES] {
        let mut out = [0; PREAMBLE_BYTES];
        let (magic, versions) = out.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        versions[..2].copy_from_slice(&self.min.to_be_bytes());
        versions[2..].copy_from_slice(&self.max.to_be_bytes());
        out
    }

    /// Reads a preamble of which the end may be missing; `Err` as soon as it can be none.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, NoLink> {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return Err(NoLink);
        }
        let Some(&[a, b, c, d]) = bytes.get(MAGIC.len()..PREAMBLE_BYTES) else {
            return Ok(None);
        };
        Ok(Some(Self {
            min: u16::from_be_bytes([a, b]),
            max: u16::from_be_bytes([c, d]),
        }))
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { min, max } = self;
        if min == max {
            write!(f, "{min}")
        } else {
            write!(f, "{min} to {max}")
        }
    }
}

/// What was sent does not begin like a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoLink;

/// A process of a pair, as it tells the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Node ID of the pair.
    pub pair: String,
    /// How the pair shares its data.
    pub mode: Mode,
    /// Its side.
    pub side: Side,
    /// This run of its process.
    pub inc: Incarnation,
    /// Name of the broker; for people.
    pub name: String,
    /// `host:port` where its link listens: one more address at which to look for it.
    pub address: String,
    /// What it wants the connection for; of the one who dialled it counts.
    #[serde(default, skip_serializing_if = "Purpose::is_link")]
    pub purpose: Purpose,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A name comes from outside: nothing in it may look like a line of the log.
        let (side, name, inc) = (self.side, self.name.escape_debug(), self.inc.short());
        write!(f, "{side} broker {name} (incarnation {inc})")
    }
}

/// A process as it knows itself: which pair it belongs to, it learns from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Node ID of the pair; `None` until the record was read.
    pub pair: Option<String>,
    /// How the pair shares its data.
    pub mode: Mode,
    /// Its side.
    pub side: Side,
    /// This run of its process.
    pub inc: Incarnation,
    /// Name of the broker.
    pub name: String,
    /// `host:port` where its link listens.
    pub address: String,
    /// What the connection is for.
    pub purpose: Purpose,
}

impl Local {
    /// What it tells the other end; `None` while it does not know its pair.
    pub(crate) fn identity(&self) -> Option<Identity> {
        Some(Identity {
            pair: cut(self.pair.as_deref()?),
            mode: self.mode,
            side: self.side,
            inc: self.inc,
            name: cut(&self.name),
            address: cut(&self.address),
            purpose: self.purpose,
        })
    }
}

/// At most as much as the other end reads.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_NAME_BYTES)].to_owned()
}

impl Identity {
    /// Why this process and that one have no link; the sentence reads the same at both ends.
    pub(crate) fn check(&self, other: &Self) -> Result<(), Refusal> {
        let refuse = |reason, text: String| Err(Refusal::new(reason, &text));
        if self.inc == other.inc {
            let text = format!("the {self} has dialled itself");
            return refuse(Reason::OwnProcess, text);
        }
        if self.pair != other.pair {
            let (ours, theirs) = (self.pair.escape_debug(), other.pair.escape_debug());
            let text = format!(
                "the {self} belongs to pair {ours} and the {other} to pair {theirs}: correct the address or the store of one of them"
            );
            return refuse(Reason::OtherPair, text);
        }
        if self.mode != other.mode {
            let (ours, theirs) = (self.mode, other.mode);
            let text = format!(
                "the {self} is configured for {ours} and the {other} for {theirs}: give both the same ha-policy"
            );
            return refuse(Reason::OtherMode, text);
        }
        if self.side == other.side {
            let side = self.side;
            let text = format!(
                "the {self} and the {other} are both the {side}: a pair has one; configure one of them as the {}",
                side.other()
            );
            return refuse(Reason::SameSide, text);
        }
        Ok(())
    }
}

/// A hello: a nonce and an identity as JSON.
pub(crate) fn encode_hello(nonce: &Nonce, identity: &Identity) -> Result<Bytes, Refusal> {
    let json = serde_json::to_vec(identity).map_err(|_| Refusal::malformed("a hello"))?;
    Ok(encode(Kind::Hello, &[nonce, &json]))
}

/// Reads the body of a hello; its nonce is only needed as part of the transcript.
pub(crate) fn decode_hello(body: &[u8]) -> Result<Identity, Refusal> {
    let identity: Identity = body
        .get(NONCE_BYTES..)
        .and_then(|json| serde_json::from_slice(json).ok())
        .ok_or_else(|| Refusal::malformed("a hello"))?;
    let texts = [&identity.pair, &identity.name, &identity.address];
    if texts.iter().any(|text| text.len() > MAX_NAME_BYTES) {
        return Err(Refusal::malformed("a hello"));
    }
    Ok(identity)
}
