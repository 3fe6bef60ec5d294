//! A broker without sockets and disk: an engine, the records it emitted, and what it sent.

use core_protocol::message::{Message, MessageBuilder, Value, kind, text_body};
use engine::{
    Command, ConnectionKey, CreateConsumer, CreateQueue, Effect, Effects, Engine, EngineConfig,
    EngineError, NO_REPLY, Notice, OpenSession, QueueInfo, QueueStats, Record, Reply, Request,
    RoutingType, RoutingTypes, SessionKey,
};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) session: SessionKey,
    pub(crate) consumer: i64,
    pub(crate) id: i64,
    pub(crate) count: i32,
    pub(crate) text: String,
    pub(crate) message: Message,
    pub(crate) after: u64,
}

pub(crate) struct Broker {
    pub(crate) engine: Engine,
    pub(crate) config: EngineConfig,
    pub(crate) now_ms: u64,
    /// Everything ever emitted, by all terms.
    pub(crate) journal: Vec<Record>,
    /// How many of those are of this term.
    pub(crate) emitted: u64,
    /// Where a compaction under way began.
    pub(crate) mark: Option<usize>,
    pub(crate) deliveries: Vec<Delivery>,
    /// Session, consumer, sequence.
    pub(crate) markers: Vec<(SessionKey, i64, i64)>,
    pub(crate) closed: Vec<(SessionKey, i64)>,
    pub(crate) credits: Vec<(SessionKey, String, i32)>,
    pub(crate) management: Vec<Message>,
    pub(crate) notices: Vec<Notice>,
    /// Every `after` per session, in order.
    pub(crate) gates: Vec<(SessionKey, u64)>,
    next_token: u64,
    next_session: u64,
}

pub(crate) fn anycast() -> RoutingTypes {
    RoutingTypes::only(RoutingType::Anycast)
}

pub(crate) fn multicast() -> RoutingTypes {
    RoutingTypes::only(RoutingType::Multicast)
}

/// A durable text message.
pub(crate) fn text(address: &str, body: &str) -> MessageBuilder {
    MessageBuilder {
        body: text_body(body),
        kind: kind::TEXT,
        durable: true,
        ..MessageBuilder::to(address)
    }
}

pub(crate) fn with(mut builder: MessageBuilder, name: &str, value: Value) -> MessageBuilder {
    builder.set_property(name, value);
    builder
}

impl Broker {
    pub(crate) fn new() -> Self {
        Self::with_config(EngineConfig::new(1))
    }

    pub(crate) fn with_config(config: EngineConfig) -> Self {
        Self::start(config, Vec::new(), 1_000_000)
    }

    fn start(config: EngineConfig, journal: Vec<Record>, now_ms: u64) -> Self {
        let mut engine = Engine::new(config.clone());
        for record in &journal {
            engine.recover(record.kind, record.payload.clone()).unwrap();
        }
        let mut broker = Self {
            engine,
            config,
            now_ms,
            journal,
            emitted: 0,
            mark: None,
            deliveries: Vec::new(),
            markers: Vec::new(),
            closed: Vec::new(),
            credits: Vec::new(),
            management: Vec::new(),
            notices: Vec::new(),
            gates: Vec::new(),
            next_token: 1,
            next_session: 1,
        };
        let mut effects = Effects::new();
        broker
            .engine
            .finish_recovery(broker.now_ms, &mut effects)
            .unwrap();
        assert!(broker.absorb(effects).is_empty());
        broker
    }

    /// The next term, on the records of this one.
    pub(crate) fn restart(self) -> Self {
        let mut config = self.config;
        config.epoch += 1;
        Self::start(config, self.journal, self.now_ms)
    }

    /// Goes on with a compaction, or begins one. At its end the records before its mark are dropped,
    /// after a look that those behind it say the same.
    pub(crate) fn compact(&mut self, bytes: usize) {
        let mut effects = Effects::new();
        let Some(mark) = self.mark else {
            self.mark = Some(self.journal.len());
            self.engine.begin_restating(&mut effects);
            self.absorb(effects);
            return;
        };
        if self.engine.restate(bytes, &mut effects) {
            self.absorb(effects);
            return;
        }
        self.engine.end_restating(&mut effects);
        self.absorb(effects);
        let all = said_by(&self.config, &self.journal);
        self.journal.drain(..mark);
        self.mark = None;
        assert_eq!(said_by(&self.config, &self.journal), all);
    }

    /// A whole compaction.
    pub(crate) fn compact_whole(&mut self) {
        self.compact(64);
        while self.mark.is_some() {
            self.compact(64);
        }
    }

