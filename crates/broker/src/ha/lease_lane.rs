//! The arbiter's lane over a Lease: calls of the API server, and a watch that hints at changes.
//!
//! The files of the sides are on the store, which may hang; the record must be read all the same. So they are looked at
//! on a thread beside it, for a short time, and what was seen last stands until the next answer.

use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::Duration;

use arbiter::LeaseArbiter;
use pair::{Input, PeerInfo, RecordRead};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::lanes::{ArbiterJob, Sides, done};

/// How long a read of the record waits for what the other side left.
const SIDES_LIMIT: Duration = Duration::from_millis(100);

/// Starts the lane.
pub(super) fn start(
    arbiter: Arc<LeaseArbiter>,
    sides: Sides,
    answers: mpsc::UnboundedSender<Input>,
) -> mpsc::UnboundedSender<ArbiterJob> {
    let (jobs, inbox) = mpsc::unbounded_channel();
    let mut looker = Looker::start(sides);
    tokio::spawn(async move {
        let hints = answers.clone();
        let watch = arbiter.watch(|| {
            // The driver is gone when nobody listens; then so is the lane.
            let _ = hints.send(Input::RecordHint);
        });
        tokio::select! {
            () = work(&arbiter, &mut looker, inbox, answers) => {}
            () = watch => {}
        }
    });
    jobs
}

async fn work(
    arbiter: &LeaseArbiter,
    looker: &mut Looker,
    mut inbox: mpsc::UnboundedReceiver<ArbiterJob>,
    answers: mpsc::UnboundedSender<Input>,
) {
    while let Some(job) = inbox.recv().await {
        let input = match job {
            ArbiterJob::Read => {
                let (peer, found) = tokio::join!(looker.look(), read(arbiter));
                if answers.send(Input::PeerFile(peer)).is_err() {
                    return;
                }
                Input::RecordRead(found)
            }
            ArbiterJob::Cas(base, record) => Input::CasDone(done(arbiter.cas(base, &record).await)),
            ArbiterJob::Create(record) => Input::CasDone(done(arbiter.create(&record).await)),
        };
        if answers.send(input).is_err() {
            return;
        }
    }
}

async fn read(arbiter: &LeaseArbiter) -> RecordRead {
    match arbiter.read().await {
        Ok(Some(found)) => RecordRead::Found(Box::new(found)),
        Ok(None) => RecordRead::Missing,
        Err(error) => match error.newer_format() {
            Some(format) => RecordRead::NewerFormat { format },
            None => RecordRead::Failed(error.to_string()),
        },
    }
}

/// Looks at the files of the sides on a thread of its own, one look at a time.
struct Looker {
    ask: Option<blocking::Sender<oneshot::Sender<Option<PeerInfo>>>>,
    under_way: Option<oneshot::Receiver<Option<PeerInfo>>>,
    last: Option<PeerInfo>,
}

impl Looker {
    fn start(sides: Sides) -> Self {
        let (ask, asked) = blocking::channel::<oneshot::Sender<Option<PeerInfo>>>();
        let thread = std::thread::Builder::new()
            .name("sides".to_owned())
            .spawn(move || {
                let mut own_lock = None;
                for answer in asked {
                    // Who asked may not wait any more.
                    let _ = answer.send(sides.look(&mut own_lock));
                }
            });
        if let Err(error) = &thread {
            debug!("what the other side leaves is not seen: {error}");
        }
        Self {
            ask: thread.ok().map(|_| ask),
            under_way: None,
            last: None,
        }
    }

    async fn look(&mut self) -> Option<PeerInfo> {
        let waiting = match self.under_way.take() {
            Some(waiting) => Some(waiting),
            None => self.ask.as_ref().and_then(|ask| {
                let (answer, waiting) = oneshot::channel();
                ask.send(answer).ok().map(|()| waiting)
            }),
        };
        let mut waiting = waiting?;
        match tokio::time::timeout(SIDES_LIMIT, &mut waiting).await {
            Ok(Ok(peer)) => self.last = peer,
            Ok(Err(_)) => self.last = None,
            Err(_) => self.under_way = Some(waiting),
        }
        self.last.clone()
    }
}
