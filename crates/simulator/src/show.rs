//! The story of a world, line by line.

use crate::world::World;
use pair::{Action, Record, Side, Term};

impl World {
    /// Adds what a side does to the story; what happens all the time is left out.
    pub(crate) fn show(&mut self, side: Side, action: &Action) {
        if self.trace.is_none() {
            return;
        }
        let line = match action {
            Action::ReadRecord
            | Action::ProbeLock { .. }
            | Action::SelfTestLocks
            | Action::InspectStore
            | Action::ReservePorts
            | Action::Send { .. }
            | Action::WriteSideFile { leaving: false, .. } => return,
            Action::Publish(view) => {
                let settled = if view.settled { ", settled" } else { "" };
                let shown = format!("is {}{settled}: {}", view.role, view.why);
                let Some(process) = self.processes.get_mut(&side) else {
                    return;
                };
                if process.shown == shown {
                    return;
                }
                process.shown.clone_from(&shown);
                shown
            }
            Action::Notice(notice) => format!("- {notice}"),
            Action::Exit(reason) => format!("exits with {}: {reason}", reason.code()),
            Action::Cas { base, record } => format!("cas on {base}: {}", summary(record)),
            Action::Create { record } => format!("create: {}", summary(record)),
            Action::CreateTermFile { term } => format!("creates {}", name(*term)),
            Action::DeleteTermFile { term } => format!("deletes {}", name(*term)),
            Action::CloseTermFile { term } => format!("closes {}", name(*term)),
            Action::Fence { terms, .. } => {
                let names: Vec<String> = terms.iter().copied().map(name).collect();
                format!("fences [{}]", names.join(", "))
            }
            Action::LoadHistory { .. } => "loads the history".to_owned(),
            Action::Seal { .. } => "seals it".to_owned(),
            Action::StartTerm { .. } => "starts the term".to_owned(),
            Action::OpenPorts { .. } => "opens the ports".to_owned(),
            Action::Release { up_to, .. } => format!("acknowledges up to {up_to}"),
            Action::Drain { .. } => "drains".to_owned(),
            Action::DropState { .. } => "drops its state".to_owned(),
            Action::WriteSideFile { leaving: true, .. } => "says that it leaves".to_owned(),
        };
        self.log(|| format!("{side:<7} {line}"));
    }
}

fn name(term: Term) -> String {
    format!("term.{}.p{}", term.epoch, term.inc.0[0])
}

/// A record in a few words.
pub(crate) fn summary(record: &Record) -> String {
    let holder = record.holder.as_ref();
    let mut text = match holder {
        None => format!("epoch {} nobody", record.epoch),
        Some(holder) => format!(
            "epoch {} {} p{}",
            record.epoch, holder.side, holder.inc.0[0]
        ),
    };
    if let Some(last) = &record.last {
        text += &format!(" {}", last.cause);
        if let Some(gap_ms) = last.gap_ms {
            text += &format!(" gap {gap_ms}");
        }
    }
    if let Some(wanted) = &record.wanted {
        text += &format!(" wanted {} in {}", wanted.to, wanted.epoch);
    }
    if let Some(refused) = &record.refused {
        text += &format!(" refused \"{}\"", refused.reason);
    }
    if let Some(stopped) = record.stopped {
        text += &format!(" stopped {stopped}");
    }
    if !record.unfenced.is_empty() {
        let names: Vec<String> = record.unfenced.iter().copied().map(name).collect();
        text += &format!(" unfenced [{}]", names.join(", "));
    }
    text + &format!(" serial {}", record.serial)
}
