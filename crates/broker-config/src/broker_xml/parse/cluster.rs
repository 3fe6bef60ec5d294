//! Broadcast groups, discovery groups, cluster connections, and the names they refer to.

use std::net::Ipv4Addr;

use crate::configuration::{
    BroadcastGroup, ClusterConnection, Configuration, DiscoveryGroup, MessageLoadBalancing,
    MulticastGroup, Peers,
};
use crate::suggest;
use crate::xml::{Child, Names, Problem, View, set, shown};

/// Announcements per broker when the file does not say.
const DEFAULT_BROADCAST_PERIOD_MS: u64 = 2_000;
/// How long an announcement counts when the file does not say.
const DEFAULT_REFRESH_TIMEOUT_MS: u64 = 10_000;

/// Names that must exist; checked when everything has been read, because the order of the elements
/// is free.
#[derive(Default)]
pub(super) struct References<'r, 'x>(Vec<Reference<'r, 'x>>);

struct Reference<'r, 'x> {
    from: View<'r, 'x>,
    kind: Kind,
    name: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Connector,
    DiscoveryGroup,
}

impl<'r, 'x> References<'r, 'x> {
    fn add(&mut self, from: &View<'r, 'x>, kind: Kind, name: &str) {
        self.0.push(Reference {
            from: from.clone(),
            kind,
            name: name.to_owned(),
        });
    }

    /// Reports every name that refers to nothing.
    pub(super) fn check(self, configuration: &Configuration) {
        for Reference { from, kind, name } in self.0 {
            let (kind, names): (_, Vec<&str>) = match kind {
                Kind::Connector => (
                    "connector",
                    configuration.connectors.iter().map(|c| &*c.name).collect(),
                ),
                Kind::DiscoveryGroup => (
                    "discovery-group",
                    configuration
                        .discovery_groups
                        .iter()
                        .map(|group| &*group.name)
                        .collect(),
                ),
            };
            if !names.contains(&name.as_str()) {
                let suggestion = suggest::nearest(&name, names).map(str::to_owned);
                from.error(Problem::Dangling {
                    kind,
                    name,
                    suggestion,
                });
            }
        }
    }
}

pub(super) fn broadcast_groups<'r, 'x>(
    view: &View<'r, 'x>,
    references: &mut References<'r, 'x>,
) -> Vec<BroadcastGroup> {
    let mut groups = Vec::new();
    let mut names = Names::default();
    for group in view.children() {
        let name = names.of(&group);
        let mut multicast = MulticastReader::default();
        let mut broadcast_period_ms = DEFAULT_BROADCAST_PERIOD_MS;
        let mut connector_refs = Vec::new();
        for child in group.view.children() {
            match child.name {
                "broadcast-period" => set(&mut broadcast_period_ms, child.number()),
                "connector-ref" => connector_refs.extend(connector_ref(child, references)),
                _ => multicast.read(child),
            }
        }
        if let (Some(name), Some(group)) = (name, multicast.finish(&group.view)) {
            groups.push(BroadcastGroup {
                name,
                group,
                broadcast_period_ms,
                connector_refs,
            });
        }
    }
    groups
}

pub(super) fn discovery_groups(view: &View<'_, '_>) -> Vec<DiscoveryGroup> {
    let mut groups = Vec::new();
    let mut names = Names::default();
    for group in view.children() {
        let name = names.of(&group);
        let mut multicast = MulticastReader::default();
        let mut refresh_timeout_ms = DEFAULT_REFRESH_TIMEOUT_MS;
        for child in group.view.children() {
            match child.name {
                "refresh-timeout" => set(&mut refresh_timeout_ms, child.number()),
                _ => multicast.read(child),
            }
        }
        if let (Some(name), Some(group)) = (name, multicast.finish(&group.view)) {
            groups.push(DiscoveryGroup {
                name,
                group,
                refresh_timeout_ms,
            });
        }
    }
    groups
}

