//! The watches of a controller: what it owns and nothing else, found by one label.
//!
//! Pods and stateful sets are kept, for they are looked at; of everything else only its metadata is heard, to notice what
//! somebody else has changed. Each watch has a back-off of its own, so that one that fails does not slow the others, and
//! is begun anew every 200 s.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::{ObjectRef, Store, reflector, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::apply::Applier;
use super::health::Pulse;
use crate::api::BrokerPair;

/// How long one watch lasts, in seconds: load balancers drop connections that are silent for 240 s.
const LASTS_SECS: u32 = 200;
/// The label that every object of a pair has, with the pair's name.
pub(crate) const PAIR_LABEL: &str = "app.kubernetes.io/instance";
/// What makes an object one of this program's.
pub(crate) const SELECTOR: &str = "app.kubernetes.io/managed-by=tandem";

/// The settings of every watch.
pub(crate) fn config() -> watcher::Config {
    watcher::Config::default().timeout(LASTS_SECS)
}

/// What is kept.
#[derive(Clone)]
pub(crate) struct Stores {
    /// Pods of brokers.
    pub(crate) pods: Store<Pod>,
    /// Their stateful sets.
    pub(crate) sets: Store<StatefulSet>,
}

/// What the watches need.
#[derive(Clone)]
pub(crate) struct Watches {
    /// The API server.
    pub(crate) client: Client,
    /// One namespace, or all.
    pub(crate) namespace: Option<String>,
    /// Learns what was changed.
    pub(crate) applier: Arc<Applier>,
    /// Hears the API server.
    pub(crate) pulse: Arc<Pulse>,
    /// Pairs that should be looked at.
    pub(crate) tell: mpsc::Sender<ObjectRef<BrokerPair>>,
}

impl Watches {
    /// Starts all of them.
    pub(crate) fn start(self, tasks: &TaskTracker, stop: &CancellationToken) -> Stores {
        let stores = Stores {
            pods: self.keep::<Pod>(tasks, stop),
            sets: self.keep::<StatefulSet>(tasks, stop),
        };
        self.listen::<Lease>(tasks, stop);
        self.listen::<ConfigMap>(tasks, stop);
        self.listen::<Secret>(tasks, stop);
        self.listen::<Service>(tasks, stop);
        self.listen::<ServiceAccount>(tasks, stop);
        self.listen::<PersistentVolumeClaim>(tasks, stop);
        self.listen::<Role>(tasks, stop);
        self.listen::<RoleBinding>(tasks, stop);
        self.listen::<PodDisruptionBudget>(tasks, stop);
        self.listen::<NetworkPolicy>(tasks, stop);
        stores
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Keeps all objects of a kind, and looks at their pairs when they change.
    fn keep<K>(&self, tasks: &TaskTracker, stop: &CancellationToken) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let (reader, writer) = store();
        let stream = watch(self.api::<K>(), config().labels(SELECTOR))
            .default_backoff()
            .modify(|object| {
                // A third of an object, and nobody here looks at it.
                object.managed_fields_mut().clear();
            });
        let hear = self.clone().hear(reflector(writer, stream));
        let stop = stop.clone();
        let hear = Box::pin(hear);
        tasks.spawn(async move { stop.run_until_cancelled(hear).await });
        reader
    }

    /// Hears of all objects of a kind.
    fn listen<K>(&self, tasks: &TaskTracker, stop: &CancellationToken)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let stream = watch(
            self.api::<PartialObjectMeta<K>>(),
            config().labels(SELECTOR),
        )
        .default_backoff();
        let hear = self.clone().hear_of(K::kind(&()).into_owned(), stream);
        let stop = stop.clone();
        let hear = Box::pin(hear);
        tasks.spawn(async move { stop.run_until_cancelled(hear).await });
    }

    async fn hear<K>(self, stream: impl Stream<Item = watcher::Result<Event<K>>>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.hear_of(K::kind(&()).into_owned(), stream).await;
    }

    async fn hear_of<K: Resource>(
        self,
        kind: String,
        stream: impl Stream<Item = watcher::Result<Event<K>>>,
    ) {
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => self.told(&kind, event).await,
                Err(error) => debug!("the watch of {kind}s: {error}"),
            }
        }
    }

    async fn told<K: Resource>(&self, kind: &str, event: Event<K>) {
        self.pulse.beat();
        let (object, is_there) = match event {
            Event::Apply(object) | Event::InitApply(object) => (object, true),
            Event::Delete(object) => (object, false),
            Event::Init | Event::InitDone => return,
        };
        let metadata = object.meta();
        let is_foreign = self.applier.seen(kind, metadata, is_there);
        // Of the kinds that only have to be as they were applied, nothing else is news.
        let is_news = matches!(kind, "Pod" | "StatefulSet" | "Lease");
        if (is_foreign || is_news)
            && let Some(pair) = pair_of(metadata)
        {
            // Full: the pairs that are in it are looked at first, and this waits.
            let _ = self.tell.send(pair).await;
        }
    }
}

fn pair_of(metadata: &ObjectMeta) -> Option<ObjectRef<BrokerPair>> {
    let name = metadata.labels.as_ref()?.get(PAIR_LABEL)?;
    Some(ObjectRef::new(name).within(metadata.namespace.as_deref()?))
}
