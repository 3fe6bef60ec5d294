//! Keys, certificates and the administrator's kubeconfig, made with the program `openssl`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::program::run;
use crate::settings::{API_PORT, API_SERVICE, CONTROL_PLANE, Settings};

/// No secret: it opens a cluster that nobody outside its namespaces can reach.
const ADMIN_TOKEN: &str = "administrator-of-a-test";

/// Makes all files that the control plane is started with.
pub(crate) fn make(settings: &Settings) -> Result<()> {
    let folder = settings.certificates();
    fs::create_dir_all(&folder)?;
    let file = |name: &str| path(&folder, name);
    let key = ["-pkeyopt", "ec_paramgen_curve:P-256", "-algorithm", "EC"];
    for name in ["ca.key", "api.key"] {
        let out = file(name);
        run("openssl", &[&["genpkey", "-out", &out], &key[..]].concat())?;
    }
    run(
        "openssl",
        &["genrsa", "-out", &file("service-accounts.key"), "2048"],
    )?;
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-new",
            "-key",
            &file("ca.key"),
            "-out",
            &file("ca.crt"),
            "-days",
            "30",
            "-subj",
            "/CN=tests-ca",
        ],
    )?;
    run(
        "openssl",
        &[
            "req",
            "-new",
            "-key",
            &file("api.key"),
            "-out",
            &file("api.csr"),
            "-subj",
            "/CN=kube-apiserver",
        ],
    )?;
    fs::write(
        file("api.names"),
        format!(
            "subjectAltName=IP:{CONTROL_PLANE},IP:{API_SERVICE},DNS:kubernetes.default.svc,DNS:kubernetes.default\n"
        ),
    )?;
    run(
        "openssl",
        &[
            "x509",
            "-req",
            "-in",
            &file("api.csr"),
            "-CA",
            &file("ca.crt"),
            "-CAkey",
            &file("ca.key"),
            "-CAcreateserial",
            "-out",
            &file("api.crt"),
            "-days",
            "30",
            "-extfile",
            &file("api.names"),
        ],
    )?;
    fs::write(
        file("tokens.csv"),
        format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n"),
    )?;
    fs::write(settings.kubeconfig(), kubeconfig(&file("ca.crt")))?;
    Ok(())
}

fn kubeconfig(authority: &str) -> String {
    let server = format!("https://{CONTROL_PLANE}:{API_PORT}");
    // JSON is YAML.
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
        "current-context": "tests",
    })
    .to_string()
}

/// A file as the programs are told of it.
pub(crate) fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}
