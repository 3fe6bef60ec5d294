//! What happens in the demo, step by step, each step within its time.

use std::time::Duration;

use pair::Side;
use tokio::sync::mpsc;

use super::Saying;
use super::traffic::{self, Traffic};
use crate::api::spec::FailbackPolicy;
use crate::api::validate::ValidatedPair;
use crate::local::snapshot::Snapshot;
use crate::local::supervisor::{Handle, Request};
use crate::local::time::{now, span};

/// Both brokers start, one is active, the other watches it.
const START_LIMIT: Duration = Duration::from_secs(20);
/// The standby takes over a dead active; a healthy one needs a fraction of a second.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(10);
/// A broker starts beside an active one.
const RETURN_LIMIT: Duration = Duration::from_secs(20);
/// What a failback may need beyond the waits of the manifest.
const FAILBACK_LIMIT: Duration = Duration::from_secs(15);
/// A client ends, or the receiver catches up.
const CLIENT_LIMIT: Duration = Duration::from_secs(15);
/// How often the receiver's progress is looked at.
const DRAIN_PAUSE: Duration = Duration::from_millis(50);

/// A step that did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Which, and why.
    pub(crate) why: String,
}

/// The demo's script.
pub(crate) struct Script {
    handle: Handle,
    traffic: Option<traffic::Plan>,
    failback: Failback,
    traffic_time: Duration,
    say: mpsc::Sender<Saying>,
    step: u32,
}

#[derive(Clone, Copy)]
enum Failback {
    Automatic { wait: Duration },
    Manual,
}

impl Script {
    /// A script for a pair.
    pub(crate) fn new(
        handle: Handle,
        traffic: traffic::Plan,
        pair: &ValidatedPair,
        seconds: u32,
        say: mpsc::Sender<Saying>,
    ) -> Self {
        let waits_ms = pair.failback_min_stable_ms.max(pair.failback_delay_ms);
        let failback = match (pair.failback_policy, pair.paused) {
            (FailbackPolicy::Automatic, false) => Failback::Automatic {
                wait: Duration::from_millis(waits_ms),
            },
            (FailbackPolicy::Automatic, true) | (FailbackPolicy::Manual, _) => Failback::Manual,
        };
        let traffic_time = Duration::from_secs(seconds.into());
        Self {
            handle,
            traffic: Some(traffic),
            failback,
            traffic_time,
            say,
            step: 0,
        }
    }

    /// Plays it.
    pub(crate) async fn play(mut self) -> Result<(), Failure> {
        self.step("start both brokers").await;
        let active = self.settled("both brokers are ready", START_LIMIT).await?;
        let plan = self
            .traffic
            .take()
            .ok_or_else(|| failure("the demo was played before"))?;

        self.step("let a sender and a receiver work").await;
        let mut traffic = plan.start().await.map_err(|why| Failure { why })?;
        self.work(&mut traffic).await?;

        self.step(&format!(
            "kill the active broker, the {active}, in the middle of that (SIGKILL)"
        ))
        .await;
        self.ask(Request::Kill {
            side: active,
            restart: false,
        })
        .await?;
        let taker = active.other();
        let what = format!("the {taker} takes over");
        let took_ms = self
            .wait(&what, TAKEOVER_LIMIT, |pair| is_active(pair, taker))
            .await?;
        self.note(format!(
            "the {taker} was active {} after the kill",
            span(took_ms)
        ))
        .await;
        self.work(&mut traffic).await?;

        self.step(&format!("start the {active} again")).await;
        self.ask(Request::Start(active)).await?;
        let what = format!("the {active} is the standby");
        self.wait(&what, RETURN_LIMIT, |pair| is_settled(pair, active))
            .await?;

        self.fail_back(active).await?;
        self.work(&mut traffic).await?;

        self.step("stop the sender, let the receiver finish, stop both brokers")
            .await;
        self.drain(traffic).await
    }

