//! Sessions: the unit of order and of transactions; producers and consumers belong to one.

use std::sync::Arc;

use core_protocol::packet::{
    CreateAddress, CreateQueue, CreateQueueV2, QueueTail, SessBindingQueryResponseV5,
    SessQueueQueryResponseV3,
};

use crate::client::mismatched;
use crate::consumer::{Consumer, MAX_WINDOW_BYTES};
use crate::driver::command::{Action, Answer};
use crate::error::{CallError, QUEUE_EXISTS};
use crate::handles::SessionHandle;
use crate::options::SessionMode;
use crate::producer::Producer;
use crate::shared::Shared;

/// Longest name of an address or queue that is sent: what the broker's own names stay far below.
const MAX_NAME_BYTES: usize = 4096;

/// Which queues of an address get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Every queue: a topic.
    Multicast,
    /// One queue: a queue of the same name, usually.
    Anycast,
}

impl Routing {
    fn wire(self) -> i8 {
        match self {
            Self::Multicast => 0,
            Self::Anycast => 1,
        }
    }
}

/// What the broker says of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Whether it exists; the rest is meaningless otherwise.
    pub exists: bool,
    /// The address it is bound to.
    pub address: String,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Its selector.
    pub filter: Option<String>,
    /// How its address routes to it; `None` if the broker names a kind unknown here.
    pub routing: Option<Routing>,
    /// Messages in it, those being delivered included.
    pub message_count: i64,
    /// Consumers of all clients.
    pub consumer_count: i32,
}

/// A session with a broker. Cheap to clone; it is closed when the last clone, producer and
/// consumer of it is gone.
#[derive(Debug, Clone)]
pub struct Session {
    handle: Arc<SessionHandle>,
    mode: SessionMode,
}

impl Session {
    pub(crate) fn new(handle: SessionHandle, mode: SessionMode) -> Self {
        let handle = Arc::new(handle);
        Self { handle, mode }
    }

    /// The mode it was opened with.
    pub fn mode(&self) -> SessionMode {
        self.mode
    }

    /// Asks for the state of a queue.
    pub async fn queue_state(&self, queue: &str) -> Result<QueueState, CallError> {
        Ok(describe(queue, self.query_queue(queue).await?))
    }

    /// Makes sure that a durable queue exists on an address, creating both if they are missing
    /// and the broker creates on demand.
    pub async fn ensure_queue(
        &self,
        address: &str,
        queue: &str,
        routing: Routing,
    ) -> Result<QueueState, CallError> {
        check_name("address", address)?;
        let found = self.query_queue(queue).await?;
        if found.exists {
            return fitting(queue, address, routing, found);
        }
        let bindings = self.query_address(address).await?;
        if !bindings.auto_create_queues {
            return Err(CallError::BadArgument {
                what: "queue",
                value: queue.to_owned(),
                rule: "it does not exist, and the broker does not create queues on demand",
            });
        }
        let routed = match routing {
            Routing::Multicast => bindings.supports_multicast,
            Routing::Anycast => bindings.supports_anycast,
        };
        if !bindings.exists || !routed {
            self.create_address(address, routing, &bindings).await?;
        }
        let spec = NewQueue {
            address,
            queue,
            routing,
            filter: None,
            auto_created: true,
        };
        self.create_queue(&spec, &bindings).await?;
        fitting(queue, address, routing, self.query_queue(queue).await?)
    }

    /// Makes sure that an address exists with at least these routing types, whether or not the broker
    /// creates addresses on demand. What is made is not deleted on its own.
    pub async fn make_address(&self, address: &str, routings: &[Routing]) -> Result<(), CallError> {
        check_name("address", address)?;
        let found = self.query_address(address).await?;
        let routed = |routing: &Routing| match routing {
            Routing::Multicast => found.supports_multicast,
            Routing::Anycast => found.supports_anycast,
        };
        if found.exists && routings.iter().all(routed) {
            return Ok(());
        }
        // Creating one that exists adds to its types.
        let address = CreateAddress {
            address: address.to_owned(),
            routing_types: routings.iter().map(|routing| routing.wire()).collect(),
            requires_response: true,
            auto_created: false,
        };
        let channel = self.handle.channel;
        let call = self
            .shared()
            .call(Action::CreateAddress { channel, address });
        call.await.map(|_| ())
    }

