//! One look at one pair: see, decide, act, and say how it stands.
//!
//! ```text
//!   pods, brokers' pages, record ──▶ policy ──▶ wanted, pods to be replaced
//!   spec ──▶ validate ──▶ render ──▶ apply
//!   all of it ──▶ status, events, metrics
//! ```
//! Nothing depends on having seen an event: each look sees everything anew. A failover does not wait for any of this.

mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use pair::Side;
use telling::progressing;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::apply::{Applier, ApplyError};
use super::desired::{self, DesiredError};
use super::events;
use super::health::Pulse;
use super::metrics::Metrics;
use super::observe::{self, SideObjects};
use super::record::{Asked, Found, PairRecord, RecordError};
use super::watches::Stores;
use crate::api::BrokerPair;
use crate::api::status::{BrokerPairStatus, RecordStatus};
use crate::by_side::BySide;
use crate::local::time::now;
use crate::policy::pair_status::{Facts, status};
use crate::policy::rollout::{self, Step};
use crate::policy::{self, Memory, Observation, Observed, Process, Rules};

/// A look that takes longer is given up; each call in it has a bound of its own.
const LOOK_LIMIT: Duration = Duration::from_mins(1);
/// When a pair is looked at again in which nothing happens.
const CALM: Duration = Duration::from_secs(45);
/// The same while a pair is not ready.
const BUSY: Duration = Duration::from_secs(2);
/// No look follows another sooner by itself.
const SHORTEST: Duration = Duration::from_millis(200);
/// One try of a call.
const TRY: Duration = Duration::from_secs(10);

/// What every look uses.
pub(crate) struct Context {
    /// The API server.
    pub(crate) client: Client,
    /// What is kept of Kubernetes' objects.
    pub(crate) stores: Stores,
    /// Writes objects.
    pub(crate) applier: Arc<Applier>,
    /// Writes events.
    pub(crate) recorder: Recorder,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Hears the API server.
    pub(crate) pulse: Arc<Pulse>,
    /// Whether this controller is the one that works.
    pub(crate) leads: watch::Receiver<bool>,
    /// What this controller was installed with.
    pub(crate) settings: desired::Settings,
    /// Of each pair, by namespace and name: what policy remembers, and the status that was written last.
    pub(crate) remembered: Mutex<BTreeMap<(String, String), Remembered>>,
}

impl Context {
    /// Forgets the pairs that are not there any more.
    pub(crate) fn keep_only(&self, there: &[Arc<BrokerPair>]) {
        let key = |pair: &Arc<BrokerPair>| (pair.namespace().unwrap_or_default(), pair.name_any());
        let there: BTreeSet<_> = there.iter().map(key).collect();
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|pair, _| {
            let is_there = there.contains(pair);
            if !is_there {
                self.metrics.forget(&pair.0, &pair.1);
                self.applier.forget(&pair.0, &pair.1);
            }
            is_there
        });
    }
}

/// What is remembered of a pair between two looks.
#[derive(Clone, Default)]
pub(crate) struct Remembered {
    policy: Memory,
    /// The cache may be older than the last write.
    written: Option<BrokerPairStatus>,
}

/// Why a look ended early.
#[derive(Debug, Error)]
pub(crate) enum LookError {
    /// An object is not as it should be.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// What should be cannot be said.
    #[error(transparent)]
    Desired(#[from] DesiredError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Another call.
    #[error("{what}: {source}")]
    Api {
        /// What was tried.
        what: &'static str,
        /// What happened.
        source: Box<kube::Error>,
    },
    /// It took too long.
    #[error("{what}: no answer in time")]
    Slow {
        /// What was tried.
        what: &'static str,
    },
}

impl LookError {
    /// One word, for metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Apply(_) => "apply",
            Self::Desired(_) => "desired",
            Self::Record(_) => "record",
            Self::Api { .. } => "api",
            Self::Slow { .. } => "slow",
        }
    }
}

