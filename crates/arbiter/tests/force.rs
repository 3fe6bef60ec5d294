//! Forced promotion on a real directory: when it is refused, what it writes, and what becomes of a race.
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail with them")]

use std::cell::Cell;
use std::fs;

use arbiter::{
    DirectoryArbiter, ForceError, ForceOrder, Forced, ForcedKind, Outcome, Said, Seen, TermFile,
    force,
};
use pair::{
    Cause, Holder, Incarnation, Member, Mode, Record, Role, Side, Taker, TakerPath, Term, Wanted,
    WriteId,
};
use tempfile::TempDir;

const NODE: &str = "node";

struct Pair {
    dir: TempDir,
    arbiter: DirectoryArbiter,
}

fn inc(byte: u8) -> Incarnation {
    Incarnation([byte; 16])
}

fn term(epoch: u64, writer: u8) -> Term {
    Term {
        epoch,
        inc: inc(writer),
    }
}

fn wid(writer: u8, n: u64) -> WriteId {
    WriteId {
        inc: inc(writer),
        n,
    }
}

fn taken(record: &Record, side: Side, writer: u8) -> Record {
    let taker = Taker {
        holder: Holder {
            side,
            inc: inc(writer),
            pod: None,
            boot: None,
        },
        path: TakerPath::Proof,
        cause: Cause::ProcessEnded,
        at_unix_ms: 1,
        saw_lock_refused: true,
    };
    record.takeover(taker, wid(writer, 1))
}

fn order(side: Side) -> ForceOrder {
    ForceOrder {
        mode: Mode::SharedStore,
        accepts_data_loss: false,
        side,
        by: "ops@host".to_owned(),
        at_unix_ms: 99,
        writer: inc(0xff),
        new_pair: "new".to_owned(),
    }
}

fn said(role: Role, epoch: u64) -> Said {
    Said {
        pair: NODE.to_owned(),
        role: Some(role),
        epoch,
        active_heard: false,
    }
}

/// The backup that waits, and hears nothing.
fn standby(epoch: u64) -> Seen {
    Seen {
        own: Some(said(Role::Standby, epoch)),
        ..Seen::default()
    }
}

impl Pair {
    /// The primary holds epoch 3 and is gone.
    fn with_a_dead_primary() -> Self {
        let pair = Self::without_record();
        let first = Record {
            epoch: 2,
            ..Record::first(NODE, Mode::SharedStore)
        };
        pair.arbiter.create(&taken(&first, Side::Primary, 7));
        pair.term_file(term(3, 7));
        pair
    }

    fn without_record() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("pair")).unwrap();
        let arbiter = DirectoryArbiter::open(dir.path().join("pair")).unwrap();
        Self { dir, arbiter }
    }

    fn term_file(&self, term: Term) {
        TermFile::create(self.dir.path(), term).unwrap();
    }

    fn record(&self) -> Record {
        self.arbiter.read().unwrap().unwrap().record
    }

    fn write(&self, next: impl FnOnce(&Record) -> Record) {
        let found = self.arbiter.read().unwrap().unwrap();
        let outcome = self.arbiter.cas(found.version, &next(&found.record));
        assert!(matches!(outcome, Outcome::Won { .. }), "{outcome:?}");
    }

    fn force(&self, side: Side, look: impl FnMut() -> Seen) -> Result<Forced, ForceError> {
        force(&self.arbiter, self.dir.path(), &order(side), look)
    }

    /// It must be refused, and the record must be as it was.
    fn refused(&self, side: Side, look: impl FnMut() -> Seen) -> ForceError {
        let before = self.arbiter.read().unwrap();
        let error = self.force(side, look).unwrap_err();
        assert_eq!(self.arbiter.read().unwrap(), before);
        error
    }
}

#[test]
fn a_side_is_forced_in_the_next_epoch_with_who_and_why() {
    let pair = Pair::with_a_dead_primary();
    let forced = pair.force(Side::Backup, || standby(3)).unwrap();
    assert_eq!((forced.epoch, forced.kind), (4, ForcedKind::Usual));
    assert_eq!(forced.replaced.unwrap().side, Side::Primary);
    let record = pair.record();
    assert_eq!(record.forced_side(), Some(Side::Backup));
    assert_eq!(record.unfenced, [term(3, 7)]);
    let last = record.last.unwrap();
    assert_eq!(
        (last.cause, last.by),
        (Cause::Forced, Some("ops@host".to_owned()))
    );

    // Once more changes nothing; the other side may be named instead.
    let again = pair.force(Side::Backup, || standby(4)).unwrap();
    assert_eq!((again.epoch, again.kind), (4, ForcedKind::Again));
    let other = pair.force(Side::Primary, Seen::default).unwrap();
    assert_eq!((other.epoch, other.kind), (5, ForcedKind::Usual));
    assert_eq!(pair.record().unfenced, [term(3, 7)]);
}

