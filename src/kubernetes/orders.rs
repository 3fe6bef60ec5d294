//! A person's orders to a pair in a cluster: to move the active role, and to force a side.
//!
//! Both are writes of the pair record by compare-and-set, as policy's own; what is known of the brokers is what the pair's
//! status says, and the active has the last word.

use std::time::Duration;

use arbiter::person;
use kube::{Api, Client};
use pair::{Incarnation, Side, WriteId};
use thiserror::Error;
use tokio::time::Instant;

use super::desired;
use super::record::{Asked, Found, PairRecord, RecordError};
use crate::api::BrokerPair;
use crate::api::status::{BrokerPairStatus, StandbyState};
use crate::by_side::BySide;
use crate::local::credentials::{self, CredentialsError};
use crate::local::time::now;
use crate::policy::switchover::{self, Fate, NotAsked};
use crate::policy::{Broker, Link, Observation, Observed, Process, RecordSeen, Role};

/// Pause between two looks while a person waits.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Times a write is decided anew after somebody else was first.
const TRIES: u32 = 8;

/// Which pair.
#[derive(Clone, Debug)]
pub(crate) struct Which {
    /// Its namespace; absent: the one of the kubeconfig's context.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
}

/// How an order ended that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It happened; in a sentence.
    Done(String),
    /// It was asked for, and has not happened in time; in a sentence.
    Late(String),
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub(crate) enum OrderError {
    /// No way to the API server.
    #[error(transparent)]
    Connect(#[from] arbiter::lease::ConnectError),
    /// The pair cannot be read.
    #[error("the BrokerPair {name} in namespace {namespace} cannot be read: {source}")]
    Pair {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// There is none.
    #[error("there is no BrokerPair {name} in namespace {namespace}")]
    NoPair {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// It could only fail.
    #[error("{0}")]
    Refused(String),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] CredentialsError),
}

/// A pair, as an order sees it.
struct Target {
    pairs: Api<BrokerPair>,
    record: PairRecord,
    namespace: String,
    name: String,
}

impl Target {
    async fn open(which: Which) -> Result<Self, OrderError> {
        let client: Client = arbiter::lease::connect().await?;
        let namespace = which
            .namespace
            .unwrap_or_else(|| client.default_namespace().to_owned());
        let lease = desired::lease_name(&which.name);
        Ok(Self {
            record: PairRecord::new(client.clone(), &namespace, &lease),
            pairs: Api::namespaced(client, &namespace),
            namespace,
            name: which.name,
        })
    }

    async fn status(&self) -> Result<BrokerPairStatus, OrderError> {
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        match self.pairs.get_opt(&self.name).await {
            Ok(Some(pair)) => Ok(pair.status.unwrap_or_default()),
            Ok(None) => Err(OrderError::NoPair { namespace, name }),
            Err(source) => Err(OrderError::Pair {
                namespace,
                name,
                source: Box::new(source),
            }),
        }
    }

    async fn look(&self) -> Result<(Found, Observation), OrderError> {
        let status = self.status().await?;
        let found = self.record.look().await;
        let seen = observation(&status, &found.seen);
        Ok((found, seen))
    }
}

/// What a status and a record say together. A status of another epoch than the record's is behind, or ahead, and says
/// nothing of the brokers.
fn observation(status: &BrokerPairStatus, record: &Observed<RecordSeen>) -> Observation {
    let behind = || Observed::Unknown {
        why: "the pair's status does not say; does the operator run?".to_owned(),
    };
    let mut brokers = BySide::from_fn(|_| behind());
    if let Observed::Known(record) = record {
        let member = |side: Side| record.in_sync.iter().find(|member| member.side == side);
        let broker = |side: Side, role, settled| {
            Observed::Known(Broker {
                role,
                settled,
                epoch: record.epoch,
                pid: 0,
                member: member(side).map_or_else(String::new, |member| member.id.clone()),
                link: Link::Up,
                why: String::new(),
            })
        };
        let epoch = i64::try_from(record.epoch).ok();
        let active = status
            .active
            .as_ref()
            .filter(|active| Some(active.epoch) == epoch);
        if let Some(active) = active {
            let side = Side::from(active.side);
            brokers[side] = broker(side, Role::Serving, true);
            if let Some(standby) = &status.standby {
                let side = Side::from(standby.side);
                brokers[side] = match standby.state {
                    StandbyState::Ready => broker(side, Role::Standby, true),
                    StandbyState::Starting => broker(side, Role::Standby, false),
                    StandbyState::TakingOver => broker(side, Role::Attempting, false),
                    StandbyState::Holding => broker(side, Role::Holding, false),
                    StandbyState::Down => Observed::Absent,
                    StandbyState::Unknown => behind(),
                };
            }
        }
    }
    Observation {
        processes: BySide::from_fn(|_| Process::Running),
        brokers,
        record: record.clone(),
    }
}

/// Moves the active role, to the other side if none is named, and waits for it.
pub(crate) async fn switchover(
    which: Which,
    to: Option<Side>,
    limit: Duration,
) -> Result<Ended, OrderError> {
    let target = Target::open(which).await?;
    let mut tries = 0;
    let request = loop {
        let (found, seen) = target.look().await?;
        let request = match switchover::check(&seen, to, now()) {
            Ok(request) => request,
            Err(NotAsked::AlreadyActive(side)) => {
                return Ok(Ended::Done(format!("The {side} is active already.")));
            }
            Err(NotAsked::Refused(why)) => return Err(OrderError::Refused(why)),
        };
        if request.is_asked {
            break request;
        }
        let (epoch, id) = (request.epoch, request.id.as_str());
        if target
            .record
            .ask(&found, request.to, epoch, id, false)
            .await?
            == Asked::Yes
        {
            break request;
        }
        tries += 1;
        if tries == TRIES {
            let why = "the pair record changes again and again: ask once more".to_owned();
            return Err(OrderError::Refused(why));
        }
    };
    let (to, begun) = (request.to, Instant::now());
    let mut last = "was not answered yet";
    while begun.elapsed() < limit {
        tokio::time::sleep(LOOK_EVERY).await;
        let (_, seen) = target.look().await?;
        last = match switchover::fate(&request, &seen, now()) {
            Fate::Asked => "was not answered yet",
            Fate::Taken => "took the role and does not serve yet",
            Fate::Serving(_) => "serves, its standby is not settled yet",
            Fate::Done(served) => {
                let gap = served
                    .gap_ms
                    .map_or_else(String::new, |ms| format!(" nobody served for {ms} ms,"));
                let text = format!(
                    "The {to} is active in epoch {};{gap} the {} is its standby.",
                    served.epoch,
                    to.other()
                );
                return Ok(Ended::Done(text));
            }
            Fate::Refused(why) => {
                return Err(OrderError::Refused(format!("the active refused: {why}")));
            }
            Fate::NotTaken => {
                let why = format!("the {to} did not take the role, the active took it back");
                return Err(OrderError::Refused(why));
            }
            Fate::Void { holder, epoch } => {
                let holder =
                    holder.map_or_else(|| "nobody".to_owned(), |side| format!("the {side}"));
                let why = format!("something else came first: {holder} is active in epoch {epoch}");
                return Err(OrderError::Refused(why));
            }
        };
    }
    Ok(Ended::Late(format!(
        "after {} s: the switchover to the {to} {last}; it stays asked for",
        limit.as_secs()
    )))
}

/// Writes that a side shall take over, by a person's word that the active is dead, and waits until it serves.
pub(crate) async fn force(
    which: Which,
    to: Option<Side>,
    by: Option<String>,
    limit: Duration,
) -> Result<Ended, OrderError> {
    let target = Target::open(which).await?;
    let (found, seen) = target.look().await?;
    let Observed::Known(record) = &found.seen else {
        return Err(OrderError::Refused(format!(
            "the pair record cannot be read, or was lost. A lost one is made again from the store, inside a pod: `kubectl exec {}-0 -- tandem-broker pair force INSTANCE --holder-is-dead`",
            desired::set_name(&target.name, to.unwrap_or(Side::Backup))
        )));
    };
    let Some(side) = to.or_else(|| record.holder.map(Side::other)) else {
        let why = "nobody holds the role: name the side with --to".to_owned();
        return Err(OrderError::Refused(why));
    };
    if record.epoch == 0 {
        let why =
            "no broker of this pair was ever active, so there is nobody to replace".to_owned();
        return Err(OrderError::Refused(why));
    }
    for it in [side, side.other()] {
        let lives = seen.brokers[it]
            .known()
            .is_some_and(|broker| matches!(broker.role, Role::Serving | Role::Holding));
        if lives {
            let why = format!(
                "the {it} says that it holds the role: move it with `tandem switchover {}`, or end that pod first",
                target.name
            );
            return Err(OrderError::Refused(why));
        }
    }
    let writer = WriteId {
        inc: Incarnation(credentials::random()?),
        n: 1,
    };
    let by = by.unwrap_or_else(person);
    let before = record.epoch;
    let change = target.record.change(&found, |record| {
        (record.mode == pair::Mode::SharedStore && record.forced_side() != Some(side))
            .then(|| record.forced(side, &by, now().0, writer))
    });
    if change.await? == Asked::Changed {
        let why = "nothing was forced: the record changed meanwhile, the side was forced before, or the pair is one of replication".to_owned();
        return Err(OrderError::Refused(why));
    }
    let begun = Instant::now();
    while begun.elapsed() < limit {
        tokio::time::sleep(LOOK_EVERY).await;
        let (_, seen) = target.look().await?;
        let epoch = seen.record.known().map_or(0, |record| record.epoch);
        let is_serving = |side: Side| {
            let broker = seen.brokers[side].known();
            broker.is_some_and(|broker| broker.role == Role::Serving)
        };
        if epoch > before + 1
            && let Some(side) = [side, side.other()]
                .into_iter()
                .find(|side| is_serving(*side))
        {
            return Ok(Ended::Done(format!(
                "The {side} is active in epoch {epoch}, forced by {by}."
            )));
        }
    }
    Ok(Ended::Late(format!(
        "after {} s: the {side} is forced by {by} and does not serve yet; it takes over as soon as its broker runs",
        limit.as_secs()
    )))
}
