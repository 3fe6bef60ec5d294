//! The elements directly below `configuration` and `core`.

use super::{FROM_MINUS_ONE, FROM_ONE, FROM_ZERO, Row, SMALL, Scope, Value};
use Value::{Bool, Bytes, Children, Choice, Name, Text};

const IN_JOURNAL: &str = "everything is kept in the journal directory";
const OWN_FILES: &str = "this broker's journal lays out its files by its own rules";
const NO_JVM: &str = "there is no Java virtual machine to tune or to watch";
const NO_JMX: &str = "there is no JMX; management is by the HTTP port";
const NO_PAGING: &str = "messages stay in memory; no page files are written";
const NO_LIMIT: &str = "the limit is not enforced yet";
const ARBITER: &str = "pings decide nothing here; the pair's arbiter does";
const ONE_PAIR: &str = "only pairs are served, no clusters of several pairs";
const NO_JAVA: &str = "this broker cannot load Java classes; remove it";
const CLEAR: &str = "masked passwords are not read; write the password in clear, or as ${NAME} from \
                     the environment";
const OWN_MQTT: &str = "MQTT is not served";

pub(super) const SCOPES: &[Scope] = &[
    Scope {
        name: "configuration",
        rows: &[
            Row::used("core", Children),
            Row::refused(
                "jms",
                "queues are configured in core/addresses since Artemis 2; move them",
            ),
        ],
    },
    Scope {
        name: "core",
        rows: CORE,
    },
    Scope {
        name: "wildcard-addresses",
        rows: &[
            Row::used("routing-enabled", Bool),
            Row::old_name("enabled", "routing-enabled"),
            Row::only("delimiter", Text, &["."], WILDCARDS),
            Row::only("any-words", Text, &["#"], WILDCARDS),
            Row::only("single-word", Text, &["*"], WILDCARDS),
        ],
    },
    Scope {
        name: "store",
        rows: &[
            Row::harmless("file-store", Children, "a store of files is what there is"),
            Row::refused("database-store", "only stores of files are served"),
        ],
    },
];

const WILDCARDS: &str = "other wildcard characters are not served";

