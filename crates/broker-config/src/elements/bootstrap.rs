//! `bootstrap.xml`.

use super::{Row, Scope, Treatment, Value};
use Value::{Bool, Children, Name, Text};

const CONSOLE: &str = "there is no console; what the broker tells is at /healthz, /readyz, /startupz \
                       and /v1/pair";
const NO_TLS: &str =
    "the HTTP port has no TLS: remove it, and put a proxy in front if one is needed";
const OWN_SECURITY: &str = "users and roles are in login.config; write <jaas-security \
                            domain=\"activemq\"/>";

pub(super) const SCOPES: &[Scope] = &[
    Scope {
        name: "broker",
        rows: &[
            Row::used("jaas-security", Children),
            Row::refused("basic-security", OWN_SECURITY),
            Row::refused("security-manager", OWN_SECURITY),
            Row::used("server", Children),
            Row::used("web", Children),
        ],
    },
    Scope {
        name: "jaas-security",
        rows: &[
            Row::new(
                "domain",
                Text,
                Treatment::Only {
                    values: &["activemq"],
                    why: "it is the realm of login.config",
                },
            )
            .attribute(),
            Row::refused("certificate-domain", OWN_SECURITY).attribute(),
        ],
    },
    Scope {
        name: "server",
        rows: &[Row::used("configuration", Name).attribute()],
    },
    Scope {
        name: "web",
        rows: &[
            Row::harmless("path", Text, CONSOLE).attribute(),
            Row::harmless("rootRedirectLocation", Text, CONSOLE).attribute(),
            Row::harmless("webContentEnabled", Bool, CONSOLE).attribute(),
            Row::harmless("customizer", Text, CONSOLE).attribute(),
            Row::used("binding", Children),
            // Older files have the address here.
            Row::used("bind", Name).attribute(),
            Row::harmless("app", Text, CONSOLE).many(),
            Row::harmless("request-log", Text, "requests are not logged"),
        ],
    },
    Scope {
        name: "binding",
        rows: &[
            Row::harmless("name", Text, "there is one binding").attribute(),
            Row::used("uri", Name).attribute(),
            Row::harmless("app", Text, CONSOLE).many(),
            Row::refused("keyStorePath", NO_TLS).attribute(),
            Row::refused("keyStorePassword", NO_TLS).attribute(),
            Row::refused("trustStorePath", NO_TLS).attribute(),
            Row::refused("trustStorePassword", NO_TLS).attribute(),
            Row::refused("clientAuth", NO_TLS).attribute(),
        ],
    },
];
