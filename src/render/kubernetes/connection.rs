//! The Secret by which clients connect: what Service Binding tools read, and the recommended URL.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::Rendering;
use crate::by_side::SIDES;
use crate::render::url::recommended;
use crate::render::{GENERATED_USER, Placement, users};

/// The recommended URL: both brokers.
fn url_of(it: &Rendering<'_>) -> String {
    let port = it.first_port();
    recommended(SIDES.map(|side| (it.host(side), port)))
}

/// The recommended URL of a pair's clients.
#[cfg_attr(not(test), expect(dead_code, reason = "for the status on a cluster"))]
pub(crate) fn url(
    pair: &crate::api::validate::ValidatedPair,
    credentials: &crate::render::Credentials,
    context: &super::Context,
) -> String {
    url_of(&Rendering {
        pair,
        credentials,
        context,
    })
}

pub(super) fn secret(it: &Rendering<'_>) -> Secret {
    let users = users(it.pair, it.credentials);
    let mut values = BTreeMap::from([
        ("type", "artemis".to_owned()),
        ("provider", "tandem".to_owned()),
        ("host", service_host(it)),
        ("port", it.first_port().to_string()),
        ("uri", url_of(it)),
        ("primary-host", it.host(pair::Side::Primary)),
        ("backup-host", it.host(pair::Side::Backup)),
    ]);
    // The generated user, or the first of the manifest's.
    let user = users
        .get_key_value(GENERATED_USER)
        .or_else(|| users.first_key_value());
    if let Some((name, password)) = user {
        values.insert("username", name.clone());
        values.insert("password", password.clone());
    }
    let data = values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())))
        .collect();
    Secret {
        metadata: it.owned(it.named("connection")),
        data: Some(data),
        type_: Some("servicebinding.io/artemis".to_owned()),
        ..Secret::default()
    }
}

/// The Service that follows the active.
fn service_host(it: &Rendering<'_>) -> String {
    let context = it.context;
    format!(
        "{}.{}.svc.{}",
        it.pair.name, context.namespace, context.cluster_domain
    )
}
