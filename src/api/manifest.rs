//! A user's file: one `BrokerPair` and the Secrets it refers to, in one or more YAML documents.
//!
//! The file belongs on a cluster as it is, so objects of other kinds are left alone and named, not
//! refused.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::base64;
use super::decode::{decode, decode_part, is_near};
use super::spec::BrokerPairSpec;
use super::status::BrokerPairStatus;
use super::violation::{Position, Violation, Violations};
use super::yaml::{self, MAX_MANIFEST_BYTES, Node};
use super::{API_VERSION, BrokerPair, KIND};

/// What a user's file holds.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The file, as the user named it.
    pub(crate) file: String,
    /// The pair.
    pub(crate) pair: BrokerPair,
    /// The Secrets of the file by name.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Objects of the file that mean nothing here, as `Kind name`.
    pub(crate) others: Vec<String>,
    tree: Node,
}

/// A pair as a file has it: kube's type leaves version and kind to its client.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PairObject {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: ObjectMeta,
    spec: BrokerPairSpec,
    #[serde(default)]
    status: Option<BrokerPairStatus>,
}

impl From<PairObject> for BrokerPair {
    fn from(object: PairObject) -> Self {
        Self {
            metadata: object.metadata,
            spec: object.spec,
            status: object.status,
        }
    }
}

/// The part of a Secret's metadata that is looked at.
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    name: String,
}

/// A Secret as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Secret {
    metadata: Metadata,
    /// Plain values.
    #[serde(default)]
    string_data: BTreeMap<String, String>,
    /// Values in base64.
    #[serde(default)]
    data: BTreeMap<String, String>,
    /// Where it is written.
    #[serde(skip)]
    pub(crate) at: Option<Position>,
}

impl Secret {
    /// Its values, decoded; as in Kubernetes, `stringData` wins. Or everything that is no base64.
    pub(crate) fn values(&self) -> Result<BTreeMap<String, Vec<u8>>, Vec<String>> {
        let mut values = BTreeMap::new();
        let mut wrong = Vec::new();
        for (key, text) in &self.data {
            match base64::decode(text) {
                Ok(value) => {
                    values.insert(key.clone(), value);
                }
                Err(error) => wrong.push(format!("data.{key} {error}")),
            }
        }
        for (key, text) in &self.string_data {
            values.insert(key.clone(), text.clone().into_bytes());
        }
        if wrong.is_empty() {
            Ok(values)
        } else {
            Err(wrong)
        }
    }
}

impl Manifest {
    /// Reads a file's text.
    pub(crate) fn read(file: &str, text: &str) -> Result<Self, Violations> {
        parse(file, text).map_err(|violation| Violations {
            file: file.to_owned(),
            list: vec![violation],
        })
    }

    /// Where a field of the pair is written, or its nearest parent.
    pub(crate) fn position_of(&self, path: &str) -> Position {
        self.tree.position_of(path)
    }

    /// Whether a field of the pair such as `spec.storage.size` is written in the file.
    pub(crate) fn writes(&self, path: &str) -> bool {
        self.tree.find(path).is_some()
    }
}

fn parse(file: &str, text: &str) -> Result<Manifest, Violation> {
    let whole_file = |message: String| Violation {
        at: None,
        path: String::new(),
        message,
    };
    if text.len() > MAX_MANIFEST_BYTES {
        return Err(whole_file(format!(
            "has {} bytes, a manifest has at most {MAX_MANIFEST_BYTES}: is this the right file?",
            text.len()
        )));
    }
    let mut pair: Option<(BrokerPair, Node)> = None;
    let mut secrets = BTreeMap::new();
    let mut others = Vec::new();
    let mut mistyped = None;
    for node in yaml::parse(text)? {
        match node.text("kind") {
            Some(KIND) => {
                if let Some((first, tree)) = &pair {
                    return Err(Violation {
                        at: Some(node.at),
                        path: String::new(),
                        message: format!(
                            "a second {KIND}; {:?} on line {} is the first, and a file has one: \
                             put each pair into a file of its own",
                            first.metadata.name.as_deref().unwrap_or_default(),
                            tree.at.line
                        ),
                    });
                }
                check_version(&node)?;
                pair = Some((decode::<PairObject>(&node)?.into(), node));
            }
            Some("Secret") => {
                let mut secret: Secret = decode_part(&node)?;
                secret.at = Some(node.at);
                secrets.insert(secret.metadata.name.clone(), secret);
            }
            Some(other) => {
                let name = node
                    .get("metadata")
                    .and_then(|metadata| metadata.text("name"));
                others.push(format!("{other} {}", name.unwrap_or("without a name")));
                if is_near(other, KIND) {
                    mistyped = Some(Violation {
                        at: Some(node.position_of("kind")),
                        path: "kind".to_owned(),
                        message: format!(
                            "{other:?} is not a kind known here; did you mean {KIND}?"
                        ),
                    });
                }
            }
            None => {
                return Err(Violation {
                    at: Some(node.at),
                    path: "kind".to_owned(),
                    message: format!("is missing; a pair begins with `kind: {KIND}`"),
                });
            }
        }
    }
    let Some((pair, tree)) = pair else {
        if let Some(mistyped) = mistyped {
            return Err(mistyped);
        }
        return Err(whole_file(format!(
            "there is no {KIND} in this file; examples/shared-store.yaml shows a small one"
        )));
    };
    Ok(Manifest {
        file: file.to_owned(),
        pair,
        secrets,
        others,
        tree,
    })
}

