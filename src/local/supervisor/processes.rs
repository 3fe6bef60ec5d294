//! What happens to the two processes: starts, answers, ends, and stops that take too long.

use nix::sys::signal::Signal;
use pair::Side;

use super::slot::Slot;
use super::{Supervisor, What};
use crate::by_side::SIDES;
use crate::local::observe::{self, Heard};
use crate::local::process::{self, BrokerProcess, Ended};
use crate::local::time::now;

/// Lines of a broker's output that are shown when it ended and nobody knows why.
const SHOWN_LINES: usize = 12;
/// Ends in a row, without a single answer, after which a pair that never worked is given up.
const HOPELESS_STARTS: u32 = 3;

impl Supervisor {
    /// Starts a side's broker unless it runs.
    pub(super) fn start(&mut self, side: Side) {
        if self.slots[side].process.is_some() {
            return;
        }
        let (instance, log) = (self.plan.dir.instance(side), self.plan.dir.log(side));
        match BrokerProcess::spawn(&self.plan.program, &instance, &log) {
            Ok(process) => {
                let (pid, at) = (process.pid(), process.started());
                let address = (self.plan.host.clone(), self.plan.http_ports[side]);
                let watch = observe::watch(side, pid, address, self.tell.clone());
                let slot = &mut self.slots[side];
                *slot = Slot {
                    process: Some(process),
                    mute_ends: slot.mute_ends,
                    silence: "has just been started".to_owned(),
                    watcher: Some(tokio::spawn(watch)),
                    ..Slot::default()
                };
                self.emit(at, What::Started { side, pid });
            }
            Err(error) => {
                let at = now();
                let slot = &mut self.slots[side];
                slot.last_end = Some((at, 0));
                slot.mute_ends += 1;
                self.emit(
                    at,
                    What::NotStarted {
                        side,
                        why: error.to_string(),
                    },
                );
            }
        }
    }

    pub(super) fn on_heard(&mut self, heard: Heard) {
        let Heard { side, pid, answer } = heard;
        let slot = &mut self.slots[side];
        if slot
            .process
            .as_ref()
            .is_none_or(|process| process.pid() != pid)
        {
            // An answer that was on its way when its process ended.
            return;
        }
        match answer {
            Ok(answer) => {
                slot.mute_ends = 0;
                slot.member = Some(answer.member_id().to_owned());
                let events = self.tracker.heard(side, &answer, now());
                self.slots[side].answer = Some(answer);
                self.emit_all(events);
            }
            Err(error) => {
                slot.answer = None;
                slot.silence = error.to_string();
            }
        }
    }

    pub(super) fn on_ended(&mut self, side: Side, ended: &Ended) {
        let log = self.plan.dir.log(side);
        let slot = &mut self.slots[side];
        if !slot.has_answered() {
            slot.mute_ends += 1;
        }
        if let Some(watcher) = slot.watcher.take() {
            watcher.abort();
        }
        let asked = slot.end_asked;
        let log_start = slot.process.as_ref().map_or(0, BrokerProcess::log_start);
        *slot = Slot {
            held_down: slot.held_down,
            last_end: Some((ended.at, ended.ran_ms)),
            mute_ends: slot.mute_ends,
            ..Slot::default()
        };
        let events = self.tracker.ended(side);
        self.emit_all(events);
        // A killed broker printed nothing about its end.
        let failed = ended
            .status
            .is_some_and(|status| status.code().is_some_and(|code| code != 0));
        let last_lines = if failed && !asked {
            process::last_lines(&log, log_start, SHOWN_LINES)
        } else {
            None
        };
        self.emit(
            ended.at,
            What::Ended {
                side,
                how: ended.how(),
                asked,
                last_lines,
            },
        );
    }

    /// Why a pair that never worked is given up.
    pub(super) fn hopeless(&self) -> Option<String> {
        let no_hope = |side: &Side| {
            let slot = &self.slots[*side];
            slot.process.is_none() && slot.mute_ends >= HOPELESS_STARTS
        };
        SIDES.iter().all(no_hope).then(|| {
            format!(
                "both brokers ended {HOPELESS_STARTS} times before they answered; their output is \
                 in {} and {}",
                self.plan.dir.log(Side::Primary).display(),
                self.plan.dir.log(Side::Backup).display()
            )
        })
    }

    pub(super) fn on_time(&mut self) {
        let at = now();
        let events = self.tracker.due(at);
        self.emit_all(events);
        for side in SIDES {
            let slot = &mut self.slots[side];
            if slot.kill_at.take_if(|kill_at| *kill_at <= at).is_some() {
                if let Some(process) = &slot.process {
                    process.signal(Signal::SIGKILL);
                }
                self.emit(
                    at,
                    What::Warning(format!("the {side} did not stop in time: killed")),
                );
            }
        }
    }
}
