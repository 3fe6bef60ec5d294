//! One client session: its packets become requests to the engine, the engine's answers become packets.
//!
//! Pure translation. Which answer a request gets, and with which correlation id, is decided when the request is
//! taken, because the answer comes later and knows only the token.

use std::collections::BTreeMap;

use core_protocol::exception;
use core_protocol::packet::{
    Exception, NullResponse, Packet, SessSendContinuation, SessXaResponse,
};
use engine::{Command, EngineError, NO_REPLY, Reply, RoutingType, RoutingTypes, SessionKey};

use super::queues;
use super::upload::Upload;

/// The correlation id of an answer to a request that carries none; 0 would leave the client waiting.
const NO_CORRELATION: i64 = -1;
/// The X/Open code for "the resource manager cannot do that": this broker has no XA.
const XA_PROTOCOL_ERROR: i32 = -6;

/// What the client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// `NULL_RESPONSE` with this correlation id.
    Null { correlation: i64 },
    /// The state of a queue.
    Queue,
    /// The state of an address.
    Binding,
    /// `NULL_RESPONSE`, and the channel ends.
    Close,
}

/// What a packet of the client leads to.
#[derive(Debug)]
pub(crate) enum Step {
    /// A request for the engine, under this token.
    Request {
        /// [`NO_REPLY`] if the client does not wait.
        token: u64,
        /// What is asked.
        command: Command,
    },
    /// An answer that needs no engine.
    Answer(Packet),
    /// Nothing to do.
    Nothing,
}

/// What the engine's answer leads to.
#[derive(Debug)]
pub(crate) enum Answered {
    /// A packet for the client.
    Packet(Box<Packet>),
    /// The answer to the session's close: afterwards the channel is gone.
    Closed,
    /// The client waits for nothing.
    Nothing,
}

impl Answered {
    fn packet(packet: impl Into<Packet>) -> Self {
        Self::Packet(Box::new(packet.into()))
    }
}

/// The broker's side of one session.
#[derive(Debug)]
pub(crate) struct Session {
    key: SessionKey,
    next_token: u64,
    waiting: BTreeMap<u64, Answer>,
    upload: Option<Upload>,
}

impl Session {
    /// A session the engine knows by `key`.
    pub(crate) fn new(key: SessionKey) -> Self {
        Self {
            key,
            next_token: NO_REPLY,
            waiting: BTreeMap::new(),
            upload: None,
        }
    }

