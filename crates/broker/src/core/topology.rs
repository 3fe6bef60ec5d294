//! What clients are told about the pair: one member with both brokers' connectors.

use core_protocol::packet::Connector;
use core_protocol::server::TopologyMember;

/// The pair as a client sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Topology {
    /// Identity of the pair's data, the same on both sides.
    pub node_id: String,
    /// Epoch of the record this was made from: after a takeover clients are told anew.
    pub epoch: u64,
    /// Orders the announcements of one node: Unix milliseconds, and always greater than the one before.
    pub event_id: i64,
    /// Where this broker, the active one, is; absent if it is not clustered: the client then keeps the address
    /// that it dialled.
    pub active: Option<Connector>,
    /// Where the other side is.
    pub standby: Option<Connector>,
}

impl Topology {
    /// The announcement.
    pub(crate) fn member(&self) -> TopologyMember {
        TopologyMember {
            node_id: self.node_id.clone(),
            event_id: self.event_id,
            primary: self.active.clone(),
            backup: self.standby.clone(),
        }
    }
}
