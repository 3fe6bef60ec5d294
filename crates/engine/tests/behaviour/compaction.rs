//! Saying again what is true, so that old records can go: nothing is lost, nothing comes back.

use core_protocol::message::Value;
use engine::Command;

use crate::support::{Broker, text, with};

/// Records before the mark are gone while a consumer still has what they brought.
#[test]
fn what_is_under_way_during_a_compaction_is_neither_lost_nor_there_twice() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a", "b", "c", "d"]);
    broker.consumer(session, 0, "q");
    let first = broker.take();
    broker.acknowledge(&first[0], true);
    broker.compact(1);
    // Removed after the mark, before its turn: the removal stays, with nothing to remove.
    broker.acknowledge(&first[1], true);
    while broker.mark.is_some() {
        broker.compact(1);
    }
    // Removed after it was said again.
    broker.acknowledge(&first[2], true);
    let mut again = broker.restart();
    assert_eq!(again.browse("q"), ["d"]);
    let mut twice = again.restart();
    assert_eq!(twice.browse("q"), ["d"]);
}

#[test]
fn a_compaction_under_way_leaves_everything_readable() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a", "b", "c"]);
    broker.compact(1);
    broker.compact(1);
    broker.send_texts(session, "q", &["d"]);
    let mut again = broker.restart();
    assert_eq!(again.browse("q"), ["a", "b", "c", "d"]);
}

#[test]
fn duplicates_are_recognised_after_a_compaction() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.consumer(session, 0, "q");
    for id in ["x", "y", "z"] {
        let message = with(text("q", id), "_AMQ_DUPL_ID", Value::String(id.into()));
        broker.send(session, &message);
    }
    for delivery in broker.take() {
        broker.acknowledge(&delivery, true);
    }
    broker.compact_whole();
    broker.compact_whole();
    let mut again = broker.restart();
    let session = again.session();
    for id in ["x", "y", "z"] {
        let message = with(text("q", id), "_AMQ_DUPL_ID", Value::String(id.into()));
        again.send(session, &message);
    }
    assert!(again.browse("q").is_empty());
}

#[test]
fn a_journal_without_use_takes_no_more_with_every_compaction() {
    let mut broker = Broker::new();
    let session = broker.session();
    broker.queue(session, "q");
    broker.send_texts(session, "q", &["a"]);
    broker.compact_whole();
    let records = broker.journal.len();
    let bytes = broker.engine.live_bytes();
    for _ in 0..3 {
        broker.compact_whole();
    }
    assert_eq!(broker.journal.len(), records);
    assert_eq!(broker.engine.live_bytes(), bytes);
}

/// What is remembered of one address is not skipped because the one before it goes in the middle.
#[test]
fn duplicates_stay_known_when_another_address_goes_during_a_compaction() {
    let mut broker = Broker::new();
    let session = broker.session();
    // Messages of the address that stays are older than those of the one that goes.
    for (consumer, address) in [(0, "stays"), (1, "goes")] {
        broker.queue(session, address);
        broker.consumer(session, consumer, address);
        for id in ["x", "y", "z"] {
            let message = with(text(address, id), "_AMQ_DUPL_ID", Value::String(id.into()));
            broker.send(session, &message);
        }
        for delivery in broker.take() {
            broker.acknowledge(&delivery, true);
        }
    }
    // The mark, the messages (none is left), the first id of the address that goes.
    for _ in 0..3 {
        broker.compact(1);
    }
    broker.done(session, Command::CloseConsumer { consumer: 1 });
    let queue = "goes".to_owned();
    broker.done(session, Command::DeleteQueue { queue });
    let address = "goes".to_owned();
    broker.done(session, Command::DeleteAddress { address });
    while broker.mark.is_some() {
        broker.compact(1);
    }
    let mut again = broker.restart();
    let session = again.session();
    for id in ["x", "y", "z"] {
        let message = with(text("stays", id), "_AMQ_DUPL_ID", Value::String(id.into()));
        again.send(session, &message);
    }
    assert!(again.browse("stays").is_empty());
}
