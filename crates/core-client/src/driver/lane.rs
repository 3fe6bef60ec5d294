//! Calls in flight on one channel, and which of them an answer belongs to.
//!
//! The broker answers the requests of a channel in order. Sends and commits carry a correlation
//! id; every other request is recognised by the kind of its answer and its place in the order.

use std::collections::VecDeque;

use core_protocol::packet::Packet;
use tokio::time::Instant;

use super::command::Reply;
use super::pending::{Expects, Purpose};

/// Calls in flight per channel. A caller with more concurrent sends than this does not wait for
/// answers at all; each costs a few hundred bytes here.
pub(crate) const MAX_IN_FLIGHT: usize = 16 * 1024;

/// One request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The packet's name, for errors.
    pub(crate) call: &'static str,
    pub(crate) expects: Expects,
    pub(crate) correlation: Option<i64>,
    pub(crate) deadline: Instant,
    pub(crate) purpose: Purpose,
    /// Absent when nobody waits, as for the close of a dropped handle.
    pub(crate) reply: Option<Reply>,
}

/// The calls of one channel in the order they were sent.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pending: VecDeque<Pending>,
    /// How many correlation ids were given out.
    correlations: i64,
}

impl Lane {
    /// The next correlation id: blocking calls count down from -2.
    pub(crate) fn next_correlation(&mut self) -> i64 {
        self.correlations += 1;
        -1 - self.correlations
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= MAX_IN_FLIGHT
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn push(&mut self, pending: Pending) {
        self.pending.push_back(pending);
    }

    /// Every call has the same time to live, so the oldest one's deadline is the nearest.
    pub(crate) fn front(&self) -> Option<&Pending> {
        self.pending.front()
    }

    /// Takes the call that this packet answers; `None` if it answers none.
    pub(crate) fn take_answered(&mut self, packet: &Packet) -> Option<Pending> {
        let index = if let Packet::NullResponse(answer) = packet {
            self.find_exact(answer.correlation)
        } else if let Packet::Exception(answer) = packet {
            self.find_refused(answer.correlation)
        } else {
            let kind = Expects::of(packet)?;
            self.pending.iter().position(|call| call.expects == kind)
        }?;
        self.pending.remove(index)
    }

    /// Takes all calls: the connection is lost.
    pub(crate) fn take_all(&mut self) -> VecDeque<Pending> {
        std::mem::take(&mut self.pending)
    }

    fn find_exact(&self, correlation: Option<i64>) -> Option<usize> {
        if correlation.is_some_and(|id| id != -1) {
            return self.find_correlated(correlation);
        }
        let uncorrelated =
            |call: &Pending| call.correlation.is_none() && call.expects == Expects::Null;
        self.pending.iter().position(uncorrelated)
    }

    /// An error may answer any call: its own, else one without a correlation id, else the oldest.
    fn find_refused(&self, correlation: Option<i64>) -> Option<usize> {
        let any = (!self.is_empty()).then_some(0);
        self.find_correlated(correlation)
            .or_else(|| {
                let uncorrelated = |call: &Pending| call.correlation.is_none();
                self.pending.iter().position(uncorrelated)
            })
            .or(any)
    }

    fn find_correlated(&self, correlation: Option<i64>) -> Option<usize> {
        let correlation = correlation.filter(|id| *id != -1)?;
        self.pending
            .iter()
            .position(|call| call.correlation == Some(correlation))
    }
}

#[cfg(test)]
mod tests {
    use core_protocol::packet::{CreateSessionResponse, Exception, NullResponse};

    use super::*;

    fn pending(call: &'static str, expects: Expects, correlation: Option<i64>) -> Pending {
        Pending {
            call,
            expects,
            correlation,
            deadline: Instant::now(),
            purpose: Purpose::Plain,
            reply: None,
        }
    }

    fn null(correlation: i64) -> Packet {
        let correlation = Some(correlation);
        Packet::NullResponse(NullResponse { correlation })
    }

    fn exception(correlation: Option<i64>) -> Packet {
        let message = None;
        Packet::Exception(Exception {
            code: 0,
            message,
            correlation,
        })
    }

    fn answered(lane: &mut Lane, packet: &Packet) -> Option<&'static str> {
        lane.take_answered(packet).map(|pending| pending.call)
    }

    #[test]
    fn correlation_ids_count_down_from_minus_two() {
        let mut lane = Lane::default();
        assert_eq!((lane.next_correlation(), lane.next_correlation()), (-2, -3));
    }

    #[test]
    fn answers_find_their_calls() {
        let mut lane = Lane::default();
        lane.push(pending("send 1", Expects::Null, Some(-2)));
        lane.push(pending("query", Expects::Queue, None));
        lane.push(pending("ack", Expects::Null, None));
        lane.push(pending("send 2", Expects::Null, Some(-3)));
        assert_eq!(answered(&mut lane, &null(-3)), Some("send 2"));
        assert_eq!(answered(&mut lane, &null(-1)), Some("ack"));
        assert_eq!(answered(&mut lane, &exception(None)), Some("query"));
        assert_eq!(answered(&mut lane, &exception(Some(-2))), Some("send 1"));
        assert!(lane.is_empty());
    }

    #[test]
    fn answers_to_nothing_are_nobodys() {
        let mut lane = Lane::default();
        assert_eq!(answered(&mut lane, &exception(None)), None);
        lane.push(pending("send", Expects::Null, Some(-2)));
        assert_eq!(answered(&mut lane, &null(-1)), None);
        assert_eq!(answered(&mut lane, &null(-9)), None);
        let session = Packet::CreateSessionResponse(CreateSessionResponse {
            server_version: 136,
        });
        assert_eq!(answered(&mut lane, &session), None);
        assert_eq!(answered(&mut lane, &exception(Some(-9))), Some("send"));
    }
}
