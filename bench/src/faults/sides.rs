//! Both brokers of a pair: started, ended, frozen, woken, and looked at. Signals go to processes that this program started, by
//! their numbers.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::sampler::Sampler;
use crate::arguments::Places;
use crate::broker::{BACKUP_PORT, Data, Instance, PRIMARY_PORT, Place, Product, accepts};
use crate::process::Running;

/// A broker that does not end so soon after SIGTERM is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// One of the two brokers, by its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The primary.
    Primary,
    /// The backup.
    Backup,
}

impl Side {
    /// Both.
    pub(crate) const BOTH: [Side; 2] = [Side::Primary, Side::Backup];

    /// The other one.
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Primary => Side::Backup,
            Side::Backup => Side::Primary,
        }
    }

    /// Where it serves clients.
    pub(crate) fn client_port(self) -> u16 {
        match self {
            Side::Primary => PRIMARY_PORT,
            Side::Backup => BACKUP_PORT,
        }
    }

    /// Where it says how it is.
    pub(crate) fn http_port(self) -> u16 {
        match self {
            Side::Primary => 8161,
            Side::Backup => 8261,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Side::Primary => "primary",
            Side::Backup => "backup",
        })
    }
}

/// Two instances of a pair, each running or not.
#[derive(Debug)]
pub(crate) struct Sides {
    product: Product,
    instances: [Instance; 2],
    running: [Option<Running>; 2],
    /// Whether the pages ever named two that may take over: from then on a whole pair has two.
    two_in_sync: bool,
}

impl Sides {
    /// Makes both instances in `folder`; nothing runs yet.
    pub(crate) fn create(
        places: &Places,
        product: Product,
        data: Data,
        folder: &Path,
    ) -> Result<Sides> {
        let create = |place| Instance::create_with(places, product, place, data, folder);
        Ok(Sides {
            product,
            instances: [create(Place::Primary)?, create(Place::Backup)?],
            running: [None, None],
            two_in_sync: false,
        })
    }

    /// `bin/artemis run`
    pub(crate) fn start(&mut self, side: Side) -> Result<()> {
        let [primary, backup] = &self.instances;
        let running = match side {
            Side::Primary => primary.run()?,
            Side::Backup => backup.run()?,
        };
        *self.of(side) = Some(running);
        Ok(())
    }

    /// `kill -9`; returns when the processes are gone. Several die in the same moment.
    pub(crate) fn kill(&mut self, sides: &[Side]) -> Result<()> {
        let mut dying = Vec::new();
        for side in sides {
            let mut running = self.take(*side)?;
            // One that has ended already is as dead as it gets.
            if running.ended()?.is_none() {
                running.signal(Signal::SIGKILL)?;
                dying.push(running);
            }
        }
        dying.into_iter().try_for_each(Running::kill)
    }

    /// SIGTERM; returns when the process is gone.
    pub(crate) fn stop(&mut self, side: Side) -> Result<()> {
        let mut running = self.take(side)?;
        if running.ended()?.is_none() {
            running.stop(STOP_LIMIT)?;
        }
        Ok(())
    }

    /// Ends what runs, so that both can be started anew.
    pub(crate) fn end_all(&mut self) -> Result<()> {
        for side in Side::BOTH {
            if self.of(side).is_some() {
                self.kill(&[side])?;
            }
        }
        Ok(())
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&mut self, side: Side) -> Result<()> {
        self.signal(side, Signal::SIGSTOP)
    }

    /// SIGCONT.
    pub(crate) fn wake(&mut self, side: Side) -> Result<()> {
        self.signal(side, Signal::SIGCONT)
    }

    fn signal(&mut self, side: Side, signal: Signal) -> Result<()> {
        let running = self.of(side).as_mut();
        let running = running.with_context(|| format!("the {side} does not run"))?;
        running.still_runs()?;
        running.signal(signal)
    }

    /// Starts again, as a supervisor would, what has ended though nobody ended it; says what that was.
    pub(crate) fn restart_ended(&mut self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        for side in Side::BOTH {
            let Some(running) = self.of(side) else {
                continue;
            };
            if let Some(status) = running.ended()? {
                ended.push(format!("the {side} ended by itself with {status}"));
                self.start(side)?;
            }
        }
        Ok(ended)
    }

    /// The side that serves, if exactly one does.
    pub(crate) fn active(sampler: &Sampler) -> Option<Side> {
        let [primary, backup] = Side::BOTH.map(|side| sampler.answers(side));
        match (primary, backup) {
            (true, false) => Some(Side::Primary),
            (false, true) => Some(Side::Backup),
            (true, true) | (false, false) => None,
        }
    }

    /// The side that serves, if the other one is a settled standby.
    pub(crate) fn whole(&mut self, sampler: &Sampler) -> Option<Side> {
        let active = Sides::active(sampler)?;
        let standby = active.other();
        let is_whole = match self.product {
            Product::Tandem => {
                let (active, standby) = (sampler.page(active)?, sampler.page(standby)?);
                self.two_in_sync |= active.in_sync.len() > 1;
                active.serves()
                    && active.settled
                    && standby.stands_by()
                    && active.epoch == standby.epoch
                    && (!self.two_in_sync || active.in_sync.len() > 1)
            }
            // A primary that waits for its turn says so nowhere; it takes its role back, and then the backup stands by.
            Product::Artemis => active == Side::Primary && self.backup_of_artemis_stands_by(),
        };
        (is_whole && !accepts(standby.client_port())).then_some(active)
    }

    /// Whether the last thing that the backup said of its role is that it is announced as one.
    fn backup_of_artemis_stands_by(&self) -> bool {
        let [_, Some(backup)] = &self.running else {
            return false;
        };
        let text = backup.text();
        let announced = text.rfind("AMQ221031");
        let other = ["AMQ221010", "AMQ221002", "AMQ221008"]
            .iter()
            .filter_map(|code| text.rfind(code))
            .max();
        announced > other
    }

    fn take(&mut self, side: Side) -> Result<Running> {
        let running = self.of(side).take();
        running.with_context(|| format!("the {side} does not run"))
    }

    fn of(&mut self, side: Side) -> &mut Option<Running> {
        let [primary, backup] = &mut self.running;
        match side {
            Side::Primary => primary,
            Side::Backup => backup,
        }
    }
}
