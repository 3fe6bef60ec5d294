//! What this process has heard over the link, and what it has promised there.
//!
//! It must never take a closed connection, or silence alone, for the end of a term: silence counts
//! only together with a membership and with promises that ran out (rule 3).

use crate::{Beat, Grant, Incarnation, Locks, Record, Resign, Role, Term, Timers};

/// The link as this process sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Contact {
    /// The connected process.
    peer: Option<Peer>,
    /// Why there is none, as far as that is known.
    trouble: Option<String>,
    /// Number of the last beat sent.
    sent: u64,
    next_beat_ms: u64,
    /// The last word of a holder in its term.
    holder: Option<HolderHeard>,
    /// The newest term whose own holder said that it is over, and since when, on this clock, it had
    /// accepted nothing new.
    resigned: Option<(Term, u64)>,
    /// A process that its supervisor saw end; of several the last, for there is one holder at a time.
    ended: Option<Incarnation>,
    /// A question for a promise that is not answered yet: the record may have to be read first.
    asked: Option<(Incarnation, Term, u64)>,
    /// The end of every promise this process ever gave.
    grant_end_ms: u64,
    /// What was last said to be worth reading ahead.
    read_ahead: Option<(Term, u64)>,
    /// The newest term of which all was read that there was to read at first.
    caught_up: Option<Term>,
}

/// The connected process of the other side.
#[derive(Clone, Debug)]
struct Peer {
    inc: Incarnation,
    since_unix_ms: u64,
    heard_ms: u64,
    beat: Option<Beat>,
    /// Since when its beats say that it reads the journal ahead.
    reads_since_ms: Option<u64>,
    leaves: bool,
}

/// The last word of a holder.
#[derive(Clone, Copy, Debug)]
struct HolderHeard {
    term: Term,
    at_ms: u64,
    head: u64,
    serves: bool,
}

impl Contact {
    /// A process is connected.
    pub(super) fn up(&mut self, peer: Incarnation, now_ms: u64, unix_ms: u64) {
        self.peer = Some(Peer {
            inc: peer,
            since_unix_ms: unix_ms,
            heard_ms: now_ms,
            beat: None,
            reads_since_ms: None,
            leaves: false,
        });
        self.trouble = None;
        self.next_beat_ms = 0;
    }

    /// Its connection is closed.
    pub(super) fn down(&mut self, peer: Incarnation) {
        if self.peer.as_ref().is_some_and(|it| it.inc == peer) {
            self.peer = None;
        }
    }

    /// There is no link, for this reason.
    pub(super) fn troubled(&mut self, why: String) {
        if self.peer.is_none() {
            self.trouble = Some(why);
        }
    }

