use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn queue_id() -> impl Strategy<Value = QueueId> {
    any::<i64>().prop_map(QueueId)
}

fn change() -> impl Strategy<Value = Change> {
    let added = (
        any::<i64>(),
        vec(queue_id(), 0..5),
        any::<u64>(),
        vec(any::<u8>(), 0..300),
    )
        .prop_map(|(id, queues, scheduled_ms, block)| Change::Added {
            id,
            queues,
            scheduled_ms,
            block: Bytes::from(block),
        });
    let removed = (queue_id(), vec(any::<i64>(), 0..40))
        .prop_map(|(queue, ids)| Change::Removed { queue, ids });
    prop_oneof![added, removed]
}

fn queue() -> impl Strategy<Value = QueueRecord> {
    let flags = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    let texts = (".{0,20}", ".{0,20}", option::of(".{0,20}"));
    let numbers = (any::<i32>(), any::<i64>(), any::<i64>());
    (queue_id(), texts, flags, any::<bool>(), numbers).prop_map(
        |(queue, (name, address, filter), flags, anycast, numbers)| QueueRecord {
            queue,
            name,
            address,
            filter,
            routing_type: if anycast {
                RoutingType::Anycast
            } else {
                RoutingType::Multicast
            },
            purge_on_no_consumers: flags.0,
            exclusive: flags.1,
            enabled: flags.2,
            auto_created: flags.3,
            auto_delete: flags.4,
            max_consumers: numbers.0,
            auto_delete_delay_ms: numbers.1,
            auto_delete_message_count: numbers.2,
        },
    )
}

fn message_restated() -> impl Strategy<Value = RecordBody> {
    let holder =
        (queue_id(), any::<u32>(), any::<u64>()).prop_map(|(queue, count, scheduled_ms)| Holder {
            queue,
            count,
            scheduled_ms,
        });
    let block = vec(any::<u8>(), 0..300);
    (any::<i64>(), vec(holder, 0..5), block).prop_map(|(id, holders, block)| {
        RecordBody::MessageRestated(Box::new(MessageRestated {
            id,
            holders,
            block: block.into(),
        }))
    })
}

fn duplicates_restated() -> impl Strategy<Value = RecordBody> {
    let id = vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    (".{0,20}", vec((any::<i64>(), id), 0..6)).prop_map(|(address, entries)| {
        RecordBody::DuplicatesRestated(DuplicatesRestated { address, entries })
    })
}

fn body() -> impl Strategy<Value = RecordBody> {
    let entry = (any::<i64>(), any::<u32>(), any::<u64>()).prop_map(|(id, count, scheduled_ms)| {
        DeliveryCount {
            id,
            count,
            scheduled_ms,
        }
    });
    prop_oneof![
        (".{0,20}", any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(name, anycast, multicast, auto_created)| RecordBody::AddressCreated {
                name,
                routing_types: RoutingTypes { anycast, multicast },
                auto_created,
            }
        ),
        ".{0,20}".prop_map(|name| RecordBody::AddressDeleted { name }),
        queue().prop_map(|queue| RecordBody::QueueCreated(Box::new(queue))),
        queue_id().prop_map(|queue| RecordBody::QueueDeleted { queue }),
        change().prop_map(RecordBody::Change),
        vec(change(), 0..6).prop_map(RecordBody::Transaction),
        (queue_id(), vec(entry, 0..6))
            .prop_map(|(queue, entries)| RecordBody::DeliveryCounts { queue, entries }),
        Just(RecordBody::Restating),
        Just(RecordBody::Restated),
        queue().prop_map(|queue| RecordBody::QueueRestated(Box::new(queue))),
        message_restated(),
        duplicates_restated(),
    ]
}

proptest! {
    #[test]
    fn every_record_reads_back_as_it_was(body in body()) {
        let record = body.encode();
        prop_assert_eq!(RecordBody::decode(record.kind, record.payload).unwrap(), body);
    }

    #[test]
    fn a_cut_record_is_refused(body in body(), cut in any::<prop::sample::Index>()) {
        let record = body.encode();
        let cut = cut.index(record.payload.len());
        prop_assert!(RecordBody::decode(record.kind, record.payload.slice(..cut)).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(kind in 0_u8..16, bytes in vec(any::<u8>(), 0..200)) {
        // Whatever is accepted must be what would be written, so nothing is silently ignored.
        if let Ok(body) = RecordBody::decode(kind, Bytes::from(bytes)) {
            let again = body.encode();
            prop_assert_eq!(RecordBody::decode(again.kind, again.payload).unwrap(), body);
        }
    }
}

#[test]
fn unknown_kinds_and_versions_are_refused() {
    assert_eq!(
        RecordBody::decode(99, Bytes::from_static(&[1])),
        Err(RecordError::UnknownKind { kind: 99 })
    );
    assert_eq!(
        RecordBody::decode(QUEUE_DELETED, Bytes::from_static(&[7, 2])),
        Err(RecordError::UnknownVersion {
            kind: QUEUE_DELETED,
            version: 7
        })
    );
    assert_eq!(
        RecordBody::decode(QUEUE_DELETED, Bytes::from_static(&[1, 2, 0])),
        Err(RecordError::TrailingBytes { count: 1 })
    );
}

#[test]
fn a_length_beyond_the_record_is_refused_before_anything_is_allocated() {
    let mut out = Writer::with_capacity(16);
    out.byte(VERSION);
    out.signed(1);
    out.number(u64::MAX);
    assert_eq!(
        RecordBody::decode(MESSAGES_REMOVED, out.finish()),
        Err(RecordError::UnexpectedEnd)
    );
}

#[test]
fn the_layout_on_disk_stays_as_it_is() {
    let record = RecordBody::Change(Change::Added {
        id: 300,
        queues: vec![QueueId(1)],
        scheduled_ms: 0,
        block: Bytes::from_static(b"abc"),
    })
    .encode();
    assert_eq!(record.kind, 5);
    assert_eq!(
        record.payload.as_ref(),
        [1, 0xd8, 0x04, 1, 2, 0, 3, b'a', b'b', b'c']
    );
}
