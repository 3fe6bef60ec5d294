//! Which connection is the link: at most one, to one process of the other side.
//!
//! Everything about that is decided under one lock, and reported in the order in which it was decided.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use link_protocol::{
    Connection, End, Identity, Key, Local, Purpose, Reason, Refusal, Settings, VERSIONS, Why,
};
use pair::{Incarnation, Input, Message, Mode, Side};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::LinkParts;
use super::address::Address;
use super::data::{DataConnection, Door};
use super::repeats::Repeats;
use crate::core::Backoff;

/// Messages that the state machine has not taken yet; further ones are dropped. It takes them in microseconds, and
/// none means more than what was true when it was sent.
const MAX_UNTAKEN: usize = 64;
/// The longest wait before a wrong password is told, below the time that a handshake may take.
const MAX_REFUSAL_DELAY: Duration = Duration::from_secs(1);
/// How long after its loss a link is dialled again in quick succession.
const LOST_JUST_NOW: Duration = Duration::from_secs(1);

/// A report on its way to the state machine.
pub(super) struct Queued {
    pub(super) input: Input,
    /// Bounds the messages on the way; the rest is bounded by what causes it.
    _room: Option<OwnedSemaphorePermit>,
}

/// A connection that is up at both ends.
pub(super) struct Candidate {
    pub(super) peer: Identity,
    pub(super) end: End,
    pub(super) remote: String,
    /// Takes messages for the other process.
    pub(super) outbox: mpsc::Sender<Message>,
    /// When the other process was last heard.
    pub(super) heard_ms: Arc<AtomicU64>,
    /// Cancelled when another connection of the same process has taken its place: it goes on for a moment.
    pub(super) retired: CancellationToken,
    /// Cancelled when it is to end at once.
    pub(super) dropped: CancellationToken,
}

struct Current {
    number: u64,
    candidate: Candidate,
}

#[derive(Default)]
struct State {
    newest: u64,
    current: Option<Current>,
    last_address: Option<Address>,
    /// Whose link was lost last, where it listened, and when.
    lost: Option<(Incarnation, Address, Instant)>,
    trouble: Option<String>,
}

/// What is to happen to a newcomer beside the present link.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It becomes the link; the present one, if any, ends at once.
    Replace,
    /// It becomes the link of the same process; the present one goes on for a moment.
    Relieve,
    /// The present link of the same process stays.
    Duplicate,
    /// The present link is to another process, and that one lives.
    AnotherProcess,
}

/// The hub.
pub(super) struct Hub {
    side: Side,
    inc: Incarnation,
    mode: Mode,
    name: String,
    address: Address,
    beat_ms: u64,
    lost_after_ms: u64,
    key: OnceLock<Key>,
    pair: watch::Receiver<Option<String>>,
    state: Mutex<State>,
    linked: watch::Sender<bool>,
    inputs: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    /// Who may come for data.
    door: Door,
    repeats: Repeats,
    backoff: Mutex<Backoff>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Hub {
    /// A hub without a link, and the listener for those who want to become it.
    pub(super) fn new(
        parts: LinkParts,
        pair: watch::Receiver<Option<String>>,
        inputs: mpsc::UnboundedSender<Queued>,
        tasks: TaskTracker,
    ) -> (Self, TcpListener) {
        let hub = Self {
            side: parts.side,
            inc: parts.inc,
            mode: parts.mode,
            name: parts.name,
            address: parts.port.address().clone(),
            beat_ms: parts.beat_ms,
            lost_after_ms: parts.lost_after_ms,
            key: OnceLock::new(),
            pair,
            state: Mutex::default(),
            linked: watch::Sender::new(false),
            inputs,
            room: Arc::new(Semaphore::new(MAX_UNTAKEN)),
            door: Door::default(),
            repeats: Repeats::default(),
            backoff: Mutex::default(),
            tasks,
            stop: CancellationToken::new(),
        };
        (hub, parts.port.into_listener())
    }

    /// The key that both sides know; before it is set, nobody can connect.
    pub(super) fn set_key(&self, key: Key) {
        self.key.get_or_init(|| key);
    }

    /// What a new connection starts with; `None` before there is a key.
    pub(super) fn settings(&self) -> Option<Settings> {
        Some(Settings {
            local: Local {
                pair: self.pair.borrow().clone(),
                mode: self.mode,
                side: self.side,
                inc: self.inc,
                name: self.name.clone(),
                address: self.address.to_string(),
                purpose: Purpose::Link,
            },
            key: self.key.get()?.clone(),
            versions: VERSIONS,
            beat_ms: self.beat_ms,
            lost_after_ms: self.lost_after_ms,
        })
    }

    /// Time between two attempts to dial.
    pub(super) fn beat(&self) -> Duration {
        Duration::from_millis(self.beat_ms)
    }

    /// The tasks that end with the link.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Ends everything.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Cancelled when everything ends.
    pub(super) fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// What `future` gives, unless everything ends before.
    pub(super) async fn until_stopped<F: Future>(&self, future: F) -> Option<F::Output> {
        self.stop.run_until_cancelled(future).await
    }

    /// Who may come for data.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// Where the process listens to which there is a link; `None` if there is none.
    pub(super) fn address_of(&self, peer: Incarnation) -> Option<Address> {
        let state = self.state();
        let current = state.current.as_ref()?;
        let candidate = &current.candidate;
        (candidate.peer.inc == peer)
            .then(|| candidate.peer.address.parse().ok())
            .flatten()
    }

    /// Whether that process may have the data of that session.
    pub(super) fn admit_data(&self, peer: Incarnation, session: u64) -> Result<(), Refusal> {
        if self.door.is_expected(peer, session) {
            return Ok(());
        }
        let text = format!("session {session} is not shipped here, or not any more");
        Err(Refusal::new(Reason::NoSession, &text))
    }

    /// Gives a connection that is up to whoever ships its session.
    pub(super) fn hand_over(
        &self,
        peer: &Identity,
        connection: Connection,
        stream: TcpStream,
        remote: String,
    ) {
        let Purpose::Data { session } = peer.purpose else {
            return;
        };
        match DataConnection::of(connection, stream, remote) {
            Ok(connection) => self.door.hand_over(peer.inc, session, connection),
            Err(error) => debug!("link: a connection for data is of no use: {error}"),
        }
    }

    /// Whether there is a link.
    pub(super) fn linked(&self) -> watch::Receiver<bool> {
        self.linked.subscribe()
    }

    /// The own end of the link.
    #[cfg(test)]
    pub(super) fn current_end(&self) -> Option<End> {
        let state = self.state();
        let current = state.current.as_ref();
        current.map(|current| current.candidate.end)
    }

    /// Where the process that was linked last said that it listens.
    pub(super) fn last_address(&self) -> Option<Address> {
        self.state().last_address.clone()
    }

    /// Whether that line may be printed now; then what to add to it.
    pub(super) fn may_print(&self, line: &str) -> Option<String> {
        self.repeats.admit(line, Instant::now())
    }

    /// How long somebody at `address` waits until he is told that his password is wrong.
    pub(super) fn refusal_delay(&self, address: IpAddr) -> Duration {
        let mut backoff = self.backoff.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, delay) = backoff.failed(address, Instant::now());
        delay.min(MAX_REFUSAL_DELAY)
    }

