//! Says at the start, in one block, what this machine lacks for the full test. Missing is a failure, never a skip.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{command, output, run};

/// The oldest Java that the clients and real Artemis run on.
const OLDEST_JAVA: u32 = 17;

/// The oldest Go that the modules of Kubernetes accept.
const OLDEST_GO: (u32, u32) = (1, 24);

/// One thing that the full test needs.
struct Need {
    what: &'static str,
    /// The Debian package that brings it; none where no package helps.
    package: Option<&'static str>,
    met: fn() -> bool,
}

const NEEDS: [Need; 8] = [
    Need {
        what: "Java 17 or later with its compiler (javac): the JMS clients and real Artemis",
        package: Some("openjdk-17-jdk-headless"),
        met: java,
    },
    Need {
        what: "Maven (mvn): builds and runs the worksheet's clients",
        package: Some("maven"),
        met: || works(&["mvn", "--version"]),
    },
    Need {
        what: "unshare: a network of its own for each test",
        package: Some("util-linux"),
        met: || works(&["unshare", "--version"]),
    },
    Need {
        what: "ip and ss: bring up the loopback interface in there, reset connections",
        package: Some("iproute2"),
        met: || works(&["ip", "-Version"]) && works(&["ss", "-V"]),
    },
    Need {
        what: "nft: cuts the link between two brokers in there",
        package: Some("nftables"),
        met: || works(&["nft", "--version"]),
    },
    Need {
        what: "strace: lets a broker's fsync fail or hang",
        package: Some("strace"),
        met: || works(&["strace", "--version"]),
    },
    Need {
        what: "sha256sum and tar: check and unpack downloads",
        package: Some("coreutils tar"),
        met: || works(&["sha256sum", "--version"]) && works(&["tar", "--version"]),
    },
    Need {
        what: "network namespaces: run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
               and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)",
        package: None,
        // Without the two programs above there is nothing to try it with, and they are named already.
        met: || !works(&["unshare", "--version"]) || !works(&["ip", "-Version"]) || namespaces(),
    },
];

/// What the tests on Kubernetes need beside.
const CLUSTER_NEEDS: [Need; 9] = [
    Need {
        what: "root: containerd and the kubelet mount file systems and make control groups",
        package: None,
        met: is_root,
    },
    Need {
        what: "Go 1.24 or later (https://go.dev/dl): builds Kubernetes",
        package: None,
        met: go,
    },
    Need {
        what: "containerd and ctr: run the containers of both nodes",
        package: Some("containerd"),
        met: || works(&["containerd", "--version"]) && works(&["ctr", "--version"]),
    },
    Need {
        what: "runc: starts them",
        package: Some("runc"),
        met: || works(&["runc", "--version"]),
    },
    Need {
        what: "etcd: keeps the API server's objects",
        package: Some("etcd-server"),
        met: || works(&["etcd", "--version"]),
    },
    Need {
        what: "network plugins in /usr/lib/cni: give pods their network",
        package: Some("containernetworking-plugins"),
        met: || Path::new("/usr/lib/cni/bridge").is_file(),
    },
    Need {
        what: "conntrack: what kube-proxy forgets connections with",
        package: Some("conntrack"),
        met: || works(&["conntrack", "--version"]),
    },
    Need {
        what: "openssl: makes the certificates of the API server",
        package: Some("openssl"),
        met: || works(&["openssl", "version"]),
    },
    Need {
        what: "nft, nsenter and setpriv: networks of nodes, cut and whole",
        package: Some("nftables util-linux"),
        met: || {
            works(&["nft", "--version"])
                && works(&["nsenter", "--version"])
                && works(&["setpriv", "--version"])
        },
    },
];

/// Checks what the full test needs, without the tests on Kubernetes if they are left out.
pub(crate) fn preflight(with_cluster: bool) -> Result<()> {
    let mut needs: Vec<&Need> = NEEDS.iter().collect();
    if with_cluster {
        needs.extend(&CLUSTER_NEEDS);
    }
    meet(&needs)?;
    println!("Java, Maven, nft and network namespaces are here");
    if with_cluster {
        println!("Go, containerd, etcd and what else Kubernetes needs are here");
    }
    Ok(())
}

/// Checks what the tests' cluster needs.
pub(crate) fn for_cluster() -> Result<()> {
    meet(&CLUSTER_NEEDS.iter().collect::<Vec<_>>())
}

