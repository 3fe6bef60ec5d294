//! Any sequence of requests, against a simple model: what the model says is in the queues is what a
//! new term finds in the records, in the same order and with the same delivery counts.

use std::collections::BTreeMap;

use crate::support::{Broker, Delivery, consume, text};
use engine::{
    AddressSettingsMatch, AddressSettingsOverrides, Command, CreateQueue, EngineConfig,
    RoutingType, SessionKey,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Sessions of the model: two that commit by themselves, two transacted; of each kind the second
/// consumes.
const SESSIONS: usize = 4;

/// The consumers of a consuming session, by their ids.
const CONSUMED: [&str; 3] = ["q", "s1", "memory"];

#[derive(Debug, Clone)]
enum Step {
    Send {
        session: usize,
        topic: bool,
        durable: bool,
        priority: u8,
    },
    Acknowledge {
        which: prop::sample::Index,
        individual: bool,
    },
    Commit {
        session: usize,
    },
    Rollback {
        session: usize,
        consider_last: bool,
    },
    CloseConsumer {
        session: usize,
        consumer: usize,
    },
    Reopen {
        session: usize,
        failed: bool,
    },
    ReplaceQueue,
    Restart,
    /// A slice of a compaction.
    Compact {
        bytes: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    prop_oneof![
        8 => (session.clone(), any::<bool>(), prop::bool::weighted(0.8), 0_u8..10)
            .prop_map(|(session, topic, durable, priority)| Step::Send {
                session,
                topic,
                durable,
                priority: if priority < 7 { 4 } else { priority },
            }),
        8 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, individual)| Step::Acknowledge { which, individual }),
        3 => session.clone().prop_map(|session| Step::Commit { session }),
        2 => (session.clone(), any::<bool>())
            .prop_map(|(session, consider_last)| Step::Rollback { session, consider_last }),
        1 => (session.clone(), 0..CONSUMED.len())
            .prop_map(|(session, consumer)| Step::CloseConsumer { session, consumer }),
        1 => (session, any::<bool>()).prop_map(|(session, failed)| Step::Reopen { session, failed }),
        1 => Just(Step::ReplaceQueue),
        1 => Just(Step::Restart),
        6 => (1_usize..1500).prop_map(|bytes| Step::Compact { bytes }),
    ]
}

#[derive(Debug, Clone)]
struct Expected {
    text: String,
    durable: bool,
    /// Deliveries that count.
    count: i32,
}

/// A queue of the model: what is in it, by priority (turned round) and order of arrival.
type ModelQueue = BTreeMap<(u8, u64), Expected>;

#[derive(Debug, Default)]
struct ModelSession {
    /// Delivered and not acknowledged, in order of delivery.
    outstanding: Vec<Delivery>,
    acknowledged: Vec<Delivery>,
    sends: Vec<(bool, String, bool, u8)>,
}

struct World {
    broker: Broker,
    keys: Vec<SessionKey>,
    queues: BTreeMap<&'static str, ModelQueue>,
    sessions: Vec<ModelSession>,
    arrivals: u64,
    sent: u64,
}

fn transacted(session: usize) -> bool {
    session >= 2
}

fn consumes(session: usize) -> bool {
    session % 2 == 1
}

fn subscription(name: &str, durable: bool) -> Command {
    Command::CreateQueue(Box::new(CreateQueue {
        durable,
        routing_type: Some(RoutingType::Multicast),
        ..CreateQueue::new("t", name)
    }))
}

impl World {
    fn new() -> Self {
        let mut config = EngineConfig::new(1);
        config.address_settings = vec![AddressSettingsMatch {
            pattern: "#".into(),
            overrides: AddressSettingsOverrides {
                max_delivery_attempts: Some(-1),
                ..AddressSettingsOverrides::default()
            },
        }];
        let mut broker = Broker::with_config(config);
        let admin = broker.session();
        broker.queue(admin, "q");
        for (name, durable) in [("s1", true), ("s2", true), ("memory", false)] {
            broker.done(admin, subscription(name, durable));
        }
        let mut world = Self {
            broker,
            keys: Vec::new(),
            queues: ["q", "s1", "s2", "memory"]
                .map(|name| (name, ModelQueue::new()))
                .into(),
            sessions: Vec::new(),
            arrivals: 0,
            sent: 0,
        };
        world.open_all();
        world
    }

