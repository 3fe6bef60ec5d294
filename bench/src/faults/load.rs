//! The JMS client under whose load the faults happen, and what it tells.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::clock::now_us;
use super::sides::Side;
use crate::arguments::Places;
use crate::java::{Conversation, client};

/// The queue of the load.
pub(crate) const QUEUE: &str = "faults";
/// Half of them send one by one, half in transactions.
pub(crate) const PRODUCERS: u32 = 16;
/// Pause of a producer after each message that it sends by itself. With its transactions (`FaultsProducer.java`) the load sends
/// about 1,500 messages a second, which leaves the machine idle for the most part.
const PAUSE_MS: u32 = 12;

/// The client answers at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// At the end it waits for its threads, for lost messages, and for an empty queue.
const FINISH_LIMIT: Duration = Duration::from_mins(5);
/// Its clock is ours, read a moment later.
const SAME_CLOCK_US: u64 = 1_000_000;

/// The URL that `tandem local` recommends, for the ports of this pair.
fn url() -> String {
    let broker = |side: Side| {
        format!(
            "tcp://127.0.0.1:{}?connect-timeout-millis=2000",
            side.client_port()
        )
    };
    format!(
        "url=({},{})?ha=true&reconnectAttempts=-1&retryInterval=100&connectionTTL=4000&clientFailureCheckPeriod=1000&callTimeout=5000",
        broker(Side::Primary),
        broker(Side::Backup)
    )
}

/// How far the load is.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Progress {
    pub(crate) acknowledged: u64,
    pub(crate) received: u64,
}

/// The gaps between acknowledgements that reach into a time.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Window {
    /// The longest of each producer.
    pub(crate) each_us: Vec<u64>,
    /// Begin and end of the longest in which no producer was told anything.
    pub(crate) all: Vec<(u64, u64)>,
}

/// What became of every message; the client's `Account.java` says what each number means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) twice_committed: u64,
    pub(crate) only_perhaps: u64,
    pub(crate) dead_letters: u64,
    pub(crate) torn: u64,
    pub(crate) damaged: u64,
    pub(crate) unknown: u64,
    pub(crate) unknown_arrived: u64,
    pub(crate) rolled_back: u64,
    pub(crate) rolled_back_arrived: u64,
    pub(crate) abandoned: u64,
    pub(crate) abandoned_arrived: u64,
    pub(crate) in_flight: u64,
    pub(crate) named_lost: Vec<Lost>,
}

/// One message that was acknowledged and never came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    pub(crate) producer: u32,
    pub(crate) index: u32,
    pub(crate) acknowledged_us: u64,
}

#[derive(Debug, Deserialize)]
struct Finished {
    drained: bool,
    account: Account,
}

#[derive(Debug, Deserialize)]
struct Behind {
    behind: u32,
}

#[derive(Debug, Deserialize)]
struct Now {
    now_us: u64,
}

/// The running client.
#[derive(Debug)]
pub(crate) struct Load(Conversation);

impl Load {
    /// Starts all producers and consumers; what happens to them goes to `log`.
    pub(crate) fn start(places: &Places, log: &Path) -> Result<Load> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = client(places, "faults");
        command
            .arg(url())
            .arg(format!("queue={QUEUE}"))
            .arg(format!("producers={PRODUCERS}"))
            .arg(format!("pause={PAUSE_MS}"))
            .stderr(file);
        let mut load = Load(Conversation::start(&mut command)?);
        let Now { now_us: theirs } = load.ask("now", ANSWER_LIMIT)?;
        if now_us().abs_diff(theirs) > SAME_CLOCK_US {
            bail!("this Java reads another clock than we do: {theirs} µs there");
        }
        Ok(load)
    }

    /// How many were acknowledged and received so far.
    pub(crate) fn progress(&mut self) -> Result<Progress> {
        self.ask("look", ANSWER_LIMIT)
    }

    /// How many producers were told nothing since then.
    pub(crate) fn behind(&mut self, since_us: u64) -> Result<u32> {
        let Behind { behind } = self.ask(&format!("behind {since_us}"), ANSWER_LIMIT)?;
        Ok(behind)
    }

    /// The gaps that reach into this time.
    pub(crate) fn window(&mut self, from_us: u64, to_us: u64) -> Result<Window> {
        self.ask(&format!("window {from_us} {to_us}"), ANSWER_LIMIT)
    }

    /// Stops sending, takes everything that is left, and gives the account.
    pub(crate) fn finish(mut self) -> Result<Account> {
        let Finished { drained, account } = self.ask("finish", FINISH_LIMIT)?;
        if !drained {
            bail!("the queue could not be emptied, so nobody knows what is lost: {account:?}");
        }
        Ok(account)
    }

    fn ask<T: DeserializeOwned>(&mut self, order: &str, limit: Duration) -> Result<T> {
        let answer = self.0.ask(order, limit)?;
        serde_json::from_str(&answer)
            .with_context(|| format!("the JMS client answers {order:?} with {answer:?}"))
    }
}
