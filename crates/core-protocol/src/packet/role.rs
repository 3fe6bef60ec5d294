//! Who asks and who answers: what a session channel may carry from a client, and what it gets back.

use super::Packet;

/// The part that a packet plays on a session's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A client asks for something.
    Request {
        /// Whether it gets exactly one answer; otherwise it must get none, not even on error.
        answered: bool,
    },
    /// The answer to a request.
    Answer,
    /// A broker tells something unasked: deliveries, credits, the end of a consumer.
    Push,
    /// Packets of other channels, and the confirmations themselves.
    Other,
}

impl Packet {
    /// What the packet is on a session's channel.
    pub fn role(&self) -> Role {
        let answered = match self {
            Self::CreateAddress(packet) => packet.requires_response,
            Self::CreateQueue(packet) => packet.requires_response,
            Self::CreateQueueV2(packet) => packet.queue.requires_response,
            Self::CreateSharedQueue(packet) => packet.requires_response,
            Self::CreateSharedQueueV2(packet) => packet.requires_response,
            Self::SessCreateConsumer(packet) => packet.requires_response,
            Self::SessAcknowledge(packet) => packet.requires_response,
            Self::SessIndividualAcknowledge(packet) => packet.requires_response,
            Self::SessSend(packet) => packet.tail.requires_response,
            Self::SessSendContinuation(packet) => packet.tail.requires_response,
            Self::SessAddMetadata2(packet) => packet.requires_confirmation,
            Self::SessUniqueAddMetadata(packet) => packet.requires_confirmation,
            Self::SessAddMetadata(_)
            | Self::DeleteQueue(_)
            | Self::SessQueueQuery(_)
            | Self::SessBindingQuery(_)
            | Self::SessConsumerClose(_)
            | Self::SessCommit(_)
            | Self::SessRollback(_)
            | Self::SessStop
            | Self::SessClose
            | Self::SessXaStart(_)
            | Self::SessXaEnd(_)
            | Self::SessXaCommit(_)
            | Self::SessXaPrepare(_)
            | Self::SessXaRollback(_)
            | Self::SessXaJoin(_)
            | Self::SessXaSuspend
            | Self::SessXaResume(_)
            | Self::SessXaForget(_)
            | Self::SessXaInDoubtXids
            | Self::SessXaSetTimeout(_)
            | Self::SessXaGetTimeout => true,
            Self::SessXaFailed(_)
            | Self::SessStart
            | Self::SessFlowToken(_)
            | Self::SessForceConsumerDelivery(_)
            | Self::SessExpired(_)
            | Self::SessSendLarge(_)
            | Self::SessProducerRequestCredits(_)
            | Self::CreateProducer(_)
            | Self::RemoveProducer(_) => false,
            Self::Exception(_)
            | Self::NullResponse(_)
            | Self::SessQueueQueryResponseV3(_)
            | Self::SessBindingQueryResponseV5(_)
            | Self::SessXaResponse(_)
            | Self::SessXaInDoubtXidsResponse(_)
            | Self::SessXaSetTimeoutResponse(_)
            | Self::SessXaGetTimeoutResponse(_) => return Role::Answer,
            Self::SessReceiveMessage(_)
            | Self::SessReceiveLargeMessage(_)
            | Self::SessReceiveContinuation(_)
            | Self::SessProducerCredits(_)
            | Self::SessProducerFailCredits(_)
            | Self::DisconnectConsumer(_)
            | Self::DisconnectConsumerKill(_) => return Role::Push,
            Self::Ping(_)
            | Self::Disconnect(_)
            | Self::DisconnectV2(_)
            | Self::DisconnectV3(_)
            | Self::PacketsConfirmed(_)
            | Self::CreateSession(_)
            | Self::CreateSessionV2(_)
            | Self::CreateSessionResponse(_)
            | Self::ReattachSession(_)
            | Self::ReattachSessionResponse(_)
            | Self::CheckForFailover(_)
            | Self::CheckForFailoverReply(_)
            | Self::SubscribeTopology(_)
            | Self::SubscribeTopologyV2(_)
            | Self::ClusterTopology(_)
            | Self::ClusterTopologyV2(_)
            | Self::ClusterTopologyV3(_)
            | Self::ClusterTopologyV4(_) => return Role::Other,
        };
        Role::Request { answered }
    }

    /// The correlation id that the answer to this request must repeat; -1 for requests without one.
    pub fn answer_correlation(&self) -> i64 {
        self.correlation().unwrap_or(-1)
    }

    /// The correlation id that this request carries.
    pub fn correlation(&self) -> Option<i64> {
        if let Self::SessSend(packet) = self {
            Some(packet.tail.correlation)
        } else if let Self::SessSendContinuation(packet) = self {
            Some(packet.tail.correlation)
        } else if let Self::SessCommit(packet) = self {
            packet.correlation
        } else {
            None
        }
    }

    /// Whether the receiver counts this packet of a session's channel for the confirmation window.
    pub fn is_counted(&self) -> bool {
        let unanswered = self.role() == Role::Request { answered: false };
        let is_metadata = matches!(
            self,
            Self::SessAddMetadata2(_) | Self::SessUniqueAddMetadata(_)
        );
        let excepted = matches!(self, Self::SessAddMetadata(_)) || (is_metadata && unanswered);
        self.role() != Role::Other && !excepted
    }
}
