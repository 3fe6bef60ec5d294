//! Asks both brokers, each about fifty times a second, what only a broker that serves answers: a CORE session's question about the queue.
//!
//! Each is asked from the network of its own node, so that a broker on a node that is cut off is asked too: one that went on serving
//! there would be found. What counts as proof of two actives says `overlap`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cluster::{Cluster, Container};
use core_client::{Client, ClientOptions, Endpoint, SessionMode};

use super::overlap::{Answer, Overlap, overlap};
use super::pair::{PASSWORD, PORT, QUEUE, USER};
use crate::support::duo::Side;
use crate::support::now_ms;

const EVERY: Duration = Duration::from_millis(20);
/// A frozen broker's kernel accepts: so long an attempt may take before the next one.
const CONNECT_LIMIT_MS: u64 = 500;
/// Longer than any freeze: a question waits for its answer until the connection is lost.
const ANSWER_LIMIT_MS: u64 = 60_000;

/// The threads that ask. They end with this.
pub(crate) struct Sampler {
    sides: [Arc<Asked>; 2],
    begin_ms: u64,
}

/// One side: where it is, and when it answered.
struct Asked {
    address: Mutex<String>,
    answers: Mutex<Vec<Answer>>,
    stop: AtomicBool,
}

impl Sampler {
    /// Begins to ask.
    pub(crate) fn start(cluster: &Cluster, primary: &Container, backup: &Container) -> Sampler {
        let begin = Instant::now();
        let sampler = Sampler {
            sides: [primary, backup].map(|container| {
                Arc::new(Asked {
                    address: Mutex::new(container.address.clone()),
                    answers: Mutex::default(),
                    stop: AtomicBool::new(false),
                })
            }),
            begin_ms: now_ms(),
        };
        for (asked, container) in sampler.sides.iter().zip([primary, backup]) {
            let asked = Arc::clone(asked);
            let network = cluster
                .node_named(&container.node)
                .expect("its node")
                .network();
            thread::spawn(move || {
                network.enter().expect("the node's network");
                asked.ask(begin);
            });
        }
        sampler
    }

    /// Asks a side at another address from now on.
    pub(crate) fn follow(&self, side: Side, container: &Container) {
        let asked = &self.sides[usize::from(side == Side::Backup)];
        asked
            .address
            .lock()
            .expect("only set")
            .clone_from(&container.address);
    }

    /// Proven time with two actives, since the start.
    pub(crate) fn two_actives(&self) -> Overlap {
        let [one, other] = self.answers();
        overlap(&one, &other)
    }

    /// The longest time without an answer of either side between two moments, in milliseconds since 1970.
    pub(crate) fn longest_silence_ms(&self, from: u64, to: u64) -> u64 {
        let mut times: Vec<u64> = self
            .answers()
            .iter()
            .flatten()
            .filter(|answer| answer.is_fresh())
            .map(|answer| self.begin_ms + answer.answered_us / 1_000)
            .filter(|time| (from..=to).contains(time))
            .collect();
        times.extend([from, to]);
        times.sort_unstable();
        times
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap_or(0)
    }

    fn answers(&self) -> [Vec<Answer>; 2] {
        [0, 1].map(|side: usize| {
            self.sides[side]
                .answers
                .lock()
                .expect("only pushed")
                .clone()
        })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // One of them may wait for an answer that never comes, so nobody waits for them.
        for asked in &self.sides {
            asked.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Asked {
    fn ask(&self, begin: Instant) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        while !self.stop.load(Ordering::Relaxed) {
            // Ends with the connection; that there is none is what was to be found out.
            let _ = runtime.block_on(self.ask_one_session(begin));
            thread::sleep(EVERY);
        }
    }

    async fn ask_one_session(&self, begin: Instant) -> Result<()> {
        let address = self.address.lock().expect("only set").clone();
        let mut options = ClientOptions::new([Endpoint::new(&address, PORT)]);
        options.connect_timeout_ms = CONNECT_LIMIT_MS;
        options.call_timeout_ms = ANSWER_LIMIT_MS;
        options.call_failover_timeout_ms = 1;
        options.reconnect_attempts = Some(1);
        let client = Client::connect(options.with_credentials(USER, PASSWORD)).await?;
        let session = client.session(SessionMode::AutoAcknowledge).await?;
        let now_us = || u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        while !self.stop.load(Ordering::Relaxed) {
            let asked_us = now_us();
            session.queue_state(QUEUE).await?;
            let answered_us = now_us();
            // The client may have followed the pair to the other broker; this thread asks one broker alone.
            client
                .endpoint()
                .filter(|endpoint| endpoint.host == address)
                .context("not this broker")?;
            let answer = Answer {
                asked_us,
                answered_us,
            };
            self.answers.lock().expect("only pushed").push(answer);
            tokio::time::sleep(EVERY).await;
        }
        Ok(())
    }
}
