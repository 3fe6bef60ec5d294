//! One batch, inside a network of its own: a fresh pair, its load, fault after fault, and the account at the end.
//!
//! What it finds goes to standard output, one JSON value per line. Every wait has an end; when a pair does not become whole again the
//! batch ends there, because what would follow says nothing about the next fault.

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::clock::{as_ms, now_us};
use super::load::{Load, PRODUCERS};
use super::measure::gaps;
use super::network::{Cut, reset_link};
use super::overlap::Overlap;
use super::results::{Ended, Line, Moments, Played};
use super::sampler::Sampler;
use super::schedule::{Fault, Kind, Schedule};
use super::sides::{Side, Sides};
use crate::arguments::BatchOptions;
use crate::broker::{Data, Product};
use crate::{machine, namespace};

/// A pair is whole when it has been so for this long: a role that is about to move is not a good start for the next fault.
const STABLE: Duration = Duration::from_secs(1);
/// Both brokers started, both roles taken.
const START_LIMIT: Duration = Duration::from_mins(1);
/// All clients connected and sending.
const LOAD_LIMIT: Duration = Duration::from_mins(1);
/// Load before the first fault, so that the client's code is compiled.
const WARM_UP: Duration = Duration::from_secs(5);
/// A producer may wait for its call's timeout, then for the pair, then for its turn.
const GO_ON_LIMIT: Duration = Duration::from_mins(1);
/// A whole pair has one that answers, fifty times a second.
const ACTIVE_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ASK_EVERY: Duration = Duration::from_millis(100);
/// No fault begins so late that the batch would take much longer than its time.
const PLAY_FOR: Duration = Duration::from_mins(7);
/// A broker that ends by itself again and again is not started again for ever.
const MOST_RESTARTS: usize = 10;

/// How long a pair may take until it is whole again. Ours lets a standby that failed again and again wait for up to a minute until
/// it may take over; a frozen Artemis was seen to need two minutes.
fn whole_limit(product: Product) -> Duration {
    Duration::from_secs(match product {
        Product::Tandem => 100,
        Product::Artemis => 150,
    })
}

/// Plays the batch.
pub(crate) fn run(options: &BatchOptions) -> Result<()> {
    namespace::set_up()?;
    let data = if options.replicated {
        Data::Replicated
    } else {
        Data::Shared
    };
    let mut sides = Sides::create(&options.places, options.product, data, &options.folder)?;
    let sampler = Sampler::start(options.product);
    start(&mut sides, &sampler)?;
    let mut load = Load::start(&options.places, &options.folder.join("client.log"))?;
    let began = now_us();
    wait_until_all_go_on(&mut load, began, LOAD_LIMIT)?;
    thread::sleep(WARM_UP);

    let faults = Schedule::of(options.seed, options.product, &options.only);
    let play_until = Instant::now() + PLAY_FOR;
    let mut is_whole = true;
    let mut unplayed = None;
    for (fault, index) in faults.zip(1..).skip(options.skip).take(options.count) {
        if Instant::now() > play_until || !is_whole {
            break;
        }
        let mut playing = Playing {
            options,
            sides: &mut sides,
            sampler: &sampler,
            load: &mut load,
            notes: Vec::new(),
        };
        match playing.play(fault, index) {
            Ok(played) => {
                is_whole = played.whole_ms.is_some();
                say(&Line::Played(Box::new(played)))?;
            }
            Err(error) => {
                // What happened until then has its account all the same.
                unplayed = Some(format!("fault {index} could not be played: {error:#}"));
                is_whole = false;
            }
        }
    }
    let ended = end(sides, &sampler, load, began, is_whole, unplayed)?;
    say(&Line::Ended(Box::new(ended)))
}

fn say(line: &Line) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(line)?)?;
    stdout.flush()?;
    Ok(())
}

