//! Why a connection is not, or no longer, the link.

use crate::hello::Versions;

/// Longest sentence of a refusal; a longer one is cut, at either end.
pub const MAX_TEXT_BYTES: usize = 1024;

/// A reason, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// What came is no link at all.
    NotALink = 1,
    /// No version of the protocol in common.
    Version = 2,
    /// A frame beyond the limit.
    TooLarge = 3,
    /// Something that this protocol does not say, or not there.
    Malformed = 4,
    /// The handshake took too long.
    Slow = 5,
    /// Another cluster user or password.
    Credentials = 6,
    /// Another pair.
    OtherPair = 7,
    /// The same pair, configured for another mode.
    OtherMode = 8,
    /// Both are of the same side.
    SameSide = 9,
    /// A process has dialled itself.
    OwnProcess = 10,
    /// The end that refuses does not know its pair yet: it has not read the record.
    PairUnknown = 11,
    /// Another process of that side is connected, and alive.
    AnotherProcess = 12,
    /// The same two processes have a connection that is to stay.
    Duplicate = 13,
    /// Nothing was heard for too long.
    Silent = 14,
    /// The process ends.
    Stopping = 15,
    /// Data of a session that the end that refuses does not ship, or not any more.
    NoSession = 16,
    /// A reason that a newer version has.
    Other = 255,
}

impl Reason {
    const ALL: [Self; 17] = [
        Self::NotALink,
        Self::Version,
        Self::TooLarge,
        Self::Malformed,
        Self::Slow,
        Self::Credentials,
        Self::OtherPair,
        Self::OtherMode,
        Self::SameSide,
        Self::OwnProcess,
        Self::PairUnknown,
        Self::AnotherProcess,
        Self::Duplicate,
        Self::Silent,
        Self::Stopping,
        Self::NoSession,
        Self::Other,
    ];

    fn of(byte: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u8 == byte)
            .unwrap_or(Self::Other)
    }

    /// Whether it passes by itself, as a part of every good start or end: nobody needs to be told.
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::OwnProcess
                | Self::PairUnknown
                | Self::Duplicate
                | Self::Stopping
                | Self::NoSession
        )
    }
}

/// A refusal: what is sent to the other end, and what both report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// The same in a sentence that reads well at both ends. One line, without control characters.
    pub text: String,
}

impl Refusal {
    /// A refusal; the sentence is cut if it is too long, and made one line.
    pub fn new(reason: Reason, text: &str) -> Self {
        let text: String = text
            .chars()
            .map(|char| if char.is_control() { ' ' } else { char })
            .collect();
        let end = text.floor_char_boundary(MAX_TEXT_BYTES);
        let text = text[..end].to_owned();
        Self { reason, text }
    }

    pub(crate) fn malformed(what: &str) -> Self {
        let text = format!(
            "{what} that this version of the link protocol does not have: it does not come from a broker of a pair, or was changed on the way"
        );
        Self::new(Reason::Malformed, &text)
    }

    pub(crate) fn not_a_link() -> Self {
        Self::new(
            Reason::NotALink,
            "what was sent does not come from a broker of a pair: this port is for the link between its two brokers, clients use the acceptors' ports",
        )
    }

    pub(crate) fn version(ours: Versions, theirs: Versions) -> Self {
        let text = format!(
            "one broker speaks version {ours} of the link protocol and the other {theirs}: upgrade the older one"
        );
        Self::new(Reason::Version, &text)
    }

    pub(crate) fn slow(limit_ms: u64) -> Self {
        let text = format!("the handshake was not finished within {limit_ms} ms");
        Self::new(Reason::Slow, &text)
    }

    pub(crate) fn credentials() -> Self {
        Self::new(
            Reason::Credentials,
            "wrong cluster user or password: both brokers of a pair need the same cluster-user and cluster-password in broker.xml",
        )
    }

    pub(crate) fn pair_unknown() -> Self {
        Self::new(
            Reason::PairUnknown,
            "the broker does not know its pair yet: it has not read the pair record",
        )
    }

    pub(crate) fn silent(silent_ms: u64) -> Self {
        let text = format!("nothing was heard for {silent_ms} ms");
        Self::new(Reason::Silent, &text)
    }

    /// The body of its frame.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = vec![self.reason as u8];
        body.extend_from_slice(self.text.as_bytes());
        body
    }

    /// Reads the body of its frame; anything is a refusal.
    pub(crate) fn read(body: &[u8]) -> Self {
        let (reason, text) = body.split_first().unwrap_or((&255, &[]));
        let text = &text[..text.len().min(MAX_TEXT_BYTES)];
        Self::new(Reason::of(*reason), &String::from_utf8_lossy(text))
    }
}
