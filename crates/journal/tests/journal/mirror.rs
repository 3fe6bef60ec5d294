//! A standby's directory follows an active's: copies, catches up, goes on live, and loses nothing that it
//! said was on its disk, whatever is cut off when.

use std::time::Duration;

use journal::mirror::{
    AsideLimits, Begun, FollowError, Follower, Place, Shipment, Shipper, TermEnd, ends, recover,
};
use journal::storage::memory::{Fault, MemoryStorage, Survival};
use journal::{Entry, History, Options, Position, Storage, Writer};

use crate::support::{Events, Model, SMALL, group, read_all, run_term, shared, take_over, term};

const LIMITS: AsideLimits = AsideLimits {
    sets: 2,
    bytes: 1 << 20,
};
const AT_ONCE: Duration = Duration::ZERO;

/// The last entry that both lists have.
fn common(one: &[TermEnd], other: &[TermEnd]) -> Option<Place> {
    one.iter().rev().find_map(|own| {
        let theirs = other.iter().find(|it| it.term == own.term)?;
        Some(Place {
            term: own.term,
            offset: own.last.min(theirs.last),
        })
    })
}

/// One term of an active that others can follow.
struct Active {
    storage: MemoryStorage,
    writer: Writer,
    groups: usize,
    epoch: u64,
}

impl Active {
    fn start(storage: &MemoryStorage, epoch: u64, options: Options) -> Active {
        take_over(storage, epoch).unwrap();
        let events = Events::default();
        let writer = events.writer(storage, term(epoch), options).unwrap();
        Active {
            storage: storage.clone(),
            writer,
            groups: 0,
            epoch,
        }
    }

    fn append(&mut self, lengths: &[usize]) {
        self.groups += 1;
        let records = group(self.epoch, self.groups, lengths);
        self.writer.append(records).unwrap();
        self.writer.sync_barrier().unwrap();
    }

    fn end(&self) -> Position {
        self.writer.durable()
    }

    fn ends(&self) -> Vec<TermEnd> {
        ends(&shared(&self.storage)).unwrap().1
    }
}

/// A standby of that active, and what it has said.
struct Session {
    shipper: Shipper,
    follower: Follower,
    beyond: u64,
    aside: Vec<String>,
}

impl Session {
    fn begin(active: &Active, standby: &MemoryStorage) -> Result<Session, FollowError> {
        recover(standby)?;
        let (_, own) = ends(&shared(standby))?;
        let cut = common(&own, &active.ends());
        Session::begin_at(active, standby, cut, &own)
    }

    fn begin_at(
        active: &Active,
        standby: &MemoryStorage,
        cut: Option<Place>,
        own: &[TermEnd],
    ) -> Result<Session, FollowError> {
        let (manifest, mut shipper) =
            Shipper::begin(shared(&active.storage), active.writer.view()).unwrap();
        let Begun {
            follower,
            wants,
            beyond,
            ..
        } = Follower::begin(shared(standby), manifest, cut, own, LIMITS)?;
        assert!(shipper.want(wants), "a standby asks for what there is");
        Ok(Session {
            shipper,
            follower,
            beyond,
            aside: Vec::new(),
        })
    }

    /// Ships what there is.
    fn pump(&mut self) -> Result<(), FollowError> {
        loop {
            match self.shipper.next(AT_ONCE).unwrap() {
                Shipment::Nothing => return Ok(()),
                Shipment::Live => self.aside = self.follower.go_live()?.aside,
                Shipment::Front(front) => self.follower.front(front)?,
                Shipment::Piece(piece) => {
                    self.follower.take(&piece)?;
                }
            }
        }
    }

    fn end(&self) -> Option<Position> {
        self.follower.end().and_then(Place::position)
    }
}

/// Follows until everything is there.
fn follow(active: &Active, standby: &MemoryStorage) -> Session {
    let mut session = Session::begin(active, standby).unwrap();
    session.pump().unwrap();
    session
}

