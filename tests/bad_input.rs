//! Wrong input: each ends at once, with an exit status and a message that names the place and what to do.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use core_client::{Client, ClientOptions, Endpoint, SessionMode};

use crate::support::instance::{CREATE_BACKUP, CREATE_PRIMARY, Instance, shell, type_line};
use crate::support::namespace::in_own_network;
use crate::support::process;
use crate::support::programs;

/// Longer than any refusal takes.
const REFUSAL_LIMIT: Duration = Duration::from_secs(20);
const START_LIMIT: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn wrong_elements_of_broker_xml_are_named_with_their_line() {
    in_own_network(
        "bad_input::wrong_elements_of_broker_xml_are_named_with_their_line",
        LIMIT,
        |folder| {
            let live = primary(folder);
            let good = fs::read_to_string(live.file("etc/broker.xml")).expect("just created");
            for (wrong, phrases) in [
                (
                    "<no-such-element>1</no-such-element>",
                    vec!["no-such-element", "unknown"],
                ),
                (
                    "<journal-min-files>two</journal-min-files>",
                    vec!["journal-min-files", "two"],
                ),
                (
                    "<persistence-enabled>maybe</persistence-enabled>",
                    vec!["persistence-enabled", "maybe"],
                ),
            ] {
                // Placed on the line of the name, so that the line of the message is known.
                let element = wrong.split(['<', '>']).nth(1).expect("an element");
                let mut text: Vec<String> = good
                    .lines()
                    .filter(|line| !line.contains(&format!("<{element}>")))
                    .map(str::to_owned)
                    .collect();
                let at = text
                    .iter()
                    .position(|line| line.contains("<name>"))
                    .expect("a name");
                text[at].push_str(wrong);
                fs::write(live.file("etc/broker.xml"), text.join("\n")).expect("our own file");
                refused(&run(&live), 1, &[&format!("broker.xml:{}", at + 1)], wrong);
                refused(&run(&live), 1, &phrases, wrong);
            }
            fs::write(live.file("etc/broker.xml"), "<configuration><core>").expect("our own file");
            refused(&run(&live), 1, &["broker.xml"], "half a file");
        },
    );
}

#[test]
fn ports_in_use_are_named() {
    in_own_network("bad_input::ports_in_use_are_named", LIMIT, |folder| {
        let live = primary(folder);
        let taken = TcpListener::bind("127.0.0.1:8161").expect("an empty network");
        refused(
            &run(&live),
            2,
            &["8161", "in use"],
            "the HTTP port is taken",
        );
        drop(taken);
        let taken = TcpListener::bind("127.0.0.1:61615").expect("an empty network");
        refused(
            &run(&live),
            2,
            &["61615", "link.port", "in use"],
            "the link's port is taken",
        );
        drop(taken);
        // A side that could serve but for its port says so and goes on trying: the pair may have nobody else.
        let taken = TcpListener::bind("127.0.0.1:61616").expect("an empty network");
        let mut broker = live.run();
        broker.wait_for_text("port 61616 on 127.0.0.1", START_LIMIT);
        assert!(
            broker.text().contains("in use by another process"),
            "{}",
            broker.text()
        );
        assert!(
            !broker.text().contains("AMQ221007"),
            "it cannot serve:\n{}",
            broker.text()
        );
        drop(taken);
        broker.wait_for_text("AMQ221007", START_LIMIT);
    });
}

#[test]
fn a_broker_that_runs_already_is_named() {
    in_own_network(
        "bad_input::a_broker_that_runs_already_is_named",
        LIMIT,
        |folder| {
            let live = primary(folder);
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);
            refused(
                &run(&live),
                2,
                &["liveBroker", "already"],
                "a second run of the same instance",
            );
            assert!(broker.is_running(), "the first run must not notice");
        },
    );
}

