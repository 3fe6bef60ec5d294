//! Measures how long a start takes to read a journal: `generate` writes one with small durable
//! messages waiting in one queue, `read` recovers it as a broker does.
//!
//! ```text
//! cargo run --release -p journal --example recovery -- generate DIR 10000000
//! cargo run --release -p journal --example recovery -- read DIR
//! ```
//! `sync DIR` measures what one group commit costs on the disk of DIR, with and without space that
//! was allocated before.

#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use core_protocol::message::{MessageBuilder, kind, text_body};
use engine::{
    Command, ConnectionKey, CreateQueue, Effects, Engine, EngineConfig, NO_REPLY, OpenSession,
    Request, RoutingType, SessionKey,
};
use journal::{Directory, Options, Record, Seal, Storage, TermId, Writer, history, seal};

/// Text of a message; about 100 bytes with its headers.
const TEXT: &str = "a small message, ten";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", dir, count] => generate(Path::new(dir), count.parse()?),
        ["read", dir] => read(Path::new(dir)),
        ["sync", dir] => sync(Path::new(dir)),
        _ => Err("usage: recovery generate DIR COUNT | read DIR | sync DIR".into()),
    }
}

fn generate(dir: &Path, count: u64) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(dir)?;
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(dir)?);
    let term = TermId {
        epoch: 1,
        incarnation: [1; 16],
    };
    let files = Vec::new();
    seal::write(storage.as_ref(), &Seal { term, files })?;
    let writer = Writer::start(storage, term, Options::default(), |_| {})?;
    let mut engine = Engine::new(EngineConfig::new(1));
    let mut effects = Effects::new();
    engine.finish_recovery(1, &mut effects)?;
    let mut ask = |command: Command, effects: &mut Effects| {
        let request = Request {
            session: SessionKey(1),
            token: NO_REPLY,
            command,
        };
        engine.handle(1, request, effects);
        effects.effects.clear();
    };
    let open = Command::OpenSession(OpenSession {
        connection: ConnectionKey(1),
        user: None,
        roles: Vec::new(),
        bypass_security: true,
        auto_commit_sends: true,
        auto_commit_acks: true,
        pre_acknowledge: false,
    });
    ask(open, &mut effects);
    let create = Command::CreateQueue(Box::new(CreateQueue {
        durable: true,
        routing_type: Some(RoutingType::Anycast),
        ..CreateQueue::new("q", "q")
    }));
    ask(create, &mut effects);
    let message = MessageBuilder {
        kind: kind::TEXT,
        durable: true,
        body: text_body(TEXT),
        ..MessageBuilder::to("q")
    };
    let message = message.build();
    println!("{} bytes a message", message.encoded_len());
    let began = Instant::now();
    for number in 0..count {
        let send = Command::Send {
            message: message.clone(),
            address: None,
        };
        ask(send, &mut effects);
        if number % 1000 == 999 {
            append(&writer, &mut effects)?;
            if writer.is_full() {
                writer.sync_barrier()?;
            }
        }
    }
    append(&writer, &mut effects)?;
    writer.close()?;
    println!("wrote {count} messages in {:?}", began.elapsed());
    Ok(())
}

fn append(writer: &Writer, effects: &mut Effects) -> Result<(), Box<dyn Error>> {
    let records = effects.records.drain(..).map(|record| Record {
        kind: record.kind,
        payload: record.payload,
    });
    writer.append(records.collect())?;
    Ok(())
}

fn read(dir: &Path) -> Result<(), Box<dyn Error>> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(dir)?);
    let began = Instant::now();
    let mut entries = 0_u64;
    history::replay(&storage, |_| entries += 1)?;
    println!("journal alone: {entries} entries in {:?}", began.elapsed());
    let began = Instant::now();
    let mut engine = Engine::new(EngineConfig::new(2));
    let mut refused = None;
    history::replay(&storage, |entry| {
        if let Err(error) = engine.recover(entry.kind, entry.payload) {
            refused.get_or_insert(error);
        }
    })?;
    if let Some(refused) = refused {
        return Err(refused.into());
    }
    println!("replayed in {:?}", began.elapsed());
    engine.finish_replay()?;
    println!("queues made in {:?}", began.elapsed());
    engine.finish_recovery(1, &mut Effects::new())?;
    println!("serving in {:?}", began.elapsed());
    let queues = engine.stats().queues;
    let messages: usize = queues.iter().map(|queue| queue.message_count).sum();
    println!("{messages} messages; {}", memory());
    // What it takes to free all that is of no interest here.
    std::process::exit(0);
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    peak.unwrap_or("memory unknown").to_owned()
}

/// Commits of one block, each synced, into files of both kinds in turn.
fn sync(dir: &Path) -> Result<(), Box<dyn Error>> {
    const COMMITS: u64 = 1000;
    const BYTES: usize = 4096;
    let storage = Directory::open(dir)?;
    for (name, allocated) in [
        ("grown", 0),
        ("zeroed", COMMITS * BYTES as u64),
        ("grown", 0),
        ("zeroed", COMMITS * BYTES as u64),
    ] {
        let file_name = format!("measure.{name}");
        let file = storage.create_new(&file_name)?;
        if allocated > 0 {
            file.write_at(&vec![0; usize::try_from(allocated)?], 0)?;
            file.sync_data()?;
        }
        let began = Instant::now();
        for number in 0..COMMITS {
            file.write_at(&[1; BYTES], number * BYTES as u64)?;
            file.sync_data()?;
        }
        println!("{name}: {:?} a commit", began.elapsed() / 1000);
        storage.remove(&file_name)?;
    }
    Ok(())
}
