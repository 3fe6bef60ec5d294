//! The instances that the worksheet's two lines make.

#![expect(
    clippy::expect_used,
    reason = "a test ends at the first thing that is wrong"
)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use broker_config::bootstrap_xml::Bootstrap;
use broker_config::broker_xml::{NoticeKind, parse};
use broker_config::configuration::{AddressFullPolicy, AddressSetting};
use broker_config::create::{CreateOptions, Instance, Request, help, instance, parse_args};
use broker_config::login_config::LoginConfig;
use broker_config::users::{Roles, Users};
use broker_config::{
    Authenticator, Configuration, EffectiveHa, Side, TandemProperties, tandem_properties::Arbiter,
};
use support::assert_golden;

/// The worksheet's lines, verbatim, after `create`.
const LIVE: &str = "--shared-store --failover-on-shutdown --user admin --password password --role \
    admin --allow-anonymous y --clustered --host 127.0.0.1 --cluster-user clusterUser \
    --cluster-password clusterPassword --max-hops 1 liveBroker";
const BACKUP: &str = "--shared-store --failover-on-shutdown --slave --data ../liveBroker/data --user \
    admin --password password --role admin --allow-anonymous y --clustered --host 127.0.0.1 \
    --cluster-user clusterUser --cluster-password clusterPassword --max-hops 1 --port-offset 100 \
    backupBroker";
const REPLICATED_LIVE: &str = "--replicated --failover-on-shutdown --user admin --password password \
    --role admin --allow-anonymous y --clustered --host 127.0.0.1 --cluster-user clusterUser \
    --cluster-password clusterPassword --max-hops 1 repLiveBroker";
const REPLICATED_BACKUP: &str = "--replicated --failover-on-shutdown --slave --user admin --password \
    password --role admin --allow-anonymous y --clustered --host 127.0.0.1 --cluster-user \
    clusterUser --cluster-password clusterPassword --max-hops 1 --port-offset 100 repBackupBroker";

