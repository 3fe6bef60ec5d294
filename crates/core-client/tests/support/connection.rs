//! One client's connection as the scripted broker sees it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use core_protocol::packet::{
    CheckForFailoverReply, ClusterTopologyV2, ClusterTopologyV3, ClusterTopologyV4, Connector,
    CreateSession, CreateSessionResponse, DisconnectReason, DisconnectV3, Exception, Frame,
    NullResponse, Packet, ReattachSessionResponse, SessBindingQueryResponseV5, SessProducerCredits,
    SessProducerFailCredits, SessQueueQueryResponseV3, TopologyPair, encode_receive,
};
use core_protocol::{Message, PROTOCOL_VERSION, exception};

use super::store::{Queue, Stored};
use super::{Grants, Inner, Seen, Then};

/// Whether the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    GoesOn,
    Cut,
}

struct Session {
    auto_commit_sends: bool,
    auto_commit_acks: bool,
    started: bool,
    consumers: BTreeMap<i64, Consumer>,
    sent: Vec<Message>,
    acknowledged: Vec<(String, Stored)>,
}

struct Consumer {
    queue: String,
    credits: i64,
    delivered: VecDeque<Stored>,
}

pub(crate) struct Connection {
    number: u32,
    pub(crate) inner: Arc<Inner>,
    sessions: BTreeMap<i64, Session>,
    /// Requests for credits that are not answered yet.
    owed: Vec<(i64, SessProducerCredits)>,
}

impl Drop for Connection {
    /// What the client had not acknowledged goes back; its delivery counts.
    fn drop(&mut self) {
        for session in std::mem::take(&mut self.sessions).into_values() {
            self.end_session(session, 0);
        }
    }
}

impl Connection {
    pub(crate) fn new(number: u32, inner: Arc<Inner>) -> Self {
        Self {
            number,
            inner,
            sessions: BTreeMap::new(),
            owed: Vec::new(),
        }
    }

    pub(crate) fn handle(&mut self, frame: Frame, out: &mut BytesMut) -> Outcome {
        let Frame { channel, packet } = frame;
        let fault = self.inner.rules.lock().unwrap().strike(packet.name());
        let correlation = packet.correlation();
        let seen = Seen {
            connection: self.number,
            channel,
            packet: packet.clone(),
        };
        self.inner.seen.lock().unwrap().push(seen);
        match fault {
            Some(Then::Cut) => return Outcome::Cut,
            Some(Then::Ignore) => return Outcome::GoesOn,
            Some(Then::Refuse(code, text)) => {
                refuse(code, text, correlation).encode(channel, out);
                return Outcome::GoesOn;
            }
            Some(Then::Answer(bytes)) => {
                out.extend_from_slice(bytes);
                return Outcome::GoesOn;
            }
            Some(Then::SendAway) => {
                send_away().encode(0, out);
                return Outcome::Cut;
            }
            Some(Then::CutAfterwards) | None => {}
        }
        let answer = match channel {
            0 => self.handle_connection(packet),
            1 => Some(self.handle_lobby(packet)),
            _ => self.handle_session(channel, packet),
        };
        if fault.is_some() {
            return Outcome::Cut;
        }
        if let Some(answer) = answer {
            answer.encode(channel, out);
        }
        Outcome::GoesOn
    }

