//! What a pair consists of in a cluster, from its spec and its Secrets; and the names by which it is found.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use pair::Side;
use serde_json::Value;
use thiserror::Error;

use super::watches::PAIR_LABEL;
use crate::api::BrokerPair;
use crate::api::status::Endpoints;
use crate::api::validate::{Users, users_of, validate_pair};
use crate::api::violation::Violation;
use crate::by_side::BySide;
use crate::local::credentials::{self, CredentialsError, node_id};
use crate::render::Credentials;
use crate::render::kubernetes::{ADMIN_PASSWORD, CLUSTER_PASSWORD};

/// Bytes of a generated password.
const PASSWORD_BYTES: usize = 16;

/// What pairs are made with unless they say otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Image of the brokers.
    #[expect(dead_code, reason = "for the objects on a cluster")]
    pub(crate) image: String,
}

/// What a pair consists of.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    /// Its objects, without an owner.
    pub(crate) objects: Vec<Value>,
    /// Where clients connect.
    pub(crate) endpoints: Option<Endpoints>,
}

/// Why nothing can be made of a spec.
#[derive(Debug, Error)]
pub(crate) enum DesiredError {
    /// The spec contradicts itself.
    #[error("{}", list(.0))]
    Invalid(Vec<Violation>),
    /// The users' Secret is not there.
    #[error("spec.security.usersSecretName: there is no Secret {name} in this namespace")]
    NoUsers {
        /// Its name.
        name: String,
    },
    /// The users' Secret is not what it should be.
    #[error("the Secret {name}: {}", .wrong.join("; "))]
    BadUsers {
        /// Its name.
        name: String,
        /// What is wrong.
        wrong: Vec<String>,
    },
    /// The pair's own credentials are not there yet, or were damaged.
    #[error(
        "the Secret {name} lacks {key}; delete it to have new passwords made, then restart both brokers"
    )]
    NoCredentials {
        /// Its name.
        name: String,
        /// What it lacks.
        key: &'static str,
    },
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] CredentialsError),
}

impl DesiredError {
    /// One word, for a condition.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "InvalidSpec",
            Self::NoUsers { .. } => "UsersSecretMissing",
            Self::BadUsers { .. } => "UsersSecretInvalid",
            Self::NoCredentials { .. } => "CredentialsMissing",
            Self::Random(_) => "NoRandomness",
        }
    }
}

fn list(violations: &[Violation]) -> String {
    let lines = violations
        .iter()
        .map(|it| format!("{}: {}", it.path, it.message));
    lines.collect::<Vec<_>>().join("; ")
}

/// Name of a side's stateful set; its pod has `-0` behind it.
pub(crate) fn set_name(pair: &str, side: Side) -> String {
    format!("{pair}-{side}")
}

/// Name of the Lease with the pair record.
pub(crate) fn lease_name(pair: &str) -> String {
    pair.to_owned()
}

/// Name of the Secret with the pair's generated passwords.
pub(crate) fn credentials_name(pair: &str) -> String {
    format!("{pair}-credentials")
}

/// A new identity of a pair's data.
pub(crate) fn new_node_id() -> Result<String, DesiredError> {
    Ok(node_id()?)
}

fn labels(pair: &str) -> BTreeMap<String, String> {
    [
        (PAIR_LABEL, pair),
        ("app.kubernetes.io/name", "tandem"),
        ("app.kubernetes.io/managed-by", "tandem"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn metadata(namespace: &str, pair: &str, name: String, owner: &OwnerReference) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels(pair)),
        owner_references: Some(vec![owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// The Lease's metadata.
pub(crate) fn lease_metadata(namespace: &str, pair: &str, owner: &OwnerReference) -> ObjectMeta {
    metadata(namespace, pair, lease_name(pair), owner)
}

/// Passwords for a new pair.
pub(crate) fn new_credentials(
    pair: &BrokerPair,
    owner: &OwnerReference,
) -> Result<Secret, DesiredError> {
    let (namespace, name) = (pair.namespace().unwrap_or_default(), pair.name_any());
    let password = || {
        let bytes: [u8; PASSWORD_BYTES] = credentials::random()?;
        Ok::<_, DesiredError>(ByteString(credentials::hex(&bytes).into_bytes()))
    };
    let data = [
        (CLUSTER_PASSWORD.to_owned(), password()?),
        (ADMIN_PASSWORD.to_owned(), password()?),
    ];
    Ok(Secret {
        metadata: metadata(&namespace, &name, credentials_name(&name), owner),
        data: Some(data.into()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    })
}

fn credentials_of(pair: &str, secret: Option<&Secret>) -> Result<Credentials, DesiredError> {
    let value = |key| {
        let data = secret.and_then(|secret| secret.data.as_ref());
        let bytes = data.and_then(|data| data.get(key));
        let text = bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
        text.ok_or_else(|| DesiredError::NoCredentials {
            name: credentials_name(pair),
            key,
        })
    };
    Ok(Credentials {
        cluster_password: value(CLUSTER_PASSWORD)?,
        generated_password: value(ADMIN_PASSWORD)?,
    })
}

fn users(pair: &BrokerPair, secret: Option<&Secret>) -> Result<Option<Users>, DesiredError> {
    let Some(name) = &pair.spec.security.users_secret_name else {
        return Ok(None);
    };
    let name = name.clone();
    let Some(secret) = secret else {
        return Err(DesiredError::NoUsers { name });
    };
    let data = secret.data.iter().flatten();
    let values = data
        .map(|(key, value)| (key.clone(), value.0.clone()))
        .collect();
    match users_of(&values) {
        Ok(users) => Ok(Some(users)),
        Err(wrong) => Err(DesiredError::BadUsers { name, wrong }),
    }
}

/// Everything of a pair that is applied, or why nothing can be.
pub(crate) fn desired(
    pair: &BrokerPair,
    settings: &Settings,
    users_secret: Option<&Secret>,
    credentials: Option<&Secret>,
    running: BySide<bool>,
) -> Result<Desired, DesiredError> {
    let users = users(pair, users_secret)?;
    let credentials = credentials_of(&pair.name_any(), credentials)?;
    let valid = validate_pair(pair, users).map_err(DesiredError::Invalid)?;
    // What these are rendered to on a cluster is not there yet: nothing is applied, and `ConfigApplied` says so.
    let _ = (settings, credentials, running, valid);
    Ok(Desired {
        objects: Vec::new(),
        endpoints: None,
    })
}
