//! The demo's sender and receiver: what an application would do, with numbered messages.
//!
//! The sender repeats what it has no answer for, under the same duplicate id, so that a broker that
//! has it already does not store it twice. Everything else is the client's own reconnection.

use std::collections::BTreeMap;
use std::time::Duration;

use core_client::{
    CallError, Client, ClientOptions, DEFAULT_WINDOW_BYTES, Endpoint, Producer, SendError,
    SessionMode,
};
use core_protocol::MessageBuilder;
use core_protocol::message::{Value, kind, text_body};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::ledger::Shared;
use crate::api::validate::ValidatedPair;
use crate::local::credentials::{hex, random};
use crate::local::supervisor;
use crate::local::time::now;
use crate::render::url;

/// The message's number.
const NUMBER: &str = "demoNumber";
/// The run it belongs to: a queue may hold messages of others.
const RUN: &str = "demoRun";
/// What a broker recognises a repeated message by.
const DUPLICATE_ID: &str = "_AMQ_DUPL_ID";
/// Rounds over both brokers until the first connection; each ends with a pause of 100 ms.
const CONNECT_ROUNDS: u32 = 50;
/// How often the receiver looks whether it shall end.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(200);
/// Pause before a send that failed for a passing reason is tried again.
const SEND_PAUSE: Duration = Duration::from_millis(20);

/// Whom the demo's clients talk to, about what.
pub(crate) struct Plan {
    options: ClientOptions,
    queue: String,
    address: String,
    rate: u32,
    ledger: Shared,
}

/// A sender and a receiver at work.
pub(crate) struct Traffic {
    stop_sending: CancellationToken,
    stop_receiving: CancellationToken,
    sender: JoinHandle<Result<(), String>>,
    receiver: JoinHandle<Result<(), String>>,
    /// The account.
    pub(crate) ledger: Shared,
}

/// The queue of the demo: of the first address that has one anycast queue, takes everything, and
/// gives nobody else a copy.
pub(crate) fn queue(pair: &ValidatedPair) -> Option<String> {
    pair.addresses.iter().find_map(|address| {
        let is_alone = address.multicast.as_ref().is_none_or(Vec::is_empty);
        match address.anycast.as_deref() {
            Some([queue]) if is_alone && queue.filter.is_none() => Some(queue.name.clone()),
            Some(_) | None => None,
        }
    })
}

impl Plan {
    /// Clients of a pair: anonymous where that is allowed, else the pair's first user.
    pub(crate) fn new(
        plan: &supervisor::Plan,
        pair: &ValidatedPair,
        users: &BTreeMap<String, String>,
        queue: String,
        rate: u32,
    ) -> Self {
        let ports = [plan.ports.primary, plan.ports.backup];
        let endpoints = ports.map(|port| Endpoint::new(plan.host.clone(), port));
        let mut options = ClientOptions::new(endpoints);
        options.retry_interval_ms = url::RETRY_INTERVAL_MS;
        options.call_timeout_ms = url::CALL_TIMEOUT_MS;
        options.connection_ttl_ms = url::CONNECTION_TTL_MS;
        options.failure_check_period_ms = url::FAILURE_CHECK_PERIOD_MS;
        options.connect_timeout_ms = url::CONNECT_TIMEOUT_MS;
        options.initial_connect_attempts = CONNECT_ROUNDS;
        if let Some((user, password)) = users.first_key_value().filter(|_| !pair.allow_anonymous) {
            options = options.with_credentials(user, password);
        }
        let of_queue = pair.addresses.iter().find(|address| {
            address
                .anycast
                .iter()
                .flatten()
                .any(|candidate| candidate.name == queue)
        });
        let address = of_queue.map_or_else(|| queue.clone(), |address| address.name.clone());
        Self {
            options,
            queue,
            address,
            rate,
            ledger: Shared::default(),
        }
    }

    /// The account.
    pub(crate) fn ledger(&self) -> Shared {
        self.ledger.clone()
    }

    /// Connects both clients and lets them work.
    pub(crate) async fn start(self) -> Result<Traffic, String> {
        let run = hex(&random::<8>().map_err(|error| error.to_string())?);
        let receiving = Client::connect(self.options.clone())
            .await
            .map_err(|e| e.to_string())?;
        let sending = Client::connect(self.options.clone())
            .await
            .map_err(|e| e.to_string())?;
        let stop_sending = CancellationToken::new();
        let stop_receiving = CancellationToken::new();
        let ledger = self.ledger.clone();
        let receiver = tokio::spawn(receive(
            receiving,
            self.queue.clone(),
            run.clone(),
            ledger.clone(),
            stop_receiving.clone(),
        ));
        let sender = tokio::spawn(self.send(sending, run, stop_sending.clone()));
        Ok(Traffic {
            stop_sending,
            stop_receiving,
            sender,
            receiver,
            ledger,
        })
    }

