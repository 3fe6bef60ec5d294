//! The story of a world, line by line.

use crate::world::World;
use pair::{Action, Body, Cut, Grant, Incarnation, Locks, Mode, Position, Record, Term};

impl World {
    /// Adds what a side does to the story; what happens all the time is left out.
    pub(crate) fn show(&mut self, id: u8, action: &Action) {
        if self.trace.is_none() {
            return;
        }
        let side = self.peek(id).side;
        let line = match action {
            Action::ReadRecord
            | Action::ProbeLock { .. }
            | Action::SelfTestLocks
            | Action::SurveyStore
            | Action::ReadAhead { .. }
            | Action::InspectStore
            | Action::ReservePorts
            | Action::KeepRecord { .. }
            | Action::WriteSideFile { leaving: false, .. } => return,
            Action::Send { message, .. } => match self.said(id, &message.body) {
                Some(line) => line,
                None => return,
            },
            Action::Publish(view) => {
                let settled = if view.settled { ", settled" } else { "" };
                let shown = format!("is {}{settled}: {}", view.role, view.why);
                let process = self.process(id);
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
            Action::Release {
                up_to,
                fresh_until_ms,
                ..
            } => {
                // What only moves on all the time is left out.
                let process = self.peek(id);
                match (*fresh_until_ms, process.fresh_until_ms) {
                    _ if *up_to > process.released => format!("acknowledges up to {up_to}"),
                    (0, 1..) => "answers nobody".to_owned(),
                    (1.., 0) => "answers again".to_owned(),
                    _ => return,
                }
            }
            Action::Drain { .. } => "drains".to_owned(),
            Action::DropState { .. } => "drops its state".to_owned(),
            Action::WriteSideFile { leaving: true, .. } => "says that it leaves".to_owned(),
            Action::FreezeLog => "freezes its log".to_owned(),
            Action::FollowLog { session, cut, .. } => {
                format!("follows in session {session} {}", cut_text(*cut))
            }
            Action::ShipLog { session, cut, .. } => {
                format!("ships its log to session {session} {}", cut_text(*cut))
            }
            Action::RenewStore => "gives its store a new identity".to_owned(),
        };
        self.log(|| format!("{side:<7} {line}"));
    }
}

impl World {
    /// What a message says, if it is more than that all is as before.
    fn said(&mut self, id: u8, body: &Body) -> Option<String> {
        match body {
            Body::Beat(_) | Body::Sync(_) | Body::Confirm(_) => None,
            Body::Grant(Grant {
                term, promise_ms, ..
            }) => {
                let before = self.process(id).promised.replace(*term);
                (before != Some(*term)).then(|| {
                    format!(
                        "promises {} not to take over, for {promise_ms} ms and on",
                        name(*term)
                    )
                })
            }
            Body::Resign(resign) => Some(format!("says that {} is over", name(resign.term))),
            Body::Leave => Some("says over the link that it leaves".to_owned()),
            Body::AskStill(still) => Some(format!("asks who still follows {}", name(still.term))),
            Body::Still(still) => Some(format!("says that it follows {}", name(still.term))),
            Body::Join(join) => Some(format!(
                "asks for the log of {} in session {}, has {}",
                name(join.term),
                join.session,
                end_text(join.log.end())
            )),
            Body::Renew { session } => {
                Some(format!("says that the disk of session {session} went back"))
            }
            Body::AskReport { .. } => Some("asks what the other side has".to_owned()),
            Body::Report(report) => Some(format!(
                "reports {}{}",
                end_text(report.end),
                if report.incomplete {
                    ", incomplete"
                } else {
                    ""
                }
            )),
        }
    }
}

fn cut_text(cut: Cut) -> String {
    match cut {
        Cut::After(position) => format!("after {position}"),
        Cut::Everything { whole_at } => format!("anew, whole at {whole_at}"),
    }
}

fn end_text(end: Option<Position>) -> String {
    end.map_or_else(|| "nothing".to_owned(), |end| end.to_string())
}

fn name(term: Term) -> String {
    format!("term.{}.p{}", term.epoch, term.inc.0[0])
}

/// Who is in sync in a record, and what is known of locks, beyond its summary.
pub(crate) fn members(record: &Record) -> String {
    let members = record.in_sync.iter();
    let names: Vec<String> = members
        .map(|member| match member.id.parse::<Incarnation>() {
            Ok(store) if record.mode == Mode::Replication => {
                format!("{} disk {}", member.side, store.0[0])
            }
            Ok(inc) => format!("{} p{}", member.side, inc.0[0]),
            Err(_) => format!("{} {}", member.side, member.id),
        })
        .collect();
    let locks = match record.locks {
        None => "",
        Some(Locks::Seen) => ", locks seen",
        Some(Locks::Broken) => ", locks broken",
    };
    format!("in sync [{}]{locks}", names.join(", "))
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
