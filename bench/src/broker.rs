//! The two products, instances made by their own `create`, and where a broker listens.

use std::fmt;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::arguments::Places;
use crate::process::{Running, output_of};

/// The client port of a primary and of a broker without partner.
pub(crate) const PRIMARY_PORT: u16 = 61616;
/// The client port of a backup (`--port-offset 100`).
pub(crate) const BACKUP_PORT: u16 = 61716;

pub(crate) const USER: &str = "admin";
pub(crate) const PASSWORD: &str = "password";

/// What every instance is created with.
const COMMON: &str =
    "--user admin --password password --role admin --allow-anonymous --host 127.0.0.1";
/// What both sides of a pair are created with.
const OF_PAIR: &str =
    "--clustered --cluster-user clusterUser --cluster-password clusterPassword --max-hops 1";
/// The same, over one store.
const SHARED: &str = "--shared-store --failover-on-shutdown";
/// The same, with a store each.
const REPLICATED: &str = "--replicated";
/// What a backup is created with as well.
const OF_BACKUP: &str = "--backup --port-offset 100";
/// The same, over one store.
const OF_SHARED_BACKUP: &str = "--data ../primary/data";

/// Artemis measures the disk while it creates.
const CREATE_LIMIT: Duration = Duration::from_mins(1);

/// Whose broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Product {
    /// `tandem-broker`.
    Tandem,
    /// Apache ActiveMQ Artemis.
    Artemis,
}

impl fmt::Display for Product {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Product::Tandem => "Tandem",
            Product::Artemis => "Artemis",
        })
    }
}

/// The place of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Without partner.
    Single,
    /// The primary of a pair.
    Primary,
    /// The backup of a pair.
    Backup,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Single => "single",
            Place::Primary => "primary",
            Place::Backup => "backup",
        }
    }
}

/// How the two brokers of a pair share their data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// One store.
    Shared,
    /// A store each; the pair record is in a folder beside them.
    Replicated,
}

/// A broker instance: a folder with `bin/artemis`.
#[derive(Debug)]
pub(crate) struct Instance {
    name: &'static str,
    folder: PathBuf,
}

impl Instance {
    /// Makes an instance below `folder`.
    pub(crate) fn create(
        places: &Places,
        product: Product,
        place: Place,
        folder: &Path,
    ) -> Result<Instance> {
        Instance::create_with(places, product, place, Data::Shared, folder)
    }

    /// Makes an instance below `folder`, of a pair that shares its data so.
    pub(crate) fn create_with(
        places: &Places,
        product: Product,
        place: Place,
        data: Data,
        folder: &Path,
    ) -> Result<Instance> {
        let mut command = match product {
            Product::Tandem => Command::new(&places.broker),
            Product::Artemis => Command::new(places.artemis_home.join("bin/artemis")),
        };
        command
            .arg("create")
            .args(COMMON.split(' '))
            .current_dir(folder);
        if place != Place::Single {
            command.args(OF_PAIR.split(' '));
            let of_data = match data {
                Data::Shared => SHARED,
                Data::Replicated => REPLICATED,
            };
            command.args(of_data.split(' '));
        }
        if place == Place::Backup {
            command.args(OF_BACKUP.split(' '));
            if data == Data::Shared {
                command.args(OF_SHARED_BACKUP.split(' '));
            }
        }
        command.arg(place.name());
        output_of(&format!("{product} create"), &mut command, CREATE_LIMIT)?;
        let instance = Instance {
            name: place.name(),
            folder: folder.join(place.name()),
        };
        if !instance.folder.join("bin/artemis").is_file() {
            bail!(
                "{product} create made no {}/bin/artemis",
                instance.folder.display()
            );
        }
        if data == Data::Replicated && product == Product::Tandem {
            let arbiter = folder.join("arbiter");
            fs::write(
                instance.folder.join("etc/tandem.properties"),
                format!("arbiter=directory:{}\n", arbiter.display()),
            )?;
            // Each side's `init` finds the record that the other's has made.
            let mut init = Command::new(&places.broker);
            init.args(["pair", "init"]).arg(&instance.folder);
            output_of("pair init", &mut init, CREATE_LIMIT)?;
        }
        Ok(instance)
    }

    /// `DIR/bin/artemis run`
    pub(crate) fn run(&self) -> Result<Running> {
        let outside = self.folder.parent().context("an instance is in a folder")?;
        let mut command = Command::new(self.folder.join("bin/artemis"));
        command.arg("run").current_dir(outside);
        Running::start(self.name, &mut command, outside)
    }

    /// The text of one element of its `broker.xml`, for the report.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("etc/broker.xml")).ok()?;
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.trim().to_owned())
    }
}

/// Whether somebody accepts connections on this port of the loopback interface.
pub(crate) fn accepts(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}
