//! Puts the files of a new instance into place: all of them, or none.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// One file to write.
#[derive(Debug)]
pub(crate) struct NewFile<'a> {
    /// Where, below the instance's folder.
    pub path: &'a Path,
    /// Permission bits.
    pub mode: u32,
    /// What.
    pub content: &'a [u8],
}

/// Why an instance was not created, in words for the person who asked for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// There is something in the way.
    #[error(
        "{} exists already: choose another folder, or add --force to overwrite the configuration (data is never touched)",
        path.display()
    )]
    Exists {
        /// The file or folder in the way.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CreateError {
    let path = path.to_owned();
    move |source| CreateError::Io {
        action,
        path,
        source,
    }
}

/// Writes `files` and the empty `folders` into `instance`.
///
/// A new instance is prepared beside its place and renamed into it. With `force` an existing one has its files
/// replaced one by one, each whole.
pub(crate) fn put(
    instance: &Path,
    files: &[NewFile<'_>],
    folders: &[&Path],
    force: bool,
) -> Result<(), CreateError> {
    if is_free(instance)? {
        return put_new(instance, files, folders);
    }
    if !force {
        let in_the_way = files
            .iter()
            .map(|file| instance.join(file.path))
            .find(|path| path.exists())
            .unwrap_or_else(|| instance.to_owned());
        return Err(CreateError::Exists { path: in_the_way });
    }
    write_all(instance, files, folders)
}

/// Whether nothing is there, or an empty folder.
fn is_free(instance: &Path) -> Result<bool, CreateError> {
    match fs::read_dir(instance) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(CreateError::Exists {
            path: instance.to_owned(),
        }),
        Err(error) => Err(failed("read the folder", instance)(error)),
    }
}

fn put_new(instance: &Path, files: &[NewFile<'_>], folders: &[&Path]) -> Result<(), CreateError> {
    let parent = instance.parent().unwrap_or_else(|| Path::new("/"));
    fs::create_dir_all(parent).map_err(failed("create the folder", parent))?;
    let name = instance.file_name().unwrap_or_default().to_string_lossy();
    let staged = parent.join(format!(".{name}.new-{}", std::process::id()));
    let result = fs::create_dir(&staged)
        .map_err(failed("create the folder", &staged))
        .and_then(|()| write_all(&staged, files, folders))
        .and_then(|()| fs::rename(&staged, instance).map_err(failed("create", instance)));
    if result.is_err() {
        // Whatever could not be written, nothing half-written stays.
        let _ = fs::remove_dir_all(&staged);
    }
    result
}

fn write_all(root: &Path, files: &[NewFile<'_>], folders: &[&Path]) -> Result<(), CreateError> {
    for folder in folders {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).map_err(failed("create the folder", &folder))?;
    }
    for file in files {
        let path = root.join(file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
        }
        write_whole(&path, file.mode, file.content).map_err(failed("write", &path))?;
    }
    Ok(())
}

fn write_whole(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.new"));
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content)?;
        // The mode given to open is reduced by the umask, and a script must be executable.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(content: &'static [u8]) -> NewFile<'static> {
        NewFile {
            path: Path::new("bin/artemis"),
            mode: 0o755,
            content,
        }
    }

    const SHELL: &[u8] = b"#!/bin/sh\n";

    #[test]
    fn a_new_instance_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let instance = dir.path().join("a/b");
        put(&instance, &[script(SHELL)], &[Path::new("data")], false).unwrap();
        let mode = fs::metadata(instance.join("bin/artemis"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        assert!(instance.join("data").is_dir());
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_one_is_kept_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let instance = dir.path().join("broker");
        put(&instance, &[script(SHELL)], &[], false).unwrap();
        let error = put(&instance, &[script(b"other")], &[], false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("bin/artemis exists already"), "{error}");
        assert_eq!(fs::read(instance.join("bin/artemis")).unwrap(), SHELL);
        put(&instance, &[script(b"other")], &[], true).unwrap();
        assert_eq!(fs::read(instance.join("bin/artemis")).unwrap(), b"other");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let instance = dir.path().join("broker");
        let clash = [
            script(SHELL),
            NewFile {
                path: Path::new("bin/artemis/below-a-file"),
                mode: 0o644,
                content: b"",
            },
        ];
        put(&instance, &clash, &[], false).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
