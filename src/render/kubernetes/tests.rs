//! Golden files: everything that is applied for the examples, and what must hold of it whatever the example.

use std::path::PathBuf;

use super::*;
use crate::api::manifest::Manifest;
use crate::api::validate::validate;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pair(text: &str) -> ValidatedPair {
    validate(&Manifest::read("pair.yaml", text).unwrap()).unwrap()
}

fn example(name: &str) -> ValidatedPair {
    let path = root()
        .join("examples/kubernetes")
        .join(name)
        .with_extension("yaml");
    pair(&std::fs::read_to_string(path).unwrap())
}

fn credentials() -> Credentials {
    Credentials {
        cluster_password: "cluster-password".to_owned(),
        generated_password: "generated-password".to_owned(),
    }
}

fn context() -> Context {
    Context {
        namespace: "shop".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        image: "tandem-broker:test".to_owned(),
        owner_uid: Some("7e1c5f30-0000-4000-8000-000000000001".to_owned()),
    }
}

fn rendered(pair: &ValidatedPair) -> Objects {
    objects(pair, &credentials(), &context())
}

/// Values of Secrets as text: a golden file is for reading.
fn readable(mut object: Value) -> String {
    if object["kind"] == "Secret"
        && let Some(data) = object["data"].as_object_mut()
    {
        for value in data.values_mut() {
            let bytes = crate::api::base64::decode(value.as_str().unwrap()).unwrap();
            *value = String::from_utf8(bytes).unwrap().into();
        }
    }
    serde_saphyr::to_string(&object).unwrap()
}

#[test]
fn the_examples_give_their_committed_objects() {
    for name in ["minimal", "complete"] {
        let objects = rendered(&example(name)).all().unwrap();
        let text: Vec<String> = objects.into_iter().map(readable).collect();
        let text = text.join("---\n");
        let golden = root()
            .join("src/render/golden/kubernetes")
            .join(name)
            .with_extension("yaml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(text, expected, "{}", golden.display());
    }
}

#[test]
fn rendering_again_changes_nothing() {
    let pair = example("complete");
    assert_eq!(
        rendered(&pair).all().unwrap(),
        rendered(&pair).all().unwrap()
    );
}

#[test]
fn what_is_rendered_reads_back_and_makes_a_pair() {
    let objects = rendered(&example("complete"));
    let (texts, secrets) = (
        objects.config_map.data.unwrap(),
        objects.config_secret.data.unwrap(),
    );
    for side in crate::by_side::SIDES {
        let xml = String::from_utf8(secrets[&format!("{side}.broker.xml")].0.clone()).unwrap();
        let parsed = broker_config::broker_xml::parse("broker.xml", &xml, &|_| None).unwrap();
        let properties = &texts[&format!("{side}.tandem.properties")];
        let properties =
            broker_config::TandemProperties::parse("tandem.properties", properties).unwrap();
        let ha = broker_config::EffectiveHa::of(&parsed.configuration, &properties);
        let ha = ha.unwrap().expect("a pair");
        assert_eq!(
            ha.arbiter,
            Arbiter::Lease {
                namespace: "shop".to_owned(),
                name: "shop-messages".to_owned()
            }
        );
        assert_eq!((ha.connector.port, ha.link_port), (61_616, 61_615));
        let host = format!("shop-messages-{side}-0.shop-messages-brokers.shop.svc.cluster.local");
        assert_eq!(ha.connector.host, host);
        assert_eq!(parsed.configuration.acceptors[0].host, "0.0.0.0");
        assert_eq!(parsed.configuration.directories.journal, "/data/journal");
    }
}

#[test]
fn brokers_may_touch_their_lease_and_their_two_pods_and_nothing_else() {
    let rules = rendered(&example("minimal")).role.rules.unwrap();
    let said: Vec<_> = rules
        .into_iter()
        .map(|rule| {
            (
                rule.resources.unwrap(),
                rule.resource_names.unwrap(),
                rule.verbs,
            )
        })
        .collect();
    let strings = |list: &[&str]| {
        list.iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let expected = vec![
        (
            strings(&["leases"]),
            strings(&["orders"]),
            strings(&["get", "watch", "update"]),
        ),
        (
            strings(&["pods"]),
            strings(&["orders-primary-0", "orders-backup-0"]),
            strings(&["get", "patch"]),
        ),
    ];
    assert_eq!(said, expected);
}

#[test]
fn what_holds_data_or_the_record_is_not_rendered_over() {
    let objects = rendered(&example("minimal"));
    assert_eq!(objects.lease.spec, None);
    assert_eq!(objects.lease.metadata.annotations, None);
    // Retain, the default: the claim outlives the pair.
    assert_eq!(objects.claims[0].metadata.owner_references, None);
    let text = "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\nmetadata: {name: p}\n\
                spec: {ha: {mode: SharedStore}, storage: {STORAGE}, stopped: true}\n";
    let delete = rendered(&pair(&text.replace("STORAGE", "reclaimPolicy: Delete")));
    assert!(delete.claims[0].metadata.owner_references.is_some());
    assert_eq!(delete.stateful_sets.backup.spec.unwrap().replicas, Some(0));
    let given = rendered(&pair(&text.replace("STORAGE", "claimName: mine")));
    assert!(given.claims.is_empty());
    let volumes = given
        .stateful_sets
        .primary
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
        .volumes
        .unwrap();
    let claims: Vec<_> = volumes
        .into_iter()
        .filter_map(|v| v.persistent_volume_claim)
        .collect();
    assert_eq!(claims[0].claim_name, "mine");
}

#[test]
fn a_change_of_the_files_changes_the_pods_and_nothing_else_does() {
    let annotation = |pair: &ValidatedPair| {
        let set = rendered(pair).stateful_sets.primary.spec.unwrap();
        set.template.metadata.unwrap().annotations.unwrap()[CONFIG_ANNOTATION].clone()
    };
    let base = example("minimal");
    let mut changed = base.clone();
    changed.cluster.stopped = true;
    changed.paused = true;
    changed.failback_delay_ms += 1_000;
    assert_eq!(annotation(&base), annotation(&changed));
    changed.timeout_ms += 1_000;
    assert_ne!(annotation(&base), annotation(&changed));
}

/// The restricted Pod Security Standard, as far as a pod's own fields say it.
#[test]
fn pods_are_restricted() {
    for side in crate::by_side::SIDES {
        let set = rendered(&example("minimal")).stateful_sets[side].clone();
        let pod = set.spec.unwrap().template.spec.unwrap();
        let security = pod.security_context.unwrap();
        assert_eq!(security.run_as_non_root, Some(true));
        assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
        assert!(pod.host_network.is_none() && pod.host_pid.is_none() && pod.host_ipc.is_none());
        for container in pod.containers {
            let security = container.security_context.unwrap();
            assert_eq!(security.allow_privilege_escalation, Some(false));
            assert_eq!(security.read_only_root_filesystem, Some(true));
            assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"]);
        }
        for volume in pod.volumes.unwrap() {
            assert!(volume.host_path.is_none(), "{}", volume.name);
        }
    }
}

#[test]
fn the_url_names_both_brokers() {
    let url = url(&example("minimal"), &credentials(), &context());
    let host =
        |side: &str| format!("tcp://orders-{side}-0.orders-brokers.shop.svc.cluster.local:61616?");
    assert!(
        url.contains(&host("primary")) && url.contains(&host("backup")),
        "{url}"
    );
}