    /// Makes sure that a durable queue exists, whether or not the broker creates queues on demand; one
    /// that exists keeps its filter. What is made is not deleted on its own.
    pub async fn make_queue(
        &self,
        address: &str,
        queue: &str,
        routing: Routing,
        filter: Option<&str>,
    ) -> Result<QueueState, CallError> {
        check_name("address", address)?;
        let found = self.query_queue(queue).await?;
        if found.exists {
            return fitting(queue, address, routing, found);
        }
        let bindings = self.query_address(address).await?;
        let spec = NewQueue {
            address,
            queue,
            routing,
            filter,
            auto_created: false,
        };
        self.create_queue(&spec, &bindings).await?;
        fitting(queue, address, routing, self.query_queue(queue).await?)
    }

    /// Makes a producer for an address.
    pub async fn producer(&self, address: &str) -> Result<Producer, CallError> {
        check_name("address", address)?;
        let (channel, address) = (self.handle.channel, address.to_owned());
        let answer = self
            .shared()
            .call(Action::OpenProducer { channel, address })
            .await?;
        let Answer::Producer(handle) = answer else {
            return Err(mismatched(&answer));
        };
        Ok(Producer::new(handle, Arc::clone(&self.handle)))
    }

    /// Makes a consumer of a queue, which is given up to `window_bytes` of messages in advance
    /// ([`crate::DEFAULT_WINDOW_BYTES`] suits most).
    pub async fn consumer(&self, queue: &str, window_bytes: u32) -> Result<Consumer, CallError> {
        self.open_consumer(queue, None, window_bytes).await
    }

    /// Like [`Self::consumer`], for the messages that a selector matches.
    pub async fn consumer_with_filter(
        &self,
        queue: &str,
        filter: &str,
        window_bytes: u32,
    ) -> Result<Consumer, CallError> {
        self.open_consumer(queue, Some(filter.to_owned()), window_bytes)
            .await
    }

    /// Makes the sends and acknowledgements of the transaction take effect.
    ///
    /// [`CallError::TransactionRolledBack`] means that none of them did, because the connection
    /// was lost in between; [`CallError::OutcomeUnknown`] that all or none of them did.
    pub async fn commit(&self) -> Result<(), CallError> {
        let channel = self.handle.channel;
        self.shared()
            .call(Action::Commit { channel })
            .await
            .map(|_| ())
    }

    /// Undoes the transaction; what was delivered since the last commit comes again.
    pub async fn rollback(&self) -> Result<(), CallError> {
        let channel = self.handle.channel;
        self.shared()
            .call(Action::Rollback { channel })
            .await
            .map(|_| ())
    }

    /// Closes the session at the broker, with its producers and consumers; open work is undone.
    pub async fn close(self) -> Result<(), CallError> {
        let channel = self.handle.channel;
        self.shared()
            .call(Action::CloseSession { channel })
            .await
            .map(|_| ())
    }

    async fn open_consumer(
        &self,
        queue: &str,
        filter: Option<String>,
        window_bytes: u32,
    ) -> Result<Consumer, CallError> {
        check_name("queue", queue)?;
        if window_bytes == 0 || window_bytes > MAX_WINDOW_BYTES {
            return Err(CallError::BadArgument {
                what: "window_bytes",
                value: window_bytes.to_string(),
                rule: "must be between 1 and 67108864 (64 MiB)",
            });
        }
        let action = Action::OpenConsumer {
            channel: self.handle.channel,
            queue: queue.to_owned(),
            filter,
            window_bytes,
        };
        let answer = self.shared().call(action).await?;
        let Answer::Consumer(handle) = answer else {
            return Err(mismatched(&answer));
        };
        Ok(Consumer::new(handle, Arc::clone(&self.handle)))
    }

