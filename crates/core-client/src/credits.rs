//! Producer credits: how many bytes an address still takes from a session.
//!
//! A producer takes the cost of each message before it sends it; when the balance runs low the
//! driver asks the broker for more. A broker whose address is full simply grants later, so waiting
//! here is what back pressure feels like. Nothing here touches the network.

use std::sync::Mutex;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::CallError;
use crate::lock;

/// What a request asks for at least: half of the usual window of 64 KiB.
pub(crate) const REQUEST_BYTES: i64 = 32 * 1024;

/// What is asked for at once on a new connection, where nothing is left of the old balance.
const RENEWED_BYTES: i64 = 64 * 1024;

/// The credits of one address in one session, shared by its producers and the driver.
#[derive(Debug)]
pub(crate) struct Credits {
    pub(crate) address: String,
    state: Mutex<State>,
    granted: Notify,
}

#[derive(Debug, Default)]
struct State {
    balance: i64,
    /// Asked for and not granted yet.
    outstanding: i64,
    /// To be asked for; the driver takes it.
    wanted: i64,
    /// The broker refused a request; the next producer to come hears of it.
    refused: bool,
    ended: Option<CallError>,
}

/// Why no credits were had.
#[derive(Debug)]
pub(crate) enum NoCredits {
    /// The broker said that the address is full.
    Refused,
    /// Nothing was granted in time.
    TimedOut,
    /// The session is gone.
    Ended(CallError),
}

impl Credits {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            state: Mutex::default(),
            granted: Notify::new(),
        }
    }

    /// Takes `cost` from the balance, waiting for the broker until `deadline`; `ring` is called
    /// when the driver has something to ask for.
    pub(crate) async fn take(
        &self,
        cost: i64,
        deadline: Instant,
        ring: impl Fn(),
    ) -> Result<(), NoCredits> {
        loop {
            let granted = self.granted.notified();
            tokio::pin!(granted);
            // Registered before the look at the balance, so that no grant falls between the two.
            granted.as_mut().enable();
            {
                let mut state = lock(&self.state);
                if let Some(error) = &state.ended {
                    return Err(NoCredits::Ended(error.clone()));
                }
                if std::mem::take(&mut state.refused) {
                    return Err(NoCredits::Refused);
                }
                if state.want(cost) {
                    ring();
                }
                if state.balance >= cost {
                    state.balance -= cost;
                    return Ok(());
                }
            }
            if timeout_at(deadline, granted).await.is_err() {
                return Err(NoCredits::TimedOut);
            }
        }
    }

    /// Sees to it that `cost` is asked for if it is not there or on its way.
    pub(crate) fn want(&self, cost: i64) {
        lock(&self.state).want(cost);
    }

    /// What to ask the broker for now, if anything. It counts as outstanding from here on.
    pub(crate) fn request(&self) -> Option<i32> {
        let mut state = lock(&self.state);
        let wanted = std::mem::take(&mut state.wanted);
        state.outstanding = state.outstanding.saturating_add(wanted);
        i32::try_from(wanted).ok().filter(|bytes| *bytes > 0)
    }

    /// A grant arrived.
    pub(crate) fn grant(&self, bytes: i32) {
        let bytes = i64::from(bytes.max(0));
        let mut state = lock(&self.state);
        state.balance = state.balance.saturating_add(bytes);
        state.outstanding = state.outstanding.saturating_sub(bytes).max(0);
        drop(state);
        self.granted.notify_waiters();
    }

    /// The broker refused a request because the address is full.
    pub(crate) fn refuse(&self, bytes: i32) {
        let mut state = lock(&self.state);
        let outstanding = state.outstanding.saturating_sub(i64::from(bytes.max(0)));
        state.outstanding = outstanding.max(0);
        state.refused = true;
        drop(state);
        self.granted.notify_waiters();
    }

    /// The connection is another one: the old balance is void. Returns what to ask for.
    pub(crate) fn renew(&self) -> i32 {
        let mut state = lock(&self.state);
        let bytes = state.wanted.max(state.outstanding).max(RENEWED_BYTES);
        *state = State {
            outstanding: bytes,
            ended: state.ended.take(),
            ..State::default()
        };
        i32::try_from(bytes).unwrap_or(i32::MAX)
    }

    /// The session is gone for good.
    pub(crate) fn end(&self, error: CallError) {
        lock(&self.state).ended.get_or_insert(error);
        self.granted.notify_waiters();
    }
}

impl State {
    /// Raises `wanted` to what `cost` needs; says whether the driver has something new to ask for.
    fn want(&mut self, cost: i64) -> bool {
        let target = cost.max(REQUEST_BYTES);
        let coming = self.balance + self.outstanding + self.wanted;
        if coming >= target {
            return false;
        }
        self.wanted += target - self.outstanding - self.wanted;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn asks_in_halves_of_the_window_and_waits_for_the_grant() {
        let credits = Credits::new("orders".to_owned());
        let result = credits.take(1000, soon(), || ()).await;
        assert!(matches!(result, Err(NoCredits::TimedOut)));
        assert_eq!(credits.request(), Some(32768));
        assert_eq!(credits.request(), None, "asked once");
        credits.grant(32768);
        credits.take(1000, soon(), || ()).await.unwrap();
        assert_eq!(credits.request(), None, "half a window was there");
        credits.take(1000, soon(), || ()).await.unwrap();
        assert_eq!(
            credits.request(),
            Some(32768),
            "less than half a window was there"
        );
    }

    #[tokio::test]
    async fn a_message_above_half_the_window_asks_for_its_size() {
        let credits = Credits::new("orders".to_owned());
        let result = credits.take(90_000, soon(), || ()).await;
        assert!(matches!(result, Err(NoCredits::TimedOut)));
        assert_eq!(credits.request(), Some(90_000));
        credits.grant(90_000);
        credits.take(90_000, soon(), || ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_waiting_producer_goes_on_when_the_grant_comes() {
        let credits = std::sync::Arc::new(Credits::new("orders".to_owned()));
        let waiting = std::sync::Arc::clone(&credits);
        let deadline = Instant::now() + Duration::from_secs(10);
        let task = tokio::spawn(async move { waiting.take(10, deadline, || ()).await.is_ok() });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        credits.grant(10);
        assert!(task.await.unwrap());
    }

    #[tokio::test]
    async fn a_refusal_fails_one_send_and_a_new_connection_voids_the_balance() {
        let credits = Credits::new("orders".to_owned());
        credits.grant(100_000);
        credits.refuse(32768);
        assert!(matches!(
            credits.take(1, soon(), || ()).await,
            Err(NoCredits::Refused)
        ));
        credits.take(1, soon(), || ()).await.unwrap();
        assert_eq!(credits.renew(), 65536);
        assert!(matches!(
            credits.take(1, soon(), || ()).await,
            Err(NoCredits::TimedOut)
        ));
    }
}
