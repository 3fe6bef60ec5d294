//! The wall clock is set back, or forward.

use core_protocol::message::Value;
use engine::{AddressSettingsOverrides, Command};

use crate::redelivery::settings;
use crate::support::{Broker, text, with};

const HOUR_MS: u64 = 3_600_000;

/// A message that waits a second before it comes again, and one that a client scheduled for two hours from now.
fn waiting() -> Broker {
    let mut broker = Broker::with_config(settings(AddressSettingsOverrides {
        redelivery_delay_ms: Some(1_000),
        ..AddressSettingsOverrides::default()
    }));
    broker.advance(2 * HOUR_MS);
    let session = broker.session();
    broker.send_texts(session, "q", &["again"]);
    let at_ms = i64::try_from(broker.now_ms + 2 * HOUR_MS).unwrap();
    let later = with(
        text("q", "later"),
        "_AMQ_SCHED_DELIVERY",
        Value::Long(at_ms),
    );
    broker.send(session, &later);
    let transacted = broker.transacted();
    broker.consumer(transacted, 0, "q");
    let delivery = broker.take().remove(0);
    broker.acknowledge(&delivery, false);
    broker.done(
        transacted,
        Command::Rollback {
            consider_last_delivered: false,
        },
    );
    broker
}

#[test]
fn a_clock_set_back_stalls_no_delay_and_keeps_the_dates_of_clients() {
    let mut broker = waiting();
    broker.now_ms -= HOUR_MS;
    broker.engine.clock_set_back(HOUR_MS);
    broker.advance(999);
    assert_eq!(broker.texts(), Vec::<String>::new());
    broker.advance(1);
    assert_eq!(broker.texts(), ["again"]);
    broker.advance(3 * HOUR_MS - 1_001);
    assert_eq!(broker.texts(), Vec::<String>::new());
    broker.advance(1);
    assert_eq!(broker.texts(), ["later"]);
}

#[test]
fn a_clock_set_forward_ends_delays_early() {
    let mut broker = waiting();
    broker.advance(HOUR_MS);
    assert_eq!(broker.texts(), ["again"]);
}