#[test]
fn it_is_refused_while_there_are_signs_of_life() {
    let pair = Pair::with_a_dead_primary();
    let error = pair.refused(Side::Backup, || {
        let mut seen = standby(3);
        seen.own.as_mut().unwrap().active_heard = true;
        seen
    });
    assert!(matches!(error, ForceError::ActiveHeard { .. }), "{error}");
    for role in [Role::Preparing, Role::Serving, Role::Holding] {
        let error = pair.refused(Side::Backup, || Seen {
            other: Some(said(role, 3)),
            ..standby(3)
        });
        let text = error.to_string();
        assert!(text.starts_with("the primary is not dead"), "{text}");
        assert!(text.contains(&format!("is {role}")), "{text}");
        let error = pair.refused(Side::Primary, || Seen {
            own: Some(said(role, 3)),
            ..Seen::default()
        });
        assert!(matches!(error, ForceError::AlreadyActive { .. }), "{error}");
    }
    // What another version's role means is not known; another pair's broker says nothing of this one.
    let other = |pair: &str| Seen {
        other: Some(Said {
            pair: pair.to_owned(),
            role: None,
            ..said(Role::Serving, 3)
        }),
        ..Seen::default()
    };
    let error = pair.refused(Side::Backup, || other(NODE));
    assert!(matches!(error, ForceError::OtherLives { .. }), "{error}");
    pair.force(Side::Backup, || other("another")).unwrap();
}

#[test]
fn a_pair_that_never_ran_and_one_of_replication_are_refused() {
    let pair = Pair::without_record();
    let error = pair.refused(Side::Backup, Seen::default);
    assert!(matches!(error, ForceError::NothingHere { .. }), "{error}");
    pair.arbiter.create(&Record::first(NODE, Mode::SharedStore));
    let error = pair.refused(Side::Backup, Seen::default);
    assert!(matches!(error, ForceError::NeverActive { .. }), "{error}");

    let pair = Pair::without_record();
    pair.arbiter.create(&Record::first(NODE, Mode::Replication));
    let error = pair.refused(Side::Backup, Seen::default);
    assert!(matches!(error, ForceError::DataLoss { .. }), "{error}");
    assert!(error.to_string().contains("--accept-data-loss"), "{error}");
}

#[test]
fn a_lost_record_is_made_above_every_epoch_of_the_store() {
    let pair = Pair::without_record();
    for (epoch, writer) in [(3, 7), (5, 8)] {
        pair.term_file(term(epoch, writer));
    }
    // A journal file of epoch 6 whose term file is gone, and a broker that has seen epoch 8.
    let forced = pair
        .force(Side::Backup, || Seen {
            newest_epoch: 6,
            ..standby(8)
        })
        .unwrap();
    assert_eq!((forced.epoch, forced.kind), (9, ForcedKind::Remade));
    let record = pair.record();
    assert_eq!((record.pair.as_str(), record.epoch), (NODE, 9));
    assert_eq!(record.unfenced, [term(3, 7), term(5, 8)]);

    let pair = Pair::without_record();
    let forced = pair.force(Side::Primary, || Seen {
        newest_epoch: 6,
        ..Seen::default()
    });
    let forced = forced.unwrap();
    assert_eq!(
        (forced.epoch, forced.kind),
        (7, ForcedKind::RemadeWithNewPair)
    );
    assert_eq!(
        (forced.pair.as_str(), pair.record().pair.as_str()),
        ("new", "new")
    );
}

#[test]
fn an_old_copy_is_raised_and_keeps_what_it_lists() {
    let pair = Pair::with_a_dead_primary();
    pair.term_file(term(6, 9));
    let forced = pair.force(Side::Backup, || Seen {
        newest_epoch: 6,
        ..Seen::default()
    });
    let forced = forced.unwrap();
    let kind = ForcedKind::RolledBack { epoch: 3 };
    assert_eq!((forced.epoch, forced.kind), (7, kind));
    let record = pair.record();
    assert_eq!(record.pair, NODE);
    assert_eq!(record.unfenced, [term(3, 7), term(6, 9)]);
    // A taker that died before it wrote the record is no sign of an older copy, but is stepped over too.
    pair.term_file(term(11, 5));
    let forced = pair.force(Side::Primary, Seen::default).unwrap();
    assert_eq!((forced.epoch, forced.kind), (12, ForcedKind::Usual));
}

#[test]
fn a_record_that_changes_meanwhile_is_looked_at_anew() {
    // A request says nothing of the active.
    let pair = Pair::with_a_dead_primary();
    let looks = Cell::new(0);
    let forced = pair.force(Side::Backup, || {
        if looks.replace(looks.get() + 1) == 0 {
            pair.write(|record| {
                record.with_wanted(Wanted {
                    to: Side::Backup,
                    epoch: 3,
                    id: "x".to_owned(),
                })
            });
        }
        standby(3)
    });
    assert_eq!((forced.unwrap().epoch, looks.get()), (4, 2));

    // The holder's own write does.
    let pair = Pair::with_a_dead_primary();
    let error = pair.force(Side::Backup, || {
        pair.write(|record| record.removed(&Member::process(Side::Backup, inc(1)), wid(7, 2)));
        standby(3)
    });
    let error = error.unwrap_err();
    assert!(matches!(error, ForceError::HolderWrote { .. }), "{error}");

    // Another takeover is not what the person decided on.
    let pair = Pair::with_a_dead_primary();
    let error = pair.force(Side::Backup, || {
        pair.write(|record| taken(record, Side::Primary, 8));
        standby(3)
    });
    let text = error.unwrap_err().to_string();
    assert!(text.contains("the primary holds epoch 4"), "{text}");

    // Nor is a record that somebody has made meanwhile.
    let pair = Pair::without_record();
    pair.term_file(term(3, 7));
    let error = pair.force(Side::Backup, || {
        let first = Record {
            epoch: 2,
            ..Record::first(NODE, Mode::SharedStore)
        };
        pair.arbiter.create(&taken(&first, Side::Primary, 7));
        standby(3)
    });
    let error = error.unwrap_err();
    assert!(matches!(error, ForceError::Changed { .. }), "{error}");
}

#[test]
fn who_ran_it_is_a_user_and_a_machine() {
    assert!(!arbiter::person().is_empty());
}
