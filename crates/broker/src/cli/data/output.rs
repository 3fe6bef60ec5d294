//! Where an export goes: standard output, or a file that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::Failure;

const BUFFER_BYTES: usize = 256 * 1024;

/// Messages are for the user that runs the broker.
const MODE: u32 = 0o600;

/// An export on its way to its place.
#[derive(Debug)]
pub(super) enum Output {
    Standard(BufWriter<io::Stdout>),
    File(NewFile),
}

/// A file beside its final name; removed unless it gets there.
#[derive(Debug)]
pub(super) struct NewFile {
    writer: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    replace: bool,
    placed: bool,
}

impl Output {
    /// Begins to write to `path`, or to standard output. Refuses a name that is taken, unless it may be replaced.
    pub(super) fn open(path: Option<&Path>, replace: bool) -> Result<Self, Failure> {
        let Some(path) = path else {
            let writer = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
            return Ok(Self::Standard(writer));
        };
        if !replace && path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        let Some(name) = path.file_name() else {
            let text = format!("--output {} names no file", path.display());
            return Err(Failure::usage(text));
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&temporary)
            .map_err(|error| failed("create", &temporary, &error))?;
        Ok(Self::File(NewFile {
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            temporary,
            path: path.to_owned(),
            replace,
            placed: false,
        }))
    }

    /// Makes what was written durable and, for a file, visible.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Standard(mut writer) => writer
                .flush()
                .map_err(|error| Failure::unavailable(format!("standard output: {error}"))),
            Self::File(file) => file.place(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(writer) => writer.write(bytes),
            Self::File(file) => file.writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(writer) => writer.flush(),
            Self::File(file) => file.writer.flush(),
        }
    }
}

impl NewFile {
    fn place(mut self) -> Result<(), Failure> {
        let (temporary, path) = (self.temporary.clone(), self.path.clone());
        let whole = self
            .writer
            .flush()
            .and_then(|()| self.writer.get_ref().sync_all());
        whole.map_err(|error| failed("write", &temporary, &error))?;
        if self.replace {
            fs::rename(&temporary, &path).map_err(|error| failed("replace", &path, &error))?;
            self.placed = true;
        } else {
            // Unlike a rename a link never replaces what somebody made meanwhile.
            match fs::hard_link(&temporary, &path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(taken(&path));
                }
                Err(error) => return Err(failed("create", &path, &error)),
            }
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failed("sync the folder of", &path, &error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.placed {
            // Left behind it would only be in the way of a person's eye.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn taken(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} exists already: choose another name, or add --force to replace it",
        path.display()
    ))
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::unavailable(format!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export.xml");
        let mut output = Output::open(Some(&path), false).unwrap();
        output.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(output);
        assert!(names(dir.path()).is_empty(), "given up, nothing stays");
        let mut output = Output::open(Some(&path), false).unwrap();
        output.write_all(b"whole").unwrap();
        output.finish().unwrap();
        assert_eq!(names(dir.path()), ["export.xml"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_name_that_is_taken_is_replaced_only_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export.xml");
        let before = Output::open(Some(&path), false).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(before.finish().unwrap_err().text.contains("--force"));
        assert!(Output::open(Some(&path), false).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let mut output = Output::open(Some(&path), true).unwrap();
        output.write_all(b"new").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["export.xml"]);
    }
}
