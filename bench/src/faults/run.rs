//! Plays batch after batch until all faults are played, prints what comes, keeps what tells why something went wrong.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::batch;
use super::report;
use super::results::{Batch, Line, Run};
use crate::arguments::FaultsOptions;
use crate::broker::Product;
use crate::{machine, namespace};

/// A batch plays for seven minutes; then come its last fault, its end and its account.
const BATCH_LIMIT: Duration = Duration::from_mins(15);
/// Batches in a row that broke off before any fault: something is wrong with this machine.
const BROKEN_LIMIT: u32 = 2;
/// Lines that nobody has read yet.
const LINES: usize = 16;
/// The end of the client's log that is kept.
const KEPT_LINES: usize = 5_000;

/// Plays the faults, or adds up what earlier runs have found.
pub(crate) fn run(options: &FaultsOptions) -> Result<()> {
    if !options.report.is_empty() {
        return report::add_up(&options.report);
    }
    let options = &options.with_absolute_paths()?;
    fs::create_dir_all(&options.folder)
        .with_context(|| format!("cannot make {}", options.folder.display()))?;
    let began = jiff::Zoned::now();
    let seed = options
        .seed
        .unwrap_or_else(|| began.timestamp().as_second().unsigned_abs());
    let stamp = began.strftime("%Y%m%d-%H%M%S").to_string();
    let kind = if options.replicated {
        "-replicated"
    } else {
        ""
    };
    let name = format!("{}{kind}-{seed}-{stamp}", key(options.product));
    println!(
        "{}{kind}: {} faults of seed {seed}, {} in a batch",
        options.product, options.faults, options.batch
    );
    let mut run = Run {
        product: options.product,
        seed,
        began: began.strftime("%Y-%m-%d %H:%M").to_string(),
        machine: machine::describe(),
        batches: Vec::new(),
    };
    let file = options.folder.join(format!("{name}.json"));
    let mut bad = false;
    let mut played = 0;
    let mut broken = 0;
    while played < options.faults && broken < BROKEN_LIMIT {
        let number = run.batches.len() + 1;
        let count = options.batch.min(options.faults - played);
        println!("-- batch {number}: a fresh pair");
        let folder = tempfile::Builder::new()
            .prefix("faults-")
            .tempdir_in(&options.folder)?;
        let batch = play(options, seed, folder.path(), played, count)?;
        played += batch.faults.len();
        broken = if batch.faults.is_empty() {
            broken + 1
        } else {
            0
        };
        report::print_end(&batch);
        let mut complaints = batch.wrongs();
        let failures = batch.failures();
        let is_bad =
            !complaints.is_empty() || options.product == Product::Tandem && !failures.is_empty();
        complaints.extend(failures);
        if !complaints.is_empty() || options.keep_logs {
            let kept = options.folder.join(format!("{name}-batch-{number}"));
            keep_logs(folder.path(), &kept)?;
            if complaints.is_empty() {
                complaints.push("nothing wrong".to_owned());
            }
            println!(
                "batch {number}: {}; logs: {}",
                complaints.join(", "),
                kept.display()
            );
        }
        bad |= is_bad;
        run.batches.push(batch);
        // After each batch, so that an interrupted run has its results.
        fs::write(&file, serde_json::to_string_pretty(&run)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    println!("\n{}", report::markdown(&[run]));
    println!("results: {}", file.display());
    if broken == BROKEN_LIMIT {
        bail!("{BROKEN_LIMIT} batches in a row broke off before their first fault");
    }
    if bad {
        bail!("what must not happen has happened: see above");
    }
    Ok(())
}

fn key(product: Product) -> String {
    let value = product.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Runs one batch in a namespace of its own, printing each fault as it comes.
fn play(
    options: &FaultsOptions,
    seed: u64,
    folder: &Path,
    skip: usize,
    count: usize,
) -> Result<Batch> {
    let program = env::current_exe().context("cannot find this program's file")?;
    let places = &options.places;
    let mut command = namespace::enter(&program);
    command
        .arg("faults-batch")
        .args(["--product", &key(options.product)])
        .args(options.replicated.then_some("--replicated"))
        .arg("--broker")
        .arg(&places.broker)
        .arg("--artemis-home")
        .arg(&places.artemis_home)
        .args(["--class-path", &places.class_path])
        .arg("--folder")
        .arg(folder)
        .args(["--seed", &seed.to_string()])
        .args(["--skip", &skip.to_string()])
        .args(["--count", &count.to_string()]);
    for kind in &options.only {
        command.args(["--only", &kind.to_string()]);
    }
    let mut child = Guard(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start setpriv and unshare (Debian package util-linux)")?,
    );
    let lines = lines_of(&mut child.0)?;
    let end = Instant::now() + BATCH_LIMIT;
    let mut batch = Batch::default();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let line = serde_json::from_str(&line)
                    .with_context(|| format!("the batch says {line:?}"))?;
                match line {
                    Line::Played(played) => {
                        println!("{}", report::line(&played));
                        batch.faults.push(*played);
                    }
                    Line::Ended(ended) => batch.ended = Some(*ended),
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                println!("the batch has not ended within {BATCH_LIMIT:?}");
                return Ok(batch);
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.0.wait()?;
                if !status.success() {
                    println!("the batch broke off: {status}");
                }
                return Ok(batch);
            }
        }
    }
}

/// Ends the batch's namespace with this program, and everything in there.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines_of(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = child.stdout.take().context("no standard output")?;
    let (sender, lines) = sync_channel(LINES);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(lines)
}

/// Copies what tells why something went wrong.
fn keep_logs(folder: &Path, kept: &PathBuf) -> Result<()> {
    fs::create_dir_all(kept).with_context(|| format!("cannot make {}", kept.display()))?;
    for (log, whole) in batch::logs(folder) {
        let bytes = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let name = log.file_name().context("a file has a name")?;
        let lines: Vec<&str> = text.lines().collect();
        let first = if whole {
            0
        } else {
            lines.len().saturating_sub(KEPT_LINES)
        };
        fs::write(kept.join(name), lines[first..].join("\n"))?;
    }
    Ok(())
}
