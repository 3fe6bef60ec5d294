//! Many worlds, on every processor: `cargo xtask sim --seeds N`, or the story of one: `--seed S`.
//!
//! Prints a line every few seconds and the sums at the end; exits with 1 if an invariant was broken.
#![expect(
    clippy::print_stdout,
    reason = "a command-line program talks on standard output"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pair::Mode;
use simulator::{Options, Situation, Tally, run};

const USAGE: &str = "\
usage: cargo xtask sim [--mode MODE] [--seeds N] [--from M] [--without-marks] [--situation NAME]
       cargo xtask sim --seed S [--mode MODE] [--without-marks] [--situation NAME]
modes: shared-store, replication, both (the default; a single seed: shared-store)
situations: hanging-takeover, hanging-handover, kept-twin, late-mark, dying-taker, lost-record
";

/// Worlds that are made when nobody says how many: some minutes.
const SEEDS: u64 = 100_000;
/// Seeds that a thread takes at a time.
const BATCH: u64 = 100;
/// Worlds that break an invariant are all alike after so many.
const MAX_BROKEN: usize = 10;
const PROGRESS: Duration = Duration::from_secs(5);

struct Request {
    from: u64,
    seeds: u64,
    /// The one seed whose story is told.
    story: Option<u64>,
    options: Options,
    modes: Vec<Mode>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(request) = parse(&arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(seed) = request.story {
        let mode = request.modes.first().copied();
        let options = Options {
            mode: mode.unwrap_or(Mode::SharedStore),
            ..request.options
        };
        return tell(seed, options);
    }
    let mut all_hold = true;
    for mode in &request.modes {
        println!("{mode}");
        let options = Options {
            mode: *mode,
            ..request.options.clone()
        };
        all_hold &= run_all(&request, &options);
    }
    ExitCode::from(u8::from(!all_hold))
}

fn parse(arguments: &[String]) -> Option<Request> {
    let mut request = Request {
        from: 0,
        seeds: SEEDS,
        story: None,
        options: Options::default(),
        modes: vec![Mode::SharedStore, Mode::Replication],
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse::<u64>().ok();
        match word.as_str() {
            "--seeds" => request.seeds = number()?,
            "--from" => request.from = number()?,
            "--seed" => request.story = Some(number()?),
            "--mode" => {
                request.modes = match words.next()?.as_str() {
                    "shared-store" => vec![Mode::SharedStore],
                    "replication" => vec![Mode::Replication],
                    "both" => request.modes,
                    _ => return None,
                }
            }
            "--situation" => request.options.situation = Some(Situation::named(words.next()?)?),
            "--without-marks" => request.options.fence_mark = false,
            _ => return None,
        }
    }
    // Marks and the situations are those of a shared store.
    if request.options.situation.is_some() || !request.options.fence_mark {
        request.modes = vec![Mode::SharedStore];
    }
    Some(request)
}

/// Tells the story of one seed.
fn tell(seed: u64, options: Options) -> ExitCode {
    let options = Options {
        traced: true,
        ..options
    };
    let outcome = run(seed, &options);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("\n{}", outcome.tally);
    for violation in &outcome.violations {
        println!("VIOLATION {violation}");
    }
    ExitCode::from(u8::from(!outcome.violations.is_empty()))
}

/// What all threads share.
struct Progress {
    next: AtomicU64,
    sum: Mutex<Tally>,
    broken: Mutex<Vec<(u64, Vec<String>)>>,
}

/// Whether no world breaks an invariant.
fn run_all(request: &Request, options: &Options) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "the runner measures itself; the worlds know no clock"
    )]
    let now = Instant::now;
    let begun = now();
    let end = request.from.saturating_add(request.seeds);
    let progress = Progress {
        next: AtomicU64::new(request.from),
        sum: Mutex::new(Tally::default()),
        broken: Mutex::new(Vec::new()),
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&progress, end, options)))
            .collect();
        let mut shown = now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::park_timeout(Duration::from_millis(100));
            if now().duration_since(shown) >= PROGRESS {
                shown = now();
                let sum = progress.sum.lock().unwrap_or_else(PoisonError::into_inner);
                let rate = sum.seeds / now().duration_since(begun).as_secs().max(1);
                println!("{} of {} seeds, {rate}/s", sum.seeds, request.seeds);
            }
        }
    });
    let sum = progress.sum.into_inner();
    let sum = sum.unwrap_or_else(PoisonError::into_inner);
    let mut broken = progress.broken.into_inner();
    let broken = broken.as_mut().unwrap_or_else(|it| it.get_mut());
    broken.sort();
    let seconds = now().duration_since(begun).as_secs_f64();
    println!("{sum}\n{seconds:.0} s with {threads} threads");
    for (seed, violations) in &*broken {
        println!("VIOLATION in seed {seed}:");
        for violation in violations {
            println!("  {violation}");
        }
    }
    println!("violations           {:>12}", broken.len());
    broken.is_empty()
}

fn work(progress: &Progress, end: u64, options: &Options) {
    loop {
        let first = progress.next.fetch_add(BATCH, Ordering::Relaxed);
        if first >= end {
            return;
        }
        let mut sum = Tally::default();
        for seed in first..end.min(first + BATCH) {
            let outcome = run(seed, options);
            sum.add(&outcome.tally);
            if !outcome.violations.is_empty() {
                let broken = progress.broken.lock();
                let mut broken = broken.unwrap_or_else(PoisonError::into_inner);
                broken.push((seed, outcome.violations));
                if broken.len() >= MAX_BROKEN {
                    progress.next.store(end, Ordering::Relaxed);
                }
            }
        }
        let all = progress.sum.lock();
        all.unwrap_or_else(PoisonError::into_inner).add(&sum);
    }
}
