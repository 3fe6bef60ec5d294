//! A cluster that stays until it is told to go, for people: who holds it, and commands inside it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cluster::Cluster;
use crate::daemon::tail_of;
use crate::isolation::isolated_for_long;
use crate::process_tree::{child_of, start_of};
use crate::run_folder;
use crate::settings::Settings;
use crate::wait::until;

const UP_LIMIT: Duration = Duration::from_mins(4);
const DOWN_LIMIT: Duration = Duration::from_secs(20);
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How many volumes a cluster has, for pairs to try.
const VOLUMES: usize = 4;
/// Is in the run's folder once the cluster is ready.
const READY: &str = "ready";

/// Where a held cluster's programs are, and the file that names its folder.
#[derive(Debug)]
pub struct Held {
    /// See [`Settings::programs`].
    pub programs: PathBuf,
    /// The file with the path of the run's folder.
    pub state: PathBuf,
}

impl Held {
    /// Starts a cluster that outlives this process; returns when it is ready.
    pub fn up(&self, images: &[String]) -> Result<ExitCode> {
        if let Ok(folder) = self.folder() {
            bail!("a cluster is up already, in {}", folder.display());
        }
        let folder = run_folder::make()?;
        let log = File::create(folder.join("hold.log"))?;
        let mut child = isolated_for_long(env::current_exe()?)
            .args([&self.programs, &self.state])
            .arg("hold")
            .arg(&folder)
            .args(images)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start a cluster's namespaces")?;
        run_folder::own(&folder, child.id())?;
        let ready = until("the cluster being ready", UP_LIMIT, || {
            if let Some(status) = child.try_wait()? {
                bail!("the cluster has ended with {status}");
            }
            Ok(folder.join(READY).is_file().then_some(()))
        });
        if let Err(error) = ready {
            let tail = tail_of(&folder.join("hold.log"));
            // It may have ended by itself.
            let _ = child.kill();
            child.wait()?;
            run_folder::remove(&folder)?;
            return Err(error.context(tail));
        }
        if let Some(parent) = self.state.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&self.state, folder.to_string_lossy().as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }

    /// What runs inside the namespaces until the cluster is told to go: the words are the run's folder and the images.
    pub fn hold(&self, words: &[String]) -> Result<ExitCode> {
        let [folder, images @ ..] = words else {
            bail!("hold: no folder");
        };
        let settings = Settings {
            programs: self.programs.clone(),
            folder: PathBuf::from(folder),
        };
        let images: Vec<PathBuf> = images.iter().map(PathBuf::from).collect();
        let mut cluster = Cluster::start(settings, &images)?;
        for number in 1..=VOLUMES {
            cluster.add_shared_volume(&format!("volume-{number}"))?;
        }
        fs::write(Path::new(folder).join(READY), "")?;
        loop {
            // A person may stop one of the programs to see what happens; the others go on.
            if let Err(error) = cluster.check() {
                eprintln!("{error:#}");
            }
            thread::sleep(CHECK_EVERY);
        }
    }

    /// Ends the cluster and removes all that it left.
    pub fn down(&self) -> Result<ExitCode> {
        let Ok(folder) = self.folder() else {
            // Nothing runs; what a dead one left is removed all the same.
            run_folder::remove_dead()?;
            return Ok(ExitCode::SUCCESS);
        };
        let pid = run_folder::owner(&folder).context("its owner has just ended")?;
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        until("the end of the cluster", DOWN_LIMIT, || {
            Ok(start_of(pid).is_none().then_some(()))
        })?;
        run_folder::remove(&folder)?;
        fs::remove_file(&self.state)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Runs a command, or a shell, in the control plane's network or in a node's, with `kubectl` and `helm` set up.
    pub fn run(&self, node: Option<&str>, words: &[String]) -> Result<ExitCode> {
        let folder = self.folder()?;
        let owner = run_folder::owner(&folder).context("its owner has just ended")?;
        let first = child_of(owner).context("the cluster has just ended")?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &first.to_string(), "--net", "--pid", "--mount"]);
        command.arg(format!("--wd={}", env::current_dir()?.display()));
        if let Some(node) = node {
            command.args(["nsenter", &format!("--net=/run/netns/{node}")]);
        }
        if words.is_empty() {
            command.arg("bash");
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = vec![self.programs.clone()];
        folders.extend(env::split_paths(&path));
        let status = command
            .args(words)
            .env("PATH", env::join_paths(folders)?)
            .env("KUBECONFIG", folder.join("kubeconfig"))
            .env("KUBECACHEDIR", folder.join("kubectl-cache"))
            .status()
            .context("cannot enter the cluster's namespaces")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(1)))
    }

    /// The folder of the cluster that is up.
    fn folder(&self) -> Result<PathBuf> {
        let nothing = "no cluster is up: `cargo xtask cluster up` starts one";
        let text = fs::read_to_string(&self.state).context(nothing)?;
        let folder = PathBuf::from(text);
        run_folder::owner(&folder).context(nothing)?;
        Ok(folder)
    }
}
