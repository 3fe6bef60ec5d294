//! One node: containerd, kubelet and kube-proxy in a network of their own, and what can happen to a node.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::network::{self, Cut};
use crate::process_tree::{freeze, signal_all, with_descendants, with_word};
use crate::settings::{NodeAddress, Settings};
use crate::wait::until;
use crate::{node_settings, program};

const SOCKET_LIMIT: Duration = Duration::from_secs(30);
const IMPORT_LIMIT: Duration = Duration::from_mins(3);

/// A node and its programs.
#[derive(Debug)]
pub struct Node {
    address: NodeAddress,
    folder: PathBuf,
    daemons: Vec<Daemon>,
}

/// The network of a node.
#[derive(Debug, Clone)]
pub struct NodeNetwork(PathBuf);

impl NodeNetwork {
    /// Moves the calling thread into it, for good.
    pub fn enter(&self) -> Result<()> {
        let network = File::open(&self.0)?;
        setns(network, CloneFlags::CLONE_NEWNET).context("cannot enter a node's network")
    }
}

impl Node {
    /// Makes the node's network and starts containerd, which needs no API server.
    pub(crate) fn start(settings: &Settings, number: usize) -> Result<Node> {
        let address = NodeAddress::of(number);
        network::make_node(&address)?;
        let folder = settings.folder.join(&address.name);
        let network = folder.join("network");
        let containerd = folder.join("containerd");
        fs::create_dir_all(&network)?;
        fs::create_dir_all(&containerd)?;
        let written = node_settings::pod_network(&address, &network).to_string();
        fs::write(network.join("10-pods.conflist"), written)?;
        let config = folder.join("containerd.toml");
        fs::write(&config, node_settings::containerd(&containerd, &network))?;
        let mut node = Node {
            address,
            folder,
            daemons: Vec::new(),
        };
        let arguments = ["--config".to_owned(), config.to_string_lossy().into_owned()];
        node.run(settings, "containerd", Path::new("containerd"), &arguments)?;
        let socket = node.socket();
        until("containerd's socket", SOCKET_LIMIT, || {
            node.check()?;
            Ok(socket.exists().then_some(()))
        })?;
        Ok(node)
    }

    /// Starts the kubelet and the proxy, which look for the API server.
    pub(crate) fn join(&mut self, settings: &Settings) -> Result<()> {
        let kubelet = self.folder.join("kubelet.json");
        fs::write(
            &kubelet,
            node_settings::kubelet(settings, &self.socket()).to_string(),
        )?;
        let proxy = self.folder.join("proxy.json");
        fs::write(
            &proxy,
            node_settings::proxy(settings, &self.address).to_string(),
        )?;
        let root = self.folder.join("kubelet");
        let arguments = [
            format!("--config={}", kubelet.display()),
            format!("--kubeconfig={}", settings.kubeconfig().display()),
            format!("--root-dir={}", root.display()),
            format!("--cert-dir={}", root.join("certificates").display()),
            format!("--node-ip={}", self.address.address),
            format!("--hostname-override={}", self.address.name),
        ];
        self.run(
            settings,
            "kubelet",
            &settings.program("kubelet"),
            &arguments,
        )?;
        let arguments = [format!("--config={}", proxy.display())];
        self.run(
            settings,
            "kube-proxy",
            &settings.program("kube-proxy"),
            &arguments,
        )
    }

    fn run(
        &mut self,
        settings: &Settings,
        name: &str,
        program: &Path,
        arguments: &[String],
    ) -> Result<()> {
        let log_name = format!("{}-{name}", self.address.name);
        let network = Some(self.address.name.as_str());
        let daemon = Daemon::start(&log_name, network, program, arguments, &settings.logs())?;
        self.daemons.push(daemon);
        Ok(())
    }

    /// Fails if one of the programs has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Daemon::check)
    }

    /// The node's name in Kubernetes.
    pub fn name(&self) -> &str {
        &self.address.name
    }

    /// Gives the node an image from a docker archive.
    pub(crate) fn import(&self, archive: &Path) -> Result<()> {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(self.socket());
        ctr.args(["--namespace", "k8s.io", "images", "import"])
            .arg(archive);
        program::output(&mut ctr, "", IMPORT_LIMIT)
            .with_context(|| format!("{} cannot take an image", self.address.name))
            .map(drop)
    }

    /// Drops the node's packets to and from what `cut` says, in place of an earlier cut.
    pub fn cut(&self, cut: Cut) -> Result<()> {
        network::cut(&self.address, cut)
    }

    /// Ends a cut.
    pub fn heal(&self) -> Result<()> {
        network::heal(&self.address)
    }

    /// Stops every process of the node, those of its pods too: the machine hangs, what it holds stays.
    pub fn freeze(&self) -> Result<()> {
        freeze(|| self.processes())
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        signal_all(self.processes()?, Signal::SIGCONT)
    }

    /// The node's programs, its containers' shims, and all that descends from them.
    fn processes(&self) -> Result<BTreeSet<i32>> {
        let mut roots: Vec<i32> = self.daemons.iter().filter_map(Daemon::pid).collect();
        // Shims leave their parents; they carry the address of the containerd they belong to.
        roots.extend(with_word(&self.socket().to_string_lossy())?);
        with_descendants(&roots)
    }

    /// The node's network, for threads that ask from there: its pods can be reached even while the node is cut off.
    pub fn network(&self) -> NodeNetwork {
        NodeNetwork(PathBuf::from(format!("/run/netns/{}", self.address.name)))
    }

    /// The first process of a container, by the id that the pod's status tells.
    pub(crate) fn container_process(&self, id: &str) -> Result<i32> {
        let file = self.folder.join(format!(
            "containerd/state/io.containerd.runtime.v2.task/k8s.io/{id}/init.pid"
        ));
        let text = fs::read_to_string(&file)
            .with_context(|| format!("no container {id} runs on {}", self.address.name))?;
        Ok(text.trim().parse()?)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("containerd/containerd.sock")
    }
}
