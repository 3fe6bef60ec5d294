//! Numbered messages through the Rust client while brokers come and go, in a thread of their own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use core_client::{
    CallError, Client, ClientOptions, Consumer, DEFAULT_WINDOW_BYTES, Endpoint, Producer,
    SessionMode,
};
use core_protocol::message::{kind, text_body};
use core_protocol::{Message, MessageBuilder};

use super::account::{Account, Received};
use super::duo::{Duo, wait_until_in_sync};
use super::instance::{BACKUP_PORT, PRIMARY_PORT};
use super::wait_for;

const QUEUE: &str = "exampleQueue";

/// Pause between two sends: enough of them to hit every moment of a takeover, not so many that the machine is busy.
const SEND_EVERY: Duration = Duration::from_millis(4);

/// How long the receiver waits for the last acknowledged message before it counts as lost.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// Time for a client to find a broker that serves.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// Messages that show that they flow.
const FLOWS: usize = 100;

/// What both clients note while they run.
#[derive(Default)]
struct Notes {
    /// When each acknowledgement came, and its number.
    acknowledged: Vec<(Instant, u32)>,
    received: Received,
    unknown: usize,
}

/// A sender and a receiver at work.
pub(crate) struct Traffic {
    notes: Arc<Mutex<Notes>>,
    stop_sending: Arc<AtomicBool>,
    stop_receiving: Arc<AtomicBool>,
    sender: JoinHandle<()>,
    receiver: JoinHandle<()>,
}

impl Traffic {
    /// Starts a pair and, once both sides are in sync, both clients; answers when messages flow.
    pub(crate) fn on(duo: &mut Duo) -> Traffic {
        duo.start();
        wait_until_in_sync();
        let traffic = Traffic::start();
        traffic.goes_on(FLOWS, "at first");
        traffic
    }

    /// Starts both; they know both sides of the worksheet's pair.
    pub(crate) fn start() -> Traffic {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let stop_sending = Arc::new(AtomicBool::new(false));
        let stop_receiving = Arc::new(AtomicBool::new(false));
        let sender = {
            let (notes, stop) = (Arc::clone(&notes), Arc::clone(&stop_sending));
            thread::spawn(move || block_on(send(&notes, &stop)))
        };
        let receiver = {
            let (notes, stop) = (Arc::clone(&notes), Arc::clone(&stop_receiving));
            thread::spawn(move || block_on(receive(&notes, &stop)))
        };
        Traffic {
            notes,
            stop_sending,
            stop_receiving,
            sender,
            receiver,
        }
    }

    /// Waits until so many more sends are acknowledged and as many messages received.
    pub(crate) fn goes_on(&self, more: usize, when: &str) {
        let counts = || {
            let notes = self.notes.lock().expect("no client panics with the lock");
            (notes.acknowledged.len(), notes.received.numbers.len())
        };
        let before = counts();
        wait_for(
            &format!("{more} more messages {when}"),
            CONNECT_LIMIT,
            || {
                assert!(!self.sender.is_finished(), "the sender failed {when}");
                assert!(!self.receiver.is_finished(), "the receiver failed {when}");
                let after = counts();
                (after.0 >= before.0 + more && after.1 >= before.1 + more).then_some(())
            },
        );
    }

    /// The longest time between two acknowledgements since `from`.
    pub(crate) fn longest_gap_ms(&self, from: Instant) -> u128 {
        let notes = self.notes.lock().expect("no client panics with the lock");
        notes
            .acknowledged
            .windows(2)
            .filter(|pair| pair[1].0 >= from)
            .map(|pair| (pair[1].0 - pair[0].0).as_millis())
            .max()
            .unwrap_or(0)
    }

    /// Ends the sender, lets the receiver take what is left, and returns the account; nothing may be lost.
    pub(crate) fn finish(self) -> Account {
        self.stop_sending.store(true, Ordering::Relaxed);
        self.sender.join().expect("the sender ends well");
        let account = || {
            let notes = self.notes.lock().expect("no client panics with the lock");
            let acknowledged: BTreeSet<u32> = notes
                .acknowledged
                .iter()
                .map(|(_, number)| *number)
                .collect();
            Account::new(&acknowledged, &notes.received)
        };
        let end = Instant::now() + DRAIN_LIMIT;
        while !account().lost.is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        self.stop_receiving.store(true, Ordering::Relaxed);
        self.receiver.join().expect("the receiver ends well");
        let account = account();
        assert!(
            account.lost.is_empty(),
            "acknowledged and never received: {:?}",
            account.lost
        );
        println!(
            "{account}; {} sends of unknown outcome",
            self.notes.lock().expect("all joined").unknown
        );
        account
    }
}

