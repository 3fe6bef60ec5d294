//! The addresses that announcements in the discovery group lead to.
//!
//! Anybody on the network can announce anything, as often as he likes. So what is remembered here is few addresses to
//! try, each for a while; whether the other side is there, only the proofs on the link can say. It must never tell
//! anything about the pair, such as that a broker lives.

use std::time::{Duration, Instant};

use bytes::Bytes;
use core_protocol::DecodeError;
use core_protocol::discovery::Announcement;

use super::address::Address;
use crate::multicast::is_loopback;

/// Addresses remembered at the same time. A broker announces one or two.
const MAX_ADDRESSES: usize = 8;
/// The longest host that is dialled: the longest name in the DNS.
const MAX_HOST_BYTES: usize = 253;

/// What was heard lately.
#[derive(Debug)]
pub(super) struct Heard {
    /// Host and port of the own connector: this side announces it too, while it serves.
    own: Address,
    /// How long an announcement counts.
    keep: Duration,
    entries: Vec<Entry>,
    turns: u64,
}

#[derive(Debug)]
struct Entry {
    address: Address,
    heard: Instant,
    /// When it was tried last, counted in addresses tried; 0 if never.
    turn: u64,
}

impl Heard {
    pub(super) fn new(own: Address, keep: Duration) -> Self {
        Self {
            own,
            keep,
            entries: Vec::new(),
            turns: 0,
        }
    }

    /// Takes the addresses of a datagram, if it is an announcement of this pair.
    pub(super) fn take(
        &mut self,
        datagram: &Bytes,
        pair: &str,
        now: Instant,
    ) -> Result<(), DecodeError> {
        let announcement = Announcement::decode(datagram)?;
        // Other pairs may share the group. A datagram that names none is for whoever hears it.
        if !announcement.node_id.is_empty() && announcement.node_id != pair {
            return Ok(());
        }
        for connector in &announcement.connectors {
            if let (Some(host), Some(port)) = (connector.host(), connector.port())
                && self.leads_elsewhere(host, port)
                && let Some(address) = Address::beside(host, port)
            {
                self.remember(address, now);
            }
        }
        Ok(())
    }

    /// The address whose turn it is. One at a time: what is announced falsely may take a second to fail, and must not
    /// keep the addresses waiting that somebody vouches for.
    pub(super) fn next(&mut self, now: Instant) -> Option<Address> {
        self.forget_old(now);
        self.turns += 1;
        let entry = self.entries.iter_mut().min_by_key(|entry| entry.turn)?;
        entry.turn = self.turns;
        Some(entry.address.clone())
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    fn leads_elsewhere(&self, host: &str, port: u16) -> bool {
        let Address {
            host: own,
            port: own_port,
        } = &self.own;
        let is_own = port == *own_port && host.eq_ignore_ascii_case(own);
        // Another machine's loopback is not this one's, and whoever is on loopback is reached from there alone.
        !is_own
            && !host.is_empty()
            && host.len() <= MAX_HOST_BYTES
            && is_loopback(host) == is_loopback(own)
    }

    fn remember(&mut self, address: Address, now: Instant) {
        self.forget_old(now);
        let known = self
            .entries
            .iter_mut()
            .find(|entry| entry.address == address);
        if let Some(known) = known {
            known.heard = now;
            return;
        }
        if self.entries.len() >= MAX_ADDRESSES {
            let oldest = self.entries.iter().enumerate();
            if let Some((index, _)) = oldest.min_by_key(|(_, entry)| entry.heard) {
                self.entries.remove(index);
            }
        }
        self.entries.push(Entry {
            address,
            heard: now,
            turn: 0,
        });
    }

    fn forget_old(&mut self, now: Instant) {
        let keep = self.keep;
        self.entries
            .retain(|entry| now.saturating_duration_since(entry.heard) < keep);
    }
}

#[cfg(test)]
mod tests {
    use core_protocol::packet::{Connector, ParamValue};

    use super::*;

    const PAIR: &str = "0f0f0f0f-0000-4000-8000-000000000001";
    const KEEP: Duration = Duration::from_secs(10);

    fn at(host: &str, port: u16) -> Address {
        Address {
            host: host.to_owned(),
            port,
        }
    }

    fn heard_by(host: &str) -> Heard {
        Heard::new(at(host, 61_616), KEEP)
    }

    fn datagram(node_id: &str, places: &[(&str, u16)]) -> Bytes {
        let connector = |(host, port): &(&str, u16)| Connector::tcp("artemis", host, *port);
        Announcement {
            node_id: node_id.to_owned(),
            unique_id: "a run".to_owned(),
            connectors: places.iter().map(connector).collect(),
        }
        .encode()
    }

    /// What is tried next, in as many rounds as there may be addresses, each once.
    fn all(heard: &mut Heard, now: Instant) -> Vec<Address> {
        let mut all = Vec::new();
        for _ in 0..MAX_ADDRESSES {
            all.extend(heard.next(now).filter(|next| !all.contains(next)));
        }
        all
    }

