//! The way from Artemis to Tandem and back: `data export` and `data import` against real `artemis data exp` and `data imp`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use core_client::{Client, ClientOptions, Endpoint, Routing, SessionMode};
use core_protocol::message::{MessageBuilder, kind, text_body};
use nix::sys::signal::Signal;

use crate::support::instance::{Instance, PRIMARY_PORT, shell};
use crate::support::namespace::in_own_network;
use crate::support::process::{self, Running};
use crate::support::programs;

const LIMIT: Duration = Duration::from_mins(6);

/// A Java program on a busy machine.
const JAVA_LIMIT: Duration = Duration::from_mins(1);

const REAL_PORT: u16 = 62616;

/// What the client sends that lasts: 14 to the queue, one of them for later, and 4 to the topic.
const MESSAGES: &str = "18 messages";

#[test]
fn messages_move_from_artemis_and_back() {
    in_own_network(
        "data::messages_move_from_artemis_and_back",
        LIMIT,
        |folder| {
            let client = JavaClient::compile(folder);

            // Real Artemis: everything a client can send, and its own export of it.
            let real = real_instance(folder);
            let mut broker = start_real(&real);
            client.run("send", REAL_PORT);
            let sent = lasting(&client.run("browse", REAL_PORT));
            assert_eq!(sent.len(), 19, "{sent:#?}");
            stop(&mut broker);
            let exported = process::run(
                Command::new(real.file("bin/artemis")).args(["data", "exp"]),
                JAVA_LIMIT,
            );
            assert!(exported.status.success(), "{exported:?}");
            fs::write(folder.join("artemis.xml"), &exported.stdout).expect("the test's folder");

            // Into ours: the same messages with the same properties and bodies, in the same order.
            let (ours, _) = Instance::worksheet_pair(&subfolder(folder, "ours"));
            let mut broker = start_ours(&ours);
            let said = text(&import(folder, "artemis.xml", ""));
            assert!(said.contains(&format!("imported {MESSAGES}")), "{said}");
            // A second time, with what the first has told: nothing is doubled.
            let again = text(&import(folder, "artemis.xml", "--skip 18"));
            assert!(again.contains("imported 0 messages"), "{again}");
            // Beside the broker that serves.
            export(folder, &ours, "--output ours.xml");
            let kept = shell(
                folder,
                &format!(
                    "tandem-broker data export {} --output ours.xml",
                    ours.file("").display()
                ),
            );
            assert_eq!(kept.status.code(), Some(1), "{kept:?}");
            same(&sent, &client.run("receive", PRIMARY_PORT));
            stop(&mut broker);

            // From ours to ours.
            let (next, _) = Instance::worksheet_pair(&subfolder(folder, "next"));
            let mut broker = start_ours(&next);
            let said = text(&import(folder, "ours.xml", ""));
            assert!(said.contains(&format!("imported {MESSAGES}")), "{said}");
            same(&sent, &client.run("browse", PRIMARY_PORT));
            stop(&mut broker);
            export(folder, &next, "--output next.xml");
            assert_eq!(
                without_ids(&folder.join("ours.xml")),
                without_ids(&folder.join("next.xml"))
            );

            // And back into real Artemis, which has nothing.
            fs::remove_dir_all(real.file("data")).expect("real Artemis' data");
            let mut broker = start_real(&real);
            let imported = process::run(
                Command::new(real.file("bin/artemis"))
                    .args(["data", "imp", "--user", "admin", "--password", "password"])
                    .args(["--url", &format!("tcp://127.0.0.1:{REAL_PORT}")])
                    .arg("--input")
                    .arg(folder.join("ours.xml")),
                JAVA_LIMIT,
            );
            assert!(imported.status.success(), "{imported:?}");
            let back = client.run("browse", REAL_PORT);
            same(&as_artemis_imports(&sent), &as_artemis_imports(&back));
            let refused = shell(
                folder,
                &format!(
                    "tandem-broker data import --input ours.xml --url tcp://127.0.0.1:{REAL_PORT} --user admin --password password"
                ),
            );
            assert_eq!(refused.status.code(), Some(1), "{refused:?}");
            assert!(
                String::from_utf8_lossy(&refused.stderr).contains("artemis data imp"),
                "{refused:?}"
            );
            stop(&mut broker);
        },
    );
}

