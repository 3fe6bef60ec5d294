//! Sends and transactions.
//!
//! A session that does not commit by itself collects its sends and acknowledgements; nobody sees
//! them until the commit, which is one record: after a crash all of it counts or nothing. A send or
//! acknowledgement that fails dooms the transaction, because its client may not wait for answers;
//! the commit reports the failure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use core_protocol::message::Message;

use crate::address::{check_name, split_name};
use crate::command::CreateQueue;
use crate::config::{Permission, RoutingType};
use crate::duplicates::duplicate_id;
use crate::effect::{Effect, Effects};
use crate::engine::{Answer, Engine, Outcome};
use crate::error::{EngineError, code};
use crate::ids::{QueueId, SessionKey};
use crate::record::{Change, RecordBody};
use crate::redelivery::{Returned, unroutable_copy};
use crate::routing::{Planned, ROUTING_TYPE};
use crate::stored::Taken;

/// Bytes of messages one transaction may hold: they are in memory and become one record.
pub(crate) const MAX_TRANSACTION_BYTES: usize = 64 * 1024 * 1024;

/// What a session will do when it commits.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    sends: Vec<(String, Message)>,
    bytes: usize,
    duplicate_ids: BTreeSet<(String, Bytes)>,
    pub(crate) acknowledged: Vec<(QueueId, Taken)>,
    /// Why it can only be rolled back: the first failure.
    failure: Option<EngineError>,
}

impl Transaction {
    pub(crate) fn fail(&mut self, error: &EngineError) {
        self.failure.get_or_insert_with(|| error.clone());
    }
}

impl Engine {
    pub(crate) fn send(
        &mut self,
        now_ms: u64,
        session: SessionKey,
        message: Message,
        address: Option<String>,
        effects: &mut Effects,
    ) -> Outcome {
        let transacted = !self.session(session)?.auto_commit_sends;
        let outcome = self.try_send(now_ms, session, message, address, transacted, effects);
        if let (true, Err(error)) = (transacted, &outcome)
            && let Some(session) = self.sessions.get_mut(&session)
        {
            session.transaction.fail(error);
        }
        outcome
    }

    fn try_send(
        &mut self,
        now_ms: u64,
        session: SessionKey,
        message: Message,
        address: Option<String>,
        transacted: bool,
        effects: &mut Effects,
    ) -> Outcome {
        let Some(name) = address.or_else(|| message.address().map(str::to_owned)) else {
            let message = "the message has no address";
            return Err(EngineError::new(code::ADDRESS_DOES_NOT_EXIST, message));
        };
        check_name("address", &name)?;
        let (address, queue) = split_name(&name);
        if address == self.management_address {
            self.check(session, Permission::Manage, address, None)?;
            let after = self.gate(session, 0);
            effects.effects.push(Effect::ManagementRequest {
                session,
                message,
                after,
            });
            return Ok(Answer::done(0));
        }
        self.check_named_queues(session, &message, address)?;
        self.check(session, Permission::Send, address, queue)?;
        let message = self.readdress(now_ms, message, &name);
        let duplicate = duplicate_id(&message)?;
        if let Some(id) = &duplicate
            && let Some(record) = self
                .duplicates
                .get(address)
                .and_then(|cache| cache.find(id))
        {
            if transacted {
                return Err(duplicate_error(address));
            }
            // The message is there already; its sender may know once that is certain.
            return Ok(Answer::done(record));
        }
        if transacted {
            return self.collect(session, name, message, duplicate);
        }
        let planned = self.plan_for(now_ms, session, message, &name, effects);
        let record = match self.planned_change(&planned) {
            Some(change) => self.emit(&RecordBody::Change(change), effects),
            None => 0,
        };
        self.place(planned, record);
        Ok(Answer::done(record))
    }

