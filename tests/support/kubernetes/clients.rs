//! A JMS sender and a JMS receiver in pods. They print what happens to each message; the prints are read from the node's files, so no
//! fault of the cluster hides them.

use std::thread;
use std::time::{Duration, Instant};

use cluster::{Cluster, Container};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::images::CLIENT;
use super::{NAMESPACE, pair};
use crate::support::account::{Account, Received, Sent};
use crate::support::wait_for;

const START_LIMIT: Duration = Duration::from_mins(2);
/// A call that waits for its broker ends within its timeout.
const END_LIMIT: Duration = Duration::from_secs(70);
/// How long the receiver waits for the last acknowledged message before it counts as lost.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// Late duplicates count too.
const LINGER: Duration = Duration::from_secs(1);
const PAUSE_MS: u32 = 10;

/// Both pods.
pub(crate) struct Clients {
    sender: Container,
    receiver: Container,
}

impl Clients {
    /// Starts both on a node, and waits until messages run.
    pub(crate) fn start(cluster: &mut Cluster, node: usize) -> Clients {
        let mut start = |name: &str, mode: &str| {
            cluster.apply(&pod(name, mode, node)).expect("a pod");
            let ready = cluster.wait_until_pod_ready(NAMESPACE, name, START_LIMIT);
            ready.unwrap_or_else(|error| panic!("{error:#}"));
            cluster.container(NAMESPACE, name).expect("it runs")
        };
        let clients = Clients {
            receiver: start("receiver", "receive"),
            sender: start("sender", "send"),
        };
        clients.go_on(cluster, 100, "at first");
        clients
    }

    /// Waits until so many more sends are acknowledged.
    pub(crate) fn go_on(&self, cluster: &Cluster, more: usize, when: &str) {
        let before = self.sent(cluster).acknowledged.len();
        let what = format!("{more} more acknowledgements {when}");
        wait_for(&what, START_LIMIT, || {
            thread::sleep(Duration::from_millis(200));
            (self.sent(cluster).acknowledged.len() >= before + more).then_some(())
        });
    }

    /// What the sender has told so far.
    pub(crate) fn sent(&self, cluster: &Cluster) -> Sent {
        Sent::parse(&log(cluster, &self.sender))
    }

    /// Ends the sender, lets the receiver take what is left, and returns the account.
    pub(crate) fn finish(self, cluster: &Cluster) -> (Sent, Received, Account) {
        self.sender.signal(Signal::SIGTERM).expect("the sender");
        wait_for("the end of the sender", END_LIMIT, || {
            self.sent(cluster).ended.then_some(())
        });
        let sent = self.sent(cluster);
        let received = || Received::parse(&log(cluster, &self.receiver));
        let end = Instant::now() + DRAIN_LIMIT;
        while !Account::of_logs(&sent, &received()).lost.is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(200));
        }
        thread::sleep(LINGER);
        let received = received();
        let account = Account::of_logs(&sent, &received);
        (sent, received, account)
    }
}

fn log(cluster: &Cluster, container: &Container) -> String {
    let (namespace, name) = &container.pod;
    cluster
        .pod_output(namespace, name)
        .expect("the node's files")
}

fn pod(name: &str, mode: &str, node: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": format!("node-{node}")},
            "restartPolicy": "Never",
            // A node that is lost for a while must not take the clients' account with it.
            "tolerations": [{"operator": "Exists"}],
            "securityContext": pair::restricted_pod(),
            "containers": [{
                "name": "jms",
                "image": CLIENT,
                "args": [
                    mode,
                    format!("url={}", pair::url()),
                    format!("user={}", pair::USER),
                    format!("password={}", pair::PASSWORD),
                    format!("queue={}", pair::QUEUE),
                    format!("pause={PAUSE_MS}"),
                ],
                "securityContext": pair::restricted_container(),
            }],
        },
    })
}
