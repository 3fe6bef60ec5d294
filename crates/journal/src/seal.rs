//! Seals: which files, and how much of each, a term builds on.
//!
//! A seal is written once by its term, after it has read what earlier terms left and before its own
//! first entry; it becomes visible whole or not at all and never replaces another. From then on
//! later bytes in those files count for nobody (rule 3).
//!
//! ```text
//! {"format":1,"epoch":8,"incarnation":"<32 hex digits>","files":[
//! {"name":"journal.7.<32 hex digits>.0000000001","length_bytes":81920}
//! ]}
//! crc32 0a1b2c3d
//! ```
//!
//! The first file need not be the first of its term: the ones before it may have been retired. Such
//! a seal has format 2.

use std::io;

use serde::Deserialize;

use crate::error::{Damage, Operation, ReadError, WriteError};
use crate::format::BLOCK_BYTES;
use crate::names::{FileLength, SegmentName, TermId, seal_name};
use crate::storage::{Storage, open_if_there, path_of, read_full, write_whole};

/// The highest format that this version reads.
const FORMAT: u32 = 2;
/// Format of a seal whose first file is the first of its term.
const FORMAT_WHOLE: u32 = 1;
/// Largest seal that is read: about 500,000 files, far above what compaction leaves.
const MAX_SEAL_BYTES: u64 = 64 * 1024 * 1024;

/// What one term builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The term that builds on the files.
    pub term: TermId,
    /// Its files in the order of their entries: by term, and in a term by number.
    pub files: Vec<FileLength>,
}

/// Makes the seal visible and durable; when it returns, the term may start to write.
///
/// Safe to repeat with the same seal. Fails if the epoch is sealed by another term.
pub fn write(storage: &dyn Storage, seal: &Seal) -> Result<(), WriteError> {
    let name = seal_name(seal.term.epoch);
    // The name carries the incarnation, so only an earlier try of this very term can be in the way.
    let temporary = format!("seal.{}.tmp", seal.term);
    let path = path_of(storage, &temporary);
    let at = |operation, name: &str| {
        let path = path_of(storage, &name);
        move |source| WriteError::io(operation, path, source)
    };
    match storage.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(at(Operation::Remove, &temporary)(error));
        }
        _ => {}
    }
    let file = storage
        .create_new(&temporary)
        .map_err(at(Operation::Create, &temporary))?;
    write_whole(file.as_ref(), &path, encode(seal).as_bytes(), 0)?;
    file.sync_data().map_err(at(Operation::Sync, &temporary))?;
    match storage.link_new(&temporary, &name) {
        Ok(()) => {}
        // A network file system that lost the answer reports our own success this way.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = read(storage, seal.term.epoch);
            if there
                .map_err(|error| WriteError::Seal(Box::new(error)))?
                .as_ref()
                != Some(seal)
            {
                let path = path_of(storage, &name);
                return Err(WriteError::SealedByAnother {
                    path,
                    term: seal.term,
                });
            }
        }
        Err(error) => return Err(at(Operation::Link, &name)(error)),
    }
    let sync = |error| WriteError::io(Operation::SyncDirectory, storage.path().to_owned(), error);
    storage.sync_directory().map_err(sync)?;
    // Only tidiness: a temporary file left behind is never read.
    let _tidied = storage.remove(&temporary);
    Ok(())
}