    /// The name by which the engine knows it.
    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// Translates one packet of the client.
    #[expect(clippy::too_many_lines, reason = "one arm per packet, each short")]
    pub(crate) fn take(&mut self, packet: Packet) -> Step {
        let null = Answer::Null {
            correlation: NO_CORRELATION,
        };
        match packet {
            Packet::CreateAddress(create) => {
                let command = Command::CreateAddress {
                    address: create.address,
                    routing_types: routing_types(&create.routing_types),
                    auto_created: create.auto_created,
                };
                self.request(command, create.requires_response.then_some(null))
            }
            Packet::CreateQueue(create) => {
                let answer = create.requires_response.then_some(null);
                self.request(queues::create(create), answer)
            }
            Packet::CreateQueueV2(create) => {
                let answer = create.queue.requires_response.then_some(null);
                self.request(queues::create_v2(create), answer)
            }
            Packet::CreateSharedQueue(create) => {
                let answer = create.requires_response.then_some(null);
                self.request(queues::create_shared(create), answer)
            }
            Packet::CreateSharedQueueV2(create) => {
                let answer = create.requires_response.then_some(null);
                self.request(queues::create_shared_v2(create), answer)
            }
            Packet::DeleteQueue(delete) => self.request(
                Command::DeleteQueue {
                    queue: delete.queue,
                },
                Some(null),
            ),
            Packet::SessQueueQuery(query) => self.request(
                Command::QueueQuery { queue: query.queue },
                Some(Answer::Queue),
            ),
            Packet::SessBindingQuery(query) => self.request(
                Command::BindingQuery {
                    address: query.address,
                },
                Some(Answer::Binding),
            ),
            Packet::SessCreateConsumer(create) => {
                let answer = create.requires_response.then_some(Answer::Queue);
                let command = Command::CreateConsumer(engine::CreateConsumer {
                    consumer: create.consumer_id,
                    queue: create.queue,
                    filter: create.filter,
                    browse_only: create.browse_only,
                    priority: create.priority,
                });
                self.request(command, answer)
            }
            Packet::SessConsumerClose(close) => self.request(
                Command::CloseConsumer {
                    consumer: close.consumer_id,
                },
                Some(null),
            ),
            Packet::SessFlowToken(token) => self.request(
                Command::Credits {
                    consumer: token.consumer_id,
                    credits: token.credits,
                },
                None,
            ),
            Packet::SessForceConsumerDelivery(force) => self.request(
                Command::ForceDelivery {
                    consumer: force.consumer_id,
                    sequence: force.sequence,
                },
                None,
            ),
            Packet::SessAcknowledge(acknowledge) => {
                let command = Command::Acknowledge {
                    consumer: acknowledge.consumer_id,
                    message_id: acknowledge.message_id,
                    individual: false,
                };
                self.request(command, acknowledge.requires_response.then_some(null))
            }
            Packet::SessIndividualAcknowledge(acknowledge) => {
                let command = Command::Acknowledge {
                    consumer: acknowledge.consumer_id,
                    message_id: acknowledge.message_id,
                    individual: true,
                };
                self.request(command, acknowledge.requires_response.then_some(null))
            }
            Packet::SessExpired(expired) => self.request(
                Command::Expired {
                    consumer: expired.consumer_id,
                    message_id: expired.message_id,
                },
                None,
            ),
            Packet::SessStart => self.request(Command::Start, None),
            Packet::SessStop => self.request(Command::Stop, Some(null)),
            Packet::SessClose => {
                self.request(Command::CloseSession { failed: false }, Some(Answer::Close))
            }
            Packet::SessCommit(commit) => {
                let correlation = commit.correlation.unwrap_or(NO_CORRELATION);
                self.request(Command::Commit, Some(Answer::Null { correlation }))
            }
            Packet::SessRollback(rollback) => self.request(
                Command::Rollback {
                    consider_last_delivered: rollback.consider_last_message_as_delivered,
                },
                Some(null),
            ),
            Packet::SessSend(send) => {
                let answer = send.tail.requires_response.then_some(Answer::Null {
                    correlation: send.tail.correlation,
                });
                self.request(
                    Command::Send {
                        message: send.message,
                        address: None,
                    },
                    answer,
                )
            }
            Packet::SessSendLarge(large) => {
                // A new large message discards an unfinished one.
                self.upload = Some(Upload::begin(large.head));
                Step::Nothing
            }
            Packet::SessSendContinuation(piece) => self.continue_upload(&piece),
            Packet::SessProducerRequestCredits(request) => self.request(
                Command::ProducerCredits {
                    address: request.address,
                    credits: request.credits,
                },
                None,
            ),
            Packet::SessAddMetadata(metadata) => {
                self.metadata(metadata.key, metadata.data, false, Some(null))
            }
            Packet::SessAddMetadata2(metadata) => {
                let answer = metadata.requires_confirmation.then_some(null);
                self.metadata(metadata.key, metadata.data, false, answer)
            }
            Packet::SessUniqueAddMetadata(metadata) => {
                self.metadata(metadata.key, metadata.data, true, Some(null))
            }
            Packet::SessXaStart(_)
            | Packet::SessXaEnd(_)
            | Packet::SessXaCommit(_)
            | Packet::SessXaPrepare(_)
            | Packet::SessXaRollback(_)
            | Packet::SessXaJoin(_)
            | Packet::SessXaSuspend
            | Packet::SessXaResume(_)
            | Packet::SessXaForget(_) => Step::Answer(no_xa()),
            Packet::SessXaInDoubtXids | Packet::SessXaSetTimeout(_) | Packet::SessXaGetTimeout => {
                Step::Answer(refusal(
                    exception::NOT_IMPLEMENTED,
                    "XA transactions are not served by this broker".to_owned(),
                    NO_CORRELATION,
                ))
            }
            // Producers are only names for metrics; a branch cannot be open where there is no XA.
            Packet::CreateProducer(_) | Packet::RemoveProducer(_) | Packet::SessXaFailed(_) => {
                Step::Nothing
            }
            // Packets that only brokers send, or that belong to another channel, are ignored as Artemis does.
            Packet::Ping(_)
            | Packet::Disconnect(_)
            | Packet::DisconnectConsumer(_)
            | Packet::DisconnectConsumerKill(_)
            | Packet::Exception(_)
            | Packet::NullResponse(_)
            | Packet::PacketsConfirmed(_)
            | Packet::CreateSession(_)
            | Packet::CreateSessionResponse(_)
            | Packet::ReattachSession(_)
            | Packet::ReattachSessionResponse(_)
            | Packet::SessXaResponse(_)
            | Packet::SessXaInDoubtXidsResponse(_)
            | Packet::SessXaSetTimeoutResponse(_)
            | Packet::SessXaGetTimeoutResponse(_)
            | Packet::SessReceiveMessage(_)
            | Packet::SessReceiveLargeMessage(_)
            | Packet::SessReceiveContinuation(_)
            | Packet::SessProducerCredits(_)
            | Packet::SessProducerFailCredits(_)
            | Packet::ClusterTopology(_)
            | Packet::SubscribeTopology(_)
            | Packet::SubscribeTopologyV2(_)
            | Packet::ClusterTopologyV2(_)
            | Packet::ClusterTopologyV3(_)
            | Packet::DisconnectV2(_)
            | Packet::CheckForFailover(_)
            | Packet::CheckForFailoverReply(_)
            | Packet::SessQueueQueryResponseV3(_)
            | Packet::ClusterTopologyV4(_)
            | Packet::CreateSessionV2(_)
            | Packet::DisconnectV3(_)
            | Packet::SessBindingQueryResponseV5(_) => Step::Nothing,
        }
    }

