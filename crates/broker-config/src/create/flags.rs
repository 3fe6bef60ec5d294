//! Every flag of `artemis create`, and what it does here.

use std::fmt::Write as _;

/// One flag.
#[derive(Debug)]
pub(super) struct Flag {
    /// Its name with the dashes; others by which it is known.
    pub(super) name: &'static str,
    pub(super) others: &'static [&'static str],
    /// What its value is called; `None`: it is a boolean.
    pub(super) value: Option<&'static str>,
    pub(super) effect: Effect,
}

/// What a flag does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// This.
    Does(&'static str),
    /// Nothing, for this reason.
    None(&'static str),
    /// It cannot be had, for this reason.
    Refused(&'static str),
}

/// The flag of a name.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    FLAGS
        .iter()
        .find(|flag| flag.name == name || flag.others.contains(&name))
}

/// Every name, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|flag| flag.name)
}

const fn does(name: &'static str, value: Option<&'static str>, what: &'static str) -> Flag {
    Flag {
        name,
        others: &[],
        value,
        effect: Effect::Does(what),
    }
}

const fn none(name: &'static str, value: Option<&'static str>, why: &'static str) -> Flag {
    Flag {
        name,
        others: &[],
        value,
        effect: Effect::None(why),
    }
}

const fn refused(name: &'static str, value: Option<&'static str>, why: &'static str) -> Flag {
    Flag {
        name,
        others: &[],
        value,
        effect: Effect::Refused(why),
    }
}

const CONSOLE: &str = "there is no console and no Jolokia";
const OWN_FILES: &str = "the journal lays out its files by its own rules";
const SYNCED: &str = "every durable write is synced";
const NO_JVM: &str = "there is no Java virtual machine";
const NO_ACCEPTOR: &str = "acceptors are written for CORE alone";
const NO_LIMIT: &str = "limits on memory are not enforced yet";
const ARBITER: &str = "the pair's arbiter decides, not pings";
const NO_JDBC: &str = "only stores of files are served";
const NO_TLS: &str = "the HTTP port has no TLS; put a proxy in front of it";
const UNIX: &str = "scripts are written for a POSIX shell";

