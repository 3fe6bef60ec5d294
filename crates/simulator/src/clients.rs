//! The clients of the model: they write to every open port, read from it, and believe what they hear.

use pair::{Input, Mark, Notice, Record, Role, Term};

use crate::options::Mutation;
use crate::process::index;
use crate::world::{Effect, World};

impl World {
    /// A client writes to a process; refused unless its ports are open.
    pub(crate) fn client_writes(&mut self, id: u8) {
        let latency_ms = self.chance.latency_ms();
        let early = self.breaks(Mutation::MarkBeforeSync) || self.breaks(Mutation::GateBeforeSync);
        let now_ms = self.now_ms;
        let process = self.process(id);
        let Some(term) = process.term else { return };
        if process.is_silent(now_ms) {
            return;
        }
        process.written += 1;
        process.unsynced += 1;
        let (entries, start) = (process.written, false);
        if self.replicates() {
            self.write_entry(id, term, entries);
            if self.breaks(Mutation::AcknowledgesBeforeSync) {
                let (up_to, mark) = (entries, Mark::Clear);
                self.answer(id, Input::Synced { term, up_to, mark });
            }
        } else {
            self.store.write(term, entries);
            self.retire_segment(id, term, entries);
        }
        let first = if early {
            Effect::ReadMark {
                term,
                entries,
                start,
            }
        } else {
            Effect::Sync {
                term,
                entries,
                start,
            }
        };
        self.effect(id, latency_ms, first);
    }

    /// A client asks a process for something that depends on no entry: a delivery; true if it gets it.
    pub(crate) fn client_reads(&mut self, id: u8) -> bool {
        let now_ms = self.now_ms;
        let process = self.peek(id);
        let Some(term) = process.term else {
            return false;
        };
        let fresh = process.clock.local(now_ms) < process.fresh_until_ms;
        let answers = !process.is_silent(now_ms) && process.role == Role::Serving && fresh;
        if answers {
            self.ledger.deliver(term, self.nature.strict);
        }
        answers
    }

    /// Every process is asked by clients: those of a side that was replaced have not left it yet.
    pub(crate) fn clients_work(&mut self) {
        for id in 1..=self.processes.len() {
            let id = u8::try_from(id).unwrap_or(u8::MAX);
            if self.peek(id).open {
                self.client_writes(id);
                self.client_reads(id);
            }
        }
    }

    /// What the gate lets pass leaves the process.
    pub(crate) fn release(&mut self, id: u8, term: Term, up_to: u64, fresh_until_ms: u64) {
        let early = self.breaks(Mutation::GateBeforeSync);
        let process = self.process(id);
        let before = process.released;
        process.released = up_to;
        process.fresh_until_ms = fresh_until_ms;
        if up_to < before {
            self.ledger
                .violated(format!("I8: term {term} takes acknowledgements back"));
        }
        if !self.ledger.has_served(term) {
            self.ledger
                .violated(format!("I4: term {term} answers before it serves"));
        }
        let up_to = if early {
            up_to.min(self.store.durable(term))
        } else {
            up_to
        };
        if self.replicates() {
            let on_disk = self.on_own_disk(id, term);
            return self.ledger.acknowledge_on(term, up_to, on_disk);
        }
        self.ledger.acknowledge(term, up_to, &self.store);
        self.remove_retired(id, up_to);
    }

    /// A term starts to serve, on what its process built it upon.
    pub(crate) fn begin_to_serve(&mut self, id: u8, term: Term) {
        if self.replicates() {
            let history = self.peek(id).history.clone();
            let on_disk = self.on_own_disk(id, term);
            return self.ledger.serve_on(term, history, on_disk);
        }
        self.ledger.serve(term, &self.store);
    }

    /// W1: a process hands over only when a request is in force that it knows.
    pub(crate) fn check_handover(&mut self, id: u8, notice: &Notice) {
        let Notice::HandingOver { to, .. } = notice else {
            return;
        };
        let record = self.peek(id).machine.record();
        let wanted = record.and_then(Record::wanted_now);
        if wanted.is_none_or(|wanted| wanted.to != *to) {
            self.ledger.violated(format!(
                "W1: p{id} hands over to the {to}, which nobody wants"
            ));
        }
    }

    /// S2: nobody takes over from an active that it hears and that serves, unless locks were lost.
    pub(crate) fn check_takeover(&mut self, id: u8, notice: &Notice) {
        let Notice::TakingOver { term, .. } = notice else {
            return;
        };
        let taker = self.peek(id);
        let keeps_word = self.nature.keeps_locks && !self.nature.harsh_link;
        let Some(link) = taker.link.filter(|_| keeps_word) else {
            return;
        };
        let holder = self.peek(link.peer);
        let held = taker.machine.record().and_then(Record::term);
        let serves = holder.runs && holder.role == Role::Serving && holder.term == held;
        let (now_ms, beat_ms) = (self.now_ms, self.timers.beat_ms);
        // Both hear each other: a free lock would be known as one that proves nothing.
        let heard = taker.hears(holder.id, now_ms, beat_ms) && holder.hears(id, now_ms, beat_ms);
        if serves && heard && holder.open && !holder.is_frozen(now_ms) {
            let peer = link.peer;
            self.ledger.violated(format!(
                "S2: {term} is taken from p{peer}, which serves and is heard"
            ));
        }
    }

    /// I8: a process whose ports are open holds a term.
    pub(crate) fn check_ports(&mut self, id: u8) {
        let process = self.peek(id);
        if process.open && !matches!(process.role, Role::Serving | Role::Holding) {
            let (side, role) = (process.side, process.role);
            self.ledger.violated(format!(
                "I8: the ports of the {side} are open, it is {role}"
            ));
        }
        let process = self.peek(id);
        if let Some(term) = process.term
            && process.open
            && process.released == 0
        {
            self.ledger.violated(format!(
                "I4: term {term} serves, its start has not passed the gate"
            ));
        }
    }

    /// A process ends: what it had not synced is lost, in part or whole; its locks go, now or later.
    fn gone(&mut self, id: u8) {
        let process = self.process(id);
        process.runs = false;
        process.open = false;
        let side = process.side;
        if self.newest[index(side)] == Some(id) {
            self.newest[index(side)] = None;
        }
        if self.replicates() {
            let disk = self.peek(id).replica.disk;
            return self.disks.lose_unsynced(disk, &mut self.chance);
        }
        self.store.lose_unsynced(id, &mut self.chance);
    }

    /// A process ends by itself, or is killed: its kernel closes what it had open.
    pub(crate) fn end(&mut self, id: u8) {
        self.gone(id);
        self.hang_up(id);
        if self.nature.linger_ms == 0 {
            return self.store.unlock_all(id);
        }
        let in_ms = self.chance.below(self.nature.linger_ms);
        self.at(self.now_ms + in_ms, crate::world::Event::Unlock { id });
    }

    /// A machine ends: nobody closes anything for it, and its locks stay as long as they can.
    pub(crate) fn vanish(&mut self, id: u8) {
        let side = self.peek(id).side;
        self.log(|| format!("{side:<7} loses its machine"));
        self.gone(id);
        let process = self.process(id);
        process.link = None;
        process.replica.vanished = true;
        let in_ms = self.nature.linger_ms;
        self.at(self.now_ms + in_ms, crate::world::Event::Unlock { id });
    }
}
