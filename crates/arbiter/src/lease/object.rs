//! The pair record as a `coordination.k8s.io/v1` Lease, and back. Pure.
//!
//! ```text
//! spec.holderIdentity    primary/<incarnation>     who holds the term
//! spec.leaseTransitions  4                         how often that changed
//! spec.acquireTime       of the last change        for people; never read
//! annotations            record.tandem.dev/KEY     every other key of the record
//! ```
//! Everything else of the object (labels, owners, other annotations) is kept as it was found. The Lease is not
//! renewed: `renewTime` and `leaseDurationSeconds` mean nothing to a pair.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use pair::{FORMAT, Incarnation, Record, RecordError, Side};
use serde_json::{Map, Value};
use thiserror::Error;

/// Prefix of the annotations that hold the record.
const PREFIX: &str = "record.tandem.dev/";
/// Keys whose values are plain words, written without quotes.
const WORDS: [&str; 4] = ["pair", "mode", "stopped", "locks"];
/// Keys that fields of the Lease hold.
const HOLDER: &str = "holder";
const TRANSITIONS: &str = "transitions";

/// A Lease whose annotations are a damaged record.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// An annotation or a field is not what this program writes.
    #[error("{what}; restore it, or delete the Lease if both brokers know the pair")]
    Malformed {
        /// Which one, and what is wrong.
        what: String,
    },
    /// A newer version of this program wrote it.
    #[error("it has format {format}; this program knows formats up to {FORMAT}: upgrade it")]
    NewerFormat {
        /// Its format.
        format: u32,
    },
}

fn malformed(what: impl Into<String>) -> LeaseError {
    LeaseError::Malformed { what: what.into() }
}

/// The record in a Lease; `None` if there is none in it. An empty Lease is what an operator leaves in place of one
/// that was deleted, for brokers may not create any: a record that is lost, and can be written again.
pub fn record_of(lease: &Lease) -> Result<Option<Record>, LeaseError> {
    let annotations = lease.metadata.annotations.as_ref();
    let mut fields = Map::new();
    for (key, text) in annotations.into_iter().flatten() {
        let Some(key) = key.strip_prefix(PREFIX) else {
            continue;
        };
        let value = if WORDS.contains(&key) {
            Value::String(text.clone())
        } else {
            serde_json::from_str(text)
                .map_err(|error| malformed(format!("annotation {PREFIX}{key}: {error}")))?
        };
        fields.insert(key.replace('-', "_"), value);
    }
    let spec = lease.spec.clone().unwrap_or_default();
    let identity = spec.holder_identity.filter(|identity| !identity.is_empty());
    if fields.is_empty() {
        return Ok(None);
    }
    let format = fields.get("format").and_then(Value::as_u64);
    let format =
        format.ok_or_else(|| malformed(format!("annotation {PREFIX}format is missing")))?;
    if format > u64::from(FORMAT) {
        let format = u32::try_from(format).unwrap_or(u32::MAX);
        return Err(LeaseError::NewerFormat { format });
    }
    let details = fields.remove(HOLDER);
    if let Some(identity) = identity {
        fields.insert(HOLDER.to_owned(), holder(&identity, details)?);
    }
    if let Some(transitions) = spec.lease_transitions {
        fields.insert(TRANSITIONS.to_owned(), transitions.into());
    }
    // What holds a term and has none, or the other way round, was edited by hand.
    let epoch = fields.get("epoch").and_then(Value::as_u64);
    if epoch == Some(0) && fields.contains_key(HOLDER) {
        return Err(malformed("holderIdentity is set in epoch 0"));
    }
    let text =
        serde_json::to_vec(&Value::Object(fields)).map_err(|error| malformed(error.to_string()))?;
    Record::parse(&text).map(Some).map_err(|error| match error {
        RecordError::NewerFormat { format } => LeaseError::NewerFormat { format },
        RecordError::TooLarge { .. } | RecordError::Malformed(_) => malformed(error.to_string()),
    })
}

/// The holder of the record: who it is from the Lease's own field, its pod and kernel from the annotation.
fn holder(identity: &str, details: Option<Value>) -> Result<Value, LeaseError> {
    let bad = || {
        malformed(format!(
            "holderIdentity '{identity}' is not SIDE/INCARNATION"
        ))
    };
    let (side, inc) = identity.split_once('/').ok_or_else(bad)?;
    side.parse::<Side>().map_err(|_| bad())?;
    inc.parse::<Incarnation>().map_err(|_| bad())?;
    let mut holder = match details {
        Some(Value::Object(details)) => details,
        Some(_) | None => Map::new(),
    };
    holder.insert("side".to_owned(), side.into());
    holder.insert("inc".to_owned(), inc.into());
    Ok(Value::Object(holder))
}

/// The same Lease with this record in place of the one it holds.
pub fn with_record(lease: &Lease, record: &Record) -> Result<Lease, RecordError> {
    // Refused here if no reader would take it.
    record.to_json()?;
    let Value::Object(fields) = serde_json::to_value(record)? else {
        return Ok(lease.clone());
    };
    let mut lease = lease.clone();
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.retain(|key, _| !key.starts_with(PREFIX));
    annotations.extend(annotations_of(fields));
    let last = record.last.as_ref();
    let acquired = last.and_then(|last| {
        let at = i64::try_from(last.at).ok()?;
        Timestamp::from_millisecond(at).ok().map(MicroTime)
    });
    lease.spec = Some(LeaseSpec {
        holder_identity: record
            .holder
            .as_ref()
            .map(|holder| format!("{}/{}", holder.side, holder.inc)),
        lease_transitions: Some(i32::try_from(record.transitions).unwrap_or(i32::MAX)),
        acquire_time: acquired,
        ..lease.spec.unwrap_or_default()
    });
    Ok(lease)
}

