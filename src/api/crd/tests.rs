//! The committed definition, and that schema and rules say the same as [`validate_pair`].
//!
//! The schema is checked here as an API server does: the part of it that `BrokerPair` uses by a small walker, the rules
//! by kube's CEL.

use std::path::PathBuf;
use std::sync::LazyLock;

use kube_cel::Validator;
use regex::Regex;
use serde_json::Value;

use super::*;
use crate::api::manifest::Manifest;
use crate::api::validate::validate_pair;

const HEAD: &str =
    "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\nmetadata: {name: orders}\nspec:\n";

#[test]
fn the_committed_definition_is_that_of_the_types() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crds/brokerpairs.tandem.dev.yaml");
    let text = text().unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is not what the types say: run with UPDATE_GOLDEN=1 and read the difference",
        path.display()
    );
    // `kubectl apply` without --server-side keeps a copy in an annotation, which has 256 KiB at most.
    assert!(text.len() < 128 * 1024, "{} bytes", text.len());
}

#[test]
fn every_field_is_documented() {
    let schema = &SCHEMA;
    let mut missing = Vec::new();
    undocumented(&schema["properties"]["spec"], "spec", &mut missing);
    undocumented(&schema["properties"]["status"], "status", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

fn undocumented(schema: &Value, path: &str, missing: &mut Vec<String>) {
    if schema["description"].as_str().is_none_or(str::is_empty) {
        missing.push(path.to_owned());
    }
    if KUBERNETES_OWN.iter().any(|own| path.ends_with(own)) {
        return;
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        undocumented(field, &format!("{path}.{name}"), missing);
    }
    if let Some(fields) = schema["items"]["properties"].as_object() {
        for (name, field) in fields {
            undocumented(field, &format!("{path}[].{name}"), missing);
        }
    }
}

/// Specifications, and whether each may be.
const SPECS: &[(&str, bool)] = &[
    ("  ha: {mode: SharedStore}", true),
    ("  ha: {mode: SharedStore, lock: Storage}", true),
    ("  ha: {mode: Replication, lock: Storage}", false),
    (
        "  ha: {mode: SharedStore, detection: {heartbeat: 5ms, timeout: 2s}}",
        false,
    ),
    (
        "  ha: {mode: SharedStore, detection: {heartbeat: 10ms, timeout: 40ms}}",
        true,
    ),
    (
        "  ha: {mode: SharedStore, detection: {heartbeat: 1s, timeout: 3.9s}}",
        false,
    ),
    ("  ha: {mode: SharedStore, detection: {timeout: 10m}}", true),
    (
        "  ha: {mode: SharedStore, detection: {timeout: 10m1s}}",
        false,
    ),
    ("  ha: {mode: SharedStore, failback: {delay: 24h}}", true),
    ("  ha: {mode: SharedStore, failback: {delay: 24h1s}}", false),
    (
        "  ha: {mode: SharedStore, failback: {minStable: 25h}}",
        false,
    ),
    ("  ha: {mode: SharedStore}\n  acceptors: []", false),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: A, port: 61616}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 1}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 8161}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 61616, protocols: []}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 2}, {name: b, port: 3}]",
        true,
    ),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 2}, {name: b, port: 2}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 2}, {name: a, port: 3}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  acceptors: [{name: a, port: 3}, {name: b, port: 2}]",
        false,
    ),
    ("  ha: {mode: SharedStore}\n  addresses: [{name: a}]", false),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: a, multicast: []}]",
        true,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: a b, multicast: []}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: \"\", multicast: []}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: activemq.x, multicast: []}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: a, anycast: []}, {name: a, anycast: []}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: a, anycast: [{name: \"a#\"}]}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: a, anycast: [{name: q, maxConsumers: 0}]}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: a, anycast: [{name: q, filter: \" \"}]}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addresses: [{name: a, anycast: [{name: q, filter: \"x = 1\", maxConsumers: 1}]}]",
        true,
    ),
    (
        "  ha: {mode: SharedStore}\n  addressSettings: [{match: \" \"}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addressSettings: [{match: a}, {match: a}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addressSettings: [{match: a, maxDeliveryAttempts: 0}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  addressSettings: [{match: a, maxDeliveryAttempts: -1}]",
        true,
    ),
    (
        "  ha: {mode: SharedStore}\n  addressSettings: [{match: a, deadLetterAddress: \"a,b\"}]",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  storage: {claimName: data}",
        true,
    ),
    (
        "  ha: {mode: SharedStore}\n  storage: {claimName: data, storageClassName: nfs}",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  primary: {claimName: data}",
        false,
    ),
    (
        "  ha: {mode: SharedStore}\n  backup: {claimName: data}",
        false,
    ),
];

#[test]
fn schema_and_rules_say_the_same_as_the_validation() {
    for (spec, is_good) in SPECS {
        let pair = pair(&format!("{HEAD}{spec}\n"));
        assert_eq!(
            validate_pair(&pair, None).is_ok(),
            *is_good,
            "validation: {spec}"
        );
        assert_eq!(
            admission(&pair).is_empty(),
            *is_good,
            "schema: {spec}: {:?}",
            admission(&pair)
        );
    }
}

#[test]
fn schema_and_validation_agree_on_names() {
    for (name, is_good) in [
        ("orders", true),
        ("a-1", true),
        ("1a", false),
        ("a.b", false),
        ("A", false),
        ("a-", false),
    ] {
        let pair = pair(
            &HEAD
                .replace("orders", &format!("\"{name}\""))
                .replace("spec:\n", "spec: {ha: {mode: SharedStore}}\n"),
        );
        assert_eq!(
            validate_pair(&pair, None).is_ok(),
            is_good,
            "validation: {name}"
        );
        assert_eq!(admission(&pair).is_empty(), is_good, "schema: {name}");
    }
}