/// Looks at a pair; tells when to look again.
pub(crate) async fn reconcile(
    pair: Arc<BrokerPair>,
    context: Arc<Context>,
) -> Result<Action, LookError> {
    if !*context.leads.borrow() {
        // A change of the leader is a reason to look at all of them. Until then another one writes.
        let key = (pair.namespace().unwrap_or_default(), pair.name_any());
        let remembered = context.remembered.lock();
        remembered
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
        return Ok(Action::await_change());
    }
    let begun = Instant::now();
    let done = tokio::time::timeout(LOOK_LIMIT, Box::pin(Look::new(&pair, &context).run())).await;
    let done = done.unwrap_or(Err(LookError::Slow {
        what: "looking at the pair",
    }));
    let word = done.as_ref().err().map(LookError::word);
    context.metrics.looked(begun.elapsed(), word);
    if done.is_ok() {
        context.pulse.beat();
    }
    done
}

/// What is done after a look that ended early.
#[expect(clippy::needless_pass_by_value, reason = "what the controller calls")]
pub(crate) fn after_error(pair: Arc<BrokerPair>, error: &LookError, _: Arc<Context>) -> Action {
    warn!(pair = %pair.name_any(), namespace = pair.namespace(), "{error}");
    Action::requeue(Duration::from_secs(5))
}

/// One look.
struct Look<'a> {
    pair: &'a BrokerPair,
    context: &'a Context,
    namespace: String,
    name: String,
    record: PairRecord,
    before: BrokerPairStatus,
    memory: Memory,
}

