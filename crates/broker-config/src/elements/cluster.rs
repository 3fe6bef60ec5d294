//! Broadcast groups, discovery groups and cluster connections.

use super::{FROM_MINUS_ONE, FROM_ONE, FROM_ZERO, PORT, Row, SMALL, Scope, Value};
use Value::{Bool, Bytes, Children, Choice, Decimal, Name, Text};

const JGROUPS: &str = "JGroups is not served; use a multicast group or static-connectors";
const OWN_TIMES: &str = "the pair has its own times: detection.* in tandem.properties";
const BETWEEN_PAIRS: &str = "it counts only between several pairs, which are not served";

pub(super) const SCOPES: &[Scope] = &[
    Scope {
        name: "broadcast-groups",
        rows: &[Row::used("broadcast-group", Children).many()],
    },
    Scope {
        name: "discovery-groups",
        rows: &[Row::used("discovery-group", Children).many()],
    },
    Scope {
        name: "cluster-connections",
        rows: &[Row::used("cluster-connection", Children).many()],
    },
    Scope {
        name: "broadcast-group",
        rows: &[
            Row::used("name", Name).attribute(),
            Row::used("local-bind-address", Name),
            Row::harmless(
                "local-bind-port",
                SMALL,
                "the system chooses the sending port",
            ),
            Row::used("group-address", Name),
            Row::used("group-port", PORT),
            Row::used("broadcast-period", FROM_ONE),
            Row::used("connector-ref", Name).many(),
            Row::refused("jgroups-file", JGROUPS),
            Row::refused("jgroups-channel", JGROUPS),
        ],
    },
    Scope {
        name: "discovery-group",
        rows: &[
            Row::used("name", Name).attribute(),
            Row::used("local-bind-address", Name),
            Row::harmless(
                "local-bind-port",
                SMALL,
                "nothing is sent to a discovery group",
            ),
            Row::used("group-address", Name),
            Row::used("group-port", PORT),
            Row::used("refresh-timeout", FROM_ONE),
            Row::harmless("initial-wait-timeout", FROM_ZERO, OWN_TIMES),
            Row::refused("jgroups-file", JGROUPS),
            Row::refused("jgroups-channel", JGROUPS),
        ],
    },
    Scope {
        name: "cluster-connection",
        rows: CLUSTER_CONNECTION,
    },
    Scope {
        name: "static-connectors",
        rows: &[
            Row::harmless("allow-direct-connections-only", Bool, BETWEEN_PAIRS).attribute(),
            Row::used("connector-ref", Name).many(),
        ],
    },
    Scope {
        name: "discovery-group-ref",
        rows: &[Row::used("discovery-group-name", Name).attribute()],
    },
];

const CLUSTER_CONNECTION: &[Row] = &[
    Row::used("name", Name).attribute(),
    Row::new(
        "uri",
        Text,
        super::Treatment::Refused("write the cluster-connection as elements"),
    )
    .attribute(),
    Row::used("connector-ref", Name),
    Row::used("static-connectors", Children),
    Row::used("discovery-group-ref", Children),
    Row::harmless(
        "message-load-balancing",
        Choice(&["OFF", "STRICT", "ON_DEMAND", "OFF_WITH_REDISTRIBUTION"]),
        BETWEEN_PAIRS,
    ),
    Row::harmless("max-hops", Value::Int(0, i32::MAX as i64), BETWEEN_PAIRS),
    Row::harmless("address", Text, BETWEEN_PAIRS),
    Row::harmless("forward-when-no-consumers", Bool, BETWEEN_PAIRS),
    Row::harmless("use-duplicate-detection", Bool, BETWEEN_PAIRS),
    Row::harmless("min-large-message-size", Bytes, BETWEEN_PAIRS),
    Row::harmless("confirmation-window-size", Bytes, BETWEEN_PAIRS),
    Row::harmless("producer-window-size", Bytes, BETWEEN_PAIRS),
    Row::harmless("check-period", FROM_MINUS_ONE, OWN_TIMES),
    Row::harmless("connection-ttl", FROM_MINUS_ONE, OWN_TIMES),
    Row::harmless("call-timeout", FROM_MINUS_ONE, OWN_TIMES),
    Row::harmless("call-failover-timeout", FROM_MINUS_ONE, OWN_TIMES),
    Row::harmless("retry-interval", FROM_ZERO, OWN_TIMES),
    Row::harmless("retry-interval-multiplier", Decimal, OWN_TIMES),
    Row::harmless("max-retry-interval", FROM_ZERO, OWN_TIMES),
    Row::harmless("initial-connect-attempts", SMALL, OWN_TIMES),
    Row::harmless("reconnect-attempts", SMALL, OWN_TIMES),
    Row::harmless("notification-interval", FROM_ZERO, OWN_TIMES),
    Row::harmless("notification-attempts", SMALL, OWN_TIMES),
    Row::harmless("topology-scanner-attempts", SMALL, OWN_TIMES),
    Row::harmless("client-id", Text, BETWEEN_PAIRS),
    Row::refused("scale-down-connector", "scaling down is not served"),
];