#[test]
fn create_refuses_what_it_cannot_do() {
    in_own_network(
        "bad_input::create_refuses_what_it_cannot_do",
        LIMIT,
        |folder| {
            type_line(folder, CREATE_PRIMARY);
            refused(
                &shell(folder, CREATE_PRIMARY),
                2,
                &["liveBroker", "exists already", "--force"],
                "an existing instance",
            );
            refused(
                &shell(
                    folder,
                    &CREATE_BACKUP.replace("--max-hops 1", "--max-hopps 1"),
                ),
                1,
                &["--max-hopps"],
                "an unknown option",
            );
            refused(
                &shell(
                    folder,
                    &CREATE_BACKUP.replace("--port-offset 100", "--port-offset many"),
                ),
                1,
                &["--port-offset", "many"],
                "a wrong value",
            );

            // Root may write everywhere, except where nobody can.
            let locked = folder.join("locked");
            fs::create_dir(&locked).expect("a new folder");
            type_line(folder, "mount -t tmpfs -o ro tmpfs locked");
            let refusal = shell(&locked, CREATE_PRIMARY);
            refused(
                &refusal,
                2,
                &["liveBroker", "Read-only file system"],
                "a folder that cannot be written",
            );

            fs::write(folder.join("a-file"), "").expect("a new file");
            let refusal = shell(
                folder,
                &CREATE_PRIMARY.replace("liveBroker", "a-file/liveBroker"),
            );
            refused(&refusal, 2, &["a-file"], "a folder inside a file");
        },
    );
}

#[test]
fn a_store_without_pair_record_is_not_a_new_pair() {
    in_own_network(
        "bad_input::a_store_without_pair_record_is_not_a_new_pair",
        LIMIT,
        |folder| {
            let live = primary(folder);
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);
            broker.kill();
            fs::remove_dir_all(live.file("data")).expect("our own data");
            let refusal = process::run(&mut command(&live), REFUSAL_LIMIT);
            let said = said(&refusal);
            assert!(
                !refusal.status.success(),
                "an empty store may be one that is not mounted:\n{said}"
            );
            assert!(
                said.contains("mounted") && said.contains("tandem-broker pair init"),
                "{said}"
            );

            type_line(folder, "tandem-broker pair init liveBroker");
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);
            assert!(type_line(folder, "tandem-broker pair show liveBroker").contains("Epoch"));
        },
    );
}

/// Name of the file, what of the example is replaced, by what, and what the message must say.
type WrongManifest = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const WRONG_MANIFESTS: [WrongManifest; 5] = [
    (
        "field",
        "spec:",
        "spec:\n  storrage: {size: 1Gi}",
        &["spec.storrage", "storage"],
    ),
    (
        "value",
        "mode: SharedStore",
        "mode: Sharded",
        &["spec.ha.mode", "Sharded", "SharedStore"],
    ),
    (
        "type",
        "mode: SharedStore",
        "mode: [SharedStore]",
        &["spec.ha.mode"],
    ),
    (
        "time",
        "minStable: 1s",
        "minStable: soon",
        &["minStable", "soon"],
    ),
    (
        "kind",
        "kind: BrokerPair",
        "kind: BrokerPear",
        &["BrokerPear"],
    ),
];

#[test]
fn manifests_are_refused_with_line_and_field() {
    in_own_network(
        "bad_input::manifests_are_refused_with_line_and_field",
        LIMIT,
        |folder| {
            let good = fs::read_to_string(programs::root().join("examples/shared-store.yaml"))
                .expect("the example");
            for (name, from, to, phrases) in WRONG_MANIFESTS {
                assert!(good.contains(from), "the example says {from:?}");
                let path = folder.join(format!("{name}.yaml"));
                let text = good.replacen(from, to, 1);
                let wrong_line = to.lines().last().expect("a line");
                let line = 1 + text
                    .lines()
                    .position(|line| line.contains(wrong_line.trim()))
                    .expect("just put there");
                fs::write(&path, text).expect("a new file");
                let refusal = tandem(&["local", "run"], &path, folder);
                let place = format!("{name}.yaml:{line}");
                refused(&refusal, 1, &[&place], to);
                refused(&refusal, 1, phrases, to);
            }
            refused(
                &tandem(&["local", "run"], &folder.join("none.yaml"), folder),
                1,
                &["none.yaml"],
                "no file",
            );
        },
    );
}

