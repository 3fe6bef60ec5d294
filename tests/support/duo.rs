//! The worksheet's pair as one thing: start, kill and stop its sides, and ask them what they are.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::instance::{
    BACKUP_PORT, CREATE_BACKUP, CREATE_PRIMARY, Instance, PRIMARY_PORT, accepts, type_line,
};
use super::process::Running;
use super::{http, wait_for};

/// How long a role may take to settle: a cold start waits `lost_after` + 3 s for the other side.
pub(crate) const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// One of the two brokers, by its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Primary,
    Backup,
}

impl Side {
    fn client_port(self) -> u16 {
        match self {
            Side::Primary => PRIMARY_PORT,
            Side::Backup => BACKUP_PORT,
        }
    }

    fn http_port(self) -> u16 {
        match self {
            Side::Primary => 8161,
            Side::Backup => 8261,
        }
    }
}

/// Two instances over one store, each running or not.
pub(crate) struct Duo {
    primary: (Instance, Option<Running>),
    backup: (Instance, Option<Running>),
    environment: Vec<(Side, &'static str, OsString)>,
}

impl Duo {
    /// The worksheet's pair, with its queue, not yet started.
    pub(crate) fn create(folder: &Path) -> Duo {
        Duo::of(Instance::worksheet_pair(folder))
    }

    /// The worksheet's pair, created without `--failover-on-shutdown`.
    pub(crate) fn create_without_failover_on_shutdown(folder: &Path) -> Duo {
        for line in [CREATE_PRIMARY, CREATE_BACKUP] {
            type_line(folder, &line.replace("--failover-on-shutdown ", ""));
        }
        let pair = (
            Instance::at(folder.join("liveBroker")),
            Instance::at(folder.join("backupBroker")),
        );
        pair.0.add_example_queue();
        pair.1.add_example_queue();
        Duo::of(pair)
    }

    fn of((primary, backup): (Instance, Instance)) -> Duo {
        Duo {
            primary: (primary, None),
            backup: (backup, None),
            environment: Vec::new(),
        }
    }

    /// Starts that side with this in its environment from now on.
    pub(crate) fn set_environment(&mut self, side: Side, name: &'static str, value: OsString) {
        self.environment.push((side, name, value));
    }

    /// The files of a side.
    pub(crate) fn instance(&self, side: Side) -> &Instance {
        match side {
            Side::Primary => &self.primary.0,
            Side::Backup => &self.backup.0,
        }
    }

    /// Starts both; returns when the primary serves and the backup is its standby.
    pub(crate) fn start(&mut self) {
        self.start_side(Side::Primary);
        self.wait_until_serving(Side::Primary);
        self.start_side(Side::Backup);
        self.wait_until_standby(Side::Backup);
    }

    /// Starts one side.
    pub(crate) fn start_side(&mut self, side: Side) {
        let of_side = self.environment.iter().filter(|(of, ..)| *of == side);
        let environment: Vec<_> = of_side
            .map(|(_, name, value)| (*name, value.clone()))
            .collect();
        let (instance, running) = self.of_side(side);
        assert!(running.is_none(), "the {side:?} runs already");
        *running = Some(instance.run_with(&environment));
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, side: Side) {
        self.take(side).kill();
    }

    /// Ends both in the same moment.
    pub(crate) fn kill_both(&mut self) {
        self.process(Side::Primary).signal(Signal::SIGKILL);
        self.kill(Side::Backup);
        self.kill(Side::Primary);
    }

    /// `kill -STOP`: the process hangs, its sockets and locks stay.
    pub(crate) fn freeze(&mut self, side: Side) {
        self.process(side).signal(Signal::SIGSTOP);
    }

    /// `kill -CONT`.
    pub(crate) fn thaw(&mut self, side: Side) {
        self.process(side).signal(Signal::SIGCONT);
    }

    /// Waits until a process has ended by itself; returns how.
    pub(crate) fn ends_by_itself(&mut self, side: Side, limit: Duration) -> ExitStatus {
        self.take(side).wait(limit)
    }