    fn open_all(&mut self) {
        self.keys.clear();
        self.sessions.clear();
        for session in 0..SESSIONS {
            let key = self.open(session);
            self.keys.push(key);
            self.sessions.push(ModelSession::default());
        }
    }

    fn open(&mut self, session: usize) -> SessionKey {
        let key = if transacted(session) {
            self.broker.transacted()
        } else {
            self.broker.session()
        };
        if consumes(session) {
            for (consumer, queue) in (0..).zip(CONSUMED) {
                self.broker.consumer(key, consumer, queue);
            }
        }
        key
    }

    fn arrive(&mut self, topic: bool, text: &str, durable: bool, priority: u8) {
        self.arrivals += 1;
        let names: &[&str] = if topic {
            &["s1", "s2", "memory"]
        } else {
            &["q"]
        };
        for name in names {
            let expected = Expected {
                text: text.to_owned(),
                durable,
                count: 0,
            };
            self.queues
                .get_mut(name)
                .unwrap()
                .insert((9 - priority, self.arrivals), expected);
        }
    }

    fn expected(&mut self, delivery: &Delivery) -> &mut Expected {
        let queue = CONSUMED[usize::try_from(delivery.consumer).unwrap()];
        self.queues
            .get_mut(queue)
            .unwrap()
            .values_mut()
            .find(|expected| expected.text == delivery.text)
            .unwrap_or_else(|| panic!("{} is not in {queue}", delivery.text))
    }

    fn leave(&mut self, delivery: &Delivery) {
        let queue = CONSUMED[usize::try_from(delivery.consumer).unwrap()];
        self.queues
            .get_mut(queue)
            .unwrap()
            .retain(|_, expected| expected.text != delivery.text);
    }

    /// Notes what was delivered; each delivery must say how often it happened.
    fn note_deliveries(&mut self) {
        for delivery in self.broker.take() {
            let count = self.expected(&delivery).count;
            assert_eq!(delivery.count, count + 1, "{}", delivery.text);
            let session = self
                .keys
                .iter()
                .position(|key| *key == delivery.session)
                .unwrap();
            self.sessions[session].outstanding.push(delivery);
        }
    }

    fn apply(&mut self, step: &Step) {
        match step.clone() {
            Step::Send {
                session,
                topic,
                durable,
                priority,
            } => {
                self.send(session, topic, durable, priority);
            }
            Step::Acknowledge { which, individual } => self.acknowledge(which, individual),
            Step::Commit { session } => {
                self.broker.done(self.keys[session], Command::Commit);
                let acknowledged = std::mem::take(&mut self.sessions[session].acknowledged);
                for delivery in acknowledged {
                    self.leave(&delivery);
                }
                for (topic, text, durable, priority) in
                    std::mem::take(&mut self.sessions[session].sends)
                {
                    self.arrive(topic, &text, durable, priority);
                }
            }
            Step::Rollback {
                session,
                consider_last,
            } => {
                self.roll_back(session, consider_last);
                let command = Command::Rollback {
                    consider_last_delivered: consider_last,
                };
                self.broker.done(self.keys[session], command);
            }
            Step::CloseConsumer { session, consumer } => self.close_consumer(session, consumer),
            Step::Reopen { session, failed } => {
                self.roll_back_transaction(session);
                for delivery in std::mem::take(&mut self.sessions[session].outstanding) {
                    if failed {
                        self.expected(&delivery).count += 1;
                    }
                }
                self.broker
                    .done(self.keys[session], Command::CloseSession { failed });
                self.note_deliveries();
                // Known before it receives anything.
                let key = SessionKey(u64::MAX);
                self.keys[session] = key;
                self.keys[session] = self.open(session);
            }
            Step::ReplaceQueue => {
                let admin = self.keys[0];
                self.broker
                    .done(admin, Command::DeleteQueue { queue: "s2".into() });
                self.broker.done(admin, subscription("s2", true));
                self.queues.insert("s2", ModelQueue::new());
            }
            Step::Restart => self.restart(),
            Step::Compact { bytes } => self.broker.compact(bytes),
        }
        self.note_deliveries();
    }

