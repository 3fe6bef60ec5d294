//! Golden files: what both sides of the examples are started with.
//!
//! With `UPDATE_GOLDEN=1` they are written anew; a change is then reviewed as a change of text. The
//! pairs are not called like the product, so that a swapped name would be seen.

use std::path::PathBuf;

use super::*;
use crate::api::manifest::Manifest;
use crate::api::validate::validate;
use crate::by_side::SIDES;
use crate::render::placement::{BACKUP_PORT_OFFSET, HOST, PlacementError};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pair(text: &str) -> ValidatedPair {
    let manifest = Manifest::read("pair.yaml", text).unwrap();
    validate(&manifest).unwrap()
}

fn example(name: &str) -> ValidatedPair {
    let path = root().join("examples").join(name).with_extension("yaml");
    pair(&std::fs::read_to_string(path).unwrap())
}

fn placement() -> LocalPlacement {
    LocalPlacement {
        host: HOST.to_owned(),
        port_offset: 0,
        backup_port_offset: BACKUP_PORT_OFFSET,
    }
}

fn credentials() -> Credentials {
    Credentials {
        cluster_password: "cluster-password".to_owned(),
        generated_password: "generated-password".to_owned(),
    }
}

fn rendered(pair: &ValidatedPair, side: Side) -> Vec<RenderedFile> {
    render(pair, &placement(), &credentials(), side, &|_| [7; 32]).files(&placement(), side)
}

#[test]
fn the_examples_give_their_committed_files() {
    for name in ["shared-store", "complete-shared-store", "replicated"] {
        let pair = example(name);
        for side in SIDES {
            for RenderedFile { path, content } in rendered(&pair, side) {
                let file = path.rsplit('/').next().unwrap();
                let golden = root().join(format!("src/render/golden/{name}/{side}/{file}"));
                if std::env::var_os("UPDATE_GOLDEN").is_some() {
                    std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
                    std::fs::write(&golden, &content).unwrap();
                }
                let expected = std::fs::read_to_string(&golden).unwrap_or_default();
                assert_eq!(content, expected, "{}", golden.display());
            }
        }
    }
}

#[test]
fn what_is_rendered_reads_back_and_makes_a_pair() {
    let pair = example("complete-shared-store");
    for side in SIDES {
        let rendered = render(&pair, &placement(), &credentials(), side, &|_| [7; 32]);
        let text = broker_xml_text(&rendered.configuration);
        let parsed = broker_config::broker_xml::parse("broker.xml", &text, &|_| None).unwrap();
        assert_eq!(parsed.configuration, rendered.configuration);
        // Elements that a real Artemis needs and this broker does not are harmless; nothing else.
        let harmless = broker_config::broker_xml::NoticeKind::Harmless;
        for notice in &parsed.notices {
            assert_eq!(notice.kind, harmless, "{notice}");
        }
        let ha = broker_config::EffectiveHa::of(&rendered.configuration, &rendered.properties);
        let ha = ha.unwrap().expect("a pair");
        assert_eq!(
            ha.failback,
            broker_config::tandem_properties::Failback::Managed
        );
        assert!(ha.failover_on_shutdown && ha.allow_failback && ha.restart_backup);
        let ports = match side {
            Side::Primary => (61_616, 61_615),
            Side::Backup => (61_716, 61_715),
        };
        assert_eq!((ha.connector.port, ha.link_port), ports);
    }
}

#[test]
fn both_sides_differ_only_in_side_and_ports() {
    let pair = example("shared-store");
    let text = |side| rendered(&pair, side).swap_remove(0).content;
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (primary, backup) = (lines(&text(Side::Primary)), lines(&text(Side::Backup)));
    let only = |a: &[String], b: &[String]| {
        a.iter()
            .filter(|l| !b.contains(l))
            .cloned()
            .collect::<Vec<_>>()
    };
    for line in only(&primary, &backup)
        .into_iter()
        .chain(only(&backup, &primary))
    {
        let is_side = ["primary>", "backup>", "allow-failback", "restart-backup"];
        let is_port = ["61616", "61716"];
        assert!(
            is_side
                .iter()
                .chain(&is_port)
                .any(|word| line.contains(word)),
            "{line}"
        );
    }
}

#[test]
fn a_pair_without_users_gets_one() {
    let pair = pair(
        "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\nmetadata: {name: p}\n\
         spec: {ha: {mode: SharedStore}}\n",
    );
    let users = users(&pair, &credentials());
    assert_eq!(
        users.get(GENERATED_USER).map(String::as_str),
        Some("generated-password")
    );
    let login = &rendered(&pair, Side::Primary)[3];
    assert!(
        !login.content.contains("GuestLoginModule"),
        "{}",
        login.content
    );
}

#[test]
fn a_dead_letter_address_that_nobody_made_is_made() {
    let pair = pair(
        "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\nmetadata: {name: p}\n\
         spec:\n  ha: {mode: SharedStore}\n  addressSettings: [{match: orders, deadLetterAddress: dead}]\n",
    );
    let side = render(&pair, &placement(), &credentials(), Side::Primary, &|_| {
        [7; 32]
    });
    let names: Vec<&str> = side
        .configuration
        .addresses
        .iter()
        .map(|a| a.name.as_str())
        .collect();
    assert_eq!(names, ["DLQ", "ExpiryQueue", "dead"]);
}

#[test]
fn ports_that_cannot_be_had_are_refused_before_anything_starts() {
    let pair = pair(
        "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\nmetadata: {name: p}\n\
         spec:\n  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 65500}, {name: b, port: 8261}]\n",
    );
    let high = placement().check(&pair).unwrap_err();
    assert!(matches!(
        high,
        PlacementError::TooHigh {
            side: Side::Backup,
            port: 65_600,
            ..
        }
    ));
    let beside = LocalPlacement {
        backup_port_offset: 1,
        ..placement()
    }
    .check(&example("shared-store"))
    .unwrap_err()
    .to_string();
    assert!(
        beside.starts_with(
            "port 61616 is wanted twice: by the primary for spec.acceptors[0].port and by the \
             backup for the link between the two brokers"
        ),
        "{beside}"
    );
    let twice = LocalPlacement {
        backup_port_offset: 0,
        ..placement()
    }
    .check(&pair)
    .unwrap_err();
    assert!(twice.to_string().starts_with(
        "port 65500 is wanted twice: by the primary for spec.acceptors[0].port and by the backup for \
         spec.acceptors[0].port"
    ));
}
