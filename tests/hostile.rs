//! Bad days of one broker: strangers at its port, used-up descriptors, very many queues, a full disk. It lives or says
//! why not, and nothing acknowledged is lost.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use core_client::{Client, ClientOptions, Endpoint, Producer, Routing, Session, SessionMode};
use core_protocol::message::{kind, text_body};
use core_protocol::{Message, MessageBuilder};

use crate::support::instance::{CREATE_PRIMARY, Instance, PRIMARY_PORT, type_line};
use crate::support::namespace::in_own_network;
use crate::support::process::{self, Running};
use crate::support::{measured, wait_for};

const QUEUE: &str = "exampleQueue";
const START_LIMIT: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_mins(3);
/// Longer than the broker's time for a handshake, which is 10 s.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(25);
/// A size of which some hundred fill several segments.
const BODY_BYTES: usize = 10_000;

#[test]
fn strangers_are_named_and_hold_up_nobody() {
    in_own_network(
        "hostile::strangers_are_named_and_hold_up_nobody",
        LIMIT,
        |folder| {
            limit_descriptors(i32::try_from(std::process::id()).expect("a number"), 4096);
            let live = alone(folder);
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);

            let strangers: [(&[u8], &str); 6] = [
                (b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n", "an HTTP client"),
                (b"AMQP\x03\x01\0\0", "an AMQP client"),
                (b"\x10\x1a\0\x04MQTT\x04\x02\0\x3c", "an MQTT client"),
                (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "a TLS client"),
                (&[0xa5; 4096], "an unknown client"),
                (b"ARTEMIS\x7f\xff\xff\xff\x0a", "2147483651 bytes"),
            ];
            for (bytes, words) in strangers {
                let mut stranger = dial();
                stranger.write_all(bytes).expect("an open connection");
                assert_closed(&mut stranger, Duration::from_secs(5), words);
                broker.wait_for_text(words, START_LIMIT);
            }

            let before = descriptors(&broker);
            let mut silent: Vec<TcpStream> = (0..1000).map(|_| dial()).collect();
            let mut half = dial();
            half.write_all(b"ARTEMIS\0\0\0\x40\x1e")
                .expect("an open connection");
            let begin = Instant::now();
            block_on(async {
                let (_client, session) = connect().await;
                send(&session, 0..50).await;
                assert_eq!(receive(&session).await, (0..50).collect::<Vec<u32>>());
            });
            measured(format_args!(
                "50 messages sent and received beside 1,000 silent connections in {} ms",
                begin.elapsed().as_millis()
            ));
            for stranger in &mut silent {
                assert_closed(stranger, HANDSHAKE_LIMIT, "a silent connection");
            }
            // The one that greeted has its time to live, a minute, and holds one descriptor until then.
            wait_for("the descriptors of 1,000 connections", START_LIMIT, || {
                (descriptors(&broker) <= before + 10).then_some(())
            });
            let lines = broker.text().matches("no handshake within").count();
            assert!(
                (1..=20).contains(&lines),
                "{lines} lines about 1,000 connections"
            );
            drop(half);
            assert!(broker.is_running());
        },
    );
}

#[test]
fn used_up_descriptors_stop_neither_clients_nor_the_journal() {
    in_own_network(
        "hostile::used_up_descriptors_stop_neither_clients_nor_the_journal",
        LIMIT,
        |folder| {
            let live = alone(folder);
            small_segments(&live);
            let mut command = Command::new("sh");
            command
                .args(["-c", "ulimit -n 100; exec \"$0\" run"])
                .arg(live.file("bin/artemis"));
            let mut broker = Running::start("liveBroker", &mut command, folder);
            broker.wait_for_text("AMQ221007", START_LIMIT);
            assert!(
                broker.text().contains("allow 36 client connections only"),
                "{}",
                broker.text()
            );
            block_on(async {
                let (_client, session) = connect().await;
                send(&session, 0..200).await;
                let strangers: Vec<TcpStream> = (0..200).map(|_| dial()).collect();
                broker.wait_for_text("that 100 file descriptors allow are in use", START_LIMIT);
                // Several segments more.
                send(&session, 200..600).await;
                assert!(segments(&live) >= 6, "{} segments", segments(&live));
                drop(strangers);
            });

            // None left at all, as if something else had taken them: said once, and over when they are free.
            limit_descriptors(broker.pid(), next_descriptor(&broker));
            let waiting = dial();
            broker.wait_for_text("cannot accept connections", START_LIMIT);
            std::thread::sleep(Duration::from_secs(2));
            let said = broker.text().matches("cannot accept connections").count();
            assert_eq!(said, 1, "{}", broker.text());
            assert!(broker.is_running());
            limit_descriptors(broker.pid(), 100);
            drop(waiting);
            let next = dial();
            broker.wait_for_text("accepts connections again", START_LIMIT);
            drop(next);

            block_on(async {
                let (_client, session) = connect().await;
                assert_eq!(receive(&session).await, (0..600).collect::<Vec<u32>>());
            });
        },
    );
}

