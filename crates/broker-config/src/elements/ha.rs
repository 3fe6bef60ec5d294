//! `ha-policy`.

use super::{FROM_MINUS_ONE, FROM_ZERO, Row, SMALL, Scope, Value};
use Value::{Bool, Children, Name, Text};

const NO_VOTES: &str = "brokers do not vote here: the pair's arbiter decides";
const ALWAYS_LOOKS: &str = "a starting broker always looks for an active one";
const OWN_TIMES: &str = "the pair has its own times: detection.* in tandem.properties";
const NO_EFFECT: &str = "Artemis ignores it as well";
const TWO_PRIMARIES: &str = "two primaries that race for one identity are not served; configure a primary and a \
                             backup";
const SCALE_DOWN: &str = "scaling down is not served";
const COLOCATED: &str = "two brokers in one process are not served; make two instances";

pub(super) const SCOPES: &[Scope] = &[
    Scope {
        name: "ha-policy",
        rows: &[
            Row::used("primary-only", Children),
            Row::old_name("live-only", "primary-only"),
            Row::used("shared-store", Children),
            Row::used("replication", Children),
        ],
    },
    Scope {
        name: "primary-only",
        rows: &[Row::refused("scale-down", SCALE_DOWN)],
    },
    Scope {
        name: "shared-store",
        rows: &[
            Row::used("primary", Children).inside("shared-store/primary"),
            Row::used("backup", Children).inside("shared-store/backup"),
            Row::old_name("master", "primary"),
            Row::old_name("slave", "backup"),
            Row::refused("colocated", COLOCATED),
        ],
    },
    Scope {
        name: "shared-store/primary",
        rows: &[
            Row::used("failover-on-shutdown", Bool),
            Row::harmless(
                "wait-for-activation",
                Bool,
                "the HTTP port is open in every role",
            ),
            Row::harmless("failback-delay", FROM_MINUS_ONE, NO_EFFECT),
        ],
    },
    Scope {
        name: "shared-store/backup",
        rows: &[
            Row::used("allow-failback", Bool),
            Row::used("failover-on-shutdown", Bool),
            Row::used("restart-backup", Bool),
            Row::harmless("failback-delay", FROM_MINUS_ONE, NO_EFFECT),
            Row::refused("scale-down", SCALE_DOWN),
        ],
    },
    Scope {
        name: "replication",
        rows: &[
            Row::used("primary", Children).inside("replication/primary"),
            Row::used("backup", Children).inside("replication/backup"),
            Row::old_name("master", "primary"),
            Row::old_name("slave", "backup"),
            Row::refused("colocated", COLOCATED),
        ],
    },
    Scope {
        name: "replication/primary",
        rows: &[
            Row::harmless("check-for-active-server", Bool, ALWAYS_LOOKS),
            Row::old_name("check-for-live-server", "check-for-active-server"),
            Row::used("group-name", Name),
            Row::harmless("cluster-name", Text, "the first cluster-connection counts"),
            Row::harmless("vote-on-replication-failure", Bool, NO_VOTES),
            Row::harmless("quorum-size", SMALL, NO_VOTES),
            Row::harmless("vote-retries", SMALL, NO_VOTES),
            Row::harmless("vote-retry-wait", FROM_ZERO, NO_VOTES),
            Row::harmless("quorum-vote-wait", FROM_ZERO, NO_VOTES),
            Row::harmless("retry-replication-wait", FROM_ZERO, OWN_TIMES),
            Row::harmless("initial-replication-sync-timeout", FROM_ZERO, OWN_TIMES),
            Row::harmless("max-saved-replicated-journals-size", SMALL, ASIDE),
            Row::refused("coordination-id", TWO_PRIMARIES),
            Row::used("manager", Children),
        ],
    },
    Scope {
        name: "replication/backup",
        rows: &[
            Row::used("allow-failback", Bool),
            Row::used("restart-backup", Bool),
            Row::used("group-name", Name),
            Row::harmless("cluster-name", Text, "the first cluster-connection counts"),
            Row::harmless("vote-on-replication-failure", Bool, NO_VOTES),
            Row::harmless("quorum-size", SMALL, NO_VOTES),
            Row::harmless("vote-retries", SMALL, NO_VOTES),
            Row::harmless("vote-retry-wait", FROM_ZERO, NO_VOTES),
            Row::harmless("quorum-vote-wait", FROM_ZERO, NO_VOTES),
            Row::harmless("retry-replication-wait", FROM_ZERO, OWN_TIMES),
            Row::harmless("initial-replication-sync-timeout", FROM_ZERO, OWN_TIMES),
            Row::harmless("max-saved-replicated-journals-size", SMALL, ASIDE),
            Row::harmless("failback-delay", FROM_MINUS_ONE, NO_EFFECT),
            Row::used("manager", Children),
            Row::refused("scale-down", SCALE_DOWN),
        ],
    },
    Scope {
        name: "manager",
        rows: &[
            Row::used("class-name", Name),
            Row::used("properties", Children),
        ],
    },
    Scope {
        name: "properties",
        rows: &[Row::used("property", Children).many()],
    },
    Scope {
        name: "property",
        rows: &[
            Row::used("key", Name).attribute(),
            Row::used("value", Text).attribute(),
        ],
    },
];

const ASIDE: &str = "how much replaced data is kept aside is fixed";
