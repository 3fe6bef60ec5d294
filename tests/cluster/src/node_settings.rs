//! The configuration files of a node's programs.

use std::path::Path;

use serde_json::{Value, json};

use crate::settings::{CONTROL_PLANE, NodeAddress, PAUSE_IMAGE, PODS, Settings};

/// Where Debian puts the plugins that give pods their network.
const NETWORK_PLUGINS: &str = "/usr/lib/cni";

/// `config.toml` of containerd.
pub(crate) fn containerd(folder: &Path, network: &Path) -> String {
    let (folder, network) = (folder.display(), network.display());
    // Without `restrict_oom_score_adj` no container starts where the capability for negative scores is missing.
    format!(
        r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{NETWORK_PLUGINS}"
    conf_dir = "{network}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#
    )
}

/// The network that a node's pods are given.
pub(crate) fn pod_network(node: &NodeAddress, network: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipMasq": false,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": node.pods}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                "dataDir": network.join("addresses"),
            },
        }],
    })
}

/// `KubeletConfiguration`. A node tells how it is every 2 s, so that its loss is noticed soon.
pub(crate) fn kubelet(settings: &Settings, socket: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", socket.display()),
        // Control groups of version 1 still serve here, and this machine's may hold only some of the controllers.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": false,
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "clusterDomain": "cluster.local",
        "clusterDNS": [CONTROL_PLANE],
        "resolvConf": settings.folder.join("resolv.conf"),
        "syncFrequency": "2s",
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 8,
        // A full disk of the machine is not what the tests are about.
        "evictionHard": {"memory.available": "10Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    })
}

/// `KubeProxyConfiguration`.
pub(crate) fn proxy(settings: &Settings, node: &NodeAddress) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": settings.kubeconfig()},
        "clusterCIDR": PODS,
        "hostnameOverride": node.name,
        // These are settings of the machine, not of a network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "healthzBindAddress": format!("{}:10256", node.address),
        "metricsBindAddress": "127.0.0.1:10249",
    })
}