fn annotations_of(fields: Map<String, Value>) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    for (key, value) in fields {
        let value = match (key.as_str(), value) {
            (TRANSITIONS, _) | (_, Value::Null) => continue,
            (HOLDER, Value::Object(mut holder)) => {
                holder.retain(|key, value| {
                    !matches!(key.as_str(), "side" | "inc") && !value.is_null()
                });
                Value::Object(holder)
            }
            (_, Value::Array(list)) if list.is_empty() => continue,
            (_, value) => value,
        };
        let word = value.as_str().filter(|_| WORDS.contains(&key.as_str()));
        let text = word.map_or_else(|| value.to_string(), str::to_owned);
        annotations.insert(format!("{PREFIX}{}", key.replace('_', "-")), text);
    }
    annotations
}

#[cfg(test)]
mod tests {
    use pair::{Cause, Holder, Locks, Member, Mode, Refused, Term, Transition, Wanted, WriteId};

    use super::*;

    fn full() -> Record {
        let inc = Incarnation([7; 16]);
        Record {
            epoch: 9,
            holder: Some(Holder {
                side: Side::Backup,
                inc,
                pod: Some("orders-backup-0".to_owned()),
                boot: Some("b0".to_owned()),
            }),
            in_sync: vec![Member::process(Side::Backup, inc)],
            wanted: Some(Wanted {
                to: Side::Primary,
                epoch: 9,
                id: "one".to_owned(),
            }),
            refused: Some(Refused {
                id: "zero".to_owned(),
                reason: "not \"yet\"".to_owned(),
            }),
            stopped: Some(Side::Primary),
            last: Some(Transition {
                cause: Cause::ActiveSilent,
                at: 1_764_000_000_123,
                gap_ms: Some(120),
                by: Some("ops".to_owned()),
            }),
            promise_ms: 2_000,
            unfenced: vec![Term { epoch: 8, inc }],
            locks: Some(Locks::Seen),
            transitions: 4,
            serial: 31,
            wid: Some(WriteId { inc, n: 3 }),
            foreign: [("of_later".to_owned(), serde_json::json!({"a": [1]}))].into(),
            ..Record::first("node-1", Mode::SharedStore)
        }
    }

    #[test]
    fn a_record_survives_the_way_through_a_lease() {
        for record in [full(), Record::first("17", Mode::Replication)] {
            let lease = with_record(&Lease::default(), &record).unwrap();
            assert_eq!(record_of(&lease).unwrap(), Some(record));
        }
    }

    #[test]
    fn people_find_what_they_look_for() {
        let lease = with_record(&Lease::default(), &full()).unwrap();
        let spec = lease.spec.unwrap();
        let identity = format!("backup/{}", "07".repeat(16));
        assert_eq!(spec.holder_identity, Some(identity));
        assert_eq!(spec.lease_transitions, Some(4));
        let annotations = lease.metadata.annotations.unwrap();
        assert_eq!(annotations["record.tandem.dev/epoch"], "9");
        assert_eq!(annotations["record.tandem.dev/pair"], "node-1");
        assert_eq!(annotations["record.tandem.dev/mode"], "shared-store");
        assert!(annotations["record.tandem.dev/in-sync"].contains("backup"));
    }

    #[test]
    fn what_else_is_in_the_object_stays() {
        let mut lease = with_record(&Lease::default(), &full()).unwrap();
        lease.metadata.uid = Some("u".to_owned());
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert("example.com/note".to_owned(), "mine".to_owned());
        let next = with_record(&lease, &Record::first("node-1", Mode::SharedStore)).unwrap();
        assert_eq!(next.metadata.uid.as_deref(), Some("u"));
        let annotations = next.metadata.annotations.unwrap();
        assert_eq!(annotations["example.com/note"], "mine");
        assert!(!annotations.contains_key("record.tandem.dev/wanted"));
        assert_eq!(next.spec.unwrap().holder_identity, None);
    }

    #[test]
    fn an_empty_lease_holds_no_record() {
        assert!(record_of(&Lease::default()).unwrap().is_none());
        let mut lease = Lease::default();
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert("example.com/note".to_owned(), "mine".to_owned());
        assert!(record_of(&lease).unwrap().is_none());
    }

    #[test]
    fn a_damaged_record_is_never_taken_for_a_missing_one() {
        let break_with = |change: fn(&mut Lease)| {
            let mut lease = with_record(&Lease::default(), &full()).unwrap();
            change(&mut lease);
            record_of(&lease).unwrap_err().to_string()
        };
        let text = break_with(|lease| {
            let annotations = lease.metadata.annotations.as_mut().unwrap();
            annotations.remove("record.tandem.dev/format");
        });
        assert!(text.contains("format is missing"), "{text}");
        let text = break_with(|lease| {
            let annotations = lease.metadata.annotations.as_mut().unwrap();
            annotations.insert("record.tandem.dev/epoch".to_owned(), "nine".to_owned());
        });
        assert!(
            text.contains("annotation record.tandem.dev/epoch"),
            "{text}"
        );
        let text = break_with(|lease| {
            let annotations = lease.metadata.annotations.as_mut().unwrap();
            annotations.remove("record.tandem.dev/epoch");
        });
        assert!(text.contains("epoch"), "{text}");
        let text = break_with(|lease| {
            lease.spec.as_mut().unwrap().holder_identity = Some("me".to_owned());
        });
        assert!(text.contains("holderIdentity 'me'"), "{text}");
        let text = break_with(|lease| {
            let annotations = lease.metadata.annotations.as_mut().unwrap();
            annotations.insert("record.tandem.dev/format".to_owned(), "99".to_owned());
        });
        assert!(text.contains("format 99"), "{text}");
    }
}
