//! `cargo xtask bench` and `cargo xtask faults`: build the broker, the bench and its JMS client, and start the bench.

use std::fs;
use std::path::{Path, PathBuf};
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
    preflight::preflight(false)?;
    downloads::download()?;
    build(&["tandem-broker", "bench"])?;
    let mut bench = program("run", "bench")?;
    start(bench.args(arguments))
}

/// Builds the same, then plays random faults on pairs under load; the arguments are those of the bench's `faults`.
pub(crate) fn faults(arguments: &[String]) -> Result<ExitCode> {
    if arguments.iter().any(|argument| argument == "--report") {
        // Adding up needs none of what was measured.
        build(&["bench"])?;
        let mut bench = command(programs().join("bench"));
        bench
            .args(["faults", "--broker", "-", "--artemis-home", "-"])
            .args(["--class-path", "-", "--folder", "-"]);
        return start(bench.args(arguments));
    }
    preflight::preflight(false)?;
    downloads::download()?;
    build(&["tandem-broker", "bench"])?;
    let mut bench = program("faults", "faults")?;
    start(bench.args(arguments))
}

fn programs() -> PathBuf {
    target_folder().join("release")
}

fn build(packages: &[&str]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--locked", "--release", "--bins"]);
    for package in packages {
        build.args(["--package", package]);
    }
    run(&mut build)
}

/// The bench in one of its modes, told where everything is; `folder` is below the target folder.
fn program(mode: &str, folder: &str) -> Result<Command> {
    let mut bench = command(programs().join("bench"));
    bench
        .arg(mode)
        .arg("--broker")
        .arg(programs().join("tandem-broker"))
        .arg("--artemis-home")
        .arg(cache()?.join(ARTEMIS))
        .args(["--class-path", &client()?])
        .arg("--folder")
        .arg(target_folder().join(folder));
    Ok(bench)
}

fn start(bench: &mut Command) -> Result<ExitCode> {
    let status = bench.status().context("cannot start the bench")?;
    if !status.success() {
        bail!("the bench ended with {status}: see above");
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles the JMS client and returns its class path. Without network if everything is in the repository already.
pub(crate) fn client() -> Result<String> {
    let repository = &cache()?.join("m2");
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
