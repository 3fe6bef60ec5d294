//! How long a refused client waits for its answer: longer with every wrong password from its address.
//!
//! The wait is the refused client's alone: right passwords are answered at once, from the same address too.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The wait after the second wrong password; it doubles with each further one. A single slip costs nothing.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest wait: far below the 30 s after which clients give up a call.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// An address from which no wrong password came for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_mins(1);
/// Addresses remembered, some hundred KiB. Beyond, further ones wait as after their second wrong password.
const MAX_ADDRESSES: usize = 10_000;

/// Wrong passwords by address.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    addresses: BTreeMap<IpAddr, (u32, Instant)>,
}

impl Backoff {
    /// Notes a wrong password; how many there were from this address lately, and how long its answer waits.
    pub(crate) fn failed(&mut self, address: IpAddr, now: Instant) -> (u32, Duration) {
        let is_recent = |last: Instant| now.saturating_duration_since(last) < FORGET_AFTER;
        if self.addresses.len() >= MAX_ADDRESSES && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, (_, last)| is_recent(*last));
            if self.addresses.len() >= MAX_ADDRESSES {
                return (1, FIRST_DELAY);
            }
        }
        let (count, last) = self.addresses.entry(address).or_insert((0, now));
        *count = if is_recent(*last) {
            count.saturating_add(1)
        } else {
            1
        };
        *last = now;
        (*count, delay(*count))
    }
}

fn delay(count: u32) -> Duration {
    count.checked_sub(2).map_or(Duration::ZERO, |doublings| {
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        FIRST_DELAY.saturating_mul(factor).min(MAX_DELAY)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn the_wait_grows_to_a_bound_and_is_each_address_own() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let waits: Vec<u128> = (0..40)
            .map(|_| backoff.failed(address(1), now).1.as_millis())
            .collect();
        assert_eq!(waits[..8], [0, 100, 200, 400, 800, 1600, 3200, 5000]);
        assert_eq!(waits[39], 5000);
        assert_eq!(backoff.failed(address(2), now), (1, Duration::ZERO));
    }

    #[test]
    fn an_address_is_forgotten_when_it_was_quiet() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        for _ in 0..5 {
            backoff.failed(address(1), now);
        }
        let later = now + FORGET_AFTER;
        assert_eq!(backoff.failed(address(1), later), (1, Duration::ZERO));
    }

    #[test]
    fn many_addresses_take_bounded_memory() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        for number in 0..20_000_u32 {
            backoff.failed(Ipv4Addr::from(number).into(), now);
        }
        assert_eq!(backoff.addresses.len(), MAX_ADDRESSES);
        assert_eq!(backoff.failed(address(9), now), (1, FIRST_DELAY));
        backoff.failed(address(9), now + FORGET_AFTER);
        assert_eq!(backoff.addresses.len(), 1);
    }
}