#[test]
fn of_a_damaged_journal_the_rest_is_saved() {
    in_own_network(
        "data::of_a_damaged_journal_the_rest_is_saved",
        LIMIT,
        |folder| {
            let (ours, _) = Instance::worksheet_pair(folder);
            let mut broker = start_ours(&ours);
            send_numbered(10);
            stop(&mut broker);
            let instance = ours.file("").display().to_string();
            let whole = shell(folder, &format!("tandem-broker data export {instance}"));
            assert_eq!(whole.status.code(), Some(0), "{whole:?}");
            let whole = text(&whole);

            let (journal, at) = damage(&ours, "number 5");
            let refused = shell(
                folder,
                &format!("tandem-broker data export {instance} --output export.xml"),
            );
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(2), "{said}");
            assert!(
                said.contains(&journal) && said.contains("is damaged at byte"),
                "{said}"
            );
            assert!(said.contains("data export --salvage"), "{said}");
            assert!(!folder.join("export.xml").exists());

            let salvaged = shell(
                folder,
                &format!("tandem-broker data export {instance} --salvage --output export.xml"),
            );
            let said = String::from_utf8_lossy(&salvaged.stderr).into_owned();
            assert_eq!(salvaged.status.code(), Some(3), "{said}");
            let skipped = said
                .lines()
                .find(|line| line.starts_with("skipped"))
                .expect("what was skipped");
            assert!(skipped.contains(&journal), "{said}");
            let (from, to) = stretch(skipped);
            assert!((from..to).contains(&at), "{at}: {said}");
            // All but the one.
            let saved = fs::read_to_string(folder.join("export.xml")).expect("an export");
            let lines = |text: &str| -> Vec<String> {
                let bodies = text.lines().filter(|line| line.contains("CDATA"));
                bodies.map(|line| line.trim().to_owned()).collect()
            };
            let mut expected = lines(&whole);
            assert_eq!(expected.len(), 10, "{whole}");
            expected.remove(5);
            assert_eq!(lines(&saved), expected);
        },
    );
}

/// Sends messages one by one, so that each has a record of its own.
fn send_numbered(count: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let options = ClientOptions::new([Endpoint::new("127.0.0.1", PRIMARY_PORT)]);
        let options = options.with_credentials("admin", "password");
        let client = Client::connect(options).await.expect("the broker serves");
        let session = client
            .session(SessionMode::AutoAcknowledge)
            .await
            .expect("a session");
        let made = session
            .ensure_queue("numbers", "numbers", Routing::Anycast)
            .await;
        made.expect("queues are made on demand");
        let producer = session.producer("numbers").await.expect("a producer");
        for number in 0..count {
            let mut message = MessageBuilder::to("numbers");
            message.durable = true;
            message.kind = kind::TEXT;
            message.body = text_body(&format!("number {number}"));
            producer.send(&message.build()).await.expect("stored");
        }
        client.close().await.expect("a connection");
    });
}

/// Changes a byte of that text in the journal; answers with the file's name and the byte's place.
fn damage(instance: &Instance, text: &str) -> (String, u64) {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files = fs::read_dir(instance.file("data/journal")).expect("the journal's folder");
    for file in files {
        let path = file.expect("the journal's folder").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !name.starts_with("journal.") {
            continue;
        }
        let mut bytes = fs::read(&path).expect("a file of the journal");
        let found = bytes
            .windows(units.len())
            .position(|window| window == units);
        if let Some(at) = found {
            bytes[at] ^= 1;
            fs::write(&path, bytes).expect("a file of the journal");
            return (name, at as u64);
        }
    }
    panic!("{text:?} is not in the journal");
}

/// The two numbers of "…, bytes FROM to TO: …".
fn stretch(line: &str) -> (u64, u64) {
    let numbers = line.split_once(", bytes ").expect("a stretch").1;
    let (from, rest) = numbers.split_once(" to ").expect("a stretch");
    let to = rest.split_once(':').expect("a stretch").0;
    (
        from.parse().expect("a number"),
        to.parse().expect("a number"),
    )
}

fn import(folder: &Path, file: &str, more: &str) -> Output {
    let line = format!(
        "ARTEMIS_PASSWORD=password tandem-broker data import --input {file} --url tcp://127.0.0.1:{PRIMARY_PORT} --user admin {more}"
    );
    let ended = shell(folder, &line);
    assert!(ended.status.success(), "{line}: {ended:?}");
    ended
}