/// Starts both sides; the primary serves and the backup is its standby.
fn start(sides: &mut Sides, sampler: &Sampler) -> Result<()> {
    sides.start(Side::Primary)?;
    let end = Instant::now() + START_LIMIT;
    while !sampler.answers(Side::Primary) {
        if Instant::now() > end {
            bail!("the primary does not serve within {START_LIMIT:?}");
        }
        thread::sleep(LOOK_EVERY);
    }
    sides.start(Side::Backup)?;
    let mut notes = Vec::new();
    let whole = wait_until_whole(sides, sampler, START_LIMIT, &mut notes)?;
    whole.with_context(|| format!("no pair within {START_LIMIT:?}; {}", notes.join("; ")))?;
    Ok(())
}

/// Waits until one serves and the other stands by, and both stay so for a while; tells who serves, and since when that was so.
fn wait_until_whole(
    sides: &mut Sides,
    sampler: &Sampler,
    limit: Duration,
    notes: &mut Vec<String>,
) -> Result<Option<(Side, u64)>> {
    let end = Instant::now() + limit;
    let mut whole: Option<(Side, u64)> = None;
    let stable_us = u64::try_from(STABLE.as_micros())?;
    while Instant::now() < end {
        if notes.len() < MOST_RESTARTS {
            notes.extend(sides.restart_ended()?);
        }
        let now = now_us();
        whole = match (sides.whole(sampler), whole) {
            (None, _) => None,
            (Some(active), Some((before, since))) if active == before => {
                if now - since >= stable_us {
                    return Ok(Some((active, since)));
                }
                Some((active, since))
            }
            (Some(active), _) => Some((active, now)),
        };
        thread::sleep(LOOK_EVERY);
    }
    Ok(None)
}

/// Waits until every producer was told something since then; how many were not.
fn wait_until_all_go_on(load: &mut Load, since_us: u64, limit: Duration) -> Result<u32> {
    let end = Instant::now() + limit;
    loop {
        let behind = load.behind(since_us)?;
        if behind == 0 || Instant::now() > end {
            return Ok(behind);
        }
        thread::sleep(ASK_EVERY);
    }
}

/// One fault being played.
struct Playing<'a> {
    options: &'a BatchOptions,
    sides: &'a mut Sides,
    sampler: &'a Sampler,
    load: &'a mut Load,
    notes: Vec<String>,
}

