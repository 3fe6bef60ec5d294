//! Gives each test a network and a process tree of its own.
//!
//! A test starts its own program again under `unshare`: with an empty network, so that every test may use port 61616, and
//! as the first process of a new process namespace, so that nothing survives it. Root is used where we are root, else a
//! user namespace.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::programs;

/// Tells the second start which test it is for.
const INSIDE: &str = "TANDEM_TEST_INSIDE";
/// The folder that the test may fill.
const FOLDER: &str = "TANDEM_TEST_FOLDER";
/// Written into the folder by the second start: a wrong test name must not pass for a test that ran.
const RAN: &str = "ran";

/// Runs `test` in its own network, with an empty folder, for at most `limit`. `name` is the test's path in this program.
pub(crate) fn in_own_network(name: &str, limit: Duration, test: impl FnOnce(&Path)) {
    if let Some(folder) = inside(name) {
        run("ip", &["link", "set", "lo", "up"]);
        test(&folder);
        return;
    }

    let folder = tempfile::Builder::new()
        .prefix("tandem-")
        .tempdir()
        .expect("a temporary folder");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(this_program());
    start_again(command, name, folder.path(), limit);
}

/// The folder of the test of this name, in its second start.
pub(crate) fn inside(name: &str) -> Option<PathBuf> {
    if env::var(INSIDE).is_ok_and(|inside| inside == name) {
        let folder = PathBuf::from(env::var_os(FOLDER).expect("the outer test names the folder"));
        fs::write(folder.join(RAN), "").expect("the outer test made the folder");
        return Some(folder);
    }
    None
}

/// The path of this program.
pub(crate) fn this_program() -> PathBuf {
    env::current_exe().expect("the path of this program")
}

/// Starts this program for the test of this name by a command that ends with its path, and waits for the test's end.
pub(crate) fn start_again(mut command: Command, name: &str, folder: &Path, limit: Duration) {
    let mut outer = command
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, name)
        .env(FOLDER, folder)
        .spawn()
        .expect("unshare and setpriv are here: cargo xtask test checks it");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = outer.try_wait().expect("our own child") {
            break status;
        }
        if start.elapsed() > limit {
            programs::say_where_it_hangs(folder);
            outer.kill().expect("our own child");
            outer.wait().expect("our own child");
            panic!("{name} took longer than {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(
        status.success(),
        "{name} failed inside its network: {status}"
    );
    assert!(
        folder.join(RAN).exists(),
        "there is no test named {name} in this program"
    );
}

#[test]
#[should_panic(expected = "there is no test named")]
fn a_wrong_name_does_not_pass_for_a_test_that_ran() {
    in_own_network("no::such::test", Duration::from_secs(30), |_| ());
}

/// Lets multicast run over the loopback interface, which real Artemis needs to discover its peer.
pub(crate) fn route_multicast() {
    run("ip", &["route", "add", "224.0.0.0/4", "dev", "lo"]);
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("iproute2 is here");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}
