//! How the pair stands, from everything the supervisor knows.

use pair::Side;

use super::Supervisor;
use crate::by_side::SIDES;
use crate::local::snapshot::{LastTransition, LinkSnapshot, SideSnapshot, Snapshot};
use crate::policy::{Reason, Role};

impl Supervisor {
    /// Shows how the pair stands, if that has changed.
    pub(super) fn publish(&self) {
        let snapshot = self.snapshot();
        self.snapshot.send_if_modified(|shown| {
            let is_new = *shown != snapshot;
            *shown = snapshot;
            is_new
        });
    }

    fn snapshot(&self) -> Snapshot {
        let answers = SIDES
            .iter()
            .filter_map(|side| self.slots[*side].answer.as_ref());
        // The broker with the newest record knows the last transition best.
        let last = answers
            .max_by_key(|answer| answer.epoch)
            .and_then(|answer| answer.last.clone());
        Snapshot {
            name: self.plan.name.clone(),
            dir: self.plan.dir.root().display().to_string(),
            pid: std::process::id(),
            url: self.plan.url.clone(),
            epoch: self.seen_record.known().map(|record| record.epoch),
            active: self.active().map(|side| side.to_string()),
            in_sync: self.in_sync(),
            link: self.link(),
            sides: SIDES.map(|side| self.side(side)).into(),
            last_transition: last.map(|last| LastTransition {
                cause: last.cause,
                at_ms: last.at_ms,
                gap_ms: last.gap_ms,
                by: last.by,
            }),
            failback_at_ms: self.decision.as_ref().and_then(|decision| {
                let reasons = decision.reasons.iter();
                reasons
                    .filter_map(Reason::failback_at)
                    .map(|at| at.0)
                    .next()
            }),
            conditions: self
                .decision
                .as_ref()
                .map(|decision| decision.conditions.clone())
                .unwrap_or_default(),
        }
    }

    /// The sides that the record counts in, by what runs there now. One that is silent is still the one that it
    /// said to be.
    fn in_sync(&self) -> Vec<String> {
        let Some(record) = self.seen_record.known() else {
            return Vec::new();
        };
        let counts = |side: &Side| {
            let own = self.slots[*side].member.as_ref();
            let mut members = record.in_sync.iter();
            members.any(|member| member.side == *side && Some(&member.id) == own)
        };
        let members = SIDES.into_iter().filter(counts);
        members.map(|side| side.to_string()).collect()
    }

    /// The link by the word of whichever side knows more: a broker that has just started has not tried yet.
    fn link(&self) -> Option<LinkSnapshot> {
        let links = SIDES.iter().filter_map(|side| {
            let answer = self.slots[*side].answer.as_ref()?;
            Some((*side, &answer.link))
        });
        let (side, link) =
            links.max_by_key(|(_, link)| (link.connected, link.trouble.is_some()))?;
        let trouble = link.trouble.as_ref().filter(|_| !link.connected);
        Some(LinkSnapshot {
            connected: link.connected,
            since_ms: link.since_ms,
            trouble: trouble.map(|why| format!("the {side} says: {why}")),
        })
    }

    fn side(&self, side: Side) -> SideSnapshot {
        let slot = &self.slots[side];
        let answer = slot.answer.as_ref();
        let (role, why) = slot.role_and_why();
        SideSnapshot {
            side: side.to_string(),
            role,
            settled: answer.is_some_and(|answer| answer.settled),
            epoch: answer.map(|answer| answer.epoch),
            since_ms: answer
                .map(|answer| answer.since_ms)
                .or_else(|| slot.last_end.map(|(at, _)| at.0)),
            why,
            pid: slot.process.as_ref().map(super::BrokerProcess::pid),
            port: self.plan.ports[side],
            http_port: self.plan.http_ports[side],
            messages: answer
                .filter(|_| slot.role() == Some(Role::Serving))
                .and_then(|answer| answer.messages),
            log: self.plan.dir.log(side).display().to_string(),
        }
    }
}