    /// Translates the engine's answer to the request with this token.
    pub(crate) fn answer(&mut self, token: u64, result: Result<Reply, EngineError>) -> Answered {
        let Some(answer) = self.waiting.remove(&token) else {
            return Answered::Nothing;
        };
        match (answer, result) {
            (Answer::Close, _) => Answered::Closed,
            (Answer::Null { correlation }, Err(error)) => {
                Answered::packet(refusal(error.code, error.message, correlation))
            }
            (Answer::Queue | Answer::Binding, Err(error)) => {
                Answered::packet(refusal(error.code, error.message, NO_CORRELATION))
            }
            (Answer::Queue, Ok(Reply::Queue(info))) => {
                Answered::packet(queues::queue_response(*info))
            }
            (Answer::Binding, Ok(Reply::Binding(info))) => {
                Answered::packet(queues::binding_response(*info))
            }
            (Answer::Null { correlation }, Ok(_)) => Answered::packet(null_response(correlation)),
            (Answer::Queue | Answer::Binding, Ok(_)) => Answered::packet(refusal(
                exception::INTERNAL,
                "the engine's answer does not fit the question".to_owned(),
                NO_CORRELATION,
            )),
        }
    }

    fn request(&mut self, command: Command, answer: Option<Answer>) -> Step {
        let token = match answer {
            Some(answer) => {
                self.next_token += 1;
                self.waiting.insert(self.next_token, answer);
                self.next_token
            }
            None => NO_REPLY,
        };
        Step::Request { token, command }
    }

    fn metadata(
        &mut self,
        key: String,
        value: String,
        unique: bool,
        answer: Option<Answer>,
    ) -> Step {
        self.request(Command::AddMetadata { key, value, unique }, answer)
    }

    fn continue_upload(&mut self, piece: &SessSendContinuation) -> Step {
        let tail = piece.tail.clone();
        let answer = Answer::Null {
            correlation: tail.correlation,
        };
        let result = match self.upload.take() {
            None => Err("a piece of a large message came without its beginning".to_owned()),
            Some(upload) => upload.continue_with(piece),
        };
        match result {
            Ok(super::upload::Progress::Unfinished(upload)) => {
                self.upload = Some(upload);
                if tail.requires_response {
                    Step::Answer(null_response(tail.correlation))
                } else {
                    Step::Nothing
                }
            }
            Ok(super::upload::Progress::Whole(message)) => self.request(
                Command::Send {
                    message: *message,
                    address: None,
                },
                tail.requires_response.then_some(answer),
            ),
            Err(text) if tail.requires_response => Step::Answer(refusal(
                exception::LARGE_MESSAGE_BODY,
                text,
                tail.correlation,
            )),
            Err(text) => {
                tracing::debug!(session = %self.key, "{text}");
                Step::Nothing
            }
        }
    }
}

fn routing_types(codes: &[i8]) -> RoutingTypes {
    codes
        .iter()
        .filter_map(|code| RoutingType::from_code(*code))
        .map(RoutingTypes::only)
        .fold(RoutingTypes::default(), RoutingTypes::union)
}

fn null_response(correlation: i64) -> Packet {
    NullResponse {
        correlation: Some(correlation),
    }
    .into()
}

fn refusal(code: i32, message: String, correlation: i64) -> Packet {
    Exception {
        code,
        message: Some(message),
        correlation: Some(correlation),
    }
    .into()
}

fn no_xa() -> Packet {
    SessXaResponse {
        error: true,
        code: XA_PROTOCOL_ERROR,
        message: Some("XA transactions are not served by this broker".to_owned()),
        correlation: None,
    }
    .into()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
