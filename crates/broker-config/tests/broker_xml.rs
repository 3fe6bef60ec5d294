//! `broker.xml` as Artemis writes it, and as people break it.

#![expect(
    clippy::expect_used,
    reason = "a test ends at the first thing that is wrong"
)]

mod support;

use std::fmt::Write as _;

use broker_config::broker_xml::{NoticeKind, Parsed, Problem, parse};
use broker_config::configuration::{
    Acceptor, Address, Connector, HaPolicy, Manager, Peers, ReplicationBackup, ReplicationPrimary,
    SecuritySetting,
};
use broker_config::elements::{Scope, Treatment, Value, scopes};
use broker_config::{EffectiveHa, Side, TandemProperties};
use proptest::prelude::*;
use support::assert_golden;

const LIVE: &str = include_str!("data/liveBroker.xml");
const BACKUP: &str = include_str!("data/backupBroker.xml");
const REPLICATED_LIVE: &str = include_str!("data/repLiveBroker.xml");
const REPLICATED_BACKUP: &str = include_str!("data/repBackupBroker.xml");
const BROKEN: &str = include_str!("data/broken.xml");

fn good(text: &str) -> Parsed {
    parse("broker.xml", text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `broker.xml` with this inside of `core`.
fn core(inside: &str) -> String {
    format!(
        "<configuration xmlns=\"urn:activemq\"><core xmlns=\"urn:activemq:core\">{inside}</core>\
         </configuration>"
    )
}

fn first_problem(text: &str) -> String {
    let errors = parse("broker.xml", text, &|_| None).expect_err(text);
    errors.errors[0].to_string()
}

#[test]
fn the_files_of_artemis_create_are_read() {
    for (text, policy, port) in [
        (
            LIVE,
            HaPolicy::SharedStorePrimary {
                failover_on_shutdown: true,
            },
            61_616,
        ),
        (
            BACKUP,
            HaPolicy::SharedStoreBackup {
                allow_failback: true,
                failover_on_shutdown: true,
                restart_backup: true,
            },
            61_716,
        ),
        (
            REPLICATED_LIVE,
            HaPolicy::ReplicationPrimary(ReplicationPrimary {
                vote_on_replication_failure: true,
                ..ReplicationPrimary::default()
            }),
            61_616,
        ),
        (
            REPLICATED_BACKUP,
            HaPolicy::ReplicationBackup(ReplicationBackup::default()),
            61_716,
        ),
    ] {
        let Parsed {
            configuration,
            notices,
        } = good(text);
        assert_eq!(configuration.ha_policy, policy);
        assert_eq!(configuration.name, "127.0.0.1");
        assert_eq!(
            configuration.connectors,
            [Connector::new("artemis", "127.0.0.1", port)]
        );
        let [acceptor] = &configuration.acceptors[..] else {
            panic!("only the acceptor that speaks CORE is opened");
        };
        assert_eq!((acceptor.name.as_str(), acceptor.port), ("artemis", port));
        let later: Vec<_> = notices
            .iter()
            .filter(|notice| notice.kind != NoticeKind::Harmless)
            .map(|notice| format!("{}: {}", notice.element, notice.text))
            .collect();
        assert_eq!(
            later,
            [
                "core/acceptors/acceptor[artemis]: opened for CORE alone, without AMQP, STOMP, \
                 HORNETQ, MQTT, OPENWIRE",
                "core/acceptors/acceptor[amqp]: not opened: AMQP is not served, only CORE",
                "core/acceptors/acceptor[stomp]: not opened: STOMP is not served, only CORE",
                "core/acceptors/acceptor[hornetq]: not opened: HORNETQ, STOMP is not served, only \
                 CORE",
                "core/acceptors/acceptor[mqtt]: not opened: MQTT is not served, only CORE",
            ]
        );
    }
}

#[test]
fn the_values_of_a_file_of_artemis_are_the_ones_it_says() {
    let configuration = good(BACKUP).configuration;
    assert_eq!(
        configuration.directories.journal,
        "../liveBroker/data/journal"
    );
    assert_eq!(
        configuration.directories.large_messages,
        "../liveBroker/data/large-messages"
    );
    assert_eq!(configuration.cluster_credentials.user, "clusterUser");
    assert_eq!(
        configuration.cluster_credentials.password,
        "clusterPassword"
    );
    let cluster = &configuration.cluster_connections[0];
    assert_eq!(cluster.peers, Peers::Discovery("dg-group1".to_owned()));
    assert_eq!(configuration.broadcast_groups[0].broadcast_period_ms, 5_000);
    assert_eq!(
        configuration.discovery_groups[0].group.address,
        std::net::Ipv4Addr::new(231, 7, 7, 7)
    );
    let expected = SecuritySetting::everything_for("#", "admin");
    assert_eq!(configuration.security_settings, [expected]);
    let addresses = ["DLQ", "ExpiryQueue"].map(Address::anycast_queue);
    assert_eq!(configuration.addresses, addresses);
    let [management, all] = &configuration.address_settings[..] else {
        panic!("two address settings");
    };
    assert_eq!(management.pattern, "activemq.management.#");
    assert_eq!(all.dead_letter_address.as_deref(), Some("DLQ"));
    assert_eq!(
        (all.auto_delete_queues, management.auto_delete_queues),
        (Some(false), None)
    );
    let effective = EffectiveHa::of(&configuration, &TandemProperties::default());
    let effective = effective.expect("valid").expect("a pair");
    assert_eq!(
        (effective.side, effective.link_port),
        (Side::Backup, 61_715)
    );
}

#[test]
fn every_mistake_of_a_file_is_reported_at_its_place() {
    let errors = parse("etc/broker.xml", BROKEN, &|name| {
        (name == "host").then(|| "a.long.host.name.that.moves.columns".to_owned())
    });
    assert_golden(
        "broken.txt",
        &format!("{}\n", errors.expect_err("it is broken")),
    );
}

#[test]
fn what_is_not_a_broker_xml_is_refused_with_its_place() {
    for (text, message) in [
        (
            "",
            "1:1: configuration: not well-formed XML: the document does not have a root node",
        ),
        (
            "<broker/>",
            "1:1: configuration: the root element must be <configuration>",
        ),
        (
            "<configuration>\n <core>\n  <name>x</nam>",
            "3:10: configuration: not well-formed XML: expected 'name' tag, not 'nam'",
        ),
        (
            "<!-- x -->\n<!DOCTYPE configuration [<!ENTITY a \"b\">]><configuration/>",
            "2:1: configuration: a document type (DTD) is not read; remove the <!DOCTYPE …>",
        ),
        ("<configuration/>", "1:1: configuration: <core> is missing"),
        (
            "<configuration><core/><!-- --><other/></configuration>",
            "1:31: other: unknown element",
        ),
        (
            "<configuration x=\"1\"><core/></configuration>",
            "1:16: configuration/@x: unknown attribute",
        ),
    ] {
        assert_eq!(
            first_problem(text),
            format!("broker.xml:{message}"),
            "{text}"
        );
    }
    let huge = format!("<configuration>{}</configuration>", " ".repeat(9 << 20));
    let errors = parse("broker.xml", &huge, &|_| None).expect_err("too large");
    assert_eq!(errors.errors[0].problem, Problem::TooLarge);
    let text = core(&"<x/>".repeat(1_000));
    let errors = parse("broker.xml", &text, &|_| None).expect_err("all unknown");
    assert_eq!((errors.errors.len(), errors.more), (100, 900));
    assert!(errors.to_string().ends_with("\nand 900 more"));
}

#[test]
fn older_names_mean_the_same_and_are_noticed() {
    let text = core(
        "<ha-policy><replication><master><check-for-live-server>true</check-for-live-server>\
         </master></replication></ha-policy>",
    );
    let Parsed {
        configuration,
        notices,
    } = good(&text);
    let primary = ReplicationPrimary {
        check_for_active_server: true,
        ..ReplicationPrimary::default()
    };
    assert_eq!(
        configuration.ha_policy,
        HaPolicy::ReplicationPrimary(primary)
    );
    let old: Vec<_> = notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::Deprecated)
        .map(|notice| notice.text.as_str())
        .collect();
    assert_eq!(
        old,
        [
            "'master' is an older name; use 'primary'",
            "'check-for-live-server' is an older name; use 'check-for-active-server'",
        ]
    );
    let slave = good(&core(
        "<ha-policy><shared-store><slave/></shared-store></ha-policy>",
    ));
    assert_eq!(
        slave.configuration.ha_policy,
        HaPolicy::SharedStoreBackup {
            allow_failback: true,
            failover_on_shutdown: false,
            restart_backup: true,
        }
    );
    let alone = good(&core("<ha-policy><live-only/></ha-policy>"));
    assert_eq!(alone.configuration.ha_policy, HaPolicy::PrimaryOnly);
}

#[test]
fn only_the_file_based_lock_manager_is_served() {
    let with = |manager: &str| {
        core(&format!(
            "<ha-policy><replication><backup>{manager}\
             </backup></replication></ha-policy>"
        ))
    };
    let file_based = "<manager><class-name>\
        org.apache.activemq.artemis.lockmanager.file.FileBasedLockManager</class-name><properties>\
        <property key=\"locks-folder\" value=\"/mnt/locks\"/></properties></manager>";
    let HaPolicy::ReplicationBackup(backup) = good(&with(file_based)).configuration.ha_policy
    else {
        panic!("a replicating backup");
    };
    let manager = Manager {
        locks_folder: "/mnt/locks".to_owned(),
    };
    assert_eq!(backup.manager, Some(manager));
    let zookeeper = "<manager><properties><property key=\"connect-string\" value=\"z:2181\"/>\
        </properties></manager>";
    assert!(first_problem(&with(zookeeper)).contains("only the file-based lock manager is served"));
    let nowhere = file_based.replace("locks-folder", "lock-folder");
    assert!(first_problem(&with(&nowhere)).contains("needs the property locks-folder"));
}

#[test]
fn placeholders_are_replaced_before_anything_else() {
    let text = core(
        "<name>${NAME}</name><acceptors><acceptor name=\"${A:artemis}\">tcp://${HOST:h}:${PORT:1}\
         </acceptor></acceptors>${MORE}",
    );
    let parsed = parse("broker.xml", &text, &|name| match name {
        "NAME" => Some("from-environment".to_owned()),
        "PORT" => Some("7".to_owned()),
        "MORE" => Some("<security-enabled>false</security-enabled>".to_owned()),
        _ => None,
    });
    let configuration = parsed.expect("good").configuration;
    assert_eq!(configuration.name, "from-environment");
    assert_eq!(configuration.acceptors, [Acceptor::new("artemis", "h", 7)]);
    assert!(!configuration.security_enabled);
    assert!(first_problem(&core("<name>${NOTHING}</name>")).contains("must not be empty"));
}

/// Proves for every row of the table that is "used" and holds a value that the value arrives in the
/// configuration: a row without a reader would be a silent lie.
#[test]
fn every_used_value_changes_the_configuration() {
    let mut checked = 0;
    for scope in scopes() {
        let Some(wrap) = wrapper(scope.name) else {
            continue;
        };
        let without = good(&core(&wrap("", ""))).configuration;
        for row in scope.rows {
            let Some(value) = (row.treatment == Treatment::Used)
                .then(|| sample(row.value, row.name))
                .flatten()
            else {
                continue;
            };
            // Needed for the element to be read at all, so part of the wrapper.
            if row.attribute && ["name", "match"].contains(&row.name) {
                continue;
            }
            let text = if row.attribute {
                core(&wrap(&format!(" {}=\"{value}\"", row.name), ""))
            } else {
                core(&wrap("", &format!("<{0}>{value}</{0}>", row.name)))
            };
            let with = good(&text).configuration;
            assert_ne!(
                with, without,
                "{}/{} is read by nobody",
                scope.name, row.name
            );
            checked += 1;
        }
    }
    assert!(checked > 55, "only {checked} rows were checked");
}

/// Puts attributes and children into a text.
type Wrapper = Box<dyn Fn(&str, &str) -> String>;

/// How to reach a scope: the text inside of `core` with these attributes and children there.
fn wrapper(scope: &str) -> Option<Wrapper> {
    let (before, tag, after) = match scope {
        "core" => return Some(Box::new(|_, children| children.to_owned())),
        "wildcard-addresses" => ("", "wildcard-addresses", ""),
        "address-setting" => (
            "<address-settings>",
            "address-setting match=\"#\"",
            "</address-settings>",
        ),
        "queue" => (
            "<addresses><address name=\"a\"><anycast>",
            "queue name=\"q\"",
            "</anycast></address></addresses>",
        ),
        "shared-store/primary" => (
            "<ha-policy><shared-store>",
            "primary",
            "</shared-store></ha-policy>",
        ),
        "shared-store/backup" => (
            "<ha-policy><shared-store>",
            "backup",
            "</shared-store></ha-policy>",
        ),
        "replication/backup" => (
            "<ha-policy><replication>",
            "backup",
            "</replication></ha-policy>",
        ),
        _ => return None,
    };
    Some(Box::new(move |attributes, children| {
        let name = tag.split(' ').next().expect("a name");
        format!("{before}<{tag}{attributes}>{children}</{name}>{after}")
    }))
}

/// A value that is no default.
fn sample(value: Value, name: &str) -> Option<String> {
    let defaults_to_true = [
        "persistence-enabled",
        "security-enabled",
        "journal-datasync",
        "wild-card-routing-enabled",
        "routing-enabled",
        "enabled",
        "durable",
        "restart-backup",
    ];
    let sample = match value {
        Value::Bool if name == "allow-failback" => return None,
        Value::Bool => (!defaults_to_true.contains(&name)).to_string(),
        Value::Int(..) | Value::Bytes => "7".to_owned(),
        Value::Decimal => "1.5".to_owned(),
        Value::Text | Value::Name => "sample".to_owned(),
        Value::Choice(choices) => choices.first().map(|choice| (*choice).to_owned())?,
        Value::Children => return None,
    };
    Some(sample)
}

#[test]
fn the_table_of_elements_is_reviewed_as_text() {
    let mut text = String::new();
    for Scope { name, rows } in scopes() {
        let _ = writeln!(text, "{name}");
        for row in *rows {
            let kind = if row.attribute { "@" } else { "" };
            let treatment = match row.treatment {
                Treatment::Used => "used".to_owned(),
                Treatment::Harmless(why) => format!("harmless: {why}"),
                Treatment::NotServedYet { silent, why } => {
                    format!("not served yet, except {}: {why}", silent.join(", "))
                }
                Treatment::Only { values, why } => format!("only '{}' {why}", values.join("', '"))
                    .trim_end()
                    .to_owned(),
                Treatment::Refused(why) => format!("refused: {why}"),
                Treatment::OldName(new) => format!("older name of {new}"),
            };
            let _ = writeln!(text, "   {kind}{}: {treatment}", row.name);
        }
    }
    assert_golden("elements.txt", &text);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever happens to a file, reading it ends with values or with messages.
    #[test]
    fn no_damage_makes_reading_panic(
        file in prop::sample::select(vec![LIVE, BROKEN]),
        at in any::<prop::sample::Index>(),
        length in 0_usize..60,
        instead in "(\\PC|[<>&$\\{\\}\"'/=\n]|<!--|\\$\\{x:|</core>|<queue/>){0,12}",
        value in "[<&\\PC]{0,4}",
    ) {
        let starts: Vec<usize> = file.char_indices().map(|(at, _)| at).collect();
        let from = at.index(starts.len());
        let to = (from + length).min(starts.len() - 1);
        let damaged = format!("{}{instead}{}", &file[..starts[from]], &file[starts[to]..]);
        let lines = damaged.lines().count();
        match parse("broker.xml", &damaged, &|name| (name == "x").then(|| value.clone())) {
            Ok(parsed) => prop_assert!(parsed.notices.iter().all(|notice| notice.line <= lines)),
            Err(errors) => {
                prop_assert!(!errors.errors.is_empty());
                // An error at the very end may be after the last line break.
                prop_assert!(errors.errors.iter().all(|error| (1..=lines + 1).contains(&error.line)));
            }
        }
    }
}
