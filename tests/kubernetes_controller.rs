//! The controller against a real API server, with a pair of real brokers that take themselves for the pair's pods.
//!
//! There is no kubelet: the test writes the two pods and where they answer. Who is active is decided by the brokers and their Lease;
//! what is tested is what the controller makes, says, asks for, and leaves alone.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::api_server::{ADMIN, ApiServer, BROKER};
use crate::support::instance::{Instance, type_line};
use crate::support::namespace::in_own_network;
use crate::support::process::{Running, run};
use crate::support::{measured, programs, wait_for};

const LIMIT: Duration = Duration::from_mins(8);
const SOON: Duration = Duration::from_secs(40);
/// Longer than the time after which a pair is looked at in which nothing happens.
const CALM: Duration = Duration::from_secs(100);

#[test]
fn a_pair_is_made_told_and_left_alone() {
    let name = "kubernetes_controller::a_pair_is_made_told_and_left_alone";
    in_own_network(name, LIMIT, |folder| {
        let api = ApiServer::start(folder);
        let definitions = tandem(&api, &["crds"]);
        let file = folder.join("crds.yaml");
        std::fs::write(&file, definitions).expect("a file");
        api.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]);
        api.apply(&[
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        ]);
        let mut controller = controller(&api, folder);
        controller.wait_for_text("leads", SOON);
        let spec = json!({"ha": {"mode": "SharedStore", "failback": {"minStable": "2s"}}});
        api.apply(&[json!({
            "apiVersion": "tandem.dev/v1alpha1", "kind": "BrokerPair",
            "metadata": {"name": "orders", "namespace": "shop"}, "spec": spec,
        })]);

        // The record of a new pair is made once, and noted.
        wait_for("the record being noted", SOON, || {
            (status(&api)["record"]["created"] == true).then_some(())
        });
        assert_eq!(
            lease(&api)["metadata"]["annotations"]["record.tandem.dev/epoch"],
            "0"
        );
        let mut pair = Brokers::start(&api, folder);
        let begun = Instant::now();
        until_true(&api, &["Ready", "Available", "Protected"]);
        measured(format_args!(
            "ready {} ms after the brokers' start",
            begun.elapsed().as_millis()
        ));
        assert_eq!(status(&api)["active"]["side"], "primary");
        assert_eq!(status(&api)["standby"]["inSync"], true);
        println!("{}", api.kubectl(&["get", "brokerpair", "-n", "shop"]));

        // Nothing is written while nothing changes.
        let before = (versions(&api), writes(&api));
        std::thread::sleep(CALM);
        assert_eq!((versions(&api), writes(&api)), before, "nothing happened");

        // A failover is told, and the role is given back by the controller alone.
        pair.kill_primary();
        wait_for("the backup being told as active", SOON, || {
            (status(&api)["active"]["side"] == "backup").then_some(())
        });
        assert_eq!(status(&api)["lastTransition"]["cause"], "process-ended");
        pair.start_primary(&api);
        wait_for("the primary being told as active", SOON, || {
            (status(&api)["active"]["side"] == "primary").then_some(())
        });
        assert_eq!(status(&api)["lastTransition"]["cause"], "failback");
        until_true(&api, &["Ready", "Protected"]);
        let events = api.kubectl(&["get", "events", "-n", "shop"]);
        assert!(
            events.contains("FailedOver") && events.contains("FailedBack"),
            "{events}"
        );

        // A person moves the role, and it stays there.
        let said = tandem(&api, &["switchover", "orders", "-n", "shop"]);
        assert!(said.contains("The backup is active"), "{said}");
        until_true(&api, &["Ready", "Protected"]);
        assert_eq!(condition(&api, "FailbackPending").1, "SwitchedByPerson");

        // A deleted Lease is never made anew: an empty one takes its place, and the active writes its record into it.
        let node_id = status(&api)["record"]["nodeId"].clone();
        api.kubectl(&["delete", "lease", "orders", "-n", "shop"]);
        wait_for("the record being in the Lease again", SOON, || {
            let text = lease(&api)["metadata"]["annotations"]["record.tandem.dev/pair"].clone();
            (text == node_id).then_some(())
        });
        until_true(&api, &["Ready", "Protected"]);

        // A controller that is stopped in order ends well, and a new one changes nothing.
        controller.signal(Signal::SIGTERM);
        assert!(controller.wait(SOON).success(), "asked to stop");
        let before = versions(&api);
        let again = self::controller(&api, folder);
        std::thread::sleep(Duration::from_secs(20));
        assert_eq!(versions(&api), before, "a new controller changes nothing");
        let metrics = get("127.0.0.1:8080", "/metrics");
        for line in [
            r#"tandem_pair_active{namespace="shop",pair="orders",side="backup"} 1"#,
            r#"tandem_pair_in_sync{namespace="shop",pair="orders"} 1"#,
            "tandem_controller_leads 1",
        ] {
            assert!(metrics.contains(line), "{line:?} is not in\n{metrics}");
        }
        assert!(get("127.0.0.1:8080", "/livez").starts_with("HTTP/1.1 200"));
        let memory =
            std::fs::read_to_string(format!("/proc/{}/status", again.pid())).expect("it runs");
        let memory = memory.lines().find(|line| line.starts_with("VmRSS"));
        measured(format_args!(
            "the controller with one pair: {}",
            memory.unwrap_or_default()
        ));
    });
}

