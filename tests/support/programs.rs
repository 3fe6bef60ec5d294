//! Where the programs and the downloads are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The program `tandem` as cargo built it for these tests.
pub(crate) fn tandem() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tandem"))
}

/// The program `tandem-broker`: `$TANDEM_BROKER`, else the one that cargo puts beside `tandem`.
pub(crate) fn tandem_broker() -> PathBuf {
    let path = env::var_os("TANDEM_BROKER")
        .map_or_else(|| tandem().with_file_name("tandem-broker"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo xtask test`",
        path.display()
    );
    path
}

/// The program `bench`, which cargo puts beside `tandem`.
pub(crate) fn bench() -> PathBuf {
    let path = tandem().with_file_name("bench");
    assert!(
        path.is_file(),
        "{} is not built: run `cargo xtask test`",
        path.display()
    );
    path
}

/// The program `cluster`, which cargo puts beside `tandem`.
pub(crate) fn cluster() -> PathBuf {
    let path = tandem().with_file_name("cluster");
    assert!(
        path.is_file(),
        "{} is not built: run `cargo xtask test`",
        path.display()
    );
    path
}

/// The class path of the bench's JMS client.
pub(crate) fn bench_class_path() -> String {
    env::var("TANDEM_BENCH_CLASS_PATH")
        .expect("`cargo xtask test` compiles the client and says where it is")
}

/// The home folder of the real Artemis distribution.
pub(crate) fn artemis_home() -> PathBuf {
    downloaded("apache-artemis-2.44.0")
}

/// The Maven repository with everything the worksheet's clients need.
pub(crate) fn maven_repository() -> PathBuf {
    downloaded("m2")
}

/// The programs of Kubernetes: the API server, kubectl.
pub(crate) fn kubernetes() -> PathBuf {
    let path = env::var_os("TANDEM_KUBERNETES").map(PathBuf::from);
    let path = path.expect("`cargo xtask test` builds Kubernetes and says where its programs are");
    assert!(
        path.join("kube-apiserver").is_file(),
        "{} has no kube-apiserver",
        path.display()
    );
    path
}

/// The repository's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How many times a fault loop goes round: `full` times under `cargo xtask test --full`.
pub(crate) fn rounds(usual: u32, full: u32) -> u32 {
    if env::var_os("TANDEM_TEST_FULL").is_some() {
        full
    } else {
        usual
    }
}

/// Prints the ends of all logs in a test's folder, for a test that is about to be ended from outside.
pub(crate) fn say_where_it_hangs(folder: &Path) {
    let mut logs: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "out"))
        .collect();
    logs.sort();
    for log in logs {
        super::process::print_tail(&log);
    }
}

/// The cache folder has the same rule in `xtask`, which fills it.
fn downloaded(name: &str) -> PathBuf {
    let cache = env::var_os("TANDEM_CACHE")
        .filter(|folder| !folder.is_empty())
        .map_or_else(
            || PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache/tandem"),
            PathBuf::from,
        );
    let path = cache.join(name);
    assert!(
        path.is_dir(),
        "{} is not there: run `cargo xtask test`",
        path.display()
    );
    path
}
