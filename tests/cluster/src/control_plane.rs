//! etcd, the API server, its controllers, the scheduler, and the name server of the cluster.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::credentials::path;
use crate::daemon::Daemon;
use crate::kubectl;
use crate::settings::{API_PORT, CONTROL_PLANE, NODE_GRACE, SERVICES, Settings};
use crate::wait::until;

const READY_LIMIT: Duration = Duration::from_secs(90);
const ETCD: &str = "http://127.0.0.1:2379";

/// The running programs.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    api_server: Daemon,
    others: Vec<Daemon>,
}

impl ControlPlane {
    /// Starts all of it; returns when the API server is ready.
    pub(crate) fn start(settings: &Settings) -> Result<ControlPlane> {
        let etcd = start(settings, "etcd", Path::new("etcd"), &etcd())?;
        let program = settings.program("kube-apiserver");
        let arguments = api_server(settings)?;
        let mut plane = ControlPlane {
            api_server: start(settings, "kube-apiserver", &program, &arguments)?,
            others: vec![etcd],
        };
        plane.wait_until_ready(settings)?;
        for (name, arguments) in [
            ("kube-controller-manager", controller_manager(settings)),
            ("kube-scheduler", scheduler(settings)),
            ("coredns", coredns(settings)?),
        ] {
            let daemon = start(settings, name, &settings.program(name), &arguments)?;
            plane.others.push(daemon);
        }
        Ok(plane)
    }

    fn wait_until_ready(&mut self, settings: &Settings) -> Result<()> {
        let ready = until("the API server being ready", READY_LIMIT, || {
            self.check()?;
            let said = kubectl::said(settings, &["get", "--raw", "/readyz"], "")?;
            Ok(said.status.success().then_some(()))
        });
        ready.with_context(|| self.api_server.tail())
    }

    /// Fails if one of the programs has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.api_server.check()?;
        self.others.iter_mut().try_for_each(Daemon::check)
    }

    /// Ends the API server; everything else goes on without it.
    pub(crate) fn stop_api_server(&mut self) -> Result<()> {
        self.api_server.kill()
    }

    /// Starts the API server again; returns when it is ready.
    pub(crate) fn start_api_server(&mut self, settings: &Settings) -> Result<()> {
        self.api_server.start_again()?;
        self.wait_until_ready(settings)
    }
}

fn start(settings: &Settings, name: &str, program: &Path, arguments: &[String]) -> Result<Daemon> {
    Daemon::start(name, None, program, arguments, &settings.logs())
}

fn etcd() -> Vec<String> {
    let peers = "http://127.0.0.1:2380";
    vec![
        // In memory: nothing of it outlives the run, and no test is about etcd's disk.
        "--data-dir=/run/etcd".to_owned(),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
    ]
}

/// Every write is noted with who wrote, so that a test can say who wrote what.
fn api_server(settings: &Settings) -> Result<Vec<String>> {
    let policy = settings.folder.join("audit-policy.json");
    let rules = json!([
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "Metadata", "omitStages": ["RequestReceived"]},
    ]);
    let text = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules});
    fs::write(&policy, text.to_string())?;
    let folder = settings.certificates();
    let file = |name: &str| path(&folder, name);
    Ok(vec![
        format!("--etcd-servers={ETCD}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-key-file={}",
            file("service-accounts.key")
        ),
        format!(
            "--service-account-signing-key-file={}",
            file("service-accounts.key")
        ),
        format!("--bind-address={CONTROL_PLANE}"),
        format!("--advertise-address={CONTROL_PLANE}"),
        format!("--secure-port={API_PORT}"),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--audit-policy-file={}", policy.display()),
        format!(
            "--audit-log-path={}",
            settings.logs().join("audit.log").display()
        ),
    ])
}

fn controller_manager(settings: &Settings) -> Vec<String> {
    let folder = settings.certificates();
    let file = |name: &str| path(&folder, name);
    vec![
        format!("--kubeconfig={}", settings.kubeconfig().display()),
        format!(
            "--service-account-private-key-file={}",
            file("service-accounts.key")
        ),
        format!("--root-ca-file={}", file("ca.crt")),
        "--leader-elect=false".to_owned(),
        format!("--node-monitor-grace-period={}s", NODE_GRACE.as_secs()),
        "--node-monitor-period=1s".to_owned(),
    ]
}

fn scheduler(settings: &Settings) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", settings.kubeconfig().display()),
        "--leader-elect=false".to_owned(),
    ]
}

fn coredns(settings: &Settings) -> Result<Vec<String>> {
    let file = settings.folder.join("Corefile");
    let kubeconfig = settings.kubeconfig();
    let text = format!(
        ".:53 {{\n  bind {CONTROL_PLANE}\n  errors\n  kubernetes cluster.local in-addr.arpa {{\n    \
         kubeconfig {} tests\n    ttl 2\n  }}\n}}\n",
        kubeconfig.display()
    );
    fs::write(&file, text)?;
    Ok(vec![
        "-conf".to_owned(),
        file.to_string_lossy().into_owned(),
    ])
}
