//! The arbiter's lane and the locks' lane: files that are read and written beside everything else.
//!
//! Both run on threads of their own, because a hard-mounted network disk can block a call for as long as its
//! server is away, and that must stop nothing else.

use std::sync::Arc;
use std::sync::mpsc as blocking;

use arbiter::{
    DirectoryArbiter, Outcome, Probe, ReadError, SideFile, SideFiles, SideLock, TermFile,
};
use pair::{
    CasDone, Input, LockState, PeerInfo, Record, RecordRead, Side, Survey, Term, Versioned,
};
use tokio::sync::{mpsc, watch};

use super::store::Store;
use crate::link::Address;

/// What the arbiter's lane can be asked.
pub(crate) enum ArbiterJob {
    /// Read the peer's side file, then the record.
    Read,
    /// Replace the record of this version.
    Cas(u64, Box<Record>),
    /// Write the first record.
    Create(Box<Record>),
}

/// What the locks' lane can be asked.
pub(crate) enum LockJob {
    /// Test a term's lock without taking it.
    Probe(Term),
    /// Which terms the store shows.
    Survey,
    /// Whether locks work here at all.
    SelfTest,
}

/// What the sides leave for each other, as one of them uses it.
pub(crate) struct Sides {
    /// Their files.
    pub files: SideFiles,
    /// This side.
    pub side: Side,
    /// Where the other one says that its link is.
    pub address: watch::Sender<Option<Address>>,
}

impl Sides {
    /// What the other side left; and takes the own lock, if this process does not have it yet. A file that cannot be
    /// read is as good as none: it is only a hint.
    pub(super) fn look(&self, own_lock: &mut Option<SideLock>) -> Option<PeerInfo> {
        let other = self.side.other();
        if own_lock.is_none() {
            *own_lock = self.files.hold(self.side).ok().flatten();
        }
        let peer = self.files.read(other).ok().flatten();
        note_address(&self.address, peer.as_ref());
        peer.map(|file| file.peer_info(self.files.is_alive(other).unwrap_or(false)))
    }
}

/// Starts the arbiter's lane over a folder, which also tells where the other side is.
pub(crate) fn arbiter(
    arbiter: Arc<DirectoryArbiter>,
    sides: Sides,
    answers: mpsc::UnboundedSender<Input>,
) -> std::io::Result<mpsc::UnboundedSender<ArbiterJob>> {
    let (jobs, mut inbox) = mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name("arbiter".to_owned())
        .spawn(move || {
            // Held for the life of the process; tried again until its predecessor's is gone.
            let mut own_lock = None;
            while let Some(job) = inbox.blocking_recv() {
                let input = match job {
                    ArbiterJob::Read => {
                        let peer = sides.look(&mut own_lock);
                        if answers.send(Input::PeerFile(peer)).is_err() {
                            return;
                        }
                        Input::RecordRead(read(&arbiter))
                    }
                    ArbiterJob::Cas(base, record) => {
                        Input::CasDone(done(arbiter.cas(base, &record)))
                    }
                    ArbiterJob::Create(record) => Input::CasDone(done(arbiter.create(&record))),
                };
                if answers.send(input).is_err() {
                    return;
                }
            }
        })?;
    Ok(jobs)
}

/// Tells the link where the other side listens. One that has left nothing, or no port, may still be where it was.
fn note_address(known: &watch::Sender<Option<Address>>, peer: Option<&SideFile>) {
    let Some((host, port)) = peer.and_then(|file| Some((&file.host, file.link_port?))) else {
        return;
    };
    let address = Some(Address {
        host: host.clone(),
        port,
    });
    known.send_if_modified(|known| {
        let is_new = *known != address;
        if is_new {
            *known = address;
        }
        is_new
    });
}

fn read(arbiter: &DirectoryArbiter) -> RecordRead {
    match arbiter.read() {
        Ok(Some(Versioned { version, record })) => {
            RecordRead::Found(Box::new(Versioned { version, record }))
        }
        Ok(None) => RecordRead::Missing,
        Err(ReadError::NewerFormat { format, .. }) => RecordRead::NewerFormat { format },
        Err(error) => RecordRead::Failed(error.to_string()),
    }
}

pub(super) fn done(outcome: Outcome) -> CasDone {
    match outcome {
        Outcome::Won { version } => CasDone::Won { version },
        Outcome::Conflict => CasDone::Conflict,
        Outcome::Refused(error) => CasDone::Refused(error.to_string()),
        Outcome::Unknown(error) => CasDone::Unknown(error.to_string()),
    }
}

/// What the store shows of its terms.
fn survey(store: &Store) -> Result<Survey, String> {
    let newest = store.newest_epoch()?;
    let (terms, living) = TermFile::survey(store.dir()).map_err(|error| error.to_string())?;
    let of_files = terms.last().map_or(0, |term| term.epoch);
    Ok(Survey {
        newest_epoch: newest.max(of_files),
        terms,
        living,
    })
}

/// Starts the locks' lane for the term files of the store.
pub(crate) fn locks(
    store: Store,
    answers: mpsc::UnboundedSender<Input>,
) -> std::io::Result<blocking::Sender<LockJob>> {
    let dir = store.dir().to_owned();
    let (jobs, inbox) = blocking::channel();
    std::thread::Builder::new()
        .name("locks".to_owned())
        .spawn(move || {
            for job in inbox {
                let input = match job {
                    LockJob::Probe(term) => {
                        let lock = match TermFile::probe(&dir, term) {
                            Ok(Probe::Held) => LockState::Held,
                            Ok(Probe::Free) => LockState::Free,
                            Ok(Probe::Absent) => LockState::Absent,
                            Err(error) => LockState::Failed(error.to_string()),
                        };
                        Input::LockProbed { term, lock }
                    }
                    LockJob::Survey => Input::StoreSurveyed(survey(&store)),
                    LockJob::SelfTest => {
                        Input::LocksSelfTest(TermFile::self_test(&dir).unwrap_or(false))
                    }
                };
                if answers.send(input).is_err() {
                    return;
                }
            }
        })?;
    Ok(jobs)
}