fn export(folder: &Path, instance: &Instance, more: &str) {
    let line = format!(
        "tandem-broker data export {} {more}",
        instance.file("").display()
    );
    let ended = shell(folder, &line);
    assert!(ended.status.success(), "{line}: {ended:?}");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains(MESSAGES), "{said}");
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An export without the numbers that each journal gives anew.
fn without_ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("an export");
    let plain = |line: &str| match (line.find(" id=\""), line.trim_start()) {
        (Some(at), trimmed) if !trimmed.starts_with("<property") => {
            let rest = &line[at + 5..];
            let end = rest.find('"').expect("an attribute ends");
            format!("{}{}", &line[..at], &rest[end + 1..])
        }
        _ => line.to_owned(),
    };
    text.lines().map(plain).collect()
}

/// Non-persistent messages are in no journal.
fn lasting(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| !line.contains(" mode=1 "))
        .cloned()
        .collect()
}

fn same(expected: &[String], found: &[String]) {
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected, found);
    }
    assert_eq!(expected.len(), found.len());
}

/// What Artemis 2.44's own import makes of a message, also of its own export: another id, no characters; and what XML cannot say
/// is U+FFFD.
fn as_artemis_imports(lines: &[String]) -> Vec<String> {
    let plain = |line: &String| {
        let (front, rest) = line.split_once(" id=").expect("a message");
        let rest = rest.split_once(' ').expect("more follows").1;
        format!("{front} {rest}")
            .replace("aChar=Character:ß, ", "")
            .replace(
                "control=SimpleString:a\u{1}b",
                "control=SimpleString:a\u{fffd}b",
            )
    };
    lines.iter().map(plain).collect()
}

fn real_instance(folder: &Path) -> Instance {
    let created = process::run(
        Command::new(programs::artemis_home().join("bin/artemis"))
            .args([
                "create",
                "--user",
                "admin",
                "--password",
                "password",
                "--require-login",
            ])
            .args([
                "--no-amqp-acceptor",
                "--no-hornetq-acceptor",
                "--no-mqtt-acceptor",
                "--no-stomp-acceptor",
            ])
            .args(["--no-web", "--no-autotune", "--host", "127.0.0.1"])
            .args(["--default-port", &REAL_PORT.to_string(), "real"])
            .current_dir(folder),
        JAVA_LIMIT,
    );
    assert!(created.status.success(), "{created:?}");
    Instance::at(folder.join("real"))
}

fn start_real(instance: &Instance) -> Running {
    let mut broker = instance.run();
    broker.wait_for_text("AMQ221007", JAVA_LIMIT);
    broker
}

fn start_ours(instance: &Instance) -> Running {
    let mut broker = instance.run();
    broker.wait_for_text("AMQ221007", Duration::from_secs(30));
    broker
}

fn stop(broker: &mut Running) {
    broker.signal(Signal::SIGTERM);
    broker.wait(JAVA_LIMIT);
}

fn subfolder(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir(&path).expect("a new folder");
    path
}

/// The client in Java, compiled once.
struct JavaClient {
    class_path: String,
}

impl JavaClient {
    fn compile(folder: &Path) -> Self {
        let libraries = programs::artemis_home().join("lib");
        let classes = subfolder(folder, "classes");
        let compiled = process::run(
            Command::new("javac")
                .arg("-cp")
                .arg(libraries.join("*"))
                .arg("-d")
                .arg(&classes)
                .arg(programs::root().join("tests/support/java/DataClient.java")),
            JAVA_LIMIT,
        );
        assert!(compiled.status.success(), "{compiled:?}");
        Self {
            class_path: format!("{}:{}/*", classes.display(), libraries.display()),
        }
    }

    /// Lets it send, receive or browse; answers with the lines it printed.
    fn run(&self, what: &str, port: u16) -> Vec<String> {
        let ended = process::run(
            Command::new("java")
                .args(["-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"])
                .args(["-cp", &self.class_path, "DataClient", what])
                .arg(format!("tcp://127.0.0.1:{port}")),
            JAVA_LIMIT,
        );
        assert!(ended.status.success(), "{what}: {ended:?}");
        text(&ended).lines().map(ToOwned::to_owned).collect()
    }
}
