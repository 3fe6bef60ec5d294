//! `data import`: sends an export to a broker that serves, as a client of it.
//!
//! Each message names its queues ([`engine::ROUTE_TO`]), so it gets into these and no other, is stored once and
//! keeps its address. Messages go in transactions; what is said when an import stops tells how many are in for
//! certain, counted in the file, so that going on doubles and loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use artemis_xml::{AddressBinding, Item, Limits, QueueBinding, Reader};
use clap::Args;
use core_client::{Client, ClientOptions, Endpoint, Routing, SendError, random_uuid};
use core_protocol::{Message, MessageBuilder, Value};
use engine::{ROUTE_TO, code};

use super::batch::{Batcher, Failed};
use super::progress::Progress;
use super::say;
use crate::cli::Failure;
use crate::exit;

/// What Artemis keeps for itself: of no use here.
const INTERNAL: [&str; 2] = ["activemq.notifications", "$sys.mqtt.sessions"];

const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// File to read; `-` for standard input.
    #[arg(long)]
    input: PathBuf,
    /// The broker; several, with commas between them, are tried in turn.
    #[arg(long, default_value = "tcp://localhost:61616")]
    url: String,
    /// User of the broker.
    #[arg(long, env = "ARTEMIS_USER")]
    user: Option<String>,
    /// Password of the user. On the command line others can see it; the variable they cannot.
    #[arg(long, env = "ARTEMIS_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Pass over so many messages of the file: those that an import which stopped said are in.
    #[arg(long, default_value_t = 0)]
    skip: u64,
}

/// Does it; answers with the exit status.
pub(super) fn import(options: &Import) -> Result<u8, Failure> {
    let endpoints = endpoints(&options.url).map_err(Failure::usage)?;
    let (input, length_bytes) = input(&options.input)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::unavailable)?;
    runtime.block_on(Box::pin(run(options, endpoints, input, length_bytes)))
}

async fn run(
    options: &Import,
    endpoints: Vec<Endpoint>,
    input: Box<dyn BufRead>,
    length_bytes: Option<u64>,
) -> Result<u8, Failure> {
    let interrupted = listen_for_interrupts();
    let mut connection = ClientOptions::new(endpoints);
    connection.user.clone_from(&options.user);
    connection.password.clone_from(&options.password);
    let client = Client::connect(connection).await;
    let client = client.map_err(Failure::unavailable)?;
    let batcher = Batcher::open(&client).await;
    let mut importer = Importer {
        batcher: batcher.map_err(Failure::unavailable)?,
        queues: BTreeMap::new(),
        internal: BTreeSet::new(),
        read: 0,
        certain: options.skip,
        imported: 0,
        waiting: 0,
        body_bytes: 0,
        left_out: 0,
        first_waiting: None,
    };
    importer.ask_for_exact_places().await?;
    let mut reader = Reader::new(input, Limits::default());
    let stopped = importer
        .all(options, &mut reader, length_bytes, &interrupted)
        .await;
    match stopped {
        Ok(()) => {
            // Everything is stored; how the connection ends makes no difference.
            let _ = client.close().await;
            say(&importer.summary());
            Ok(0)
        }
        Err(stop) => Err(importer.stopped(&stop, options.skip)),
    }
}

/// Why an import ends before its file does.
#[derive(Debug)]
enum Stop {
    /// The file, the broker's refusal, a person: what waits is not in.
    NothingMore(String),
    /// What waits is in, or not.
    Unknown(String),
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NothingIn(why) => Self::NothingMore(why),
            Failed::Unknown(why) => Self::Unknown(why),
        }
    }
}

struct Importer {
    batcher: Batcher,
    /// The address of each queue of the file.
    queues: BTreeMap<String, String>,
    /// Queues of the file that are not made here.
    internal: BTreeSet<String>,
    /// Messages of the file read so far.
    read: u64,
    /// So many messages from the beginning of the file need not be sent any more.
    certain: u64,
    /// Messages sent and known to be stored.
    imported: u64,
    /// Messages collected and not known to be stored.
    waiting: u64,
    body_bytes: u64,
    left_out: u64,
    /// How a person finds the first of them: its id and one of its queues.
    first_waiting: Option<(String, String)>,
}

impl Importer {
    /// Only a broker that knows how to put a message into the queues it names may get any: another one would
    /// give it to all queues of its address.
    async fn ask_for_exact_places(&mut self) -> Result<(), Failure> {
        let address = format!("tandem.import.{}", hex(&random_uuid()));
        let mut probe = MessageBuilder::to(address);
        probe.set_property(ROUTE_TO, Value::Bytes("nobody".into()));
        match self.batcher.send(&probe.build(), false).await {
            Err(SendError::Refused { refusal, .. })
                if refusal.code == code::QUEUE_DOES_NOT_EXIST =>
            {
                Ok(())
            }
            Ok(()) => Err(Failure::usage(
                "the broker does not put messages into the very queues they were in: it is not tandem-broker, or an older \
                 one. Into Artemis `artemis data imp` imports the file. Nothing was imported.",
            )),
            Err(error) => Err(Failure::unavailable(error)),
        }
    }

