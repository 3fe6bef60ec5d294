//! Against the yardstick: the real `artemis` command line with our broker, real Artemis with our `broker.xml`, our broker with
//! real Artemis' instance.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::instance::{
    BACKUP_PORT, CREATE_BACKUP, CREATE_PRIMARY, Instance, PRIMARY_PORT, type_line,
};
use crate::support::namespace::{in_own_network, route_multicast};
use crate::support::process::{self, Running};
use crate::support::programs;

const LIMIT: Duration = Duration::from_mins(4);

/// A Java program on a busy machine.
const JAVA_LIMIT: Duration = Duration::from_mins(1);

const MESSAGES: u32 = 200;

/// What real Artemis gets from us.
const COPIED: [&str; 3] = [
    "etc/broker.xml",
    "etc/artemis-users.properties",
    "etc/artemis-roles.properties",
];

#[test]
fn the_real_command_line_works_with_our_broker() {
    in_own_network(
        "artemis::the_real_command_line_works_with_our_broker",
        LIMIT,
        |folder| {
            let (live, backup) = Instance::worksheet_pair(folder);
            let mut primary = live.run();
            primary.wait_for_text("AMQ221007", JAVA_LIMIT);
            let mut standby = backup.run();
            standby.wait_for_text("AMQ221109", JAVA_LIMIT);

            AT_PRIMARY.run("producer", MESSAGES, "Produced: 200 messages");
            AT_PRIMARY.run("browser", MESSAGES, "browsed: 200 messages");
            AT_PRIMARY.run("consumer", MESSAGES / 2, "Consumed: 100 messages");
            primary.kill();
            standby.wait_for_text("AMQ221010", JAVA_LIMIT);
            AT_BACKUP.run("browser", MESSAGES / 2, "browsed: 100 messages");
            AT_BACKUP.run("consumer", MESSAGES / 2, "Consumed: 100 messages");
        },
    );
}

#[test]
fn real_artemis_runs_with_our_broker_xml() {
    in_own_network(
        "artemis::real_artemis_runs_with_our_broker_xml",
        LIMIT,
        |folder| {
            route_multicast();
            let ours = subfolder(folder, "ours");
            let (our_live, our_backup) = Instance::worksheet_pair(&ours);
            let (live, backup) = real_pair(folder);
            for (ours, real) in [(&our_live, &live), (&our_backup, &backup)] {
                for file in [
                    "broker.xml",
                    "artemis-users.properties",
                    "artemis-roles.properties",
                ] {
                    let file = format!("etc/{file}");
                    fs::copy(ours.file(&file), real.file(&file))
                        .expect("both instances have the file");
                }
            }
            survives_a_kill("password", || live.run(), || backup.run());
        },
    );
}

#[test]
fn real_artemis_runs_with_a_rendered_broker_xml() {
    in_own_network(
        "artemis::real_artemis_runs_with_a_rendered_broker_xml",
        LIMIT,
        |folder| {
            // The smallest manifest and the one with every field.
            for (manifest, password) in [
                ("shared-store.yaml", "password"),
                ("complete-shared-store.yaml", "admin-password"),
            ] {
                let folder = subfolder(folder, manifest);
                let rendered = render(&folder, manifest);
                let (live, backup) = real_pair(&folder);
                for (real, side) in [(&live, "primary"), (&backup, "backup")] {
                    for file in COPIED {
                        fs::copy(rendered.join(side).join(file), real.file(file))
                            .unwrap_or_else(|error| panic!("{side}/{file}: {error}"));
                    }
                }
                survives_a_kill(password, || live.run(), || backup.run());
            }
        },
    );
}

#[test]
fn our_broker_runs_an_instance_of_real_artemis() {
    in_own_network(
        "artemis::our_broker_runs_an_instance_of_real_artemis",
        LIMIT,
        |folder| {
            let (live, backup) = real_pair(folder);
            live.add_example_queue();
            backup.add_example_queue();
            // Real Artemis makes no pair record, so a person says that this is a new pair.
            let refused = process::run(&mut run_ours(&live), Duration::from_secs(20));
            let said = String::from_utf8_lossy(&refused.stderr).into_owned()
                + &String::from_utf8_lossy(&refused.stdout);
            assert!(
                !refused.status.success(),
                "without a pair record it must not start"
            );
            assert!(
                said.contains("tandem-broker pair init"),
                "it must say what to do:\n{said}"
            );
            type_line(
                folder,
                &format!("tandem-broker pair init {}", live.file("").display()),
            );

            survives_a_kill(
                "password",
                || Running::start(&live.name(), &mut run_ours(&live), folder),
                || Running::start(&backup.name(), &mut run_ours(&backup), folder),
            );
        },
    );
}

