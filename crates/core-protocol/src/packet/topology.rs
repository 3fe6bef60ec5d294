//! Which nodes there are. A client is usable only after it has seen one topology packet marked last.

use super::connector::{Connector, Transport};
use crate::DecodeError;
use crate::wire::codecs::{Bool, Int, Long, Nullable, Optional, Str};
use crate::wire::{Codec, Reader, Sink, Wire, wire_struct};

wire_struct! {
    /// `SUBSCRIBE_TOPOLOGY`: sent by clients older than version 122.
    pub struct SubscribeTopology {
        /// Whether the subscriber is a broker.
        pub is_cluster_connection: bool as Bool,
    }

    /// `SUBSCRIBE_TOPOLOGY_V2`: tells the client's version, wants the topology now and from now on.
    pub struct SubscribeTopologyV2 {
        /// Whether the subscriber is a broker.
        pub is_cluster_connection: bool as Bool,
        /// The version that the client would like to speak.
        pub client_version: i32 as Int,
    }

    /// The connectors of one node id: a pair is one member.
    pub struct TopologyPair {
        /// The node that serves. Absent: the client keeps what it knows, at first the address it dialled.
        pub primary: Option<Connector> as Nullable<Transport>,
        /// The node that would take over.
        pub backup: Option<Connector> as Nullable<Transport>,
        /// Whether the initial list ends here.
        pub last: bool as Bool,
    }

    /// `CLUSTER_TOPOLOGY_V3` (versions 125 to 130).
    pub struct ClusterTopologyV3 {
        /// What `CLUSTER_TOPOLOGY_V2` says.
        pub topology: ClusterTopologyV2 as crate::wire::codecs::Nested,
        /// The group within which brokers scale down.
        pub scale_down_group: Option<String> as Optional<Str>,
    }

    /// `CLUSTER_TOPOLOGY_V4` (version 131 and later).
    pub struct ClusterTopologyV4 {
        /// What `CLUSTER_TOPOLOGY_V3` says.
        pub topology: ClusterTopologyV3 as crate::wire::codecs::Nested,
        /// The connection version that the broker speaks; the client encodes with it from here on.
        pub server_version: i32 as Int,
    }
}

/// `CLUSTER_TOPOLOGY` (before version 122).
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterTopology {
    /// The node id of the pair.
    pub node_id: String,
    /// Its connectors; absent when the node has left.
    pub pair: Option<TopologyPair>,
}

/// `CLUSTER_TOPOLOGY_V2` (versions 122 to 124; at every later version the notice that a node left).
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterTopologyV2 {
    /// The node id of the pair.
    pub node_id: String,
    /// A newer fact about a node id has a greater number: milliseconds since 1970.
    pub event_id: i64,
    /// Its connectors; absent when the node has left.
    pub pair: Option<TopologyPair>,
    /// The group within which backups look for a primary.
    pub backup_group: Option<String>,
}

impl Wire for ClusterTopology {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let exit = reader.bool("ClusterTopology.exit")?;
        let node_id = Str::read(reader, "ClusterTopology.node_id")?;
        Ok(Self {
            node_id,
            pair: read_pair(exit, reader)?,
        })
    }

    fn write<S: Sink>(&self, out: &mut S) {
        out.put_bool(self.pair.is_none());
        Str::write(&self.node_id, out);
        if let Some(pair) = &self.pair {
            pair.write(out);
        }
    }
}

impl Wire for ClusterTopologyV2 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let exit = reader.bool("ClusterTopologyV2.exit")?;
        Ok(Self {
            node_id: Str::read(reader, "ClusterTopologyV2.node_id")?,
            event_id: Long::read(reader, "ClusterTopologyV2.event_id")?,
            pair: read_pair(exit, reader)?,
            backup_group: Optional::<Str>::read(reader, "ClusterTopologyV2.backup_group")?,
        })
    }

    fn write<S: Sink>(&self, out: &mut S) {
        out.put_bool(self.pair.is_none());
        Str::write(&self.node_id, out);
        Long::write(&self.event_id, out);
        if let Some(pair) = &self.pair {
            pair.write(out);
        }
        Optional::<Str>::write(&self.backup_group, out);
    }
}

fn read_pair(exit: bool, reader: &mut Reader<'_>) -> Result<Option<TopologyPair>, DecodeError> {
    if exit {
        Ok(None)
    } else {
        TopologyPair::read(reader).map(Some)
    }
}