pub(super) const FLAGS: &[Flag] = &[
    does("--help", None, "print this text"),
    does(
        "--force",
        None,
        "overwrite the configuration of an existing instance, never its data",
    ),
    does(
        "--silent",
        None,
        "for what is not given: admin/admin, cluster-admin/password-admin, anonymous access",
    ),
    does(
        "--name",
        Some("NAME"),
        "name of the broker (default: the host)",
    ),
    does(
        "--host",
        Some("HOST"),
        "host to listen on (default: 0.0.0.0; in a cluster: localhost)",
    ),
    does(
        "--default-port",
        Some("PORT"),
        "port for clients (default: 61616)",
    ),
    does(
        "--port-offset",
        Some("NUMBER"),
        "added to every port (default: 0)",
    ),
    does(
        "--http-host",
        Some("HOST"),
        "host of the HTTP port (default: localhost)",
    ),
    does("--http-port", Some("PORT"), "the HTTP port (default: 8161)"),
    does("--no-web", None, "do not open the HTTP port"),
    does("--user", Some("USER"), "the first user"),
    does("--password", Some("PASSWORD"), "the first user's password"),
    does(
        "--role",
        Some("ROLE"),
        "the first user's role, with every permission (default: amq)",
    ),
    does(
        "--allow-anonymous",
        None,
        "let clients in that name no user, as the first user",
    ),
    does("--require-login", None, "refuse clients that name no user"),
    does(
        "--clustered",
        None,
        "let the broker find others and be found",
    ),
    does(
        "--cluster-user",
        Some("USER"),
        "user by which the brokers of a pair know each other",
    ),
    does(
        "--cluster-password",
        Some("PASSWORD"),
        "that user's password",
    ),
    does("--max-hops", Some("NUMBER"), "between pairs (default: 1)"),
    does(
        "--message-load-balancing",
        Some("POLICY"),
        "between pairs (default: ON_DEMAND)",
    ),
    Flag {
        name: "--static-cluster",
        others: &["--staticCluster"],
        value: Some("URL,URL"),
        effect: Effect::Does("where the other brokers are (default: found by multicast)"),
    },
    does(
        "--shared-store",
        None,
        "make one side of a pair with one store",
    ),
    does(
        "--replicated",
        None,
        "make one side of a pair with a store each",
    ),
    Flag {
        name: "--backup",
        others: &["--slave"],
        value: None,
        effect: Effect::Does("make the backup of the pair (default: the primary)"),
    },
    does(
        "--failover-on-shutdown",
        None,
        "let the other side take over when this one is stopped",
    ),
    does(
        "--data",
        Some("FOLDER"),
        "where the data lives, relative to the instance (default: data)",
    ),
    does(
        "--queues",
        Some("NAME[:TYPE],…"),
        "queues to make, anycast or multicast (default: anycast)",
    ),
    does("--addresses", Some("NAME,…"), "multicast addresses to make"),
    does(
        "--autocreate",
        None,
        "let clients have queues created on the fly (default)",
    ),
    does("--no-autocreate", None, "let them have only what exists"),
    does("--autodelete", None, "delete those when nobody uses them"),
    none("--aio", None, OWN_FILES),
    none("--nio", None, OWN_FILES),
    none("--mapped", None, OWN_FILES),
    none("--no-autotune", None, "nothing is tuned"),
    none("--no-fsync", None, SYNCED),
    none("--journal-device-block-size", Some("BYTES"), OWN_FILES),
    none("--journal-max-io", Some("NUMBER"), OWN_FILES),
    none("--paging", None, NO_LIMIT),
    none("--blocking", None, NO_LIMIT),
    none("--global-max-size", Some("BYTES"), NO_LIMIT),
    none("--global-max-messages", Some("NUMBER"), NO_LIMIT),
    none("--purge-page-folders", None, "there are no page files"),
    none("--no-amqp-acceptor", None, NO_ACCEPTOR),
    none("--no-mqtt-acceptor", None, NO_ACCEPTOR),
    none("--no-stomp-acceptor", None, NO_ACCEPTOR),
    none("--no-hornetq-acceptor", None, NO_ACCEPTOR),
    none("--support-advisory", None, NO_ACCEPTOR),
    none("--suppress-internal-management-objects", None, NO_ACCEPTOR),
    none("--relax-jolokia", None, CONSOLE),
    none("--ping", Some("HOST,…"), ARBITER),
    none("--java-options", Some("OPTIONS"), NO_JVM),
    none("--java-memory", Some("SIZE"), NO_JVM),
    none("--java-utility-options", Some("OPTIONS"), NO_JVM),
    none("--home", Some("FOLDER"), "the broker is one program"),
    none("--encoding", Some("NAME"), "files are written in UTF-8"),
    none("--linux", None, UNIX),
    none("--cygwin", None, UNIX),
    none("--windows", None, UNIX),
    none("--verbose", None, "what is done is said anyway"),
    refused(
        "--etc",
        Some("FOLDER"),
        "the configuration is always in etc, below the instance",
    ),
    refused(
        "--disable-persistence",
        None,
        "this broker always stores durable messages",
    ),
    refused(
        "--journal-retention",
        Some("DAYS"),
        "messages are not retained after consumption",
    ),
    refused(
        "--journal-retention-max-bytes",
        Some("BYTES"),
        "messages are not retained",
    ),
    refused(
        "--security-manager",
        Some("NAME"),
        "users and roles are in files, as with jaas; leave it out",
    ),
    refused("--ssl-key", Some("FILE"), NO_TLS),
    refused("--ssl-key-password", Some("PASSWORD"), NO_TLS),
    refused("--ssl-trust", Some("FILE"), NO_TLS),
    refused("--ssl-trust-password", Some("PASSWORD"), NO_TLS),
    refused("--use-client-auth", None, NO_TLS),
    refused("--jdbc", None, NO_JDBC),
    refused("--jdbc-bindings-table-name", Some("NAME"), NO_JDBC),
    refused("--jdbc-message-table-name", Some("NAME"), NO_JDBC),
    refused("--jdbc-large-message-table-name", Some("NAME"), NO_JDBC),
    refused("--jdbc-page-store-table-name", Some("NAME"), NO_JDBC),
    refused("--jdbc-node-manager-table-name", Some("NAME"), NO_JDBC),
    refused("--jdbc-connection-url", Some("URL"), NO_JDBC),
    refused("--jdbc-driver-class-name", Some("NAME"), NO_JDBC),
    refused("--jdbc-network-timeout", Some("MS"), NO_JDBC),
    refused("--jdbc-lock-renew-period", Some("MS"), NO_JDBC),
    refused("--jdbc-lock-expiration", Some("MS"), NO_JDBC),
];

/// Width of the column of names.
const COLUMN: usize = 36;

/// The help text of `create`.
pub fn help() -> String {
    let mut text = String::from(
        "Makes the instance of a broker: a folder with its configuration, scripts and data.\n\n\
         Usage: tandem-broker create [OPTIONS] FOLDER\n\nOptions:\n",
    );
    for flag in FLAGS {
        if let Effect::Does(what) = flag.effect {
            let names = match (flag.others.first(), flag.value) {
                (Some(other), None) => format!("{}, {other}", flag.name),
                (_, Some(value)) => format!("{} {value}", flag.name),
                (None, None) => flag.name.to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {names:COLUMN$}{what}");
        }
    }
    text.push_str(
        "\nA boolean option may have a value: --allow-anonymous=y, or --allow-anonymous y FOLDER.\n\
         Known to Artemis, accepted and without effect here:\n",
    );
    let without: Vec<_> = FLAGS
        .iter()
        .filter(|flag| matches!(flag.effect, Effect::None(_)))
        .map(|flag| flag.name)
        .collect();
    for names in without.chunks(4) {
        let _ = writeln!(text, "  {}", names.join(" "));
    }
    text
}
