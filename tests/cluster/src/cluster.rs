//! The cluster as one thing.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::image::{self, Image};
use crate::kubectl;
use crate::network;
use crate::node::Node;
use crate::program::{self, Said};
use crate::settings::{CONTROL_PLANE, NODES, PAUSE_IMAGE, Settings};
use crate::wait::until;
use crate::{credentials, isolation};

const READY_LIMIT: Duration = Duration::from_secs(90);
/// The storage class of [`Cluster::add_shared_volume`].
const SHARED_CLASS: &str = "shared";
const HELM_LIMIT: Duration = Duration::from_mins(2);

/// A running cluster. It ends when this is dropped, and with the process that holds it.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) settings: Settings,
    pub(crate) nodes: Vec<Node>,
    control_plane: ControlPlane,
}

impl Cluster {
    /// Starts everything in the namespaces that [`isolation`] made, which this process must be the first of. The nodes get the
    /// `images`; returns when both are ready.
    pub fn start(settings: Settings, images: &[PathBuf]) -> Result<Cluster> {
        isolation::settle(&settings.folder)?;
        for folder in [settings.logs(), settings.volumes()] {
            fs::create_dir_all(folder)?;
        }
        let resolver = format!("nameserver {CONTROL_PLANE}\n");
        fs::write(settings.folder.join("resolv.conf"), resolver)?;
        let mut images = images.to_vec();
        images.push(pause_image(&settings)?);
        credentials::make(&settings)?;
        network::make_bridge()?;

        // The nodes unpack their images while the API server starts.
        let (nodes, control_plane) = thread::scope(|scope| {
            let nodes: Vec<_> = (1..=NODES)
                .map(|number| {
                    scope.spawn({
                        let (settings, images) = (&settings, &images);
                        move || start_node(settings, number, images)
                    })
                })
                .collect();
            let control_plane = ControlPlane::start(&settings);
            let nodes: Vec<_> = nodes
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect();
            (nodes, control_plane)
        });
        let mut cluster = Cluster {
            nodes: nodes
                .into_iter()
                .map(|node| node.map_err(|_| anyhow!("a thread that starts a node panicked"))?)
                .collect::<Result<_>>()?,
            control_plane: control_plane?,
            settings,
        };
        for node in &mut cluster.nodes {
            node.join(&cluster.settings)?;
        }
        for number in 1..=NODES {
            cluster.wait_until_node(number, true, READY_LIMIT)?;
        }
        cluster.wait_until_pods_may_be_made()?;
        Ok(cluster)
    }

    /// Pods of a namespace can be made once its default service account is there.
    fn wait_until_pods_may_be_made(&mut self) -> Result<()> {
        until("the default service account", READY_LIMIT, || {
            self.check()?;
            kubectl::get(&self.settings, &["serviceaccount", "default"])
        })
        .map(drop)
    }

    /// Fails, with the end of its log, if a program of the cluster has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.control_plane.check()?;
        self.nodes.iter_mut().try_for_each(Node::check)
    }

    /// A node, by its number from 1.
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number - 1]
    }

    /// The node of this name.
    pub fn node_named(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.with_context(|| format!("there is no node {name}"))
    }

    /// Waits until Kubernetes calls a node ready, or not ready.
    pub fn wait_until_node(&mut self, number: usize, ready: bool, limit: Duration) -> Result<()> {
        let name = self.node(number).name().to_owned();
        let word = if ready { "ready" } else { "not ready" };
        until(&format!("{name} being {word}"), limit, || {
            self.check()?;
            let Some(node) = kubectl::get(&self.settings, &["node", &name])? else {
                return Ok(None);
            };
            let is_ready = condition(&node, "Ready").is_some_and(|status| status == "True");
            Ok((is_ready == ready).then_some(()))
        })
    }

    /// Stops the API server; the nodes and the controllers go on without it.
    pub fn stop_api_server(&mut self) -> Result<()> {
        self.control_plane.stop_api_server()
    }

    /// Starts it again; returns when it is ready.
    pub fn start_api_server(&mut self) -> Result<()> {
        self.control_plane.start_api_server(&self.settings)
    }

    /// Makes a volume that both nodes can mount for writing at once, of the storage class `shared`: a folder of the machine, on which
    /// locks of processes on both nodes exclude each other.
    pub fn add_shared_volume(&self, name: &str) -> Result<()> {
        let folder = self.settings.volumes().join(name);
        fs::create_dir_all(&folder)?;
        // As a file server does that leaves it to its clients who may write.
        program::run("chmod", &["0777", &folder.to_string_lossy()])?;
        let class = json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": SHARED_CLASS},
            "provisioner": "kubernetes.io/no-provisioner",
        });
        let volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": SHARED_CLASS,
                "hostPath": {"path": folder, "type": "Directory"},
            },
        });
        self.apply(&class)?;
        self.apply(&volume)
    }

    /// The folder that holds a volume's files.
    pub fn volume_folder(&self, name: &str) -> PathBuf {
        self.settings.volumes().join(name)
    }

    /// Makes or changes an object.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl_with(&["apply", "--filename", "-"], &object.to_string())
            .map(drop)
    }

    /// Runs `kubectl` as the administrator; it must end well. Returns what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "")
    }

    /// The same with something on its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        kubectl::output(&self.settings, arguments, input)
    }

    /// Runs `kubectl`, however it ends.
    pub fn kubectl_says(&self, arguments: &[&str], input: &str) -> Result<Said> {
        kubectl::said(&self.settings, arguments, input)
    }

    /// What `kubectl get --output json` prints for these words; nothing if there is no such object.
    pub fn get(&self, arguments: &[&str]) -> Result<Option<Value>> {
        kubectl::get(&self.settings, arguments)
    }

    /// Runs `helm`; it must end well. Returns what it printed.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        let mut helm = std::process::Command::new(self.settings.program("helm"));
        helm.env("KUBECONFIG", self.settings.kubeconfig());
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(variable, self.settings.folder.join("helm"));
        }
        program::output(helm.args(arguments), "", HELM_LIMIT)
    }

    /// Who has written what since the cluster started: the API server's notes, newest last.
    pub fn writes(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.settings.logs().join("audit.log"))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).context("the audit log holds no JSON"))
            .collect()
    }
}

/// The status of one of an object's conditions.
pub(crate) fn condition(object: &Value, kind: &str) -> Option<String> {
    let conditions = object["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|it| it["type"] == kind)?;
    condition["status"].as_str().map(str::to_owned)
}

fn start_node(settings: &Settings, number: usize, images: &[PathBuf]) -> Result<Node> {
    let node = Node::start(settings, number)?;
    for image in images {
        node.import(image)?;
    }
    Ok(node)
}

fn pause_image(settings: &Settings) -> Result<PathBuf> {
    let program = settings.program("pause");
    if !program.is_file() {
        bail!(
            "{} is not there: `cargo xtask cluster build` builds it",
            program.display()
        );
    }
    let image = Image::new(PAUSE_IMAGE, &["/pause"]).file(&program, "/pause");
    image::write(&image, Path::new(&settings.folder))
}
