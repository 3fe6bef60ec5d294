//! Acceptors and connectors, and the parameters of their URLs (rows marked as attributes).

use super::{Row, SMALL, Scope, Value};
use Value::{Bool, Name, Text};

const SYSTEM: &str = "the system's own values are good; nothing is tuned by hand";
const NO_TLS: &str = "TLS is not served";
const WITH_TLS: &str = "only with sslEnabled";
const OTHER: &str = "it belongs to a protocol that is not served";
const NO_HTTP: &str = "tunnelling through HTTP is not served";
const NO_PREFIX: &str = "prefixes of names are not served; clients must name the address as it is";

pub(super) const SCOPES: &[Scope] = &[
    Scope {
        name: "acceptors",
        rows: &[Row::used("acceptor", Name).many().inside("acceptor")],
    },
    Scope {
        name: "connectors",
        rows: &[Row::used("connector", Name).many().inside("connector")],
    },
    Scope {
        name: "acceptor",
        rows: &[Row::used("name", Name).attribute()],
    },
    Scope {
        name: "connector",
        rows: &[Row::used("name", Name).attribute()],
    },
    Scope {
        name: "acceptor-url",
        rows: ACCEPTOR_URL,
    },
    Scope {
        name: "connector-url",
        rows: CONNECTOR_URL,
    },
];

