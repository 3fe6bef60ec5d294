//! The client itself: connects, opens sessions, reports events; dropping it ends everything.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use crate::driver::command::{Action, Answer};
use crate::driver::{COMMANDS, Driver};
use crate::error::{CallError, ConnectError};
use crate::establish::{Plan, establish};
use crate::events::Events;
use crate::lock;
use crate::options::{ClientOptions, Endpoint, SessionMode};
use crate::session::Session;
use crate::shared::Shared;

/// One connection to a pair of brokers, which is made again after each loss.
///
/// Dropping it closes the connection at once and ends its task; calls of its sessions, producers
/// and consumers then fail with [`CallError::Closed`].
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    /// Dropped with the client; the driver ends when it is.
    _alive: oneshot::Sender<Infallible>,
}

impl Client {
    /// Connects to the first endpoint that works.
    ///
    /// Credentials are not checked here but with each session.
    pub async fn connect(options: ClientOptions) -> Result<Self, ConnectError> {
        options.validate()?;
        let rounds = Some(options.initial_connect_attempts);
        let last_attempt = Mutex::default();
        let plan = Plan::default();
        let dialling = establish(&options, &options.endpoints, &plan, rounds, &last_attempt);
        let established = match Box::pin(dialling).await {
            Ok(established) => established,
            Err(gave_up) => {
                return Err(ConnectError::Unreachable {
                    rounds: gave_up.rounds,
                    failures: gave_up.failures,
                });
            }
        };
        let (commands, queue) = mpsc::channel(COMMANDS);
        let (alive, ended) = oneshot::channel();
        let shared = Arc::new(Shared::new(options, commands));
        *lock(&shared.endpoint) = Some(established.endpoint.clone());
        let driver = Driver::new(Arc::clone(&shared), queue, ended);
        tokio::spawn(driver.run(established));
        Ok(Self {
            shared,
            _alive: alive,
        })
    }

    /// Opens a session. A wrong user or password is refused here.
    pub async fn session(&self, mode: SessionMode) -> Result<Session, CallError> {
        let answer = self.shared.call(Action::OpenSession { mode }).await?;
        let Answer::Session(handle) = answer else {
            return Err(mismatched(&answer));
        };
        Ok(Session::new(handle, mode))
    }

    /// Subscribes to changes of the connection from now on.
    pub fn events(&self) -> Events {
        Events::new(self.shared.events.subscribe())
    }

    /// The broker the client is connected to; `None` while it reconnects or is closed.
    pub fn endpoint(&self) -> Option<Endpoint> {
        lock(&self.shared.endpoint).clone()
    }

    /// Closes every session at the broker, then the connection.
    ///
    /// Without a connection there is nothing to close, and it ends at once.
    pub async fn close(self) -> Result<(), CallError> {
        match self.shared.call(Action::Shutdown).await {
            // Closed already is as closed as it gets.
            Ok(_) | Err(CallError::Closed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// An answer of the wrong kind: the lanes match kinds, so this tells of a defect of this crate.
pub(crate) fn mismatched(answer: &Answer) -> CallError {
    CallError::Closed {
        why: format!("internal error: unexpected {answer:?}"),
    }
}