impl<'a> Look<'a> {
    fn new(pair: &'a BrokerPair, context: &'a Context) -> Self {
        let namespace = pair.namespace().unwrap_or_default();
        let name = pair.name_any();
        let remembered = context
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(namespace.clone(), name.clone()))
            .cloned()
            .unwrap_or_default();
        let before = remembered.written.or_else(|| pair.status.clone());
        Self {
            record: PairRecord::new(
                context.client.clone(),
                &namespace,
                &desired::lease_name(&name),
            ),
            pair,
            context,
            namespace,
            name,
            before: before.unwrap_or_default(),
            memory: remembered.policy,
        }
    }

    async fn run(mut self) -> Result<Action, LookError> {
        if self.pair.metadata.deletion_timestamp.is_some() {
            // What it owns goes with it; there is nothing to be done.
            return Ok(Action::await_change());
        }
        let objects = self.objects();
        let (users, credentials) = self.secrets().await?;
        let wanted = desired::desired(
            self.pair,
            &self.context.settings,
            users.as_ref(),
            credentials.as_ref(),
            self.running(&objects),
        );
        let paused = self.pair.spec.paused;
        let found = self.record.look().await;
        let remembered_record = self.keep_record(&found).await?;
        let mut applied = Ok(());
        let desired = match wanted {
            Ok(desired) => {
                if !paused {
                    applied = self.apply(&desired).await;
                }
                Some(desired)
            }
            Err(error) => {
                applied = Err(error.into());
                None
            }
        };
        let brokers = observe::brokers(&objects).await;
        let seen = Observation {
            processes: BySide::from_fn(|side| self.process(&objects[side])),
            brokers,
            record: found.seen.clone(),
        };
        let decision = policy::decide(&self.rules(), &self.memory, &seen, now());
        self.memory = decision.memory.clone();
        let mut is_moving = self.ask(&found, &decision).await?;
        let pods = BySide::from_fn(|side| observe::pod_state(&objects[side]));
        let step = rollout::step(&seen, pods);
        is_moving |= self.roll_out(&step, &found, &objects).await?;

        let is_rendered = desired
            .as_ref()
            .is_some_and(|desired| !desired.objects.is_empty());
        let mut conditions = decision.conditions.clone();
        conditions.push(self.config_applied(&applied, is_rendered, &objects, pods));
        conditions.push(progressing(&step, &objects, paused));
        let endpoints = desired.and_then(|desired| desired.endpoints);
        let facts = Facts {
            generation: self.pair.metadata.generation,
            conditions,
            pods: BySide::from_fn(|side| objects[side].pod.as_ref().map(ResourceExt::name_any)),
            endpoints,
            record: Some(remembered_record),
        };
        let told = status(&self.before, &seen, facts, now());
        self.tell(&told, &found).await?;
        let holds = |kind: &str| {
            told.conditions
                .iter()
                .any(|it| it.type_ == kind && it.status == "True")
        };
        let is_calm = holds("Ready") && holds("Protected") && step == Step::Done;
        let calm = if is_calm && !is_moving { CALM } else { BUSY };
        applied?;
        let wake = decision
            .wake_at
            .map(|at| Duration::from_millis(at.ms_since(now())));
        Ok(Action::requeue(
            wake.map_or(calm, |wake| wake.min(calm)).max(SHORTEST),
        ))
    }

    fn objects(&self) -> BySide<SideObjects> {
        let Stores { pods, sets } = &self.context.stores;
        BySide::from_fn(|side| {
            let set = desired::set_name(&self.name, side);
            let pod = ObjectRef::new(&format!("{set}-0")).within(&self.namespace);
            let set = ObjectRef::new(&set).within(&self.namespace);
            SideObjects {
                pod: pods.get(&pod).map(|pod| (*pod).clone()),
                set: sets.get(&set).map(|set| (*set).clone()),
            }
        })
    }

    fn process(&self, objects: &SideObjects) -> Process {
        if self.pair.spec.stopped && objects.pod.is_none() {
            Process::HeldDown
        } else {
            // A container that ended is started again by the kubelet, not by policy.
            Process::Running
        }
    }

    fn rules(&self) -> Rules {
        let ha = &self.pair.spec.ha;
        Rules {
            paused: self.pair.spec.paused || self.pair.spec.stopped,
            failback: ha.failback.policy,
            delay_ms: ha.failback.delay.as_millis(),
            min_stable_ms: ha.failback.min_stable.as_millis(),
            by_hand: "tandem switchover NAME --to primary",
        }
    }

    /// Which sides shall run. A pair that is stopped stops its standby first: who serves last must be first again.
    fn running(&self, objects: &BySide<SideObjects>) -> BySide<bool> {
        if !self.pair.spec.stopped {
            return BySide::from_fn(|_| true);
        }
        let active = self
            .before
            .active
            .as_ref()
            .map(|active| Side::from(active.side));
        let last = active.unwrap_or(Side::Primary);
        let mut running = BySide::from_fn(|_| false);
        running[last] = objects[last.other()].pod.is_some();
        running
    }

    /// The users' Secret that the spec names, and the pair's own credentials, made once.
    async fn secrets(&self) -> Result<(Option<Secret>, Option<Secret>), LookError> {
        let api: Api<Secret> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let users = match &self.pair.spec.security.users_secret_name {
            Some(name) => bounded("reading the users' Secret", api.get_opt(name)).await?,
            None => None,
        };
        let own = desired::credentials_name(&self.name);
        let found = bounded("reading the credentials", api.get_opt(&own)).await?;
        if found.is_some() || self.pair.spec.paused {
            return Ok((users, found));
        }
        let made = desired::new_credentials(self.pair, &self.owner())?;
        let made = bounded(
            "making the credentials",
            api.create(&kube::api::PostParams::default(), &made),
        )
        .await;
        match made {
            Ok(made) => Ok((users, Some(made))),
            // Somebody else was first: read it with the next look.
            Err(LookError::Api { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.is_already_exists()) => {
                Ok((users, None))
            }
            Err(error) => Err(error),
        }
    }

    fn owner(&self) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
        self.pair.controller_owner_ref(&()).unwrap_or_default()
    }

    /// Makes the record of a new pair, once; leaves an empty Lease in place of one that was lost later (rule 7).
    async fn keep_record(&self, found: &Found) -> Result<RecordStatus, LookError> {
        let noted = self.before.record.clone();
        let is_made = noted.as_ref().is_some_and(|noted| noted.created);
        let known = RecordStatus {
            created: is_made || matches!(found.seen, Observed::Known(_)),
            node_id: found
                .node_id
                .clone()
                .or_else(|| noted.and_then(|noted| noted.node_id)),
        };
        if found.seen != Observed::Absent || self.pair.spec.paused || found.has_lease() {
            return Ok(known);
        }
        let metadata = desired::lease_metadata(&self.namespace, &self.name, &self.owner());
        if is_made {
            self.record.make(metadata, None).await?;
            self.event(&events::lost_record()).await;
            return Ok(known);
        }
        let node_id = desired::new_node_id()?;
        let mode = self.pair.spec.ha.mode.into();
        self.record.make(metadata, Some((&node_id, mode))).await?;
        info!(pair = %self.name, namespace = %self.namespace, "made the pair record, node ID {node_id}");
        // Noted with this look's status, and never made again.
        Ok(RecordStatus {
            created: true,
            node_id: Some(node_id),
        })
    }

    async fn apply(&self, desired: &desired::Desired) -> Result<(), LookError> {
        let objects = super::apply::owned(desired.objects.clone(), &self.owner());
        let written = self
            .context
            .applier
            .apply(&self.namespace, &self.name, &objects)
            .await?;
        if !written.is_empty() {
            info!(pair = %self.name, namespace = %self.namespace, "applied {}", written.join(", "));
        }
        Ok(())
    }

    /// Does what policy decided; true if something was asked.
    async fn ask(&self, found: &Found, decision: &policy::Decision) -> Result<bool, LookError> {
        let mut asked = false;
        for action in &decision.actions {
            let done = match action {
                policy::Action::SetWanted { to, epoch, id } => {
                    self.record.ask(found, *to, *epoch, id, false).await?
                }
                policy::Action::Withdraw { epoch, id } => {
                    self.record.withdraw(found, *epoch, id).await?
                }
                // The kubelet does.
                policy::Action::Start(_) => Asked::Changed,
            };
            if done == Asked::Yes {
                info!(pair = %self.name, namespace = %self.namespace, "{action}");
            }
            asked |= done == Asked::Yes;
        }
        Ok(asked)
    }

    /// Takes the next step of an update, unless a person takes them; true if one was taken.
    async fn roll_out(
        &self,
        step: &Step,
        found: &Found,
        objects: &BySide<SideObjects>,
    ) -> Result<bool, LookError> {
        let spec = &self.pair.spec;
        if spec.paused
            || spec.stopped
            || spec.updates.policy == crate::api::spec::UpdatePolicy::Manual
        {
            return Ok(false);
        }
        match step {
            Step::Done | Step::Wait(_) => Ok(false),
            Step::Replace(side) => {
                if let Some(pod) = &objects[*side].pod {
                    self.replace(*side, pod).await?;
                }
                Ok(true)
            }
            Step::Move { to, epoch, id } => {
                let asked = self.record.ask(found, *to, *epoch, id, true).await?;
                if asked == Asked::Yes {
                    let note =
                        format!("the {to} takes over, so that the former active can be replaced");
                    self.event(&events::update("Moving", note)).await;
                }
                Ok(true)
            }
        }
    }

    /// Deletes the pod that was looked at, and no other.
    async fn replace(&self, side: Side, pod: &Pod) -> Result<(), LookError> {
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let name = pod.name_any();
        match bounded("replacing a pod", api.delete(&name, &params)).await {
            Ok(_) => {
                let note = format!("replaces the pod of the {side} for a change of the spec");
                self.event(&events::update("Replacing", note)).await;
                Ok(())
            }
            Err(LookError::Api { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.is_not_found() || status.is_conflict()) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

async fn bounded<T>(
    what: &'static str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, LookError> {
    match tokio::time::timeout(TRY, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(LookError::Api {
            what,
            source: Box::new(source),
        }),
        Err(_) => Err(LookError::Slow { what }),
    }
}
