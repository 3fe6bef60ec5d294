//! The table, as Markdown that is readable in a terminal too.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::broker::Product;
use crate::machine;
use crate::order::Numbers;
use crate::plan::{Better, Depth, Metric};
use crate::statistics::Spread;

/// Above this share of the processors, what others did beside us has disturbed a run.
const DISTURBED_SHARE: f64 = 0.2;

/// How much of a failure's text is in the report.
const FAILURE_CHARS: usize = 300;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) metric: Metric,
    pub(crate) tandem: Vec<f64>,
    pub(crate) artemis: Vec<f64>,
}

/// What is collected while the plan runs.
#[derive(Debug)]
pub(crate) struct Report {
    head: String,
    how: Vec<String>,
    rows: Vec<Row>,
    disk: Vec<(String, Numbers)>,
    notes: BTreeSet<String>,
    runs: u32,
    disturbed: u32,
}

impl Report {
    /// An empty one, of a run that begins now.
    pub(crate) fn new(depth: Depth, only: &[String]) -> Report {
        let date = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
        let called = if depth.quick { "quick" } else { "full" };
        let part = if only.is_empty() {
            String::new()
        } else {
            format!(", only {}", only.join(", "))
        };
        Report {
            head: format!(
                "Measured on {date} by a {called} run of `cargo xtask bench`{part}, on {}.",
                machine::describe()
            ),
            how: how(depth),
            rows: Vec::new(),
            disk: Vec::new(),
            notes: BTreeSet::new(),
            runs: 0,
            disturbed: 0,
        }
    }

    /// A run begins, while others use this share of the processors.
    pub(crate) fn began(&mut self, busy_share: f64) {
        self.runs += 1;
        if busy_share > DISTURBED_SHARE {
            self.disturbed += 1;
        }
    }

    /// Something the reader should know.
    pub(crate) fn note(&mut self, text: String) {
        println!("note: {text}");
        self.notes.insert(text);
    }

    /// A run that came to nothing.
    pub(crate) fn failed(&mut self, product: Product, what: &str, why: &str) {
        let short: String = why
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(FAILURE_CHARS)
            .collect();
        println!("FAILED | {product} | {what} | {why}");
        self.notes
            .insert(format!("failed, {product}, {what}: {short}"));
    }

    /// What a worker told of a pair that it made.
    pub(crate) fn prepared(&mut self, product: Product, numbers: &Numbers) {
        for (name, value) in numbers {
            if let Some(kind) = name.strip_prefix("journal-type ") {
                self.notes.insert(format!(
                    "{product}'s `create` chose the journal type {kind}"
                ));
            } else if name == "journal-buffer-timeout" {
                self.note(format!(
                    "{product}'s `create` measured the disk and set journal-buffer-timeout to {} ms",
                    number(value / 1e6)
                ));
            } else if name == "seconds" {
                self.note(format!(
                    "{product} took {value:.0} s to take the backlog in transactions of 1,000"
                ));
            }
        }
    }

    /// The disk's limit for one size.
    pub(crate) fn disk(&mut self, title: &str, numbers: &Numbers) {
        self.disk.push((title.to_owned(), numbers.clone()));
    }

    /// A line of the table.
    pub(crate) fn row(&mut self, row: Row) {
        if !row.tandem.is_empty() || !row.artemis.is_empty() {
            self.rows.push(row);
        }
    }

