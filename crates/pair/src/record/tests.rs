use super::writes::{MAX_REASON_CHARS, MAX_UNFENCED};
use super::*;

fn inc(byte: u8) -> Incarnation {
    Incarnation([byte; 16])
}

fn taker(side: Side, byte: u8) -> Taker {
    Taker {
        holder: Holder {
            side,
            inc: inc(byte),
            pod: None,
            boot: None,
        },
        path: TakerPath::Proof,
        cause: Cause::ProcessEnded,
        at_unix_ms: 1_000,
        saw_lock_refused: false,
    }
}

fn wid(byte: u8, n: u64) -> WriteId {
    WriteId { inc: inc(byte), n }
}

fn with_foreign_key() -> Record {
    let mut record = Record::first("node-1", Mode::SharedStore);
    record
        .foreign
        .insert("colour".to_owned(), serde_json::json!({"deep": [1, 2]}));
    record
}

#[test]
fn a_takeover_replaces_the_holder_and_ends_requests() {
    let first = with_foreign_key().takeover(taker(Side::Primary, 1), wid(1, 1));
    assert_eq!((first.epoch, first.transitions, first.serial), (1, 1, 1));
    assert_eq!(first.unfenced, []);
    assert_eq!(
        first.in_sync,
        [Member {
            side: Side::Primary,
            id: inc(1).to_string()
        }]
    );

    let mut asked = first.with_wanted(Wanted::failback(inc(9), 1));
    assert_eq!((asked.serial, asked.wid), (first.serial, first.wid));
    asked.stopped = Some(Side::Primary);
    let second = asked.takeover(taker(Side::Backup, 2), wid(2, 1));
    assert_eq!((second.epoch, second.serial), (2, 2));
    assert_eq!(
        second.unfenced,
        [Term {
            epoch: 1,
            inc: inc(1)
        }]
    );
    assert_eq!((second.wanted.clone(), second.stopped), (None, None));
    assert_eq!(second.foreign, with_foreign_key().foreign);

    let third = second.takeover(taker(Side::Primary, 3), wid(3, 1));
    assert_eq!(
        third.unfenced,
        [
            Term {
                epoch: 1,
                inc: inc(1)
            },
            Term {
                epoch: 2,
                inc: inc(2)
            }
        ],
        "a taker that dies before it fenced leaves both terms to the next one"
    );
    let done = third.fences_done(Some(40), wid(3, 2));
    assert_eq!(done.unfenced, []);
    assert_eq!(done.last.and_then(|last| last.gap_ms), Some(40));
}

#[test]
fn the_text_reads_back_with_keys_this_program_does_not_know() {
    let record = with_foreign_key()
        .takeover(taker(Side::Backup, 7), wid(7, 3))
        .with_refused("id-1", &"x".repeat(1_000), wid(7, 4));
    let text = record.to_json().unwrap();
    assert_eq!(Record::parse(text.as_bytes()).unwrap(), record);
    assert_eq!(record.refused.unwrap().reason.len(), MAX_REASON_CHARS);
    assert!(text.contains(r#""colour":{"deep":[1,2]}"#), "{text}");
    assert!(
        text.contains(&format!(r#""inc":"{}""#, "07".repeat(16))),
        "{text}"
    );
}

#[test]
fn a_crash_loop_leaves_the_record_readable() {
    let mut record = Record::first("n", Mode::SharedStore);
    for n in 0..2_000 {
        let inc = Incarnation(u128::from(n).to_be_bytes());
        let mut taker = taker(Side::Backup, 1);
        taker.holder.inc = inc;
        record = record.takeover(taker, WriteId { inc, n });
    }
    let newest = record.unfenced.last().copied();
    assert_eq!(record.unfenced.len(), MAX_UNFENCED);
    assert_eq!(newest.map(|term| term.epoch), Some(1_999));
    let text = record.to_json().unwrap();
    assert_eq!(Record::parse(text.as_bytes()).unwrap(), record);
}

#[test]
fn a_record_that_nobody_would_read_is_not_written() {
    let mut record = with_foreign_key();
    let large = "x".repeat(MAX_RECORD_BYTES);
    record.foreign.insert("note".to_owned(), large.into());
    assert!(matches!(
        record.to_json(),
        Err(RecordError::TooLarge { bytes }) if bytes > MAX_RECORD_BYTES
    ));
}

#[test]
fn causes_of_other_versions_are_kept() {
    let text = serde_json::to_string(&Cause::Other("solar-flare".into())).unwrap();
    assert_eq!(text, r#""solar-flare""#);
    let cause: Cause = serde_json::from_str(&text).unwrap();
    assert_eq!(cause, Cause::Other("solar-flare".into()));
    let known: Cause = serde_json::from_str(r#""taken-back""#).unwrap();
    assert_eq!(known, Cause::TakenBack);
}

#[test]
fn newer_formats_large_and_broken_texts_are_told_apart() {
    let newer = br#"{"format": 2, "pair": ["unlike", "today"]}"#;
    assert!(matches!(
        Record::parse(newer),
        Err(RecordError::NewerFormat { format: 2 })
    ));
    assert!(matches!(Record::parse(b""), Err(RecordError::Malformed(_))));
    assert!(matches!(
        Record::parse(br#"{"format": 1}"#),
        Err(RecordError::Malformed(_))
    ));
    let large = vec![b' '; MAX_RECORD_BYTES + 1];
    assert!(matches!(
        Record::parse(&large),
        Err(RecordError::TooLarge { .. })
    ));
}

#[test]
fn only_a_request_of_the_current_term_is_in_force() {
    let record = Record::first("n", Mode::SharedStore).takeover(taker(Side::Backup, 1), wid(1, 1));
    assert!(
        record
            .with_wanted(Wanted::failback(inc(2), 1))
            .wanted_now()
            .is_some()
    );
    assert!(
        record
            .with_wanted(Wanted::failback(inc(2), 0))
            .wanted_now()
            .is_none()
    );
    assert!(record.is_older_than(1, 2) && record.is_older_than(2, 0));
    assert!(!record.is_older_than(1, 1) && !record.is_older_than(0, 9));
}

proptest::proptest! {
    #[test]
    fn damaged_texts_are_refused_or_read_never_more(at: proptest::sample::Index, byte: u8) {
        let record = with_foreign_key().takeover(taker(Side::Backup, 7), wid(7, 3));
        let mut text = record.to_json().unwrap().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(read) = Record::parse(&text) {
            let again = Record::parse(read.to_json().unwrap().as_bytes()).unwrap();
            proptest::prop_assert_eq!(again, read);
        }
    }
}

#[test]
fn a_record_is_raised_above_what_was_seen_and_says_what_it_said() {
    let record = with_foreign_key().takeover(taker(Side::Primary, 1), wid(1, 1));
    let raised = record.raised(7, wid(1, 2));
    assert_eq!((raised.serial, raised.wid), (8, Some(wid(1, 2))));
    assert!(!raised.is_older_than(record.epoch, 7));
    let restored = Record {
        serial: record.serial,
        wid: record.wid,
        ..raised
    };
    assert_eq!(restored, record, "nothing else changes");
    // Less than it has already is no reason to go back.
    assert_eq!(record.raised(0, wid(1, 2)).serial, record.serial + 1);
}
