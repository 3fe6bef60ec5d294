//! The proof on Kubernetes: a pair of pods on two nodes, a JMS sender and a JMS receiver in pods, and one fault after another. Every
//! message is accounted for, and both brokers are asked all the time whether they serve.
//!
//! The clients run on the second node, beside the backup, because a client on a node that is cut off or frozen sees nothing else.

use std::path::Path;
use std::thread;
use std::time::Duration;

use cluster::{Cluster, Cut};

use crate::support::cluster::in_own_cluster;
use crate::support::duo::Side;
use crate::support::kubernetes::clients::Clients;
use crate::support::kubernetes::overlap::Overlap;
use crate::support::kubernetes::pair::{Pair, pod_name};
use crate::support::kubernetes::sampler::Sampler;
use crate::support::kubernetes::{NAMESPACE, images};
use crate::support::{measured, now_ms};

const PRIMARY_NODE: usize = 1;
const CLIENTS_NODE: usize = 2;
/// How long a node stays cut off or frozen: longer than it takes Kubernetes to call it not ready.
const OUTAGE: Duration = Duration::from_secs(20);
const API_OUTAGE: Duration = Duration::from_mins(1);
const NODE_LIMIT: Duration = Duration::from_mins(1);
/// Acknowledgements after an event that show that clients go on.
const GO_ON: usize = 100;

/// A pair under load, and who watches it.
struct Proof<'a> {
    cluster: &'a mut Cluster,
    pair: Pair,
    clients: Clients,
    sampler: Sampler,
}

/// Where a fault begins.
struct Before {
    name: &'static str,
    epoch: u64,
    from_ms: u64,
}

/// What one fault did.
struct After {
    service_gap_ms: u64,
    epochs: u64,
}

#[test]
fn no_fault_of_pods_nodes_or_the_api_server_loses_a_message() {
    in_own_cluster(
        "kubernetes_pair::no_fault_of_pods_nodes_or_the_api_server_loses_a_message",
        &[images::broker, images::client],
        Duration::from_mins(12),
        |cluster| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut proof = Proof::begin(cluster, folder.path());
            proof.active_process_killed();
            proof.active_pod_deleted();
            proof.node_cut_off();
            proof.node_without_api_server();
            proof.nodes_without_each_other();
            proof.node_frozen();
            proof.api_server_away();
            proof.end();
        },
    );
}