    /// Notes effects; the replies among them are returned.
    fn absorb(&mut self, effects: Effects) -> Vec<(u64, Result<Reply, EngineError>)> {
        self.emitted += effects.records.len() as u64;
        self.journal.extend(effects.records);
        let mut replies = Vec::new();
        for effect in effects.effects {
            match effect {
                Effect::Reply {
                    session,
                    token,
                    result,
                    after,
                } => {
                    self.note_gate(session, after);
                    replies.push((token, result));
                }
                Effect::Deliver {
                    session,
                    consumer,
                    message,
                    id,
                    delivery_count,
                    after,
                } => {
                    self.note_gate(session, after);
                    self.deliveries.push(Delivery {
                        session,
                        consumer,
                        id,
                        count: delivery_count,
                        text: message.text().unwrap_or_default(),
                        message,
                        after,
                    });
                }
                Effect::ForcedDelivery {
                    session,
                    consumer,
                    sequence,
                    after,
                    ..
                } => {
                    self.note_gate(session, after);
                    self.markers.push((session, consumer, sequence));
                }
                Effect::ConsumerClosed {
                    session,
                    consumer,
                    after,
                } => {
                    self.note_gate(session, after);
                    self.closed.push((session, consumer));
                }
                Effect::ProducerCredits {
                    session,
                    address,
                    credits,
                    fail,
                    after,
                } => {
                    assert!(!fail);
                    self.note_gate(session, after);
                    self.credits.push((session, address, credits));
                }
                Effect::ManagementRequest {
                    session,
                    message,
                    after,
                } => {
                    self.note_gate(session, after);
                    self.management.push(message);
                }
                Effect::Notice(notice) => self.notices.push(notice),
            }
        }
        replies
    }

    /// What holds for every effect: it depends on a record that exists, and those of one session
    /// leave in their order.
    fn note_gate(&mut self, session: SessionKey, after: u64) {
        assert!(after <= self.emitted, "{after} of {} records", self.emitted);
        let last = self.gates.iter().rev().find(|(other, _)| *other == session);
        assert!(
            last.is_none_or(|(_, last)| *last <= after),
            "the gate of {session} fell"
        );
        self.gates.push((session, after));
    }

    pub(crate) fn call(
        &mut self,
        session: SessionKey,
        command: Command,
    ) -> Result<Reply, EngineError> {
        let token = self.next_token;
        self.next_token += 1;
        let mut effects = Effects::new();
        self.engine.handle(
            self.now_ms,
            Request {
                session,
                token,
                command,
            },
            &mut effects,
        );
        let mut replies = self.absorb(effects);
        assert_eq!(replies.len(), 1, "one answer per request");
        let (answered, result) = replies.remove(0);
        assert_eq!(answered, token);
        result
    }

    pub(crate) fn done(&mut self, session: SessionKey, command: Command) {
        let shown = format!("{command:?}");
        assert_eq!(self.call(session, command), Ok(Reply::Done), "{shown}");
    }

    pub(crate) fn refused(&mut self, session: SessionKey, command: Command) -> EngineError {
        let shown = format!("{command:?}");
        match self.call(session, command) {
            Ok(reply) => panic!("{shown} was answered {reply:?}"),
            Err(error) => error,
        }
    }

    /// A request that nobody waits for.
    pub(crate) fn tell(&mut self, session: SessionKey, command: Command) {
        let mut effects = Effects::new();
        let request = Request {
            session,
            token: NO_REPLY,
            command,
        };
        self.engine.handle(self.now_ms, request, &mut effects);
        assert!(
            self.absorb(effects).is_empty(),
            "an answer nobody asked for"
        );
    }

