//! Asks both brokers, each about fifty times a second, what only a broker that serves answers: a CORE session's question about a
//! queue. An open port proves nothing, for the kernel accepts connections for a frozen process.
//!
//! Each side has one connection and at most one question under way. If the answer does not come the question stays under way and no
//! other is asked, so a frozen broker finds one question when it wakes, not hundreds; that late answer tells of no moment
//! (`overlap::FRESH_US`), the next one does. Our broker's page is asked in the same rhythm on a connection of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use core_client::{Client, ClientOptions, Endpoint, SessionMode};

use super::clock::now_us;
use super::load::QUEUE;
use super::overlap::{Answer, Overlap, overlap};
use super::page::{Page, Pages};
use super::sides::Side;
use crate::broker::{PASSWORD, Product, USER};

/// Pause between an answer and the next question, and between two attempts to connect.
const EVERY: Duration = Duration::from_millis(20);
/// A frozen broker's kernel accepts: so long an attempt may take before the next one.
const CONNECT_LIMIT_MS: u64 = 1_000;
/// Longer than any freeze: a question waits for its answer until the connection is lost.
const ANSWER_LIMIT_MS: u64 = 60_000;
/// What was said longer ago is not how things stand.
const CURRENT_US: u64 = 400_000;

/// What is known of one side.
#[derive(Debug, Default)]
struct Seen {
    answers: Mutex<Vec<Answer>>,
    served_pages: Mutex<Vec<Answer>>,
    page: Mutex<Option<(u64, Page)>>,
}

/// The threads that ask; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Sampler {
    seen: [Arc<Seen>; 2],
    stop: Arc<AtomicBool>,
}

impl Sampler {
    /// Begins to ask.
    pub(crate) fn start(product: Product) -> Sampler {
        let sampler = Sampler {
            seen: [Arc::default(), Arc::default()],
            stop: Arc::default(),
        };
        for side in Side::BOTH {
            let asker = Asker {
                side,
                seen: Arc::clone(sampler.of(side)),
                stop: Arc::clone(&sampler.stop),
            };
            thread::spawn(move || asker.ask_sessions());
            if product == Product::Tandem {
                let asker = Asker {
                    side,
                    seen: Arc::clone(sampler.of(side)),
                    stop: Arc::clone(&sampler.stop),
                };
                thread::spawn(move || asker.ask_pages());
            }
        }
        sampler
    }

    /// Whether a side's session has answered just now.
    pub(crate) fn answers(&self, side: Side) -> bool {
        lock(&self.of(side).answers)
            .last()
            .is_some_and(|answer| answer.is_fresh() && is_current(answer.answered_us))
    }

    /// What a side says of itself, if it said it just now.
    pub(crate) fn page(&self, side: Side) -> Option<Page> {
        let page = lock(&self.of(side).page);
        let (answered_us, page) = page.as_ref()?;
        is_current(*answered_us).then(|| page.clone())
    }

    /// When any side answered a session's question in this time, in order.
    pub(crate) fn answered(&self, from_us: u64, to_us: u64) -> Vec<u64> {
        let mut times = Vec::new();
        for side in Side::BOTH {
            let answers = since(&self.of(side).answers, from_us);
            times.extend(
                answers
                    .iter()
                    .filter(|answer| answer.is_fresh() && answer.answered_us <= to_us)
                    .map(|answer| answer.answered_us),
            );
        }
        times.sort_unstable();
        times
    }

    /// Two that answered sessions at once, since then.
    pub(crate) fn two_actives(&self, from_us: u64) -> Overlap {
        let [one, other] = Side::BOTH.map(|side| since(&self.of(side).answers, from_us));
        overlap(&one, &other)
    }

    /// Two whose pages said at once that they serve, since then.
    pub(crate) fn two_pages(&self, from_us: u64) -> Overlap {
        let [one, other] = Side::BOTH.map(|side| since(&self.of(side).served_pages, from_us));
        overlap(&one, &other)
    }

    fn of(&self, side: Side) -> &Arc<Seen> {
        let [primary, backup] = &self.seen;
        match side {
            Side::Primary => primary,
            Side::Backup => backup,
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One thread's part.
struct Asker {
    side: Side,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
}

impl Asker {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn ask_sessions(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        while !self.is_stopped() {
            // Ends with the connection; that there is none is what was to be found out.
            let _ = runtime.block_on(self.ask_session());
            thread::sleep(EVERY);
        }
    }

    async fn ask_session(&self) -> Result<()> {
        let port = self.side.client_port();
        let mut options =
            ClientOptions::new([Endpoint::new("127.0.0.1", port)]).with_credentials(USER, PASSWORD);
        options.connect_timeout_ms = CONNECT_LIMIT_MS;
        options.call_timeout_ms = ANSWER_LIMIT_MS;
        options.call_failover_timeout_ms = 1;
        options.reconnect_attempts = Some(1);
        let client = Client::connect(options).await?;
        let session = client.session(SessionMode::AutoAcknowledge).await?;
        while !self.is_stopped() {
            let asked_us = now_us();
            session.queue_state(QUEUE).await?;
            let answered_us = now_us();
            // The client may have followed the pair to the other broker; this thread asks one broker alone.
            client
                .endpoint()
                .filter(|endpoint| endpoint.port == port)
                .context("not this broker")?;
            lock(&self.seen.answers).push(Answer {
                asked_us,
                answered_us,
            });
            tokio::time::sleep(EVERY).await;
        }
        Ok(())
    }

    fn ask_pages(&self) {
        while !self.is_stopped() {
            let _ = self.ask_page();
            thread::sleep(EVERY);
        }
    }

    fn ask_page(&self) -> Result<()> {
        let mut pages = Pages::open(self.side.http_port())?;
        while !self.is_stopped() {
            let asked_us = now_us();
            let page = pages.ask()?;
            let answered_us = now_us();
            if page.serves() {
                lock(&self.seen.served_pages).push(Answer {
                    asked_us,
                    answered_us,
                });
            }
            *lock(&self.seen.page) = Some((answered_us, page));
            thread::sleep(EVERY);
        }
        Ok(())
    }
}

fn is_current(answered_us: u64) -> bool {
    now_us().saturating_sub(answered_us) <= CURRENT_US
}

fn since(answers: &Mutex<Vec<Answer>>, from_us: u64) -> Vec<Answer> {
    let answers = lock(answers);
    let from = answers.partition_point(|answer| answer.answered_us < from_us);
    answers.get(from..).unwrap_or_default().to_vec()
}

/// Whoever held it only added a value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
