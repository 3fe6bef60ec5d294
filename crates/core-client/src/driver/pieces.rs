//! Messages that travel in pieces: the head, then the body.

use core_protocol::Message;
use core_protocol::packet::{Packet, SendTail, SessSendContinuation, SessSendLarge};

use crate::producer::MAX_MESSAGE_BYTES;

use super::actions::Call;
use super::command::{Answer, Reply};
use super::pending::Expects;
use super::state::answer;
use super::{Driver, Link};

/// Says that the size of the body before compression is told elsewhere, or nowhere.
const SIZE_NOT_TOLD: i64 = -1;

impl Driver {
    /// All pieces leave together, so that none of another message comes between them, and none is
    /// left for another connection.
    pub(super) fn send_in_pieces(
        &mut self,
        link: &mut Link,
        channel: i64,
        producer_id: i32,
        message: &Message,
        reply: Reply,
    ) {
        let session = match self.session(channel) {
            Ok(session) => session,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        let transacted = !session.mode.auto_commit_sends();
        if transacted && let Err(error) = session.join_transaction() {
            return answer(Some(reply), Err(error));
        }
        let correlation = if transacted {
            0
        } else {
            session.lane.next_correlation()
        };
        let tail = |requires_response| SendTail {
            requires_response,
            correlation,
            sender_id: producer_id,
        };
        let head = message.head().clone();
        link.wire.push(channel, SessSendLarge { head });
        let body = message.body();
        let mut from = 0;
        while body.len() - from > MAX_MESSAGE_BYTES {
            let to = from + MAX_MESSAGE_BYTES;
            let piece = SessSendContinuation {
                body: body.slice(from..to),
                message_body_size: None,
                tail: tail(false),
            };
            link.wire.push(channel, piece);
            from = to;
        }
        let last = SessSendContinuation {
            body: body.slice(from..),
            message_body_size: Some(SIZE_NOT_TOLD),
            tail: tail(!transacted),
        };
        if transacted {
            link.wire.push(channel, last);
            return answer(Some(reply), Ok(Answer::Done));
        }
        let mut call = Call::plain("SESS_SEND_LARGE", Packet::from(last), Expects::Null);
        call.correlation = Some(correlation);
        self.call(link, channel, call, Some(reply));
    }
}
