//! Rule 8: what leaves the engine waits for the record it depends on.

use crate::support::{Broker, consume, text, with};
use core_protocol::message::Value;
use engine::{Command, Effect, Effects, Engine, EngineConfig, Request, SessionKey};

/// The effects of one request.
fn effects_of(broker: &mut Broker, session: SessionKey, command: Command) -> Vec<Effect> {
    let mut effects = Effects::new();
    let request = Request {
        session,
        token: 77,
        command,
    };
    broker.engine.handle(broker.now_ms, request, &mut effects);
    broker.emitted += effects.records.len() as u64;
    broker.journal.append(&mut effects.records);
    effects.effects
}

fn send(text: &core_protocol::MessageBuilder) -> Command {
    Command::Send {
        message: text.build(),
        address: None,
    }
}

/// The `after` of answers, and of deliveries.
fn gates(effects: &[Effect]) -> (Vec<u64>, Vec<u64>) {
    let mut answers = Vec::new();
    let mut deliveries = Vec::new();
    for effect in effects {
        match effect {
            Effect::Reply { after, .. } => answers.push(*after),
            Effect::Deliver { after, .. } => deliveries.push(*after),
            Effect::ForcedDelivery { .. }
            | Effect::ConsumerClosed { .. }
            | Effect::ProducerCredits { .. }
            | Effect::ManagementRequest { .. }
            | Effect::Notice(_) => panic!("{effect:?}"),
        }
    }
    (answers, deliveries)
}

#[test]
fn the_answer_and_the_delivery_of_a_durable_send_wait_for_its_record() {
    let mut broker = Broker::new();
    let sender = broker.session();
    let receiver = broker.session();
    broker.queue(sender, "q");
    broker.consumer(receiver, 0, "q");
    let effects = effects_of(&mut broker, sender, send(&text("q", "a")));
    let number = broker.emitted;
    assert_eq!(gates(&effects), (vec![number], vec![number]));
}

#[test]
fn what_is_not_durable_waits_for_nothing_but_its_predecessors() {
    let mut broker = Broker::new();
    let sender = broker.session();
    let other = broker.session();
    broker.queue(sender, "q");
    let mut fleeting = text("q", "a");
    fleeting.durable = false;
    let created = broker.emitted;
    // The session has just been told of the queue, so its effects come after that.
    let effects = effects_of(&mut broker, sender, send(&fleeting));
    assert_eq!(gates(&effects), (vec![created], vec![]));
    // Another session has been told nothing yet.
    let effects = effects_of(&mut broker, other, send(&fleeting));
    assert_eq!(gates(&effects), (vec![0], vec![]));
    // Its deliveries stay in their order: the durable one holds back the other.
    let session = broker.session();
    broker.consumer(session, 0, "q");
    broker.take();
    let durable = effects_of(&mut broker, other, send(&text("q", "b")));
    let number = broker.emitted;
    assert_eq!(gates(&durable), (vec![number], vec![number]));
    broker.queue(sender, "more records");
    let effects = effects_of(&mut broker, sender, send(&fleeting));
    assert_eq!(gates(&effects).1, vec![number]);
}

#[test]
fn a_duplicate_is_confirmed_only_when_the_first_is_safe() {
    let mut broker = Broker::new();
    let first = broker.session();
    let second = broker.session();
    broker.queue(first, "q");
    let once = with(text("q", "once"), "_AMQ_DUPL_ID", Value::String("x".into()));
    effects_of(&mut broker, first, send(&once));
    let number = broker.emitted;
    broker.queue(first, "later");
    let effects = effects_of(&mut broker, second, send(&once));
    assert_eq!(gates(&effects), (vec![number], vec![]));
}

#[test]
fn what_one_session_learns_of_another_waits_for_the_other() {
    let mut broker = Broker::new();
    let first = broker.session();
    let second = broker.session();
    broker.queue(first, "q");
    let number = broker.emitted;
    for command in [
        Command::QueueQuery { queue: "q".into() },
        Command::BindingQuery {
            address: "q".into(),
        },
        Command::CreateConsumer(consume(0, "q")),
        Command::CreateQueue(Box::new(engine::CreateQueue::new("q", "q"))),
    ] {
        let effects = effects_of(&mut broker, second, command);
        assert_eq!(gates(&effects), (vec![number], vec![]));
    }
}

#[test]
fn numbers_begin_anew_with_each_term() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a"]);
    let mut broker = broker.restart();
    let session = broker.session();
    broker.consumer_with(session, consume(0, "q")).unwrap();
    let credits = Command::Credits {
        consumer: 0,
        credits: -1,
    };
    let effects = effects_of(&mut broker, session, credits);
    assert_eq!(
        gates(&effects),
        (vec![0], vec![0]),
        "recovered messages are safe"
    );
    let effects = effects_of(&mut broker, session, send(&text("q", "b")));
    assert_eq!(gates(&effects), (vec![1], vec![1]));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures")]
fn a_long_queue_slows_nothing_down() {
    // A million messages; the time of the last sends is compared with that of the first, so the
    // test does not depend on the machine. Anything that walks through the queue is a thousand
    // times slower at its end.
    const MESSAGES: u32 = 1_000_000;
    const SAMPLE: u32 = 20_000;
    let mut engine = Engine::new(EngineConfig::new(1));
    let mut effects = Effects::new();
    engine.finish_recovery(1, &mut effects).unwrap();
    let session = SessionKey(1);
    let mut handle = |command: Command| {
        effects.clear();
        engine.handle(
            1,
            Request {
                session,
                token: 1,
                command,
            },
            &mut effects,
        );
        effects.effects.len()
    };
    handle(Command::OpenSession(Broker::new().auto()));
    handle(Command::CreateQueue(Box::new(engine::CreateQueue {
        routing_type: Some(engine::RoutingType::Anycast),
        ..engine::CreateQueue::new("q", "q")
    })));
    let message = text("q", "x").build();
    let mut first = std::time::Duration::ZERO;
    let mut last = std::time::Duration::ZERO;
    for part in 0..MESSAGES / SAMPLE {
        let begin = std::time::Instant::now();
        for _ in 0..SAMPLE {
            handle(Command::Send {
                message: message.clone(),
                address: None,
            });
        }
        last = begin.elapsed();
        if part == 0 {
            first = last;
        }
    }
    assert!(
        last < first * 20 + std::time::Duration::from_millis(500),
        "{first:?} then {last:?}"
    );

    handle(Command::Start);
    handle(Command::CreateConsumer(consume(0, "q")));
    let begin = std::time::Instant::now();
    for _ in 0..SAMPLE {
        assert_eq!(
            handle(Command::Credits {
                consumer: 0,
                credits: 1
            }),
            2
        );
        handle(Command::Credits {
            consumer: 0,
            credits: 0,
        });
    }
    let consumed = begin.elapsed();
    assert!(
        consumed < first * 20 + std::time::Duration::from_millis(500),
        "{consumed:?}"
    );
}
