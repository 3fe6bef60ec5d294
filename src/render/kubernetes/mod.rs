//! From a validated pair to the Kubernetes objects that run it: one file per kind of object.
//!
//! Pure: the same pair, credentials and context give the same objects, so that applying them again changes nothing. Two
//! objects are made once and never applied again, because others write them: the claims, which grow in place, and the
//! Lease, which holds the pair record and belongs to the brokers.
//!
//! ```text
//!   Service NAME ──── label tandem.dev/role=active, set by the brokers ───┐
//!   Service NAME-brokers (headless: clients, link, HTTP)                  ▼
//!   StatefulSet NAME-primary ─▶ Pod NAME-primary-0 ┐            ┌ PVC NAME-data
//!   StatefulSet NAME-backup ──▶ Pod NAME-backup-0 ─┴─ mounts ───┤ ConfigMap, Secret NAME-config
//!   ServiceAccount, Role, RoleBinding NAME-broker               └ Lease NAME (the pair record)
//! ```

mod access;
mod claims;
mod config;
mod connection;
mod disruption;
mod lease;
mod network_policy;
mod pod;
mod services;
mod stateful_set;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use broker_config::tandem_properties::Arbiter;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use pair::Side;
use serde::Serialize;
use serde_json::Value;

use super::{Credentials, Placement};
use crate::api::spec::HaMode;
use crate::api::validate::ValidatedPair;
use crate::api::{API_VERSION, KIND};
use crate::by_side::BySide;

pub(crate) use config::{ADMIN_PASSWORD, CLUSTER_PASSWORD};
#[cfg_attr(
    not(test),
    expect(unused_imports, reason = "for the status on a cluster")
)]
pub(crate) use connection::url;

/// Label of everything that belongs to a pair; its value is the pair's name.
pub(crate) const PAIR_LABEL: &str = "tandem.dev/pair";
/// Label of what belongs to one side; `primary` or `backup`.
pub(crate) const SIDE_LABEL: &str = "tandem.dev/side";
/// Label that the brokers set on both pods: `active` or `standby`.
pub(crate) const ROLE_LABEL: &str = "tandem.dev/role";
/// Annotation of the pods: a digest of the files they were started with.
pub(crate) const CONFIG_ANNOTATION: &str = "tandem.dev/config";
/// What a broker listens on for clients: its pod has one address, which nobody knows before it runs.
const EVERYWHERE: &str = "0.0.0.0";
/// Where the claim is mounted.
const DATA: &str = "/data";

/// What the objects need to know beside the pair.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Namespace of the pair.
    pub(crate) namespace: String,
    /// Domain of the cluster's names, usually `cluster.local`.
    pub(crate) cluster_domain: String,
    /// Image of the brokers of pairs that name none.
    pub(crate) image: String,
    /// UID of the pair's object, which then owns the others; absent where there is no such object.
    pub(crate) owner_uid: Option<String>,
}

/// The objects of a pair.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    /// Made once, kept while they hold data.
    pub(crate) claims: Vec<PersistentVolumeClaim>,
    /// Made once, then the brokers' own.
    pub(crate) lease: Lease,
    /// The passwords that the pair has whatever the user wrote; made once.
    pub(crate) credentials: Secret,
    /// Who the brokers are.
    pub(crate) service_account: ServiceAccount,
    /// What they may do.
    pub(crate) role: Role,
    /// That they may do it.
    pub(crate) role_binding: RoleBinding,
    /// Files without passwords.
    pub(crate) config_map: ConfigMap,
    /// Files with passwords.
    pub(crate) config_secret: Secret,
    /// How clients connect.
    pub(crate) connection: Secret,
    /// Follows the active.
    pub(crate) active_service: Service,
    /// Gives each pod a name.
    pub(crate) headless_service: Service,
    /// Who may talk to the brokers.
    pub(crate) network_policy: NetworkPolicy,
    /// Keeps a drain from stopping both.
    pub(crate) disruption_budget: PodDisruptionBudget,
    /// The brokers.
    pub(crate) stateful_sets: BySide<StatefulSet>,
}

/// Renders a pair.
pub(crate) fn objects(
    pair: &ValidatedPair,
    credentials: &Credentials,
    context: &Context,
) -> Objects {
    let it = Rendering {
        pair,
        credentials,
        context,
    };
    let files = config::files(&it);
    Objects {
        claims: claims::claims(&it),
        lease: lease::lease(&it),
        credentials: config::credentials(&it),
        service_account: access::service_account(&it),
        role: access::role(&it),
        role_binding: access::role_binding(&it),
        config_map: config::config_map(&it, &files),
        config_secret: config::config_secret(&it, &files),
        connection: connection::secret(&it),
        active_service: services::active(&it),
        headless_service: services::headless(&it),
        network_policy: network_policy::policy(&it),
        disruption_budget: disruption::budget(&it),
        stateful_sets: BySide::from_fn(|side| stateful_set::stateful_set(&it, &files, side)),
    }
}

