//! Turns the state machine's view into the status page.

use pair::{Incarnation, Role, Side, View};
use tokio::sync::watch;

use crate::http::{Holder, LastTransition, Link, PairStatus, Peer, Resync};

/// Writes the status page.
pub(crate) struct Reporter {
    side: Side,
    status: watch::Sender<PairStatus>,
    messages: watch::Receiver<Option<u64>>,
}

impl Reporter {
    /// A page for this run of `side`, on which the role is still open. `messages` is the number in all queues, which
    /// only a side that serves knows.
    pub(crate) fn new(
        side: Side,
        inc: Incarnation,
        messages: watch::Receiver<Option<u64>>,
    ) -> (Self, watch::Receiver<PairStatus>) {
        let (status, page) = watch::channel(PairStatus {
            side: side.to_string(),
            role: "starting".to_owned(),
            why: "starts".to_owned(),
            since_ms: crate::core::unix_ms(),
            pid: std::process::id(),
            inc: inc.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..PairStatus::default()
        });
        let reporter = Self {
            side,
            status,
            messages,
        };
        reporter.count_messages();
        (reporter, page)
    }

    /// The side it reports on.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Shows a new view; the page's number grows if anything changed.
    pub(crate) fn publish(&self, view: &View) {
        self.status.send_if_modified(|page| {
            let mut next = page_of(view, page, *self.messages.borrow());
            if next == *page {
                return false;
            }
            next.n += 1;
            *page = next;
            true
        });
    }

    /// Until when this side may say that it serves. No change of the page by itself.
    pub(crate) fn serves_until(&self, fresh_until_ms: u64) {
        self.status.send_if_modified(|page| {
            page.fresh_until_ms = fresh_until_ms;
            false
        });
    }

    /// Shows what the record names for this side.
    pub(crate) fn is_member(&self, member: String) {
        self.status.send_modify(|page| page.member = Some(member));
    }

    /// Shows how far a copy has come, from now on.
    pub(crate) fn show_resync(&self, mut progress: watch::Receiver<Option<Resync>>) {
        let status = self.status.clone();
        tokio::spawn(async move {
            while progress.changed().await.is_ok() {
                let resync = *progress.borrow_and_update();
                // Not a change of the pair, which the page's number stands for.
                status.send_if_modified(|page| {
                    page.resync = resync;
                    false
                });
            }
        });
    }

    fn count_messages(&self) {
        let (status, mut messages) = (self.status.clone(), self.messages.clone());
        tokio::spawn(async move {
            while messages.changed().await.is_ok() {
                let count = *messages.borrow_and_update();
                // Not a change of the pair, which the page's number stands for.
                status.send_if_modified(|page| {
                    page.messages = count.filter(|_| page.role == Role::Serving.to_string());
                    false
                });
            }
        });
    }
}

fn page_of(view: &View, before: &PairStatus, messages: Option<u64>) -> PairStatus {
    let role = view.role.to_string();
    PairStatus {
        n: before.n,
        side: view.side.to_string(),
        settled: view.settled,
        epoch: view.epoch,
        holder: view.holder.as_ref().map(|holder| Holder {
            side: holder.side.to_string(),
            inc: holder.inc.to_string(),
        }),
        in_sync: view
            .in_sync
            .iter()
            .map(|member| member.side.to_string())
            .collect(),
        since_ms: view.since_unix_ms,
        why: view.why.clone(),
        last: view.last.as_ref().map(|last| LastTransition {
            cause: last.cause.to_string(),
            at_ms: last.at,
            gap_ms: last.gap_ms,
            by: last.by.clone(),
        }),
        peer: view.peer.as_ref().map(|peer| Peer {
            connector: peer.connector.clone(),
        }),
        link: Link {
            connected: view.link.connected.is_some(),
            since_ms: view.link.since_unix_ms,
            trouble: view.link.trouble.clone(),
        },
        active_heard: view.active_heard,
        pid: before.pid,
        inc: before.inc.clone(),
        member: before.member.clone(),
        version: before.version.clone(),
        node_id: view.pair.clone().unwrap_or_default(),
        messages: messages.filter(|_| view.role == Role::Serving),
        resync: before.resync,
        fresh_until_ms: before.fresh_until_ms,
        role,
    }
}
