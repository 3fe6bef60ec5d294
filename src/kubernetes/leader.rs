//! Which of several controllers works: one Lease, renewed by its holder.
//!
//! An optimisation and no safety: two controllers at once would write the same objects, and requests to a pair are
//! compare-and-set writes of its record. What is decided is pure ([`evaluate`]); each write names the version it is
//! based on, so of two candidates one wins. Times of other machines are not compared: a candidate watches for how long
//! it has seen the same renewal.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Name of the Lease, in the controller's namespace.
pub(crate) const LEASE: &str = "tandem-controller";
/// How long a term lasts without a renewal.
const TERM: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long steps back before anybody else may lead.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How often it looks, and renews.
const EVERY: Duration = Duration::from_secs(3);
/// One try of a call.
const TRY: Duration = Duration::from_secs(2);

/// What a candidate has seen of the Lease, and when it first saw it so.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    version: Option<String>,
    since: Instant,
}

/// What a candidate does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Make the Lease, or take it from nobody, from oneself, or from a leader that has not renewed for a term.
    Take,
    /// Renew it.
    Renew,
    /// Another leads.
    Wait,
}

/// Decides on the Lease as it is; `unchanged` is for how long this candidate has seen it so.
fn evaluate(lease: Option<&LeaseSpec>, me: &str, unchanged: Duration) -> Step {
    let holder = lease.and_then(|spec| spec.holder_identity.as_deref());
    let term = lease
        .and_then(|spec| spec.lease_duration_seconds)
        .and_then(|secs| u64::try_from(secs).ok())
        .map_or(TERM, Duration::from_secs);
    match holder {
        None | Some("") => Step::Take,
        Some(holder) if holder == me => Step::Renew,
        Some(_) if unchanged >= term => Step::Take,
        Some(_) => Step::Wait,
    }
}

/// The Lease with this candidate as its holder.
fn next(lease: Option<&Lease>, me: &str, step: Step, now: Timestamp) -> Lease {
    let mut lease = lease.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(LEASE.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let spec = lease.spec.get_or_insert_default();
    spec.renew_time = Some(MicroTime(now));
    spec.lease_duration_seconds = i32::try_from(TERM.as_secs()).ok();
    if step == Step::Take {
        if spec.holder_identity.as_deref() != Some(me) {
            let before = spec.lease_transitions.unwrap_or(0);
            let was_held = spec.holder_identity.is_some();
            spec.lease_transitions = Some(before.saturating_add(i32::from(was_held)));
        }
        spec.holder_identity = Some(me.to_owned());
        spec.acquire_time = Some(MicroTime(now));
    }
    lease
}

/// A candidate.
pub(crate) struct Candidate {
    api: Api<Lease>,
    me: String,
    seen: Option<Seen>,
    renewed: Option<Instant>,
}

impl Candidate {
    /// A candidate of this name, which no other has.
    pub(crate) fn new(client: Client, namespace: &str, me: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            me,
            seen: None,
            renewed: None,
        }
    }

    /// Tells whether this candidate leads, until it is stopped; then it gives the Lease back.
    pub(crate) async fn run(mut self, leads: watch::Sender<bool>, stop: CancellationToken) {
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(error) => debug!("the lease {LEASE} is not renewed: {error}"),
            }
            let is_leader = self.renewed.is_some_and(|at| at.elapsed() < GIVE_UP);
            leads.send_if_modified(|was| {
                let changed = std::mem::replace(was, is_leader) != is_leader;
                if changed && is_leader {
                    info!("{} leads", self.me);
                } else if changed {
                    warn!(
                        "{} leads no more: another does, or the API server is away",
                        self.me
                    );
                }
                changed
            });
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => break,
            }
        }
        if self.renewed.is_some()
            && let Err(error) = self.give_back().await
        {
            debug!("the lease {LEASE} is not given back: {error}");
        }
    }

    async fn step(&mut self) -> Result<(), String> {
        let found = bounded(self.api.get_opt(LEASE)).await?;
        let version = found
            .as_ref()
            .and_then(|lease| lease.metadata.resource_version.clone());
        let seen = match self.seen.take() {
            Some(seen) if seen.version == version => seen,
            Some(_) | None => Seen {
                version,
                since: Instant::now(),
            },
        };
        let unchanged = seen.since.elapsed();
        self.seen = Some(seen);
        let spec = found.as_ref().and_then(|lease| lease.spec.as_ref());
        let step = evaluate(spec, &self.me, unchanged);
        if step == Step::Wait {
            self.renewed = None;
            return Ok(());
        }
        let next = next(found.as_ref(), &self.me, step, Timestamp::now());
        // Counted from before the write: it holds for no longer than others think it does.
        let begun = Instant::now();
        let params = PostParams::default();
        let written = if found.is_some() {
            bounded(self.api.replace(LEASE, &params, &next)).await
        } else {
            bounded(self.api.create(&params, &next)).await
        };
        written.map(|_| self.renewed = Some(begun))
    }

    /// Lets another lead at once.
    async fn give_back(&self) -> Result<(), String> {
        let Some(mut lease) = bounded(self.api.get_opt(LEASE)).await? else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.me.as_str()) {
            return Ok(());
        }
        spec.holder_identity = None;
        let params = PostParams::default();
        bounded(self.api.replace(LEASE, &params, &lease))
            .await
            .map(|_| ())
    }
}

async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(TRY, call).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", TRY.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(by: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn nobodys_lease_is_taken_and_ones_own_renewed() {
        assert_eq!(evaluate(None, "a", Duration::ZERO), Step::Take);
        let free = LeaseSpec::default();
        assert_eq!(evaluate(Some(&free), "a", Duration::ZERO), Step::Take);
        assert_eq!(evaluate(Some(&held("")), "a", Duration::ZERO), Step::Take);
        assert_eq!(evaluate(Some(&held("a")), "a", Duration::ZERO), Step::Renew);
    }

    #[test]
    fn another_leads_until_it_has_not_renewed_for_a_term() {
        let other = held("b");
        let wait = |secs| evaluate(Some(&other), "a", Duration::from_secs(secs));
        assert_eq!(wait(14), Step::Wait);
        assert_eq!(wait(15), Step::Take);
    }

    #[test]
    fn a_leader_steps_back_before_another_may_lead() {
        assert!(GIVE_UP + TRY < TERM);
    }

    #[test]
    fn a_change_of_the_leader_is_counted() {
        let now = Timestamp::UNIX_EPOCH;
        let first = next(None, "a", Step::Take, now);
        assert_eq!(first.spec.as_ref().unwrap().lease_transitions, Some(0));
        let second = next(Some(&first), "b", Step::Take, now);
        let spec = second.spec.as_ref().unwrap();
        assert_eq!(spec.lease_transitions, Some(1));
        assert_eq!(spec.holder_identity.as_deref(), Some("b"));
        let renewed = next(Some(&second), "b", Step::Renew, now);
        assert_eq!(renewed.spec.unwrap().lease_transitions, Some(1));
    }
}
