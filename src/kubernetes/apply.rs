//! Server-side apply of what a pair consists of, by one field manager, and only when something is to be changed.
//!
//! What was applied is remembered by its content; what somebody else changes is noticed by its watch (`watches`) and
//! applied again. So a pair in which nothing changes costs no write. A new controller applies everything once, which
//! changes nothing where all is as it should be.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use thiserror::Error;

/// The one field manager.
pub(crate) const MANAGER: &str = "tandem";
/// One try of a call.
const TRY: Duration = Duration::from_secs(10);

/// Why an object is not as it should be.
#[derive(Debug, Error)]
pub(crate) enum ApplyError {
    /// The API server refused, or did not answer.
    #[error("{object}: {source}")]
    Api {
        /// Kind and name.
        object: String,
        /// What happened.
        source: Box<kube::Error>,
    },
    /// It took too long.
    #[error("{object}: no answer within {} s", TRY.as_secs())]
    Slow {
        /// Kind and name.
        object: String,
    },
    /// A rendered object without a kind or a name; only a mistake in this program can be the reason.
    #[error("a rendered object has no {0}")]
    Malformed(&'static str),
}

/// An object: namespace, kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    namespace: String,
    kind: String,
    name: String,
}

/// What was applied, and how the object was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Applied {
    /// Of the pair's name.
    pair: u64,
    content: u64,
    state: u64,
}

/// Applies objects.
pub(crate) struct Applier {
    client: Client,
    applied: Mutex<BTreeMap<Key, Applied>>,
}

impl Applier {
    /// Nothing was applied yet.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            applied: Mutex::new(BTreeMap::new()),
        }
    }

    /// Applies what is not applied yet; tells what was written.
    pub(crate) async fn apply(
        &self,
        namespace: &str,
        pair: &str,
        objects: &[Value],
    ) -> Result<Vec<String>, ApplyError> {
        let mut written = Vec::new();
        for object in objects {
            let text = |pointer: &str, what| {
                let text = object.pointer(pointer).and_then(Value::as_str);
                text.ok_or(ApplyError::Malformed(what))
            };
            let (version, kind) = (text("/apiVersion", "version")?, text("/kind", "kind")?);
            let name = text("/metadata/name", "name")?;
            let key = Key {
                namespace: namespace.to_owned(),
                kind: kind.to_owned(),
                name: name.to_owned(),
            };
            let content = hash(&object.to_string());
            let known = self.lock().get(&key).copied();
            if known.is_some_and(|known| known.content == content) {
                continue;
            }
            let state = self
                .apply_one(namespace, version, kind, name, object)
                .await?;
            self.lock().insert(
                key,
                Applied {
                    pair: hash(&pair),
                    content,
                    state,
                },
            );
            written.push(format!("{kind} {name}"));
        }
        Ok(written)
    }

    async fn apply_one(
        &self,
        namespace: &str,
        version: &str,
        kind: &str,
        name: &str,
        object: &Value,
    ) -> Result<u64, ApplyError> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(object);
        let call = api.patch(name, &params, &patch);
        let object = || format!("{kind} {name}");
        match tokio::time::timeout(TRY, call).await {
            Ok(Ok(applied)) => Ok(state_of(&applied.metadata)),
            Ok(Err(source)) => Err(ApplyError::Api {
                object: object(),
                source: Box::new(source),
            }),
            Err(_) => Err(ApplyError::Slow { object: object() }),
        }
    }

    /// The object was seen so, or is gone; true if it is not as it was applied, so that it is applied again.
    pub(crate) fn seen(&self, kind: &str, metadata: &ObjectMeta, is_there: bool) -> bool {
        let key = Key {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            kind: kind.to_owned(),
            name: metadata.name.clone().unwrap_or_default(),
        };
        let mut applied = self.lock();
        let Some(known) = applied.get(&key) else {
            return false;
        };
        if is_there && known.state == state_of(metadata) {
            return false;
        }
        applied.remove(&key);
        true
    }

    /// Forgets what was applied for a pair that is gone: a new one of its name is made anew.
    pub(crate) fn forget(&self, namespace: &str, pair: &str) {
        self.lock()
            .retain(|key, known| key.namespace != namespace || known.pair != hash(&pair));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Applied>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same objects, owned by the pair: they go with it. Those that are to stay say so by an empty list of owners.
pub(crate) fn owned(objects: Vec<Value>, owner: &OwnerReference) -> Vec<Value> {
    let owner = json!([owner]);
    objects
        .into_iter()
        .map(|mut object| {
            let metadata = object
                .pointer_mut("/metadata")
                .and_then(Value::as_object_mut);
            if let Some(metadata) = metadata {
                let owners = metadata
                    .entry("ownerReferences")
                    .or_insert_with(|| owner.clone());
                if owners.as_array().is_some_and(Vec::is_empty) {
                    metadata.remove("ownerReferences");
                }
            }
            object
        })
        .collect()
}

/// What of an object's state tells a foreign change: its generation, where its kind has one, else its version; labels
/// and annotations have no generation.
fn state_of(metadata: &ObjectMeta) -> u64 {
    let generation = metadata.generation.map(|number| number.to_string());
    let version = generation.or_else(|| metadata.resource_version.clone());
    hash(&(
        version,
        &metadata.labels,
        &metadata.annotations,
        &metadata.uid,
    ))
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
