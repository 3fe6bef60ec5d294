//! Who may open a session.
//!
//! A password is checked with a slow hash on purpose, and clients open a session for every thread with the same
//! password: what was found right is remembered for a while, as a digest. Guessing is slow on purpose too: see
//! [`super::backoff`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use broker_config::{AuthError, Authenticator, Identity};
use ring::digest::{SHA256, digest};
use tokio::sync::Semaphore;
use tracing::info;

use super::backoff::Backoff;
use super::log_limit::LogLimit;

/// How long a right password is remembered; `security-invalidation-interval` of Artemis.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);
/// Entries remembered; `authentication-cache-size` of Artemis.
const REMEMBERED: usize = 1000;

/// Slow checks at the same time: whoever guesses gets no more of the machine than that.
const CHECKS_AT_ONCE: usize = 2;

/// What was found right, by its digest.
type Known = BTreeMap<Vec<u8>, (Instant, Identity)>;

/// Checks users and passwords.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    authenticator: Arc<Authenticator>,
    known: Arc<Mutex<Known>>,
    checks: Arc<Semaphore>,
    backoff: Arc<Mutex<Backoff>>,
    refusals: Arc<LogLimit>,
}

impl Auth {
    /// Checks against these users.
    pub(crate) fn new(authenticator: Authenticator) -> Self {
        Self {
            authenticator: Arc::new(authenticator),
            known: Arc::default(),
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            backoff: Arc::default(),
            refusals: Arc::default(),
        }
    }

    /// Who this is; the error's text may be shown to the client and does not say which part was wrong. A refusal
    /// takes longer with each one for the same remote address.
    pub(crate) async fn check(
        &self,
        remote: SocketAddr,
        user: Option<String>,
        password: Option<String>,
    ) -> Result<Identity, AuthError> {
        let checked = self.check_at_once(user, password).await;
        if let Err(error) = &checked {
            let now = Instant::now();
            let (count, delay) = self
                .backoff
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .failed(remote.ip(), now);
            if let Some(more) = self.refusals.admit(now) {
                info!(
                    %remote,
                    "AMQ222216: session refused: {error}; refusal {count} in a row for this address, answered after {} ms{more}",
                    delay.as_millis()
                );
            }
            tokio::time::sleep(delay).await;
        }
        checked
    }

    async fn check_at_once(
        &self,
        user: Option<String>,
        password: Option<String>,
    ) -> Result<Identity, AuthError> {
        let (Some(name), Some(secret)) = (&user, &password) else {
            return self
                .authenticator
                .authenticate(user.as_deref(), password.as_deref());
        };
        let key = digest(
            &SHA256,
            format!("{}\0{name}\0{secret}", name.len()).as_bytes(),
        );
        let key = key.as_ref().to_vec();
        if let Some(identity) = self.remembered(&key) {
            return Ok(identity);
        }
        // Never closed, so there is always a permit in the end.
        let permit = self.checks.acquire().await;
        let authenticator = Arc::clone(&self.authenticator);
        let checked = tokio::task::spawn_blocking(move || {
            authenticator.authenticate(user.as_deref(), password.as_deref())
        })
        .await;
        drop(permit);
        // Only a panic of the check ends it without an answer; that is no reason to let anyone in.
        let identity =
            checked.unwrap_or_else(|_| self.authenticator.authenticate(Some(""), None))?;
        self.remember(key, &identity);
        Ok(identity)
    }

    fn remembered(&self, key: &[u8]) -> Option<Identity> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(key)
            .filter(|(since, _)| since.elapsed() < REMEMBERED_FOR)
            .map(|(_, identity)| identity.clone())
    }

    fn remember(&self, key: Vec<u8>, identity: &Identity) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < REMEMBERED_FOR);
        if known.len() < REMEMBERED {
            known.insert(key, (Instant::now(), identity.clone()));
        }
    }
}
