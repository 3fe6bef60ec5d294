//! Where a pair lives: hosts, ports, the store and the pair record, as its files name them.

use broker_config::tandem_properties::Arbiter;
use pair::Side;

use crate::api::spec::HaMode;
use crate::api::validate::ValidatedPair;

/// HTTP port of the primary; the backup's is beside it by the same offset as all its ports.
pub(crate) const HTTP_PORT: u16 = 8_161;
/// What is added to every port of the primary for the backup.
pub(crate) const BACKUP_PORT_OFFSET: u16 = 100;
/// The only address a pair on one machine listens on.
pub(crate) const HOST: &str = "127.0.0.1";
/// The store that both sides use, as seen from either instance.
const STORE: &str = "../store";
/// The pair record, as seen from either instance.
pub(crate) const ARBITER: &str = "../store/pair";

/// Where both sides of a pair are.
pub(crate) trait Placement {
    /// The address that ports listen on.
    fn listen_host(&self) -> &str;
    /// The host by which clients and the other side reach a side.
    fn host(&self, side: Side) -> String;
    /// A port of the manifest as this side opens it.
    fn port(&self, side: Side, of_manifest: u16) -> u16;
    /// The folder of the data, relative to each instance or absolute.
    fn store(&self, mode: HaMode, side: Side) -> String;
    /// Where the pair record lives.
    fn arbiter(&self) -> Arbiter;

    /// The HTTP port of a side.
    fn http_port(&self, side: Side) -> u16 {
        self.port(side, HTTP_PORT)
    }
}

impl Placement for LocalPlacement {
    fn listen_host(&self) -> &str {
        &self.host
    }

    fn host(&self, _: Side) -> String {
        self.host.clone()
    }

    /// Only sums that [`Self::check`] accepted.
    fn port(&self, side: Side, of_manifest: u16) -> u16 {
        of_manifest.saturating_add(self.offset(side))
    }

    /// One store for both, or one for each.
    fn store(&self, mode: HaMode, side: Side) -> String {
        match mode {
            HaMode::SharedStore => STORE.to_owned(),
            HaMode::Replication => format!("{STORE}/{side}"),
        }
    }

    fn arbiter(&self) -> Arbiter {
        Arbiter::Directory(ARBITER.to_owned())
    }
}

/// Where a pair lives on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPlacement {
    /// Address of every port.
    pub(crate) host: String,
    /// What is added to the manifest's ports for the primary; 0 but in tests and beside other pairs.
    pub(crate) port_offset: u16,
    /// What is added to the primary's ports for the backup.
    pub(crate) backup_port_offset: u16,
}

/// A port that a pair wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedPort {
    /// The port.
    pub(crate) port: u16,
    /// The side that opens it.
    pub(crate) side: Side,
    /// The field it comes from, or what it is for.
    pub(crate) origin: String,
}

/// Ports that cannot be had whatever else runs on the machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlacementError {
    /// Above 65535.
    #[error(
        "the {side}'s port for {origin} would be {port}, above 65535: use lower ports, or a \
         smaller --backup-port-offset or --port-offset"
    )]
    TooHigh {
        /// The side.
        side: Side,
        /// What it is for.
        origin: String,
        /// The sum.
        port: u32,
    },
    /// Wanted twice.
    #[error(
        "port {port} is wanted twice: by the {} for {} and by the {} for {}; choose another \
         --backup-port-offset", .first.side, .first.origin, .second.side, .second.origin
    )]
    Twice {
        /// The port.
        port: u16,
        /// One.
        first: Box<WantedPort>,
        /// The other.
        second: Box<WantedPort>,
    },
}

impl LocalPlacement {
    fn offset(&self, side: Side) -> u16 {
        match side {
            Side::Primary => self.port_offset,
            Side::Backup => self.port_offset.saturating_add(self.backup_port_offset),
        }
    }

    /// Every port of the pair, or why they cannot all be had.
    pub(crate) fn check(&self, pair: &ValidatedPair) -> Result<Vec<WantedPort>, PlacementError> {
        let mut ports: Vec<WantedPort> = Vec::new();
        for side in [Side::Primary, Side::Backup] {
            let fields = pair.acceptors.iter().enumerate();
            let fields = fields.map(|(i, a)| (a.port, format!("spec.acceptors[{i}].port")));
            let http = (HTTP_PORT, "HTTP (health and status)".to_owned());
            // The first acceptor's is the connector's, before which the link has its own by default.
            let link = pair.acceptors.first().map(|first| {
                let origin = "the link between the two brokers (spec.acceptors[0].port - 1)";
                (first.port.saturating_sub(1), origin.to_owned())
            });
            for (of_manifest, origin) in fields.chain([http]).chain(link) {
                let sum = u32::from(of_manifest)
                    + u32::from(self.port_offset)
                    + match side {
                        Side::Primary => 0,
                        Side::Backup => u32::from(self.backup_port_offset),
                    };
                let Ok(port) = u16::try_from(sum) else {
                    return Err(PlacementError::TooHigh {
                        side,
                        origin,
                        port: sum,
                    });
                };
                let wanted = WantedPort { port, side, origin };
                if let Some(first) = ports.iter().find(|other| other.port == port) {
                    let first = Box::new(first.clone());
                    return Err(PlacementError::Twice {
                        port,
                        first,
                        second: Box::new(wanted),
                    });
                }
                ports.push(wanted);
            }
        }
        Ok(ports)
    }
}
