//! The account of every message: what was acknowledged must have been received.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a sender noted.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Time of each acknowledgement, in order: milliseconds and number.
    pub acknowledged: Vec<(u64, u32)>,
    /// Sends that ended with an exception.
    pub unknown: usize,
    /// Whether the log ends as it does when all went well.
    pub ended: bool,
}

/// What a receiver noted.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// How often each number was received.
    pub numbers: BTreeMap<u32, u32>,
    /// How many messages were marked as redelivered.
    pub redelivered: usize,
    /// Whether the log ends as it does when all went well.
    pub ended: bool,
}

impl Sent {
    /// Reads the log of the worksheet's sender.
    pub(crate) fn parse(log: &str) -> Sent {
        let mut sent = Sent::default();
        for (time, event, details) in events(log) {
            match event {
                "acknowledged" => sent.acknowledged.push((time, first_number(details))),
                "unknown" => sent.unknown += 1,
                "end" => sent.ended = true,
                _ => {}
            }
        }
        sent
    }

    /// The longest time between two acknowledgements of which the second came between `from` and `to`.
    pub(crate) fn longest_gap_ms(&self, from: u64, to: u64) -> u64 {
        self.acknowledged
            .windows(2)
            .filter(|pair| (from..=to).contains(&pair[1].0))
            .map(|pair| pair[1].0 - pair[0].0)
            .max()
            .unwrap_or(0)
    }
}

impl Received {
    /// Reads the log of the worksheet's receiver.
    pub(crate) fn parse(log: &str) -> Received {
        let mut received = Received::default();
        for (_, event, details) in events(log) {
            match event {
                "received" => {
                    received.add(first_number(details));
                    received.redelivered += usize::from(details.ends_with("redelivered=true"));
                }
                "end" => received.ended = true,
                _ => {}
            }
        }
        received
    }

    /// Counts one message.
    pub(crate) fn add(&mut self, number: u32) {
        *self.numbers.entry(number).or_default() += 1;
    }
}

/// The lines of a log. The last one may be half written.
fn events(log: &str) -> impl Iterator<Item = (u64, &str, &str)> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole.lines().map(|line| {
        let mut words = line.splitn(3, ' ');
        let time = words.next().and_then(|time| time.parse().ok());
        let (Some(time), Some(event)) = (time, words.next()) else {
            panic!("not a line of a client's log: {line:?}");
        };
        (time, event, words.next().unwrap_or(""))
    })
}

fn first_number(details: &str) -> u32 {
    details
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no number in {details:?}"))
}

/// Sent against received.
#[derive(Debug)]
pub(crate) struct Account {
    acknowledged: usize,
    received: usize,
    duplicates: u32,
    /// Acknowledged and never received.
    pub lost: BTreeSet<u32>,
}

impl Account {
    /// Compares what was acknowledged with what was received.
    pub(crate) fn new(acknowledged: &BTreeSet<u32>, received: &Received) -> Account {
        Account {
            acknowledged: acknowledged.len(),
            received: received.numbers.len(),
            duplicates: received.numbers.values().map(|count| count - 1).sum(),
            lost: acknowledged
                .iter()
                .copied()
                .filter(|number| !received.numbers.contains_key(number))
                .collect(),
        }
    }

    /// The account of the worksheet's two logs.
    pub(crate) fn of_logs(sent: &Sent, received: &Received) -> Account {
        Account::new(
            &sent
                .acknowledged
                .iter()
                .map(|(_, number)| *number)
                .collect(),
            received,
        )
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} acknowledged, {} received, {} lost, {} duplicates",
            self.acknowledged,
            self.received,
            self.lost.len(),
            self.duplicates
        )
    }
}

#[test]
fn a_lost_message_and_a_duplicate_are_seen() {
    let sent = Sent::parse(
        "1 start count=3\n5 acknowledged 1\n9 acknowledged 2\n20 unknown 3 x\n40 acknowledged 3\n41 end",
    );
    let received = Received::parse(
        "6 received 1 redelivered=false\n8 received 3 redelivered=true\n9 received 3 redelivered=false\n",
    );
    let account = Account::of_logs(&sent, &received);
    assert_eq!(account.lost, BTreeSet::from([2]));
    assert_eq!(
        account.to_string(),
        "3 acknowledged, 2 received, 1 lost, 1 duplicates"
    );
    assert_eq!((sent.unknown, received.redelivered), (1, 1));
    assert_eq!(sent.longest_gap_ms(10, 50), 31);
    assert!(!sent.ended, "its last line has no end yet");
}
