//! What is said on a connection for data.
//!
//! ```text
//!   active                       standby
//!   manifest ──────────────────►
//!            ◄────────────────── wants
//!   piece, piece, … ───────────►
//!   live ──────────────────────►
//!   piece, front, alive, … ────►
//! ```
//! Manifest, wants and front are JSON; a piece is `at_byte u64, length of the name u16, name, bytes`, big
//! endian.

use std::io;

use bytes::{Buf, Bytes};
use journal::mirror::{Listed, Manifest, Piece, Want};
use journal::{FileLength, SegmentName};
use link_protocol::FIRST_DATA_KIND;
use serde::{Deserialize, Serialize};

use crate::link::DataConnection;

const MANIFEST: u8 = FIRST_DATA_KIND;
const WANTS: u8 = FIRST_DATA_KIND + 1;
const PIECE: u8 = FIRST_DATA_KIND + 2;
const LIVE: u8 = FIRST_DATA_KIND + 3;
const FRONT: u8 = FIRST_DATA_KIND + 4;
const ALIVE: u8 = FIRST_DATA_KIND + 5;

/// The most bytes of a file in one frame.
pub(super) const PIECE_BYTES: usize = 512 * 1024;

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Manifest(Manifest),
    Wants(Vec<Want>),
    Piece(Piece),
    Live,
    Front(SegmentName),
    Alive,
}

#[derive(Serialize, Deserialize)]
struct ManifestText {
    term: String,
    seal: String,
    /// Name, length, first offset.
    files: Vec<(String, u64, u64)>,
}

/// Sends one thing; a large piece in several frames.
pub(super) fn send(connection: &mut DataConnection, said: &Said) -> io::Result<()> {
    if let Said::Piece(piece) = said {
        for (index, bytes) in piece.bytes.chunks(PIECE_BYTES).enumerate() {
            let at_byte = piece.at_byte + (index * PIECE_BYTES) as u64;
            connection.send(PIECE, &piece_body(piece.file, at_byte, bytes))?;
        }
        return Ok(());
    }
    let (kind, body) = encode(said)?;
    connection.send(kind, &body)
}

/// Waits for the next thing.
pub(super) fn receive(connection: &mut DataConnection) -> io::Result<Said> {
    let (kind, body) = connection.receive()?;
    decode(kind, body).ok_or_else(|| {
        io::Error::other(format!(
            "a frame of kind {kind} that this version does not understand: upgrade the older broker"
        ))
    })
}

fn encode(said: &Said) -> io::Result<(u8, Vec<u8>)> {
    Ok(match said {
        Said::Manifest(manifest) => {
            let text = ManifestText {
                term: manifest.term.to_string(),
                seal: String::from_utf8_lossy(&manifest.seal).into_owned(),
                files: manifest
                    .files
                    .iter()
                    .map(|it| {
                        let FileLength { file, length_bytes } = it.file;
                        (file.to_string(), length_bytes, it.first_offset)
                    })
                    .collect(),
            };
            (MANIFEST, serde_json::to_vec(&text)?)
        }
        Said::Wants(wants) => {
            let wants: Vec<(String, u64)> = wants
                .iter()
                .map(|want| (want.file.to_string(), want.from_byte))
                .collect();
            (WANTS, serde_json::to_vec(&wants)?)
        }
        Said::Piece(piece) => (PIECE, piece_body(piece.file, piece.at_byte, &piece.bytes)),
        Said::Live => (LIVE, Vec::new()),
        Said::Front(front) => (FRONT, front.to_string().into_bytes()),
        Said::Alive => (ALIVE, Vec::new()),
    })
}

fn piece_body(file: SegmentName, at_byte: u64, bytes: &[u8]) -> Vec<u8> {
    let name = file.to_string();
    let mut body = Vec::with_capacity(10 + name.len() + bytes.len());
    body.extend_from_slice(&at_byte.to_be_bytes());
    // A name has some seventy bytes.
    body.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(bytes);
    body
}

fn decode(kind: u8, mut body: Bytes) -> Option<Said> {
    match kind {
        MANIFEST => {
            let text: ManifestText = serde_json::from_slice(&body).ok()?;
            let files = text.files.into_iter().map(|(name, length_bytes, first)| {
                let file = name.parse().ok()?;
                Some(Listed {
                    file: FileLength { file, length_bytes },
                    first_offset: first,
                })
            });
            Some(Said::Manifest(Manifest {
                term: text.term.parse().ok()?,
                seal: text.seal.into_bytes(),
                files: files.collect::<Option<_>>()?,
            }))
        }
        WANTS => {
            let wants: Vec<(String, u64)> = serde_json::from_slice(&body).ok()?;
            let wants = wants.into_iter().map(|(name, from_byte)| {
                let file = name.parse().ok()?;
                Some(Want { file, from_byte })
            });
            Some(Said::Wants(wants.collect::<Option<_>>()?))
        }
        PIECE => {
            let at_byte = body.try_get_u64().ok()?;
            let length = usize::from(body.try_get_u16().ok()?);
            if body.len() < length {
                return None;
            }
            let name = body.split_to(length);
            Some(Said::Piece(Piece {
                file: str::from_utf8(&name).ok()?.parse().ok()?,
                at_byte,
                bytes: body,
            }))
        }
        LIVE => Some(Said::Live),
        FRONT => Some(Said::Front(str::from_utf8(&body).ok()?.parse().ok()?)),
        ALIVE => Some(Said::Alive),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::TermId;

    fn name(number: u64) -> SegmentName {
        let term = TermId {
            epoch: 7,
            incarnation: [0xa5; 16],
        };
        SegmentName { term, number }
    }

    #[test]
    fn everything_is_read_as_it_was_said() {
        let file = |number, length_bytes, first_offset| Listed {
            file: FileLength {
                file: name(number),
                length_bytes,
            },
            first_offset,
        };
        for said in [
            Said::Manifest(Manifest {
                term: name(1).term,
                seal: b"{\"format\":1}\ncrc32 00000000\n".to_vec(),
                files: vec![file(1, 8192, 1), file(2, 4999, 17)],
            }),
            Said::Wants(vec![Want {
                file: name(2),
                from_byte: 4096,
            }]),
            Said::Piece(Piece {
                file: name(2),
                at_byte: 1 << 40,
                bytes: Bytes::from_static(b"batch"),
            }),
            Said::Live,
            Said::Front(name(2)),
            Said::Alive,
        ] {
            let (kind, body) = encode(&said).unwrap();
            assert_eq!(decode(kind, body.into()), Some(said));
        }
    }

    #[test]
    fn what_is_none_of_it_is_refused() {
        for (kind, body) in [
            (MANIFEST, &b"{}"[..]),
            (WANTS, b"[[\"journal.x\",1]]"),
            (PIECE, b"\0\0\0\0\0\0\0\0\0\x09journal."),
            (PIECE, b"short"),
            (FRONT, b"record.1"),
            (200, b""),
        ] {
            assert_eq!(decode(kind, Bytes::from_static(body)), None, "{kind}");
        }
    }
}
