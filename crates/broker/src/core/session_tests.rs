//! Which answer a request gets, and with which correlation id.

use bytes::Bytes;
use core_protocol::message::{MessageBuilder, Value};
use core_protocol::packet::{
    SendTail, SessAddMetadata2, SessCommit, SessQueueQuery, SessSend, SessSendLarge,
};

use super::*;

fn session() -> Session {
    Session::new(SessionKey(7))
}

fn send(requires_response: bool, correlation: i64) -> Packet {
    let message = MessageBuilder::to("orders").build();
    let tail = SendTail {
        requires_response,
        correlation,
        sender_id: 1,
    };
    SessSend { message, tail }.into()
}

fn piece(body: &'static [u8], whole: Option<i64>, requires_response: bool) -> Packet {
    let tail = SendTail {
        requires_response,
        correlation: -9,
        sender_id: 1,
    };
    SessSendContinuation {
        body: Bytes::from_static(body),
        message_body_size: whole,
        tail,
    }
    .into()
}

#[expect(clippy::needless_pass_by_value, reason = "steps are used up")]
fn token(step: Step) -> u64 {
    let Step::Request { token, .. } = step else {
        panic!("no request: {step:?}")
    };
    token
}

fn answer(session: &mut Session, token: u64) -> Packet {
    let Answered::Packet(packet) = session.answer(token, Ok(Reply::Done)) else {
        panic!("no answer to {token}");
    };
    *packet
}

#[test]
fn a_send_is_answered_with_its_own_correlation() {
    let mut session = session();
    let sent = token(session.take(send(true, -5)));
    assert_eq!(answer(&mut session, sent), null_response(-5));
}

#[test]
fn what_carries_no_correlation_is_answered_with_minus_one() {
    let mut session = session();
    let stopped = token(session.take(Packet::SessStop));
    assert_eq!(answer(&mut session, stopped), null_response(-1));
    let committed = token(session.take(SessCommit { correlation: None }.into()));
    assert_eq!(answer(&mut session, committed), null_response(-1));
    let committed = token(
        session.take(
            SessCommit {
                correlation: Some(-3),
            }
            .into(),
        ),
    );
    assert_eq!(answer(&mut session, committed), null_response(-3));
}

#[test]
fn a_refusal_echoes_the_correlation() {
    let mut session = session();
    let sent = token(session.take(send(true, -5)));
    let error = EngineError {
        code: 105,
        message: "not you".into(),
    };
    let Answered::Packet(packet) = session.answer(sent, Err(error)) else {
        panic!("no answer")
    };
    assert_eq!(*packet, refusal(105, "not you".into(), -5));
}

#[test]
fn nobody_waits_for_what_wants_no_answer() {
    let mut session = session();
    assert_eq!(token(session.take(send(false, 0))), NO_REPLY);
    let quiet = SessAddMetadata2 {
        key: "jms-session".into(),
        data: String::new(),
        requires_confirmation: false,
    };
    assert_eq!(token(session.take(quiet.into())), NO_REPLY);
    assert!(matches!(
        session.answer(99, Ok(Reply::Done)),
        Answered::Nothing
    ));
}

#[test]
fn a_close_ends_the_channel_even_if_the_engine_knows_no_such_session() {
    let mut session = session();
    let closed = token(session.take(Packet::SessClose));
    let error = EngineError {
        code: 102,
        message: "closed".into(),
    };
    assert!(matches!(
        session.answer(closed, Err(error)),
        Answered::Closed
    ));
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_error_not_silence() {
    let mut session = session();
    let asked = token(
        session.take(
            SessQueueQuery {
                queue: "orders".into(),
            }
            .into(),
        ),
    );
    let packet = answer(&mut session, asked);
    assert!(matches!(packet, Packet::Exception(_)), "{packet:?}");
}

#[test]
fn xa_is_refused_not_ignored() {
    let mut session = session();
    let Step::Answer(Packet::SessXaResponse(answer)) = session.take(Packet::SessXaSuspend) else {
        panic!("no answer");
    };
    assert!(answer.error);
}

#[test]
fn pieces_become_one_message_with_its_size() {
    let mut session = session();
    let head = MessageBuilder::to("orders").build_head();
    assert!(matches!(
        session.take(SessSendLarge { head }.into()),
        Step::Nothing
    ));
    assert!(matches!(
        session.take(piece(b"first ", None, false)),
        Step::Nothing
    ));
    let Step::Request {
        token,
        command: Command::Send { message, .. },
    } = session.take(piece(b"second", Some(12), true))
    else {
        panic!("no send");
    };
    assert_eq!(&message.body()[..], b"first second");
    assert_eq!(message.property("_AMQ_LARGE_SIZE"), Some(Value::Long(12)));
    assert_eq!(answer(&mut session, token), null_response(-9));
}

#[test]
fn a_piece_without_its_beginning_is_refused() {
    let mut session = session();
    let Step::Answer(Packet::Exception(refused)) = session.take(piece(b"lost", Some(4), true))
    else {
        panic!("no refusal");
    };
    assert_eq!(refused.correlation, Some(-9));
}
