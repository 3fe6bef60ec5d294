//! An instance on disk: its files, read and checked before anything is started.
//!
//! Every mistake names the file and, where there is one, the line. Nothing is written here.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use broker_config::bootstrap_xml::{Bootstrap, HttpBinding};
use broker_config::broker_xml::{Notice, NoticeKind};
use broker_config::configuration::Protocol;
use broker_config::login_config::LoginConfig;
use broker_config::tandem_properties::{Arbiter, Failback, LockPolicy};
use broker_config::users::{Roles, Users};
use broker_config::{
    Authenticator, Configuration, EffectiveHa, HaError, Mode, Side, TandemProperties, paths,
};

/// Largest configuration file read; they are written by people.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Why an instance cannot be started, in words for the person who starts it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstanceError {
    /// A file is not there or cannot be read.
    #[error("cannot read {}: {source}{}", path.display(), hint(source))]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is far larger than any that a person writes.
    #[error("{} has {bytes} bytes, more than the {MAX_FILE_BYTES} a configuration file may have", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A file says what it must not say; the text names file and line.
    #[error("{0}")]
    Content(String),
    /// The pair is not one that this broker can be part of.
    #[error("{}: {source}", file.display())]
    Ha {
        /// The file to change.
        file: PathBuf,
        /// What is wrong.
        source: HaError,
    },
    /// Something that other versions or engines serve and this one does not.
    #[error("{}: {what}", file.display())]
    NotServed {
        /// The file to change.
        file: PathBuf,
        /// What is not served, and what to do.
        what: String,
    },
}

fn hint(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::NotFound {
        " (an instance is made by `tandem-broker create DIR`, and run by `DIR/bin/artemis run`)"
    } else {
        ""
    }
}

/// A client port.
#[derive(Debug, Clone)]
pub(crate) struct ClientPort {
    /// Name of the acceptor.
    pub name: String,
    /// Host to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Connections at the same time; absent: as many as the process can have.
    pub connections_allowed: Option<usize>,
}

impl ClientPort {
    /// Who needs the port, for messages.
    pub(crate) fn user(&self) -> String {
        format!("acceptor '{}'", self.name)
    }
}

/// An instance that may be started.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Its folder, absolute.
    pub dir: PathBuf,
    /// `broker.xml`.
    pub configuration: Configuration,
    /// Its part in a pair; a broker alone is the primary of a pair without a backup.
    pub ha: Ha,
    /// Who may come in.
    pub authenticator: Authenticator,
    /// Where the HTTP port is; absent if it is not to be opened.
    pub http: Option<HttpBinding>,
    /// The client ports.
    pub ports: Vec<ClientPort>,
    /// What a person should know about the files; for the log.
    pub notices: Vec<String>,
    /// Settings that mean nothing here; for those who look for one.
    pub harmless: Vec<String>,
}

/// Who sees the folder of the pair record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArbiterIs {
    /// Both sides.
    Common,
    /// This side alone: the two stores of a pair have nothing in common.
    Own,
}

/// The part of a broker in its pair.
#[derive(Debug, Clone)]
pub(crate) struct Ha {
    /// Which side.
    pub side: Side,
    /// One store, or one for each side.
    pub mode: pair::Mode,
    /// Where the pair record is.
    pub arbiter: ArbiterAt,
    /// Who sees it.
    pub arbiter_is: ArbiterIs,
    /// Folder of the journal, absolute.
    pub journal: PathBuf,
    /// What this broker tells clients and its peer; absent for a broker alone.
    pub connector: Option<broker_config::configuration::Connector>,
    /// Where the link listens, on the connector's host; absent for a broker alone.
    pub link_port: Option<u16>,
    /// Connectors of the other side that `broker.xml` names.
    pub static_peers: Vec<broker_config::configuration::Connector>,
    /// Where the other side announces itself, if the cluster-connection refers to such a group.
    pub discovery: Option<broker_config::configuration::DiscoveryGroup>,
    /// The rest.
    pub failback: Failback,
    /// Whether this side, as the active, lets a returned primary take back.
    pub allow_failback: bool,
    /// Whether the other side takes over when this one is stopped.
    pub failover_on_shutdown: bool,
    /// What a takeover needs.
    pub lock: LockPolicy,
    /// Heartbeat and timeout in milliseconds.
    pub detection_ms: (u64, u64),
    /// Whether there is another side at all.
    pub is_pair: bool,
}

