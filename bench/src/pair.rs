//! A shared-store pair: both brokers, started, killed, and waited for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::arguments::Places;
use crate::broker::{BACKUP_PORT, Instance, PRIMARY_PORT, Place, Product, accepts};
use crate::process::{Running, wait_for};

/// A change of role, with a large backlog and a slow machine in mind.
pub(crate) const SETTLE_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What a backup says each time when it begins to stand by, after its start and after a failback.
fn stands_by(product: Product) -> &'static str {
    match product {
        Product::Tandem => "AMQ221109",
        Product::Artemis => "AMQ221031",
    }
}

/// Two brokers over one store.
#[derive(Debug)]
pub(crate) struct Pair {
    primary: (Instance, Option<Running>),
    backup: (Instance, Option<Running>),
    started: Instant,
    product: Product,
}

impl Pair {
    /// Makes both instances in `folder` and starts both; the primary serves and the backup stands by.
    pub(crate) fn start(places: &Places, product: Product, folder: &Path) -> Result<Pair> {
        let create = |place| Instance::create(places, product, place, folder);
        let mut pair = Pair {
            primary: (create(Place::Primary)?, None),
            backup: (create(Place::Backup)?, None),
            started: Instant::now(),
            product,
        };
        pair.start_primary()?;
        pair.wait_until_primary_serves()?;
        pair.start_backup()?;
        pair.wait_until_standby(0)?;
        pair.started = Instant::now();
        Ok(pair)
    }

    /// When both had taken their roles for the first time.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The text of one element of the primary's `broker.xml`.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        self.primary.0.element(name)
    }

    /// `bin/artemis run` of the primary.
    pub(crate) fn start_primary(&mut self) -> Result<()> {
        self.primary.1 = Some(self.primary.0.run()?);
        Ok(())
    }

    /// `bin/artemis run` of the backup.
    pub(crate) fn start_backup(&mut self) -> Result<()> {
        self.backup.1 = Some(self.backup.0.run()?);
        Ok(())
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) fn kill_primary(&mut self) -> Result<()> {
        self.primary
            .1
            .take()
            .context("the primary does not run")?
            .kill()
    }

    /// The same with the backup.
    pub(crate) fn kill_backup(&mut self) -> Result<()> {
        self.backup
            .1
            .take()
            .context("the backup does not run")?
            .kill()
    }

    /// Waits until clients can connect to the primary.
    pub(crate) fn wait_until_primary_serves(&mut self) -> Result<()> {
        wait_for("the primary serving", SETTLE_LIMIT, || {
            self.primary()?.still_runs()?;
            Ok(accepts(PRIMARY_PORT).then_some(()))
        })
    }

    /// How often the running backup has said that it stands by.
    pub(crate) fn times_stood_by(&self) -> usize {
        self.backup
            .1
            .as_ref()
            .map_or(0, |running| running.times_said(stands_by(self.product)))
    }

    /// Waits until the backup stands by once more than `before` times, with its port closed.
    pub(crate) fn wait_until_standby(&mut self, before: usize) -> Result<()> {
        wait_for("the backup standing by", SETTLE_LIMIT, || {
            self.backup()?.still_runs()?;
            Ok((self.times_stood_by() > before && !accepts(BACKUP_PORT)).then_some(()))
        })
    }

    /// Memory of both, in KiB: of the one that serves, of the one that stands by.
    pub(crate) fn resident_kib(&mut self) -> Result<(u32, u32)> {
        Ok((
            self.primary()?.resident_kib()?,
            self.backup()?.resident_kib()?,
        ))
    }

    /// Ends both, the one that stands by first.
    pub(crate) fn stop(self) -> Result<()> {
        for running in [self.backup.1, self.primary.1].into_iter().flatten() {
            running.stop(STOP_LIMIT)?;
        }
        Ok(())
    }

    fn primary(&mut self) -> Result<&mut Running> {
        self.primary.1.as_mut().context("the primary does not run")
    }

    fn backup(&mut self) -> Result<&mut Running> {
        self.backup.1.as_mut().context("the backup does not run")
    }
}
