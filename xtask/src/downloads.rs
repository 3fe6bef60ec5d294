//! Brings what the end-to-end tests need from Maven repositories into the cache folder, and checks it against the
//! checksums in `maven.sha256`. Nothing of it is run by the tests before its checksum was right.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cache, command, output, root, run};

/// The version of Apache ActiveMQ Artemis that we compare ourselves with.
const ARTEMIS: &str = "2.44.0";

/// Fetches from Maven repositories; a plugin with a fixed version, as everything here.
const FETCH: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get";

const CHECKSUMS: &str = include_str!("../maven.sha256");

/// Makes sure that the clients' libraries and the Artemis distribution are in the cache, whole and unaltered.
pub(crate) fn download() -> Result<()> {
    let cache = cache()?;
    let repository = cache.join("m2");
    fs::create_dir_all(&repository)
        .with_context(|| format!("cannot make the cache folder {}", repository.display()))?;
    println!("cache: {}", cache.display());

    let archive = repository.join(format!(
        "org/apache/activemq/apache-artemis/{ARTEMIS}/apache-artemis-{ARTEMIS}-bin.tar.gz"
    ));
    if output(worksheet(&repository).arg("--offline")).is_err() {
        run(&mut worksheet(&repository))?;
    }
    if !archive.is_file() {
        run(maven(&repository).arg(FETCH).args([
            format!("-Dartifact=org.apache.activemq:apache-artemis:{ARTEMIS}:tar.gz:bin").as_str(),
            "-Dtransitive=false",
        ]))?;
    }
    verify(&repository)?;
    unpack(&archive, &cache)
}

fn maven(repository: &Path) -> Command {
    let mut maven = command("mvn");
    maven.args([
        "--batch-mode",
        "--quiet",
        "--no-transfer-progress",
        "-Dstyle.color=never",
    ]);
    maven.arg(format!("-Dmaven.repo.local={}", repository.display()));
    maven
}

/// Everything that `mvn verify` of the clients does, except starting one.
fn worksheet(repository: &Path) -> Command {
    let mut maven = maven(repository);
    maven
        .args(["verify", "-PqueueSender", "-Dexec.skip=true"])
        .current_dir(root().join("examples/worksheet"));
    maven
}

/// Compares every library and archive of the repository with its pinned checksum.
fn verify(repository: &Path) -> Result<()> {
    let pinned = parse(CHECKSUMS);
    let mut found = Vec::new();
    collect(repository, &mut found)?;
    let sums = output(command("sha256sum").args(&found).current_dir(repository))?;
    let mut checked = 0;
    let mut unknown = Vec::new();
    for (path, sum) in parse(&sums) {
        match pinned.get(path) {
            Some(expected) if *expected == sum => checked += 1,
            Some(expected) => bail!(
                "{} is not the file it should be:\n  expected SHA-256 {expected}\n  found    SHA-256 {sum}\n\
                 Delete it and run again; if it comes back the same, do not use where it came from.",
                repository.join(path).display()
            ),
            None => unknown.push(path),
        }
    }
    println!("{checked} downloads have their pinned checksum");
    if !unknown.is_empty() {
        println!(
            "not pinned (this Maven wants other versions than Maven 3.8 does): {}",
            unknown.join(", ")
        );
    }
    Ok(())
}

/// Lines of `sha256sum`: path → checksum.
fn parse(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, path)| (path, sum))
        .collect()
}

/// The libraries and archives below the repository, with paths relative to it.
fn collect(repository: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut folders = vec![repository.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ending == "jar" || ending == "gz")
            {
                found.push(path.strip_prefix(repository)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(())
}

/// Unpacks the distribution beside its place and moves it there, so that it is there whole or not at all.
fn unpack(archive: &Path, cache: &Path) -> Result<()> {
    let name = format!("apache-artemis-{ARTEMIS}");
    if cache.join(&name).is_dir() {
        return Ok(());
    }
    let half = cache.join(format!("unpacking-{}", std::process::id()));
    fs::create_dir_all(&half)?;
    output(command("tar").arg("-xzf").arg(archive).arg("-C").arg(&half))?;
    fs::rename(half.join(&name), cache.join(&name))
        .with_context(|| format!("the archive {} holds no folder {name}", archive.display()))?;
    fs::remove_dir_all(&half)?;
    println!("unpacked {}", cache.join(&name).display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_and_the_distribution_are_pinned() {
        let pinned = parse(CHECKSUMS);
        for wanted in [
            "artemis-core-client-2.44.0.jar",
            "apache-artemis-2.44.0-bin.tar.gz",
        ] {
            let (_, sum) = pinned
                .iter()
                .find(|(path, _)| path.ends_with(wanted))
                .unwrap_or_else(|| panic!("{wanted} is not in maven.sha256"));
            assert_eq!(sum.len(), 64);
        }
    }

    #[test]
    fn an_altered_download_is_refused() {
        let pinned = parse(CHECKSUMS);
        let (path, _) = pinned.iter().next().expect("at least one");
        let folder = std::env::temp_dir().join(format!("xtask-downloads-{}", std::process::id()));
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("temporary folder");
        fs::write(&file, "altered").expect("temporary file");
        let refused = verify(&folder).expect_err("altered").to_string();
        fs::remove_dir_all(&folder).expect("own folder");
        assert!(
            refused.contains("is not the file it should be"),
            "{refused}"
        );
    }
}
