//! Command lines as people write them.

use super::*;

fn parse(line: &str) -> Result<Request, ArgsError> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse_args(&args)
}

fn options(line: &str) -> CreateOptions {
    match parse(&format!("--user u --password p {line}")) {
        Ok(Request::Create(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn message(line: &str) -> String {
    parse(line).expect_err(line).to_string()
}

#[test]
fn a_detached_word_is_a_value_only_if_a_folder_follows() {
    let read = |line: &str| {
        let CreateOptions {
            allow_anonymous,
            directory,
            ..
        } = options(line);
        (allow_anonymous, directory)
    };
    let folder = |name: &str| name.to_owned();
    assert_eq!(read("--allow-anonymous y live"), (true, folder("live")));
    assert_eq!(read("--allow-anonymous No live"), (false, folder("live")));
    assert_eq!(read("--allow-anonymous y"), (true, folder("y")));
    assert_eq!(read("--allow-anonymous y --name n"), (true, folder("y")));
    assert_eq!(
        read("--allow-anonymous false --force y live"),
        (false, folder("live"))
    );
    assert_eq!(read("--allow-anonymous=y live"), (true, folder("live")));
    assert_eq!(
        read("--allow-anonymous=false live"),
        (false, folder("live"))
    );
    assert_eq!(read("--allow-anonymous live"), (true, folder("live")));
    assert_eq!(read("live --allow-anonymous"), (true, folder("live")));
    assert_eq!(read("--require-login live"), (false, folder("live")));
    assert_eq!(read("live"), (false, folder("live")));
    assert_eq!(
        message("live --allow-anonymous y"),
        "'y' is one word too many: the folder is 'live' already; to give a flag a value, write \
         it as --flag=value, or put the folder last"
    );
}

#[test]
fn values_are_attached_or_detached() {
    let one = options("--host=h --default-port 7 --port-offset=100 --data ../d live");
    assert_eq!(
        (one.host.as_str(), one.port, one.data.as_str()),
        ("h", 107, "../d")
    );
    assert_eq!(
        one.http,
        Some(HttpBinding {
            host: "localhost".to_owned(),
            port: 8_261
        })
    );
    assert_eq!(one.name, "h");
    assert_eq!(options("--no-web live").http, None);
    let queues = options("--queues a,b:multicast,c:ANYCAST --addresses x,y live");
    assert_eq!(
        queues.queues,
        [
            ("a".to_owned(), RoutingType::Anycast),
            ("b".to_owned(), RoutingType::Multicast),
            ("c".to_owned(), RoutingType::Anycast),
        ]
    );
    assert_eq!(queues.addresses, ["x", "y"]);
}

#[test]
fn a_pair_is_clustered_and_needs_an_address_for_others() {
    let cluster = "--cluster-user c --cluster-password d live";
    let backup = options(&format!("--shared-store --slave --host 0.0.0.0 {cluster}"));
    assert_eq!(
        backup.ha,
        HaOptions::SharedStore {
            backup: true,
            failover_on_shutdown: false
        }
    );
    assert_eq!(backup.host, "localhost");
    assert!(
        backup
            .cluster
            .is_some_and(|cluster| cluster.static_peers.is_none())
    );
    let fixed = options(&format!(
        "--staticCluster tcp://a:1,tcp://b:2?x=y {cluster}"
    ));
    let peers = fixed
        .cluster
        .and_then(|cluster| cluster.static_peers)
        .expect("peers");
    assert_eq!((peers[1].name.as_str(), peers[1].port), ("node1", 2));
    assert_eq!(options("live").host, "0.0.0.0");
    assert_eq!(options("live").cluster, None);
}

#[test]
fn silence_means_the_default_answers() {
    let Ok(Request::Create(options)) = parse("--silent --clustered live") else {
        panic!("nothing is missing");
    };
    assert_eq!(
        (options.user.as_str(), options.password.as_str()),
        ("admin", "admin")
    );
    assert!(options.allow_anonymous);
    let cluster = options.cluster.expect("clustered");
    assert_eq!(
        (cluster.user, cluster.password),
        ("cluster-admin".into(), "password-admin".into())
    );
}

#[test]
fn flags_without_effect_are_accepted_and_named() {
    let options = options("--aio --java-options -Xa --java-options -Xb --backup live");
    let names: Vec<_> = options
        .without_effect
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(names, ["--aio", "--java-options", "--backup"]);
}

#[test]
fn mistakes_are_named() {
    assert_eq!(parse("--help --nonsense"), Ok(Request::Help));
    let u = "--user u --password p";
    for (line, expected) in [
        (
            u.to_owned(),
            "the folder of the instance is missing: tandem-broker create [OPTIONS] FOLDER",
        ),
        (
            "--shared-sore live".to_owned(),
            "unknown option '--shared-sore'; did you mean '--shared-store'?",
        ),
        (
            format!("{u} a b"),
            "'b' is one word too many: the folder is 'a' already",
        ),
        (
            "live".to_owned(),
            "options '--user', '--password' are missing; or add --silent for Artemis' default answers",
        ),
        (
            "--user u live".to_owned(),
            "option '--password' is missing; or add --silent for Artemis' default answers",
        ),
        (
            "--user".to_owned(),
            "option '--user' needs a value: --user USER",
        ),
        (
            "--user --password p live".to_owned(),
            "option '--user' needs a value: --user USER",
        ),
        (
            "--user= live".to_owned(),
            "option '--user' is '', but must be something: it must not be empty",
        ),
        (
            format!("{u} --user v live"),
            "option '--user' is given twice",
        ),
        (
            format!("{u} --force=maybe live"),
            "option '--force' is 'maybe', but must be y, yes, true, n, no or false",
        ),
        (
            format!("{u} --default-port 0 live"),
            "option '--default-port' is '0', but must be a port from 1 to 65535",
        ),
        (
            format!("{u} --port-offset 60000 live"),
            "port 61616 with an offset of 60000 is beyond 65535",
        ),
        (
            format!("{u} --jdbc live"),
            "option '--jdbc' is not served: only stores of files are served",
        ),
        (
            format!("{u} --shared-store --replicated live"),
            "options '--shared-store' and '--replicated' contradict each other",
        ),
        (
            format!("{u} --queues a:b live"),
            "option '--queues' is 'a:b', but must be names separated by commas, each with :anycast, :multicast or nothing",
        ),
        (
            format!("{u} --static-cluster udp://x live"),
            "option '--static-cluster' is 'udp://x', but must be addresses separated by commas, each tcp://host:port",
        ),
    ] {
        assert_eq!(message(&line), expected, "{line}");
    }
}