#[test]
fn ten_thousand_queues_are_made_and_found_again() {
    const QUEUES: usize = 10_000;
    const AT_ONCE: usize = 25;
    in_own_network(
        "hostile::ten_thousand_queues_are_made_and_found_again",
        LIMIT,
        |folder| {
            let live = alone(folder);
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);
            let longest = "n".repeat(4096);
            let begin = Instant::now();
            block_on(async {
                let (client, session) = connect().await;
                let mut makers = tokio::task::JoinSet::new();
                for maker in 0..AT_ONCE {
                    let session = open(&client).await;
                    makers.spawn(async move {
                        for number in (maker..QUEUES).step_by(AT_ONCE) {
                            let name = format!("queue.{number}");
                            let made = session.ensure_queue(&name, &name, Routing::Anycast);
                            made.await.expect("a queue");
                        }
                    });
                }
                while let Some(made) = makers.join_next().await {
                    made.expect("queues");
                }
                let made = session.ensure_queue(&longest, &longest, Routing::Anycast);
                made.await.expect("the longest name");
                let long = format!("{longest}n");
                let refused = session.ensure_queue(&long, &long, Routing::Anycast).await;
                let refusal = refused.expect_err("a name too long").to_string();
                assert!(refusal.contains("4096"), "{refusal}");
            });
            measured(format_args!(
                "{QUEUES} queues made in {} ms",
                begin.elapsed().as_millis()
            ));

            broker.kill();
            let begin = Instant::now();
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);
            measured(format_args!(
                "started with {QUEUES} queues in {} ms",
                begin.elapsed().as_millis()
            ));
            block_on(async {
                let (_client, session) = connect().await;
                for number in 0..QUEUES {
                    let name = format!("queue.{number}");
                    let found = session.queue_state(&name).await.expect("an answer");
                    assert!(found.exists && found.durable, "{name} is lost");
                }
                let found = session.queue_state(&longest).await.expect("an answer");
                assert!(found.exists, "the longest name is lost");
                let none = session.queue_state("queue.10000").await.expect("an answer");
                assert!(!none.exists);
            });
        },
    );
}

#[test]
fn a_full_disk_ends_the_broker_and_loses_nothing() {
    in_own_network(
        "hostile::a_full_disk_ends_the_broker_and_loses_nothing",
        LIMIT,
        |folder| {
            let live = alone(folder);
            small_segments(&live);
            let store = live.file("data");
            let aside = folder.join("made");
            fs::rename(&store, &aside).expect("the store that create made");
            fs::create_dir(&store).expect("a folder");
            must("mount", &["-t", "tmpfs", "-o", "size=8m", "tmpfs"], &store);
            must("cp", &["-a", &format!("{}/.", aside.display())], &store);

            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);
            let acknowledged = block_on(async {
                let (_client, session) = connect().await;
                let producer = session.producer(QUEUE).await.expect("a producer");
                let mut number = 0;
                while number < 5000 && producer.send(&message(number)).await.is_ok() {
                    number += 1;
                }
                number
            });
            measured(format_args!(
                "{acknowledged} messages acknowledged before the disk was full"
            ));
            assert!((100..5000).contains(&acknowledged), "{acknowledged}");
            let status = broker.wait(START_LIMIT);
            assert_eq!(status.code(), Some(72), "{}", broker.text());
            let text = broker.text();
            let errors: Vec<&str> = text.lines().filter(|line| line.contains("ERROR")).collect();
            assert_eq!(errors.len(), 1, "{text}");
            for words in ["the broker ends", "No space left", "free space"] {
                assert!(errors[0].contains(words), "{words}: {}", errors[0]);
            }

            must("mount", &["-o", "remount,size=64m"], &store);
            let mut broker = live.run();
            broker.wait_for_text("AMQ221007", START_LIMIT);
            let received = block_on(async {
                let (_client, session) = connect().await;
                receive(&session).await
            });
            // One more may be there: what was stored and not acknowledged.
            let expected: Vec<u32> = (0..acknowledged).collect();
            assert!(
                received.starts_with(&expected),
                "{} received",
                received.len()
            );
            assert!(
                received.len() <= expected.len() + 1,
                "{} received",
                received.len()
            );
        },
    );
}

