//! The files of both instances: those with passwords in a Secret, the others in a `ConfigMap`.

use std::collections::BTreeMap;

use broker_config::password::SALT_BYTES;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use pair::Side;

use super::Rendering;
use crate::by_side::{BySide, SIDES};
use crate::render::{RenderedFile, render};

/// Key of the cluster password in the Secret of credentials.
pub(crate) const CLUSTER_PASSWORD: &str = "cluster-password";
/// Key of the generated user's password there.
pub(crate) const ADMIN_PASSWORD: &str = "admin-password";

/// A file of an instance, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its name in `etc/`.
    pub(super) name: String,
    /// Its key in `ConfigMap` or `Secret`.
    pub(super) key: String,
    /// What is in it.
    pub(super) content: String,
    /// Whether passwords are in it.
    pub(super) is_secret: bool,
}

/// The files of both sides.
pub(super) fn files(it: &Rendering<'_>) -> BySide<Vec<File>> {
    BySide::from_fn(|side| {
        let rendered = render(it.pair, it, it.credentials, side, &|user| salt(it, user));
        let files = rendered.files(it, side).into_iter();
        files.map(|file| kept(side, file)).collect()
    })
}

fn kept(side: Side, file: RenderedFile) -> File {
    let RenderedFile { path, content } = file;
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    File {
        key: format!("{side}.{name}"),
        is_secret: matches!(
            name.as_str(),
            "broker.xml" | "artemis-users.properties" | "artemis-roles.properties"
        ),
        name,
        content,
    }
}

/// Users' salts follow from the pair's own secret, so that the same pair gives the same file.
fn salt(it: &Rendering<'_>, user: &str) -> [u8; SALT_BYTES] {
    let key = ring::hmac::Key::new(
        ring::hmac::HMAC_SHA256,
        it.credentials.cluster_password.as_bytes(),
    );
    let tag = ring::hmac::sign(&key, format!("salt of {user}").as_bytes());
    let mut salt = [0; SALT_BYTES];
    for (to, from) in salt.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    salt
}

/// A digest of a side's files; a broker with another one was started with other files.
pub(super) fn digest(files: &[File]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for file in files {
        for part in [&file.name, &file.content] {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    let digest = context.finish();
    let bytes = digest.as_ref()[..16].iter();
    bytes
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

pub(super) fn config_map(it: &Rendering<'_>, files: &BySide<Vec<File>>) -> ConfigMap {
    let data: BTreeMap<_, _> = SIDES
        .into_iter()
        .flat_map(|side| &files[side])
        .filter(|file| !file.is_secret)
        .map(|file| (file.key.clone(), file.content.clone()))
        .collect();
    ConfigMap {
        metadata: it.owned(it.named("config")),
        data: Some(data),
        ..ConfigMap::default()
    }
}

pub(super) fn config_secret(it: &Rendering<'_>, files: &BySide<Vec<File>>) -> Secret {
    let data: BTreeMap<_, _> = SIDES
        .into_iter()
        .flat_map(|side| &files[side])
        .filter(|file| file.is_secret)
        .map(|file| {
            (
                file.key.clone(),
                ByteString(file.content.clone().into_bytes()),
            )
        })
        .collect();
    Secret {
        metadata: it.owned(it.named("config")),
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

pub(super) fn credentials(it: &Rendering<'_>) -> Secret {
    let bytes = |text: &String| ByteString(text.clone().into_bytes());
    let data = BTreeMap::from([
        (
            CLUSTER_PASSWORD.to_owned(),
            bytes(&it.credentials.cluster_password),
        ),
        (
            ADMIN_PASSWORD.to_owned(),
            bytes(&it.credentials.generated_password),
        ),
    ]);
    Secret {
        metadata: it.owned(it.named("credentials")),
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}