impl<'a> Proof<'a> {
    fn begin(cluster: &'a mut Cluster, folder: &Path) -> Proof<'a> {
        let pair = Pair::install(cluster, folder);
        let (primary, backup) = (pair.container(Side::Primary), pair.container(Side::Backup));
        let sampler = Sampler::start(cluster, primary, backup);
        let clients = Clients::start(cluster, CLIENTS_NODE);
        Proof {
            cluster,
            pair,
            clients,
            sampler,
        }
    }

    fn active_process_killed(&mut self) {
        let before = self.before("active process killed");
        self.pair.container(Side::Primary).kill().expect("killed");
        self.pair.wait_until_serving(Side::Backup, before.name);
        let after = self.after(&before);
        assert_eq!(after.epochs, 2, "failover and failback");
    }

    fn active_pod_deleted(&mut self) {
        let before = self.before("active pod deleted");
        let name = pod_name(Side::Primary);
        let words = ["delete", "pod", &name, "--namespace", NAMESPACE];
        self.cluster.kubectl(&words).expect("deleted");
        self.pair.look_again(self.cluster, Side::Primary);
        self.sampler
            .follow(Side::Primary, self.pair.container(Side::Primary));
        let after = self.after(&before);
        assert_eq!(after.epochs, 2, "failover and failback");
    }

    fn node_cut_off(&mut self) {
        let before = self.before("node of the active cut off from everything");
        self.cut(Cut::Everything, &before, true);
    }

    fn node_without_api_server(&mut self) {
        let before = self.before("node of the active cut off from the API server");
        self.cut(Cut::ApiServer, &before, false);
    }

    /// Either may end up active: both reach the record.
    fn nodes_without_each_other(&mut self) {
        let before = self.before("nodes cut off from each other");
        self.cluster
            .node(PRIMARY_NODE)
            .cut(Cut::OtherNode)
            .expect("cut");
        thread::sleep(OUTAGE);
        self.cluster.node(PRIMARY_NODE).heal().expect("healed");
        self.after(&before);
    }

    fn cut(&mut self, cut: Cut, before: &Before, takeover: bool) {
        self.cluster.node(PRIMARY_NODE).cut(cut).expect("cut");
        if takeover {
            self.pair.wait_until_serving(Side::Backup, before.name);
        }
        thread::sleep(OUTAGE);
        let not_ready = self
            .cluster
            .wait_until_node(PRIMARY_NODE, false, NODE_LIMIT);
        not_ready.expect("Kubernetes has lost the node");
        self.cluster.node(PRIMARY_NODE).heal().expect("healed");
        let ready = self.cluster.wait_until_node(PRIMARY_NODE, true, NODE_LIMIT);
        ready.expect("Kubernetes has the node again");
        let after = self.after(before);
        assert_eq!(after.epochs > 0, takeover, "{}", before.name);
    }

    fn node_frozen(&mut self) {
        let before = self.before("node of the active frozen");
        self.cluster.node(PRIMARY_NODE).freeze().expect("frozen");
        self.pair.wait_until_serving(Side::Backup, before.name);
        thread::sleep(OUTAGE);
        self.cluster.node(PRIMARY_NODE).thaw().expect("thawed");
        let after = self.after(&before);
        assert!(after.epochs >= 2, "failover and failback");
    }

    fn api_server_away(&mut self) {
        let before = self.before("API server away for a minute");
        self.cluster.stop_api_server().expect("stopped");
        thread::sleep(API_OUTAGE);
        self.cluster.start_api_server().expect("started");
        let after = self.after(&before);
        assert_eq!(after.epochs, 0, "nothing happened to the pair");
        assert!(after.service_gap_ms < 1_000, "{}", after.service_gap_ms);
    }

    fn before(&self, name: &'static str) -> Before {
        Before {
            name,
            epoch: self.pair.epoch(),
            from_ms: now_ms(),
        }
    }

    /// Waits until the pair is whole again, and tells what the fault did.
    fn after(&mut self, before: &Before) -> After {
        let ended_ms = now_ms();
        let when = format!("after: {}", before.name);
        self.pair.wait_until_whole(&when);
        let whole_ms = now_ms() - ended_ms;
        self.clients.go_on(self.cluster, GO_ON, &when);
        self.cluster
            .check()
            .unwrap_or_else(|error| panic!("{error:#}"));
        let (from, to) = (before.from_ms, now_ms());
        let service_gap_ms = self.sampler.longest_silence_ms(from, to);
        let client_gap_ms = self.clients.sent(self.cluster).longest_gap_ms(from, to);
        assert_eq!(
            self.sampler.two_actives(),
            Overlap::default(),
            "{}",
            before.name
        );
        let epochs = self.pair.epoch() - before.epoch;
        measured(format_args!(
            "{}: service gap {service_gap_ms} ms, client gap {client_gap_ms} ms, {epochs} new terms, whole {whole_ms} ms after the fault's end",
            before.name
        ));
        After {
            service_gap_ms,
            epochs,
        }
    }

    fn end(self) {
        let (sent, received, account) = self.clients.finish(self.cluster);
        measured(format_args!(
            "{account}; {} sends of unknown outcome, {} marked as redelivered; never two actives",
            sent.unknown, received.redelivered
        ));
        assert!(
            account.lost.is_empty(),
            "acknowledged and never received: {:?}",
            account.lost
        );
        assert_eq!(self.sampler.two_actives(), Overlap::default());
    }
}
