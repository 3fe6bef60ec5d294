//! Which brokers the client knows of, and in which order it dials them after a loss.
//!
//! Pure: it keeps what brokers published and computes; it never resolves names or opens sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::error::LossReason;
use crate::options::Endpoint;

/// Members remembered. A pair is one member; a cluster of pairs has a few, and a broker that
/// publishes more than this is not to fill the client's memory.
const MAX_MEMBERS: usize = 64;

/// One published change of one member (a live broker and its backup, sharing a node id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberUpdate {
    pub(crate) node_id: String,
    pub(crate) event_id: i64,
    /// The member went down.
    pub(crate) exit: bool,
    pub(crate) live: Option<Endpoint>,
    pub(crate) backup: Option<Endpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    event_id: i64,
    live: Option<Endpoint>,
    backup: Option<Endpoint>,
}

/// The members published on the current connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    members: BTreeMap<String, Member>,
}

impl Topology {
    /// Takes an update in, unless what is stored is newer.
    pub(crate) fn apply(&mut self, update: MemberUpdate) {
        let known = self.members.get_mut(&update.node_id);
        let Some(member) = known else {
            if self.members.len() < MAX_MEMBERS {
                let (live, backup) = if update.exit {
                    (None, None)
                } else {
                    (update.live, update.backup)
                };
                let event_id = update.event_id;
                let member = Member {
                    event_id,
                    live,
                    backup,
                };
                self.members.insert(update.node_id, member);
            }
            return;
        };
        if update.event_id <= member.event_id && member.live.is_some() {
            return;
        }
        member.event_id = update.event_id;
        if update.exit {
            member.live = None;
            member.backup = None;
        } else {
            // An absent connector keeps the stored one: only an exit clears it.
            member.live = update.live.or_else(|| member.live.take());
            member.backup = update.backup.or_else(|| member.backup.take());
        }
    }

    /// The node id of the broker dialled at `current`, if it can be told.
    pub(crate) fn node_of(&self, current: &Endpoint, resolved: SocketAddr) -> Option<&str> {
        self.member_of(current, resolved)
            .map(|(node_id, _)| node_id)
    }

    /// The connectors of the same pair other than `current`, the likeliest one first.
    pub(crate) fn others(&self, current: &Endpoint, resolved: SocketAddr) -> Vec<Endpoint> {
        let Some((_, member)) = self.member_of(current, resolved) else {
            return Vec::new();
        };
        [&member.backup, &member.live]
            .into_iter()
            .flatten()
            .filter(|other| !current.is_same_listener(other, Some(resolved)))
            .cloned()
            .collect()
    }

    /// The member whose live connector was dialled; a sole member is it under any name, because
    /// behind a forwarder the published address differs from the dialled one.
    fn member_of(&self, current: &Endpoint, resolved: SocketAddr) -> Option<(&str, &Member)> {
        let dialled = |member: &Member| {
            let live = member.live.as_ref();
            live.is_some_and(|live| current.is_same_listener(live, Some(resolved)))
        };
        let mut members = self
            .members
            .iter()
            .map(|(id, member)| (id.as_str(), member));
        if self.members.len() == 1 {
            return members.next();
        }
        members.find(|(_, member)| dialled(member))
    }
}

/// What decides the order of dialling after a loss.
#[derive(Debug)]
pub(crate) struct Lost<'a> {
    pub(crate) current: &'a Endpoint,
    pub(crate) reason: &'a LossReason,
    /// Where the broker sent the client, if it said so.
    pub(crate) redirect: Option<Endpoint>,
    /// Connectors of the same pair, from the topology.
    pub(crate) learnt: Vec<Endpoint>,
    /// The broker before the current one.
    pub(crate) previous: Option<Endpoint>,
    pub(crate) given: &'a [Endpoint],
}

