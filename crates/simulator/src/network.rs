//! The link between the two sides' newest processes, and its adapter on each side.
//!
//! A connection is made when both processes run and the network lets both directions through. Its
//! end is noticed at once when a process dies and its kernel can say so, else after silence. Messages
//! arrive in order or not at all, or, in a harsh world, twice, late and after their sender's death.
//! What is sent to a frozen process waits for it: at most as many beats as fit into a freeze.

use pair::{Incarnation, Input, Message};

use crate::process::{Attachment, SIDES};
use crate::replicated::Data;
use crate::world::{Event, World};

/// The connections made so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    connections: u32,
    /// A dial is under way.
    dialling: bool,
}

/// The first dial after something changed, where nothing is left to luck.
const DIAL_MS: u64 = 10;

impl World {
    /// The sides dial each other, within a beat.
    pub(crate) fn dial_soon(&mut self) {
        if !std::mem::replace(&mut self.link.dialling, true) {
            let in_ms = if self.chance.is_some() {
                self.chance.below(self.timers.beat_ms)
            } else {
                DIAL_MS
            };
            self.at(self.now_ms + in_ms, Event::Dial);
        }
    }

    pub(crate) fn dial(&mut self) {
        self.link.dialling = false;
        let [Some(primary), Some(backup)] = self.newest else {
            // The next start dials.
            return;
        };
        let connected = |one: u8, other: u8| {
            let link = self.peek(one).link;
            link.filter(|it| it.peer == other).map(|it| it.connection)
        };
        let connection = connected(primary, backup);
        if connection.is_some() && connection == connected(backup, primary) {
            return;
        }
        let frozen = [primary, backup].map(|id| self.peek(id).is_frozen(self.now_ms));
        if frozen != [false; 2] || !self.hears(primary, backup) || !self.hears(backup, primary) {
            self.link.dialling = true;
            let in_ms = self.timers.beat_ms;
            return self.at(self.now_ms + in_ms, Event::Dial);
        }
        self.link.connections += 1;
        let connection = self.link.connections;
        self.log(|| format!("link    connects p{primary} and p{backup}"));
        for (id, peer) in [(primary, backup), (backup, primary)] {
            let at_ms = self.now_ms + self.chance.latency_ms();
            let up = Event::LinkUp {
                id,
                peer,
                connection,
            };
            self.at(at_ms, up);
        }
    }

    /// Whether what that one says now arrives at this one.
    fn hears(&self, id: u8, speaker: u8) -> bool {
        let here = self.places[self.peek(id).place];
        let there = self.places[self.peek(speaker).place];
        here.hears_cut_ms.max(there.says_cut_ms) <= self.now_ms
    }

    pub(crate) fn link_up(&mut self, id: u8, peer: u8, connection: u32) {
        if let Some(old) = self.peek(id).link {
            if old.connection > connection {
                return;
            }
            self.close(id, old);
        }
        let now_ms = self.now_ms;
        self.process(id).link = Some(Attachment {
            connection,
            peer,
            since_ms: now_ms,
            heard_ms: now_ms,
            sent_until_ms: now_ms,
            data_until_ms: now_ms,
        });
        let lost_after_ms = self.timers.lost_after_ms;
        self.at(now_ms + lost_after_ms, Event::Silence { id, connection });
        let inc = Incarnation([peer; 16]);
        self.learn(id, Input::LinkUp { peer: inc });
    }

    pub(crate) fn link_down(&mut self, id: u8, connection: u32) {
        if let Some(link) = self.peek(id).link
            && link.connection == connection
        {
            self.close(id, link);
        }
    }

    /// Closes this end; the other end is told, if that can reach it.
    fn close(&mut self, id: u8, link: Attachment) {
        let side = self.peek(id).side;
        self.log(|| format!("{side:<7} has lost the link to p{}", link.peer));
        self.process(id).link = None;
        self.tell_of_the_end(id, link);
        self.dial_soon();
        let peer = Incarnation([link.peer; 16]);
        self.learn(id, Input::LinkDown { peer });
        self.dial_the_dead(id, link.peer);
    }