    fn collect(
        &mut self,
        key: SessionKey,
        name: String,
        message: Message,
        duplicate: Option<Bytes>,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Err(EngineError::no_session());
        };
        let transaction = &mut session.transaction;
        if transaction.failure.is_some() {
            // Nothing of it will be kept; the commit says why.
            return Ok(Answer::done(0));
        }
        let bytes = transaction.bytes.saturating_add(message.encoded_len());
        if bytes > MAX_TRANSACTION_BYTES {
            let message = format!(
                "the transaction holds more than {MAX_TRANSACTION_BYTES} bytes; commit earlier"
            );
            return Err(EngineError::new(code::ADDRESS_FULL, message));
        }
        if let Some(id) = duplicate {
            let address = split_name(&name).0.to_owned();
            let error = duplicate_error(&address);
            if !transaction.duplicate_ids.insert((address, id)) {
                return Err(error);
            }
        }
        transaction.bytes = bytes;
        transaction.sends.push((name, message));
        Ok(Answer::done(0))
    }

    /// The message as it is kept: addressed to where it is sent, with the expiration that the
    /// settings allow.
    fn readdress(&self, now_ms: u64, message: Message, name: &str) -> Message {
        let settings = self.settings_of(split_name(name).0);
        let wanted = message.expiration_ms();
        let expiration_ms = expiration(now_ms, wanted, &settings);
        if expiration_ms == wanted && message.address() == Some(name) {
            return message;
        }
        let mut builder = message.to_builder();
        builder.address = Some(name.to_owned());
        builder.expiration_ms = expiration_ms;
        builder.build()
    }

    /// Plans a client's message. One for a queue that may be created on the fly and is gone (its
    /// producer asked for it before) gets that queue; one without any queue may go to the dead
    /// letter address; otherwise it is accepted and forgotten.
    fn plan_for(
        &mut self,
        now_ms: u64,
        session: SessionKey,
        message: Message,
        name: &str,
        effects: &mut Effects,
    ) -> Planned {
        self.create_missing_queue(session, &message, name, effects);
        let planned = self.plan(now_ms, message, name);
        if !planned.queues.is_empty() {
            return planned;
        }
        let settings = self.settings_of(split_name(name).0);
        match &settings.dead_letter_address {
            Some(target) if settings.send_to_dla_on_no_route && target != name => {
                let target = target.clone();
                let copy = unroutable_copy(&planned, name, &target);
                let mut moved = self.plan(now_ms, copy, &target);
                moved.duplicate = planned.duplicate;
                moved
            }
            Some(_) | None => planned,
        }
    }

    fn create_missing_queue(
        &mut self,
        session: SessionKey,
        message: &Message,
        name: &str,
        effects: &mut Effects,
    ) {
        let anycast = i64::from(RoutingType::Anycast.code());
        let (address, queue) = split_name(name);
        let wanted = message
            .property(ROUTING_TYPE)
            .and_then(|value| value.as_i64());
        if wanted != Some(anycast) || queue.is_some() {
            return;
        }
        // Only while the address is there: that of a deleted temporary queue is not, and nobody
        // would ever look for what is sent there.
        let missing = self
            .addresses
            .get(address)
            .is_some_and(|found| found.anycast.is_empty());
        let taken = self.queue_names.contains_key(address);
        if missing && !taken && self.settings_of(address).auto_create_queues {
            let create = CreateQueue {
                auto_created: true,
                routing_type: Some(RoutingType::Anycast),
                ..CreateQueue::new(address, address)
            };
            // Refused for lack of a permission: then the message has no queue, as without this.
            let _refused = self.create_queue(session, create, effects).is_err();
        }
    }

    pub(crate) fn commit(
        &mut self,
        now_ms: u64,
        key: SessionKey,
        effects: &mut Effects,
    ) -> Outcome {
        let transaction = match self.sessions.get_mut(&key) {
            Some(session) => std::mem::take(&mut session.transaction),
            None => return Err(EngineError::no_session()),
        };
        let Transaction {
            sends,
            acknowledged,
            duplicate_ids,
            failure,
            ..
        } = transaction;
        let duplicate = duplicate_ids.iter().find(|(address, id)| {
            self.duplicates
                .get(address)
                .is_some_and(|cache| cache.find(id).is_some())
        });
        let failure = failure.or_else(|| duplicate.map(|(address, _)| duplicate_error(address)));
        if let Some(failure) = failure {
            self.give_back(now_ms, returned(acknowledged), effects);
            return Err(failure);
        }
        let mut planned = Vec::with_capacity(sends.len());
        for (name, message) in sends {
            planned.push(self.plan_for(now_ms, key, message, &name, effects));
        }
        let mut changes: Vec<Change> = planned
            .iter()
            .filter_map(|planned| self.planned_change(planned))
            .collect();
        changes.extend(self.removals(&acknowledged));
        let record = self.emit_changes(changes, effects);
        for planned in planned {
            self.place(planned, record);
        }
        self.settled(&acknowledged);
        Ok(Answer::done(record))
    }

    /// Emits changes that belong together; the number of their record, or 0 without any.
    pub(crate) fn emit_changes(&mut self, mut changes: Vec<Change>, effects: &mut Effects) -> u64 {
        let body = match changes.len() {
            0 => return 0,
            1 => RecordBody::Change(changes.swap_remove(0)),
            _ => RecordBody::Transaction(changes),
        };
        self.emit(&body, effects)
    }

    pub(crate) fn rollback(
        &mut self,
        now_ms: u64,
        key: SessionKey,
        consider_last_delivered: bool,
        effects: &mut Effects,
    ) -> Answer {
        let mut all = self.take_transaction(key);
        for key in self.consumers_of(key) {
            let Some(consumer) = self.consumers.get_mut(&key) else {
                continue;
            };
            let deliveries = consumer
                .settle_all()
                .into_iter()
                .enumerate()
                .map(|(index, taken)| Returned {
                    taken,
                    counts: consider_last_delivered && index == 0,
                });
            all.entry(consumer.queue).or_default().extend(deliveries);
        }
        let before = self.records;
        self.give_back(now_ms, all, effects);
        Answer::done(if self.records > before {
            self.records
        } else {
            0
        })
    }

    /// Ends the transaction of a session; what it acknowledged is to be given back.
    pub(crate) fn take_transaction(&mut self, key: SessionKey) -> BTreeMap<QueueId, Vec<Returned>> {
        let transaction = match self.sessions.get_mut(&key) {
            Some(session) => std::mem::take(&mut session.transaction),
            None => Transaction::default(),
        };
        returned(transaction.acknowledged)
    }
}

