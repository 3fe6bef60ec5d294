//! The tests' own Kubernetes: it comes, does what the proofs on it rely on, and goes without a trace.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cluster::{Cluster, Cut};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::cluster::{in_own_cluster, tools};
use crate::support::{measured, process, programs, wait_for};

const POD_LIMIT: Duration = Duration::from_mins(1);
const NODE_LIMIT: Duration = Duration::from_mins(1);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

#[test]
fn two_nodes_run_pods_and_can_be_cut_off_and_frozen() {
    in_own_cluster(
        "kubernetes_rig::two_nodes_run_pods_and_can_be_cut_off_and_frozen",
        &[tools],
        Duration::from_mins(5),
        |cluster| {
            pods_of_both_nodes_resolve_names(cluster);
            volumes_are_shared(cluster);
            the_api_service_is_reached_from_nodes(cluster);
            a_node_cut_off_is_not_ready_until_it_returns(cluster);
            a_cut_between_the_nodes_leaves_both_ready(cluster);
            a_frozen_node_is_not_ready_until_it_goes_on(cluster);
            the_api_server_can_be_away(cluster);
        },
    );
}

fn pod(name: &str, node: usize, words: &[&str]) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": format!("node-{node}"),
            "restartPolicy": "Never",
            "containers": [{"name": "tools", "image": "tandem.test/tools:1", "args": words}],
        },
    })
}

fn pods_of_both_nodes_resolve_names(cluster: &mut Cluster) {
    for node in 1..=cluster::NODES {
        let name = format!("resolver-{node}");
        let service = pod(
            &name,
            node,
            &["hosts", "kubernetes.default.svc.cluster.local"],
        );
        cluster.apply(&service).expect("a pod");
        let said = cluster
            .wait_until_pod_succeeds("default", &name, POD_LIMIT)
            .expect("the name of a service");
        assert!(said.starts_with("10.96.0.1"), "{said}");
    }
}

fn volumes_are_shared(cluster: &mut Cluster) {
    cluster.add_shared_volume("shared-1").expect("a volume");
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "claim"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "shared",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    cluster.apply(&claim).expect("a claim");
    cluster::until("the claim being bound", POD_LIMIT, || {
        let claim = cluster.get(&["persistentvolumeclaim", "claim"])?;
        Ok(claim.filter(|claim| claim["status"]["phase"] == "Bound"))
    })
    .expect("a bound claim");
}

/// Through kube-proxy's rules.
fn the_api_service_is_reached_from_nodes(cluster: &Cluster) {
    for node in 1..=cluster::NODES {
        assert!(reaches(cluster, node, "10.96.0.1:443"), "from node-{node}");
    }
}

/// Whether a connection can be made from a node.
fn reaches(cluster: &Cluster, node: usize, address: &str) -> bool {
    let address: SocketAddr = address.parse().expect("an address");
    let network = cluster.node(node).network();
    // A thread of its own, because there is no way back from the node's network.
    thread::scope(|scope| {
        let connected = scope.spawn(|| {
            network.enter().expect("the node's network");
            TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_ok()
        });
        connected.join().expect("connects or does not")
    })
}

const API_SERVER: &str = "10.77.0.1:6443";
/// Where the kubelet of the second node listens.
const SECOND_KUBELET: &str = "10.77.0.12:10250";

fn a_node_cut_off_is_not_ready_until_it_returns(cluster: &mut Cluster) {
    for cut in [Cut::Everything, Cut::ApiServer] {
        let start = Instant::now();
        cluster.node(1).cut(cut).expect("a cut");
        assert!(!reaches(cluster, 1, API_SERVER), "{cut:?}");
        assert_eq!(reaches(cluster, 1, SECOND_KUBELET), cut == Cut::ApiServer);
        cluster
            .wait_until_node(1, false, NODE_LIMIT)
            .expect("a lost node");
        let lost = start.elapsed();
        cluster.node(1).heal().expect("healed");
        let start = Instant::now();
        cluster
            .wait_until_node(1, true, NODE_LIMIT)
            .expect("a node that returned");
        measured(format_args!(
            "{cut:?}: not ready after {:.1} s, ready again {:.1} s after the cut ended",
            lost.as_secs_f64(),
            start.elapsed().as_secs_f64()
        ));
    }
}