/// A broker without a peer, and with the worksheet's queue.
fn alone(folder: &Path) -> Instance {
    type_line(folder, CREATE_PRIMARY);
    let live = Instance::at(folder.join("liveBroker"));
    live.add_example_queue();
    live
}

/// So that few messages need several.
fn small_segments(live: &Instance) {
    live.edit(
        "etc/broker.xml",
        "<journal-file-size>10M</journal-file-size>",
        "<journal-file-size>1M</journal-file-size>",
    );
}

fn segments(live: &Instance) -> usize {
    let journal = live.file("data/journal");
    fs::read_dir(&journal)
        .unwrap_or_else(|error| panic!("{}: {error}", journal.display()))
        .filter_map(Result::ok)
        .filter(|entry| entry.metadata().is_ok_and(|file| file.len() >= 512 * 1024))
        .count()
}

fn dial() -> TcpStream {
    TcpStream::connect(("127.0.0.1", PRIMARY_PORT)).expect("an open port")
}

/// Closed or reset: either way it is over.
fn assert_closed(stream: &mut TcpStream, limit: Duration, who: &str) {
    stream.set_read_timeout(Some(limit)).expect("a timeout");
    match stream.read(&mut [0; 64]) {
        Ok(0) => {}
        Ok(bytes) => panic!("{who} was told {bytes} bytes"),
        Err(error) => assert_ne!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "{who} is still there"
        ),
    }
}

/// Open descriptors of the broker.
fn descriptors(broker: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", broker.pid()))
        .expect("a running broker")
        .count()
}

/// The descriptor that the broker would get next. The ports have higher ones than any connection.
fn next_descriptor(broker: &Running) -> usize {
    let used: BTreeSet<usize> = fs::read_dir(format!("/proc/{}/fd", broker.pid()))
        .expect("a running broker")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    (0..=used.len())
        .find(|number| !used.contains(number))
        .expect("one number more than are used")
}

fn limit_descriptors(pid: i32, soft: usize) {
    let output = process::run(
        Command::new("prlimit").args([format!("--pid={pid}"), format!("--nofile={soft}:")]),
        START_LIMIT,
    );
    assert!(output.status.success(), "{output:?}");
}

fn must(program: &str, arguments: &[&str], path: &Path) {
    let output = process::run(Command::new(program).args(arguments).arg(path), START_LIMIT);
    assert!(output.status.success(), "{program}: {output:?}");
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

async fn connect() -> (Client, Session) {
    let mut options = ClientOptions::new([Endpoint::new("127.0.0.1", PRIMARY_PORT)])
        .with_credentials("admin", "password");
    options.call_timeout_ms = 10_000;
    options.call_failover_timeout_ms = 3_000;
    options.initial_connect_attempts = 50;
    let client = Client::connect(options).await.expect("a broker");
    let session = open(&client).await;
    (client, session)
}

async fn open(client: &Client) -> Session {
    let session = client.session(SessionMode::AutoAcknowledge);
    session.await.expect("a session")
}

fn message(number: u32) -> Message {
    let mut message = MessageBuilder::to(QUEUE);
    message.kind = kind::TEXT;
    message.durable = true;
    message.body = text_body(&format!("{number} {}", "x".repeat(BODY_BYTES)));
    message.build()
}

/// Sends these numbers; each is acknowledged.
async fn send(session: &Session, numbers: std::ops::Range<u32>) {
    let producer: Producer = session.producer(QUEUE).await.expect("a producer");
    for number in numbers {
        producer
            .send(&message(number))
            .await
            .expect("an acknowledgement");
    }
}

/// Everything in the queue.
async fn receive(session: &Session) -> Vec<u32> {
    let consumer = session.consumer(QUEUE, 1024 * 1024);
    let consumer = consumer.await.expect("a consumer");
    let mut numbers = Vec::new();
    while let Some(delivery) = consumer
        .receive(Duration::from_secs(2))
        .await
        .expect("a consumer")
    {
        let text = delivery.message.text().expect("a text");
        let number = text
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok());
        numbers.push(number.expect("a number"));
        consumer.acknowledge(&delivery).await.expect("a consumer");
    }
    numbers
}
