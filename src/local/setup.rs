//! From a manifest on disk to a pair that can be started: everything is checked before anything is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::credentials::{self, CredentialsError};
use super::instance::{self, WriteError};
use super::ports::{self, PortsError};
use super::program::{self, ProgramError};
use super::record::{PairRecord, RecordError};
use super::state_dir::{StateDir, StateDirError, SupervisorLock};
use super::supervisor::Plan;

use crate::api::manifest::Manifest;
use crate::api::validate::{ValidatedPair, validate};
use crate::api::violation::Violations;
use crate::api::yaml::MAX_MANIFEST_BYTES;
use crate::by_side::{BySide, SIDES};
use crate::policy::Rules;
use crate::render::placement::{self, HOST, PlacementError};
use crate::render::{self, LocalPlacement, Placement, url};

/// What a person types to make the primary active again.
const BY_HAND: &str = "tandem local switchover primary";

/// Where a pair shall run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The manifest.
    pub(crate) manifest: PathBuf,
    /// The pair's folder, if named.
    pub(crate) dir: Option<PathBuf>,
    /// The broker program, if named.
    pub(crate) broker: Option<PathBuf>,
    /// What is added to every port.
    pub(crate) port_offset: u16,
    /// What is added to the primary's ports for the backup.
    pub(crate) backup_port_offset: u16,
}

/// Why a pair cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The manifest cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] Violations),
    /// Its ports do not go together.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// There is no broker program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The pair's folder cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// Ports are in use.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// The pair's passwords cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// An instance cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The pair record cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl SetupError {
    /// Whether the manifest is to blame, rather than this machine.
    pub(crate) fn is_wrong_input(&self) -> bool {
        match self {
            Self::Read { .. } | Self::Manifest(_) | Self::Placement(_) => true,
            Self::Program(_)
            | Self::StateDir(_)
            | Self::Ports(_)
            | Self::Credentials(_)
            | Self::Write(_)
            | Self::Record(_) => false,
        }
    }
}

/// A pair that can be started.
pub(crate) struct Prepared {
    /// What the supervisor runs.
    pub(crate) plan: Plan,
    /// The pair.
    pub(crate) pair: ValidatedPair,
    /// Its users with their passwords.
    pub(crate) users: BTreeMap<String, String>,
    /// Its record.
    pub(crate) record: PairRecord,
    /// Keeps other supervisors out while it lives.
    pub(crate) lock: SupervisorLock,
}

/// Reads and checks a manifest.
pub(crate) fn read(path: &Path) -> Result<ValidatedPair, SetupError> {
    let failed = |source| SetupError::Read {
        path: path.to_owned(),
        source,
    };
    // One byte more than allowed, so that the reader can say that it is too large.
    let limit = MAX_MANIFEST_BYTES as u64 + 1;
    let mut text = String::new();
    File::open(path)
        .map_err(failed)?
        .take(limit)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let manifest = Manifest::read(&path.display().to_string(), &text)?;
    Ok(validate(&manifest)?)
}

/// Makes everything ready for a start.
pub(crate) fn prepare(options: &Options) -> Result<Prepared, SetupError> {
    let pair = read(&options.manifest)?;
    let placement = LocalPlacement {
        host: HOST.to_owned(),
        port_offset: options.port_offset,
        backup_port_offset: options.backup_port_offset,
    };
    let wanted_ports = placement.check(&pair)?;
    let program = program::find(options.broker.as_deref())?;
    let dir = StateDir::locate(options.dir.as_deref(), &pair.name)?;
    let lock = dir.lock()?;
    ports::check(&placement.host, &wanted_ports)?;
    let credentials = credentials::load_or_make(&dir.credentials())?;
    for side in SIDES {
        let mut salts = BTreeMap::new();
        for user in render::users(&pair, &credentials).into_keys() {
            salts.insert(user, credentials::random()?);
        }
        let salt = |user: &str| salts.get(user).copied().unwrap_or_default();
        let rendered = render::render(&pair, &placement, &credentials, side, &salt);
        let files = rendered.files(&placement, side);
        instance::write(&dir.instance(side), &files)?;
    }
    let record = PairRecord::open_or_make(&dir, pair.mode.into())?;
    let first_port = pair
        .acceptors
        .first()
        .map_or(placement::HTTP_PORT, |first| first.port);
    let ports = BySide::from_fn(|side| placement.port(side, first_port));
    let plan = Plan {
        name: pair.name.clone(),
        dir,
        program,
        url: url::recommended(
            [ports.primary, ports.backup].map(|port| (placement.host.clone(), port)),
        ),
        ports,
        http_ports: BySide::from_fn(|side| placement.http_port(side)),
        host: placement.host,
        rules: Rules::new(&pair, BY_HAND),
    };
    let users = render::users(&pair, &credentials);
    Ok(Prepared {
        plan,
        pair,
        users,
        record,
        lock,
    })
}
