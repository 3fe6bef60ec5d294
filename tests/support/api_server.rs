//! A real API server with its etcd and nothing else: no kubelet, no controllers. Objects are what somebody writes.
//!
//! For tests in a network of their own ([`super::namespace`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Running, run};
use super::{programs, wait_for};

const READY_LIMIT: Duration = Duration::from_mins(1);
const CALL_LIMIT: Duration = Duration::from_secs(20);
const ETCD: &str = "http://127.0.0.1:2379";
const PEERS: &str = "http://127.0.0.1:2380";
const ADDRESS: &str = "https://127.0.0.1:6443";

/// Who may do everything.
pub(crate) const ADMIN: &str = "admin";
/// The service account of the brokers of `shop/orders`.
pub(crate) const BROKER: &str = "broker";

/// A running API server.
pub(crate) struct ApiServer {
    folder: PathBuf,
    server: Option<Running>,
    _etcd: Running,
}

impl ApiServer {
    /// Starts both; returns when the API server is ready.
    pub(crate) fn start(folder: &Path) -> ApiServer {
        let folder = folder.join("api");
        fs::create_dir(&folder).expect("an empty folder");
        let tokens = [
            format!("{ADMIN}-token,admin,admin,system:masters"),
            format!(
                "{BROKER}-token,system:serviceaccount:shop:orders-broker,broker,system:serviceaccounts"
            ),
        ];
        fs::write(folder.join("tokens.csv"), tokens.join("\n")).expect("a file");
        let mut key = Command::new("openssl");
        key.args(["genrsa", "-out"])
            .arg(folder.join("accounts.key"));
        assert!(
            run(&mut key, CALL_LIMIT).status.success(),
            "openssl makes a key"
        );
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir")
            .arg(folder.join("etcd"))
            .arg(format!("--listen-client-urls={ETCD}"))
            .arg(format!("--advertise-client-urls={ETCD}"))
            .arg(format!("--listen-peer-urls={PEERS}"))
            .arg(format!("--initial-advertise-peer-urls={PEERS}"))
            .arg(format!("--initial-cluster=default={PEERS}"));
        let etcd = Running::start("etcd", &mut etcd, &folder);
        let mut api = ApiServer {
            folder,
            server: None,
            _etcd: etcd,
        };
        for user in [ADMIN, BROKER] {
            api.write_kubeconfig(user);
        }
        api.start_server();
        api
    }

    /// Starts the API server, for the first time or again.
    pub(crate) fn start_server(&mut self) {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut server = Command::new(programs::kubernetes().join("kube-apiserver"));
        server.args([
            format!("--etcd-servers={ETCD}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={}", file("certificates")),
            format!("--service-account-key-file={}", file("accounts.key")),
            format!(
                "--service-account-signing-key-file={}",
                file("accounts.key")
            ),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--shutdown-delay-duration=0s".to_owned(),
        ]);
        self.server = Some(Running::start("kube-apiserver", &mut server, &self.folder));
        wait_for("the API server being ready", READY_LIMIT, || {
            self.try_kubectl(&["get", "--raw", "/readyz"]).ok()
        });
    }

    /// Ends the API server; etcd keeps what it has.
    pub(crate) fn kill_server(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    /// The file by which somebody reaches it.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.kubeconfig"))
    }

    fn write_kubeconfig(&self, user: &str) {
        let authority = self.folder.join("certificates/apiserver.crt");
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": ADDRESS, "certificate-authority": authority}}],
            "users": [{"name": "it", "user": {"token": format!("{user}-token")}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        fs::write(self.kubeconfig(user), text.to_string()).expect("a file");
    }

    /// `kubectl` as the administrator; what it printed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut kubectl = Command::new(programs::kubernetes().join("kubectl"));
        kubectl
            .env("KUBECONFIG", self.kubeconfig(ADMIN))
            .env("HOME", &self.folder)
            .args(arguments);
        let output = run(&mut kubectl, CALL_LIMIT);
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// `kubectl apply` of these objects.
    pub(crate) fn apply(&self, objects: &[serde_json::Value]) {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let file = self.folder.join("objects.json");
        fs::write(&file, list.to_string()).expect("a file");
        self.kubectl(&["apply", "-f", &file.display().to_string()]);
    }
}
