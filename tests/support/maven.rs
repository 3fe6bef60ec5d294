//! The worksheet's clients under Maven, from a copy of the project, without network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::{Received, Sent};
use super::process::Running;
use super::{programs, wait_for};

/// For anything that these clients do, with the start of Maven and Java on a busy machine.
pub(crate) const CLIENT_LIMIT: Duration = Duration::from_mins(1);

/// Acknowledgements that show that the sender really goes on.
const GOES_ON: usize = 50;

/// A copy of `examples/worksheet`, so that tests do not write into the repository.
pub(crate) struct Worksheet {
    folder: PathBuf,
    outside: PathBuf,
}

/// What a client is told on its command line.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub count: u32,
    pub interval_ms: u32,
    pub seconds: u32,
}

impl Worksheet {
    /// Copies the project into the test's folder.
    pub(crate) fn copy_to(folder: &Path) -> Worksheet {
        let copy = folder.join("worksheet");
        copy_folder(&programs::root().join("examples/worksheet"), &copy);
        Worksheet {
            folder: copy,
            outside: folder.to_owned(),
        }
    }

    /// `mvn verify -PqueueReceiver`
    pub(crate) fn receive(&self, load: Load) -> Running {
        self.start("queueReceiver", &self.receiver_log(), load)
    }

    /// `mvn verify -PqueueSender`
    pub(crate) fn send(&self, load: Load) -> Running {
        self.start("queueSender", &self.sender_log(), load)
    }

    /// Gives the clients another URL than the worksheet's.
    pub(crate) fn dial(&self, url: &str) {
        let key = "connectionFactory.ConnectionFactory=";
        let path = self.folder.join("src/main/resources/jndi.properties");
        let text = fs::read_to_string(&path).expect("a file of the project");
        assert!(text.contains(key), "{text}");
        let lines = text.lines().map(|line| {
            if line.starts_with(key) {
                format!("{key}{url}\n")
            } else {
                format!("{line}\n")
            }
        });
        fs::write(&path, lines.collect::<String>()).expect("a file of the copy");
    }

    /// Waits for more acknowledgements, and for as many messages at the receiver.
    pub(crate) fn go_on(&self, sender: &mut Running, when: &str) {
        let so_far = || {
            (
                self.sent().acknowledged.len(),
                self.received().numbers.len(),
            )
        };
        let before = so_far();
        wait_for(
            &format!("the clients going on {when}"),
            CLIENT_LIMIT,
            || {
                let after = so_far();
                assert!(
                    sender.is_running() || self.sent().ended,
                    "the sender failed {when}"
                );
                (after.0 >= before.0 + GOES_ON && after.1 >= before.1 + GOES_ON).then_some(())
            },
        );
    }

    /// What the sender has noted so far.
    pub(crate) fn sent(&self) -> Sent {
        Sent::parse(&fs::read_to_string(self.sender_log()).unwrap_or_default())
    }

    /// What the receiver has noted so far.
    pub(crate) fn received(&self) -> Received {
        Received::parse(&fs::read_to_string(self.receiver_log()).unwrap_or_default())
    }

    fn sender_log(&self) -> PathBuf {
        self.outside.join("sender.log")
    }

    fn receiver_log(&self) -> PathBuf {
        self.outside.join("receiver.log")
    }

    fn start(&self, profile: &str, log: &Path, load: Load) -> Running {
        let mut maven = Command::new("mvn");
        maven
            .args([
                "--offline",
                "--batch-mode",
                "--quiet",
                "-Dstyle.color=never",
                "verify",
            ])
            .arg(format!("-P{profile}"))
            .arg(format!(
                "-Dmaven.repo.local={}",
                programs::maven_repository().display()
            ))
            .arg(format!("-Dcount={}", load.count))
            .arg(format!("-Dinterval={}", load.interval_ms))
            .arg(format!("-Dseconds={}", load.seconds))
            .arg(format!("-Dlog={}", log.display()))
            .current_dir(&self.folder);
        Running::start(profile, &mut maven, &self.outside)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder of the repository") {
        let entry = entry.expect("a folder of the repository");
        // What an earlier build left there is not part of the project.
        if entry.file_name() == "target" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file of the repository");
        }
    }
}
