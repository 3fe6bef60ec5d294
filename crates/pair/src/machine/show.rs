//! The view of a side, computed from its state and published when it changed.

use super::{Action, Gap, LinkView, Machine, Phase, RecordState, Role, View, Waiting, Work};
use crate::Record;

impl Machine {
    /// What this side shows of itself.
    pub fn view(&self) -> View {
        let record = self.record();
        let serves = matches!(
            self.phase,
            Phase::Serving {
                gap: Gap::Closed { .. },
                work: Work::Clients,
                ..
            }
        );
        let waiting = match &self.phase {
            Phase::SteppingDown { .. } if self.stop_by_ms.is_none() => Waiting::OwnTermEnds,
            Phase::SteppingDown { .. } | Phase::Stopped => Waiting::OwnEnd,
            Phase::Standby
            | Phase::Attempting { .. }
            | Phase::Preparing { .. }
            | Phase::Serving { .. }
            | Phase::Handing { .. } => self.waiting.clone(),
        };
        View {
            side: self.config.side,
            role: self.role(),
            since_unix_ms: self.role_since_unix_ms,
            settled: (serves && !self.is_holding()) || self.is_settled_standby(),
            ports_open: serves,
            pair: record.map(|record| record.pair.clone()),
            epoch: record.map_or(0, |record| record.epoch),
            holder: record.and_then(|record| record.holder.clone()),
            in_sync: record
                .map(|record| record.in_sync.clone())
                .unwrap_or_default(),
            last: record.and_then(|record| record.last.clone()),
            transitions: record.map_or(0, |record| record.transitions),
            wanted: record.and_then(Record::wanted_now).cloned(),
            refused: record.and_then(|record| record.refused.clone()),
            stopped: record.and_then(|record| record.stopped),
            locks: record.and_then(|record| record.locks),
            peer: self.peer.clone(),
            link: self.link_view(),
            active_heard: self.is_active_heard(),
            why: waiting.to_string(),
            waiting,
        }
    }

    fn link_view(&self) -> LinkView {
        let (peer, trouble) = self.contact.shown();
        LinkView {
            connected: peer.map(|(inc, _)| inc),
            since_unix_ms: peer.map(|(_, since_ms)| since_ms),
            trouble: trouble.map(str::to_owned),
        }
    }

    /// The role of the current phase.
    pub(super) fn role(&self) -> Role {
        match self.phase {
            Phase::Standby if self.newest.state == RecordState::Unread => Role::Starting,
            Phase::Standby | Phase::SteppingDown { .. } => Role::Standby,
            Phase::Attempting { .. } => Role::Attempting,
            Phase::Preparing { .. } => Role::Preparing,
            Phase::Serving { .. } if self.is_holding() => Role::Holding,
            Phase::Serving { .. } => Role::Serving,
            Phase::Handing { .. } => Role::Handing,
            Phase::Stopped => Role::Stopped,
        }
    }

    /// Publishes the view if it changed.
    pub(super) fn show(&mut self) {
        let view = self.view();
        if self.shown.as_ref() != Some(&view) {
            self.shown = Some(view.clone());
            self.push(Action::Publish(Box::new(view)));
        }
    }
}
