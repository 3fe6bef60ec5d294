//! Makes a connection usable: handshake, topology, and everything the client had on the last one.
//!
//! One attempt at one endpoint either succeeds as a whole or leaves nothing behind: deliveries and
//! sends begin only when the driver takes the connection over, so a failed attempt loses none.

use std::sync::Mutex;
use std::time::Duration;

use core_protocol::PROTOCOL_VERSION;
use core_protocol::exception;
use core_protocol::packet::{
    CheckForFailover, CreateQueueV2, Packet, Ping, ReattachSession, SessCreateConsumer,
    SessQueueQueryResponseV3, SubscribeTopologyV2,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{AttemptError, LossReason};
use crate::identity::random_name;
use crate::lock;
use crate::options::{ClientOptions, Endpoint, SessionMode};
use crate::requests::{
    CONNECTION_CHANNEL, LOBBY_CHANNEL, create_session, member_update, recreate_queue, refusal,
    sent_away,
};
use crate::topology::Topology;
use crate::wire::Wire;

/// Pause before a session is asked for again at a broker that is just starting.
const STARTING_BROKER_PAUSE: Duration = Duration::from_millis(10);

/// The lastConfirmed of a session that confirms nothing.
const NOTHING_CONFIRMED: i32 = -1;

/// What must exist on the new connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// Node id of the lost broker, if it was known.
    pub(crate) node_id: Option<String>,
    pub(crate) sessions: Vec<SessionPlan>,
}

#[derive(Debug, Clone)]
pub(crate) struct SessionPlan {
    pub(crate) channel: i64,
    pub(crate) name: String,
    pub(crate) mode: SessionMode,
    pub(crate) consumers: Vec<ConsumerPlan>,
}

#[derive(Debug, Clone)]
pub(crate) struct ConsumerPlan {
    pub(crate) id: i64,
    pub(crate) queue: String,
    pub(crate) filter: Option<String>,
    pub(crate) described: SessQueueQueryResponseV3,
}

/// A usable connection.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) endpoint: Endpoint,
    pub(crate) wire: Wire,
    pub(crate) topology: Topology,
    /// The plan with the new session names and queue descriptions.
    pub(crate) sessions: Vec<SessionPlan>,
    /// Endpoints that were tried, this one included.
    pub(crate) attempts: u32,
}

/// No endpoint worked in the rounds that were allowed.
#[derive(Debug)]
pub(crate) struct GaveUp {
    pub(crate) rounds: u32,
    pub(crate) attempts: u32,
    /// The last round's failures, one per endpoint.
    pub(crate) failures: Vec<AttemptError>,
}

/// Tries the endpoints in turn, pausing between rounds, until one works or `max_rounds` are over.
/// `last_attempt` always shows the latest failure.
pub(crate) async fn establish(
    options: &ClientOptions,
    order: &[Endpoint],
    plan: &Plan,
    max_rounds: Option<u32>,
    last_attempt: &Mutex<Option<AttemptError>>,
) -> Result<Established, GaveUp> {
    let mut rounds: u32 = 0;
    let mut attempts: u32 = 0;
    loop {
        rounds = rounds.saturating_add(1);
        let mut failures = Vec::new();
        for endpoint in order {
            attempts = attempts.saturating_add(1);
            match attempt(options, endpoint, plan).await {
                Ok(mut established) => {
                    established.attempts = attempts;
                    return Ok(established);
                }
                Err(reason) => {
                    tracing::debug!(%endpoint, %reason, "attempt to connect failed");
                    let endpoint = endpoint.clone();
                    let failure = AttemptError { endpoint, reason };
                    *lock(last_attempt) = Some(failure.clone());
                    failures.push(failure);
                }
            }
        }
        if max_rounds.is_some_and(|max| rounds >= max) {
            return Err(GaveUp {
                rounds,
                attempts,
                failures,
            });
        }
        sleep(options.retry_interval()).await;
    }
}