fn same_history(active: &MemoryStorage, standby: &MemoryStorage, case: &str) {
    let (theirs, wanted) = read_all(&shared(active)).unwrap();
    let (own, found) = read_all(&shared(standby)).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(
        found == wanted,
        "{case}: {} entries, not {}",
        found.len(),
        wanted.len()
    );
    assert_eq!(own.files(), theirs.files(), "{case}");
    for file in own.files() {
        let length = usize::try_from(file.length_bytes).unwrap();
        let name = file.file.to_string();
        assert!(
            active.content(&name).unwrap()[..length] == standby.content(&name).unwrap()[..length],
            "{case}: {name} differs"
        );
    }
}

#[test]
fn an_empty_standby_gets_a_copy_and_then_each_batch() {
    let (active, standby) = (MemoryStorage::new(), MemoryStorage::new());
    let mut model = Model::default();
    run_term(&active, &mut model, 1, &vec![vec![3000, 9000]; 9]).unwrap();
    let mut active = Active::start(&active, 2, SMALL);
    active.append(&[10]);
    active.append(&[700; 40]);
    let mut session = follow(&active, &standby);
    assert!(session.follower.is_live());
    same_history(&active.storage, &standby, "the copy");
    for lengths in [vec![1], vec![30_000, 2], vec![0; 9], vec![5000; 8]] {
        active.append(&lengths);
        session.pump().unwrap();
        assert_eq!(session.end(), Some(active.end()), "all that is durable");
        let left = standby.after_crash(Survival::Nothing);
        same_history(&active.storage, &left, "a batch");
    }
    let (_, found) = ends(&shared(&standby)).unwrap();
    let told: Vec<_> = session.follower.ends().unwrap().iter().collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), told);
}

#[test]
fn a_standby_that_was_away_gets_only_what_it_lacks() {
    let (active, standby) = (MemoryStorage::new(), MemoryStorage::new());
    let mut active = Active::start(&active, 1, SMALL);
    for _ in 0..20 {
        active.append(&[5000]);
    }
    drop(follow(&active, &standby));
    active.append(&[100]);
    let mut session = Session::begin(&active, &standby).unwrap();
    session.pump().unwrap();
    same_history(&active.storage, &standby, "after an absence");
    assert!(
        session.follower.taken_bytes() <= 8192,
        "{} bytes for one batch",
        session.follower.taken_bytes()
    );
    assert!(session.aside.is_empty() && session.beyond == 0);
}

#[test]
fn a_batch_reaches_the_standby_while_the_active_still_syncs_it() {
    let (active, standby) = (MemoryStorage::new(), MemoryStorage::new());
    let mut active = Active::start(&active, 1, SMALL);
    active.append(&[10]);
    let mut session = follow(&active, &standby);
    active.storage.hold_syncs();
    active.writer.append(group(1, 7, &[500, 600])).unwrap();
    crate::support::wait_until("the batch on the standby's disk", || {
        session.pump().unwrap();
        session.end().is_some_and(|end| end.offset == 3)
    });
    assert_eq!(active.end().offset, 1, "not durable here yet");
    active.storage.release_syncs();
    active.writer.sync_barrier().unwrap();
    session.pump().unwrap();
    same_history(&active.storage, &standby, "both synced");
}

