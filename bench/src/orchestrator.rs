//! Runs the plan: two workers, one order at a time, ours and theirs alternately, until all is done or the time is up.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::arguments::RunOptions;
use crate::broker::Product;
use crate::order::{Numbers, Order, Outcome};
use crate::plan::{Before, DISK, Depth, Measurement};
use crate::report::{Report, Row};
use crate::{disk, machine, namespace};

/// The longest order is a backlog of a million messages; a worker's own waits are shorter.
const ANSWER_LIMIT: Duration = Duration::from_mins(15);
/// Answers that nobody has read yet; each order has one.
const ANSWERS: usize = 16;
/// Above this the machine is busy with something else, and the report says so.
const BUSY: f64 = 0.5;

/// Measures, prints the table, and writes it.
pub(crate) fn run(options: &RunOptions) -> Result<()> {
    let depth = Depth {
        quick: options.quick,
        runs: options.runs,
    };
    let end = Instant::now() + Duration::from_secs(u64::from(depth.limit_s()));
    fs::create_dir_all(&options.folder)
        .with_context(|| format!("cannot make {}", options.folder.display()))?;
    let options = &options.with_absolute_paths()?;
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&options.folder)
        .with_context(|| format!("cannot make a folder in {}", options.folder.display()))?;
    let mut report = Report::new(depth, &options.only);
    let busy = machine::load_average();
    if busy > BUSY {
        report.note(format!(
            "the machine was not idle at the start: load average {busy:.2}"
        ));
    }
    let wanted =
        |group: &str| options.only.is_empty() || options.only.iter().any(|name| name == group);
    if wanted("disk") {
        measure_disk(folder.path(), depth, &mut report)?;
    }
    let mut workers = Workers::start(options, folder.path())?;
    for measurement in depth.measurements() {
        if wanted(measurement.group) {
            workers.prepare(measurement.before, depth, &mut report);
            workers.measure(&measurement, end, &mut report);
        }
    }
    for product in Product::value_variants() {
        workers.ask(*product, &Order::Stop)?;
    }
    drop(workers);
    let text = report.markdown();
    println!("\n{text}");
    if let Some(path) = &options.out {
        fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure_disk(folder: &Path, depth: Depth, report: &mut Report) -> Result<()> {
    for (size, title) in DISK {
        let time = Duration::from_secs(u64::from(depth.disk_s()));
        let numbers = disk::measure(folder, size, time)?;
        println!("disk, {title}: {numbers:?}");
        report.disk(title, &numbers);
    }
    Ok(())
}

/// Both workers, and what has been prepared.
struct Workers {
    tandem: Worker,
    artemis: Worker,
    warm: bool,
}

impl Workers {
    fn start(options: &RunOptions, folder: &Path) -> Result<Workers> {
        Ok(Workers {
            tandem: Worker::start(options, Product::Tandem, &folder.join("tandem"))?,
            artemis: Worker::start(options, Product::Artemis, &folder.join("artemis"))?,
            warm: false,
        })
    }

    fn ask(&mut self, product: Product, order: &Order) -> Result<Outcome> {
        match product {
            Product::Tandem => self.tandem.ask(order),
            Product::Artemis => self.artemis.ask(order),
        }
    }

    fn prepare(&mut self, before: Before, depth: Depth, report: &mut Report) {
        let order = match before {
            Before::Nothing => return,
            Before::NewPair { backlog } => {
                self.warm = false;
                Order::Pair { backlog }
            }
            Before::WarmPair if self.warm => return,
            Before::WarmPair => {
                self.warm = true;
                Order::Load(depth.warm_up())
            }
        };
        for product in Product::value_variants() {
            match self.ask(*product, &order) {
                Ok(Outcome::Done(numbers)) => {
                    println!("{product}: {order:?}: {numbers:?}");
                    report.prepared(*product, &numbers);
                }
                Ok(Outcome::Failed(why)) => report.failed(*product, &format!("{order:?}"), &why),
                Err(error) => report.failed(*product, &format!("{order:?}"), &error.to_string()),
            }
        }
    }

    /// Ours, theirs, ours, theirs, …
    fn measure(&mut self, measurement: &Measurement, end: Instant, report: &mut Report) {
        let mut values: BTreeMap<&str, Vec<Numbers>> = BTreeMap::new();
        let round = Duration::from_secs(u64::from(2 * measurement.estimate_s));
        for run in 1..=measurement.runs {
            if Instant::now() + round > end {
                report.note(format!(
                    "{}: {} of {} runs, because the time was up",
                    measurement.title,
                    run - 1,
                    measurement.runs
                ));
                break;
            }
            for product in Product::value_variants() {
                report.began(machine::busy_share());
                let begin = Instant::now();
                match self.ask(*product, &measurement.order) {
                    Ok(Outcome::Done(mut numbers)) => {
                        println!(
                            "{} | {run} | {product} | {numbers:?} | took {:.1} s",
                            measurement.title,
                            begin.elapsed().as_secs_f64()
                        );
                        count_lost(&mut numbers);
                        values.entry(key(*product)).or_default().push(numbers);
                    }
                    Ok(Outcome::Failed(why)) => report.failed(*product, &measurement.title, &why),
                    Err(error) => {
                        report.failed(*product, &measurement.title, &error.to_string());
                    }
                }
            }
        }
        let of = |product, metric: &str| -> Vec<f64> {
            values
                .get(key(product))
                .into_iter()
                .flatten()
                .filter_map(|numbers| numbers.get(metric).copied())
                .collect()
        };
        for metric in measurement.metrics {
            report.row(Row {
                title: format!("{}: {}", measurement.title, metric.title),
                metric: *metric,
                tandem: of(Product::Tandem, metric.key),
                artemis: of(Product::Artemis, metric.key),
            });
        }
    }
}

fn key(product: Product) -> &'static str {
    match product {
        Product::Tandem => "tandem",
        Product::Artemis => "artemis",
    }
}

/// What was acknowledged and never came out of the queue, where the client has not said it itself.
fn count_lost(numbers: &mut Numbers) {
    if let (Some(acknowledged), Some(received)) = (
        numbers.get("acknowledged").copied(),
        numbers.get("received").copied(),
    ) {
        numbers.insert("lost".to_owned(), (acknowledged - received).max(0.0));
    }
}

/// One worker's process.
struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    fn start(options: &RunOptions, product: Product, folder: &Path) -> Result<Worker> {
        let program = env::current_exe().context("cannot find this program's file")?;
        let places = &options.places;
        let mut child = namespace::enter(&program)
            .arg("worker")
            .args(["--product", key(product)])
            .arg("--broker")
            .arg(&places.broker)
            .arg("--artemis-home")
            .arg(&places.artemis_home)
            .args(["--class-path", &places.class_path])
            .arg("--folder")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start setpriv and unshare (Debian package util-linux)")?;
        let orders = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (sender, answers) = sync_channel(ANSWERS);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Worker {
            child,
            orders,
            answers,
        })
    }

    fn ask(&mut self, order: &Order) -> Result<Outcome> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?)
            .context("the worker has ended")?;
        self.orders.flush()?;
        let Ok(answer) = self.answers.recv_timeout(ANSWER_LIMIT) else {
            bail!("the worker has not answered within {ANSWER_LIMIT:?}");
        };
        serde_json::from_str(&answer).with_context(|| format!("the worker says {answer:?}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only if it has ended already; its namespace ends with it, and everything in there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