    /// Sends credits that are due and messages that consumers have credits for.
    pub(crate) fn deliver(&mut self, out: &mut BytesMut) {
        let grants = self.inner.rules.lock().unwrap().grants;
        for (channel, owed) in std::mem::take(&mut self.owed) {
            match grants {
                Grants::AtOnce => _ = Packet::from(owed).encode(channel, out),
                Grants::Later => self.owed.push((channel, owed)),
                Grants::Refused => {
                    let (credits, address) = (owed.credits, owed.address);
                    let refused = SessProducerFailCredits { credits, address };
                    Packet::from(refused).encode(channel, out);
                }
            }
        }
        let store = Arc::clone(&self.inner.store);
        for (channel, session) in self
            .sessions
            .iter_mut()
            .filter(|(_, session)| session.started)
        {
            for (id, consumer) in &mut session.consumers {
                while consumer.credits > 0
                    && let Some(stored) = store.take(&consumer.queue)
                {
                    let deliveries = stored.deliveries;
                    let message = &stored.message;
                    let bytes = encode_receive(*channel, message, stored.id, *id, deliveries, out);
                    consumer.credits -= i64::try_from(bytes).unwrap();
                    consumer.delivered.push_back(stored);
                }
            }
        }
    }

    fn handle_connection(&mut self, packet: Packet) -> Option<Packet> {
        let rules = self.inner.rules.lock().unwrap();
        if let Packet::Ping(ping) = packet {
            return rules.answer_pings.then(|| ping.into());
        }
        assert!(
            matches!(packet, Packet::SubscribeTopologyV2(_)),
            "{packet:?}"
        );
        let connector =
            |endpoint: &core_client::Endpoint| Connector::tcp("", &endpoint.host, endpoint.port);
        let (live, backup) = rules.connectors.clone().unzip();
        let pair = TopologyPair {
            primary: live.as_ref().map(connector),
            backup: backup.flatten().as_ref().map(connector),
            last: rules.topology_complete,
        };
        let topology = ClusterTopologyV2 {
            node_id: "0c0ffee0-0000-4000-8000-000000000001".to_owned(),
            event_id: rules.event_id,
            pair: Some(pair),
            backup_group: None,
        };
        let topology = ClusterTopologyV3 {
            topology,
            scale_down_group: None,
        };
        let server_version = PROTOCOL_VERSION;
        Some(Packet::from(ClusterTopologyV4 {
            topology,
            server_version,
        }))
    }

    fn handle_lobby(&mut self, packet: Packet) -> Packet {
        let mut rules = self.inner.rules.lock().unwrap();
        if let Packet::CheckForFailover(_) = packet {
            let ok = rules.not_ready == 0;
            rules.not_ready = rules.not_ready.saturating_sub(1);
            return CheckForFailoverReply { ok }.into();
        }
        if let Packet::ReattachSession(_) = packet {
            let (last_confirmed, reattached) = (-1, false);
            return Packet::from(ReattachSessionResponse {
                last_confirmed,
                reattached,
            });
        }
        let Packet::CreateSession(request) = packet else {
            panic!("{packet:?} on channel 1");
        };
        let CreateSession {
            channel, password, ..
        } = &request;
        let given = password.as_ref().map(core_protocol::Secret::expose);
        if rules.password.is_some() && rules.password != given {
            let text = "AMQ229031: Unable to validate user from 127.0.0.1";
            return refuse(exception::SECURITY, text, None);
        }
        drop(rules);
        let session = Session {
            auto_commit_sends: request.auto_commit_sends,
            auto_commit_acks: request.auto_commit_acks,
            started: false,
            consumers: BTreeMap::new(),
            sent: Vec::new(),
            acknowledged: Vec::new(),
        };
        self.sessions.insert(*channel, session);
        let server_version = PROTOCOL_VERSION;
        CreateSessionResponse { server_version }.into()
    }

