//! Forced promotion: a person's word that the active is dead, written into the pair record.
//!
//! ```text
//! read the record ─▶ look for signs of life ─▶ compare-and-set ─▶ the side's own process takes the term
//!        ▲                                          │ conflict
//!        └──────────────────────────────────────────┘ everything is looked at again (A3)
//! ```
//! Over a shared store nothing is lost by it, even if the word was wrong: the side that takes over sets the
//! fence mark of every earlier term before it reads anything, and an active acknowledges only what it has
//! synced with its own mark still open. All the same it is never done while the active shows a sign of life:
//! then a switchover, or an end of that process, is what the person wants.
//!
//! With two stores it is different: there the side's own disk may lack what the other acknowledged alone, and
//! an active that is only cut off cannot know that it was replaced. The person must accept that in words.
//!
//! Nothing here asks a broker; what they say comes from the caller, anew for each try.

use std::path::Path;
use std::time::Duration;

use pair::{Holder, Incarnation, Mode, Record, Role, Side, Term, Versioned, WriteId};

use crate::{Outcome, Register, TermFile};

mod error;

pub use error::ForceError;

/// Tries on a record that changes meanwhile. A pair whose active is dead changes it once or twice.
const MAX_CONFLICTS: u64 = 8;
/// Times one write is sent again whose outcome is unknown; with the pauses this is about ten seconds.
const MAX_SENDINGS: u32 = 14;
/// The first pause before a write is sent again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a person wants.
#[derive(Clone, Debug)]
pub struct ForceOrder {
    /// The side that shall take over.
    pub side: Side,
    /// How the pair shares its data, for a record that must be made anew.
    pub mode: Mode,
    /// Whether, in replication, messages may be lost that only the other side's disk has.
    pub accepts_data_loss: bool,
    /// Who says so.
    pub by: String,
    /// Wall-clock time, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// A random name for the writes of this order.
    pub writer: Incarnation,
    /// The node ID of a record that must be made anew, where no broker can tell the old one.
    pub new_pair: String,
}

/// What a broker says of itself, asked just now.
#[derive(Clone, Debug)]
pub struct Said {
    /// Node ID of its pair; empty if it has read no record yet.
    pub pair: String,
    /// Its role; nothing if it is one that this program does not know.
    pub role: Option<Role>,
    /// The highest epoch it knows of.
    pub epoch: u64,
    /// Whether it hears the active.
    pub active_heard: bool,
}

/// What can be seen of the pair besides its record.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The broker of the side that shall take over, if it answers.
    pub own: Option<Said>,
    /// The other one, if it answers.
    pub other: Option<Said>,
    /// The highest epoch of a file that a term wrote into the store, as far as the caller looks there.
    pub newest_epoch: u64,
}

/// A side that is forced; its process takes the term as soon as it sees that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// Epoch of the record; the side serves in a later one.
    pub epoch: u64,
    /// Node ID of the pair.
    pub pair: String,
    /// Whose term is over by that, if somebody held one.
    pub replaced: Option<Holder>,
    /// What was special about it.
    pub kind: ForcedKind,
}

/// What was special about a forced promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedKind {
    /// Nothing.
    Usual,
    /// Nothing was written: somebody has forced this side before, and it has not taken the term yet.
    Again,
    /// There was no record; this one has the node ID that a running broker knows.
    Remade,
    /// There was no record, and nobody could tell the node ID: it is a new one.
    RemadeWithNewPair,
    /// The record was an older copy: the store, or a broker, knows later epochs than this one.
    RolledBack {
        /// Epoch of the copy.
        epoch: u64,
    },
}

/// Writes into the record that `order.side` shall take over, unless the active shows a sign of life. `look` says
/// what can be seen just now; `store` is the folder of the term files.
///
/// Blocks, for about ten seconds at most while the arbiter gives no definite answer.
pub fn force(
    arbiter: &dyn Register,
    store: &Path,
    order: &ForceOrder,
    mut look: impl FnMut() -> Seen,
) -> Result<Forced, ForceError> {
    let mut before: Option<Record> = None;
    let mut written: Option<(WriteId, Forced)> = None;
    for n in 1..=MAX_CONFLICTS {
        let found = arbiter.read()?;
        let record = found.as_ref().map(|found| &found.record);
        if let (Some((wid, forced)), Some(record)) = (&written, record)
            && is_done(record, *wid, order.side, forced)
        {
            return Ok(forced.clone());
        }
        if let (Some(_), Some(record)) = (&written, record) {
            still_dead(before.as_ref(), record)?;
        }
        let seen = look();
        let wid = WriteId {
            inc: order.writer,
            n,
        };
        let (next, forced) = plan(arbiter, store, order, found.as_ref(), &seen, wid)?;
        let Some(next) = next else {
            return Ok(forced);
        };
        if send(arbiter, found.as_ref().map(|found| found.version), &next)? {
            return Ok(forced);
        }
        if written.is_none() {
            before = found.map(|found| found.record);
        }
        written = Some((wid, forced));
    }
    Err(ForceError::Contended)
}

/// Whether an earlier write is in place after all: its answer was a conflict with its own success (A2), or the side
/// has taken the term meanwhile.
fn is_done(record: &Record, wid: WriteId, side: Side, forced: &Forced) -> bool {
    let taken = record.epoch > forced.epoch
        && record
            .holder
            .as_ref()
            .is_some_and(|holder| holder.side == side);
    record.wid == Some(wid) || taken
}