    fn send(&mut self, session: usize, topic: bool, durable: bool, priority: u8) {
        self.sent += 1;
        let body = format!("m{}", self.sent);
        let mut builder = text(if topic { "t" } else { "q" }, &body);
        builder.durable = durable;
        builder.priority = priority;
        if transacted(session) {
            self.sessions[session]
                .sends
                .push((topic, body, durable, priority));
        } else {
            self.arrive(topic, &body, durable, priority);
        }
        self.broker.send(self.keys[session], &builder);
    }

    fn acknowledge(&mut self, which: prop::sample::Index, individual: bool) {
        let all: Vec<(usize, Delivery)> = (0..SESSIONS)
            .flat_map(|session| {
                self.sessions[session]
                    .outstanding
                    .iter()
                    .map(move |one| (session, one.clone()))
            })
            .collect();
        if all.is_empty() {
            return;
        }
        let (session, chosen) = all[which.index(all.len())].clone();
        self.broker.acknowledge(&chosen, individual);
        let model = &mut self.sessions[session];
        let end = model
            .outstanding
            .iter()
            .position(|one| *one == chosen)
            .unwrap();
        let mut settled = Vec::new();
        let mut index = 0;
        model.outstanding.retain(|one| {
            let covered = one.consumer == chosen.consumer
                && if individual {
                    index == end
                } else {
                    index <= end
                };
            index += 1;
            if covered {
                settled.push(one.clone());
            }
            !covered
        });
        if transacted(session) {
            model.acknowledged.extend(settled);
        } else {
            for delivery in settled {
                self.leave(&delivery);
            }
        }
    }

    fn roll_back_transaction(&mut self, session: usize) {
        self.sessions[session].sends.clear();
        for delivery in std::mem::take(&mut self.sessions[session].acknowledged) {
            self.expected(&delivery).count += 1;
        }
    }

    fn roll_back(&mut self, session: usize, consider_last: bool) {
        self.roll_back_transaction(session);
        let mut seen = Vec::new();
        for delivery in std::mem::take(&mut self.sessions[session].outstanding) {
            if consider_last && !seen.contains(&delivery.consumer) {
                self.expected(&delivery).count += 1;
                seen.push(delivery.consumer);
            }
        }
    }

    fn close_consumer(&mut self, session: usize, consumer: usize) {
        let key = self.keys[session];
        let id = i64::try_from(consumer).unwrap();
        self.sessions[session]
            .outstanding
            .retain(|one| one.consumer != id);
        self.broker
            .done(key, Command::CloseConsumer { consumer: id });
        self.note_deliveries();
        if consumes(session) {
            self.broker.consumer(key, id, CONSUMED[consumer]);
        }
    }

    /// The next term: only what is durable is left, and what was under way was not delivered.
    fn restart(&mut self) {
        let broker = std::mem::replace(&mut self.broker, Broker::new());
        self.broker = broker.restart();
        for queue in self.queues.values_mut() {
            queue.retain(|_, expected| expected.durable);
        }
        self.queues.insert("memory", ModelQueue::new());
        for (name, queue) in &self.queues {
            let expected: Vec<&str> = queue
                .values()
                .map(|expected| expected.text.as_str())
                .collect();
            if *name != "memory" {
                assert_eq!(self.broker.browse(name), expected, "{name}");
            }
        }
        let admin = self.broker.session();
        self.broker.done(admin, subscription("memory", false));
        self.open_all();
    }

