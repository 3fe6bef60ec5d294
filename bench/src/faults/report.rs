//! Says what was found: a line for each fault, a few for each batch, and tables that add up any number of runs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::load::Account;
use super::results::{Batch, Played, Run};
use super::schedule::{Direction, Fault, Kind};
use crate::broker::Product;
use crate::statistics::percentile;

/// One line for a terminal.
pub(crate) fn line(played: &Played) -> String {
    let mut line = format!(
        "{} #{:<3} {:<34} gaps: service {:>6.0} ms, clients {:>6.0} ms (median {:.0})",
        played.at,
        played.index,
        what(&played.fault),
        played.service_gap_ms,
        played.client_gap_max_ms,
        played.client_gap_median_ms
    );
    let mut add = |text: String| {
        line.push_str("; ");
        line.push_str(&text);
    };
    match (played.whole_ms, played.active_after) {
        (Some(ms), Some(after)) if after == played.active_before => {
            add(format!("whole after {:.1} s, {after} serves on", ms / 1e3));
        }
        (Some(ms), Some(after)) => add(format!(
            "whole after {:.1} s, {} → {after}",
            ms / 1e3,
            played.active_before
        )),
        _ => add("NEVER WHOLE AGAIN".to_owned()),
    }
    if let Some(epoch) = played.epoch {
        add(format!("epoch {epoch}"));
    }
    if played.two_actives.count > 0 {
        add(format!("TWO ACTIVES for {:.0} ms", played.two_actives.ms));
    }
    if played.two_pages.count > 0 {
        add(format!(
            "TWO PAGES say that they serve for {:.0} ms",
            played.two_pages.ms
        ));
    }
    if played.behind > 0 {
        add(format!("{} PRODUCERS DO NOT GO ON", played.behind));
    }
    for note in &played.notes {
        add(note.clone());
    }
    line
}

fn what(fault: &Fault) -> String {
    let seconds = |ms: u64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
    let mut text = format!("{}, {}", fault.kind, seconds(fault.lasts_ms));
    match fault.kind {
        Kind::CutLink => match fault.direction {
            Direction::Both => {}
            Direction::ToListener => text.push_str(", one way"),
            Direction::FromListener => text.push_str(", the other way"),
        },
        Kind::ResetLink => text.truncate(fault.kind.to_string().len()),
        Kind::KillBoth | Kind::RestartBoth => {
            text.push_str(if fault.active_starts_first {
                ", active first"
            } else {
                ", standby first"
            });
        }
        Kind::KillActive
        | Kind::KillStandby
        | Kind::FreezeActive
        | Kind::FreezeStandby
        | Kind::RestartActive
        | Kind::RestartStandby => {}
    }
    text
}

/// The end of a batch, for a terminal.
#[expect(
    clippy::print_stdout,
    reason = "a command-line program talks on standard output"
)]
pub(crate) fn print_end(batch: &Batch) {
    let Some(ended) = &batch.ended else {
        println!(
            "   no end: the batch broke off after {} faults",
            batch.faults.len()
        );
        return;
    };
    for note in &ended.notes {
        println!("   {note}");
    }
    let Some(account) = &ended.account else {
        return;
    };
    println!(
        "   {} faults in {:.0} s: {} acknowledged, {} lost, {} received twice, {} of unknown outcome ({} arrived), \
         {} rolled back ({} arrived); two actives {:.0} ms",
        batch.faults.len(),
        ended.seconds,
        account.acknowledged,
        account.lost,
        account.twice,
        account.unknown,
        account.unknown_arrived,
        account.rolled_back,
        account.rolled_back_arrived,
        ended.two_actives.ms
    );
    println!(
        "   {} received only by a receipt of unknown outcome, {} dead letters, {} torn transactions, {} abandoned ({} arrived), \
         {} in flight",
        account.only_perhaps,
        account.dead_letters,
        account.torn,
        account.abandoned,
        account.abandoned_arrived,
        account.in_flight
    );
    for lost in &account.named_lost {
        println!(
            "   lost: number {} of producer {}, acknowledged at {} µs",
            lost.index, lost.producer, lost.acknowledged_us
        );
    }
}

/// Reads results files and prints their sum.
#[expect(
    clippy::print_stdout,
    reason = "a command-line program talks on standard output"
)]
pub(crate) fn add_up(files: &[PathBuf]) -> Result<()> {
    let mut runs = Vec::new();
    for file in files {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let run: Run = serde_json::from_str(&text)
            .with_context(|| format!("{} is no results file", file.display()))?;
        runs.push(run);
    }
    println!("{}", markdown(&runs));
    Ok(())
}

/// The tables of some runs, as Markdown.
pub(crate) fn markdown(runs: &[Run]) -> String {
    let mut text = String::new();
    for product in [Product::Tandem, Product::Artemis] {
        let of_product: Vec<&Run> = runs.iter().filter(|run| run.product == product).collect();
        if !of_product.is_empty() {
            // Writing to a text never fails.
            let _ = tables(&mut text, product, &of_product);
        }
    }
    text
}

