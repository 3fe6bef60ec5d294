//! A failover and the failback after it, as a JMS client sees them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::arguments::Places;
use crate::java::GapClient;
use crate::order::Numbers;
use crate::pair::{Pair, SETTLE_LIMIT};
use crate::process::wait_for;

const QUEUE: &str = "bench.gap";
/// Pause between two sends: short beside a gap, long enough that the traffic itself is no load.
const PAUSE_MS: u32 = 2;
/// Traffic before the kill, so that the client's code is compiled.
const TRAFFIC_BEFORE: Duration = Duration::from_secs(2);
/// Sends that must be acknowledged before a gap counts as over.
const GOES_ON: f64 = 50.0;
/// How long the clients are watched after that: a broker may still stumble.
const WATCH_ON: Duration = Duration::from_millis(1_500);
/// The client answers at once, and each question costs it something.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Kills the primary under traffic, restarts it, and waits until it serves again.
pub(crate) fn gap(places: &Places, pair: &mut Pair, retry_interval_ms: u32) -> Result<Numbers> {
    let mut client = GapClient::start(places, retry_interval_ms, PAUSE_MS, QUEUE)?;
    client.ask("begin")?;
    goes_on(&mut client)?;
    thread::sleep(TRAFFIC_BEFORE);
    let mut numbers = Numbers::new();

    pair.kill_primary()?;
    client.ask("begin")?;
    goes_on(&mut client)?;
    thread::sleep(WATCH_ON);
    numbers.insert("kill_gap_ms".to_owned(), longest(&mut client)?);

    let stood_by = pair.times_stood_by();
    client.ask("begin")?;
    let restarted = Instant::now();
    pair.start_primary()?;
    pair.wait_until_primary_serves()?;
    numbers.insert("failback_s".to_owned(), restarted.elapsed().as_secs_f64());
    goes_on(&mut client)?;
    thread::sleep(WATCH_ON);
    numbers.insert("failback_gap_ms".to_owned(), longest(&mut client)?);

    numbers.append(&mut client.ask("finish")?);
    pair.wait_until_standby(stood_by)?;
    Ok(numbers)
}

/// Waits until so many more sends are acknowledged.
fn goes_on(client: &mut GapClient) -> Result<()> {
    let before = acknowledged(client)?;
    wait_for("acknowledged sends", SETTLE_LIMIT, || {
        thread::sleep(ASK_EVERY);
        Ok((acknowledged(client)? >= before + GOES_ON).then_some(()))
    })
}

fn acknowledged(client: &mut GapClient) -> Result<f64> {
    let answer = client.ask("look")?;
    answer
        .get("acknowledged")
        .copied()
        .context("the JMS client counts no sends")
}

fn longest(client: &mut GapClient) -> Result<f64> {
    let answer = client.ask("end")?;
    answer
        .get("gap_ms")
        .copied()
        .context("the JMS client tells no gap")
}
