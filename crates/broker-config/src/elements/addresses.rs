//! Addresses, queues, address settings and security settings.

use super::{
    FROM_MINUS_ONE, FROM_ONE, FROM_ZERO, ROUTING_TYPE, Row, SMALL, Scope, Treatment, Value,
};
use Value::{Bool, Bytes, Children, Choice, Decimal, Name, Text};

const NO_PAGING: &str = "messages stay in memory; no page files are written";
const NO_LIMIT: &str = "the limit is not enforced yet";
/// For what needs no other reason than that.
const NOT_SERVED: &str = "";
const NO_DELETION: &str = "nothing is deleted because broker.xml no longer names it";
const MANAGEMENT: &str = "such management operations are not served";

pub(super) const SCOPES: &[Scope] = &[
    Scope {
        name: "addresses",
        rows: &[Row::used("address", Children).many()],
    },
    Scope {
        name: "address",
        rows: &[
            Row::used("name", Name).attribute(),
            Row::used("anycast", Children).inside("anycast"),
            Row::used("multicast", Children).inside("anycast"),
        ],
    },
    Scope {
        name: "anycast",
        rows: &[Row::used("queue", Children).many()],
    },
    Scope {
        name: "queue",
        rows: QUEUE,
    },
    Scope {
        name: "filter",
        rows: &[Row::used("string", Text).attribute()],
    },
    Scope {
        name: "address-settings",
        rows: &[Row::used("address-setting", Children).many()],
    },
    Scope {
        name: "address-setting",
        rows: ADDRESS_SETTING,
    },
    Scope {
        name: "security-settings",
        rows: &[
            Row::used("security-setting", Children).many(),
            Row::refused(
                "security-setting-plugin",
                "this broker cannot load Java classes; remove it",
            ),
            Row::refused(
                "role-mapping",
                "roles are not mapped; give the role its permissions",
            ),
        ],
    },
    Scope {
        name: "security-setting",
        rows: &[
            Row::used("match", Name).attribute(),
            Row::used("permission", Children).many(),
        ],
    },
    Scope {
        name: "permission",
        rows: &[
            Row::used("type", Choice(PERMISSIONS)).attribute(),
            Row::used("roles", Text).attribute(),
        ],
    },
];

const PERMISSIONS: &[&str] = &[
    "createAddress",
    "deleteAddress",
    "createDurableQueue",
    "deleteDurableQueue",
    "createNonDurableQueue",
    "deleteNonDurableQueue",
    "send",
    "consume",
    "browse",
    "manage",
    "view",
    "edit",
];

const QUEUE: &[Row] = &[
    Row::used("name", Name).attribute(),
    Row::used("max-consumers", SMALL).attribute(),
    Row::used("purge-on-no-consumers", Bool).attribute(),
    Row::used("exclusive", Bool).attribute(),
    Row::used("enabled", Bool).attribute(),
    Row::only("group-rebalance", Bool, &["false"], NOT_SERVED).attribute(),
    Row::only(
        "group-rebalance-pause-dispatch",
        Bool,
        &["false"],
        NOT_SERVED,
    )
    .attribute(),
    Row::only("group-buckets", SMALL, &["-1"], NOT_SERVED).attribute(),
    Row::only("group-first-key", Text, &[""], NOT_SERVED).attribute(),
    Row::only("last-value", Bool, &["false"], NOT_SERVED).attribute(),
    Row::only("last-value-key", Text, &[""], NOT_SERVED).attribute(),
    Row::only("non-destructive", Bool, &["false"], NOT_SERVED).attribute(),
    Row::only("consumers-before-dispatch", SMALL, &["0"], NOT_SERVED).attribute(),
    Row::only("delay-before-dispatch", FROM_MINUS_ONE, &["-1"], NOT_SERVED).attribute(),
    Row::only("ring-size", FROM_MINUS_ONE, &["-1"], NOT_SERVED).attribute(),
    Row::used("filter", Children),
    Row::used("durable", Bool),
    Row::harmless("user", Text, "a queue does not remember who made it"),
];