/// Acknowledged messages whose transaction failed: their deliveries count.
fn returned(acknowledged: Vec<(QueueId, Taken)>) -> BTreeMap<QueueId, Vec<Returned>> {
    let mut queues: BTreeMap<QueueId, Vec<Returned>> = BTreeMap::new();
    for (queue, taken) in acknowledged {
        queues.entry(queue).or_default().push(Returned {
            taken,
            counts: true,
        });
    }
    queues
}

fn duplicate_error(address: &str) -> EngineError {
    let message = format!("AMQ229100: a message with this duplicate id was sent to {address}");
    EngineError::new(code::DUPLICATE_ID, message)
}

/// The expiration a message gets at an address.
fn expiration(now_ms: u64, wanted_ms: i64, settings: &crate::config::AddressSettings) -> i64 {
    if settings.no_expiry {
        return 0;
    }
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let given = wanted_ms > 0;
    if settings.expiry_delay_ms >= 0 {
        return if given {
            wanted_ms
        } else {
            now_ms.saturating_add(settings.expiry_delay_ms)
        };
    }
    let latest = (settings.max_expiry_delay_ms >= 0)
        .then(|| now_ms.saturating_add(settings.max_expiry_delay_ms));
    if !given {
        return latest.unwrap_or(wanted_ms);
    }
    let earliest = if settings.min_expiry_delay_ms >= 0 {
        now_ms.saturating_add(settings.min_expiry_delay_ms)
    } else {
        wanted_ms
    };
    wanted_ms.max(earliest).min(latest.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AddressSettings;

    #[test]
    fn settings_decide_about_the_expiration() {
        let none = AddressSettings::default();
        assert_eq!(expiration(1_000, 0, &none), 0);
        assert_eq!(expiration(1_000, 5, &none), 5);
        let never = AddressSettings {
            no_expiry: true,
            ..AddressSettings::default()
        };
        assert_eq!(expiration(1_000, 5_000, &never), 0);
        let default = AddressSettings {
            expiry_delay_ms: 100,
            ..AddressSettings::default()
        };
        assert_eq!(expiration(1_000, 0, &default), 1_100);
        assert_eq!(expiration(1_000, 9_000, &default), 9_000);
        let bounds = AddressSettings {
            min_expiry_delay_ms: 100,
            max_expiry_delay_ms: 200,
            ..AddressSettings::default()
        };
        assert_eq!(expiration(1_000, 0, &bounds), 1_200);
        assert_eq!(expiration(1_000, 1_050, &bounds), 1_100);
        assert_eq!(expiration(1_000, 1_150, &bounds), 1_150);
        assert_eq!(expiration(1_000, 9_000, &bounds), 1_200);
    }
}