/// Reads the seal of the term with this epoch; nothing if there is none.
pub(crate) fn read(storage: &dyn Storage, epoch: u64) -> Result<Option<Seal>, ReadError> {
    let name = seal_name(epoch);
    let Some(file) = open_if_there(storage, &name)? else {
        return Ok(None);
    };
    let path = path_of(storage, &name);
    let failed = |source| ReadError::Io {
        operation: Operation::Read,
        path: path.clone(),
        source,
    };
    let damaged = |damage| ReadError::Damaged {
        path: path.clone(),
        at_byte: 0,
        damage,
    };
    let length = file.length_bytes().map_err(failed)?;
    if length > MAX_SEAL_BYTES {
        return Err(damaged(Damage::SealText(format!(
            "{length} bytes, more than any seal has"
        ))));
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
    let read = read_full(file.as_ref(), &mut text, 0).map_err(failed)?;
    text.truncate(read);
    let seal = decode(&text).map_err(|problem| match problem {
        Problem::Damage(damage) => damaged(damage),
        Problem::Format(found) => ReadError::Unsupported {
            path: path.clone(),
            found,
            supported: FORMAT,
        },
    })?;
    if seal.term.epoch != epoch {
        let wrong = format!("epoch {}, its name says another", seal.term.epoch);
        return Err(damaged(Damage::SealText(wrong)));
    }
    Ok(Some(seal))
}

#[derive(Deserialize)]
struct SealText {
    epoch: u64,
    incarnation: String,
    files: Vec<FileText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    name: String,
    length_bytes: u64,
}

/// Read first, so that a newer format is told from nonsense.
#[derive(Deserialize)]
struct FormatText {
    format: u32,
}

enum Problem {
    Damage(Damage),
    Format(u32),
}

fn encode(seal: &Seal) -> String {
    let TermId { epoch, incarnation } = seal.term;
    let is_whole = seal.files.first().is_none_or(|file| file.file.number == 1);
    let format = if is_whole { FORMAT_WHOLE } else { FORMAT };
    // Only digits and names of segments: nothing here needs escaping.
    let files: Vec<String> = seal
        .files
        .iter()
        .map(|FileLength { file, length_bytes }| {
            format!("{{\"name\":\"{file}\",\"length_bytes\":{length_bytes}}}")
        })
        .collect();
    let text = format!(
        "{{\"format\":{format},\"epoch\":{epoch},\"incarnation\":\"{:032x}\",\"files\":[\n{}\n]}}\n",
        u128::from_be_bytes(incarnation),
        files.join(",\n"),
    );
    let checksum = crc32fast::hash(text.as_bytes());
    text + &format!("crc32 {checksum:08x}\n")
}

fn decode(bytes: &[u8]) -> Result<Seal, Problem> {
    let json = checked(bytes).ok_or(Problem::Damage(Damage::SealChecksum))?;
    let wrong = |problem: String| Problem::Damage(Damage::SealText(problem));
    let FormatText { format } =
        serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
    if !(FORMAT_WHOLE..=FORMAT).contains(&format) {
        return Err(Problem::Format(format));
    }
    let text: SealText = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
    let term = format!("{}.{}", text.epoch, text.incarnation);
    let term = term
        .parse::<TermId>()
        .map_err(|error| wrong(error.to_string()))?;
    let mut files = Vec::with_capacity(text.files.len());
    for FileText { name, length_bytes } in text.files {
        let file = name.parse().map_err(|error| wrong(format!("{error}")))?;
        let file = FileLength { file, length_bytes };
        let previous = files.last().copied();
        if !may_follow(previous, file, format) || file.file.term.epoch >= term.epoch {
            return Err(wrong(format!("{name}, which cannot stand there")));
        }
        files.push(file);
    }
    Ok(Seal { term, files })
}

/// Reads a seal that came from elsewhere; nothing if it is none.
pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Seal> {
    decode(bytes).ok()
}

/// The text before the checksum line, if the line fits.
pub(crate) fn checked(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    let (json, line) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let json = &text[..=json.len()];
    let checksum = crc32fast::hash(json.as_bytes());
    (line == format!("crc32 {checksum:08x}")).then_some(json)
}

/// Files stand in the order of their entries, the segments of a term without gaps from its first; in
/// format 2 the first file of all may have any number.
fn may_follow(previous: Option<FileLength>, next: FileLength, format: u32) -> bool {
    let SegmentName { term, number } = next.file;
    let in_order = match previous.map(|previous| previous.file) {
        Some(previous) if previous.term == term => previous.successor() == next.file,
        Some(previous) => previous.term.epoch < term.epoch && number == 1,
        None => number == 1 || format > FORMAT_WHOLE,
    };
    in_order && next.length_bytes > BLOCK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(epoch: u64, number: u64, length_bytes: u64) -> FileLength {
        let term = TermId {
            epoch,
            incarnation: [1; 16],
        };
        FileLength {
            file: SegmentName { term, number },
            length_bytes,
        }
    }

    fn seal(files: Vec<FileLength>) -> Seal {
        Seal {
            term: TermId {
                epoch: 9,
                incarnation: [2; 16],
            },
            files,
        }
    }

    #[test]
    fn seals_round_trip() {
        for files in [
            vec![],
            vec![file(3, 1, 5000), file(3, 2, 4097), file(8, 1, 70_000)],
            vec![file(3, 7, 5000), file(3, 8, 4097), file(8, 1, 70_000)],
        ] {
            let seal = seal(files);
            assert!(decode(encode(&seal).as_bytes()).is_ok_and(|read| read == seal));
        }
    }

    #[test]
    fn any_changed_byte_is_seen() {
        let text = encode(&seal(vec![file(3, 1, 5000)])).into_bytes();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            let read = decode(&changed);
            assert!(
                matches!(read, Err(Problem::Damage(Damage::SealChecksum))),
                "byte {at}"
            );
        }
        for length in 0..text.len() {
            assert!(decode(&text[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn files_out_of_order_are_refused() {
        for files in [
            vec![file(3, 2, 5000), file(3, 4, 5000)],
            vec![file(3, 2, 5000), file(4, 2, 5000)],
            vec![file(3, 1, 5000), file(3, 3, 5000)],
            vec![file(3, 1, 5000), file(3, 1, 5000)],
            vec![file(4, 1, 5000), file(3, 1, 5000)],
            vec![file(9, 1, 5000)],
            vec![file(3, 1, 4096)],
        ] {
            let text = encode(&seal(files.clone()));
            let read = decode(text.as_bytes());
            assert!(
                matches!(read, Err(Problem::Damage(Damage::SealText(_)))),
                "{files:?}"
            );
        }
    }

    /// What versions wrote that never retired a file.
    #[test]
    fn in_the_first_format_a_term_begins_with_its_first_file() {
        let text = encode(&seal(vec![file(3, 7, 5000)]));
        assert!(text.starts_with("{\"format\":2,"));
        let (json, _) = text.trim_end().rsplit_once('\n').unwrap();
        let json = json.replacen("\"format\":2", "\"format\":1", 1) + "\n";
        let text = format!("{json}crc32 {:08x}\n", crc32fast::hash(json.as_bytes()));
        let read = decode(text.as_bytes());
        assert!(matches!(read, Err(Problem::Damage(Damage::SealText(_)))));
        assert!(encode(&seal(vec![file(3, 1, 5000)])).starts_with("{\"format\":1,"));
    }

    #[test]
    fn a_newer_format_is_told_as_such() {
        let text = "{\"format\":3,\"new\":true}\n";
        let text = format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes()));
        assert!(matches!(decode(text.as_bytes()), Err(Problem::Format(3))));
    }
}