    #[expect(
        clippy::too_many_lines,
        clippy::wildcard_enum_match_arm,
        reason = "one arm per packet that the client may send, and no others"
    )]
    fn handle_session(&mut self, channel: i64, packet: Packet) -> Option<Packet> {
        let store = Arc::clone(&self.inner.store);
        let session = self.sessions.get_mut(&channel)?;
        let done = |needed: bool| needed.then(|| NullResponse::to(None).into());
        match packet {
            Packet::SessQueueQuery(query) => Some(self.describe(&query.queue).into()),
            Packet::SessBindingQuery(query) => Some(self.describe_address(&query.address).into()),
            Packet::CreateAddress(create) => {
                let mut contents = store.contents.lock().unwrap();
                contents
                    .addresses
                    .insert(create.address, create.routing_types[0]);
                done(create.requires_response)
            }
            Packet::CreateQueueV2(create) => {
                let mut contents = store.contents.lock().unwrap();
                if contents.queues.contains_key(&create.queue.queue) {
                    return Some(refuse(exception::QUEUE_EXISTS, "AMQ229019: exists", None));
                }
                let queue = Queue {
                    address: create.queue.address.clone(),
                    auto_created: create.auto_created,
                    routing_type: create.routing_type,
                    ..Queue::default()
                };
                contents.queues.insert(create.queue.queue, queue);
                done(create.queue.requires_response)
            }
            Packet::SessCreateConsumer(create) => {
                if !store.has(&create.queue) {
                    let text = "AMQ229017: Queue does not exist";
                    return Some(refuse(exception::QUEUE_DOES_NOT_EXIST, text, None));
                }
                let consumer = Consumer {
                    queue: create.queue.clone(),
                    credits: 0,
                    delivered: VecDeque::new(),
                };
                session.consumers.insert(create.consumer_id, consumer);
                let mut contents = store.contents.lock().unwrap();
                contents.queues.get_mut(&create.queue).unwrap().consumers += 1;
                drop(contents);
                Some(self.describe(&create.queue).into())
            }
            Packet::SessFlowToken(token) => {
                if let Some(consumer) = session.consumers.get_mut(&token.consumer_id) {
                    consumer.credits += i64::from(token.credits);
                }
                None
            }
            Packet::SessStart => {
                session.started = true;
                None
            }
            Packet::SessStop => {
                session.started = false;
                done(true)
            }
            Packet::SessProducerRequestCredits(request) => {
                let (credits, address) = (request.credits, request.address);
                self.owed
                    .push((channel, SessProducerCredits { credits, address }));
                None
            }
            Packet::CreateProducer(_) | Packet::RemoveProducer(_) => None,
            Packet::SessSend(send) => {
                if session.auto_commit_sends {
                    store.add(&send.message);
                } else {
                    session.sent.push(send.message);
                }
                let correlation = Some(send.tail.correlation);
                send.tail
                    .requires_response
                    .then(|| NullResponse::to(correlation).into())
            }
            Packet::SessAcknowledge(ack) => {
                let answer = session.acknowledge(ack.consumer_id, ack.message_id, false);
                ack.requires_response.then_some(answer)
            }
            Packet::SessIndividualAcknowledge(ack) => {
                let answer = session.acknowledge(ack.consumer_id, ack.message_id, true);
                ack.requires_response.then_some(answer)
            }
            Packet::SessCommit(commit) => {
                session.acknowledged.clear();
                for message in std::mem::take(&mut session.sent) {
                    store.add(&message);
                }
                Some(NullResponse::to(commit.correlation).into())
            }
            Packet::SessRollback(_) => {
                session.sent.clear();
                for (queue, stored) in std::mem::take(&mut session.acknowledged) {
                    store.give_back(&queue, [stored]);
                }
                for consumer in session.consumers.values_mut() {
                    consumer.give_back(&store, 1);
                }
                done(true)
            }
            Packet::SessConsumerClose(close) => {
                if let Some(mut consumer) = session.consumers.remove(&close.consumer_id) {
                    consumer.give_back(&store, 1);
                }
                done(true)
            }
            Packet::SessClose => {
                let session = self.sessions.remove(&channel).unwrap();
                self.end_session(session, 1);
                done(true)
            }
            other => panic!("{other:?} on channel {channel}"),
        }
    }

    fn end_session(&self, session: Session, undelivered: i32) {
        let store = &self.inner.store;
        for (queue, stored) in session.acknowledged {
            store.give_back(&queue, [stored]);
        }
        for mut consumer in session.consumers.into_values() {
            consumer.give_back(store, undelivered);
        }
    }

    fn describe(&self, name: &str) -> SessQueueQueryResponseV3 {
        let contents = self.inner.store.contents.lock().unwrap();
        let found = contents.queues.get(name);
        SessQueueQueryResponseV3 {
            exists: found.is_some(),
            durable: true,
            temporary: false,
            consumer_count: found.map_or(0, |queue| queue.consumers),
            message_count: found.map_or(0, |queue| i64::try_from(queue.messages.len()).unwrap()),
            filter: None,
            address: Some(found.map_or(name, |queue| &queue.address).to_owned()),
            name: Some(name.to_owned()),
            auto_create_queues: self.inner.rules.lock().unwrap().auto_create,
            auto_created: found.is_some_and(|queue| queue.auto_created),
            purge_on_no_consumers: false,
            routing_type: found.map_or(0, |queue| queue.routing_type),
            max_consumers: -1,
            exclusive: Some(false),
            last_value: Some(false),
            default_consumer_window_size: Some(1024 * 1024),
            last_value_key: None,
            non_destructive: Some(false),
            consumers_before_dispatch: Some(0),
            delay_before_dispatch_ms: Some(-1),
            group_rebalance: Some(false),
            group_buckets: Some(-1),
            auto_delete: Some(false),
            auto_delete_delay_ms: Some(0),
            auto_delete_message_count: Some(0),
            group_first_key: None,
            ring_size: Some(-1),
            enabled: Some(true),
            group_rebalance_pause_dispatch: Some(false),
            configuration_managed: Some(false),
        }
    }

    fn describe_address(&self, address: &str) -> SessBindingQueryResponseV5 {
        let contents = self.inner.store.contents.lock().unwrap();
        let routing = contents.addresses.get(address);
        let auto_create = self.inner.rules.lock().unwrap().auto_create;
        SessBindingQueryResponseV5 {
            exists: routing.is_some(),
            queues: Vec::new(),
            auto_create_queues: auto_create,
            auto_create_addresses: auto_create,
            default_purge_on_no_consumers: false,
            default_max_consumers: -1,
            default_exclusive: None,
            default_last_value: None,
            default_last_value_key: None,
            default_non_destructive: None,
            default_consumers_before_dispatch: None,
            default_delay_before_dispatch_ms: None,
            supports_multicast: routing == Some(&0),
            supports_anycast: routing == Some(&1),
        }
    }
}

