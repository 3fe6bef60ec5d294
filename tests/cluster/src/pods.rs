//! What a test does to pods and asks of them, past the API server where that may be away.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::{Cluster, condition};
use crate::isolation::POD_LOGS;
use crate::process_tree::{freeze, signal_all, with_descendants};
use crate::wait::until;

/// How much of a log is shown.
const TAIL_LINES: usize = 40;

/// One container of a pod as it runs: known before a fault, used while the API server may not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The pod's namespace and name.
    pub pod: (String, String),
    /// The name of the node it runs on.
    pub node: String,
    /// The pod's address.
    pub address: String,
    /// How often the container has been started again.
    pub restarts: u64,
    /// The number of its first process.
    process: i32,
}

impl Cluster {
    /// Waits until a pod is ready.
    pub fn wait_until_pod_ready(
        &mut self,
        namespace: &str,
        name: &str,
        limit: Duration,
    ) -> Result<()> {
        let found = until(&format!("the pod {name} being ready"), limit, || {
            self.check()?;
            let pod = self.get(&["pod", name, "--namespace", namespace])?;
            let ready = pod.and_then(|pod| condition(&pod, "Ready"));
            Ok((ready.as_deref() == Some("True")).then_some(()))
        });
        found.map_err(|error| {
            let described = self.kubectl(&["describe", "pod", name, "--namespace", namespace]);
            error.context(described.unwrap_or_default())
        })
    }

    /// Waits until a pod's containers have ended well, and returns what the first one printed.
    pub fn wait_until_pod_succeeds(
        &mut self,
        namespace: &str,
        name: &str,
        limit: Duration,
    ) -> Result<String> {
        until(&format!("the end of the pod {name}"), limit, || {
            self.check()?;
            let Some(pod) = self.get(&["pod", name, "--namespace", namespace])? else {
                return Ok(None);
            };
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => Ok(Some(())),
                Some("Failed") => {
                    bail!("the pod {name} failed: {}", self.pod_log(namespace, name)?)
                }
                _ => Ok(None),
            }
        })?;
        self.pod_log(namespace, name)
    }

    /// The first container of a running pod.
    pub fn container(&self, namespace: &str, name: &str) -> Result<Container> {
        let pod = self
            .get(&["pod", name, "--namespace", namespace])?
            .with_context(|| format!("there is no pod {name}"))?;
        let status = &pod["status"]["containerStatuses"][0];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let id = text(&status["containerID"])
            .with_context(|| format!("the pod {name} has not started"))?;
        let node = text(&pod["spec"]["nodeName"]).context("the pod has no node")?;
        let process = self
            .node_named(&node)?
            .container_process(id.trim_start_matches("containerd://"))?;
        Ok(Container {
            pod: (namespace.to_owned(), name.to_owned()),
            node,
            address: text(&pod["status"]["podIP"]).context("the pod has no address")?,
            restarts: status["restartCount"].as_u64().unwrap_or(0),
            process,
        })
    }

    /// Everything that a pod has printed, over all its restarts and without asking the API server.
    pub fn pod_log(&self, namespace: &str, name: &str) -> Result<String> {
        self.printed(namespace, name, &["stdout", "stderr"])
    }

    /// The same of its standard output alone.
    pub fn pod_output(&self, namespace: &str, name: &str) -> Result<String> {
        self.printed(namespace, name, &["stdout"])
    }

    fn printed(&self, namespace: &str, name: &str, streams: &[&str]) -> Result<String> {
        let mut text = String::new();
        for file in self.log_files(namespace, name)? {
            let written = fs::read_to_string(&file)?;
            // The last line may be half written.
            let whole = written.rfind('\n').map_or("", |end| &written[..end]);
            for line in whole.lines() {
                // Time, stream, whether it is a whole line (F) or a part of one (P), and the line.
                let mut words = line.splitn(4, ' ').skip(1);
                let (Some(stream), Some(kind)) = (words.next(), words.next()) else {
                    bail!("{} is no log of a container", file.display());
                };
                if streams.contains(&stream) {
                    text.push_str(words.next().unwrap_or(""));
                    text.push_str(if kind == "F" { "\n" } else { "" });
                }
            }
        }
        Ok(text)
    }

    /// The end of what each pod has printed, by its namespace and name.
    pub fn ends_of_pod_logs(&self) -> Vec<(String, String)> {
        let mut ends = Vec::new();
        let pods = fs::read_dir(self.settings.folder.join(POD_LOGS).join("pods"));
        for pod in pods.into_iter().flatten().flatten() {
            let name = pod.file_name().to_string_lossy().into_owned();
            let mut parts = name.splitn(3, '_');
            if let (Some(namespace), Some(pod)) = (parts.next(), parts.next()) {
                let text = self.pod_log(namespace, pod).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
                ends.push((name, end));
            }
        }
        ends.sort();
        ends
    }

    /// `FOLDER/NAMESPACE_POD_UID/CONTAINER/RUN.log`, oldest first.
    fn log_files(&self, namespace: &str, name: &str) -> Result<Vec<PathBuf>> {
        let begin = format!("{namespace}_{name}_");
        let mut files = Vec::new();
        let pods = fs::read_dir(self.settings.folder.join(POD_LOGS).join("pods"));
        for pod in pods.into_iter().flatten() {
            let pod = pod?;
            if !pod.file_name().to_string_lossy().starts_with(&begin) {
                continue;
            }
            for container in fs::read_dir(pod.path())? {
                for file in fs::read_dir(container?.path())? {
                    let path = file?.path();
                    if path.extension().is_some_and(|ending| ending == "log") {
                        files.push((fs::metadata(&path)?.created()?, path));
                    }
                }
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }
}

impl Container {
    /// Sends a signal to the container's first process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal_all([self.process], signal)
    }

    /// `kill -9` of everything in the container, as the kernel does it when memory runs out.
    pub fn kill(&self) -> Result<()> {
        signal_all(self.processes()?, Signal::SIGKILL)
    }

    /// Stops every process of the container.
    pub fn freeze(&self) -> Result<()> {
        freeze(|| self.processes())
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        signal_all(self.processes()?, Signal::SIGCONT)
    }

    fn processes(&self) -> Result<BTreeSet<i32>> {
        with_descendants(&[self.process])
    }
}