    /// Whether a connection of that process may become the link.
    pub(super) fn admit(&self, peer: &Identity, end: End) -> Result<(), Refusal> {
        self.admit_beside(self.state().current.as_ref(), peer, end)
            .map(|_| ())
    }

    /// Makes a connection the link, if it still may be. Answers with its number, for [`Hub::closed`]; 0 if it is
    /// only to go on for a moment, because the link of the same process is to stay.
    pub(super) fn install(&self, candidate: Candidate) -> Result<u64, Refusal> {
        let mut state = self.state();
        let verdict =
            match self.admit_beside(state.current.as_ref(), &candidate.peer, candidate.end) {
                Ok(verdict) => verdict,
                Err(refusal) if refusal.reason == Reason::Duplicate => {
                    candidate.retired.cancel();
                    return Ok(0);
                }
                Err(refusal) => return Err(refusal),
            };
        let peer = candidate.peer.inc;
        let who = candidate.peer.to_string();
        let how = match candidate.end {
            End::Dialler => format!("dialled at {}", candidate.remote),
            End::Acceptor => format!("it dialled from {}", candidate.remote),
        };
        state.last_address = candidate.peer.address.parse().ok();
        state.lost = None;
        state.newest += 1;
        let number = state.newest;
        let current = Current { number, candidate };
        let replaced = state.current.replace(current);
        if let Some(Current { candidate: old, .. }) = &replaced {
            if verdict == Verdict::Relieve {
                old.retired.cancel();
            } else {
                old.dropped.cancel();
            }
        }
        if let Some(old) = replaced.filter(|old| old.candidate.peer.inc != peer) {
            let old = old.candidate.peer;
            warn!("link: the {who} takes the place of the {old}, which is not heard any more");
            self.report(Input::LinkDown { peer: old.inc });
            self.report(Input::LinkUp { peer });
        } else if *self.linked.borrow() {
            debug!("link: another connection to the {who}, {how}");
        } else {
            info!("link to the {who} is up, {how}");
            self.report(Input::LinkUp { peer });
        }
        self.linked.send_replace(true);
        Ok(number)
    }

    /// A connection that was installed is over.
    pub(super) fn closed(&self, number: u64, why: &Why) {
        let mut state = self.state();
        let Some(Current { candidate, .. }) =
            state.current.take_if(|current| current.number == number)
        else {
            return;
        };
        let peer = &candidate.peer;
        match why {
            Why::RefusedBy(refusal) if refusal.reason == Reason::Stopping => {
                info!("link to the {peer} has ended: {refusal}");
            }
            Why::Refused(refusal) if refusal.reason == Reason::Stopping => {}
            Why::Refused(_) | Why::RefusedBy(_) | Why::Ended => {
                warn!("link to the {peer} is lost: {why}");
            }
        }
        state.trouble = None;
        self.report(Input::LinkDown { peer: peer.inc });
        let address: Option<Address> = peer.address.parse().ok();
        state.lost = address.map(|address| (peer.inc, address, Instant::now()));
        self.linked.send_replace(false);
    }

