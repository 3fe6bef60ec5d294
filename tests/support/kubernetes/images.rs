//! Images of the programs under test and of the JMS clients.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cluster::image::Image;

use crate::support::process::run;
use crate::support::programs;

pub(crate) const BROKER: &str = "tandem.test/tandem-broker:1";
pub(crate) const CLIENT: &str = "tandem.test/jms-client:1";

const JLINK_LIMIT: Duration = Duration::from_mins(3);
/// Every other library of Java is linked with these, and with what these are linked with.
const JAVA_PROGRAMS: [&str; 2] = ["bin/java", "lib/server/libjvm.so"];

/// The broker, as cargo built it.
pub(crate) fn broker() -> Image {
    let program = programs::tandem_broker();
    let image = Image::new(BROKER, &["/usr/bin/tandem-broker"]);
    or_panic(image.program(&program, "/usr/bin/tandem-broker"))
}

/// The JMS clients of the bench, with a Java of their own.
pub(crate) fn client() -> Image {
    let java = java();
    let mut class_path = Vec::new();
    let mut image = Image::new(CLIENT, &[]).file(&java, "/java");
    for (number, part) in env::split_paths(&programs::bench_class_path()).enumerate() {
        let name = part
            .file_name()
            .expect("a file or a folder")
            .to_string_lossy();
        let to = format!("/client/{number}-{name}");
        image = image.file(&part, &to);
        class_path.push(to);
    }
    let files = JAVA_PROGRAMS.map(|file| java.join(file));
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let class_path = class_path.join(":");
    or_panic(image.libraries_of(&files)).entry_point(&[
        "/java/bin/java",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-cp",
        &class_path,
        "dev.tandem.bench.Main",
    ])
}

/// A Java that needs nothing of this machine but C libraries: made of its modules once, and kept beside the tests.
fn java() -> PathBuf {
    let version = run(Command::new("java").arg("--version"), JLINK_LIMIT);
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let version: String = version
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("java-{version}"));
    if folder.is_dir() {
        return folder;
    }
    let half = folder.with_extension(std::process::id().to_string());
    let mut jlink = Command::new("jlink");
    jlink
        .args(["--add-modules", "java.se,jdk.unsupported", "--strip-debug"])
        .args(["--no-header-files", "--no-man-pages", "--output"])
        .arg(&half);
    let output = run(&mut jlink, JLINK_LIMIT);
    assert!(output.status.success(), "jlink: {output:?}");
    fs::rename(&half, &folder).expect("both are in one folder");
    folder
}

fn or_panic<T>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}