impl Objects {
    /// All of them as they are applied, in an order in which nothing waits for what comes later.
    pub(crate) fn all(&self) -> Result<Vec<Value>, serde_json::Error> {
        let Self {
            claims,
            lease,
            credentials,
            service_account,
            role,
            role_binding,
            config_map,
            config_secret,
            connection,
            active_service,
            headless_service,
            network_policy,
            disruption_budget,
            stateful_sets,
        } = self;
        let mut all = claims.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        all.extend([
            value(lease)?,
            value(credentials)?,
            value(service_account)?,
            value(role)?,
            value(role_binding)?,
            value(config_map)?,
            value(config_secret)?,
            value(connection)?,
            value(active_service)?,
            value(headless_service)?,
            value(network_policy)?,
            value(disruption_budget)?,
            value(&stateful_sets.primary)?,
            value(&stateful_sets.backup)?,
        ]);
        Ok(all)
    }
}

fn value<T: Serialize>(object: &T) -> Result<Value, serde_json::Error> {
    serde_json::to_value(object)
}

/// What every file of this module is given.
struct Rendering<'a> {
    pair: &'a ValidatedPair,
    credentials: &'a Credentials,
    context: &'a Context,
}

impl Rendering<'_> {
    /// `NAME-suffix`.
    fn named(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.pair.name)
    }

    /// Labels of everything that belongs to the pair.
    fn labels(&self) -> BTreeMap<String, String> {
        [
            ("app.kubernetes.io/name", "tandem-broker"),
            ("app.kubernetes.io/instance", self.pair.name.as_str()),
            ("app.kubernetes.io/managed-by", "tandem"),
            (PAIR_LABEL, self.pair.name.as_str()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Labels of what belongs to one side.
    fn side_labels(&self, side: Side) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(SIDE_LABEL.to_owned(), side.to_string());
        labels
    }

    /// What selects the pods of a pair.
    fn selector(&self) -> BTreeMap<String, String> {
        std::iter::once((PAIR_LABEL.to_owned(), self.pair.name.clone())).collect()
    }

    /// Metadata of an object that goes with the pair.
    fn owned(&self, name: String) -> ObjectMeta {
        let owner = self.context.owner_uid.as_ref().map(|uid| OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            name: self.pair.name.clone(),
            uid: uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        });
        ObjectMeta {
            owner_references: owner.map(|owner| vec![owner]),
            ..self.kept(name)
        }
    }

    /// Metadata of an object that outlives the pair.
    fn kept(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.context.namespace.clone()),
            labels: Some(self.labels()),
            ..ObjectMeta::default()
        }
    }

    /// Client ports with the acceptors' names.
    fn client_ports(&self) -> impl Iterator<Item = (&str, i32)> {
        self.pair
            .acceptors
            .iter()
            .map(|acceptor| (acceptor.name.as_str(), i32::from(acceptor.port)))
    }

    /// The first acceptor's port: the connector's.
    fn first_port(&self) -> u16 {
        self.pair
            .acceptors
            .first()
            .map_or(61_616, |first| first.port)
    }

    /// Where the two brokers talk.
    fn link_port(&self) -> i32 {
        i32::from(self.first_port()) - 1
    }
}

/// On a cluster each side has a name of its own and the manifest's ports. The full name is in `/etc/hosts` of its pod, so
/// that a broker can listen there before the cluster's name service knows it.
impl Placement for Rendering<'_> {
    fn listen_host(&self) -> &str {
        EVERYWHERE
    }

    fn host(&self, side: Side) -> String {
        let name = &self.pair.name;
        let Context {
            namespace,
            cluster_domain,
            ..
        } = self.context;
        format!("{name}-{side}-0.{name}-brokers.{namespace}.svc.{cluster_domain}")
    }

    fn port(&self, _: Side, of_manifest: u16) -> u16 {
        of_manifest
    }

    /// The claim's mount: one for both sides, or each side's own.
    fn store(&self, _: HaMode, _: Side) -> String {
        DATA.to_owned()
    }

    fn arbiter(&self) -> Arbiter {
        Arbiter::Lease {
            namespace: self.context.namespace.clone(),
            name: self.pair.name.clone(),
        }
    }
}
