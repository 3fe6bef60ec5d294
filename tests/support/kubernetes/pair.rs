//! The pair under test: `orders`, over a shared store, its primary on the first node and its backup on the second, its record in a
//! Lease. Its instances are made by `tandem-broker create`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cluster::{Cluster, Container};
use serde_json::{Map, Value, json};

use super::NAMESPACE;
use super::images::BROKER;
use crate::support::duo::Side;
use crate::support::process::run;
use crate::support::{http, programs, wait_for};

pub(crate) const QUEUE: &str = "exampleQueue";
pub(crate) const USER: &str = "admin";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const PORT: u16 = 61616;
const HTTP_PORT: u16 = 8161;
/// Name of the headless Service that names the pods.
const BROKERS: &str = "orders-brokers";
const VOLUME: &str = "orders";
/// Where the store is in the pods.
const STORE: &str = "/store";
const READY_LIMIT: Duration = Duration::from_mins(2);
const CREATE_LIMIT: Duration = Duration::from_secs(20);

/// The URL with the times that `tandem local` recommends.
pub(crate) fn url() -> String {
    let broker = |side| {
        let pod = pod_name(side);
        format!("tcp://{pod}.{BROKERS}:{PORT}?connect-timeout-millis=2000")
    };
    format!(
        "({},{})?ha=true&reconnectAttempts=-1&retryInterval=100&connectionTTL=4000&clientFailureCheckPeriod=1000&callTimeout=5000",
        broker(Side::Primary),
        broker(Side::Backup)
    )
}

/// The pair's pods, as they were when they were last looked at.
pub(crate) struct Pair {
    primary: Container,
    backup: Container,
}

impl Pair {
    /// Installs it; returns when the primary serves and both may take over.
    pub(crate) fn install(cluster: &mut Cluster, folder: &Path) -> Pair {
        cluster.add_shared_volume(VOLUME).expect("a volume");
        for object in objects(folder) {
            cluster
                .apply(&object)
                .unwrap_or_else(|error| panic!("{error:#}"));
        }
        for side in [Side::Primary, Side::Backup] {
            let ready = cluster.wait_until_pod_ready(NAMESPACE, &pod_name(side), READY_LIMIT);
            ready.unwrap_or_else(|error| panic!("{error:#}"));
        }
        let container = |side| {
            cluster
                .container(NAMESPACE, &pod_name(side))
                .expect("it runs")
        };
        let pair = Pair {
            primary: container(Side::Primary),
            backup: container(Side::Backup),
        };
        pair.wait_until_whole("at first");
        pair
    }

    /// Looks at a side's pod again, which may be a new one by now.
    pub(crate) fn look_again(&mut self, cluster: &mut Cluster, side: Side) {
        let name = pod_name(side);
        let ready = cluster.wait_until_pod_ready(NAMESPACE, &name, READY_LIMIT);
        ready.unwrap_or_else(|error| panic!("{error:#}"));
        let container = cluster.container(NAMESPACE, &name).expect("it runs");
        match side {
            Side::Primary => self.primary = container,
            Side::Backup => self.backup = container,
        }
    }

    /// A side's container.
    pub(crate) fn container(&self, side: Side) -> &Container {
        match side {
            Side::Primary => &self.primary,
            Side::Backup => &self.backup,
        }
    }

    /// `GET /v1/pair`; nothing from a side that does not answer.
    pub(crate) fn page(&self, side: Side) -> Option<Value> {
        let address = &self.container(side).address;
        let address: SocketAddr = format!("{address}:{HTTP_PORT}")
            .parse()
            .expect("an address");
        http::get(address, "/v1/pair")
    }

    /// Whether a side says that it serves.
    pub(crate) fn serves(&self, side: Side) -> bool {
        self.page(side)
            .is_some_and(|page| page["role"] == "serving")
    }

    /// Number of the current term, as a side that answers says it.
    pub(crate) fn epoch(&self) -> u64 {
        let pages = [Side::Primary, Side::Backup]
            .into_iter()
            .filter_map(|side| self.page(side));
        pages
            .filter_map(|page| page["epoch"].as_u64())
            .max()
            .expect("a side that answers")
    }

    /// Waits until a side serves.
    pub(crate) fn wait_until_serving(&self, side: Side, when: &str) {
        wait_for(&format!("the {side:?} serving {when}"), READY_LIMIT, || {
            self.serves(side).then_some(())
        });
    }

    /// Waits until the primary serves, the backup is a settled standby, and both may take over.
    pub(crate) fn wait_until_whole(&self, when: &str) {
        wait_for(
            &format!("a whole pair with an active primary {when}"),
            READY_LIMIT,
            || {
                let (primary, backup) = (self.page(Side::Primary)?, self.page(Side::Backup)?);
                let whole = primary["role"] == "serving"
                    && backup["role"] == "standby"
                    && backup["settled"] == true
                    && [primary, backup]
                        .iter()
                        .all(|page| page["in_sync"].as_array().is_some_and(|it| it.len() == 2));
                whole.then_some(())
            },
        );
    }
}

pub(crate) fn pod_name(side: Side) -> String {
    format!("{}-0", set_name(side))
}

fn set_name(side: Side) -> String {
    format!("orders-{}", side_name(side))
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Primary => "primary",
        Side::Backup => "backup",
    }
}

/// What the Pod Security level `restricted` asks of a pod.
pub(crate) fn restricted_pod() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// What it asks of a container.
pub(crate) fn restricted_container() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