    /// Nobody listens at that address. If it is where the process listened to which the link was lost, that process
    /// is gone.
    pub(super) fn refused_at(&self, address: &Address) {
        let mut state = self.state();
        let is_its = |lost: &mut (Incarnation, Address, Instant)| lost.1 == *address;
        if let Some((peer, ..)) = state.lost.take_if(is_its) {
            self.report(Input::LinkRefused { peer });
        }
    }

    /// Whether a link was lost a moment ago, and it is not clear yet whether its process is gone: the kernel closes the
    /// sockets of a dead one one after the other.
    pub(super) fn lost_just_now(&self) -> bool {
        let state = self.state();
        let lost = state.lost.as_ref();
        lost.is_some_and(|(.., at)| at.elapsed() < LOST_JUST_NOW)
    }

    /// Hands on a message of that process, which has a connection, though perhaps not the newest.
    pub(super) fn deliver(&self, peer: Incarnation, message: Message) {
        let state = self.state();
        let is_link = |current: &Current| current.candidate.peer.inc == peer;
        if !state.current.as_ref().is_some_and(is_link) {
            return;
        }
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            let _ = self.inputs.send(Queued {
                input: Input::LinkMessage { peer, message },
                _room: Some(room),
            });
        }
    }

    /// Hands a message to the link, if it is to that process.
    pub(super) fn send(&self, peer: Incarnation, message: Message) {
        let state = self.state();
        if let Some(Current { candidate, .. }) = &state.current
            && candidate.peer.inc == peer
        {
            // Full, because its task does not run: then nothing of it would leave in time.
            let _ = candidate.outbox.try_send(message);
        }
    }

    /// Says why there is no link, if there is none and it was not said just before.
    pub(super) fn trouble(&self, why: String) {
        let mut state = self.state();
        if state.current.is_none() && state.trouble.as_ref() != Some(&why) {
            state.trouble = Some(why.clone());
            self.report(Input::LinkTrouble(why));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, input: Input) {
        let _ = self.inputs.send(Queued { input, _room: None });
    }

    fn admit_beside(
        &self,
        current: Option<&Current>,
        peer: &Identity,
        end: End,
    ) -> Result<Verdict, Refusal> {
        let Some(Current { candidate, .. }) = current else {
            return Ok(Verdict::Replace);
        };
        let heard_ms = candidate.heard_ms.load(Ordering::Relaxed);
        let silent_ms = crate::ha::now().mono_ms.saturating_sub(heard_ms);
        let verdict = judge(
            candidate.peer.inc == peer.inc,
            silent_ms <= 2 * self.beat_ms,
            self.dialled_by(candidate.end),
            self.dialled_by(end),
        );
        match verdict {
            Verdict::Replace | Verdict::Relieve => Ok(verdict),
            Verdict::Duplicate => {
                let text = "the two brokers have another connection, which stays";
                Err(Refusal::new(Reason::Duplicate, text))
            }
            Verdict::AnotherProcess => {
                let present = &candidate.peer;
                let text = format!(
                    "another process of the same side is connected: the {present}. A side has one process: stop the {peer}, or that one"
                );
                Err(Refusal::new(Reason::AnotherProcess, &text))
            }
        }
    }

    fn dialled_by(&self, end: End) -> Side {
        match end {
            End::Dialler => self.side,
            End::Acceptor => self.side.other(),
        }
    }
}

/// Decides between the present link and a newcomer. Both sides of the pair decide alike.
fn judge(
    is_same_process: bool,
    is_heard: bool,
    present_dialled_by: Side,
    newcomer_dialled_by: Side,
) -> Verdict {
    if !is_heard {
        return Verdict::Replace;
    }
    if !is_same_process {
        return Verdict::AnotherProcess;
    }
    match (present_dialled_by, newcomer_dialled_by) {
        // Nobody dials again who still has what he dialled.
        (Side::Primary, Side::Primary) | (Side::Backup, Side::Backup) => Verdict::Replace,
        (Side::Primary, Side::Backup) => Verdict::Relieve,
        (Side::Backup, Side::Primary) => Verdict::Duplicate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_keep_the_connection_that_the_backup_dialled() {
        let cases = [
            (Side::Primary, Side::Backup, Verdict::Relieve),
            (Side::Backup, Side::Primary, Verdict::Duplicate),
            // The dialler has lost what it had.
            (Side::Primary, Side::Primary, Verdict::Replace),
            (Side::Backup, Side::Backup, Verdict::Replace),
        ];
        for (present, newcomer, verdict) in cases {
            assert_eq!(judge(true, true, present, newcomer), verdict);
            assert_eq!(
                judge(false, true, present, newcomer),
                Verdict::AnotherProcess
            );
            for is_same_process in [true, false] {
                assert_eq!(
                    judge(is_same_process, false, present, newcomer),
                    Verdict::Replace
                );
            }
        }
    }
}
