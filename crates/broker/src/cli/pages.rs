//! What the two brokers of an instance's pair say on their HTTP ports, for commands that look at a pair from outside.

use arbiter::SideFiles;
use pair::Side;
use status_client::{Page, ask_at};
use tokio::runtime::Runtime;

use super::Failure;
use crate::instance::Instance;

/// Hosts that stand for every address of a machine: where a process listens, not where it is reached.
const WILDCARDS: [&str; 3] = ["0.0.0.0", "::", "[::]"];

/// Where the two brokers answer.
pub(super) struct Pages {
    runtime: Runtime,
    side: Side,
    own: Option<String>,
}

impl Pages {
    /// Those of an instance and of its other side.
    pub(super) fn of(instance: &Instance) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Ok(Self {
            runtime: runtime.map_err(Failure::unavailable)?,
            side: instance.ha.pair_side(),
            own: instance
                .http
                .as_ref()
                .map(|http| format!("{}:{}", http.host, http.port)),
        })
    }

    /// The page of the instance's own broker, if it answers.
    pub(super) fn own(&self) -> Option<Page> {
        self.ask(self.own.as_deref()?, self.side)
    }

    /// The page of the other side's broker, if it answers at the address that it left for this one.
    pub(super) fn other(&self, sides: &SideFiles) -> Option<Page> {
        let side = self.side.other();
        // A hint that cannot be read is none.
        let file = sides.read(side).ok().flatten()?;
        let (host, port) = file.http.rsplit_once(':')?;
        let host = if WILDCARDS.contains(&host) {
            file.host.as_str()
        } else {
            host
        };
        self.ask(&format!("{host}:{port}"), side)
    }

    /// An address such as `localhost:8161` may lead to another side's broker on another machine.
    fn ask(&self, address: &str, side: Side) -> Option<Page> {
        let page = self.runtime.block_on(ask_at(address)).ok()?;
        page.is_of(side).then_some(page)
    }
}
