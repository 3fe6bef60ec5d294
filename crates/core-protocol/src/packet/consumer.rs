//! Consumers: created, fed with credits, acknowledging, closed; and their deliveries.

use bytes::Bytes;

use crate::message::{HeadBlock, Message, MessageBlock, MessageHead};
use crate::wire::codecs::{Bool, Int, Long, Optional, Raw, Simple};
use crate::wire::wire_struct;

wire_struct! {
    /// `SESS_CREATECONSUMER`.
    pub struct SessCreateConsumer {
        /// Chosen by the client, unique in its session.
        pub consumer_id: i64 as Long,
        /// The queue.
        pub queue: String as Simple,
        /// The selector that messages must match.
        pub filter: Option<String> as Optional<Simple>,
        /// Whether it only looks.
        pub browse_only: bool as Bool,
        /// Whether an answer is awaited: the state of the queue.
        pub requires_response: bool as Bool,
        /// Consumers with a higher priority are served first.
        pub priority: i32 as Int,
    }

    /// `SESS_CONSUMER_CLOSE`.
    pub struct SessConsumerClose {
        /// The consumer.
        pub consumer_id: i64 as Long,
    }

    /// `SESS_FLOWTOKEN`: the consumer can take more.
    pub struct SessFlowToken {
        /// The consumer.
        pub consumer_id: i64 as Long,
        /// Bytes to add; 0 sets them to none, -1 takes the limit away.
        pub credits: i32 as Int,
    }

    /// `SESS_FORCE_CONSUMER_DELIVERY`: deliver what is there, then a marker.
    pub struct SessForceConsumerDelivery {
        /// The consumer.
        pub consumer_id: i64 as Long,
        /// The number that the marker must carry.
        pub sequence: i64 as Long,
    }

    /// `SESS_ACKNOWLEDGE`: everything delivered to the consumer up to this message.
    pub struct SessAcknowledge {
        /// The consumer.
        pub consumer_id: i64 as Long,
        /// The message.
        pub message_id: i64 as Long,
        /// Whether an answer is awaited.
        pub requires_response: bool as Bool,
    }

    /// `SESS_INDIVIDUAL_ACKNOWLEDGE`: this message alone.
    pub struct SessIndividualAcknowledge {
        /// The consumer.
        pub consumer_id: i64 as Long,
        /// The message.
        pub message_id: i64 as Long,
        /// Whether an answer is awaited.
        pub requires_response: bool as Bool,
    }

    /// `SESS_EXPIRED`: the client found the message expired when its turn came.
    pub struct SessExpired {
        /// The consumer.
        pub consumer_id: i64 as Long,
        /// The message.
        pub message_id: i64 as Long,
    }

    /// `SESS_RECEIVE_MSG`: a message for a consumer. See [`crate::packet::encode_receive`] for the fast path.
    pub struct SessReceiveMessage {
        /// The message with the id that acknowledgements refer to.
        pub message: Message as MessageBlock,
        /// The consumer.
        pub consumer_id: i64 as Long,
        /// 1 at the first delivery; 0 for browsers.
        pub delivery_count: i32 as Int,
    }

    /// `SESS_RECEIVE_LARGE_MSG`: the start of a message whose body follows in pieces.
    pub struct SessReceiveLargeMessage {
        /// The consumer.
        pub consumer_id: i64 as Long,
        /// 1 at the first delivery; 0 for browsers.
        pub delivery_count: i32 as Int,
        /// Bytes of all pieces together.
        pub body_size: i64 as Long,
        /// Headers and properties.
        pub head: MessageHead as HeadBlock,
    }

    /// `SESS_RECEIVE_CONTINUATION`: a piece of a large message's body.
    pub struct SessReceiveContinuation {
        /// The piece; shares the memory of the frame it came in.
        pub body: Bytes as Raw,
        /// Whether more pieces follow.
        pub continues: bool as Bool,
        /// The consumer.
        pub consumer_id: i64 as Long,
    }

    /// `DISCONNECT_CONSUMER`: the queue went away.
    pub struct DisconnectConsumer {
        /// The consumer.
        pub consumer_id: i64 as Long,
    }

    /// `DISCONNECT_CONSUMER_KILL`: the consumer was too slow.
    pub struct DisconnectConsumerKill {
        /// The node.
        pub node_id: Option<String> as Optional<Simple>,
    }
}
