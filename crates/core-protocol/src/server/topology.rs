//! Topology in the words that the client's version understands. A client that is too old for this
//! broker still needs an answer it can read, to get as far as being told so.

use crate::PROTOCOL_VERSION;
use crate::packet::{
    ClusterTopology, ClusterTopologyV2, ClusterTopologyV3, ClusterTopologyV4, Connector, Packet,
    TopologyPair,
};

/// First version with `CLUSTER_TOPOLOGY_V2`, which also brought the subscription that tells a version.
const V2_SINCE: i32 = 122;
/// First version with `CLUSTER_TOPOLOGY_V3`.
const V3_SINCE: i32 = 125;
/// First version with `CLUSTER_TOPOLOGY_V4`.
const V4_SINCE: i32 = 131;

/// One pair of brokers, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyMember {
    /// The node id that both share.
    pub node_id: String,
    /// Milliseconds since 1970; greater for every newer fact about the node id, also across a takeover.
    pub event_id: i64,
    /// How to reach the one that serves; absent where the client should keep the address it dialled.
    pub primary: Option<Connector>,
    /// How to reach the one that would take over.
    pub backup: Option<Connector>,
}

/// The packet that tells a client of this version about a member.
pub(super) fn member_packet(version: i32, member: &TopologyMember, last: bool) -> Packet {
    let pair = TopologyPair {
        primary: member.primary.clone(),
        backup: member.backup.clone(),
        last,
    };
    topology_packet(version, &member.node_id, member.event_id, Some(pair))
}

/// The packet that tells a client of this version that a node has left.
pub(super) fn left_packet(version: i32, node_id: &str, event_id: i64) -> Packet {
    // Whatever the version from V2 on is, leaving is told in that form.
    topology_packet(version.min(V2_SINCE), node_id, event_id, None)
}

fn topology_packet(
    version: i32,
    node_id: &str,
    event_id: i64,
    pair: Option<TopologyPair>,
) -> Packet {
    let node_id = node_id.to_owned();
    if version < V2_SINCE {
        return ClusterTopology { node_id, pair }.into();
    }
    let topology = ClusterTopologyV2 {
        node_id,
        event_id,
        pair,
        backup_group: None,
    };
    if version < V3_SINCE {
        return topology.into();
    }
    let topology = ClusterTopologyV3 {
        topology,
        scale_down_group: None,
    };
    if version < V4_SINCE {
        return topology.into();
    }
    ClusterTopologyV4 {
        topology,
        server_version: PROTOCOL_VERSION,
    }
    .into()
}