/// Where the pair record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArbiterAt {
    /// In this folder, absolute.
    Folder(PathBuf),
    /// In a Lease of Kubernetes.
    Lease {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl fmt::Display for ArbiterAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Lease { namespace, name } => write!(f, "the lease {namespace}/{name}"),
        }
    }
}

impl Ha {
    /// Folder in which the sides leave something for each other: beside the record, or in the store that both see.
    pub(crate) fn sides(&self) -> PathBuf {
        match &self.arbiter {
            ArbiterAt::Folder(folder) => folder.clone(),
            ArbiterAt::Lease { .. } => self.journal.join("sides"),
        }
    }

    /// Which side, in the pair protocol's words.
    pub(crate) fn pair_side(&self) -> pair::Side {
        match self.side {
            Side::Primary => pair::Side::Primary,
            Side::Backup => pair::Side::Backup,
        }
    }
}

impl Instance {
    /// Reads the instance in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, InstanceError> {
        let dir = std::path::absolute(dir).map_err(|source| InstanceError::Read {
            path: dir.to_owned(),
            source,
        })?;
        let etc = dir.join("etc");
        let lookup =
            |name: &str| paths::instance_property(&dir, name).or_else(|| std::env::var(name).ok());

        let bootstrap = bootstrap(&etc, &lookup)?;
        let broker_xml = paths::resolve(&dir, &bootstrap.broker_xml);
        let text = read(&broker_xml)?;
        let parsed =
            broker_config::broker_xml::parse(&broker_xml.display().to_string(), &text, &lookup)
                .map_err(|errors| InstanceError::Content(errors.to_string()))?;
        let (harmless, notices): (Vec<_>, Vec<_>) = parsed
            .notices
            .into_iter()
            .partition(|notice| notice.kind == NoticeKind::Harmless);
        let line = |notice: &Notice| format!("{}:{notice}", broker_xml.display());
        let configuration = parsed.configuration;

        let properties = etc.join("tandem.properties");
        let text = read_if_there(&properties)?.unwrap_or_default();
        let properties = TandemProperties::parse(&properties.display().to_string(), &text)
            .map_err(|error| InstanceError::Content(error.to_string()))?;
        let ha = ha(&dir, &broker_xml, &configuration, &properties)?;

        Ok(Self {
            authenticator: authenticator(&etc)?,
            http: bootstrap.http,
            ports: client_ports(&configuration),
            notices: notices.iter().map(line).collect(),
            harmless: harmless.iter().map(line).collect(),
            dir,
            configuration,
            ha,
        })
    }
}

