//! `tandem local run`: the pair in the foreground, and what happens to it.

use std::time::Duration;

use super::local::{not_started, stop_signals};
use super::{Exit, Refusal};
use crate::api::status::ConditionType;
use crate::local::control;
use crate::local::setup::{self, Options, Prepared};
use crate::local::supervisor::{StopReport, Stopped, Supervisor};
use crate::local::time::{now, span};
use crate::local::view::{Tone, View};
use crate::render::GENERATED_USER;

/// How often the times on the screen are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// Runs a pair until it is stopped.
pub(super) async fn run(options: Options) -> Result<Exit, Refusal> {
    let prepared = setup::prepare(&options).map_err(|error| not_started(&error))?;
    let (stop, force) = stop_signals()?;
    let mut view = View::new();
    header(&mut view, &prepared);
    let Prepared {
        plan, record, lock, ..
    } = prepared;
    let dir = plan.dir.clone();
    let (supervisor, handle) = Supervisor::new(plan, record, stop.clone());
    let mut events = handle.events();
    let mut snapshots = handle.snapshot.clone();
    let serving = control::serve(&dir, handle).map_err(|error| {
        let text = format!("cannot open {}: {error}", dir.socket().display());
        Refusal::new(Exit::Unavailable, &text)
    })?;
    let serving = tokio::spawn(serving);
    let report = {
        let supervising = supervisor.run(force);
        tokio::pin!(supervising);
        let mut tick = tokio::time::interval(TICK);
        let mut was_ready = false;
        let mut told_stop = false;
        loop {
            tokio::select! {
                biased;
                Ok(event) = events.recv() => view.event(&event),
                report = &mut supervising => break report,
                () = stop.cancelled(), if !told_stop => {
                    told_stop = true;
                    view.line("Stopping: the standby first, so that nothing fails over (again to end at once).");
                }
                Ok(()) = snapshots.changed() => {}
                _ = tick.tick() => {}
            }
            // What happened is told before what follows from it.
            while let Ok(event) = events.try_recv() {
                view.event(&event);
            }
            let snapshot = snapshots.borrow().clone();
            if !was_ready && snapshot.holds(ConditionType::Ready).is_some() {
                was_ready = true;
                let text = view.paint(
                    Tone::Good,
                    "Ready: one broker serves, the other takes over when it ends.",
                );
                view.line(&text);
            }
            if view.is_live() {
                let mut footer = vec![String::new()];
                footer.extend(view.sides(&snapshot, now()));
                footer.extend(view.failback(&snapshot, now()));
                view.draw(footer);
            }
        }
    };
    while let Ok(event) = events.try_recv() {
        view.event(&event);
    }
    view.undraw();
    serving.abort();
    let _ = std::fs::remove_file(dir.socket());
    drop(lock);
    if let Some(why) = report.gave_up {
        return Err(Refusal::new(Exit::GaveUp, &why));
    }
    view.line(&summary(&report, &dir.root().display().to_string()));
    Ok(Exit::Done)
}

fn header(view: &mut View, prepared: &Prepared) {
    let Prepared {
        plan, pair, users, ..
    } = prepared;
    let data = pair.mode.in_words();
    let title = format!("Pair {}: two brokers {data}", plan.name);
    view.line(&view.paint(Tone::Strong, &title));
    let mut say = |name: &str, text: &str| {
        let name = view.paint(Tone::Faint, &format!("{name:9}"));
        view.line(&format!("  {name} {text}"));
    };
    say("data", &plan.dir.root().display().to_string());
    say("clients", &plan.url);
    let names: Vec<&str> = users.keys().map(String::as_str).collect();
    let who = match (&pair.users, pair.allow_anonymous) {
        (None, true) => "nobody needs a user and password".to_owned(),
        (None, false) => format!(
            "{GENERATED_USER}; its generated password is generatedPassword in {}",
            plan.dir.credentials().display()
        ),
        (Some(_), true) => format!("{}; or none", names.join(", ")),
        (Some(_), false) => names.join(", "),
    };
    say("users", &who);
    if !pair.meaningless_locally.is_empty() {
        say(
            "unused",
            &format!("on one machine: {}", pair.meaningless_locally.join(", ")),
        );
    }
    say(
        "try",
        "in a second terminal: tandem local status | kill | start | stop | switchover; Ctrl-C here stops the pair",
    );
    view.line("");
}

/// How it ended, in one line.
fn summary(report: &StopReport, dir: &str) -> String {
    let stopped = |stopped: &Stopped| {
        let Stopped {
            side,
            was_active,
            took_ms,
            how,
            forced,
        } = stopped;
        let role = if *was_active { "active" } else { "standby" };
        let force = if *forced { ", by force" } else { "" };
        let how = if how == "stopped" {
            String::new()
        } else {
            format!(", {how}")
        };
        format!("the {side} ({role}) in {}{how}{force}", span(*took_ms))
    };
    let sides: Vec<String> = report.stopped.iter().map(stopped).collect();
    if sides.is_empty() {
        return format!("Stopped; no broker ran. The data is in {dir}");
    }
    format!("Stopped {}. The data stays in {dir}", sides.join(", then "))
}