fn objects(folder: &Path) -> Vec<Value> {
    let mut objects = vec![
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }),
        object("v1", "ServiceAccount", "orders-broker", &json!({})),
        object(
            "rbac.authorization.k8s.io/v1",
            "Role",
            "orders-broker",
            &json!({"rules": [
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["orders"],
                 "verbs": ["get", "watch", "update"]},
                {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["orders-primary-0", "orders-backup-0"],
                 "verbs": ["get", "patch"]},
            ]}),
        ),
        object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "orders-broker",
            &json!({
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "orders-broker"},
                "subjects": [{"kind": "ServiceAccount", "name": "orders-broker", "namespace": NAMESPACE}],
            }),
        ),
        object("coordination.k8s.io/v1", "Lease", "orders", &json!({})),
        object(
            "v1",
            "PersistentVolumeClaim",
            "orders-store",
            &json!({"spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "shared",
                "resources": {"requests": {"storage": "1Gi"}},
            }}),
        ),
        object(
            "v1",
            "Service",
            BROKERS,
            &json!({"spec": {
                "clusterIP": "None",
                // A standby finds the active while it is not ready itself.
                "publishNotReadyAddresses": true,
                "selector": {"app": "orders"},
                "ports": [{"name": "core", "port": PORT}, {"name": "link", "port": PORT - 1}],
            }}),
        ),
    ];
    for side in [Side::Primary, Side::Backup] {
        objects.push(instance(folder, side));
        objects.push(stateful_set(side));
    }
    objects
}

/// An object of our namespace.
fn object(version: &str, kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
    });
    if let (Some(object), Some(rest)) = (object.as_object_mut(), rest.as_object()) {
        object.extend(rest.clone());
    }
    object
}

/// The files of an instance in a Secret.
fn instance(folder: &Path, side: Side) -> Value {
    let name = set_name(side);
    let host = format!("{}.{BROKERS}", pod_name(side));
    let mut create = Command::new(programs::tandem_broker());
    create.current_dir(folder).arg("create");
    create.args([
        "--shared-store",
        "--failover-on-shutdown",
        "--clustered",
        "--allow-anonymous=n",
    ]);
    create.args(["--user", USER, "--password", PASSWORD, "--role", "admin"]);
    create.args([
        "--cluster-user",
        "clusterUser",
        "--cluster-password",
        "clusterPassword",
    ]);
    create.args(["--queues", QUEUE, "--host", &host, "--http-host", "0.0.0.0"]);
    if side == Side::Backup {
        create.arg("--backup");
    }
    let output = run(create.arg(&name), CREATE_LIMIT);
    assert!(output.status.success(), "{output:?}");
    let mut files = Map::new();
    for entry in fs::read_dir(folder.join(&name).join("etc")).expect("its files") {
        let path = entry.expect("its files").path();
        let text = fs::read_to_string(&path).expect("text");
        let file = path
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let text = match file.as_str() {
            "broker.xml" => text.replace(">data/", &format!(">{STORE}/")).replace(
                &format!("\">tcp://{host}:{PORT}?"),
                &format!("\">tcp://0.0.0.0:{PORT}?"),
            ),
            "tandem.properties" => text + &format!("\narbiter = lease:{NAMESPACE}/orders\n"),
            _ => text,
        };
        files.insert(file, Value::String(text));
    }
    object(
        "v1",
        "Secret",
        &format!("{name}-instance"),
        &json!({"stringData": files}),
    )
}

fn stateful_set(side: Side) -> Value {
    let name = set_name(side);
    let node = match side {
        Side::Primary => "node-1",
        Side::Backup => "node-2",
    };
    let labels = json!({"app": "orders", "tandem.dev/side": side_name(side)});
    let mounts = json!([
        {"name": "instance", "mountPath": "/instance"},
        {"name": "etc", "mountPath": "/instance/etc", "readOnly": true},
        {"name": "store", "mountPath": STORE},
    ]);
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let probe =
        |path: &str| json!({"httpGet": {"path": path, "port": HTTP_PORT}, "periodSeconds": 2});
    object(
        "apps/v1",
        "StatefulSet",
        &name,
        &json!({"spec": {
            "serviceName": BROKERS,
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "orders-broker",
                    "nodeSelector": {"kubernetes.io/hostname": node},
                    "securityContext": restricted_pod(),
                    // Makes the record and the store of a new pair; on whatever is there already it changes nothing.
                    "initContainers": [{
                        "name": "first-record",
                        "image": BROKER,
                        "args": ["pair", "init", "/instance"],
                        "securityContext": restricted_container(),
                        "volumeMounts": mounts,
                    }],
                    "containers": [{
                        "name": "broker",
                        "image": BROKER,
                        "args": ["run", "--instance", "/instance"],
                        "env": [
                            {"name": "POD_NAME", "valueFrom": field("metadata.name")},
                            {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
                        ],
                        "ports": [{"name": "core", "containerPort": PORT}],
                        "readinessProbe": probe("/readyz"),
                        "securityContext": restricted_container(),
                        "volumeMounts": mounts,
                    }],
                    "volumes": [
                        {"name": "instance", "emptyDir": {}},
                        {"name": "etc", "secret": {"secretName": format!("{name}-instance")}},
                        {"name": "store", "persistentVolumeClaim": {"claimName": "orders-store"}},
                    ],
                },
            },
        }}),
    )
}
