//! A compaction over a real directory, with a gate that the test moves.

use core_protocol::message::{MessageBuilder, Value, kind, text_body};
use engine::{
    Command, ConnectionKey, CreateQueue, EngineConfig, OpenSession, Request, RoutingType,
    SessionKey,
};
use journal::{Directory, Options, Seal, Storage, TermId, history, seal};

use super::*;

const SEGMENT_BYTES: u64 = 32 * 1024;

struct Broker {
    engine: Engine,
    writer: Arc<Writer>,
    appended: u64,
}

fn open(dir: &std::path::Path, epoch: u64) -> Broker {
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(dir).unwrap());
    let mut engine = Engine::new(EngineConfig::new(epoch));
    let history = history::replay(&storage, |entry| {
        engine.recover(entry.kind, entry.payload).unwrap();
    })
    .unwrap();
    let term = TermId {
        epoch,
        incarnation: [7; 16],
    };
    let files = history.files().to_vec();
    seal::write(storage.as_ref(), &Seal { term, files }).unwrap();
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        ..Options::default()
    };
    let writer = Writer::start(storage, term, options, |_| {}).unwrap();
    writer.add_retired(history.retired().iter().copied());
    let mut broker = Broker {
        engine,
        writer: Arc::new(writer),
        appended: 0,
    };
    let mut effects = Effects::new();
    broker.engine.finish_recovery(1, &mut effects).unwrap();
    broker.append(effects);
    broker.ask(Command::OpenSession(OpenSession {
        connection: ConnectionKey(1),
        user: None,
        roles: Vec::new(),
        bypass_security: true,
        auto_commit_sends: true,
        auto_commit_acks: true,
        pre_acknowledge: false,
    }));
    broker
}

impl Broker {
    fn ask(&mut self, command: Command) {
        let request = Request {
            session: SessionKey(1),
            token: engine::NO_REPLY,
            command,
        };
        let mut effects = Effects::new();
        self.engine.handle(1, request, &mut effects);
        self.append(effects);
    }

    fn append(&mut self, effects: Effects) {
        let records = records(effects, &mut self.appended);
        self.writer.append(records).unwrap();
    }

    fn create(&mut self, name: &str) {
        self.ask(Command::CreateQueue(Box::new(CreateQueue {
            durable: true,
            routing_type: Some(RoutingType::Anycast),
            ..CreateQueue::new(name, name)
        })));
    }

    fn send(&mut self, queue: &str, body: &str) {
        let message = MessageBuilder {
            kind: kind::TEXT,
            durable: true,
            body: text_body(body),
            ..MessageBuilder::to(queue)
        };
        self.ask(Command::Send {
            message: message.build(),
            address: None,
        });
    }

    /// Some segments of which hardly anything is alive.
    fn fill(&mut self) {
        for _ in 0..6 {
            self.create("passing");
            for _ in 0..20 {
                self.send("passing", &"x".repeat(1000));
            }
            self.ask(Command::DeleteQueue {
                queue: "passing".into(),
            });
            self.writer.sync_barrier().unwrap();
        }
    }

    fn messages_kept(&self) -> usize {
        let stats = self.engine.stats();
        let kept = stats.queues.iter().find(|queue| queue.name == "kept");
        kept.unwrap().message_count
    }
}

fn segments(dir: &std::path::Path) -> usize {
    let names = std::fs::read_dir(dir).unwrap();
    names
        .filter(|name| {
            let name = name.as_ref().unwrap().file_name();
            name.to_str().unwrap().starts_with("journal.")
        })
        .count()
}