/// Checks all needs. With `CI=true` and as root it installs what Debian packages can bring.
fn meet(needs: &[&'static Need]) -> Result<()> {
    let mut missing = missing(needs);
    let packages = packages(&missing);
    if !packages.is_empty() && env::var("CI").is_ok_and(|ci| ci == "true") && is_root() {
        println!("CI=true: installing {}", packages.join(" "));
        run(command("apt-get").args(["update", "-q"]))?;
        run(command("apt-get")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive"))?;
        missing = self::missing(needs);
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("{}", explain(&missing));
}

fn missing(needs: &[&'static Need]) -> Vec<&'static Need> {
    let needs = needs.iter().copied();
    needs.filter(|need| !(need.met)()).collect()
}

fn packages(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing
        .iter()
        .filter_map(|need| need.package)
        .flat_map(str::split_whitespace)
        .collect();
    let mut seen = BTreeSet::new();
    packages.retain(|package| seen.insert(*package));
    packages
}

fn explain(missing: &[&Need]) -> String {
    let mut text = String::from("the full test needs what is not here:\n");
    for need in missing {
        text.push_str("  - ");
        text.push_str(need.what);
        text.push('\n');
    }
    let packages = packages(missing);
    if !packages.is_empty() {
        text.push_str("On Debian or Ubuntu:\n  sudo apt-get install ");
        text.push_str(&packages.join(" "));
        text.push('\n');
    }
    text.push_str(
        "Without Kubernetes, `cargo xtask test --without-cluster` runs everything else; \
         `--quick` runs the Rust tests alone.",
    );
    text
}

fn works(words: &[&str]) -> bool {
    output(command(words[0]).args(&words[1..])).is_ok()
}

fn java() -> bool {
    let version = |program: &str| {
        let output = Command::new(program).arg("-version").output().ok()?;
        // Java says its version on standard error.
        let text = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        java_version(&text)
    };
    [version("java"), version("javac")]
        .iter()
        .all(|version| version.is_some_and(|version| version >= OLDEST_JAVA))
}

/// Whether a Go is here that builds Kubernetes, or fetches one that does.
fn go() -> bool {
    output(command("go").arg("version")).is_ok_and(|text| go_version(&text) >= Some(OLDEST_GO))
}

/// Two numbers of `go version go1.26.8 linux/amd64`.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split("go version go").nth(1)?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The first number in `openjdk version "17.0.15" …` or `javac 17.0.15`; Java 8 called itself 1.8.
fn java_version(text: &str) -> Option<u32> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = text[start..].split(|c: char| !c.is_ascii_digit());
    let first: u32 = numbers.next()?.parse().ok()?;
    if first == 1 {
        numbers.next()?.parse().ok()
    } else {
        Some(first)
    }
}

fn is_root() -> bool {
    output(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn namespaces() -> bool {
    let kind: &[&str] = if is_root() { &[] } else { &["--map-root-user"] };
    let inside = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    output(
        command("unshare")
            .args(kind)
            .args(inside)
            .args(["ip", "link", "set", "lo", "up"]),
    )
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_old_and_new() {
        assert_eq!(
            java_version("openjdk version \"17.0.15\" 2025-04-15"),
            Some(17)
        );
        assert_eq!(java_version("openjdk version \"1.8.0_412\""), Some(8));
        assert_eq!(java_version("javac 21"), Some(21));
        assert_eq!(java_version("command not found"), None);
    }

    #[test]
    fn go_versions() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(
            go_version("go version go1.24rc1 linux/amd64"),
            Some((1, 24))
        );
        assert_eq!(go_version("command not found"), None);
    }

    #[test]
    fn everything_missing_is_named_once_with_its_install_line() {
        let all: Vec<&Need> = NEEDS.iter().chain(&CLUSTER_NEEDS).collect();
        let text = explain(&all);
        assert!(text.contains(
            "apt-get install openjdk-17-jdk-headless maven util-linux iproute2 nftables strace coreutils tar \
             containerd runc etcd-server containernetworking-plugins conntrack openssl\n"
        ));
        assert!(text.contains("network namespaces"));
        assert!(text.contains("--quick") && text.contains("--without-cluster"));
        assert!(text.contains("Go 1.24 or later"));
    }
}