    async fn send(
        self,
        client: Client,
        run: String,
        stop: CancellationToken,
    ) -> Result<(), String> {
        let failed = |error: CallError| format!("the sender failed: {error}");
        let session = client
            .session(SessionMode::AutoAcknowledge)
            .await
            .map_err(failed)?;
        let producer = session.producer(&self.address).await.map_err(failed)?;
        let period = Duration::from_secs(1) / self.rate.max(1);
        let mut pace = tokio::time::interval(period);
        // After a failover it goes on at its pace, rather than make up for the pause at once.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            pace.tick().await;
            let number = self.ledger.lock().begin();
            self.send_one(&producer, &run, number).await?;
        }
        client.close().await.map_err(failed)
    }

    /// Sends one message until a broker has confirmed it.
    async fn send_one(&self, producer: &Producer, run: &str, number: u64) -> Result<(), String> {
        let message = MessageBuilder {
            kind: kind::TEXT,
            body: text_body(&format!("message {number}")),
            durable: true,
            timestamp_ms: i64::try_from(now().0).unwrap_or_default(),
            properties: vec![
                (
                    NUMBER.to_owned(),
                    Value::Long(i64::try_from(number).unwrap_or(i64::MAX)),
                ),
                (RUN.to_owned(), Value::String(run.to_owned())),
                (
                    DUPLICATE_ID.to_owned(),
                    Value::String(format!("{run}-{number}")),
                ),
            ],
            ..MessageBuilder::to(self.address.clone())
        };
        let message = message.build();
        loop {
            match producer.send(&message).await {
                Ok(()) => {
                    self.ledger.lock().acknowledged(number, now().0);
                    return Ok(());
                }
                Err(SendError::OutcomeUnknown { .. }) => self.ledger.lock().repeats(),
                // Not stored, and it may be in a moment.
                Err(
                    SendError::AddressFull { .. }
                    | SendError::NotSent {
                        source: CallError::NotConnected { .. },
                        ..
                    },
                ) => {}
                Err(
                    error @ (SendError::Refused { .. }
                    | SendError::TooLarge { .. }
                    | SendError::NotSent { .. }),
                ) => return Err(format!("the sender failed: {error}")),
            }
            tokio::time::sleep(SEND_PAUSE).await;
        }
    }
}

async fn receive(
    client: Client,
    queue: String,
    run: String,
    ledger: Shared,
    stop: CancellationToken,
) -> Result<(), String> {
    let failed = |error: CallError| format!("the receiver failed: {error}");
    let session = client
        .session(SessionMode::AutoAcknowledge)
        .await
        .map_err(failed)?;
    let filter = format!("{RUN} = '{run}'");
    let consumer = session
        .consumer_with_filter(&queue, &filter, DEFAULT_WINDOW_BYTES)
        .await
        .map_err(failed)?;
    while !stop.is_cancelled() {
        let Some(delivery) = consumer.receive(RECEIVE_TIMEOUT).await.map_err(failed)? else {
            continue;
        };
        let number = delivery
            .message
            .property(NUMBER)
            .and_then(|value| value.as_i64());
        if let Some(number) = number.and_then(|number| u64::try_from(number).ok()) {
            ledger.lock().arrived(number, now().0);
        }
        match consumer.acknowledge(&delivery).await {
            // Without the broker's answer the message comes again.
            Ok(())
            | Err(
                CallError::StaleDelivery { .. }
                | CallError::OutcomeUnknown { .. }
                | CallError::NotConnected { .. },
            ) => {}
            Err(
                error @ (CallError::Refused(_)
                | CallError::TransactionRolledBack
                | CallError::ConsumerClosed { .. }
                | CallError::BadArgument { .. }
                | CallError::Closed { .. }),
            ) => return Err(failed(error)),
        }
    }
    client.close().await.map_err(failed)
}

impl Traffic {
    /// Why a client failed, if one did.
    pub(crate) async fn failure(&mut self) -> String {
        let ended = tokio::select! {
            ended = &mut self.sender => ended,
            ended = &mut self.receiver => ended,
        };
        match ended {
            Ok(Ok(())) => "a client ended too early".to_owned(),
            Ok(Err(why)) => why,
            Err(error) => format!("a client broke off: {error}"),
        }
    }

    /// Ends the sender; the receiver goes on.
    pub(crate) async fn stop_sending(&mut self, limit: Duration) -> Result<(), String> {
        self.stop_sending.cancel();
        ended("sender", &mut self.sender, limit).await
    }

    /// Ends the receiver too.
    pub(crate) async fn stop_receiving(mut self, limit: Duration) -> Result<(), String> {
        self.stop_receiving.cancel();
        ended("receiver", &mut self.receiver, limit).await
    }
}

async fn ended(
    name: &str,
    task: &mut JoinHandle<Result<(), String>>,
    limit: Duration,
) -> Result<(), String> {
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(format!("the {name} broke off: {error}")),
        Err(_) => Err(format!(
            "the {name} did not end within {} s",
            limit.as_secs()
        )),
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.sender.abort();
        self.receiver.abort();
    }
}