    /// SIGTERM; returns how the process ended.
    pub(crate) fn stop(&mut self, side: Side) -> ExitStatus {
        let mut running = self.take(side);
        running.signal(Signal::SIGTERM);
        running.wait(STOP_LIMIT)
    }

    /// The running process of a side.
    pub(crate) fn process(&mut self, side: Side) -> &mut Running {
        self.of_side(side)
            .1
            .as_mut()
            .unwrap_or_else(|| panic!("the {side:?} does not run"))
    }

    /// Waits until a side accepts clients and says that it serves. Meanwhile the two must never both do.
    pub(crate) fn wait_until_serving(&mut self, side: Side) {
        wait_for(&format!("the {side:?} serving"), SETTLE_LIMIT, || {
            let both = serves(Side::Primary) && serves(Side::Backup);
            assert!(!both, "both brokers serve clients");
            assert!(self.process(side).is_running(), "the {side:?} has ended");
            (accepts(side.client_port()) && role(side).as_deref() == Some("serving")).then_some(())
        });
    }

    /// Waits until a side is a settled standby with closed ports.
    pub(crate) fn wait_until_standby(&mut self, side: Side) {
        wait_for(
            &format!("the {side:?} being a settled standby"),
            SETTLE_LIMIT,
            || {
                assert!(self.process(side).is_running(), "the {side:?} has ended");
                let page = page(side)?;
                (page["role"] == "standby"
                    && page["settled"] == true
                    && !accepts(side.client_port()))
                .then_some(())
            },
        );
    }

    /// Holds for some time that a side does not serve; a side that never would must not be told from one that is slow.
    pub(crate) fn stays_passive(&mut self, side: Side, time: Duration) {
        let end = std::time::Instant::now() + time;
        while std::time::Instant::now() < end {
            assert!(
                !accepts(side.client_port()),
                "the {side:?} serves, and must not"
            );
            assert!(self.process(side).is_running(), "the {side:?} has ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn take(&mut self, side: Side) -> Running {
        self.of_side(side)
            .1
            .take()
            .unwrap_or_else(|| panic!("the {side:?} does not run"))
    }

    fn of_side(&mut self, side: Side) -> &mut (Instance, Option<Running>) {
        match side {
            Side::Primary => &mut self.primary,
            Side::Backup => &mut self.backup,
        }
    }
}

/// Waits until the record, as both sides see it, says that both may take over.
pub(crate) fn wait_until_in_sync() {
    let has_two = |side| {
        page(side).is_some_and(|page| page["in_sync"].as_array().is_some_and(|it| it.len() == 2))
    };
    wait_for("both sides being in sync", SETTLE_LIMIT, || {
        (has_two(Side::Primary) && has_two(Side::Backup)).then_some(())
    });
}

/// Number of the pair's current term, as a side says it.
pub(crate) fn epoch(side: Side) -> u64 {
    let page =
        page(side).unwrap_or_else(|| panic!("the {side:?} does not answer on its HTTP port"));
    page["epoch"]
        .as_u64()
        .unwrap_or_else(|| panic!("no epoch in {page}"))
}

/// Whether a side says that it serves and has an open port. The kernel accepts connections for a process that
/// hangs, so an open port alone says nothing.
fn serves(side: Side) -> bool {
    accepts(side.client_port()) && role(side).as_deref() == Some("serving")
}

fn role(side: Side) -> Option<String> {
    page(side)?["role"].as_str().map(str::to_owned)
}

/// `GET /v1/pair`, or nothing while the port is closed.
pub(crate) fn page(side: Side) -> Option<serde_json::Value> {
    let address = SocketAddr::from(([127, 0, 0, 1], side.http_port()));
    http::get(address, "/v1/pair")
}

/// Files of the pair's record in the worksheet's store, newest last.
pub(crate) fn record_files(duo: &Duo) -> Vec<String> {
    let folder = duo.instance(Side::Primary).file("data/journal/pair");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("record."))
        .collect();
    names.sort();
    names
}