    async fn all(
        &mut self,
        options: &Import,
        reader: &mut Reader<Box<dyn BufRead>>,
        length_bytes: Option<u64>,
        interrupted: &AtomicBool,
    ) -> Result<(), Stop> {
        let mut progress = Progress::new();
        let file = options.input.display();
        loop {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Stop::NothingMore("interrupted".to_owned()));
            }
            let item = reader.next_item();
            let item = item.map_err(|error| Stop::NothingMore(format!("{file}: {error}")))?;
            match item {
                None => break,
                Some(Item::Address(address)) => self.make_address(&address).await?,
                Some(Item::Queue(queue)) => self.make_queue(queue).await?,
                Some(Item::Message(message)) => {
                    self.read += 1;
                    if self.read > options.skip {
                        self.message(*message).await?;
                    }
                }
            }
            progress.at(|| {
                let (at, imported) = (reader.position_bytes(), self.imported);
                let part = length_bytes.filter(|length| *length > 0);
                let part = part.map_or_else(String::new, |length| {
                    format!(" ({} %)", at.saturating_mul(100) / length)
                });
                format!("imported {imported} messages, read {at} bytes{part}")
            });
        }
        self.flush().await?;
        if self.read < options.skip {
            return Err(Stop::NothingMore(format!(
                "{file} has only {} messages, fewer than --skip {}",
                self.read, options.skip
            )));
        }
        Ok(())
    }

    async fn make_address(&mut self, address: &AddressBinding) -> Result<(), Stop> {
        if INTERNAL.contains(&address.name.as_str()) {
            return Ok(());
        }
        let kinds = [
            (address.anycast, Routing::Anycast),
            (address.multicast, Routing::Multicast),
        ];
        let routings: Vec<Routing> = kinds
            .into_iter()
            .filter_map(|(has, routing)| has.then_some(routing))
            .collect();
        if routings.is_empty() {
            return Ok(());
        }
        let made = self
            .batcher
            .session()
            .make_address(&address.name, &routings);
        made.await
            .map_err(|error| Stop::NothingMore(format!("address {}: {error}", address.name)))
    }

    async fn make_queue(&mut self, queue: QueueBinding) -> Result<(), Stop> {
        let QueueBinding {
            name,
            address,
            filter,
            anycast,
            id: _,
        } = queue;
        if INTERNAL.contains(&address.as_str()) {
            self.internal.insert(name);
            return Ok(());
        }
        if name.contains('\0') {
            let text = format!("queue {name:?}: no queue here can have this name");
            return Err(Stop::NothingMore(text));
        }
        let routing = if anycast {
            Routing::Anycast
        } else {
            Routing::Multicast
        };
        let session = self.batcher.session();
        let refused = |error| Stop::NothingMore(format!("queue {name}: {error}"));
        let made = session.make_address(&address, &[routing]).await;
        made.map_err(refused)?;
        let made = session.make_queue(&address, &name, routing, filter.as_deref());
        let state = made.await.map_err(refused)?;
        if !state.durable {
            let text =
                format!("queue {name} exists and is not durable: messages in it would not last");
            return Err(Stop::NothingMore(text));
        }
        if state.filter != filter {
            eprintln!(
                "queue {name} exists with the filter {:?}, in the file it has {filter:?}; it keeps its own for new messages",
                state.filter
            );
        }
        self.queues.insert(name, address);
        Ok(())
    }

    async fn message(&mut self, message: artemis_xml::Message) -> Result<(), Stop> {
        let body_bytes = message.body.len() as u64;
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for queue in &message.queues {
            if self.internal.contains(queue) {
                continue;
            }
            let Some(address) = self.queues.get(queue) else {
                let number = self.read;
                return Err(Stop::NothingMore(format!(
                    "message {number} of the file is in queue {queue:?}, which no <queue-binding> of the file tells of"
                )));
            };
            names.entry(address).or_default().push(queue);
        }
        let Some(first) = names.values().next().and_then(|names| names.first()) else {
            self.left_out += 1;
            if self.waiting == 0 {
                self.certain = self.read;
            }
            return Ok(());
        };
        let id = message.user_id.map_or_else(
            || format!("of time {}", message.timestamp_ms),
            |id| format!("ID:{}", uuid(&id)),
        );
        let found_by = (id, (*first).to_owned());
        // One for each address; together they are the message.
        let messages: Vec<Message> = names
            .iter()
            .map(|(address, queues)| addressed(&message, address, queues))
            .collect();
        if !self.batcher.has_room_for(&messages) {
            // All but this one.
            self.read -= 1;
            let flushed = self.flush().await;
            self.read += 1;
            flushed?;
        }
        self.batcher.add(messages);
        self.waiting += 1;
        self.body_bytes += body_bytes;
        self.first_waiting.get_or_insert(found_by);
        Ok(())
    }

    /// Sends what waits.
    async fn flush(&mut self) -> Result<(), Stop> {
        self.batcher.flush().await?;
        self.imported += self.waiting;
        self.waiting = 0;
        self.first_waiting = None;
        self.certain = self.certain.max(self.read);
        Ok(())
    }

    fn summary(&self) -> String {
        let Self {
            imported,
            body_bytes,
            left_out,
            ..
        } = self;
        let queues = self.queues.len();
        let mut text = format!(
            "imported {imported} messages with {body_bytes} bytes of bodies; the file has {queues} queues"
        );
        if *left_out > 0 {
            let _ = write!(
                text,
                "\nleft out {left_out} messages that are in no queue but those Artemis keeps for itself"
            );
        }
        text
    }

    fn stopped(&self, stop: &Stop, skip: u64) -> Failure {
        let certain = self.certain;
        match stop {
            Stop::NothingMore(why) if self.imported == 0 && certain == skip => {
                Failure::usage(format!("{why}\nNo message was imported."))
            }
            Stop::NothingMore(why) => Failure {
                code: exit::PARTIAL,
                text: format!(
                    "{why}\nThe first {certain} messages of the file are in the broker for certain, no other is. Go on with \
                     --skip {certain}"
                ),
            },
            Stop::Unknown(why) => {
                let after = certain + self.waiting;
                let (id, queue) = self.first_waiting.clone().unwrap_or_default();
                Failure {
                    code: exit::PARTIAL,
                    text: format!(
                        "{why}\nThe first {certain} messages of the file are in the broker for certain. Those behind them up to \
                         message {after} were sent together: all of them are in, or none. Look whether message {id} is, or \
                         was, in queue {queue}. If so, go on with --skip {after}, else with --skip {certain}"
                    ),
                }
            }
        }
    }
}