/// The two brokers, as processes, at two addresses of the loopback interface.
struct Brokers {
    instances: [Instance; 2],
    running: [Option<Running>; 2],
}

const PODS: [&str; 2] = ["orders-primary-0", "orders-backup-0"];
const ADDRESSES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

impl Brokers {
    fn start(api: &ApiServer, folder: &Path) -> Brokers {
        let line = |more: &str, address: &str, name: &str| {
            format!(
                "tandem-broker create --shared-store --failover-on-shutdown --user admin --password password --role admin --allow-anonymous y --clustered --cluster-user one --cluster-password two --max-hops 1 --host {address} --http-host {address} {more} {name}"
            )
        };
        type_line(folder, &line("", ADDRESSES[0], "one"));
        type_line(
            folder,
            &line("--slave --data ../one/data", ADDRESSES[1], "two"),
        );
        std::fs::remove_dir_all(folder.join("one/data/journal/pair"))
            .expect("create makes a record");
        let instances = ["one", "two"].map(|name| Instance::at(folder.join(name)));
        for instance in &instances {
            let file = instance.file("etc/tandem.properties");
            let text = std::fs::read_to_string(&file).expect("create writes it");
            let more = "arbiter=lease:shop/orders\nfailback=managed\n";
            std::fs::write(&file, format!("{text}\n{more}")).expect("a file");
        }
        let rights = json!([
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["orders"],
             "verbs": ["get", "watch", "update"]},
            {"apiGroups": [""], "resources": ["pods"], "resourceNames": PODS, "verbs": ["get", "patch"]},
        ]);
        let metadata = json!({"name": "brokers-of-a-test", "namespace": "shop"});
        let mut objects = vec![
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rights}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
                   "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "brokers-of-a-test"},
                   "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User",
                                 "name": "system:serviceaccount:shop:orders-broker"}]}),
        ];
        objects.extend(PODS.map(|name| {
            let labels = json!({"app.kubernetes.io/managed-by": "tandem", "app.kubernetes.io/instance": "orders"});
            json!({"apiVersion": "v1", "kind": "Pod",
                   "metadata": {"name": name, "namespace": "shop", "labels": labels},
                   "spec": {"automountServiceAccountToken": false,
                            "containers": [{"name": "broker", "image": "tandem"}]}})
        }));
        api.apply(&objects);
        for (pod, address) in PODS.iter().zip(ADDRESSES) {
            let container = json!({"name": "broker", "ready": true, "image": "tandem", "imageID": "", "restartCount": 0,
                                   "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}});
            let status = json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                                           "containerStatuses": [container]}});
            let patch = status.to_string();
            api.kubectl(&[
                "patch",
                "pod",
                pod,
                "-n",
                "shop",
                "--subresource=status",
                "--type=merge",
                "-p",
                &patch,
            ]);
        }
        let mut pair = Brokers {
            instances,
            running: [None, None],
        };
        pair.run(api, 0);
        pair.run(api, 1);
        pair
    }

    fn run(&mut self, api: &ApiServer, side: usize) {
        let environment = [
            ("KUBECONFIG", api.kubeconfig(BROKER).into_os_string()),
            ("POD_NAME", PODS[side].into()),
            ("POD_NAMESPACE", "shop".into()),
        ];
        self.running[side] = Some(self.instances[side].run_with(&environment));
    }

    fn kill_primary(&mut self) {
        self.running[0].take().expect("it runs").kill();
    }

    fn start_primary(&mut self, api: &ApiServer) {
        self.run(api, 0);
    }
}