#[test]
fn nothing_is_told_before_the_standbys_own_sync_has_returned() {
    let (active, standby) = (MemoryStorage::new(), MemoryStorage::new());
    let mut active = Active::start(&active, 1, SMALL);
    active.append(&[10]);
    let mut session = follow(&active, &standby);
    standby.hold_syncs();
    active.append(&[500, 600]);
    let taking = std::thread::spawn(move || {
        session.pump().unwrap();
        session.end()
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!taking.is_finished(), "it waits for its own disk");
    let (_, found) = read_all(&shared(&standby.after_crash(Survival::Nothing))).unwrap();
    assert_eq!(found.len(), 1, "the batch could still be lost here");
    standby.release_syncs();
    assert_eq!(taking.join().unwrap(), Some(active.end()));
}

#[test]
fn a_tail_that_nobody_else_has_is_kept_aside() {
    let (old, new) = (MemoryStorage::new(), MemoryStorage::new());
    let mut first = Active::start(&old, 1, SMALL);
    first.append(&[100; 3]);
    drop(follow(&first, &new));
    // Never confirmed by the other side: a batch in the common file, and whole files.
    first.append(&[7000; 2]);
    first.append(&[20_000; 2]);
    drop(first);
    let mut second = Active::start(&new, 2, SMALL);
    second.append(&[50]);
    let session = follow(&second, &old);
    same_history(&second.storage, &old, "the old active");
    assert_eq!(session.beyond, 4);
    assert!(
        session.aside.iter().any(|name| name.contains("journal.1.")),
        "{:?}",
        session.aside
    );
    for name in &session.aside {
        assert!(old.content(name).is_some(), "{name} is gone");
    }
}

#[test]
fn what_is_kept_aside_is_bounded() {
    let (one, other) = (MemoryStorage::new(), MemoryStorage::new());
    for epoch in 1..10 {
        let (active, standby) = if epoch % 2 == 1 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let mut term = Active::start(active, epoch, SMALL);
        term.append(&[10]);
        drop(follow(&term, standby));
        term.append(&[8000; 9]);
    }
    let sets = |storage: &MemoryStorage| {
        let mut sets: Vec<String> = storage
            .list()
            .unwrap()
            .iter()
            .filter_map(|name| Some(name.strip_prefix("aside.")?.split_once('.')?.0.to_owned()))
            .collect();
        sets.dedup();
        sets
    };
    assert_eq!(sets(&one).len(), 2, "{:?}", sets(&one));
    assert_eq!(sets(&other).len(), 2, "{:?}", sets(&other));
}

#[test]
fn a_copy_without_anything_in_common_leaves_nothing_of_the_old_history() {
    let (active, standby) = (MemoryStorage::new(), MemoryStorage::new());
    let mut model = Model::default();
    run_term(&standby, &mut model, 5, &vec![vec![3000, 9000]; 9]).unwrap();
    let mut active = Active::start(&active, 2, SMALL);
    active.append(&[700; 40]);
    // The standby's own epoch is higher and its seal is newer: it still gets this history.
    let session = follow(&active, &standby);
    same_history(&active.storage, &standby, "the copy");
    assert_eq!(session.beyond, 18);
}

#[test]
fn retired_files_go_once_the_active_has_removed_them() {
    let (active, standby) = (MemoryStorage::new(), MemoryStorage::new());
    let mut active = Active::start(&active, 1, SMALL);
    for _ in 0..8 {
        active.append(&[9000]);
    }
    let mut session = follow(&active, &standby);
    active.writer.append_mark(group(1, 90, &[10])).unwrap();
    let start = group(1, 91, &[20]).remove(0);
    active.writer.append_start(start).unwrap();
    active.writer.sync_barrier().unwrap();
    session.pump().unwrap();
    let segments = |storage: &MemoryStorage| {
        let names = storage.list().unwrap();
        names.iter().filter(|it| it.starts_with("journal.")).count()
    };
    assert!(segments(&standby) > 3, "not before the active");
    active.writer.remove_retired().unwrap();
    session.pump().unwrap();
    assert_eq!(segments(&standby), segments(&active.storage));
    same_history(&active.storage, &standby, "after retiring");
    // One that was away during it asks for what is there, and drops the rest.
    let late = MemoryStorage::new();
    drop(session);
    drop(follow(&active, &late));
    same_history(&active.storage, &late, "a late copy");
}

#[test]
fn what_is_wrong_is_refused() {
    let (active, standby) = (MemoryStorage::new(), MemoryStorage::new());
    let mut active = Active::start(&active, 1, SMALL);
    active.append(&[3000; 5]);
    drop(follow(&active, &standby));
    active.append(&[100, 200]);
    let begin = || Session::begin(&active, &standby.after_kill()).unwrap();
    let Shipment::Piece(piece) = begin().shipper.next(AT_ONCE).unwrap() else {
        panic!("a batch");
    };
    for at in 0..piece.bytes.len() {
        let mut bytes = piece.bytes.to_vec();
        bytes[at] ^= 0x20;
        let mut changed = piece.clone();
        changed.bytes = bytes.into();
        let taken = begin().follower.take(&changed);
        assert!(
            matches!(taken, Err(FollowError::Stream { .. })),
            "byte {at} changed: {taken:?}"
        );
    }
    let mut moved = piece.clone();
    moved.at_byte += 4096;
    assert!(begin().follower.take(&moved).is_err(), "a gap");
    assert!(begin().follower.take(&piece).is_ok());
    let mut half = begin();
    let mut part = piece;
    part.bytes = part.bytes.slice(..100);
    half.follower.take(&part).unwrap();
    assert!(half.follower.go_live().is_err(), "half a batch");
}

/// What a standby must have on its disk after any crash: everything it has said, nothing that was not
/// appended, and a history that begins as the active's does.
fn check(standby: &MemoryStorage, said: Option<Position>, wanted: &[Entry], case: &str) {
    let before = standby.list().unwrap();
    recover(standby).unwrap_or_else(|error| panic!("{case}: {error}"));
    let (_, found): (History, _) = read_all(&shared(standby))
        .unwrap_or_else(|error| panic!("{case}: {error}; {before:?} became {:?}", standby.list()));
    let common = found.len().min(wanted.len());
    assert!(
        found[..common] == wanted[..common] && found.len() <= wanted.len(),
        "{case}: another history"
    );
    let has = found.last().map(|entry| entry.position);
    assert!(has >= said, "{case}: has {has:?}, said {said:?}");
}

/// The standby dies at every one of its operations, with every kind of loss, and joins again.
#[test]
fn a_crash_of_the_standby_at_every_operation() {
    let mut at = 0;
    loop {
        let mut active = Active::start(&MemoryStorage::new(), 1, SMALL);
        for _ in 0..5 {
            active.append(&[3000; 3]);
        }
        let standby = MemoryStorage::new();
        drop(follow(&active, &standby));
        active.append(&[9000; 4]);
        drop(active.writer);
        let mut active = Active::start(&active.storage, 2, SMALL);
        active.append(&[10]);
        let standby = standby
            .after_crash(Survival::Nothing)
            .with_fault(at, Fault::End);
        let mut said = ends(&shared(&standby.after_kill())).unwrap().0.end();
        let finished = run_standby(&mut active, &standby, &mut said).is_ok();
        let (_, wanted) = read_all(&shared(&active.storage)).unwrap();
        for survival in [Survival::Nothing, Survival::Everything]
            .into_iter()
            .chain((0..6).map(Survival::Chance))
        {
            let case = format!("operation {at}, {survival:?}");
            let left = standby.after_crash(survival);
            check(&left, said, &wanted, &case);
            let session = follow(&active, &left);
            assert_eq!(session.end(), Some(active.end()), "{case}");
            same_history(&active.storage, &left, &case);
        }
        if finished {
            break;
        }
        at += 1;
    }
    assert!(at > 60, "the workload has become trivial: {at} operations");
}

fn run_standby(
    active: &mut Active,
    standby: &MemoryStorage,
    said: &mut Option<Position>,
) -> Result<(), FollowError> {
    let mut session = Session::begin(active, standby)?;
    for lengths in [vec![], vec![50, 60], vec![20_000, 20_000], vec![1; 3]] {
        if !lengths.is_empty() {
            active.append(&lengths);
        }
        let pumped = session.pump();
        *said = session.end().max(*said);
        pumped?;
    }
    Ok(())
}
