//! A watch of the Lease: a hint to read it, and never more (A6).

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use kube::api::{WatchEvent, WatchParams};

use super::{LeaseArbiter, version_of};

/// How long one watch lasts, in seconds: load balancers drop connections that are silent for 240 s.
const LASTS_SECS: u32 = 200;
/// After this a watch is given up that says nothing, not even its end.
const GIVEN_UP: Duration = Duration::from_secs(210);
/// First pause before a watch is begun again; doubles while it fails.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl LeaseArbiter {
    /// Calls `hint` whenever the Lease may have changed, and when that is not known any more. Never ends.
    ///
    /// Each watch begins with the present state, so what happens between two of them is noticed.
    pub async fn watch(&self, mut hint: impl FnMut()) {
        let mut pause = PAUSE;
        loop {
            let begun = tokio::time::Instant::now();
            let watched = tokio::time::timeout(GIVEN_UP, self.watch_once(&mut hint)).await;
            let broke = !matches!(watched, Ok(Ok(())));
            if broke {
                // The API server may be away: only a read tells.
                hint();
            }
            pause = if begun.elapsed() > LONGEST_PAUSE {
                PAUSE
            } else {
                (pause * 2).min(LONGEST_PAUSE)
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn watch_once(&self, hint: &mut impl FnMut()) -> kube::Result<()> {
        let params = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(LASTS_SECS)
            .disable_bookmarks();
        let stream = self.api.watch(&params, "").await?;
        let mut stream = pin!(stream);
        while let Some(event) = stream.try_next().await? {
            match event {
                WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                    let known = self.seen().and_then(|seen| version_of(&seen).ok());
                    if known.is_none() || version_of(&lease).ok() != known {
                        hint();
                    }
                }
                WatchEvent::Deleted(_) | WatchEvent::Error(_) => hint(),
                WatchEvent::Bookmark(_) => {}
            }
        }
        Ok(())
    }
}