fn controller(api: &ApiServer, folder: &Path) -> Running {
    let mut command = Command::new(programs::tandem());
    command
        .args([
            "controller",
            "--namespace",
            "shop",
            "--listen",
            "127.0.0.1:8080",
        ])
        .env("KUBECONFIG", api.kubeconfig(ADMIN));
    Running::start("controller", &mut command, folder)
}

fn tandem(api: &ApiServer, arguments: &[&str]) -> String {
    let mut command = Command::new(programs::tandem());
    command
        .args(arguments)
        .env("KUBECONFIG", api.kubeconfig(ADMIN));
    let output = run(&mut command, SOON);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn object(api: &ApiServer, kind: &str) -> Value {
    let text = api.kubectl(&["get", kind, "orders", "-n", "shop", "-o", "json"]);
    serde_json::from_str(&text).expect("kubectl prints JSON")
}

fn status(api: &ApiServer) -> Value {
    object(api, "brokerpair")["status"].clone()
}

fn lease(api: &ApiServer) -> Value {
    let there = api.kubectl(&[
        "get",
        "lease",
        "orders",
        "-n",
        "shop",
        "--ignore-not-found",
        "-o",
        "json",
    ]);
    serde_json::from_str(&there).unwrap_or(Value::Null)
}

/// Whether a condition holds, and its reason.
fn condition(api: &ApiServer, kind: &str) -> (String, String) {
    let status = status(api);
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|it| it["type"] == kind);
    let text = |key: &str| {
        found
            .and_then(|it| it[key].as_str())
            .unwrap_or("")
            .to_owned()
    };
    (text("status"), text("reason"))
}

fn until_true(api: &ApiServer, kinds: &[&str]) {
    for kind in kinds {
        wait_for(&format!("{kind} being true"), SOON, || {
            (condition(api, kind).0 == "True").then_some(())
        });
    }
}

/// The versions of everything in the namespace but the leader's Lease, and what tells of the past.
fn versions(api: &ApiServer) -> Vec<String> {
    let kinds = "brokerpairs,leases,pods,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies,persistentvolumeclaims";
    let columns = "-o=custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion";
    let text = api.kubectl(&["get", kinds, "-n", "shop", "--no-headers", columns]);
    text.lines()
        .filter(|line| !line.contains("tandem-controller"))
        .map(str::to_owned)
        .collect()
}

/// Requests that change something, by the API server's own count; the leader's renewals are left out with all of Leases.
fn writes(api: &ApiServer) -> Vec<String> {
    let text = api.kubectl(&["get", "--raw", "/metrics"]);
    let is_write = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && ["POST", "PUT", "PATCH", "APPLY", "DELETE"]
                .iter()
                .any(|verb| line.contains(&format!("verb=\"{verb}\"")))
            && !line.contains("resource=\"leases\"")
            && (line.contains("tandem.dev")
                || [
                    "statefulsets",
                    "pods",
                    "services",
                    "configmaps",
                    "secrets",
                    "events",
                ]
                .iter()
                .any(|kind| line.contains(&format!("resource=\"{kind}\""))))
    };
    text.lines().filter(is_write).map(str::to_owned).collect()
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("the controller listens");
    stream.set_read_timeout(Some(SOON)).expect("a socket");
    let request = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