    async fn query_queue(&self, queue: &str) -> Result<SessQueueQueryResponseV3, CallError> {
        check_name("queue", queue)?;
        let (channel, queue) = (self.handle.channel, queue.to_owned());
        let answer = self
            .shared()
            .call(Action::QueryQueue { channel, queue })
            .await?;
        let Answer::Queue(response) = answer else {
            return Err(mismatched(&answer));
        };
        Ok(*response)
    }

    async fn query_address(&self, name: &str) -> Result<SessBindingQueryResponseV5, CallError> {
        let (channel, address) = (self.handle.channel, name.to_owned());
        let answer = self
            .shared()
            .call(Action::QueryAddress { channel, address })
            .await?;
        let Answer::Address(response) = answer else {
            return Err(mismatched(&answer));
        };
        Ok(*response)
    }

    async fn create_address(
        &self,
        address: &str,
        routing: Routing,
        bindings: &SessBindingQueryResponseV5,
    ) -> Result<(), CallError> {
        if !bindings.auto_create_addresses {
            return Err(CallError::BadArgument {
                what: "address",
                value: address.to_owned(),
                rule: "it is missing or routes otherwise, and the broker does not create addresses \
                       on demand",
            });
        }
        let create = CreateAddress {
            address: address.to_owned(),
            routing_types: vec![routing.wire()],
            requires_response: true,
            auto_created: true,
        };
        let channel = self.handle.channel;
        let address = create;
        self.shared()
            .call(Action::CreateAddress { channel, address })
            .await
            .map(|_| ())
    }

    async fn create_queue(
        &self,
        spec: &NewQueue<'_>,
        bindings: &SessBindingQueryResponseV5,
    ) -> Result<(), CallError> {
        let create = CreateQueueV2 {
            queue: CreateQueue {
                address: spec.address.to_owned(),
                queue: spec.queue.to_owned(),
                filter: spec.filter.map(ToOwned::to_owned),
                durable: true,
                temporary: false,
                requires_response: true,
            },
            auto_created: spec.auto_created,
            routing_type: spec.routing.wire(),
            max_consumers: bindings.default_max_consumers,
            purge_on_no_consumers: bindings.default_purge_on_no_consumers,
            settings: QueueTail::default(),
        };
        let channel = self.handle.channel;
        let queue = Box::new(create);
        match self
            .shared()
            .call(Action::CreateQueue { channel, queue })
            .await
        {
            Ok(_) => Ok(()),
            // Another client was faster, which is as good.
            Err(CallError::Refused(refusal)) if refusal.code == QUEUE_EXISTS => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }
}

/// A durable queue to be made.
struct NewQueue<'a> {
    address: &'a str,
    queue: &'a str,
    routing: Routing,
    filter: Option<&'a str>,
    auto_created: bool,
}

fn check_name(what: &'static str, name: &str) -> Result<(), CallError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(CallError::BadArgument {
            what,
            value: format!("{} bytes long", name.len()),
            rule: "a name has 1 to 4096 bytes",
        });
    }
    Ok(())
}

fn describe(queue: &str, response: SessQueueQueryResponseV3) -> QueueState {
    QueueState {
        exists: response.exists,
        address: response.address.unwrap_or_else(|| queue.to_owned()),
        durable: response.durable,
        filter: response.filter.filter(|filter| !filter.is_empty()),
        routing: match response.routing_type {
            0 => Some(Routing::Multicast),
            1 => Some(Routing::Anycast),
            _ => None,
        },
        message_count: response.message_count,
        consumer_count: response.consumer_count,
    }
}

/// The queue's state, if it is the queue that was meant.
fn fitting(
    queue: &str,
    address: &str,
    routing: Routing,
    response: SessQueueQueryResponseV3,
) -> Result<QueueState, CallError> {
    let state = describe(queue, response);
    if state.address != address || state.routing != Some(routing) {
        return Err(CallError::BadArgument {
            what: "queue",
            value: format!("{queue} on {address}"),
            rule: "a queue of that name exists on another address or with another routing type",
        });
    }
    Ok(state)
}