const CORE: &[Row] = &[
    Row::used("name", Name),
    Row::only(
        "persistence-enabled",
        Bool,
        &["true"],
        "this broker always stores durable messages",
    ),
    Row::used("security-enabled", Bool),
    // Directories and journal.
    Row::used("journal-directory", Name),
    Row::used("node-manager-lock-directory", Name),
    Row::harmless("bindings-directory", Name, IN_JOURNAL),
    Row::harmless("paging-directory", Name, IN_JOURNAL),
    Row::harmless("large-messages-directory", Name, IN_JOURNAL),
    Row::used("journal-file-size", Bytes),
    Row::harmless("journal-datasync", Bool, "every durable write is synced"),
    Row::harmless(
        "create-bindings-dir",
        Bool,
        "a directory that is missing is made",
    ),
    Row::harmless(
        "create-journal-dir",
        Bool,
        "a directory that is missing is made",
    ),
    Row::harmless(
        "journal-type",
        Choice(&["ASYNCIO", "NIO", "MAPPED"]),
        OWN_FILES,
    ),
    Row::harmless(
        "journal-sync-transactional",
        Bool,
        "every durable write is synced",
    ),
    Row::harmless(
        "journal-sync-non-transactional",
        Bool,
        "every durable write is synced",
    ),
    Row::harmless("large-message-sync", Bool, "every durable write is synced"),
    Row::harmless("journal-min-files", SMALL, OWN_FILES),
    Row::harmless("journal-pool-files", SMALL, OWN_FILES),
    Row::harmless("journal-compact-min-files", SMALL, OWN_FILES),
    Row::harmless("journal-compact-percentage", SMALL, OWN_FILES),
    Row::harmless("journal-max-io", SMALL, OWN_FILES),
    Row::harmless("journal-max-attic-files", SMALL, OWN_FILES),
    Row::harmless(
        "journal-buffer-timeout",
        FROM_ZERO,
        "syncs are grouped without a timer",
    ),
    Row::harmless("journal-buffer-size", Bytes, OWN_FILES),
    Row::harmless("journal-file-open-timeout", FROM_ZERO, OWN_FILES),
    Row::harmless("journal-device-block-size", FROM_ZERO, OWN_FILES),
    Row::harmless(
        "journal-lock-acquisition-timeout",
        FROM_MINUS_ONE,
        "a standby waits for ever",
    ),
    Row::harmless("log-journal-write-rate", Bool, "metrics are not served yet"),
    Row::refused(
        "journal-retention-directory",
        "messages are not retained after consumption",
    ),
    Row::harmless("page-max-concurrent-io", SMALL, NO_PAGING),
    Row::harmless("page-sync-timeout", FROM_ZERO, NO_PAGING),
    Row::harmless("read-whole-page", Bool, NO_PAGING),
    Row::harmless("purge-page-folders", Bool, NO_PAGING),
    Row::used("store", Children),
    // Limits and times.
    Row::later("global-max-size", Bytes, &["-1"], NO_LIMIT),
    Row::harmless("global-max-size-percent-of-jvm-max-memory", SMALL, NO_JVM),
    Row::later("global-max-messages", FROM_MINUS_ONE, &["-1"], NO_LIMIT),
    Row::later(
        "max-disk-usage",
        Value::Int(-1, 100),
        &["-1", "90"],
        NO_LIMIT,
    ),
    Row::later("min-disk-free", Bytes, &["-1"], NO_LIMIT),
    Row::harmless(
        "disk-scan-period",
        FROM_MINUS_ONE,
        "the disk is not scanned",
    ),
    Row::harmless("memory-warning-threshold", SMALL, NO_JVM),
    Row::harmless("memory-measure-interval", FROM_MINUS_ONE, NO_JVM),
    Row::used("connection-ttl-override", FROM_MINUS_ONE),
    Row::used("connection-ttl-check-interval", FROM_ONE),
    Row::used("message-expiry-scan-period", FROM_MINUS_ONE),
    Row::used("address-queue-scan-period", FROM_MINUS_ONE),
    Row::harmless("message-expiry-thread-priority", SMALL, NO_JVM),
    Row::used("id-cache-size", Value::Int(0, i32::MAX as i64)),
    Row::harmless(
        "persist-id-cache",
        Bool,
        "duplicate ids are always kept with their messages",
    ),
    Row::harmless("transaction-timeout", FROM_MINUS_ONE, XA),
    Row::harmless("transaction-timeout-scan-period", FROM_ZERO, XA),
    Row::harmless("max-redelivery-records", SMALL, OWN_FILES),
    Row::only(
        "persist-delivery-count-before-delivery",
        Bool,
        &["false"],
        "",
    ),
    Row::harmless("thread-pool-max-size", SMALL, NO_JVM),
    Row::harmless("scheduled-thread-pool-max-size", SMALL, NO_JVM),
    Row::harmless("async-connection-execution-enabled", Bool, NO_JVM),
    Row::refused("resource-limit-settings", "limits per user are not served"),
    Row::later(
        "graceful-shutdown-enabled",
        Bool,
        &["false"],
        "clients are sent away at once when the broker stops",
    ),
    Row::harmless(
        "graceful-shutdown-timeout",
        FROM_MINUS_ONE,
        "only with graceful-shutdown-enabled",
    ),
    // Health.
    Row::harmless("critical-analyzer", Bool, NO_JVM),
    Row::harmless("critical-analyzer-timeout", FROM_ZERO, NO_JVM),
    Row::harmless("critical-analyzer-check-period", FROM_ZERO, NO_JVM),
    Row::harmless(
        "critical-analyzer-policy",
        Choice(&["LOG", "HALT", "SHUTDOWN"]),
        NO_JVM,
    ),
    Row::harmless("server-dump-interval", FROM_MINUS_ONE, NO_JVM),
    Row::harmless("network-check-period", FROM_ZERO, ARBITER),
    Row::harmless("network-check-timeout", FROM_ZERO, ARBITER),
    Row::harmless("network-check-list", Text, ARBITER),
    Row::harmless("network-check-URL-list", Text, ARBITER),
    Row::harmless("network-check-NIC", Text, ARBITER),
    Row::harmless("network-check-ping-command", Text, ARBITER),
    Row::harmless("network-check-ping6-command", Text, ARBITER),
    Row::harmless("metrics", Children, "metrics are not served yet"),
    Row::harmless("metrics-plugin", Children, "metrics are not served yet"),
    Row::harmless("log-delegate-factory-class-name", Text, NO_JVM),
    // Security.
    Row::used("security-settings", Children),
    Row::harmless("security-invalidation-interval", FROM_ZERO, NO_CACHE),
    Row::harmless("authentication-cache-size", FROM_ZERO, NO_CACHE),
    Row::harmless("authorization-cache-size", FROM_ZERO, NO_CACHE),
    Row::only(
        "populate-validated-user",
        Bool,
        &["false"],
        "messages are not marked with their user",
    ),
    Row::only(
        "reject-empty-validated-user",
        Bool,
        &["false"],
        "messages are not marked with a user",
    ),
    Row::only("mask-password", Bool, &["false"], CLEAR),
    Row::refused("password-codec", CLEAR),
    Row::used("cluster-user", Name),
    Row::used("cluster-password", Text),
    // Management.
    Row::used("management-address", Name),
    Row::later(
        "management-notification-address",
        Name,
        &["activemq.notifications"],
        "notifications are not sent",
    ),
    Row::harmless(
        "suppress-session-notifications",
        Bool,
        "notifications are not sent",
    ),
    Row::only(
        "management-message-rbac",
        Bool,
        &["false"],
        "permissions per operation are not served",
    ),
    Row::harmless(
        "management-rbac-prefix",
        Text,
        "only with management-message-rbac",
    ),
    Row::harmless(
        "view-permission-method-match-pattern",
        Text,
        "only with management-message-rbac",
    ),
    Row::harmless("jmx-management-enabled", Bool, NO_JMX),
    Row::harmless("jmx-domain", Text, NO_JMX),
    Row::harmless("jmx-use-broker-name", Bool, NO_JMX),
    Row::harmless(
        "message-counter-enabled",
        Bool,
        "metrics are not served yet",
    ),
    Row::harmless(
        "message-counter-sample-period",
        FROM_ZERO,
        "metrics are not served yet",
    ),
    Row::harmless(
        "message-counter-max-day-history",
        FROM_ZERO,
        "metrics are not served yet",
    ),
    Row::harmless(
        "configuration-file-refresh-period",
        FROM_MINUS_ONE,
        "changes count from the next start",
    ),
    Row::harmless("system-property-prefix", Text, NO_JVM),
    // Names.
    Row::used("wild-card-routing-enabled", Bool),
    Row::used("wildcard-addresses", Children),
    Row::harmless(
        "internal-naming-prefix",
        Text,
        "there are no internal addresses",
    ),
    Row::only("temporary-queue-namespace", Text, &[""], ""),
    Row::only("uuid-namespace", Text, &[""], ""),
    Row::only("literal-match-markers", Text, &[""], ""),
    // Network and cluster.
    Row::used("acceptors", Children),
    Row::used("connectors", Children),
    Row::used("broadcast-groups", Children),
    Row::used("discovery-groups", Children),
    Row::used("cluster-connections", Children),
    Row::used("ha-policy", Children),
    Row::harmless("resolve-protocols", Bool, NO_JVM),
    Row::refused("grouping-handler", ONE_PAIR),
    Row::refused("remoting-incoming-interceptors", NO_JAVA),
    Row::refused("remoting-outgoing-interceptors", NO_JAVA),
    Row::refused("broker-plugins", NO_JAVA),
    Row::harmless(
        "amqp-use-core-subscription-naming",
        Bool,
        "AMQP is not served",
    ),
    Row::harmless("mqtt-session-scan-interval", FROM_MINUS_ONE, OWN_MQTT),
    Row::harmless(
        "mqtt-session-state-persistence-timeout",
        FROM_MINUS_ONE,
        OWN_MQTT,
    ),
    Row::harmless("mqtt-subscription-persistence-enabled", Bool, OWN_MQTT),
    Row::harmless("mirror-ack-manager-queue-attempts", SMALL, NO_MIRROR),
    Row::harmless("mirror-ack-manager-page-attempts", SMALL, NO_MIRROR),
    Row::harmless("mirror-ack-manager-retry-delay", FROM_MINUS_ONE, NO_MIRROR),
    Row::harmless("mirror-ack-manager-warn-unacked", Bool, NO_MIRROR),
    Row::harmless("mirror-page-transaction", Bool, NO_MIRROR),
    // Addresses.
    Row::used("addresses", Children),
    Row::used("address-settings", Children),
    Row::refused(
        "queues",
        "queues are configured in core/addresses since Artemis 2; move them",
    ),
    Row::refused("diverts", "diverts are not served; remove them"),
    Row::refused("bridges", "bridges are not served; remove them"),
    Row::refused("federations", "federation is not served"),
    Row::refused("broker-connections", "broker connections are not served"),
    Row::refused("connection-routers", "connection routers are not served"),
    Row::refused("connector-services", NO_JAVA),
];

const NO_MIRROR: &str = "mirrors are not served";
const XA: &str = "XA transactions are not served, and others end with their session";
const NO_CACHE: &str = "logins and permissions are checked anew each time";
