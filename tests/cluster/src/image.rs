//! Images made of files of this machine: a docker archive with one layer, written with the program `tar`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ring::digest;
use serde_json::json;

use crate::program::output;

const LIMIT: Duration = Duration::from_mins(3);
const PIECE: usize = 1 << 20;
/// User and group of every image: numbers, because images have no list of names.
const NOBODY: &str = "65532:65532";

/// An image to be.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    entry_point: Vec<String>,
    /// Files and folders of this machine, and where they are in the image.
    content: Vec<(PathBuf, String)>,
}

impl Image {
    /// An empty image with this name and entry point, which runs as nobody in particular.
    pub fn new(name: &str, entry_point: &[&str]) -> Image {
        Image {
            name: name.to_owned(),
            entry_point: Vec::new(),
            content: Vec::new(),
        }
        .entry_point(entry_point)
    }

    /// Sets what containers of it run.
    #[must_use]
    pub fn entry_point(mut self, words: &[&str]) -> Image {
        self.entry_point = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Adds a file or a folder with all that is in it.
    #[must_use]
    pub fn file(mut self, from: &Path, to: &str) -> Image {
        self.content.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Adds a program with the libraries that it is linked with.
    pub fn program(self, from: &Path, to: &str) -> Result<Image> {
        self.file(from, to).libraries_of(&[from])
    }

    /// Adds the libraries that programs or libraries are linked with, each where it is on this machine.
    pub fn libraries_of(mut self, files: &[&Path]) -> Result<Image> {
        let mut linked = BTreeSet::new();
        for file in files {
            linked.extend(libraries(file)?);
        }
        for library in linked {
            let to = library.to_string_lossy().into_owned();
            self.content.push((library, to));
        }
        Ok(self)
    }
}

/// The paths that the linker finds for a program. One that cannot be found is an error, one without a path is the kernel's.
fn libraries(file: &Path) -> Result<BTreeSet<PathBuf>> {
    let listing = output(Command::new("ldd").arg(file), "", LIMIT)?;
    let mut found = BTreeSet::new();
    for line in listing.lines() {
        if line.contains("not found") {
            bail!(
                "{} needs a library that is not here: {}",
                file.display(),
                line.trim()
            );
        }
        let path = line.split_whitespace().find(|word| word.starts_with('/'));
        found.extend(path.map(PathBuf::from));
    }
    Ok(found)
}

/// Writes the archive `NAME.tar` into a folder.
pub fn write(image: &Image, folder: &Path) -> Result<PathBuf> {
    let file_name = image.name.replace(['/', ':'], "-");
    let work = tempfile::Builder::new()
        .prefix("image-")
        .tempdir_in(folder)
        .context("cannot make a folder for an image")?;
    let root = work.path().join("root");
    lay_out(image, &root)?;
    let layer = work.path().join("layer.tar");
    tar(&root, &layer, &["."])?;
    fs::remove_dir_all(&root)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {
            "Entrypoint": image.entry_point,
            "User": NOBODY,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer)?)]},
    });
    fs::write(work.path().join("config.json"), config.to_string())?;
    let manifest =
        json!([{"Config": "config.json", "RepoTags": [image.name], "Layers": ["layer.tar"]}]);
    fs::write(work.path().join("manifest.json"), manifest.to_string())?;
    let archive = folder.join(format!("{file_name}.tar"));
    tar(
        work.path(),
        &archive,
        &["manifest.json", "config.json", "layer.tar"],
    )?;
    Ok(archive)
}

/// Puts the image's files where they will be.
fn lay_out(image: &Image, root: &Path) -> Result<()> {
    for folder in ["tmp", "etc", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (from, to) in &image.content {
        let to = root.join(to.trim_start_matches('/'));
        let parent = to.parent().context("a file in the root folder")?;
        fs::create_dir_all(parent)?;
        // Links are followed: Debian's Java is half made of links to other places.
        let mut copy = Command::new("cp");
        copy.args([
            "--recursive",
            "--dereference",
            "--no-target-directory",
            "--preserve=mode",
        ]);
        output(copy.arg(from).arg(&to), "", LIMIT)?;
    }
    Ok(())
}

fn tar(folder: &Path, archive: &Path, names: &[&str]) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--file",
    ]);
    tar.arg(archive).arg("--directory").arg(folder).args(names);
    output(&mut tar, "", LIMIT).map(drop)
}

fn sha256(path: &Path) -> Result<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        context.update(&piece[..length]);
    }
    let mut text = String::new();
    for byte in context.finish().as_ref() {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