    /// Something was heard of that process; false if it is not the connected one.
    pub(super) fn heard(&mut self, peer: Incarnation, now_ms: u64) -> bool {
        match &mut self.peer {
            Some(it) if it.inc == peer => {
                it.heard_ms = now_ms;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Takes a beat of the connected process. Older ones than the newest only count as heard.
    pub(super) fn took_beat(&mut self, beat: Beat, now_ms: u64) {
        let Some(peer) = &mut self.peer else { return };
        if let (true, Some(term)) = (beat.role.holds(), beat.term) {
            let head = match self.holder {
                Some(before) if before.term == term => before.head.max(beat.head),
                Some(_) | None => beat.head,
            };
            self.holder = Some(HolderHeard {
                term,
                at_ms: now_ms,
                head,
                serves: beat.role == Role::Serving,
            });
            if let Some(ask_ms) = beat.ask_ms {
                self.asked = Some((peer.inc, term, ask_ms));
            }
        }
        if peer.beat.as_ref().is_none_or(|newest| newest.n < beat.n) {
            let since_ms = peer.reads_since_ms.unwrap_or(now_ms);
            peer.reads_since_ms = beat.reading.then_some(since_ms);
            peer.beat = Some(beat);
        }
    }

    /// The connected process says that it is about to end.
    pub(super) fn leaves(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.leaves = true;
        }
    }

    /// A holder says that its own term is over.
    pub(super) fn resigned(&mut self, resign: Resign, now_ms: u64) {
        let newer = self
            .resigned
            .is_none_or(|(term, _)| term.epoch < resign.term.epoch);
        if newer {
            self.resigned = Some((resign.term, now_ms.saturating_sub(resign.idle_ms)));
        }
    }

    /// Its supervisor saw this process end.
    pub(super) fn ended(&mut self, inc: Incarnation) {
        self.ended = Some(inc);
    }

    /// Whether this process is known to have ended.
    pub(super) fn has_ended(&self, inc: Incarnation) -> bool {
        self.ended == Some(inc)
    }

    /// The connected process, when its connection was made, and why there is none.
    pub(super) fn shown(&self) -> (Option<(Incarnation, u64)>, Option<&str>) {
        let peer = self
            .peer
            .as_ref()
            .map(|peer| (peer.inc, peer.since_unix_ms));
        (peer, self.trouble.as_deref())
    }

    /// The connected process.
    pub(super) fn peer(&self) -> Option<Incarnation> {
        self.peer.as_ref().map(|peer| peer.inc)
    }

    /// The newest beat of the connected process, unless it is about to end.
    pub(super) fn beat(&self) -> Option<&Beat> {
        let peer = self.peer.as_ref().filter(|peer| !peer.leaves)?;
        peer.beat.as_ref()
    }

    /// Whether this process is connected, not about to end, and was heard within two beats.
    pub(super) fn is_live(&self, inc: Incarnation, now_ms: u64, timers: &Timers) -> bool {
        self.live_until(timers)
            .is_some_and(|until_ms| now_ms < until_ms)
            && self.peer() == Some(inc)
            && !self.is_leaving()
    }

    /// Until when the connected process counts as heard without a further word of it.
    pub(super) fn live_until(&self, timers: &Timers) -> Option<u64> {
        let peer = self.peer.as_ref()?;
        Some(peer.heard_ms + 2 * timers.beat_ms)
    }

    /// Whether the connected process is about to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.leaves)
    }

    /// When the holder of this term was last heard.
    pub(super) fn holder_heard_ms(&self, term: Term) -> Option<u64> {
        self.holder
            .filter(|heard| heard.term == term)
            .map(|heard| heard.at_ms)
    }

    /// What a standby may read ahead of this term, if that is more than before.
    pub(super) fn more_to_read(&mut self, term: Term) -> Option<u64> {
        let heard = self.holder.filter(|heard| heard.term == term)?;
        let next = Some((term, heard.head));
        (heard.head > 0 && std::mem::replace(&mut self.read_ahead, next) != next)
            .then_some(heard.head)
    }

    /// What there was to read ahead of this term has been read.
    pub(super) fn caught_up(&mut self, term: Term) {
        self.caught_up = Some(term);
    }

    /// Whether this side still reads for the first time what there is of this term.
    pub(super) fn is_reading(&self, term: Term) -> bool {
        self.caught_up != Some(term) && self.read_ahead.is_some_and(|(of, _)| of == term)
    }

    /// Since when the connected standby says that it does so.
    pub(super) fn follower_reads_ms(&self, term: Term) -> Option<u64> {
        let beat = self.beat()?;
        let reads = beat.term == Some(term) && beat.reading;
        self.peer.as_ref()?.reads_since_ms.filter(|_| reads)
    }

    /// Whether the connected process says, as its last word, that it serves this term.
    pub(super) fn is_served(&self, term: Term) -> bool {
        self.peer() == Some(term.inc)
            && self
                .holder
                .is_some_and(|heard| heard.term == term && heard.serves)
    }

    /// When any holder was last heard.
    pub(super) fn any_holder_heard_ms(&self) -> Option<u64> {
        self.holder.map(|heard| heard.at_ms)
    }

    /// The last holder heard: its term, and how much of its log it said was on disk.
    pub(super) fn holder_head(&self) -> Option<(Term, u64)> {
        self.holder.map(|heard| (heard.term, heard.head))
    }

    /// Since when a term is over by its own holder's word.
    pub(super) fn resigned_ms(&self, of: Term) -> Option<u64> {
        self.resigned
            .filter(|(term, _)| *term == of)
            .map(|(_, since_ms)| since_ms)
    }

    /// Answers an open question for a promise, if it is the holder of this record that asks.
    pub(super) fn grant(
        &mut self,
        record: &Record,
        grantor: Incarnation,
        now_ms: u64,
        promise_ms: u64,
    ) -> Option<(Incarnation, Grant)> {
        let (peer, term, asked_ms) = self.asked?;
        if record.term() != Some(term) || peer != term.inc {
            return None;
        }
        self.asked = None;
        self.grant_end_ms = self.grant_end_ms.max(now_ms + promise_ms);
        let grant = Grant {
            asked_ms,
            term,
            grantor,
            promise_ms,
        };
        Some((peer, grant))
    }

    /// The end of every promise this process ever gave.
    pub(super) fn grant_end_ms(&self) -> u64 {
        self.grant_end_ms
    }

    /// Whether a beat is due, or else when.
    pub(super) fn poll_beat(&mut self, now_ms: u64, timers: &Timers) -> Result<Incarnation, u64> {
        let Some(peer) = self.peer() else {
            return Err(u64::MAX);
        };
        if self.next_beat_ms > now_ms {
            return Err(self.next_beat_ms);
        }
        self.next_beat_ms = now_ms + timers.beat_ms;
        self.sent += 1;
        Ok(peer)
    }

    /// Something changed that the other side should know at once.
    pub(super) fn beat_soon(&mut self) {
        self.next_beat_ms = 0;
    }

    /// Number of the last beat sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// What the next beat echoes.
    pub(super) fn echo(&self) -> u64 {
        let beat = self.peer.as_ref().and_then(|peer| peer.beat.as_ref());
        beat.map_or(0, |beat| beat.n)
    }

    /// What the connected standby, if it follows this term, has seen of its lock.
    pub(super) fn locks_seen_by_follower(&self, term: Term) -> Option<Locks> {
        self.word_of_follower(term).and_then(|beat| beat.locks)
    }

    /// The `serial` of the newest record of this term that its connected standby knows.
    pub(super) fn serial_seen_by_follower(&self, term: Term) -> u64 {
        self.word_of_follower(term)
            .map_or(0, |beat| beat.record_serial)
    }

    fn word_of_follower(&self, term: Term) -> Option<&Beat> {
        self.beat()
            .filter(|beat| beat.term == Some(term) && !beat.role.holds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Holder, Mode, Side};

    const OWN: Incarnation = Incarnation([2; 16]);

    fn term(holder: u8) -> Term {
        let inc = Incarnation([holder; 16]);
        Term { epoch: 5, inc }
    }

    /// A record of that term.
    fn record(term: Term) -> Record {
        let holder = Holder {
            side: Side::Primary,
            inc: term.inc,
            pod: None,
            boot: None,
        };
        Record {
            epoch: term.epoch,
            holder: Some(holder),
            ..Record::first("node", Mode::SharedStore)
        }
    }

    /// What was heard of process 1, which says that it serves that term and asks for a promise.
    fn asked_by_one(of: Term) -> Contact {
        let peer = Incarnation([1; 16]);
        let mut contact = Contact::default();
        contact.up(peer, 1_000, 0);
        let beat = Beat {
            n: 1,
            echo: 0,
            role: Role::Serving,
            term: Some(of),
            ask_ms: Some(77),
            head: 0,
            record_version: 1,
            record_serial: 1,
            locks: None,
            reading: false,
        };
        contact.took_beat(beat, 1_000);
        contact
    }

    #[test]
    fn the_recorded_holder_is_promised_once_for_each_question() {
        let mut contact = asked_by_one(term(1));
        let granted = contact.grant(&record(term(1)), OWN, 1_100, 2_000);
        let (peer, grant) = granted.unwrap();
        assert_eq!(peer, Incarnation([1; 16]));
        assert_eq!(
            (grant.asked_ms, grant.grantor, grant.term),
            (77, OWN, term(1))
        );
        assert_eq!(contact.grant_end_ms(), 3_100, "counted from the answer");
        assert_eq!(contact.grant(&record(term(1)), OWN, 1_200, 2_000), None);
    }

    #[test]
    fn nobody_but_the_recorded_holder_is_promised_anything() {
        // The record names another; the question may be answered once it names this one.
        let mut contact = asked_by_one(term(1));
        assert_eq!(contact.grant(&record(term(9)), OWN, 1_100, 2_000), None);
        assert_eq!(contact.grant_end_ms(), 0, "nothing was promised");
        assert!(contact.grant(&record(term(1)), OWN, 1_200, 2_000).is_some());
        // A process that speaks for the term of another.
        let mut contact = asked_by_one(term(9));
        assert_eq!(contact.grant(&record(term(9)), OWN, 1_100, 2_000), None);
    }

    #[test]
    fn a_shorter_promise_does_not_end_an_earlier_one() {
        let mut contact = asked_by_one(term(1));
        assert!(contact.grant(&record(term(1)), OWN, 1_100, 2_000).is_some());
        contact.asked = Some((Incarnation([1; 16]), term(1), 78));
        assert!(contact.grant(&record(term(1)), OWN, 1_200, 500).is_some());
        assert_eq!(contact.grant_end_ms(), 3_100);
    }
}