/// What the schema cannot say within the cost that the API server allows. The operator refuses these in `ConfigApplied`.
#[test]
fn rules_that_only_the_validation_has() {
    for spec in [
        "  addresses: [{name: a, anycast: [{name: q}]}, {name: b, anycast: [{name: q}]}]",
        "  addresses: [{name: a, anycast: [{name: activemq.q}]}]",
        "  storage: {size: 1k}",
        "  template: {labels: {tandem.dev/role: active}}",
        "  template: {env: [{name: TANDEM_LOG, value: debug}]}",
    ] {
        let pair = pair(&format!("{HEAD}  ha: {{mode: SharedStore}}\n{spec}\n"));
        assert!(validate_pair(&pair, None).is_err(), "validation: {spec}");
        assert_eq!(admission(&pair), Vec::<String>::new(), "schema: {spec}");
    }
}

#[test]
fn what_would_leave_the_data_behind_cannot_be_changed() {
    let base = "  ha: {mode: SharedStore}\n  storage: {size: 10Gi, storageClassName: nfs}";
    for (to, is_good) in [
        (base, true),
        (
            "  ha: {mode: SharedStore, lock: Storage}\n  storage: {size: 11Gi, storageClassName: nfs, reclaimPolicy: Delete}",
            true,
        ),
        (
            "  ha: {mode: Replication}\n  storage: {size: 10Gi, storageClassName: nfs}",
            false,
        ),
        (
            "  ha: {mode: SharedStore}\n  storage: {size: 10Gi, storageClassName: other}",
            false,
        ),
        ("  ha: {mode: SharedStore}\n  storage: {size: 10Gi}", false),
        (
            "  ha: {mode: SharedStore}\n  storage: {size: 9Gi, storageClassName: nfs}",
            false,
        ),
        (
            "  ha: {mode: SharedStore}\n  storage: {size: 10240Mi, storageClassName: nfs}",
            true,
        ),
        (
            "  ha: {mode: SharedStore}\n  storage: {size: 10Gi, claimName: data}",
            false,
        ),
    ] {
        let object = |spec: &str| serde_json::to_value(pair(&format!("{HEAD}{spec}\n"))).unwrap();
        let result = Validator::new().validate(&SCHEMA, &object(to), Some(&object(base)));
        assert_eq!(result.is_ok(), is_good, "{to}: {result:?}");
    }
}

#[test]
fn number_formats_that_kubernetes_does_not_know_are_left_out() {
    let text = text().unwrap();
    assert!(!text.contains("format: uint"), "a Rust format is left");
    assert!(text.contains("format: date-time") && text.contains("format: int64"));
}

fn pair(text: &str) -> BrokerPair {
    Manifest::read("p.yaml", text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .pair
}

/// Made once: it takes a moment.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    definition().unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
});

/// Everything for which an API server would refuse the object.
fn admission(pair: &BrokerPair) -> Vec<String> {
    let object = serde_json::to_value(pair).unwrap();
    let mut wrong = Vec::new();
    walk(&SCHEMA, &object, "", &mut wrong);
    if let Err(errors) = Validator::new().validate(&SCHEMA, &object, None) {
        wrong.push(format!("{errors:?}"));
    }
    wrong
}

/// The keywords that `BrokerPair` uses; metadata is not the schema's.
fn walk(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let limit = |name: &str| {
        schema[name]
            .as_u64()
            .map(|limit| usize::try_from(limit).unwrap())
    };
    let mut refuse = |is_wrong: bool, why: &str| {
        if is_wrong {
            wrong.push(format!("{path}: {why}"));
        }
    };
    match value {
        Value::String(text) => {
            let chars = text.chars().count();
            refuse(
                limit("minLength").is_some_and(|min| chars < min),
                "minLength",
            );
            refuse(
                limit("maxLength").is_some_and(|max| chars > max),
                "maxLength",
            );
            let pattern = schema["pattern"]
                .as_str()
                .map(|pattern| Regex::new(pattern).unwrap());
            refuse(
                pattern.is_some_and(|pattern| !pattern.is_match(text)),
                "pattern",
            );
            let words = schema["enum"].as_array();
            refuse(words.is_some_and(|words| !words.contains(value)), "enum");
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            refuse(
                schema["minimum"].as_f64().is_some_and(|min| number < min),
                "minimum",
            );
            refuse(
                schema["maximum"].as_f64().is_some_and(|max| number > max),
                "maximum",
            );
        }
        Value::Array(items) => {
            refuse(
                limit("minItems").is_some_and(|min| items.len() < min),
                "minItems",
            );
            refuse(
                limit("maxItems").is_some_and(|max| items.len() > max),
                "maxItems",
            );
            if schema["x-kubernetes-list-type"] == "map" {
                let key = schema["x-kubernetes-list-map-keys"][0].as_str().unwrap();
                let mut keys: Vec<_> = items.iter().map(|item| item[key].to_string()).collect();
                keys.sort();
                keys.dedup();
                refuse(keys.len() < items.len(), "a key is there twice");
            }
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{index}]"), wrong);
            }
        }
        Value::Object(fields) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                refuse(!fields.contains_key(required.as_str().unwrap()), "required");
            }
            for (name, field) in fields {
                walk(
                    &schema["properties"][name],
                    field,
                    &format!("{path}.{name}"),
                    wrong,
                );
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
