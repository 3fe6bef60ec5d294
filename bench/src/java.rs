//! The JMS client of `bench/client`, as a process for each measurement.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::arguments::Places;
use crate::broker::{BACKUP_PORT, PASSWORD, PRIMARY_PORT, USER};
use crate::order::{Load, Numbers, Time};
use crate::process::output_of;

/// What a client may take beyond its measured time: start, connections, emptying the queue.
const OVERHEAD_LIMIT: Duration = Duration::from_secs(90);
/// How long one answer of the client of a failover may take: it waits 30 s for lost messages.
const ANSWER_LIMIT: Duration = Duration::from_secs(70);
/// Putting a million messages into a queue.
const FILL_LIMIT: Duration = Duration::from_mins(10);
/// Answers that nobody has read yet; each order has one.
const ANSWERS: usize = 16;

/// Messages of a batch where sends are committed together.
pub(crate) const BATCH: u32 = 100;

/// A load on the primary's port.
pub(crate) fn load(places: &Places, load: &Load, queue: &str) -> Result<Numbers> {
    let mut command = client(places, "load");
    command
        .args(single_url())
        .arg(format!("queue={queue}"))
        .arg(format!("kind={}", load.kind.name()))
        .arg(format!("clients={}", load.clients))
        .arg(format!("size={}", load.size))
        .arg(format!("batch={BATCH}"));
    finish(&mut command, load.time)
}

/// One producer and many subscribers.
pub(crate) fn topic(
    places: &Places,
    subscribers: u32,
    size: u32,
    time: Time,
    topic: &str,
) -> Result<Numbers> {
    let mut command = client(places, "topic");
    command
        .args(single_url())
        .arg(format!("topic={topic}"))
        .arg(format!("subscribers={subscribers}"))
        .arg(format!("size={size}"));
    finish(&mut command, time)
}

/// Messages for a queue that nobody reads.
pub(crate) fn fill(places: &Places, queue: &str, count: u32, size: u32) -> Result<Numbers> {
    let mut command = client(places, "fill");
    command
        .args(single_url())
        .arg(format!("queue={queue}"))
        .arg(format!("count={count}"))
        .arg(format!("size={size}"));
    parse(&output_of("the JMS client", &mut command, FILL_LIMIT)?)
}

fn finish(command: &mut Command, time: Time) -> Result<Numbers> {
    command
        .arg(format!("warm={}", time.warm_ms))
        .arg(format!("time={}", time.measured_ms));
    let limit = OVERHEAD_LIMIT + Duration::from_millis(u64::from(time.warm_ms + time.measured_ms));
    parse(&output_of("the JMS client", command, limit)?)
}

/// The client in one of its modes, with everything but what is of that mode alone.
pub(crate) fn client(places: &Places, mode: &str) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx1g", "-cp", &places.class_path])
        .args(["dev.tandem.bench.Main", mode])
        .arg(format!("user={USER}"))
        .arg(format!("password={PASSWORD}"));
    command
}

fn single_url() -> [String; 1] {
    [format!("url=tcp://127.0.0.1:{PRIMARY_PORT}")]
}

fn pair_url(retry_interval_ms: u32) -> String {
    let side = |port: u16| {
        format!(
            "tcp://127.0.0.1:{port}?ha=true&retryInterval={retry_interval_ms}&retryIntervalMultiplier=1.0&reconnectAttempts=-1"
        )
    };
    format!("url=({},{})", side(PRIMARY_PORT), side(BACKUP_PORT))
}

fn parse(line: &str) -> Result<Numbers> {
    let last = line.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("the JMS client says {line:?}"))
}

/// A client that takes orders on its standard input and answers each with one line.
#[derive(Debug)]
pub(crate) struct Conversation {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Conversation {
    /// Starts the client.
    pub(crate) fn start(command: &mut Command) -> Result<Conversation> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start java")?;
        let orders = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (sender, answers) = sync_channel(ANSWERS);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Conversation {
            child,
            orders,
            answers,
        })
    }

    /// Gives an order and returns its answer.
    pub(crate) fn ask(&mut self, order: &str, limit: Duration) -> Result<String> {
        writeln!(self.orders, "{order}").context("the JMS client has ended")?;
        self.orders.flush()?;
        match self.answers.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the JMS client has not answered {order:?} within {limit:?}")
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the JMS client has ended instead of answering {order:?}")
            }
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The client that lives through failovers, and takes orders meanwhile.
#[derive(Debug)]
pub(crate) struct GapClient(Conversation);

impl GapClient {
    /// Starts a sender and a receiver that know both brokers.
    pub(crate) fn start(
        places: &Places,
        retry_interval_ms: u32,
        pause_ms: u32,
        queue: &str,
    ) -> Result<GapClient> {
        let mut command = client(places, "gap");
        command
            .arg(pair_url(retry_interval_ms))
            .arg(format!("queue={queue}"))
            .arg(format!("pause={pause_ms}"))
            .stderr(Stdio::inherit());
        Ok(GapClient(Conversation::start(&mut command)?))
    }

    /// Gives an order and returns its answer.
    pub(crate) fn ask(&mut self, order: &str) -> Result<Numbers> {
        parse(&self.0.ask(order, ANSWER_LIMIT)?)
    }
}