    /// The primary gets its role back: by itself, or where the manifest leaves that to a person, on request.
    async fn fail_back(&mut self, killed: Side) -> Result<(), Failure> {
        let wait = match (self.failback, killed) {
            (_, Side::Backup) => return Ok(()),
            (Failback::Automatic { wait }, Side::Primary) => wait,
            (Failback::Manual, Side::Primary) => return self.switch_back().await,
        };
        let wait_text = span(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.step(&format!(
            "wait for the failback: the primary must be a healthy standby for {wait_text}"
        ))
        .await;
        let is_back =
            |pair: &Snapshot| is_active(pair, Side::Primary) && is_settled(pair, Side::Backup);
        self.wait(
            "the primary is active again",
            wait + FAILBACK_LIMIT,
            is_back,
        )
        .await?;
        Ok(())
    }

    async fn switch_back(&mut self) -> Result<(), Failure> {
        self.step("move the role back to the primary, as `tandem local switchover primary` does")
            .await;
        let limit_ms = u64::try_from(FAILBACK_LIMIT.as_millis()).unwrap_or(u64::MAX);
        self.ask(Request::Switchover {
            to: Some(Side::Primary),
            limit_ms,
        })
        .await
    }

    /// Lets the clients work for a while.
    async fn work(&self, traffic: &mut Traffic) -> Result<(), Failure> {
        tokio::select! {
            why = traffic.failure() => Err(Failure { why }),
            () = tokio::time::sleep(self.traffic_time) => Ok(()),
        }
    }

    /// Stops the sender, waits until everything arrived or nothing does any more.
    async fn drain(&self, mut traffic: Traffic) -> Result<(), Failure> {
        traffic
            .stop_sending(CLIENT_LIMIT)
            .await
            .map_err(|why| Failure { why })?;
        let mut received = 0;
        let mut progress_at = tokio::time::Instant::now();
        loop {
            let account = traffic.ledger.lock().account();
            if account.lost == 0 {
                break;
            }
            if account.received > received {
                received = account.received;
                progress_at = tokio::time::Instant::now();
            } else if progress_at.elapsed() > CLIENT_LIMIT {
                // The account will say what is missing.
                break;
            }
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
        traffic
            .stop_receiving(CLIENT_LIMIT)
            .await
            .map_err(|why| Failure { why })
    }

    async fn settled(&self, what: &str, limit: Duration) -> Result<Side, Failure> {
        let both = |pair: &Snapshot| {
            is_settled(pair, Side::Primary)
                && is_settled(pair, Side::Backup)
                && active(pair).is_some()
        };
        self.wait(what, limit, both).await?;
        active(&self.handle.snapshot.borrow()).ok_or_else(|| failure("nobody is active"))
    }

    /// Waits until the pair stands as wanted; answers how long that took.
    async fn wait(
        &self,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Snapshot) -> bool,
    ) -> Result<u64, Failure> {
        let began = now();
        let mut snapshots = self.handle.snapshot.clone();
        let waiting = snapshots.wait_for(|pair| is_so(pair));
        match tokio::time::timeout(limit, waiting).await {
            Ok(Ok(_)) => Ok(now().ms_since(began)),
            Ok(Err(_)) => Err(failure("the supervisor ended")),
            Err(_) => Err(Failure {
                why: format!("{what}: not within {} s", limit.as_secs()),
            }),
        }
    }

    async fn ask(&self, request: Request) -> Result<(), Failure> {
        self.handle
            .ask(request)
            .await
            .map(drop)
            .map_err(|why| Failure {
                why: why.to_string(),
            })
    }

    async fn step(&mut self, text: &str) {
        self.step += 1;
        // The demo may be ending.
        let _ = self
            .say
            .send(Saying::Step(format!("Step {}: {text}", self.step)))
            .await;
    }

    async fn note(&self, text: String) {
        let _ = self.say.send(Saying::Note(text)).await;
    }
}

fn failure(why: &str) -> Failure {
    Failure {
        why: why.to_owned(),
    }
}

fn active(pair: &Snapshot) -> Option<Side> {
    pair.active.as_ref().and_then(|side| side.parse().ok())
}

fn is_active(pair: &Snapshot, side: Side) -> bool {
    active(pair) == Some(side)
}

fn is_settled(pair: &Snapshot, side: Side) -> bool {
    pair.side(side).is_some_and(|side| side.settled)
}