async fn attempt(
    options: &ClientOptions,
    endpoint: &Endpoint,
    plan: &Plan,
) -> Result<Established, LossReason> {
    let wire = Wire::dial(endpoint, options).await?;
    let mut greeting = Greeting {
        options,
        // A frozen broker still accepts TCP; it must not hold the client back for a whole call
        // timeout while the other side takes over.
        patience_ms: options.connect_timeout_ms.min(options.call_timeout_ms),
        wire,
        topology: Topology::default(),
        topology_complete: false,
    };
    greeting.open(plan.node_id.as_deref()).await?;
    greeting.patience_ms = options.call_timeout_ms;
    let mut sessions = plan.sessions.clone();
    for session in &mut sessions {
        greeting.recreate_session(session).await?;
    }
    Ok(Established {
        endpoint: endpoint.clone(),
        wire: greeting.wire,
        topology: greeting.topology,
        sessions,
        attempts: 1,
    })
}

/// A connection on which one request at a time is answered.
struct Greeting<'a> {
    options: &'a ClientOptions,
    /// How long one answer may take.
    patience_ms: u64,
    wire: Wire,
    topology: Topology,
    topology_complete: bool,
}

impl Greeting<'_> {
    /// Handshake, ping, and the topology without which a client must not go on.
    async fn open(&mut self, lost_node: Option<&str>) -> Result<(), LossReason> {
        let ttl_ms = i64::try_from(self.options.connection_ttl_ms).unwrap_or(i64::MAX);
        self.wire.push(CONNECTION_CHANNEL, Ping { ttl_ms });
        if let Some(node_id) = lost_node {
            let node_id = Some(node_id.to_owned());
            self.wire.push(LOBBY_CHANNEL, CheckForFailover { node_id });
            let answer = self.answer(LOBBY_CHANNEL, "CHECK_FOR_FAILOVER").await?;
            let Packet::CheckForFailoverReply(reply) = answer else {
                return Err(unexpected("CHECK_FOR_FAILOVER", &answer));
            };
            if !reply.ok {
                return Err(LossReason::NotReady);
            }
        }
        let subscribe = SubscribeTopologyV2 {
            is_cluster_connection: false,
            client_version: PROTOCOL_VERSION,
        };
        self.wire.push(CONNECTION_CHANNEL, subscribe);
        let deadline = self.deadline();
        while !self.topology_complete {
            if let Some((channel, packet)) = self.packet("SUBSCRIBE_TOPOLOGY_V2", deadline).await? {
                tracing::debug!(
                    channel,
                    packet = packet.name(),
                    "unexpected before the topology"
                );
            }
        }
        Ok(())
    }

    /// The sequence of the reference client: reattach, which is refused since nothing was
    /// confirmed, then a new session on the same channel with the same consumers.
    async fn recreate_session(&mut self, session: &mut SessionPlan) -> Result<(), LossReason> {
        let reattach = ReattachSession {
            name: session.name.clone(),
            last_confirmed: NOTHING_CONFIRMED,
        };
        self.wire.push(LOBBY_CHANNEL, reattach);
        let answer = self.answer(LOBBY_CHANNEL, "REATTACH_SESSION").await?;
        let Packet::ReattachSessionResponse(response) = &answer else {
            return Err(unexpected("REATTACH_SESSION", &answer));
        };
        if response.reattached {
            // Going on with it would need what neither side has kept.
            let what = "a session that confirms nothing was reattached".to_owned();
            return Err(LossReason::NotCore { what });
        }
        session.name = random_name();
        self.create_session(session).await?;
        for consumer in &mut session.consumers {
            if let Some(queue) = recreate_queue(&consumer.queue, &consumer.described) {
                self.recreate_queue(session.channel, queue).await?;
            }
            self.recreate_consumer(session.channel, consumer).await?;
        }
        Ok(())
    }

    /// Asks until the broker has started, for as long as one call may take.
    async fn create_session(&mut self, session: &SessionPlan) -> Result<(), LossReason> {
        let deadline = self.deadline();
        loop {
            let request =
                create_session(self.options, &session.name, session.channel, session.mode);
            self.wire.push(LOBBY_CHANNEL, request);
            let answer = self.answer(LOBBY_CHANNEL, "CREATESESSION").await?;
            if let Packet::CreateSessionResponse(response) = &answer {
                return check_version(response.server_version);
            }
            let starting = matches!(
                &answer,
                Packet::Exception(refused) if refused.code == exception::SESSION_CREATION_REJECTED
            );
            if !starting || Instant::now() >= deadline {
                return Err(unexpected("CREATESESSION", &answer));
            }
            sleep(STARTING_BROKER_PAUSE).await;
        }
    }

    async fn recreate_queue(
        &mut self,
        channel: i64,
        queue: CreateQueueV2,
    ) -> Result<(), LossReason> {
        self.wire.push(channel, queue);
        let answer = self.answer(channel, "CREATE_QUEUE_V2").await?;
        let exists = matches!(
            &answer,
            Packet::Exception(refused) if refused.code == exception::QUEUE_EXISTS
        );
        if exists || matches!(answer, Packet::NullResponse(_)) {
            return Ok(());
        }
        Err(unexpected("CREATE_QUEUE_V2", &answer))
    }

    async fn recreate_consumer(
        &mut self,
        channel: i64,
        consumer: &mut ConsumerPlan,
    ) -> Result<(), LossReason> {
        let create = SessCreateConsumer {
            consumer_id: consumer.id,
            queue: consumer.queue.clone(),
            filter: consumer.filter.clone(),
            browse_only: false,
            requires_response: true,
            priority: 0,
        };
        self.wire.push(channel, create);
        let answer = self.answer(channel, "SESS_CREATECONSUMER").await?;
        let Packet::SessQueueQueryResponseV3(described) = answer else {
            return Err(unexpected("SESS_CREATECONSUMER", &answer));
        };
        consumer.described = described;
        Ok(())
    }

    /// The next packet on `channel`; nothing but the answer may come there before a session starts.
    async fn answer(&mut self, channel: i64, call: &'static str) -> Result<Packet, LossReason> {
        let deadline = self.deadline();
        loop {
            if let Some((from, packet)) = self.packet(call, deadline).await? {
                if from == channel {
                    return Ok(packet);
                }
                tracing::debug!(
                    from,
                    packet = packet.name(),
                    call,
                    "unexpected before the answer"
                );
            }
        }
    }

    /// The next packet that is not about the connection itself; `None` for one that is.
    async fn packet(
        &mut self,
        call: &'static str,
        deadline: Instant,
    ) -> Result<Option<(i64, Packet)>, LossReason> {
        let frame = loop {
            if let Some(frame) = self.wire.next_frame()? {
                break frame;
            }
            let Ok(progress) = timeout_at(deadline, self.wire.progress()).await else {
                let waited_ms = self.patience_ms;
                return Err(LossReason::CallTimeout { call, waited_ms });
            };
            progress?;
        };
        if frame.channel != CONNECTION_CHANNEL {
            return Ok(Some((frame.channel, frame.packet)));
        }
        if let Some((reason, _)) = sent_away(&frame.packet) {
            return Err(reason);
        }
        if let Packet::ClusterTopologyV4(packet) = &frame.packet {
            check_version(packet.server_version)?;
        }
        if let Some((update, last)) = member_update(&frame.packet) {
            self.topology.apply(update);
            self.topology_complete |= last;
        }
        Ok(None)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.patience_ms)
    }
}

/// A later broker still speaks what this client asked for; an earlier one cannot.
pub(crate) fn check_version(version: i32) -> Result<(), LossReason> {
    if version < PROTOCOL_VERSION {
        let needed = PROTOCOL_VERSION;
        return Err(LossReason::Version { version, needed });
    }
    Ok(())
}

fn unexpected(call: &'static str, packet: &Packet) -> LossReason {
    if let Packet::Exception(answer) = packet {
        return LossReason::Refused(refusal(call, answer));
    }
    LossReason::NotCore {
        what: format!("{call} was answered by {}", packet.name()),
    }
}