pub(super) fn connections<'r, 'x>(
    view: &View<'r, 'x>,
    references: &mut References<'r, 'x>,
) -> Vec<ClusterConnection> {
    let mut connections = Vec::new();
    let mut names = Names::default();
    for child in view.children() {
        let name = names.of(&child);
        let connection = connection(&child.view, references);
        if let (Some(name), Some(connection)) = (name, connection) {
            connections.push(ClusterConnection { name, ..connection });
        }
    }
    connections
}

/// The inside of a cluster connection, without its name.
fn connection<'r, 'x>(
    view: &View<'r, 'x>,
    references: &mut References<'r, 'x>,
) -> Option<ClusterConnection> {
    let mut connection = ClusterConnection::new("", "");
    let mut own_connector = None;
    let (mut fixed, mut discovered) = (None, None);
    let mut said = false;
    for child in view.children() {
        match child.name {
            "connector-ref" => {
                said = true;
                own_connector = connector_ref(child, references);
            }
            "message-load-balancing" => {
                let chosen = child.choice(MessageLoadBalancing::from_name);
                set(&mut connection.message_load_balancing, chosen);
            }
            "max-hops" => set(&mut connection.max_hops, child.number()),
            "static-connectors" => {
                let children = child.view.children().into_iter();
                fixed = Some(
                    children
                        .filter_map(|child| connector_ref(child, references))
                        .collect(),
                );
            }
            "discovery-group-ref" => {
                discovered = child.required("discovery-group-name");
                if let Some(name) = &discovered {
                    references.add(&child.view, Kind::DiscoveryGroup, name);
                }
            }
            // The others of the table have no effect.
            _ => {}
        }
    }
    connection.peers = match (fixed, discovered) {
        (Some(_), Some(_)) => {
            let (one, other) = ("static-connectors", "discovery-group-ref");
            view.error(Problem::OneOf {
                one,
                other,
                both: true,
            });
            Peers::None
        }
        (Some(fixed), None) => Peers::Static(fixed),
        (None, Some(discovered)) => Peers::Discovery(discovered),
        (None, None) => Peers::None,
    };
    if !said {
        view.error(Problem::MissingElement("connector-ref"));
    }
    connection.connector_ref = own_connector?;
    Some(connection)
}

fn connector_ref<'r, 'x>(
    child: Child<'r, 'x>,
    references: &mut References<'r, 'x>,
) -> Option<String> {
    let view = child.view.clone();
    let name = child.text()?;
    references.add(&view, Kind::Connector, &name);
    Some(name)
}

/// The elements that broadcast and discovery groups share.
#[derive(Default)]
struct MulticastReader {
    address: Option<Ipv4Addr>,
    port: Option<u16>,
    local_bind_address: Option<String>,
}

impl MulticastReader {
    fn read(&mut self, child: Child<'_, '_>) {
        match child.name {
            "group-address" => self.address = multicast_address(child),
            "group-port" => self.port = child.number(),
            "local-bind-address" => self.local_bind_address = child.text(),
            // The others of the table have no effect.
            _ => {}
        }
    }

    fn finish(self, view: &View<'_, '_>) -> Option<MulticastGroup> {
        let Self {
            address,
            port,
            local_bind_address,
        } = self;
        for (missing, name) in [
            (address.is_none(), "group-address"),
            (port.is_none(), "group-port"),
        ] {
            if missing && !view.has_child(name) {
                view.error(Problem::MissingElement(name));
            }
        }
        Some(MulticastGroup {
            address: address?,
            port: port?,
            local_bind_address,
        })
    }
}

fn multicast_address(child: Child<'_, '_>) -> Option<Ipv4Addr> {
    let view = child.view.clone();
    let text = child.text()?;
    let address = text.parse().ok().filter(Ipv4Addr::is_multicast);
    if address.is_none() {
        view.error(Problem::Value {
            value: shown(&text),
            expected: "an IPv4 multicast address, from 224.0.0.0 to 239.255.255.255".to_owned(),
        });
    }
    address
}