fn options(line: &str) -> CreateOptions {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match parse_args(&words) {
        Ok(Request::Create(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn made(line: &str) -> Instance {
    instance(&options(line), "/opt/tandem/bin/tandem-broker", &[0x5A; 32])
}

fn content<'a>(instance: &'a Instance, path: &str) -> &'a str {
    let file = instance.files.iter().find(|file| file.path == path);
    &file.unwrap_or_else(|| panic!("no {path}")).content
}

fn read(text: &str) -> Configuration {
    let parsed = parse("broker.xml", text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    parsed.configuration
}

#[test]
fn the_worksheets_files_are_reviewed_as_text() {
    for (line, folder) in [(LIVE, "liveBroker"), (BACKUP, "backupBroker")] {
        let instance = made(line);
        let mut list = String::new();
        for name in &instance.folders {
            let _ = writeln!(list, "d {name}");
        }
        for file in &instance.files {
            let _ = writeln!(list, "{:o} {}", file.mode, file.path);
            assert_golden(&format!("{folder}/{}", file.path), &file.content);
        }
        assert_golden(&format!("{folder}/list.txt"), &list);
    }
}

/// Our `broker.xml` says what that of `artemis create` 2.44 says, as far as we serve it.
#[test]
fn the_worksheets_broker_xml_says_what_artemis_says() {
    for (line, theirs) in [
        (LIVE, include_str!("data/liveBroker.xml")),
        (BACKUP, include_str!("data/backupBroker.xml")),
        (REPLICATED_LIVE, include_str!("data/repLiveBroker.xml")),
        (REPLICATED_BACKUP, include_str!("data/repBackupBroker.xml")),
    ] {
        let ours = read(content(&made(line), "etc/broker.xml"));
        let mut theirs = read(theirs);
        // Parameters of the acceptor tune the system or belong to protocols we do not serve.
        theirs.acceptors[0].parameters = BTreeMap::new();
        // Limits are not served yet, and theirs say that there is none.
        for setting in &mut theirs.address_settings {
            let AddressSetting {
                max_size_bytes,
                max_size_messages,
                address_full_policy,
                ..
            } = setting;
            assert_eq!(max_size_bytes.take(), Some(-1));
            assert!(matches!(max_size_messages.take(), None | Some(-1)));
            assert_eq!(address_full_policy.take(), Some(AddressFullPolicy::Page));
        }
        assert_eq!(ours, theirs);
    }
}

#[test]
fn an_instance_starts_without_a_word_of_warning() {
    for line in [LIVE, BACKUP, REPLICATED_LIVE, REPLICATED_BACKUP] {
        let instance = made(line);
        let text = content(&instance, "etc/broker.xml");
        let notices = parse("broker.xml", text, &|_| None).expect("good").notices;
        assert!(
            notices
                .iter()
                .all(|notice| notice.kind == NoticeKind::Harmless),
            "{notices:?}"
        );
    }
}

#[test]
fn the_companions_of_an_instance_fit_together() {
    let (live, backup) = (made(LIVE), made(BACKUP));
    let users = Users::parse("users", content(&live, "etc/artemis-users.properties"));
    let roles = Roles::parse("roles", content(&live, "etc/artemis-roles.properties"));
    let login = LoginConfig::parse("login", content(&live, "etc/login.config")).expect("login");
    let authenticator =
        Authenticator::new(users.expect("users"), roles.expect("roles"), login.guest);
    let admin = authenticator
        .authenticate(Some("admin"), Some("password"))
        .expect("admin");
    assert!(admin.roles.contains("admin"));
    assert_eq!(
        authenticator.authenticate(None, None).expect("the guest"),
        admin
    );
    assert!(
        authenticator
            .authenticate(Some("admin"), Some("Password"))
            .is_err()
    );

    for (instance, side, port, http, arbiter) in [
        (&live, Side::Primary, 61_616, 8_161, "data/journal/pair"),
        (
            &backup,
            Side::Backup,
            61_716,
            8_261,
            "../liveBroker/data/journal/pair",
        ),
    ] {
        let text = content(instance, "etc/tandem.properties");
        let properties = TandemProperties::parse("tandem.properties", text).expect("properties");
        assert_eq!(
            properties,
            TandemProperties::default(),
            "everything is commented out"
        );
        let configuration = read(content(instance, "etc/broker.xml"));
        let effective = EffectiveHa::of(&configuration, &properties)
            .expect("valid")
            .expect("pair");
        assert_eq!((effective.side, effective.connector.port), (side, port));
        assert_eq!(effective.link_port, port - 1);
        assert_eq!(effective.arbiter, Arbiter::Directory(arbiter.to_owned()));
        assert!(effective.failover_on_shutdown && effective.allow_failback);
        let etc = |name: &str| (name == "artemis.instance.etc").then(|| "/i/etc".to_owned());
        let text = content(instance, "etc/bootstrap.xml");
        let (bootstrap, _) = Bootstrap::parse("bootstrap.xml", text, &etc).expect("bootstrap");
        assert_eq!(bootstrap.broker_xml, "/i/etc/broker.xml");
        assert_eq!(bootstrap.http.map(|http| http.port), Some(http));
    }
}

#[test]
fn a_broker_alone_has_no_pair_and_no_guest() {
    let instance =
        made("--user u --password p --require-login --queues a:multicast --addresses b alone");
    let configuration = read(content(&instance, "etc/broker.xml"));
    assert_eq!(
        EffectiveHa::of(&configuration, &TandemProperties::default()),
        Ok(None)
    );
    assert!(
        !instance
            .files
            .iter()
            .any(|file| file.path == "etc/tandem.properties")
    );
    assert!(!content(&instance, "etc/login.config").contains("Guest"));
    let names: Vec<_> = configuration
        .addresses
        .iter()
        .map(|a| (&*a.name, a.queues.len()))
        .collect();
    assert_eq!(names, [("DLQ", 1), ("ExpiryQueue", 1), ("a", 1), ("b", 0)]);
}

#[test]
fn the_help_is_reviewed_as_text() {
    assert_golden("help.txt", &help());
}

/// Held by tests that write programs and run them: a process that another test starts meanwhile has
/// the half-written program open for a moment, and then it cannot be run ("text file busy").
static PROGRAMS: Mutex<()> = Mutex::new(());

/// Puts an instance into a folder whose broker program is a script that prints how it was called.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that tries the scripts needs them as files"
)]
fn put(folder: &Path, program: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let broker = folder.join("it's a broker");
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(&broker, program).expect("a program");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&broker, executable).expect("it can be run");
    let instance = instance(&options(LIVE), broker.to_str().expect("a path"), &[0; 32]);
    for name in instance.folders {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    for file in instance.files {
        let path = folder.join(file.path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, file.content).expect("a file");
        let permissions = std::fs::Permissions::from_mode(file.mode);
        std::fs::set_permissions(&path, permissions).expect("permissions");
    }
}

fn run(program: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    // Another working directory than the instance.
    command
        .args(args)
        .current_dir("/")
        .env_remove("ARTEMIS_INSTANCE")
        .env_remove("TANDEM_BROKER");
    command
        .envs(environment.iter().copied())
        .output()
        .expect("the script can be started")
}

#[test]
fn the_script_runs_the_broker_in_its_own_process() {
    let _programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary
        .path()
        .canonicalize()
        .expect("a path")
        .join("my broker");
    put(
        &folder,
        "#!/bin/sh\necho $$ $PPID\nprintf '<%s>' \"$@\"\necho\n",
    );
    let script = folder.join("bin/artemis");
    let output = run(&script, &["run", "--x", "a b"], &[]);
    let text = String::from_utf8(output.stdout).expect("text");
    let (ids, called) = text.split_once('\n').expect("two lines");
    let expected = format!("<run><--instance><{}><--x><a b>\n", folder.display());
    assert_eq!(
        called,
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // The program's parent is this test: the script is no process of its own any more.
    let parent = ids.split(' ').nth(1).expect("two numbers");
    assert_eq!(parent, std::process::id().to_string());

    let output = run(&script, &["pair", "show"], &[]);
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\n<pair><show>\n"));
    let output = run(&script, &["run"], &[("ARTEMIS_INSTANCE", "/other")]);
    assert!(
        !output.status.success(),
        "an instance that is not there has no profile and no program"
    );
    let other = folder.join("it's a broker");
    let environment = [
        ("ARTEMIS_INSTANCE", "/other"),
        ("TANDEM_BROKER", other.to_str().expect("a path")),
    ];
    let output = run(&script, &["run"], &environment);
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\n<run><--instance></other>\n"));
}

#[test]
fn the_service_script_starts_and_stops_the_broker() {
    let _programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary
        .path()
        .canonicalize()
        .expect("a path")
        .join("broker");
    // Ends by itself should the test be interrupted.
    put(
        &folder,
        "#!/bin/sh\ntrap 'exit 143' TERM\ni=0\nwhile [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done\n",
    );
    let service = folder.join("bin/artemis-service");
    let status = |args: &[&str]| run(&service, args, &[]).status.code();
    assert_eq!(status(&["status"]), Some(3));
    assert_eq!(status(&["stop"]), Some(0));
    assert_eq!(status(&["start"]), Some(0));
    assert_eq!(status(&["status"]), Some(0));
    assert_eq!(status(&["start"]), Some(1), "it runs already");
    assert_eq!(status(&["stop"]), Some(0));
    assert_eq!(status(&["status"]), Some(3));
    assert_eq!(status(&["start"]), Some(0));
    assert_eq!(status(&["force-stop"]), Some(0));
    assert_eq!(status(&["status"]), Some(3));
    assert_eq!(status(&["nonsense"]), Some(2));
}

#[test]
fn the_service_script_tells_of_a_broker_that_does_not_start() {
    let _programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary
        .path()
        .canonicalize()
        .expect("a path")
        .join("broker");
    put(&folder, "#!/bin/sh\nexit 1\n");
    let output = run(&folder.join("bin/artemis-service"), &["start"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did not start; see"));
}