/// The endpoints of one round, each once.
///
/// The current one comes first, since a short break is the likeliest loss; but last when it fell
/// silent or sent its clients away. A frozen broker still accepts TCP, and each visit would cost
/// a whole call timeout.
pub(crate) fn dial_order(lost: Lost<'_>) -> Vec<Endpoint> {
    let avoid_current = match lost.reason {
        LossReason::SentAway { .. }
        | LossReason::Silent { .. }
        | LossReason::CallTimeout { .. } => true,
        LossReason::Io { .. }
        | LossReason::ConnectTimeout { .. }
        | LossReason::ClosedByBroker
        | LossReason::ClosedHere
        | LossReason::NotCore { .. }
        | LossReason::NotReady
        | LossReason::Refused(_)
        | LossReason::Version { .. } => false,
    };
    let mut order: Vec<Endpoint> = Vec::new();
    let mut add = |endpoint: Endpoint| {
        let put_off = avoid_current && endpoint == *lost.current;
        if !put_off && !order.contains(&endpoint) {
            order.push(endpoint);
        }
    };
    lost.redirect.into_iter().for_each(&mut add);
    add(lost.current.clone());
    lost.learnt.into_iter().for_each(&mut add);
    lost.previous.into_iter().for_each(&mut add);
    lost.given.iter().cloned().for_each(&mut add);
    if avoid_current {
        order.push(lost.current.clone());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::new("127.0.0.1", port)
    }

    fn resolved(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn update(event_id: i64, live: Option<u16>, backup: Option<u16>) -> MemberUpdate {
        MemberUpdate {
            node_id: "pair".to_owned(),
            event_id,
            exit: false,
            live: live.map(endpoint),
            backup: backup.map(endpoint),
        }
    }

    #[test]
    fn the_backup_of_the_dialled_broker_is_learnt() {
        let mut topology = Topology::default();
        topology.apply(update(5, Some(61616), Some(61716)));
        let current = Endpoint::new("localhost", 61616);
        assert_eq!(topology.node_of(&current, resolved(61616)), Some("pair"));
        assert_eq!(
            topology.others(&current, resolved(61616)),
            [endpoint(61716)]
        );
    }

    #[test]
    fn after_a_takeover_the_old_live_broker_is_still_known() {
        let mut topology = Topology::default();
        topology.apply(update(5, Some(61716), Some(61616)));
        assert_eq!(
            topology.others(&endpoint(61716), resolved(61716)),
            [endpoint(61616)]
        );
    }

    #[test]
    fn older_updates_and_absent_connectors_change_nothing() {
        let mut topology = Topology::default();
        topology.apply(update(5, Some(1), Some(2)));
        topology.apply(update(4, Some(3), Some(4)));
        assert_eq!(topology.others(&endpoint(1), resolved(1)), [endpoint(2)]);
        topology.apply(update(6, Some(1), None));
        assert_eq!(topology.others(&endpoint(1), resolved(1)), [endpoint(2)]);
    }

    #[test]
    fn an_exit_clears_the_member_and_the_next_update_fills_it() {
        let mut topology = Topology::default();
        topology.apply(update(5, Some(1), Some(2)));
        let mut exit = update(9, None, None);
        exit.exit = true;
        topology.apply(exit);
        assert!(topology.others(&endpoint(1), resolved(1)).is_empty());
        topology.apply(update(3, Some(2), None));
        assert_eq!(topology.others(&endpoint(1), resolved(1)), [endpoint(2)]);
    }

    #[test]
    fn an_unclustered_broker_still_has_a_node_id() {
        let mut topology = Topology::default();
        topology.apply(update(0, None, None));
        assert_eq!(topology.node_of(&endpoint(1), resolved(1)), Some("pair"));
        assert!(topology.others(&endpoint(1), resolved(1)).is_empty());
    }

    #[test]
    fn in_a_cluster_only_the_own_pair_counts() {
        let mut topology = Topology::default();
        topology.apply(update(5, Some(1), Some(2)));
        let mut other = update(5, Some(3), Some(4));
        other.node_id = "other".to_owned();
        topology.apply(other);
        assert_eq!(topology.others(&endpoint(3), resolved(3)), [endpoint(4)]);
        assert_eq!(topology.node_of(&endpoint(9), resolved(9)), None);
    }

    #[test]
    fn members_are_bounded() {
        let mut topology = Topology::default();
        for number in 0..1000 {
            let mut member = update(1, Some(1), None);
            member.node_id = number.to_string();
            topology.apply(member);
        }
        assert_eq!(topology.members.len(), MAX_MEMBERS);
    }

    fn order_after(reason: &LossReason) -> Vec<u16> {
        let given = [endpoint(1), endpoint(2), endpoint(3)];
        let order = dial_order(Lost {
            current: &endpoint(1),
            reason,
            redirect: None,
            learnt: vec![endpoint(2)],
            previous: Some(endpoint(4)),
            given: &given,
        });
        order.into_iter().map(|endpoint| endpoint.port).collect()
    }

    #[test]
    fn a_lost_broker_is_dialled_first_and_a_silent_one_last() {
        assert_eq!(order_after(&LossReason::ClosedByBroker), [1, 2, 4, 3]);
        assert_eq!(
            order_after(&LossReason::Silent { silent_ms: 1 }),
            [2, 4, 3, 1]
        );
        assert_eq!(order_after(&LossReason::SentAway { code: 2 }), [2, 4, 3, 1]);
    }
}
