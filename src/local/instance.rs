//! The files of an instance on disk: written anew at every start, data left alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::render::RenderedFile;

/// Permissions of every file: passwords and their hashes are nobody else's business.
const MODE: u32 = 0o600;

/// A file of an instance could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; is the folder writable, and has the disk space?", path.display())]
pub(crate) struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Writes the files of an instance, each whole.
pub(crate) fn write(instance: &Path, files: &[RenderedFile]) -> Result<(), WriteError> {
    for file in files {
        let path = instance.join(file.path);
        write_whole(&path, file).map_err(|source| WriteError { path, source })?;
    }
    Ok(())
}

fn write_whole(path: &Path, file: &RenderedFile) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    // One that a crash left behind may have other permissions.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&temporary)?;
    out.write_all(file.content.as_bytes())?;
    drop(out);
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_and_the_rest_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = |content: &str| RenderedFile {
            path: "etc/broker.xml",
            content: content.to_owned(),
        };
        write(dir.path(), &[file("one")]).unwrap();
        fs::write(dir.path().join("etc/other"), "kept").unwrap();
        write(dir.path(), &[file("two")]).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join("etc").join(name)).unwrap();
        assert_eq!(
            (read("broker.xml").as_str(), read("other").as_str()),
            ("two", "kept")
        );
        assert_eq!(fs::read_dir(dir.path().join("etc")).unwrap().count(), 2);
        let error = write(&dir.path().join("etc/other"), &[file("x")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("etc/other/etc/broker.xml"), "{error}");
    }
}
