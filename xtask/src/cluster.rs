//! `cargo xtask cluster`: builds Kubernetes from its Go modules, once for each list of versions, and runs the tests' cluster for people.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::demo::target_folder;
use crate::preflight;
use crate::run::{cache, cargo, command, describe, output, root, seconds};

/// The module that lists the versions.
const MODULE: &str = "tests/cluster/programs";

/// What is built, and from what. All of one module, so that they share most of what is compiled.
const PROGRAMS: [(&str, &str); 9] = [
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("helm", "helm.sh/helm/v3/cmd/helm"),
    ("coredns", "./coredns"),
    ("pause", "./pause"),
];

/// How they are built; part of the key.
const FLAGS: [&str; 3] = ["build", "-trimpath", "-buildvcs=false"];
/// The one that runs in an image without libraries.
const STATIC: &str = "pause";

const USAGE: &str = "\
cluster takes
  build                  build Kubernetes, or find it in the cache
  up [IMAGE.tar…]        start two nodes with these images, and four volumes of the storage class `shared`
  sh [COMMAND…]          run a command, or a shell, beside the API server; kubectl and helm are set up
  node NAME [COMMAND…]   the same in the network of node-1 or node-2
  down                   end it and remove all of it";

/// Runs the command for people.
pub(crate) fn cluster(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["build"] => {
            preflight::for_cluster()?;
            println!("{}", programs()?.display());
            Ok(ExitCode::SUCCESS)
        }
        ["up", ..] => {
            preflight::for_cluster()?;
            let programs = programs()?;
            println!("starting two nodes");
            let start = Instant::now();
            let code = held(&programs, arguments)?;
            println!("two nodes are ready, {}", seconds(start.elapsed()));
            println!("cargo xtask cluster sh kubectl get nodes");
            Ok(code)
        }
        ["down"] | ["sh" | "node", ..] => held(&folder()?, arguments),
        _ => bail!("{USAGE}"),
    }
}

/// Builds and calls the program that holds a cluster. Exit statuses of commands run inside are passed on.
fn held(programs: &Path, arguments: &[String]) -> Result<ExitCode> {
    output(cargo().args(["build", "--locked", "--package", "cluster", "--bins"]))?;
    let mut cluster = std::process::Command::new(target_folder().join("debug/cluster"));
    cluster
        .arg(programs)
        .arg(target_folder().join("cluster"))
        .args(arguments);
    let status = cluster
        .status()
        .with_context(|| format!("cannot start {}", describe(&cluster)))?;
    if !status.success() && arguments.first().is_some_and(|word| word == "up") {
        bail!("the cluster did not start: see above");
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// The folder with the programs, built if it is not in the cache.
pub(crate) fn programs() -> Result<PathBuf> {
    let folder = folder()?;
    if folder.is_dir() {
        println!("Kubernetes is in the cache: {}", folder.display());
        return Ok(folder);
    }
    // Built beside its place and moved there, so that it is there whole or not at all.
    let half = folder.with_extension(std::process::id().to_string());
    fs::create_dir_all(&half)
        .with_context(|| format!("cannot make the cache folder {}", half.display()))?;
    let built = build(&half);
    if built.is_err() {
        fs::remove_dir_all(&half)?;
    }
    built?;
    if folder.is_dir() {
        // Another run was faster.
        fs::remove_dir_all(&half)?;
    } else {
        fs::rename(&half, &folder)?;
    }
    Ok(folder)
}

fn build(folder: &Path) -> Result<()> {
    println!("building Kubernetes from its Go modules: about ten minutes on two processors, once");
    let start = Instant::now();
    for (number, (name, package)) in PROGRAMS.iter().enumerate() {
        println!("[{}/{}] {name} …", number + 1, PROGRAMS.len());
        let begin = Instant::now();
        let mut go = command("go");
        go.args(FLAGS)
            .arg(format!("-ldflags={}", linker_flags()?))
            .arg("-o")
            .arg(folder.join(name))
            .arg(package)
            .current_dir(root().join(MODULE))
            // A person's own settings must not change what is built.
            .env("GOFLAGS", "-mod=readonly")
            .env("GOWORK", "off");
        if *name == STATIC {
            go.env("CGO_ENABLED", "0");
        }
        output(&mut go)?;
        println!(
            "[{}/{}] {name}, {}",
            number + 1,
            PROGRAMS.len(),
            seconds(begin.elapsed())
        );
    }
    println!("Kubernetes is built, {}", seconds(start.elapsed()));
    Ok(())
}

/// Without them the programs call themselves v0.0.0, and charts that ask for a version refuse them.
fn linker_flags() -> Result<String> {
    let path = root().join(MODULE).join("go.mod");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let version = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
        .and_then(|rest| rest.split(' ').next())
        .with_context(|| format!("{} names no version of k8s.io/kubernetes", path.display()))?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
    let mut flags = "-s -w".to_owned();
    for package in [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
    ] {
        write!(
            flags,
            " -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        )?;
    }
    Ok(flags)
}

/// The cache folder for exactly these versions, sources and flags, and this compiler.
fn folder() -> Result<PathBuf> {
    let module = root().join(MODULE);
    let mut key = output(command("go").arg("version").env("GOTOOLCHAIN", "local"))?;
    write!(key, "{PROGRAMS:?}{FLAGS:?}{}", linker_flags()?)?;
    for file in ["go.mod", "go.sum", "coredns/main.go", "pause/main.go"] {
        let path = module.join(file);
        key += &fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(cache()?.join(format!("kubernetes-{:016x}", fingerprint(&key))))
}

/// FNV-1a: the key tells versions apart, and nobody gains by forging it.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_folder() {
        assert_ne!(
            fingerprint("k8s.io/kubernetes v1.34.4"),
            fingerprint("k8s.io/kubernetes v1.34.5")
        );
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
    }

    #[test]
    fn everything_that_is_built_is_of_the_module() {
        let module = fs::read_to_string(root().join(MODULE).join("go.mod")).expect("go.mod");
        for (name, package) in PROGRAMS {
            let local = package
                .strip_prefix("./")
                .map(|folder| root().join(MODULE).join(folder));
            assert!(
                module.contains(package) || local.is_some_and(|folder| folder.is_dir()),
                "{name}: {package}"
            );
        }
    }
}
