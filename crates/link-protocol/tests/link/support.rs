//! Both ends in one place.

use std::sync::OnceLock;

use link_protocol::{Connection, End, Event, Identity, Key, Local, Purpose, Settings, VERSIONS};
use pair::{Body, Incarnation, Message, Mode, Side, Still, Term};

pub(crate) const BEAT_MS: u64 = 250;
pub(crate) const LOST_AFTER_MS: u64 = 2_000;

pub(crate) fn key() -> Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::derive("clusterUser", "clusterPassword"))
        .clone()
}

pub(crate) fn primary() -> Local {
    Local {
        pair: Some("0f0f0f0f-0000-4000-8000-000000000001".to_owned()),
        mode: Mode::SharedStore,
        side: Side::Primary,
        inc: Incarnation([0xa1; 16]),
        name: "liveBroker".to_owned(),
        address: "127.0.0.1:61615".to_owned(),
        purpose: Purpose::Link,
    }
}

pub(crate) fn backup() -> Local {
    Local {
        side: Side::Backup,
        inc: Incarnation([0xb2; 16]),
        name: "backupBroker".to_owned(),
        address: "127.0.0.1:61715".to_owned(),
        ..primary()
    }
}

pub(crate) fn settings(local: Local) -> Settings {
    Settings {
        local,
        key: key(),
        versions: VERSIONS,
        beat_ms: BEAT_MS,
        lost_after_ms: LOST_AFTER_MS,
    }
}

pub(crate) fn dialler(settings: Settings) -> Connection {
    Connection::new(End::Dialler, settings, [0xd1; 32], 0)
}

pub(crate) fn acceptor(settings: Settings) -> Connection {
    Connection::new(End::Acceptor, settings, [0xac; 32], 0)
}

pub(crate) fn message(number: u64) -> Message {
    let term = Term {
        epoch: 7,
        inc: Incarnation([0xa1; 16]),
    };
    Message {
        epoch: 7,
        body: Body::Still(Still {
            term,
            nonce: number,
        }),
    }
}

/// Everything that an end has to say now.
pub(crate) fn output(connection: &mut Connection) -> Vec<u8> {
    std::iter::from_fn(|| connection.poll_output())
        .flatten()
        .collect()
}

pub(crate) fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

/// Hands on what both say until they are silent, admitting whoever is proven; their events.
pub(crate) fn exchange(dialler: &mut Connection, acceptor: &mut Connection) -> [Vec<Event>; 2] {
    exchange_through(dialler, acceptor, |_, bytes| bytes)
}

/// The same, with somebody between them who may change what each of them says.
pub(crate) fn exchange_through(
    dialler: &mut Connection,
    acceptor: &mut Connection,
    mut between: impl FnMut(End, Vec<u8>) -> Vec<u8>,
) -> [Vec<Event>; 2] {
    let mut seen = [Vec::new(), Vec::new()];
    loop {
        let from_dialler = output(dialler);
        let from_acceptor = output(acceptor);
        if from_dialler.is_empty() && from_acceptor.is_empty() {
            return seen;
        }
        for (from, bytes) in [(End::Dialler, from_dialler), (End::Acceptor, from_acceptor)] {
            let (to, seen) = match from {
                End::Dialler => (&mut *acceptor, &mut seen[1]),
                End::Acceptor => (&mut *dialler, &mut seen[0]),
            };
            if !bytes.is_empty() {
                to.handle_input(&between(from, bytes), 0);
            }
            for event in events(to) {
                if matches!(event, Event::Proven(_)) {
                    to.admit(0);
                }
                seen.push(event);
            }
            // What admitting brought with it.
            seen.extend(events(to));
        }
    }
}

/// Two ends that are up.
pub(crate) fn connected() -> (Connection, Connection) {
    let mut dialler = dialler(settings(primary()));
    let mut acceptor = acceptor(settings(backup()));
    exchange(&mut dialler, &mut acceptor);
    assert!(dialler.is_up() && acceptor.is_up());
    (dialler, acceptor)
}

pub(crate) fn identity(local: Local) -> Identity {
    Identity {
        pair: local.pair.unwrap_or_default(),
        mode: local.mode,
        side: local.side,
        inc: local.inc,
        name: local.name,
        address: local.address,
        purpose: local.purpose,
    }
}