const ADDRESS_SETTING: &[Row] = &[
    Row::used("match", Name).attribute(),
    Row::used("dead-letter-address", Name),
    Row::used("expiry-address", Name),
    Row::used("auto-create-dead-letter-resources", Bool),
    Row::used("dead-letter-queue-prefix", Text),
    Row::used("dead-letter-queue-suffix", Text),
    Row::used("auto-create-expiry-resources", Bool),
    Row::used("expiry-queue-prefix", Text),
    Row::used("expiry-queue-suffix", Text),
    Row::used("no-expiry", Bool),
    Row::used("expiry-delay", FROM_MINUS_ONE),
    Row::used("min-expiry-delay", FROM_MINUS_ONE),
    Row::used("max-expiry-delay", FROM_MINUS_ONE),
    Row::used("redelivery-delay", FROM_ZERO),
    Row::used("redelivery-delay-multiplier", Decimal),
    Row::only(
        "redelivery-collision-avoidance-factor",
        Decimal,
        &["0", "0.0"],
        "redelivery times are not spread at random",
    ),
    Row::used("max-redelivery-delay", FROM_MINUS_ONE),
    Row::used("max-delivery-attempts", SMALL),
    Row::used("send-to-dla-on-no-route", Bool),
    Row::used("auto-create-queues", Bool),
    Row::used("auto-create-addresses", Bool),
    Row::used("auto-delete-queues", Bool),
    Row::used("auto-delete-created-queues", Bool),
    Row::used("auto-delete-queues-delay", FROM_ZERO),
    Row::used("auto-delete-queues-message-count", FROM_MINUS_ONE),
    Row::used("auto-delete-addresses", Bool),
    Row::used("auto-delete-addresses-delay", FROM_ZERO),
    Row::only(
        "auto-delete-queues-skip-usage-check",
        Bool,
        &["false"],
        NOT_SERVED,
    ),
    Row::only(
        "auto-delete-addresses-skip-usage-check",
        Bool,
        &["false"],
        NOT_SERVED,
    ),
    Row::used("default-max-consumers", SMALL),
    Row::used("default-purge-on-no-consumers", Bool),
    Row::used("default-exclusive-queue", Bool),
    Row::used("default-queue-routing-type", ROUTING_TYPE),
    Row::used("default-address-routing-type", ROUTING_TYPE),
    Row::used("default-consumer-window-size", Bytes),
    Row::used("id-cache-size", Value::Int(0, i32::MAX as i64)),
    // Limits and paging.
    Row::later("max-size-bytes", Bytes, &["-1"], NO_LIMIT),
    Row::later("max-size-messages", FROM_MINUS_ONE, &["-1"], NO_LIMIT),
    Row::later("max-size-bytes-reject-threshold", Bytes, &["-1"], NO_LIMIT),
    Row::later(
        "address-full-policy",
        Choice(&["PAGE", "DROP", "FAIL", "BLOCK"]),
        // What happens at the limit says nothing while no limit is set; setting one is reported.
        &["PAGE", "DROP", "FAIL", "BLOCK"],
        "it counts when a limit is reached, and limits are not enforced yet",
    ),
    Row::harmless(
        "disk-full-policy",
        Choice(&["DROP", "FAIL", "BLOCK"]),
        NO_PAGING,
    ),
    Row::harmless("page-size-bytes", Bytes, NO_PAGING),
    Row::harmless("max-read-page-bytes", Bytes, NO_PAGING),
    Row::harmless("max-read-page-messages", FROM_MINUS_ONE, NO_PAGING),
    Row::harmless("prefetch-page-bytes", Bytes, NO_PAGING),
    Row::harmless("prefetch-page-messages", FROM_MINUS_ONE, NO_PAGING),
    Row::later("page-limit-bytes", Bytes, &["-1"], NO_LIMIT),
    Row::later("page-limit-messages", FROM_MINUS_ONE, &["-1"], NO_LIMIT),
    Row::harmless("page-full-policy", Choice(&["DROP", "FAIL"]), NO_PAGING),
    Row::harmless("page-max-cache-size", SMALL, NO_PAGING),
    Row::harmless("page-store-name", Text, NO_PAGING),
    Row::harmless(
        "initial-queue-buffer-size",
        FROM_ZERO,
        "queues grow as they need",
    ),
    // Kinds of queues.
    Row::only("default-last-value-queue", Bool, &["false"], NOT_SERVED),
    Row::only("last-value-queue", Bool, &["false"], NOT_SERVED),
    Row::only("default-last-value-key", Text, &[""], NOT_SERVED),
    Row::only("default-non-destructive", Bool, &["false"], NOT_SERVED),
    Row::only("default-group-rebalance", Bool, &["false"], NOT_SERVED),
    Row::only(
        "default-group-rebalance-pause-dispatch",
        Bool,
        &["false"],
        NOT_SERVED,
    ),
    Row::only("default-group-buckets", SMALL, &["-1"], NOT_SERVED),
    Row::only("default-group-first-key", Text, &[""], NOT_SERVED),
    Row::only(
        "default-consumers-before-dispatch",
        SMALL,
        &["0"],
        NOT_SERVED,
    ),
    Row::only(
        "default-delay-before-dispatch",
        FROM_MINUS_ONE,
        &["-1"],
        NOT_SERVED,
    ),
    Row::only("default-ring-size", FROM_MINUS_ONE, &["-1"], NOT_SERVED),
    Row::only("retroactive-message-count", FROM_ZERO, &["0"], NOT_SERVED),
    Row::only("enable-ingress-timestamp", Bool, &["false"], NOT_SERVED),
    Row::only(
        "slow-consumer-threshold",
        FROM_MINUS_ONE,
        &["-1"],
        "slow consumers are not looked for",
    ),
    Row::harmless("slow-consumer-threshold-measurement-unit", Text, SLOW),
    Row::harmless("slow-consumer-policy", Choice(&["KILL", "NOTIFY"]), SLOW),
    Row::harmless("slow-consumer-check-period", FROM_ONE, SLOW),
    Row::harmless(
        "redistribution-delay",
        FROM_MINUS_ONE,
        "it counts only between several pairs",
    ),
    // Management.
    Row::only(
        "config-delete-queues",
        Choice(&["OFF", "FORCE"]),
        &["OFF"],
        NO_DELETION,
    ),
    Row::only(
        "config-delete-addresses",
        Choice(&["OFF", "FORCE"]),
        &["OFF"],
        NO_DELETION,
    ),
    Row::harmless(
        "config-delete-diverts",
        Choice(&["OFF", "FORCE"]),
        "diverts are not served",
    ),
    Row::harmless(
        "message-counter-history-day-limit",
        FROM_ZERO,
        "metrics are not served yet",
    ),
    Row::harmless("management-browse-page-size", SMALL, MANAGEMENT),
    Row::harmless("management-message-attribute-size-limit", SMALL, MANAGEMENT),
    Row::harmless("enable-metrics", Bool, "metrics are not served yet"),
    Row::new(
        "auto-create-jms-queues",
        Bool,
        Treatment::Refused("since Artemis 2 it is auto-create-queues and auto-create-addresses"),
    ),
    Row::new(
        "auto-create-jms-topics",
        Bool,
        Treatment::Refused("since Artemis 2 it is auto-create-addresses"),
    ),
    Row::new(
        "auto-delete-jms-queues",
        Bool,
        Treatment::Refused("since Artemis 2 it is auto-delete-queues"),
    ),
    Row::new(
        "auto-delete-jms-topics",
        Bool,
        Treatment::Refused("since Artemis 2 it is auto-delete-addresses"),
    ),
];

const SLOW: &str = "only with slow-consumer-threshold";