    /// Lets time pass, firing what is due.
    pub(crate) fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        self.settle_timeouts();
    }

    pub(crate) fn settle_timeouts(&mut self) {
        for _ in 0..100_000 {
            if self
                .engine
                .next_timeout()
                .is_none_or(|due_ms| due_ms > self.now_ms)
            {
                return;
            }
            let mut effects = Effects::new();
            self.engine.handle_timeout(self.now_ms, &mut effects);
            assert!(self.absorb(effects).is_empty());
        }
        panic!("timeouts never end");
    }

    pub(crate) fn open(&mut self, open: OpenSession) -> SessionKey {
        let key = SessionKey(self.next_session);
        self.next_session += 1;
        self.done(key, Command::OpenSession(open));
        key
    }

    /// A started session that commits by itself, on a connection of its own.
    pub(crate) fn session(&mut self) -> SessionKey {
        let key = self.open(self.auto());
        self.tell(key, Command::Start);
        key
    }

    /// A started transacted session, on a connection of its own.
    pub(crate) fn transacted(&mut self) -> SessionKey {
        let open = OpenSession {
            auto_commit_sends: false,
            auto_commit_acks: false,
            ..self.auto()
        };
        let key = self.open(open);
        self.tell(key, Command::Start);
        key
    }

    /// How a session that commits by itself begins.
    pub(crate) fn auto(&self) -> OpenSession {
        OpenSession {
            connection: ConnectionKey(1_000 + self.next_session),
            user: Some("anna".to_owned()),
            roles: vec!["users".to_owned()],
            bypass_security: false,
            auto_commit_sends: true,
            auto_commit_acks: true,
            pre_acknowledge: false,
        }
    }

    /// A durable queue on an address of its name.
    pub(crate) fn queue(&mut self, session: SessionKey, name: &str) {
        let create = CreateQueue {
            routing_type: Some(RoutingType::Anycast),
            ..CreateQueue::new(name, name)
        };
        self.done(session, Command::CreateQueue(Box::new(create)));
    }

    /// A durable queue on a multicast address.
    pub(crate) fn subscription(&mut self, session: SessionKey, address: &str, name: &str) {
        let create = CreateQueue {
            routing_type: Some(RoutingType::Multicast),
            ..CreateQueue::new(address, name)
        };
        self.done(session, Command::CreateQueue(Box::new(create)));
    }

    pub(crate) fn consumer_with(
        &mut self,
        session: SessionKey,
        create: CreateConsumer,
    ) -> Result<QueueInfo, EngineError> {
        match self.call(session, Command::CreateConsumer(create))? {
            Reply::Queue(info) => Ok(*info),
            other @ (Reply::Done | Reply::Binding(_)) => panic!("{other:?}"),
        }
    }

    /// A consumer without a filter that has all the credits it wants.
    pub(crate) fn consumer(&mut self, session: SessionKey, consumer: i64, queue: &str) {
        self.consumer_with(session, consume(consumer, queue))
            .unwrap();
        self.tell(
            session,
            Command::Credits {
                consumer,
                credits: -1,
            },
        );
    }

    pub(crate) fn send(&mut self, session: SessionKey, builder: &MessageBuilder) {
        self.done(
            session,
            Command::Send {
                message: builder.build(),
                address: None,
            },
        );
    }

    pub(crate) fn send_texts(&mut self, session: SessionKey, address: &str, texts: &[&str]) {
        for body in texts {
            self.send(session, &text(address, body));
        }
    }

    pub(crate) fn acknowledge(&mut self, delivery: &Delivery, individual: bool) {
        let command = Command::Acknowledge {
            consumer: delivery.consumer,
            message_id: delivery.id,
            individual,
        };
        self.done(delivery.session, command);
    }

    /// What was delivered since the last call.
    pub(crate) fn take(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }

    /// The texts delivered since the last call.
    pub(crate) fn texts(&mut self) -> Vec<String> {
        self.take()
            .into_iter()
            .map(|delivery| delivery.text)
            .collect()
    }

    /// The texts and counts delivered since the last call.
    pub(crate) fn counted(&mut self) -> Vec<(String, i32)> {
        self.take()
            .into_iter()
            .map(|delivery| (delivery.text, delivery.count))
            .collect()
    }

    /// What is in a queue and not under way, through a browser.
    pub(crate) fn browse(&mut self, queue: &str) -> Vec<String> {
        let kept = self.take();
        let session = self.open(OpenSession {
            bypass_security: true,
            ..self.auto()
        });
        let create = CreateConsumer {
            browse_only: true,
            ..consume(0, queue)
        };
        self.consumer_with(session, create).unwrap();
        self.tell(
            session,
            Command::Credits {
                consumer: 0,
                credits: -1,
            },
        );
        self.settle_timeouts();
        let texts = self.texts();
        self.done(session, Command::CloseSession { failed: false });
        self.deliveries = kept;
        texts
    }

    pub(crate) fn query(&mut self, session: SessionKey, queue: &str) -> QueueInfo {
        match self.call(
            session,
            Command::QueueQuery {
                queue: queue.to_owned(),
            },
        ) {
            Ok(Reply::Queue(info)) => *info,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn stats(&self, queue: &str) -> Option<QueueStats> {
        self.engine
            .stats()
            .queues
            .into_iter()
            .find(|stats| stats.name == queue)
    }
}

pub(crate) fn consume(consumer: i64, queue: &str) -> CreateConsumer {
    CreateConsumer {
        consumer,
        queue: queue.to_owned(),
        filter: None,
        browse_only: false,
        priority: 0,
    }
}

/// What records add up to, in one form: everything a reader of them would say again.
pub(crate) fn said_by(config: &EngineConfig, records: &[Record]) -> Vec<Record> {
    let mut engine = Engine::new(config.clone());
    for record in records {
        engine.recover(record.kind, record.payload.clone()).unwrap();
    }
    let mut effects = Effects::new();
    engine.begin_restating(&mut effects);
    while engine.restate(1 << 20, &mut effects) {}
    effects.records
}