/// Looked at before the fields: another version may have others.
fn check_version(node: &Node) -> Result<(), Violation> {
    if node.text("apiVersion") == Some(API_VERSION) {
        return Ok(());
    }
    let message = match node.text("apiVersion") {
        Some(other) => format!("{other:?} is not known to this program: write {API_VERSION}"),
        None => format!("is missing: write {API_VERSION}"),
    };
    let at = Some(node.position_of("apiVersion"));
    Err(Violation {
        at,
        path: "apiVersion".to_owned(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: &str = "apiVersion: tandem.dev/v1alpha1\nkind: BrokerPair\n\
                        metadata: {name: orders}\nspec:\n  ha:\n    mode: SharedStore\n";

    fn refusal(text: &str) -> String {
        Manifest::read("pair.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn everything_but_the_mode_has_a_default() {
        let manifest = Manifest::read("pair.yaml", PAIR).unwrap();
        let spec = &manifest.pair.spec;
        assert!(spec.ha.failover_on_shutdown);
        assert_eq!(spec.ha.detection.timeout.as_millis(), 2_000);
        assert_eq!(spec.ha.failback.min_stable.as_millis(), 5_000);
        assert_eq!(spec.acceptors[0].port, 61616);
        assert!(!spec.security.allow_anonymous);
    }

    #[test]
    fn a_wrong_field_or_value_is_told_with_place_field_and_remedy() {
        for (from, to, expected) in [
            (
                "SharedStore",
                "\"Shared\"",
                "pair.yaml:6:11: spec.ha.mode: \"Shared\" is not one of SharedStore, Replication",
            ),
            (
                "mode: SharedStore",
                "mod: SharedStore",
                "pair.yaml:6:5: spec.ha.mod: there is no such field; did you mean mode?",
            ),
            (
                "mode: SharedStore",
                "lock: Record",
                "pair.yaml:6:5: spec.ha: mode is missing",
            ),
            (
                "mode: SharedStore",
                "mode: SharedStore\n    failback: {minStable: 5}",
                "pair.yaml:7:27: spec.ha.failback.minStable: 5 is not a text; put it in quotes",
            ),
            (
                "mode: SharedStore",
                "mode: SharedStore\n    detection: {timeout: 2 s}",
                "pair.yaml:7:26: spec.ha.detection.timeout: \"2 s\" is not a duration: write a \
                 number with a unit, such as 250ms, 2s or 1h30m",
            ),
            (
                "mode: SharedStore",
                "mode: SharedStore\n  acceptors: [{name: a, port: 70000}]",
                "pair.yaml:7:31: spec.acceptors[0].port: 70000 is not a number from 0 to 65535",
            ),
            (
                "mode: SharedStore",
                "mode: SharedStore\n  addresses: [{name: 7}]",
                "pair.yaml:7:22: spec.addresses[0].name: 7 is not a text; put it in quotes",
            ),
            (
                "v1alpha1",
                "v2",
                "pair.yaml:1:13: apiVersion: \"tandem.dev/v2\" is not known to this program: \
                 write tandem.dev/v1alpha1",
            ),
        ] {
            assert_eq!(refusal(&PAIR.replace(from, to)), expected, "{to}");
        }
    }

    #[test]
    fn an_empty_field_is_an_absent_one() {
        let text = format!("{PAIR}  addresses:\n  security: ~\n");
        let manifest = Manifest::read("pair.yaml", &text).unwrap();
        assert!(manifest.pair.spec.addresses.is_empty());
    }

    #[test]
    fn a_file_has_one_pair_and_other_objects_are_left_alone() {
        let others = "---\nkind: Namespace\nmetadata: {name: shop}\n";
        let manifest = Manifest::read("pair.yaml", &format!("{PAIR}{others}")).unwrap();
        assert_eq!(manifest.others, ["Namespace shop"]);
        let twice = refusal(&format!("{PAIR}---\n{PAIR}"));
        assert!(
            twice.contains("a second BrokerPair; \"orders\" on line 1"),
            "{twice}"
        );
        let none = refusal(&others[4..]);
        assert!(
            none.contains("there is no BrokerPair in this file"),
            "{none}"
        );
        let mistyped = refusal(&PAIR.replace("BrokerPair", "BrokerPear"));
        assert_eq!(
            mistyped,
            "pair.yaml:2:7: kind: \"BrokerPear\" is not a kind known here; did you mean BrokerPair?"
        );
        assert!(refusal("a: 1").contains("kind: is missing"));
    }
}