/// Waits, within bounds, until the files are removed.
async fn removed(compaction: &mut Compaction) {
    for _ in 0..1000 {
        if !matches!(&compaction.state, State::Removing(removing) if !removing.is_finished()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the files are not removed");
}

#[tokio::test]
async fn old_files_go_only_when_the_gate_is_open_and_what_lives_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = open(dir.path(), 1);
    let mut compaction = Compaction::new(&broker.writer);
    removed(&mut compaction).await;
    broker.create("kept");
    broker.send("kept", "first");
    compaction
        .consider(&mut broker.engine, &broker.writer, &mut broker.appended)
        .unwrap();
    assert!(
        matches!(compaction.state, State::Idle),
        "nothing to gain yet"
    );
    broker.fill();
    let before = segments(dir.path());
    assert!(before >= 4);

    compaction
        .consider(&mut broker.engine, &broker.writer, &mut broker.appended)
        .unwrap();
    assert!(matches!(compaction.state, State::Restating { .. }));
    broker.send("kept", "second");
    let mut released = broker.appended;
    assert!(!compaction.is_ready(1), "not before the gate is open");
    while !matches!(compaction.state, State::Retiring { .. }) {
        assert!(compaction.is_ready(released));
        compaction
            .step(&mut broker.engine, &broker.writer, &mut broker.appended)
            .unwrap();
        if !matches!(compaction.state, State::Retiring { .. }) {
            released = broker.appended;
        }
    }
    broker.send("kept", "third");
    broker.writer.sync_barrier().unwrap();
    assert!(!compaction.is_ready(released), "the record is not safe yet");
    assert!(segments(dir.path()) > before, "nothing is removed yet");

    assert!(compaction.is_ready(broker.appended));
    compaction
        .step(&mut broker.engine, &broker.writer, &mut broker.appended)
        .unwrap();
    removed(&mut compaction).await;
    assert_eq!(segments(dir.path()), broker.writer.files().len());
    assert!(segments(dir.path()) < 4);
    drop(broker);

    let mut again = open(dir.path(), 2);
    assert_eq!(again.messages_kept(), 3);
    // And once more, over the files of another term.
    again.fill();
    let mut compaction = Compaction::new(&again.writer);
    removed(&mut compaction).await;
    let Broker {
        engine,
        writer,
        appended,
    } = &mut again;
    compaction.consider(engine, writer, appended).unwrap();
    while compaction.is_ready(*appended) {
        compaction.step(engine, writer, appended).unwrap();
        writer.sync_barrier().unwrap();
    }
    removed(&mut compaction).await;
    assert_eq!(segments(dir.path()), writer.files().len());
    assert!(writer.files().iter().all(|file| file.file.term.epoch == 2));
    drop(again);
    assert_eq!(open(dir.path(), 3).messages_kept(), 3);
}

/// Ids remembered of messages that are gone are said again too, and no estimate counts them.
#[tokio::test]
async fn without_growth_there_is_no_second_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = open(dir.path(), 1);
    broker.create("kept");
    for number in 0..250 {
        let mut message = MessageBuilder::to("kept");
        message.durable = true;
        let id = format!("{number:01000}");
        message.set_property("_AMQ_DUPL_ID", Value::String(id));
        broker.ask(Command::Send {
            message: message.build(),
            address: None,
        });
    }
    broker.ask(Command::DeleteQueue {
        queue: "kept".into(),
    });
    broker.writer.sync_barrier().unwrap();

    let mut compaction = Compaction::new(&broker.writer);
    removed(&mut compaction).await;
    let Broker {
        engine,
        writer,
        appended,
    } = &mut broker;
    compaction.consider(engine, writer, appended).unwrap();
    assert!(matches!(compaction.state, State::Restating { .. }));
    while compaction.is_ready(*appended) {
        compaction.step(engine, writer, appended).unwrap();
        writer.sync_barrier().unwrap();
    }
    removed(&mut compaction).await;
    let bytes = bytes_of(writer);
    assert!(bytes >= MIN_SEGMENTS * SEGMENT_BYTES, "{bytes} bytes stay");
    compaction.consider(engine, writer, appended).unwrap();
    assert!(matches!(compaction.state, State::Idle), "it runs for ever");
}