fn a_cut_between_the_nodes_leaves_both_ready(cluster: &mut Cluster) {
    assert!(reaches(cluster, 1, SECOND_KUBELET));
    cluster.node(1).cut(Cut::OtherNode).expect("a cut");
    assert!(!reaches(cluster, 1, SECOND_KUBELET));
    assert!(reaches(cluster, 1, API_SERVER) && reaches(cluster, 2, API_SERVER));
    cluster.node(1).heal().expect("healed");
    assert!(reaches(cluster, 1, SECOND_KUBELET));
    cluster.wait_until_node(1, true, NODE_LIMIT).expect("ready");
}

fn a_frozen_node_is_not_ready_until_it_goes_on(cluster: &mut Cluster) {
    cluster.node(2).freeze().expect("frozen");
    cluster
        .wait_until_node(2, false, NODE_LIMIT)
        .expect("a frozen node");
    cluster
        .wait_until_node(1, true, NODE_LIMIT)
        .expect("the other goes on");
    cluster.node(2).thaw().expect("thawed");
    cluster
        .wait_until_node(2, true, NODE_LIMIT)
        .expect("a node that goes on");
}

fn the_api_server_can_be_away(cluster: &mut Cluster) {
    cluster.stop_api_server().expect("stopped");
    let said = cluster
        .kubectl_says(&["get", "nodes"], "")
        .expect("kubectl");
    assert!(!said.status.success(), "{}", said.output);
    cluster.start_api_server().expect("started");
    cluster.wait_until_node(1, true, NODE_LIMIT).expect("ready");
    cluster.wait_until_node(2, true, NODE_LIMIT).expect("ready");
    let name = "after-the-outage";
    cluster
        .apply(&pod(name, 1, &["hosts", "127.0.0.1"]))
        .expect("a pod");
    cluster
        .wait_until_pod_succeeds("default", name, POD_LIMIT)
        .expect("a pod that ran");
}

/// What `cargo xtask cluster` calls: started, killed in the hardest way, and cleared away by the next one.
#[test]
fn a_killed_cluster_leaves_nothing_after_the_next_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = |words: &[&str]| {
        let mut command = Command::new(programs::cluster());
        command.arg(programs::kubernetes());
        command.arg(folder.path().join("state")).args(words);
        let output = process::run(&mut command, Duration::from_mins(4));
        assert!(output.status.success(), "{words:?}: {output:?}");
    };
    cluster(&["up"]);
    cluster(&[
        "sh",
        "kubectl",
        "run",
        "left",
        "--image=tandem.test/pause:1",
    ]);
    cluster(&[
        "sh",
        "kubectl",
        "wait",
        "--for=condition=Ready",
        "pod/left",
        "--timeout=60s",
    ]);
    let state = fs::read_to_string(folder.path().join("state")).expect("its state");
    let run = PathBuf::from(state);
    assert!(!processes_of(&run).is_empty());

    let owner = fs::read_to_string(run.join("owner")).expect("its owner");
    let owner = owner.split(' ').next().and_then(|pid| pid.parse().ok());
    kill(Pid::from_raw(owner.expect("a number")), Signal::SIGKILL).expect("ours");
    wait_for(
        "the end of all its processes",
        Duration::from_secs(10),
        || processes_of(&run).is_empty().then_some(()),
    );
    assert!(run.exists(), "nobody has removed it yet");
    let containers = containers_of(&run);
    assert_eq!(containers.len(), 2, "the pod's and its pause container");

    cluster(&["up"]);
    assert!(!run.exists());
    cluster(&["down"]);
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains("tandem-cluster-"), "{mounts}");
    let groups = process::run(
        Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-path", "*/k8s.io/*"]),
        Duration::from_secs(30),
    );
    let groups = String::from_utf8_lossy(&groups.stdout).into_owned();
    for container in containers {
        assert!(!groups.contains(&container), "{groups}");
    }
}

/// Processes that were started with a path of this run.
fn processes_of(run: &Path) -> Vec<i32> {
    let run = run.to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").expect("processes");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&run)
        })
        .collect()
}

fn containers_of(run: &Path) -> Vec<String> {
    (1..=cluster::NODES)
        .flat_map(|node| {
            let folder =
                format!("node-{node}/containerd/state/io.containerd.runtime.v2.task/k8s.io");
            fs::read_dir(run.join(folder)).into_iter().flatten()
        })
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}