/// How many messages are in the queue, as a client is told.
pub(crate) fn messages_in_queue() -> i64 {
    block_on(async {
        let client = connect().await;
        let session = client
            .session(SessionMode::AutoAcknowledge)
            .await
            .expect("a session");
        session
            .queue_state(QUEUE)
            .await
            .expect("the queue's state")
            .message_count
    })
}

/// Sends the numbers 1 to `count`, each acknowledged.
pub(crate) fn send_all(count: u32) {
    block_on(async {
        let client = connect().await;
        let producer = producer(&client).await;
        for number in 1..=count {
            producer
                .send(&message(number))
                .await
                .expect("nothing disturbs this send");
        }
    });
}

/// Receives until the queue is empty; returns the numbers in their order.
pub(crate) fn receive_all() -> Vec<u32> {
    block_on(async {
        let client = connect().await;
        let consumer = consumer(&client).await;
        let mut numbers = Vec::new();
        while let Some(delivery) = consumer
            .receive(Duration::from_secs(1))
            .await
            .expect("a delivery")
        {
            consumer
                .acknowledge(&delivery)
                .await
                .expect("an acknowledgement");
            numbers.push(number_of(&delivery.message));
        }
        numbers
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

async fn connect() -> Client {
    let mut options = ClientOptions::new([
        Endpoint::new("127.0.0.1", PRIMARY_PORT),
        Endpoint::new("127.0.0.1", BACKUP_PORT),
    ]);
    let rounds = CONNECT_LIMIT.as_millis() / u128::from(options.retry_interval_ms);
    options.initial_connect_attempts = u32::try_from(rounds).expect("a few hundred");
    // As in the URL that `tandem local` prints: a broker that hangs is given up after a few seconds.
    options.connection_ttl_ms = 4_000;
    options.failure_check_period_ms = 1_000;
    options.call_timeout_ms = 5_000;
    options.connect_timeout_ms = 2_000;
    Client::connect(options.with_credentials("admin", "password"))
        .await
        .expect("a broker that serves")
}

async fn producer(client: &Client) -> Producer {
    let session = client
        .session(SessionMode::AutoAcknowledge)
        .await
        .expect("a session");
    session.producer(QUEUE).await.expect("a producer")
}

async fn consumer(client: &Client) -> Consumer {
    let session = client
        .session(SessionMode::AutoAcknowledge)
        .await
        .expect("a session");
    session
        .consumer(QUEUE, DEFAULT_WINDOW_BYTES)
        .await
        .expect("a consumer")
}

async fn send(notes: &Mutex<Notes>, stop: &AtomicBool) {
    let client = connect().await;
    let producer = producer(&client).await;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        // The same number until it is acknowledged: none may be missing, some may come twice.
        while let Err(error) = producer.send(&message(number)).await {
            println!("send of {number}: {error}");
            notes
                .lock()
                .expect("no client panics with the lock")
                .unknown += 1;
            tokio::time::sleep(SEND_EVERY).await;
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
        notes
            .lock()
            .expect("no client panics with the lock")
            .acknowledged
            .push((Instant::now(), number));
        tokio::time::sleep(SEND_EVERY).await;
    }
}

async fn receive(notes: &Mutex<Notes>, stop: &AtomicBool) {
    let client = connect().await;
    let consumer = consumer(&client).await;
    while !stop.load(Ordering::Relaxed) {
        let Some(delivery) = consumer
            .receive(Duration::from_millis(100))
            .await
            .expect("the client reconnects")
        else {
            continue;
        };
        notes
            .lock()
            .expect("no client panics with the lock")
            .received
            .add(number_of(&delivery.message));
        match consumer.acknowledge(&delivery).await {
            // It comes again: the connection was lost before the broker had the acknowledgement.
            Ok(())
            | Err(
                CallError::StaleDelivery { .. }
                | CallError::OutcomeUnknown { .. }
                | CallError::NotConnected { .. },
            ) => {}
            Err(error) => panic!("an acknowledgement failed: {error}"),
        }
    }
}

fn message(number: u32) -> Message {
    let mut message = MessageBuilder::to(QUEUE);
    message.kind = kind::TEXT;
    message.durable = true;
    message.body = text_body(&number.to_string());
    message.build()
}

fn number_of(message: &Message) -> u32 {
    message
        .text()
        .and_then(|text| text.parse().ok())
        .expect("a number that the sender sent")
}