impl Playing<'_> {
    fn play(&mut self, fault: Fault, index: u32) -> Result<Played> {
        pause(fault.rest_ms);
        let active = self.wait_for_active()?;
        let at = jiff::Zoned::now().strftime("%H:%M:%S%.3f").to_string();
        let begin = now_us();
        self.strike(&fault, active)?;
        let undone = now_us();
        let limit = whole_limit(self.options.product);
        let whole = wait_until_whole(self.sides, self.sampler, limit, &mut self.notes)?;
        let behind = wait_until_all_go_on(self.load, now_us(), GO_ON_LIMIT)?;
        let end = now_us();

        let answered = self.sampler.answered(begin.saturating_sub(1_000_000), end);
        let gaps = gaps(&self.load.window(begin, end)?, &answered);
        let epoch = whole
            .and_then(|(active, _)| self.sampler.page(active))
            .map(|page| page.epoch);
        Ok(Played {
            index,
            at,
            fault,
            active_before: active,
            active_after: whole.map(|(active, _)| active),
            epoch,
            service_gap_ms: gaps.service,
            silence_ms: gaps.silence,
            client_gap_max_ms: gaps.client_max,
            client_gap_median_ms: gaps.client_median,
            undone_ms: as_ms(undone - begin),
            whole_ms: whole.map(|(_, since)| as_ms(since.saturating_sub(undone))),
            behind,
            two_actives: self.sampler.two_actives(begin).into(),
            two_pages: self.sampler.two_pages(begin).into(),
            load_average: machine::load_average(),
            notes: std::mem::take(&mut self.notes),
        })
    }

    /// On a busy machine an answer of the active may be late for once.
    fn wait_for_active(&self) -> Result<Side> {
        let end = Instant::now() + ACTIVE_LIMIT;
        loop {
            if let Some(active) = Sides::active(self.sampler) {
                return Ok(active);
            }
            if Instant::now() > end {
                bail!("not exactly one side has answered for {ACTIVE_LIMIT:?}");
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Does it, and undoes it.
    fn strike(&mut self, fault: &Fault, active: Side) -> Result<()> {
        let standby = active.other();
        let in_order = |active_first: bool| {
            if active_first {
                [active, standby]
            } else {
                [standby, active]
            }
        };
        match fault.kind {
            Kind::KillActive => self.kill_and_start(fault, active),
            Kind::KillStandby => self.kill_and_start(fault, standby),
            Kind::KillBoth => {
                self.sides.kill(&[active, standby])?;
                pause(fault.lasts_ms);
                self.start_both(fault, in_order(fault.active_starts_first))
            }
            Kind::FreezeActive => self.freeze(fault, active),
            Kind::FreezeStandby => self.freeze(fault, standby),
            Kind::RestartActive => self.restart(fault, active),
            Kind::RestartStandby => self.restart(fault, standby),
            Kind::RestartBoth => {
                let [first, second] = in_order(fault.active_stops_first);
                self.sides.stop(first)?;
                pause(fault.apart_ms);
                self.sides.stop(second)?;
                pause(fault.lasts_ms);
                self.start_both(fault, in_order(fault.active_starts_first))
            }
            Kind::CutLink => {
                let cut = Cut::new(fault.direction)?;
                pause(fault.lasts_ms);
                if cut.heal()? == 0 {
                    self.notes.push("no packet was dropped".to_owned());
                }
                Ok(())
            }
            Kind::ResetLink => {
                let ends = reset_link()?;
                if ends == 0 {
                    self.notes.push("no connection to reset".to_owned());
                }
                Ok(())
            }
        }
    }

    fn kill_and_start(&mut self, fault: &Fault, side: Side) -> Result<()> {
        self.sides.kill(&[side])?;
        pause(fault.lasts_ms);
        self.sides.start(side)
    }

    fn restart(&mut self, fault: &Fault, side: Side) -> Result<()> {
        self.sides.stop(side)?;
        pause(fault.lasts_ms);
        self.sides.start(side)
    }

    fn freeze(&mut self, fault: &Fault, side: Side) -> Result<()> {
        self.sides.freeze(side)?;
        pause(fault.lasts_ms);
        self.sides.wake(side)
    }

    fn start_both(&mut self, fault: &Fault, [first, second]: [Side; 2]) -> Result<()> {
        self.sides.start(first)?;
        pause(fault.apart_ms);
        self.sides.start(second)
    }
}

/// Stops the load, and settles the account.
fn end(
    mut sides: Sides,
    sampler: &Sampler,
    mut load: Load,
    began: u64,
    is_whole: bool,
    unplayed: Option<String>,
) -> Result<Ended> {
    let mut notes = Vec::new();
    let seconds = as_ms(now_us() - began) / 1_000.0;
    let two_actives = sampler.two_actives(began).into();
    let two_pages = sampler.two_pages(began).into();
    let progress = load.progress()?;
    notes.push(format!(
        "{} acknowledgements of {PRODUCERS} producers, {} receipts",
        progress.acknowledged, progress.received
    ));
    if !is_whole {
        // The account is about the store, and nobody may be there to read it.
        notes.push("both brokers were ended and started again for the account".to_owned());
        sides.end_all()?;
        start(&mut sides, sampler)?;
    }
    let account = match load.finish() {
        Ok(account) => Some(account),
        Err(error) => {
            notes.push(format!("{error:#}"));
            None
        }
    };
    Ok(Ended {
        account,
        seconds,
        two_actives,
        two_pages,
        unplayed,
        notes,
    })
}

fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

impl From<Overlap> for Moments {
    fn from(overlap: Overlap) -> Moments {
        Moments {
            count: overlap.moments,
            ms: as_ms(overlap.total_us),
        }
    }
}

/// The logs of a batch in its folder, whole, and those of which the end is enough.
pub(crate) fn logs(folder: &Path) -> [(std::path::PathBuf, bool); 3] {
    [
        (folder.join("primary.out"), true),
        (folder.join("backup.out"), true),
        (folder.join("client.log"), false),
    ]
}