impl Session {
    fn acknowledge(&mut self, consumer_id: i64, message_id: i64, individual: bool) -> Packet {
        let unknown = || {
            refuse(
                exception::ILLEGAL_STATE,
                "AMQ229027: no such delivery",
                None,
            )
        };
        let Some(consumer) = self.consumers.get_mut(&consumer_id) else {
            return unknown();
        };
        let delivered = &mut consumer.delivered;
        let Some(index) = delivered.iter().position(|stored| stored.id == message_id) else {
            return unknown();
        };
        let first = if individual { index } else { 0 };
        for stored in delivered.drain(first..=index) {
            if !self.auto_commit_acks {
                self.acknowledged.push((consumer.queue.clone(), stored));
            }
        }
        NullResponse::to(None).into()
    }
}

impl Consumer {
    fn give_back(&mut self, store: &super::Store, undelivered: i32) {
        let messages = self.delivered.drain(..).map(|mut stored| {
            stored.deliveries -= undelivered;
            stored
        });
        store.give_back(&self.queue, messages.collect::<Vec<_>>());
    }
}

fn refuse(code: i32, text: &str, correlation: Option<i64>) -> Packet {
    let message = Some(text.to_owned());
    Packet::from(Exception {
        code,
        message,
        correlation,
    })
}

fn send_away() -> Packet {
    Packet::from(DisconnectV3 {
        node_id: None,
        reason: DisconnectReason::ScaleDown,
        target_node_id: None,
        target: None,
    })
}
