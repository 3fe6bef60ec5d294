//! Broker instances made by `create`, ours or real Artemis', and the ports they listen on.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{self, Running};
use super::programs;

/// The client port of a primary made by the worksheet's lines, and of its backup (`--port-offset 100`).
pub(crate) const PRIMARY_PORT: u16 = 61616;
pub(crate) const BACKUP_PORT: u16 = 61716;

/// The worksheet's two lines, word for word.
pub(crate) const CREATE_PRIMARY: &str = "tandem-broker create --shared-store --failover-on-shutdown --user admin --password password --role admin --allow-anonymous y --clustered --host 127.0.0.1 --cluster-user clusterUser --cluster-password clusterPassword --max-hops 1 liveBroker";
pub(crate) const CREATE_BACKUP: &str = "tandem-broker create --shared-store --failover-on-shutdown --slave --data ../liveBroker/data --user admin --password password --role admin --allow-anonymous y --clustered --host 127.0.0.1 --cluster-user clusterUser --cluster-password clusterPassword --max-hops 1 --port-offset 100 backupBroker";

/// The worksheet's two lines for a replicated pair, word for word.
pub(crate) const CREATE_REPLICATED_PRIMARY: &str = "tandem-broker create --replicated --failover-on-shutdown --user admin --password password --role admin --allow-anonymous y --clustered --host 127.0.0.1 --cluster-user clusterUser --cluster-password clusterPassword --max-hops 1 repLiveBroker";
pub(crate) const CREATE_REPLICATED_BACKUP: &str = "tandem-broker create --replicated --failover-on-shutdown --slave --user admin --password password --role admin --allow-anonymous y --clustered --host 127.0.0.1 --cluster-user clusterUser --cluster-password clusterPassword --max-hops 1 --port-offset 100 repBackupBroker";

/// What the worksheet adds to both `broker.xml`.
const EXAMPLE_QUEUE: &str =
    r#"<address name="exampleQueue"><anycast><queue name="exampleQueue"/></anycast></address>"#;

const CREATE_LIMIT: Duration = Duration::from_mins(1);

/// A broker instance: a folder with `bin/artemis` and `etc/broker.xml`.
pub(crate) struct Instance {
    folder: PathBuf,
}

impl Instance {
    /// An instance that is already there.
    pub(crate) fn at(folder: PathBuf) -> Instance {
        assert!(
            folder.join("bin/artemis").is_file(),
            "no instance in {}",
            folder.display()
        );
        Instance { folder }
    }

    /// The worksheet's pair: both lines in `folder`, and the queue in both files.
    pub(crate) fn worksheet_pair(folder: &Path) -> (Instance, Instance) {
        for line in [CREATE_PRIMARY, CREATE_BACKUP] {
            type_line(folder, line);
        }
        let pair = (
            Instance::at(folder.join("liveBroker")),
            Instance::at(folder.join("backupBroker")),
        );
        pair.0.add_example_queue();
        pair.1.add_example_queue();
        pair
    }

    /// The worksheet's replicated pair: both lines in `folder`, the queue in both files, and a folder for the pair's
    /// record that both see.
    pub(crate) fn replicated_pair(folder: &Path) -> (Instance, Instance) {
        for line in [CREATE_REPLICATED_PRIMARY, CREATE_REPLICATED_BACKUP] {
            type_line(folder, line);
        }
        let pair = (
            Instance::at(folder.join("repLiveBroker")),
            Instance::at(folder.join("repBackupBroker")),
        );
        let arbiter = folder.join("arbiter");
        for instance in [&pair.0, &pair.1] {
            instance.add_example_queue();
            fs::write(
                instance.file("etc/tandem.properties"),
                format!("arbiter=directory:{}\n", arbiter.display()),
            )
            .expect("a file of the instance");
        }
        type_line(folder, "tandem-broker pair init repLiveBroker");
        pair
    }

    /// The folder's name, which is the log's name too.
    pub(crate) fn name(&self) -> String {
        self.folder
            .file_name()
            .expect("a folder")
            .to_string_lossy()
            .into_owned()
    }

    /// The path of one of its files.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Replaces text in one of its files; it must be there.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let path = self.file(path);
        let text = fs::read_to_string(&path).expect("a file of the instance");
        assert!(
            text.contains(from),
            "{} does not contain {from:?}:\n{text}",
            path.display()
        );
        fs::write(&path, text.replacen(from, to, 1)).expect("a file of the instance");
    }

    /// Adds the worksheet's queue.
    pub(crate) fn add_example_queue(&self) {
        self.edit(
            "etc/broker.xml",
            "</addresses>",
            &format!("{EXAMPLE_QUEUE}</addresses>"),
        );
    }

    /// `DIR/bin/artemis run`, with its output in `NAME.out` beside the instance.
    pub(crate) fn run(&self) -> Running {
        self.run_with(&[])
    }

    /// The same with more in its environment.
    pub(crate) fn run_with(&self, environment: &[(&str, OsString)]) -> Running {
        let outside = self
            .folder
            .parent()
            .expect("instances are in the test's folder");
        let mut command = Command::new(self.file("bin/artemis"));
        command
            .arg("run")
            .current_dir(outside)
            .envs(environment.iter().cloned());
        Running::start(&self.name(), &mut command, outside)
    }
}

/// Types a line into a shell in `folder` in which `tandem-broker` is on the path; it must succeed.
pub(crate) fn type_line(folder: &Path, line: &str) -> String {
    let output = shell(folder, line);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{line}\n{text}{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        output.status
    );
    text
}

/// Types a line into a shell in `folder` and returns whatever comes of it.
pub(crate) fn shell(folder: &Path, line: &str) -> std::process::Output {
    let programs = programs::tandem_broker();
    let mut path = programs.parent().expect("a folder").as_os_str().to_owned();
    path.push(":");
    path.push(env::var_os("PATH").expect("PATH is set"));
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path);
    process::run(&mut command, CREATE_LIMIT)
}

/// Whether somebody accepts connections on this port of the loopback interface.
pub(crate) fn accepts(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}
