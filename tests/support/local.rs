//! `tandem local run` in one terminal, and what is typed into a second one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::duo::{Side, page};
use super::process::{self, Running};
use super::{programs, wait_for};

/// How long a pair may take to stand as it should.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const COMMAND_LIMIT: Duration = Duration::from_mins(1);

/// A pair that runs on this machine.
pub(crate) struct Local {
    state: PathBuf,
    terminal: Running,
}

impl Local {
    /// Starts the pair of a manifest.
    pub(crate) fn start(folder: &Path, manifest: &Path) -> Local {
        let state = folder.join("state");
        let mut command = command(&["run"], &state, Some(manifest));
        let terminal = Running::start("run", &mut command, folder);
        Local { state, terminal }
    }

    /// Waits until both sides run, this one serves, the other one is its standby.
    pub(crate) fn settles(&mut self, active: Side) {
        let standby = other(active);
        wait_for(
            &format!("the {active:?} serving, the {standby:?} standing by"),
            SETTLE_LIMIT,
            || {
                assert!(self.terminal.is_running(), "tandem local run has ended");
                let (serving, waiting) = (page(active)?, page(standby)?);
                (serving["role"] == "serving"
                    && waiting["role"] == "standby"
                    && waiting["settled"] == true
                    && waiting["epoch"] == serving["epoch"])
                    .then_some(())
            },
        );
        // The supervisor sees a role a moment after the broker has it.
        wait_for("the supervisor seeing that", SETTLE_LIMIT, || {
            self.done(&["status"])
                .contains("takes over when its process ends")
                .then_some(())
        });
    }

    /// Waits until this side serves and the other one does not run.
    pub(crate) fn settles_alone(&mut self, active: Side) {
        wait_for(
            &format!("the {active:?} serving alone"),
            SETTLE_LIMIT,
            || {
                assert!(self.terminal.is_running(), "tandem local run has ended");
                (page(active)?["role"] == "serving" && page(other(active)).is_none()).then_some(())
            },
        );
    }

    /// Waits until a side's process is gone.
    pub(crate) fn is_down(&self, side: Side) {
        wait_for(&format!("the {side:?} being down"), SETTLE_LIMIT, || {
            let status: serde_json::Value =
                serde_json::from_str(&self.done(&["status", "-o", "json"])).expect("JSON");
            let sides = status["sides"].as_array().expect("two sides").clone();
            let name = format!("{side:?}").to_lowercase();
            sides
                .iter()
                .any(|it| it["side"] == name.as_str() && it["pid"].is_null())
                .then_some(())
        });
    }

    /// Waits until the pair's epoch is at least this one.
    pub(crate) fn reaches(&mut self, epoch: u64) {
        wait_for(&format!("epoch {epoch}"), SETTLE_LIMIT, || {
            assert!(self.terminal.is_running(), "tandem local run has ended");
            [Side::Primary, Side::Backup]
                .into_iter()
                .filter_map(|side| page(side)?["epoch"].as_u64())
                .any(|seen| seen >= epoch)
                .then_some(())
        });
    }

    /// `tandem local WORDS` in a second terminal.
    pub(crate) fn says(&self, words: &[&str]) -> Output {
        process::run(&mut command(words, &self.state, None), COMMAND_LIMIT)
    }

    /// The same, and it must succeed.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let output = self.says(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "tandem local {words:?}: {}\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// `kill -9` of the supervisor.
    pub(crate) fn kill(mut self) {
        self.terminal.kill();
    }

    /// The pair's folder.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Ctrl-C.
    pub(crate) fn stop(mut self) {
        self.terminal.signal(Signal::SIGINT);
        let ended = self.terminal.wait(STOP_LIMIT);
        assert!(
            ended.success(),
            "Ctrl-C is how a run is meant to end: {ended}"
        );
    }
}

/// The process that answers on a side's HTTP port.
pub(crate) fn pid(side: Side) -> i32 {
    let page = page(side).expect("the side answers");
    page["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok())
        .unwrap_or_else(|| panic!("no pid in {page}"))
}

/// The manifest that a newcomer begins with.
pub(crate) fn example() -> PathBuf {
    programs::root().join("examples/shared-store.yaml")
}

fn other(side: Side) -> Side {
    match side {
        Side::Primary => Side::Backup,
        Side::Backup => Side::Primary,
    }
}

/// `tandem local WORDS [MANIFEST] --dir STATE`
pub(crate) fn command(words: &[&str], state: &Path, manifest: Option<&Path>) -> Command {
    let mut command = Command::new(programs::tandem());
    command.arg("local").args(words);
    command.args(manifest);
    command
        .arg("--dir")
        .arg(state)
        .env("TANDEM_BROKER", programs::tandem_broker());
    command
}