    /// The whole report.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.head);
        if !self.rows.is_empty() {
            text.push_str(
                "| what | Tandem | Artemis 2.44 | how many times better |\n|---|---:|---:|---:|\n",
            );
            for row in &self.rows {
                // Writing into a string cannot fail.
                let _ = writeln!(text, "{}", line(row));
            }
            text.push('\n');
        }
        if !self.disk.is_empty() {
            text.push_str("| the disk alone: write and `fdatasync` | per second | p50 | p99 |\n|---|---:|---:|---:|\n");
            for (title, numbers) in &self.disk {
                let value = |key: &str| numbers.get(key).copied().unwrap_or(0.0);
                let _ = writeln!(
                    text,
                    "| {title} | {} | {} ms | {} ms |",
                    number(value("per_second")),
                    number(value("p50_us") / 1e3),
                    number(value("p99_us") / 1e3)
                );
            }
            text.push('\n');
        }
        for said in &self.how {
            let _ = writeln!(text, "- {said}");
        }
        if self.disturbed > 0 {
            let _ = writeln!(
                text,
                "- **disturbed**: {} of {} runs began while something else used more than {:.0} % of the processors",
                self.disturbed,
                self.runs,
                DISTURBED_SHARE * 100.0
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }
}

/// How it was measured, for the reader of the table.
fn how(depth: Depth) -> Vec<String> {
    let seconds = |millis: u32| number(f64::from(millis) / 1e3);
    let (time, runs) = (depth.time(), depth.runs());
    vec![
        format!(
            "each value is the median of {runs} run{}, with the least and the greatest in brackets; above 1 in the last column, \
             Tandem is the better one",
            if runs == 1 { "" } else { "s, taken alternately" }
        ),
        "both products: a shared-store pair made by their own `create` with the same options and nothing changed, on the same \
         disk, each pair in a network namespace of its own; Tandem is built for release"
            .to_owned(),
        "the client is the Artemis JMS client 2.44 with its defaults (a durable send waits for the broker), each producer and \
         each consumer with a connection and a thread of its own; where it says so, it is the client of this repository"
            .to_owned(),
        format!(
            "before the loads, both pairs carried one of 16 producers and 16 consumers for {} s; each load then runs {} s before \
             it is measured for {} s, on a queue of its own, which is emptied and counted afterwards",
            seconds(depth.warm_up().time.measured_ms),
            seconds(time.warm_ms),
            seconds(time.measured_ms)
        ),
        "a client gap is the longest time between two acknowledgements that a client sees which sends every 2 ms; the client \
         itself waits retryInterval between two attempts to connect"
            .to_owned(),
    ]
}

fn line(row: &Row) -> String {
    let summed = matches!(row.metric.better, Better::Zero | Better::Told);
    if summed {
        let sum = |values: &[f64]| {
            if values.is_empty() {
                "failed".to_owned()
            } else {
                grouped(&format!("{:.0}", values.iter().sum::<f64>()))
            }
        };
        return format!(
            "| {} | {} | {} | |",
            row.title,
            sum(&row.tandem),
            sum(&row.artemis)
        );
    }
    let scaled = |values: &[f64]| {
        let values: Vec<f64> = values
            .iter()
            .map(|value| value * row.metric.factor)
            .collect();
        Spread::of(&values)
    };
    let (tandem, artemis) = (scaled(&row.tandem), scaled(&row.artemis));
    format!(
        "| {} | {} | {} | {} |",
        row.title,
        cell(tandem, row.metric.unit),
        cell(artemis, row.metric.unit),
        ratio(tandem, artemis, row.metric.better)
    )
}

/// Median, and the spread if there was more than one run.
fn cell(spread: Option<Spread>, unit: &str) -> String {
    let Some(spread) = spread else {
        return "failed".to_owned();
    };
    let space = if unit == "/s" { "" } else { " " };
    let median = format!("{}{space}{unit}", number(spread.median));
    if spread.min < spread.max {
        format!("{median} ({}–{})", number(spread.min), number(spread.max))
    } else {
        median
    }
}

/// Above 1 Tandem is the better one.
fn ratio(tandem: Option<Spread>, artemis: Option<Spread>, better: Better) -> String {
    let (Some(tandem), Some(artemis)) = (tandem, artemis) else {
        return String::new();
    };
    let (above, below) = if better == Better::More {
        (tandem.median, artemis.median)
    } else {
        (artemis.median, tandem.median)
    };
    if below <= 0.0 {
        return String::new();
    }
    format!("{:.2}", above / below)
}

/// Three digits that matter, and commas between thousands.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 10.0 => 2,
        medium if medium < 100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.digits$}");
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut text = grouped(whole);
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// Digits with commas between thousands.
fn grouped(digits: &str) -> String {
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

    fn row(better: Better, tandem: &[f64], artemis: &[f64]) -> String {
        line(&Row {
            title: "x".to_owned(),
            metric: Metric {
                key: "x",
                title: "x",
                unit: "ms",
                factor: 1.0,
                better,
            },
            tandem: tandem.to_vec(),
            artemis: artemis.to_vec(),
        })
    }

    #[test]
    fn a_ratio_above_one_speaks_for_tandem_in_both_directions() {
        assert_eq!(
            row(Better::Less, &[2.0], &[4.0]),
            "| x | 2.00 ms | 4.00 ms | 2.00 |"
        );
        assert_eq!(
            row(Better::More, &[2.0], &[4.0]),
            "| x | 2.00 ms | 4.00 ms | 0.50 |"
        );
    }

    #[test]
    fn what_failed_is_not_shown_as_a_value() {
        assert_eq!(
            row(Better::Less, &[], &[4.0]),
            "| x | failed | 4.00 ms |  |"
        );
    }

    #[test]
    fn losses_are_summed_and_not_averaged() {
        assert_eq!(
            row(Better::Zero, &[0.0, 0.0], &[0.0, 3.0]),
            "| x | 0 | 3 | |"
        );
    }

    #[test]
    fn numbers_have_the_digits_that_matter() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(1.234), "1.23");
        assert_eq!(number(0.0), "0");
    }
}
