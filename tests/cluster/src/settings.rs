//! What a cluster is told: where its programs and its folder are. And the addresses that everything else is built from.

use std::path::PathBuf;
use std::time::Duration;

/// Where the programs are, and where the cluster may write.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder with kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl, coredns, pause and helm.
    pub programs: PathBuf,
    /// The run's folder: logs, images, volumes, what the nodes keep.
    pub folder: PathBuf,
}

/// How many nodes there are.
pub const NODES: usize = 2;

/// The address of the API server and of the name server, in the network of the control plane.
pub(crate) const CONTROL_PLANE: &str = "10.77.0.1";
pub(crate) const API_PORT: u16 = 6443;
/// Addresses of services.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
/// The service `kubernetes`.
pub(crate) const API_SERVICE: &str = "10.96.0.1";
/// Addresses of pods; each node has a /24 of them.
pub(crate) const PODS: &str = "10.244.0.0/16";
/// The image of every pod's first container.
pub(crate) const PAUSE_IMAGE: &str = "tandem.test/pause:1";
/// A node that has not been heard of for so long is not ready.
pub(crate) const NODE_GRACE: Duration = Duration::from_secs(10);

impl Settings {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        self.folder.join("certificates")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.folder.join("volumes")
    }
}

/// Name, address and pod addresses of a node; nodes are counted from 1.
#[derive(Debug, Clone)]
pub(crate) struct NodeAddress {
    pub(crate) name: String,
    pub(crate) number: usize,
    pub(crate) address: String,
    pub(crate) pods: String,
}

impl NodeAddress {
    pub(crate) fn of(number: usize) -> NodeAddress {
        NodeAddress {
            name: format!("node-{number}"),
            number,
            address: format!("10.77.0.{}", 10 + number),
            pods: format!("10.244.{number}.0/24"),
        }
    }

    pub(crate) fn all() -> Vec<NodeAddress> {
        (1..=NODES).map(NodeAddress::of).collect()
    }
}