const ACCEPTOR_URL: &[Row] = &[
    Row::used("protocols", Text).attribute(),
    Row::harmless("name", Text, "the acceptor has a name already").attribute(),
    Row::only("sslEnabled", Bool, &["false"], NO_TLS).attribute(),
    Row::harmless("sslAutoReload", Text, WITH_TLS).attribute(),
    Row::harmless("sslProvider", Text, WITH_TLS).attribute(),
    Row::harmless("keyStorePath", Text, WITH_TLS).attribute(),
    Row::harmless("keyStorePassword", Text, WITH_TLS).attribute(),
    Row::harmless("keyStoreType", Text, WITH_TLS).attribute(),
    Row::harmless("keyStoreProvider", Text, WITH_TLS).attribute(),
    Row::harmless("keyStoreAlias", Text, WITH_TLS).attribute(),
    Row::harmless("trustStorePath", Text, WITH_TLS).attribute(),
    Row::harmless("trustStorePassword", Text, WITH_TLS).attribute(),
    Row::harmless("trustStoreType", Text, WITH_TLS).attribute(),
    Row::harmless("trustStoreProvider", Text, WITH_TLS).attribute(),
    Row::harmless("trustManagerFactoryPlugin", Text, WITH_TLS).attribute(),
    Row::harmless("crlPath", Text, WITH_TLS).attribute(),
    Row::harmless("enabledCipherSuites", Text, WITH_TLS).attribute(),
    Row::harmless("enabledProtocols", Text, WITH_TLS).attribute(),
    Row::harmless("verifyHost", Text, WITH_TLS).attribute(),
    Row::harmless("sniHost", Text, WITH_TLS).attribute(),
    Row::only("needClientAuth", Bool, &["false"], NO_TLS).attribute(),
    Row::only("wantClientAuth", Bool, &["false"], NO_TLS).attribute(),
    Row::harmless("tcpNoDelay", Bool, "packets are never held back").attribute(),
    Row::harmless("tcpSendBufferSize", Text, SYSTEM).attribute(),
    Row::harmless("tcpReceiveBufferSize", Text, SYSTEM).attribute(),
    Row::harmless("writeBufferLowWaterMark", Text, SYSTEM).attribute(),
    Row::harmless("writeBufferHighWaterMark", Text, SYSTEM).attribute(),
    Row::harmless("remotingThreads", Text, SYSTEM).attribute(),
    Row::harmless("nioRemotingThreads", Text, SYSTEM).attribute(),
    Row::harmless("batchDelay", Text, SYSTEM).attribute(),
    Row::harmless("useNio", Bool, SYSTEM).attribute(),
    Row::harmless("useEpoll", Bool, SYSTEM).attribute(),
    Row::harmless("useKQueue", Bool, SYSTEM).attribute(),
    Row::harmless("backlog", Text, SYSTEM).attribute(),
    Row::harmless("directDeliver", Bool, SYSTEM).attribute(),
    Row::harmless("quietPeriod", Text, SYSTEM).attribute(),
    Row::harmless("shutdownTimeout", Text, SYSTEM).attribute(),
    Row::harmless("handshake-timeout", Text, SYSTEM).attribute(),
    Row::only(
        "autoStart",
        Bool,
        &["true"],
        "acceptors cannot be started by hand",
    )
    .attribute(),
    Row::only(
        "proxyProtocolEnabled",
        Bool,
        &["false"],
        "the proxy protocol is not served",
    )
    .attribute(),
    Row::used("connectionsAllowed", SMALL).attribute(),
    Row::later("connectionTtl", Text, &["-1"], TTL).attribute(),
    Row::later("connectionTtlMin", Text, &["-1"], TTL).attribute(),
    Row::later("connectionTtlMax", Text, &["-1"], TTL).attribute(),
    Row::later("heartBeatToConnectionTtlModifier", Text, &["-1"], TTL).attribute(),
    Row::harmless(
        "clusterConnection",
        Text,
        "the first cluster-connection is told to clients",
    )
    .attribute(),
    Row::only("anycastPrefix", Text, &[""], NO_PREFIX).attribute(),
    Row::only("multicastPrefix", Text, &[""], NO_PREFIX).attribute(),
    Row::only("router", Text, &[""], "connection routers are not served").attribute(),
    Row::harmless("webSocketMaxFramePayloadLength", Text, OTHER).attribute(),
    Row::harmless("webSocketEncoderType", Text, OTHER).attribute(),
    Row::harmless("stompConsumerCredits", Text, OTHER).attribute(),
    Row::harmless("stompConsumerWindowSize", Text, OTHER).attribute(),
    Row::harmless("stompEnableMessageId", Text, OTHER).attribute(),
    Row::harmless("stompMinLargeMessageSize", Text, OTHER).attribute(),
    Row::harmless("stompMaxFramePayloadLength", Text, OTHER).attribute(),
    Row::harmless("disableStompServerHeader", Text, OTHER).attribute(),
    Row::harmless("amqpCredits", Text, OTHER).attribute(),
    Row::harmless("amqpLowCredits", Text, OTHER).attribute(),
    Row::harmless("amqpMinLargeMessageSize", Text, OTHER).attribute(),
    Row::harmless("amqpDuplicateDetection", Text, OTHER).attribute(),
    Row::harmless("amqpIdleTimeout", Text, OTHER).attribute(),
    Row::harmless("saslMechanisms", Text, OTHER).attribute(),
    Row::harmless("saslLoginConfigScope", Text, OTHER).attribute(),
    Row::harmless("supportAdvisory", Text, OTHER).attribute(),
    Row::harmless("suppressInternalManagementObjects", Text, OTHER).attribute(),
    Row::harmless("defaultMqttSessionExpiryInterval", Text, OTHER).attribute(),
    Row::harmless("maximumPacketSize", Text, OTHER).attribute(),
    Row::harmless("topicAliasMaximum", Text, OTHER).attribute(),
    Row::harmless("receiveMaximum", Text, OTHER).attribute(),
    Row::harmless("serverKeepAlive", Text, OTHER).attribute(),
    Row::harmless("maximumInFlightPublishMessages", Text, OTHER).attribute(),
];

const TTL: &str = "the time to live that the client asks for counts, or connection-ttl-override";

/// Whatever else a connector says is told to clients, who know what to make of it.
const CONNECTOR_URL: &[Row] = &[
    Row::only("sslEnabled", Bool, &["false"], NO_TLS).attribute(),
    Row::only("httpEnabled", Bool, &["false"], NO_HTTP).attribute(),
    Row::only("httpUpgradeEnabled", Bool, &["false"], NO_HTTP).attribute(),
];
