//! `cargo xtask bench`: builds the broker, the bench and its JMS client, and starts the measurement.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::demo::target_folder;
use crate::run::{cache, cargo, command, output, root, run};
use crate::{downloads, preflight};

/// Writes the class path of a project into a file; the version is that of `bench/client/pom.xml`.
const CLASS_PATH: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath";

/// The folder of the distribution that `downloads` unpacks into the cache folder.
const ARTEMIS: &str = "apache-artemis-2.44.0";

/// Builds everything that is measured for release, then measures; the arguments are the bench's.
pub(crate) fn bench(arguments: &[String]) -> Result<ExitCode> {
    preflight::preflight()?;
    downloads::download()?;
    run(cargo().args([
        "build",
        "--locked",
        "--release",
        "--package",
        "tandem-broker",
        "--package",
        "bench",
        "--bins",
    ]))?;
    let cache = cache()?;
    let class_path = client(&cache.join("m2"))?;
    let programs = target_folder().join("release");
    let status = command(programs.join("bench"))
        .arg("run")
        .arg("--broker")
        .arg(programs.join("tandem-broker"))
        .arg("--artemis-home")
        .arg(cache.join(ARTEMIS))
        .args(["--class-path", &class_path])
        .arg("--folder")
        .arg(target_folder().join("bench"))
        .args(arguments)
        .status()
        .context("cannot start the bench")?;
    if !status.success() {
        bail!("the bench ended with {status}: see above");
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles the JMS client and returns its class path. Without network if everything is in the repository already.
fn client(repository: &Path) -> Result<String> {
    let target = target_folder().join("bench-client");
    let list = target.join("classpath");
    if output(maven(repository, &target, &list).arg("--offline")).is_err() {
        run(&mut maven(repository, &target, &list))?;
    }
    let libraries =
        fs::read_to_string(&list).with_context(|| format!("Maven wrote no {}", list.display()))?;
    Ok(format!(
        "{}:{}",
        target.join("classes").display(),
        libraries.trim()
    ))
}

fn maven(repository: &Path, target: &Path, list: &Path) -> Command {
    let mut maven = command("mvn");
    maven
        .args(["--batch-mode", "--quiet", "--no-transfer-progress"])
        .arg(format!("-Dmaven.repo.local={}", repository.display()))
        .arg(format!("-Dbench.target={}", target.display()))
        .arg(format!("-Dmdep.outputFile={}", list.display()))
        .args(["compile", CLASS_PATH])
        .current_dir(root().join("bench/client"));
    maven
}