/// The message as it is sent to one address.
fn addressed(message: &artemis_xml::Message, address: &str, queues: &[&str]) -> Message {
    let mut builder = MessageBuilder {
        id: 0,
        body: message.body.clone(),
        address: Some(address.to_owned()),
        user_id: message.user_id,
        kind: message.kind,
        durable: true,
        expiration_ms: message.expiration_ms,
        timestamp_ms: message.timestamp_ms,
        priority: message.priority,
        properties: message.properties.clone(),
    };
    let names = queues.join("\0").into_bytes();
    builder.set_property(ROUTE_TO, Value::Bytes(names.into()));
    builder.build()
}

/// The brokers of a URL as clients write it: `tcp://a:1,tcp://b:2`, `(tcp://a:1,tcp://b:2)?ha=true`.
fn endpoints(url: &str) -> Result<Vec<Endpoint>, String> {
    let (hosts, parameters) = match url.strip_prefix('(') {
        Some(rest) => rest
            .split_once(')')
            .ok_or_else(|| format!("--url {url}: a ( without a )"))?,
        None => (url, ""),
    };
    if format!("{hosts}{parameters}").contains("sslEnabled=true") {
        return Err(format!("--url {url}: TLS is not served"));
    }
    hosts
        .split(',')
        .map(|host| {
            let host = host.trim();
            let host = host.strip_prefix("tcp://").unwrap_or(host);
            let host = host.split_once('?').map_or(host, |(host, _)| host);
            host.parse::<Endpoint>()
                .map_err(|error| format!("--url {url}: {error}"))
        })
        .collect()
}

fn input(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    let (input, length): (Box<dyn Read>, _) = if path == Path::new("-") {
        (Box::new(std::io::stdin()), None)
    } else {
        let failed = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        (Box::new(file), Some(length))
    };
    let input = BufReader::with_capacity(BUFFER_BYTES, input);
    Ok((Box::new(input), length))
}

/// Becomes true with the first signal; a second one ends the program at once.
fn listen_for_interrupts() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
            eprintln!("stopping; once more ends at once");
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(exit::INTERRUPTED);
        }
    });
    interrupted
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn uuid(id: &[u8; 16]) -> String {
    let digits = hex(id);
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| &digits[part])
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_clients_write_them() {
        for url in [
            "tcp://a:1,tcp://b:2",
            "(tcp://a:1,tcp://b:2)?ha=true&reconnectAttempts=-1",
            "a:1, b:2",
            "tcp://a:1?x=y,tcp://b:2?z=w",
        ] {
            let found = endpoints(url).unwrap();
            assert_eq!(
                found,
                [Endpoint::new("a", 1), Endpoint::new("b", 2)],
                "{url}"
            );
        }
        assert!(endpoints("(tcp://a:1").is_err());
        assert!(
            endpoints("tcp://a:1?sslEnabled=true")
                .unwrap_err()
                .contains("TLS")
        );
        assert!(endpoints("tcp://:1").is_err());
    }

    #[test]
    fn an_id_is_shown_as_clients_show_it() {
        let id: [u8; 16] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(uuid(&id), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