/// Whether the record that a conflict has brought up says nothing against what was decided on the one before. Where
/// none was before, somebody has made one: a holder that lives, or a side that took over.
fn still_dead(before: Option<&Record>, record: &Record) -> Result<(), ForceError> {
    if let Some(before) = before
        && (record.epoch, record.term()) == (before.epoch, before.term())
    {
        return match &record.holder {
            Some(holder) if record.serial > before.serial => Err(ForceError::HolderWrote {
                holder: holder.side,
            }),
            Some(_) | None => Ok(()),
        };
    }
    let epoch = record.epoch;
    let now = match (&record.holder, record.forced_side()) {
        (Some(holder), _) => format!("the {} holds epoch {epoch}", holder.side),
        (None, Some(side)) => format!("the {side} was forced in epoch {epoch}"),
        (None, None) => format!("nobody holds epoch {epoch}"),
    };
    Err(ForceError::Changed { now })
}

/// What to write on what was found, and what that means; nothing to write if the record says it already.
fn plan(
    arbiter: &dyn Register,
    store: &Path,
    order: &ForceOrder,
    found: Option<&Versioned>,
    seen: &Seen,
    wid: WriteId,
) -> Result<(Option<Record>, Forced), ForceError> {
    let record = found.map(|found| &found.record);
    let mode = record.map_or(order.mode, |record| record.mode);
    if mode == Mode::Replication && !order.accepts_data_loss {
        return Err(ForceError::DataLoss { side: order.side });
    }
    let pair = record.map(|record| record.pair.as_str());
    // Another pair may answer at an address that this one had.
    let ours = |said: &&Said| pair.is_none_or(|pair| said.pair.is_empty() || said.pair == pair);
    let own = seen.own.as_ref().filter(ours);
    let other = seen.other.as_ref().filter(ours);
    signs_of_life(order.side, own, other)?;

    // Two stores have no term files, and nothing in common that a mark could be set in.
    let mut terms = match mode {
        Mode::SharedStore => TermFile::survey(store)?.0,
        Mode::Replication => Vec::new(),
    };
    let written = seen
        .newest_epoch
        .max(terms.last().map_or(0, |term| term.epoch));
    let told = [own, other].into_iter().flatten().map(|said| said.epoch);
    let told = told.max().unwrap_or(0);
    let (base, kind) = match record {
        Some(record) if record.epoch == 0 && written == 0 => {
            return Err(ForceError::NeverActive { side: order.side });
        }
        Some(record) if record.epoch < seen.newest_epoch.max(told) => {
            let epoch = record.epoch;
            (record.clone(), ForcedKind::RolledBack { epoch })
        }
        Some(record) => (record.clone(), ForcedKind::Usual),
        None if written == 0 => {
            let arbiter = arbiter.place();
            return Err(ForceError::NothingHere { arbiter });
        }
        None => {
            let mut told = [own, other].into_iter().flatten().map(|said| &said.pair);
            match told.find(|pair| !pair.is_empty()) {
                Some(pair) => (Record::first(pair, mode), ForcedKind::Remade),
                None => (
                    Record::first(&order.new_pair, mode),
                    ForcedKind::RemadeWithNewPair,
                ),
            }
        }
    };
    let forced = |epoch, kind| Forced {
        epoch,
        pair: base.pair.clone(),
        replaced: base.holder.clone(),
        kind,
    };
    let newest = written.max(told);
    let next = if base.epoch < newest {
        // Also a taker that died before it wrote the record leaves a file of a later epoch: who takes over must
        // come after that one too.
        above(&base, newest, &mut terms)
    } else if base.forced_side() == Some(order.side) {
        return Ok((None, forced(base.epoch, ForcedKind::Again)));
    } else {
        base.clone()
    };
    let next = next.forced(order.side, &order.by, order.at_unix_ms, wid);
    let forced = forced(next.epoch, kind);
    Ok((Some(next), forced))
}

/// The record, raised above every epoch that was seen (rule 7). What it lists as unfenced stays listed.
fn above(base: &Record, newest: u64, terms: &mut Vec<Term>) -> Record {
    terms.extend(base.unfenced.iter().copied().chain(base.term()));
    terms.sort_unstable();
    terms.dedup();
    base.rebuilt(newest, terms)
}

fn signs_of_life(side: Side, own: Option<&Said>, other: Option<&Said>) -> Result<(), ForceError> {
    if let Some(role) = own.and_then(|own| own.role).filter(|role| role.holds()) {
        return Err(ForceError::AlreadyActive { side, role });
    }
    if own.is_some_and(|own| own.active_heard) {
        return Err(ForceError::ActiveHeard { side });
    }
    let role = match other.map(|other| other.role) {
        Some(Some(role)) if role.holds() => role.to_string(),
        // Of another version; what holds a term there is not known here.
        Some(None) => "in a role that this program does not know".to_owned(),
        Some(Some(_)) | None => return Ok(()),
    };
    let other = side.other();
    Err(ForceError::OtherLives { other, role })
}

/// Sends one write until its outcome is definite (A1). False means a conflict.
fn send(arbiter: &dyn Register, base: Option<u64>, next: &Record) -> Result<bool, ForceError> {
    let mut pause = FIRST_PAUSE;
    let mut sendings = 0;
    loop {
        let outcome = match base {
            Some(version) => arbiter.cas(version, next),
            None => arbiter.create(next),
        };
        match outcome {
            Outcome::Won { .. } => return Ok(true),
            Outcome::Conflict => return Ok(false),
            Outcome::Refused(error) => return Err(error.into()),
            Outcome::Unknown(source) => {
                sendings += 1;
                if sendings == MAX_SENDINGS {
                    return Err(ForceError::Unclear { source });
                }
                std::thread::sleep(pause);
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// The user and the machine that this process runs as, to be written down with what they order.
pub fn person() -> String {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    let user = user.map_or_else(|| format!("user {uid}"), |user| user.name);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => user,
        host => format!("{user}@{host}"),
    }
}