    fn check_counts(&self) {
        for (name, queue) in &self.queues {
            let stats = self.broker.stats(name).unwrap();
            assert_eq!(stats.message_count, queue.len(), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_new_term_finds_what_the_model_says(steps in vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.apply(&step);
            world.check_counts();
        }
        world.restart();
        world.note_deliveries();
        world.check_counts();
    }

    /// A crash may cut the journal after any record.
    #[test]
    fn every_prefix_of_the_records_can_be_replayed(
        steps in vec(step(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new();
        for step in steps {
            // Records before a mark are dropped only once what follows it is safe from any cut.
            if !matches!(step, Step::Compact { .. }) {
                world.apply(&step);
            }
        }
        let mut broker = world.broker;
        let length = cut.index(broker.journal.len() + 1);
        broker.journal.truncate(length);
        let again = broker.restart();
        prop_assert_eq!(again.journal.len(), length);
    }
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a"]);
    broker.consumer_with(session, consume(0, "q")).unwrap();
    let journal = broker.journal;
    let replay = |order: &[usize]| {
        let mut engine = engine::Engine::new(EngineConfig::new(2));
        let mut result = Ok(());
        for index in order {
            let record = &journal[*index];
            result = engine.recover(record.kind, record.payload.clone());
        }
        result.map_err(|error| error.to_string())
    };
    assert_eq!(replay(&[0, 1, 2]), Ok(()));
    let refused = [
        (
            &[1][..],
            "record mentions address q, which no earlier record created",
        ),
        (&[0, 1, 1][..], "record creates queue q, which exists"),
    ];
    for (order, reason) in refused {
        assert_eq!(replay(order), Err(reason.to_owned()));
    }
    assert!(
        replay(&[0, 2])
            .unwrap_err()
            .starts_with("record mentions queue")
    );
    assert!(
        replay(&[0, 1, 2, 2])
            .unwrap_err()
            .starts_with("record adds message")
    );

    let mut serving = engine::Engine::new(EngineConfig::new(2));
    serving
        .finish_recovery(1, &mut engine::Effects::new())
        .unwrap();
    let late = serving.recover(journal[0].kind, journal[0].payload.clone());
    assert_eq!(
        late.unwrap_err().to_string(),
        "record comes after the engine began to serve"
    );
}

#[test]
fn what_is_recorded_can_be_carried_elsewhere() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.subscription(session, "t", "s1");
    broker.subscription(session, "t", "s2");
    broker.queue(session, "q");
    broker.send_texts(session, "t", &["news"]);
    broker.send_texts(session, "q", &["a", "b"]);
    let open = broker.transacted();
    broker.send_texts(open, "q", &["not committed"]);
    let mut engine = engine::Engine::new(EngineConfig::new(2));
    for record in &broker.journal {
        engine.recover(record.kind, record.payload.clone()).unwrap();
    }
    let queues: Vec<_> = engine.recorded_queues().map(|queue| queue.name).collect();
    assert_eq!(queues, ["s1", "s2", "q"]);
    let holders: Vec<_> = engine
        .recorded_messages()
        .map(|found| found.queues)
        .collect();
    assert_eq!(holders, [vec!["s1", "s2"], vec!["q"], vec!["q"]]);
    let ids: Vec<_> = engine.recorded_messages().map(|found| found.id).collect();
    assert!(ids.is_sorted());
}

#[test]
fn of_a_journal_with_gaps_everything_that_is_there_is_kept() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a", "b"]);
    broker.consumer(session, 0, "q");
    for delivery in broker.take() {
        broker.acknowledge(&delivery, true);
    }
    broker.send_texts(session, "q", &["c"]);
    let said = |skip: &[usize]| {
        let mut engine = engine::Engine::new(EngineConfig::new(2));
        engine.tolerate_gaps();
        for (index, record) in broker.journal.iter().enumerate() {
            if !skip.contains(&index) {
                engine.recover(record.kind, record.payload.clone()).unwrap();
            }
        }
        let queues: Vec<String> = engine
            .recorded_queues()
            .map(|queue| queue.name.to_owned())
            .collect();
        (queues, engine.recorded_messages().count())
    };
    let q = vec!["q".to_owned()];
    assert_eq!(said(&[]), (q.clone(), 1));
    // Without the address: the queue makes it. Without a message: only that is missing.
    assert_eq!(said(&[0]), (q.clone(), 1));
    assert_eq!(said(&[2]), (q.clone(), 1));
    // Without a removal the message is there again.
    let removal = broker
        .journal
        .iter()
        .position(|record| record.kind == 6)
        .unwrap();
    assert_eq!(said(&[removal]).0, q);
    assert!(said(&[removal]).1 > 1);
    // Without the queue its messages are in one that is made up.
    let (queues, messages) = said(&[1]);
    assert!(queues[0].starts_with("salvaged."), "{queues:?}");
    assert_eq!(messages, 1);
}