    fn of(own_host: &str, node_id: &str, places: &[(&str, u16)]) -> Vec<Address> {
        let now = Instant::now();
        let mut heard = heard_by(own_host);
        heard.take(&datagram(node_id, places), PAIR, now).unwrap();
        all(&mut heard, now)
    }

    #[test]
    fn the_link_is_one_port_below_what_is_announced() {
        let places = [("192.0.2.1", 61_716), ("backup.example", 7_001)];
        let links = [at("192.0.2.1", 61_715), at("backup.example", 7_000)];
        assert_eq!(of("192.0.2.2", PAIR, &places), links);
        // There is no port 0 to dial, and none below it.
        assert_eq!(
            of("192.0.2.2", PAIR, &[("192.0.2.1", 1), ("192.0.2.1", 0)]),
            []
        );
    }

    #[test]
    fn another_pair_is_not_listened_to() {
        let places = [("192.0.2.1", 61_716)];
        assert_eq!(of("192.0.2.2", "another node", &places), []);
        assert_eq!(of("192.0.2.2", "", &places), [at("192.0.2.1", 61_715)]);
    }

    #[test]
    fn the_own_connector_is_not_dialled() {
        let places = [("Broker.example", 61_616), ("broker.example", 61_716)];
        assert_eq!(
            of("broker.example", PAIR, &places),
            [at("broker.example", 61_715)]
        );
    }

    #[test]
    fn loopback_counts_where_the_own_connector_is_loopback() {
        let places = [
            ("127.0.0.1", 61_716),
            ("LOCALHOST", 61_716),
            ("192.0.2.1", 61_716),
        ];
        assert_eq!(of("192.0.2.2", PAIR, &places), [at("192.0.2.1", 61_715)]);
        assert_eq!(
            of("127.0.0.1", PAIR, &places),
            [at("127.0.0.1", 61_715), at("LOCALHOST", 61_715)]
        );
    }

    #[test]
    fn a_connector_that_names_no_place_is_left_out() {
        let long = "x".repeat(MAX_HOST_BYTES + 1);
        assert_eq!(of("192.0.2.2", PAIR, &[("", 61_716), (&long, 61_716)]), []);
        let params = [
            vec![],
            vec![("host".to_owned(), ParamValue::Text("h".to_owned()))],
            vec![("port".to_owned(), ParamValue::Int(61_716))],
        ];
        let connector = |params| Connector {
            params,
            ..Connector::tcp("artemis", "", 0)
        };
        let announcement = Announcement {
            node_id: PAIR.to_owned(),
            unique_id: String::new(),
            connectors: params.map(connector).to_vec(),
        };
        let now = Instant::now();
        let mut heard = heard_by("192.0.2.2");
        heard.take(&announcement.encode(), PAIR, now).unwrap();
        assert_eq!(heard.next(now), None);
    }

    #[test]
    fn an_announcement_counts_for_a_while() {
        let start = Instant::now();
        let mut heard = heard_by("192.0.2.2");
        let announced = datagram(PAIR, &[("192.0.2.1", 61_716)]);
        heard.take(&announced, PAIR, start).unwrap();
        heard.take(&announced, PAIR, start + KEEP / 2).unwrap();
        assert!(heard.next(start + KEEP).is_some(), "heard again since");
        assert_eq!(heard.next(start + KEEP / 2 + KEEP), None);
        heard.take(&announced, PAIR, start + KEEP).unwrap();
        heard.clear();
        assert_eq!(heard.next(start + KEEP), None);
    }

    #[test]
    fn a_flood_fills_few_places_and_whoever_is_heard_again_has_his_turn() {
        let start = Instant::now();
        let mut heard = heard_by("192.0.2.2");
        for port in 1_001..2_000 {
            let liar = datagram(PAIR, &[("192.0.2.66", port)]);
            heard.take(&liar, PAIR, start).unwrap();
        }
        assert_eq!(heard.entries.len(), MAX_ADDRESSES);
        let later = start + KEEP / 2;
        let peer = datagram(PAIR, &[("192.0.2.1", 61_716)]);
        heard.take(&peer, PAIR, later).unwrap();
        let tried = all(&mut heard, later);
        assert_eq!(tried.len(), MAX_ADDRESSES, "one after the other");
        assert!(tried.contains(&at("192.0.2.1", 61_715)));
        // What was not tried yet comes first.
        let new = datagram(PAIR, &[("192.0.2.3", 61_716)]);
        heard.take(&new, PAIR, later).unwrap();
        assert_eq!(heard.next(later), Some(at("192.0.2.3", 61_715)));
    }

    #[test]
    fn what_is_no_announcement_is_an_error_and_leaves_nothing() {
        let now = Instant::now();
        let mut heard = heard_by("192.0.2.2");
        let whole = datagram(PAIR, &[("192.0.2.1", 61_716)]);
        for bytes in [Bytes::new(), Bytes::from_static(b"GET /"), whole.slice(1..)] {
            assert!(heard.take(&bytes, PAIR, now).is_err());
        }
        assert_eq!(heard.next(now), None);
    }
}
