//! The Rust client at full speed: how far the broker goes when the client costs little. One thread serves all its connections.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use core_client::{
    Client, ClientOptions, Consumer, DEFAULT_WINDOW_BYTES, Endpoint, Producer, SessionMode,
};
use core_protocol::message::kind;
use core_protocol::{Message, MessageBuilder};
use tokio::task::LocalSet;

use crate::broker::{PASSWORD, PRIMARY_PORT, USER};
use crate::order::{Kind, Load, Numbers, Time};
use crate::statistics::percentile;

/// Pause between two attempts to connect to a broker that starts: short beside what is measured.
const RETRY_MS: u64 = 2;
/// A broker that accepts before it answers must not hide that the other one serves already.
const CONNECT_TIMEOUT_MS: u64 = 500;
/// How long a broker may take to start.
const CONNECT_LIMIT: Duration = Duration::from_mins(1);
/// Acknowledgements are sent in groups of so many when a queue is emptied.
const DRAIN_BATCH: usize = 100;
const DRAIN_LIMIT: Duration = Duration::from_mins(1);
/// Without a message for so long a queue is empty.
const EMPTY_AFTER: Duration = Duration::from_secs(1);
/// Bodies are sent in one piece; the client has no large messages.
const MAX_BODY_BYTES: u32 = 64 * 1024;

/// Opens a session with the first of the ports that serves, and returns when it is open.
pub(crate) fn wait_for_session(ports: &[u16]) -> Result<()> {
    block_on(async {
        let end = Instant::now() + CONNECT_LIMIT;
        loop {
            let error = match connect(ports).await {
                Ok(client) => match client.session(SessionMode::AutoAcknowledge).await {
                    Ok(_) => return Ok(()),
                    Err(error) => anyhow::Error::from(error),
                },
                Err(error) => error,
            };
            if Instant::now() > end {
                return Err(error.context(format!("no session within {CONNECT_LIMIT:?}")));
            }
            tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
        }
    })?
}

/// A load on the primary's port.
pub(crate) fn load(load: &Load, queue: &str) -> Result<Numbers> {
    if load.size > MAX_BODY_BYTES {
        bail!("the Rust client sends at most {MAX_BODY_BYTES} bytes in one message");
    }
    let receiving = match load.kind {
        Kind::Send => false,
        Kind::Receive => true,
        Kind::Transacted => bail!("the Rust client's load has no transactions"),
    };
    block_on(async {
        let tasks = LocalSet::new();
        tasks
            .run_until(run(load, queue.to_owned(), receiving))
            .await
    })?
}

/// What the tasks of one load share.
struct Shared {
    queue: String,
    message: Message,
    measured_from: Instant,
    end: Instant,
    measured: Cell<u32>,
    acknowledged: Cell<u32>,
    received: Cell<u32>,
    sends_us: RefCell<Vec<f64>>,
}

impl Shared {
    fn new(queue: String, size: u32, time: Time) -> Result<Shared> {
        let mut message = MessageBuilder::to(queue.clone());
        message.kind = kind::BYTES;
        message.durable = true;
        message.body = Bytes::from(vec![0; usize::try_from(size)?]);
        let measured_from = Instant::now() + Duration::from_millis(u64::from(time.warm_ms));
        Ok(Shared {
            queue,
            message: message.build(),
            measured_from,
            end: measured_from + Duration::from_millis(u64::from(time.measured_ms)),
            measured: Cell::new(0),
            acknowledged: Cell::new(0),
            received: Cell::new(0),
            sends_us: RefCell::default(),
        })
    }

    fn is_measured(&self, now: Instant) -> bool {
        now >= self.measured_from && now < self.end
    }
}

fn count(cell: &Cell<u32>) {
    cell.set(cell.get().saturating_add(1));
}

