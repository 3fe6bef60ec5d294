//! Carries out orders for one product, inside its own network: starts its brokers, and loads them.

use std::fs;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::arguments::WorkerOptions;
use crate::broker::{BACKUP_PORT, Instance, PRIMARY_PORT, Place, accepts};
use crate::order::{Numbers, Order, Outcome};
use crate::pair::{Pair, SETTLE_LIMIT};
use crate::process::wait_for;
use crate::{gap, java, namespace, rust_client};

/// When memory is looked at after a start.
const IDLE_AFTER: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The queue of a backlog, and the size of its messages.
const BACKLOG_QUEUE: &str = "bench.backlog";
const BACKLOG_SIZE: u32 = 100;

/// Reads orders until standard input ends.
pub(crate) fn run(options: &WorkerOptions) -> Result<()> {
    namespace::set_up()?;
    let mut worker = Worker {
        options,
        pair: None,
        folders: 0,
        queues: 0,
    };
    for line in std::io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?).context("not an order")?;
        let outcome = match worker.carry_out(&order) {
            Ok(numbers) => Outcome::Done(numbers),
            Err(error) => {
                // Nobody knows in which state it left the brokers: the next order gets new ones.
                worker.pair = None;
                Outcome::Failed(format!("{error:#}"))
            }
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", serde_json::to_string(&outcome)?)?;
        stdout.flush()?;
    }
    Ok(())
}

struct Worker<'a> {
    options: &'a WorkerOptions,
    pair: Option<Pair>,
    folders: u32,
    queues: u32,
}

impl Worker<'_> {
    fn carry_out(&mut self, order: &Order) -> Result<Numbers> {
        // What earlier measurements left to be written must not be written during this one.
        nix::unistd::sync();
        let places = &self.options.places;
        match order {
            Order::Start => self.start(),
            Order::Pair { backlog } => self.new_pair(*backlog),
            Order::PairStart => self.pair_start(),
            Order::Idle => self.idle(),
            Order::Gap { retry_interval_ms } => gap::gap(places, self.pair()?, *retry_interval_ms),
            Order::Load(load) => {
                let queue = self.with_pair()?;
                java::load(places, load, &queue)
            }
            Order::RustLoad(load) => {
                let queue = self.with_pair()?;
                rust_client::load(load, &queue)
            }
            Order::Topic {
                subscribers,
                size,
                time,
            } => {
                let topic = self.with_pair()?;
                java::topic(places, *subscribers, *size, *time, &topic)
            }
            Order::Stop => {
                self.stop()?;
                Ok(Numbers::new())
            }
        }
    }

    /// Time from the start of a process until it accepts a connection, and until a session is open.
    fn start(&mut self) -> Result<Numbers> {
        self.stop()?;
        let folder = self.new_folder()?;
        let instance = Instance::create(
            &self.options.places,
            self.options.product,
            Place::Single,
            &folder,
        )?;
        nix::unistd::sync();
        let begin = Instant::now();
        let mut running = instance.run()?;
        wait_for("the broker accepting connections", SETTLE_LIMIT, || {
            running.still_runs()?;
            Ok(accepts(PRIMARY_PORT).then_some(()))
        })?;
        let accepted = begin.elapsed();
        rust_client::wait_for_session(&[PRIMARY_PORT])?;
        let session = begin.elapsed();
        running.stop(STOP_LIMIT)?;
        fs::remove_dir_all(&folder)?;
        Ok(Numbers::from([
            ("accepted_ms".to_owned(), accepted.as_secs_f64() * 1e3),
            ("session_ms".to_owned(), session.as_secs_f64() * 1e3),
        ]))
    }

    fn new_pair(&mut self, backlog: u32) -> Result<Numbers> {
        self.stop()?;
        let folder = self.new_folder()?;
        let pair = Pair::start(&self.options.places, self.options.product, &folder)?;
        let mut numbers = Numbers::new();
        for element in ["journal-buffer-timeout"] {
            if let Some(value) = pair.element(element).and_then(|text| text.parse().ok()) {
                numbers.insert(element.to_owned(), value);
            }
        }
        if let Some(kind) = pair.element("journal-type") {
            numbers.insert(format!("journal-type {kind}"), 1.0);
        }
        self.pair = Some(pair);
        if backlog > 0 {
            let places = &self.options.places;
            numbers.append(&mut java::fill(
                places,
                BACKLOG_QUEUE,
                backlog,
                BACKLOG_SIZE,
            )?);
        }
        Ok(numbers)
    }

    /// Both sides are killed and started again in the same moment.
    fn pair_start(&mut self) -> Result<Numbers> {
        let pair = self.pair()?;
        pair.kill_backup()?;
        pair.kill_primary()?;
        let begin = Instant::now();
        pair.start_primary()?;
        pair.start_backup()?;
        rust_client::wait_for_session(&[PRIMARY_PORT, BACKUP_PORT])?;
        let session = begin.elapsed();
        pair.wait_until_primary_serves()?;
        pair.wait_until_standby(0)?;
        Ok(Numbers::from([(
            "session_ms".to_owned(),
            session.as_secs_f64() * 1e3,
        )]))
    }

    fn idle(&mut self) -> Result<Numbers> {
        let pair = self.pair()?;
        thread::sleep(IDLE_AFTER.saturating_sub(pair.started().elapsed()));
        let (active, standby) = pair.resident_kib()?;
        Ok(Numbers::from([
            ("active_mib".to_owned(), f64::from(active) / 1024.0),
            ("standby_mib".to_owned(), f64::from(standby) / 1024.0),
        ]))
    }

    fn pair(&mut self) -> Result<&mut Pair> {
        if self.pair.is_none() {
            self.new_pair(0)?;
        }
        self.pair.as_mut().context("a pair was started")
    }

    /// Makes sure that a pair runs, and names a queue or topic that nobody has used.
    fn with_pair(&mut self) -> Result<String> {
        self.pair()?;
        self.queues += 1;
        Ok(format!("bench.{}", self.queues))
    }

    fn stop(&mut self) -> Result<()> {
        match self.pair.take() {
            Some(pair) => pair.stop(),
            None => Ok(()),
        }
    }

    /// An empty folder; the data of the one before is of no use any more.
    fn new_folder(&mut self) -> Result<PathBuf> {
        let name = |number| self.options.folder.join(number_name(number));
        if self.folders > 0 {
            let old = name(self.folders);
            if old.is_dir() {
                fs::remove_dir_all(old)?;
            }
        }
        self.folders += 1;
        let folder = name(self.folders);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

fn number_name(number: u32) -> String {
    format!("run-{number}")
}