fn tables(text: &mut String, product: Product, runs: &[&Run]) -> std::fmt::Result {
    let batches: Vec<&Batch> = runs.iter().flat_map(|run| &run.batches).collect();
    let faults: Vec<&Played> = batches.iter().flat_map(|batch| &batch.faults).collect();
    let accounts: Vec<&Account> = batches
        .iter()
        .filter_map(|batch| batch.ended.as_ref()?.account.as_ref())
        .collect();
    let ended = || batches.iter().filter_map(|batch| batch.ended.as_ref());
    let sum = |of: fn(&Account) -> u64| -> u64 { accounts.iter().map(|a| of(a)).sum() };
    let seeds: Vec<String> = runs.iter().map(|run| run.seed.to_string()).collect();
    let loads: Vec<f64> = faults.iter().map(|fault| fault.load_average).collect();
    let hours = ended().map(|ended| ended.seconds).sum::<f64>().max(0.0) / 3_600.0;

    writeln!(
        text,
        "{product}: {} faults in {} batches, {hours:.1} hours of load, seeds {}; {}, load average {:.1} in the middle.\n",
        faults.len(),
        batches.len(),
        seeds.join(", "),
        runs.first().map_or("", |run| &run.machine),
        percentile(&loads, 0.5)
    )?;
    writeln!(text, "| {product}: account | |\n|---|---:|")?;
    let two_ms: f64 = ended().map(|ended| ended.two_actives.ms).sum();
    let pages_ms: f64 = ended().map(|ended| ended.two_pages.ms).sum();
    let never = faults.iter().filter(|fault| fault.whole_ms.is_none());
    for (what, count) in [
        ("acknowledged", sum(|a| a.acknowledged)),
        ("of these lost", sum(|a| a.lost)),
        ("received twice", sum(|a| a.twice)),
        ("dead-lettered", sum(|a| a.dead_letters)),
        (
            "received twice, both receipts confirmed",
            sum(|a| a.twice_committed),
        ),
        ("transactions that arrived in part", sum(|a| a.torn)),
        ("sends and commits of unknown outcome", sum(|a| a.unknown)),
        ("of these arrived", sum(|a| a.unknown_arrived)),
        (
            "messages rolled back, as the client says",
            sum(|a| a.rolled_back),
        ),
        ("of these arrived", sum(|a| a.rolled_back_arrived)),
        (
            "batches without account",
            (batches.len() - accounts.len()) as u64,
        ),
        (
            "faults after which the pair was not whole again",
            never.count() as u64,
        ),
        (
            "faults after which a producer did not go on",
            faults.iter().filter(|fault| fault.behind > 0).count() as u64,
        ),
    ] {
        writeln!(text, "| {what} | {} |", grouped(count))?;
    }
    writeln!(text, "| time with two actives | {two_ms:.0} ms |")?;
    if product == Product::Tandem {
        writeln!(
            text,
            "| time with two pages that say `serving` | {pages_ms:.0} ms |"
        )?;
    }

    writeln!(
        text,
        "\n| {product}: fault | times | service gap, min / median / p95 / max | client gap of the worst producer | \
         client gap of the median producer | whole again after |\n|---|---:|---:|---:|---:|---:|"
    )?;
    let mut by_kind: BTreeMap<Kind, Vec<&Played>> = BTreeMap::new();
    for fault in &faults {
        by_kind.entry(fault.fault.kind).or_default().push(fault);
    }
    for (kind, of_kind) in by_kind {
        let spread = |of: fn(&Played) -> f64| -> String {
            spread(&of_kind.iter().map(|played| of(played)).collect::<Vec<_>>())
        };
        let whole: Vec<f64> = of_kind
            .iter()
            .filter_map(|played| played.whole_ms)
            .collect();
        writeln!(
            text,
            "| {kind} | {} | {} | {} | {} | {} |",
            of_kind.len(),
            spread(|played| played.service_gap_ms),
            spread(|played| played.client_gap_max_ms),
            spread(|played| played.client_gap_median_ms),
            self::spread(&whole)
        )?;
    }
    writeln!(text)
}

/// Least, median, 95th percentile, greatest.
fn spread(ms: &[f64]) -> String {
    if ms.is_empty() {
        return "never".to_owned();
    }
    let at = |share| duration(percentile(ms, share));
    format!("{} / {} / {} / {}", at(0.0), at(0.5), at(0.95), at(1.0))
}

/// Milliseconds below ten seconds, seconds above.
fn duration(ms: f64) -> String {
    if ms < 10_000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1_000.0)
    }
}

/// 1234567 → `1,234,567`
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
    fn numbers_read_well() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123_456), "123,456");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(spread(&[]), "never");
        assert_eq!(
            spread(&[12_300.0, 100.0, 200.0]),
            "100 ms / 200 ms / 12.3 s / 12.3 s"
        );
    }
}