/// Starts both sides, sends, kills the primary, and receives everything from the backup.
fn survives_a_kill(
    password: &str,
    primary: impl FnOnce() -> Running,
    backup: impl FnOnce() -> Running,
) {
    let mut primary = primary();
    primary.wait_for_text("AMQ221007", JAVA_LIMIT);
    let mut backup = backup();
    backup.wait_for_text("AMQ221031", JAVA_LIMIT);
    Client {
        password,
        ..AT_PRIMARY
    }
    .run("producer", MESSAGES, "Produced: 200 messages");
    primary.kill();
    backup.wait_for_text("AMQ221010", JAVA_LIMIT);
    Client {
        password,
        ..AT_BACKUP
    }
    .run("consumer", MESSAGES, "Consumed: 200 messages");
}

/// The worksheet's pair as real Artemis creates it; it refuses the lone `y`.
fn real_pair(folder: &Path) -> (Instance, Instance) {
    let real = subfolder(folder, "real");
    for line in [CREATE_PRIMARY, CREATE_BACKUP] {
        let line = line.replace("--allow-anonymous y", "--allow-anonymous");
        let words = line.split_whitespace().skip(1);
        let created = process::run(artemis().args(words).current_dir(&real), JAVA_LIMIT);
        assert!(created.status.success(), "{line}: {created:?}");
    }
    (
        Instance::at(real.join("liveBroker")),
        Instance::at(real.join("backupBroker")),
    )
}

/// The folder with both sides' instances as `tandem local` renders them. The pair is run for a moment, with our brokers.
fn render(folder: &Path, manifest: &str) -> PathBuf {
    let state = folder.join("state");
    let mut command = Command::new(programs::tandem());
    command
        .args(["local", "run"])
        .arg(programs::root().join("examples").join(manifest))
        .arg("--dir")
        .arg(&state)
        .env("TANDEM_BROKER", programs::tandem_broker());
    let mut terminal = Running::start("run", &mut command, folder);
    terminal.wait_for_text("Ready", Duration::from_secs(30));
    terminal.signal(Signal::SIGINT);
    assert!(terminal.wait(Duration::from_secs(30)).success());
    state
}

/// `tandem-broker run` with an instance whose scripts start Java.
fn run_ours(instance: &Instance) -> Command {
    let mut command = Command::new(programs::tandem_broker());
    command.arg("run").arg("--instance").arg(instance.file(""));
    command
}

/// The clients of the `artemis` command line, with the queue of the worksheet.
struct Client<'a> {
    port: u16,
    password: &'a str,
}

const AT_PRIMARY: Client<'_> = Client {
    port: PRIMARY_PORT,
    password: "password",
};
const AT_BACKUP: Client<'_> = Client {
    port: BACKUP_PORT,
    password: "password",
};

impl Client<'_> {
    /// Runs one of them to its end; it must say what is expected.
    fn run(&self, kind: &str, messages: u32, expected: &str) {
        let mut command = artemis();
        command
            .arg(kind)
            .args(["--url", &format!("tcp://127.0.0.1:{}", self.port)])
            .args(["--user", "admin", "--password", self.password])
            .args(["--destination", "queue://exampleQueue"])
            .args(["--message-count", &messages.to_string()]);
        // Without it a consumer that misses a message waits for ever.
        if kind == "consumer" {
            command.args(["--receive-timeout", "10000"]);
        }
        let ended = process::run(&mut command, JAVA_LIMIT);
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains(expected),
            "artemis {kind} must say {expected:?}, but said:\n{said}\n{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}

fn artemis() -> Command {
    Command::new(programs::artemis_home().join("bin/artemis"))
}

fn subfolder(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir(&path).expect("a new folder");
    path
}