fn ha(
    dir: &Path,
    broker_xml: &Path,
    configuration: &Configuration,
    properties: &TandemProperties,
) -> Result<Ha, InstanceError> {
    let not_served = |what: String| InstanceError::NotServed {
        file: broker_xml.to_owned(),
        what,
    };
    if !configuration.persistence_enabled {
        return Err(not_served(
            "persistence-enabled is false: this broker always stores durable messages; set it to true"
                .to_owned(),
        ));
    }
    let journal = paths::resolve(dir, &configuration.directories.journal);
    let effective =
        EffectiveHa::of(configuration, properties).map_err(|source| InstanceError::Ha {
            file: broker_xml.to_owned(),
            source,
        })?;
    let Some(effective) = effective else {
        return Ok(Ha {
            side: Side::Primary,
            mode: pair::Mode::SharedStore,
            arbiter: ArbiterAt::Folder(
                paths::resolve(dir, configuration.directories.node_manager()).join("pair"),
            ),
            arbiter_is: ArbiterIs::Common,
            journal,
            connector: None,
            link_port: None,
            static_peers: Vec::new(),
            discovery: None,
            failback: Failback::Managed,
            allow_failback: false,
            failover_on_shutdown: true,
            lock: LockPolicy::Record,
            detection_ms: (
                broker_config::effective::DEFAULT_HEARTBEAT_MS,
                broker_config::effective::DEFAULT_TIMEOUT_MS,
            ),
            is_pair: false,
        });
    };
    let arbiter = match &effective.arbiter {
        Arbiter::Directory(folder) => ArbiterAt::Folder(paths::resolve(dir, folder)),
        Arbiter::Lease { namespace, name } => ArbiterAt::Lease {
            namespace: namespace.clone(),
            name: name.clone(),
        },
        Arbiter::None => ArbiterAt::Folder(journal.join("pair")),
    };
    if effective.link_tls.is_some() {
        return Err(InstanceError::NotServed {
            file: dir.join("etc/tandem.properties"),
            what: "link.tls: this version has no TLS on the link; remove the three keys, and keep \
                   the link on a network that only the two brokers use"
                .to_owned(),
        });
    }
    Ok(Ha {
        side: effective.side,
        arbiter_is: if effective.arbiter == Arbiter::None {
            ArbiterIs::Own
        } else {
            ArbiterIs::Common
        },
        mode: match effective.mode {
            Mode::SharedStore => pair::Mode::SharedStore,
            Mode::Replication => pair::Mode::Replication,
        },
        arbiter,
        journal,
        connector: Some(effective.connector),
        link_port: Some(effective.link_port),
        static_peers: effective.static_peers,
        discovery: effective.discovery,
        failback: effective.failback,
        allow_failback: effective.allow_failback,
        failover_on_shutdown: effective.failover_on_shutdown,
        lock: effective.lock,
        detection_ms: (effective.heartbeat_ms, effective.timeout_ms),
        is_pair: true,
    })
}

fn authenticator(etc: &Path) -> Result<Authenticator, InstanceError> {
    let path = etc.join("login.config");
    let login = LoginConfig::parse(&path.display().to_string(), &read(&path)?)
        .map_err(|error| InstanceError::Content(error.to_string()))?;
    let path = etc.join(&login.users_file);
    let users = Users::parse(&path.display().to_string(), &read(&path)?)
        .map_err(|error| InstanceError::Content(error.to_string()))?;
    let path = etc.join(&login.roles_file);
    let roles = Roles::parse(&path.display().to_string(), &read(&path)?)
        .map_err(|error| InstanceError::Content(error.to_string()))?;
    Ok(Authenticator::new(users, roles, login.guest))
}

fn bootstrap(
    etc: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Bootstrap, InstanceError> {
    let path = etc.join("bootstrap.xml");
    let (bootstrap, _) = Bootstrap::parse(&path.display().to_string(), &read(&path)?, lookup)
        .map_err(|errors| InstanceError::Content(errors.to_string()))?;
    Ok(bootstrap)
}

fn client_ports(configuration: &Configuration) -> Vec<ClientPort> {
    configuration
        .acceptors
        .iter()
        .filter(|acceptor| acceptor.protocols.contains(&Protocol::Core))
        .map(|acceptor| ClientPort {
            name: acceptor.name.clone(),
            host: acceptor.host.clone(),
            port: acceptor.port,
            // -1 means no limit; the text was checked when the file was read.
            connections_allowed: acceptor
                .parameters
                .get("connectionsAllowed")
                .and_then(|allowed| allowed.parse().ok()),
        })
        .collect()
}

fn read(path: &Path) -> Result<String, InstanceError> {
    let failed = |source| InstanceError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(InstanceError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    }
    fs::read_to_string(path).map_err(failed)
}

fn read_if_there(path: &Path) -> Result<Option<String>, InstanceError> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(InstanceError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