    fn tell_of_the_end(&mut self, id: u8, link: Attachment) {
        if self.hears(link.peer, id) {
            let at_ms = self.now_ms + self.chance.latency_ms();
            let connection = link.connection;
            let down = Event::LinkDown {
                id: link.peer,
                connection,
            };
            self.at(at_ms, down);
        }
    }

    /// The kernel of an ended process closes its connections.
    pub(crate) fn hang_up(&mut self, id: u8) {
        if let Some(link) = self.process(id).link.take() {
            self.tell_of_the_end(id, link);
        }
    }

    /// Closes a connection on which nothing was heard for too long.
    pub(crate) fn listen(&mut self, id: u8, connection: u32) {
        let Some(link) = self.peek(id).link else {
            return;
        };
        if link.connection != connection {
            return;
        }
        let due_ms = link.heard_ms + self.timers.lost_after_ms;
        if due_ms > self.now_ms {
            return self.at(due_ms, Event::Silence { id, connection });
        }
        self.close(id, link);
    }

    pub(crate) fn send(&mut self, id: u8, to: u8, message: Message) {
        let now_ms = self.now_ms;
        let Some(link) = self.peek(id).link.filter(|link| link.peer == to) else {
            return;
        };
        let mut at_ms = now_ms + self.chance.latency_ms();
        if !self.hears(to, id) {
            // TCP sends it again: it arrives when the cut ends, if the connection lives so long.
            let here = self.places[self.peek(id).place].says_cut_ms;
            let there = self.places[self.peek(to).place].hears_cut_ms;
            let healed_ms = here.max(there);
            if healed_ms > now_ms + self.timers.lost_after_ms || self.chance.percent(50) {
                return;
            }
            at_ms += healed_ms - now_ms;
        }
        if self.nature.harsh_link {
            if self.chance.percent(5) {
                return;
            }
            if self.chance.percent(5) {
                let later_ms = at_ms + self.chance.below(2_000);
                let message = Box::new(message.clone());
                let from = id;
                self.at(later_ms, Event::Message { from, to, message });
            }
        } else {
            at_ms = at_ms.max(link.sent_until_ms);
            if let Some(link) = &mut self.process(id).link {
                link.sent_until_ms = at_ms;
            }
        }
        let (from, message) = (id, Box::new(message));
        self.at(at_ms, Event::Message { from, to, message });
    }

    /// Sends entries: in their order, or not at all, and with them the connection ends.
    pub(crate) fn send_data(&mut self, id: u8, to: u8, data: Data) {
        let now_ms = self.now_ms;
        let Some(link) = self.peek(id).link.filter(|link| link.peer == to) else {
            return;
        };
        if !self.hears(to, id) {
            // It is sent again until the connection ends; what follows waits behind it.
            return self.link_down_later(id, link.connection);
        }
        let at_ms = (now_ms + self.chance.latency_ms()).max(link.data_until_ms);
        if let Some(link) = &mut self.process(id).link {
            link.data_until_ms = at_ms;
        }
        let (from, data) = (id, Box::new(data));
        self.at(at_ms, Event::Data { from, to, data });
    }

    fn link_down_later(&mut self, id: u8, connection: u32) {
        let at_ms = self.now_ms + self.timers.lost_after_ms;
        self.at(at_ms, Event::LinkDown { id, connection });
    }

    pub(crate) fn hear(&mut self, id: u8, from: u8, message: Message) {
        let (now_ms, harsh) = (self.now_ms, self.nature.harsh_link);
        match &mut self.process(id).link {
            Some(link) if link.peer == from => link.heard_ms = now_ms,
            // A closed connection delivers nothing, except in a harsh world.
            Some(_) | None if !harsh => return,
            Some(_) | None => {}
        }
        let peer = Incarnation([from; 16]);
        self.learn(id, Input::LinkMessage { peer, message });
    }

    /// Cuts what these sides' places say and hear, until then.
    pub(crate) fn cut_link(&mut self, says: [bool; 2], until_ms: u64) {
        for side in SIDES {
            let home = self.homes[crate::process::index(side)];
            if says[crate::process::index(side)] {
                self.places[home].says_cut_ms = until_ms;
            }
        }
    }
}
