//! What the demo says at its end: what happened when, and what became of every message.

use super::DemoEnd;
use super::ledger::{Account, Shared};
use super::script::Failure;
use crate::local::event::{Event, What};
use crate::local::time::span;
use crate::local::view::{Tone, View};
use crate::policy::{Role, Timestamp};

/// Numbers of lost messages that are shown.
const SHOWN_LOST: usize = 10;

/// One line that tells how far the clients are.
pub(super) fn progress(view: &View, ledger: &Shared) -> String {
    let account = ledger.lock().account();
    let text = format!(
        "  messages  {} sent, {} acknowledged, {} received",
        grouped(account.sent),
        grouped(account.acknowledged),
        grouped(account.received)
    );
    view.paint(Tone::Faint, &text)
}

/// A change of the active broker, as the clients saw it.
struct Transition {
    text: String,
    service_gap_ms: Option<u64>,
    sender_ms: u64,
    receiver_ms: u64,
}

pub(super) fn print(
    view: &mut View,
    ledger: &Shared,
    record: &[Event],
    began: Timestamp,
    outcome: &Result<(), Failure>,
) -> DemoEnd {
    let ledger = ledger.lock();
    let account = ledger.account();
    let transitions: Vec<Transition> = transitions(record)
        .map(|(event, text, service_gap_ms)| {
            let (sender_ms, receiver_ms) = ledger.pauses_around(event.at.0);
            Transition {
                text,
                service_gap_ms,
                sender_ms,
                receiver_ms,
            }
        })
        .collect();
    timeline(view, record, began);
    table(view, &transitions);
    sums(view, &account);
    let lost = ledger.lost_numbers(SHOWN_LOST);
    conclusion(view, &account, &lost, &transitions, outcome)
}

fn title(view: &mut View, text: &str) {
    view.line("");
    let text = view.paint(Tone::Strong, text);
    view.line(&text);
}

/// What happened, in seconds since the start.
fn timeline(view: &mut View, record: &[Event], began: Timestamp) {
    title(view, "What happened when");
    // Told as they were learnt; shown as they happened.
    let mut record: Vec<&Event> = record.iter().collect();
    record.sort_by_key(|event| event.at);
    for event in record {
        let ms = event.at.ms_since(began);
        let who = event.what.side().map_or("", pair::Side::as_str);
        view.line(&format!(
            "  {:>3}.{:02} s  {who:7}  {}",
            ms / 1_000,
            ms % 1_000 / 10,
            event.what
        ));
    }
}

/// Every change of the active broker but the first start.
fn transitions(record: &[Event]) -> impl Iterator<Item = (&Event, String, Option<u64>)> {
    let active = |event: &&Event| {
        matches!(
            event.what,
            What::Became {
                to: Role::Serving,
                ..
            }
        )
    };
    record.iter().filter(active).skip(1).filter_map(|event| {
        let What::Became {
            side,
            cause,
            gap_ms,
            ..
        } = &event.what
        else {
            return None;
        };
        let why = cause
            .as_ref()
            .map_or_else(String::new, |cause| format!(" ({cause})"));
        Some((event, format!("{} → {side}{why}", side.other()), *gap_ms))
    })
}

fn table(view: &mut View, transitions: &[Transition]) {
    title(view, "How long it took each time");
    view.line(&format!(
        "  {:34} {:>14} {:>14} {:>16}",
        "active", "service gap", "sender waited", "receiver waited"
    ));
    for Transition {
        text,
        service_gap_ms,
        sender_ms,
        receiver_ms,
    } in transitions
    {
        let service = service_gap_ms.map_or_else(|| "not measured".to_owned(), span);
        view.line(&format!(
            "  {text:34} {service:>14} {:>14} {:>16}",
            waited(*sender_ms),
            waited(*receiver_ms)
        ));
    }
    view.line(&view.paint(
        Tone::Faint,
        "  service gap: the old active's end → the new one accepts; the clients' waits are the client gap",
    ));
}

/// A client's wait; one below 10 ms is not told from its pace.
fn waited(ms: u64) -> String {
    if ms == 0 {
        "< 10 ms".to_owned()
    } else {
        span(ms)
    }
}

fn sums(view: &mut View, account: &Account) {
    title(view, "What became of every message");
    let lines = [
        (
            "sent",
            account.sent,
            "durable, numbered, one after the other",
        ),
        (
            "acknowledged",
            account.acknowledged,
            "an active broker said: it is on disk",
        ),
        ("received", account.received, "came out of the queue"),
        (
            "lost",
            account.lost,
            "on disk by a broker's word, but never came out",
        ),
        (
            "duplicated",
            account.duplicated,
            "came out once more, for its consumer's answer died with a broker",
        ),
    ];
    for (name, count, meaning) in lines {
        let count = format!("{:>10}", grouped(count));
        let count = match (name, account.lost) {
            ("lost", 0) => view.paint(Tone::Good, &count),
            ("lost", _) => view.paint(Tone::Bad, &count),
            _ => view.paint(Tone::Strong, &count),
        };
        view.line(&format!(
            "  {name:13}{count}   {}",
            view.paint(Tone::Faint, meaning)
        ));
    }
}

/// The sentences for somebody who reads nothing else.
fn conclusion(
    view: &mut View,
    account: &Account,
    lost: &[u64],
    transitions: &[Transition],
    outcome: &Result<(), Failure>,
) -> DemoEnd {
    view.line("");
    let mut end = DemoEnd::Good;
    if let Err(Failure { why }) = outcome {
        end = DemoEnd::Bad;
        view.line(&view.paint(Tone::Bad, &format!("The demo failed: {why}.")));
    }
    if account.lost > 0 {
        end = DemoEnd::Bad;
        let numbers: Vec<String> = lost.iter().map(u64::to_string).collect();
        let text = format!(
            "The demo failed: messages are missing, first numbers {}.",
            numbers.join(", ")
        );
        view.line(&view.paint(Tone::Bad, &text));
    }
    if account.acknowledged == 0 && matches!(end, DemoEnd::Good) {
        end = DemoEnd::Bad;
        view.line(&view.paint(Tone::Bad, "The demo failed: no message was ever confirmed."));
    }
    if matches!(end, DemoEnd::Good) {
        let longest = transitions
            .iter()
            .map(|t| t.sender_ms.max(t.receiver_ms))
            .max();
        let times = match transitions.len() {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            more => format!("{more} times"),
        };
        let text = format!(
            "The active broker changed {times}. Its clients noticed a pause of {} at most and went on by \
             themselves; nothing that a broker had confirmed is missing.",
            waited(longest.unwrap_or_default())
        );
        view.line(&view.paint(Tone::Good, &text));
    }
    end
}

/// `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