#[test]
fn what_this_machine_lacks_for_a_pair_is_named() {
    in_own_network(
        "bad_input::what_this_machine_lacks_for_a_pair_is_named",
        LIMIT,
        |folder| {
            let manifest = programs::root().join("examples/shared-store.yaml");

            let taken = TcpListener::bind("127.0.0.1:61716").expect("an empty network");
            let refusal = tandem(&["local", "run"], &manifest, folder);
            refused(
                &refusal,
                3,
                &["61716", "in use", "--port-offset"],
                "the backup's port is taken",
            );
            drop(taken);

            let mut command = run_in(folder, "state");
            command.env("TANDEM_BROKER", folder.join("no-broker"));
            let refusal = process::run(&mut command, REFUSAL_LIMIT);
            refused(
                &refusal,
                3,
                &["$TANDEM_BROKER", "no-broker"],
                "no broker program",
            );

            fs::write(folder.join("a-file"), "").expect("a new file");
            let refusal = process::run(&mut run_in(folder, "a-file/state"), REFUSAL_LIMIT);
            refused(
                &refusal,
                3,
                &["a-file/state", "--dir"],
                "a folder inside a file",
            );

            let mut command = Command::new(programs::tandem());
            command
                .args(["local", "status", "--dir"])
                .arg(folder.join("nowhere"));
            let refusal = process::run(&mut command, REFUSAL_LIMIT);
            refused(
                &refusal,
                1,
                &["nowhere", "tandem local run"],
                "no pair runs there",
            );
        },
    );
}

#[test]
fn a_port_that_is_not_a_brokers_and_a_client_that_is_not_one() {
    in_own_network(
        "bad_input::a_port_that_is_not_a_brokers_and_a_client_that_is_not_one",
        LIMIT,
        |folder| {
            let live = primary(folder);
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);

            // A CORE client at an HTTP port.
            let refusal =
                connect(8161, "admin", "password").expect_err("the HTTP port speaks no CORE");
            assert!(refusal.contains("127.0.0.1:8161"), "{refusal}");

            // An HTTP client at a CORE port, and one that says nothing.
            let silent = TcpStream::connect("127.0.0.1:61616").expect("an open port");
            let mut http = TcpStream::connect("127.0.0.1:61616").expect("an open port");
            http.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .expect("an open connection");
            http.set_read_timeout(Some(REFUSAL_LIMIT))
                .expect("a timeout");
            let mut answer = Vec::new();
            // Closed or reset: either way it is over, and soon.
            let _ = http.read_to_end(&mut answer);
            assert!(answer.is_empty(), "{answer:?}");

            let refusal = connect(61616, "admin", "wrong")
                .expect_err("a wrong password, although anonymous is allowed");
            assert!(refusal.contains("password is wrong"), "{refusal}");
            connect(61616, "admin", "password").expect("the right one");
            assert!(broker.is_running());
            drop(silent);
        },
    );
}

/// Connects and opens a session, or says why not.
fn connect(port: u16, user: &str, password: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut options =
            ClientOptions::new([Endpoint::new("127.0.0.1", port)]).with_credentials(user, password);
        options.call_timeout_ms = 3_000;
        let client = Client::connect(options)
            .await
            .map_err(|error| error.to_string())?;
        client
            .session(SessionMode::AutoAcknowledge)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
}

fn primary(folder: &Path) -> Instance {
    type_line(folder, CREATE_PRIMARY);
    Instance::at(folder.join("liveBroker"))
}

fn command(instance: &Instance) -> Command {
    let mut command = Command::new(instance.file("bin/artemis"));
    command.arg("run");
    command
}

fn run(instance: &Instance) -> Output {
    process::run(&mut command(instance), REFUSAL_LIMIT)
}

fn tandem(words: &[&str], manifest: &Path, folder: &Path) -> Output {
    let mut command = Command::new(programs::tandem());
    command
        .args(words)
        .arg(manifest)
        .env("TANDEM_BROKER", programs::tandem_broker())
        .current_dir(folder);
    process::run(&mut command, REFUSAL_LIMIT)
}

/// `tandem local run` of the example with its data in `state` below the folder.
fn run_in(folder: &Path, state: &str) -> Command {
    let mut command = Command::new(programs::tandem());
    command
        .args(["local", "run"])
        .arg(programs::root().join("examples/shared-store.yaml"))
        .arg("--dir")
        .arg(folder.join(state))
        .env("TANDEM_BROKER", programs::tandem_broker());
    command
}

fn refused(output: &Output, code: i32, phrases: &[&str], why: &str) {
    let said = said(output);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{why}: the wrong exit status\n{said}"
    );
    for phrase in phrases {
        assert!(
            said.contains(phrase),
            "{why}: the message must contain {phrase:?}\n{said}"
        );
    }
    assert!(
        !said.contains("panicked"),
        "{why}: a panic is no message\n{said}"
    );
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