async fn run(load: &Load, queue: String, receiving: bool) -> Result<Numbers> {
    let mut clients = Vec::new();
    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..load.clients {
        let client = connect(&[PRIMARY_PORT]).await?;
        let session = client.session(SessionMode::AutoAcknowledge).await?;
        session
            .ensure_queue(&queue, &queue, core_client::Routing::Anycast)
            .await?;
        producers.push(session.producer(&queue).await?);
        clients.push(client);
        if receiving {
            let client = connect(&[PRIMARY_PORT]).await?;
            consumers.push(consumer(&client, &queue).await?);
            clients.push(client);
        }
    }
    let shared = Rc::new(Shared::new(queue, load.size, load.time)?);
    let mut tasks = Vec::new();
    for consumer in consumers {
        let shared = Rc::clone(&shared);
        tasks.push(tokio::task::spawn_local(async move {
            receive(&shared, &consumer).await
        }));
    }
    for producer in producers {
        let shared = Rc::clone(&shared);
        tasks.push(tokio::task::spawn_local(async move {
            send(&shared, &producer, receiving).await
        }));
    }
    for task in tasks {
        task.await.context("a client's task failed")??;
    }
    let left = drain(&shared).await?;
    let seconds = f64::from(load.time.measured_ms) / 1_000.0;
    let sends = shared.sends_us.borrow();
    Ok(Numbers::from([
        (
            "per_second".to_owned(),
            f64::from(shared.measured.get()) / seconds,
        ),
        ("send_p50_us".to_owned(), percentile(&sends, 0.5)),
        ("send_p99_us".to_owned(), percentile(&sends, 0.99)),
        (
            "acknowledged".to_owned(),
            f64::from(shared.acknowledged.get()),
        ),
        (
            "received".to_owned(),
            f64::from(shared.received.get()) + f64::from(left),
        ),
    ]))
}

async fn send(shared: &Shared, producer: &Producer, receiving: bool) -> Result<()> {
    loop {
        let begin = Instant::now();
        if begin >= shared.end {
            return Ok(());
        }
        producer.send(&shared.message).await?;
        count(&shared.acknowledged);
        let now = Instant::now();
        if shared.is_measured(now) {
            shared
                .sends_us
                .borrow_mut()
                .push((now - begin).as_secs_f64() * 1e6);
            if !receiving {
                count(&shared.measured);
            }
        }
    }
}

async fn receive(shared: &Shared, consumer: &Consumer) -> Result<()> {
    while Instant::now() < shared.end {
        let Some(delivery) = consumer.receive(Duration::from_millis(100)).await? else {
            continue;
        };
        consumer.acknowledge(&delivery).await?;
        count(&shared.received);
        if shared.is_measured(Instant::now()) {
            count(&shared.measured);
        }
    }
    Ok(())
}

/// Empties the queue and counts what was in it.
async fn drain(shared: &Shared) -> Result<u32> {
    let client = connect(&[PRIMARY_PORT]).await?;
    let consumer = consumer(&client, &shared.queue).await?;
    let end = Instant::now() + DRAIN_LIMIT;
    let mut count = 0;
    let mut waiting = Vec::new();
    while Instant::now() < end && shared.received.get() + count < shared.acknowledged.get() {
        let Some(delivery) = consumer.receive(EMPTY_AFTER).await? else {
            break;
        };
        count += 1;
        waiting.push(delivery);
        if waiting.len() >= DRAIN_BATCH {
            acknowledge_last(&consumer, &mut waiting).await?;
        }
    }
    acknowledge_last(&consumer, &mut waiting).await?;
    Ok(count)
}

/// An acknowledgement covers every delivery before it.
async fn acknowledge_last(
    consumer: &Consumer,
    waiting: &mut Vec<core_client::Delivery>,
) -> Result<()> {
    if let Some(last) = waiting.last() {
        consumer.acknowledge(last).await?;
    }
    waiting.clear();
    Ok(())
}

async fn consumer(client: &Client, queue: &str) -> Result<Consumer> {
    let session = client.session(SessionMode::AutoAcknowledge).await?;
    Ok(session.consumer(queue, DEFAULT_WINDOW_BYTES).await?)
}

async fn connect(ports: &[u16]) -> Result<Client> {
    let endpoints = ports.iter().map(|port| Endpoint::new("127.0.0.1", *port));
    let mut options = ClientOptions::new(endpoints).with_credentials(USER, PASSWORD);
    options.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    Ok(Client::connect(options).await?)
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?
        .block_on(work))
}
